"""Groups of which each flow was seen let through again: evidence of their end. Pure.

A flow must be seen where it was denied: that the source's own NSG lets it out says nothing of the
one that denies it at its destination, and that it passes in one log nothing of another. So who
asks must know which log had which flow. The ledgers of the hours that are read anyway say that;
of a group that is older than these, each log must show all flows.
"""

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

from nsgflow_core.digests.groups import Key
from nsgflow_core.digests.ledger import Ledger, Passed
from nsgflow_core.digests.life import Life
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.sought import TICK
from nsgflow_core.model import flow_time

_TURN_MS = 900_000
"""So long behind its end the last of an hour may be of (`flows.written_ms`)."""
_TIME_OF_DAY = slice(11, 16)
_MAX_RULE = 80


class Through:
    """What ledgers say of groups that are followed: those of all hours from the first one on."""

    def __init__(self, lives: Mapping[str, Life], first: datetime) -> None:
        few = {name: life for name, life in lives.items() if life.examples.complete}
        self._names = frozenset(few)
        self._keys = frozenset(life.key for life in few.values())
        self._first = round(first.timestamp() * 1000) + _TURN_MS
        self._had: dict[tuple[str, Key], list[Sample]] = defaultdict(list)
        self._passed: dict[str, dict[tuple[str, str], Passed]] = defaultdict(dict)

    def add(self, ledger: Ledger) -> None:
        """What the ledger of a blob says."""
        for tally in ledger.groups if self._keys else ():
            if tally.key in self._keys:
                self._had[ledger.log, tally.key].append(tally.examples)
        for one in ledger.passed:
            if one.group in self._names:
                of_group, name = self._passed[one.group], (ledger.log, one.example)
                of_group[name] = max(of_group.get(name, one), one, key=Passed.rank)

    def of(self, life: Life) -> str:
        """What is known if all of a group was let through since its last flow, "" if not."""
        passed = self._passed.get(life.key.id)
        if not passed or not life.examples.complete:
            return ""
        found: list[Passed] = []
        examples: set[str] = set()
        for log in life.logs:
            had = self._had_by(life, log)
            seen = [passed.get((log, example)) for example in had]
            later = [one for one in seen if one and one.rule and one.at >= life.last + TICK]
            if not had or len(later) < len(had):
                return ""
            examples |= had
            found += later
        return _said(life, found) if examples >= {*life.examples.values} else ""

    def _had_by(self, life: Life, log: str) -> AbstractSet[str]:
        """The flows of a group that a log had denied; all of them where that is not known."""
        samples = self._had.get((log, life.key), [])
        if life.since < self._first or not all(sample.complete for sample in samples):
            return {*life.examples.values}
        return {example for sample in samples for example in sample.values}


def nothing(_: Life) -> str:
    """Where nobody knows what was let through."""
    return ""


def _said(life: Life, found: list[Passed]) -> str:
    """Since when the last of them passes again, and by which rule."""
    since = [(one.since if one.since > life.last else one.at, one.rule) for one in found]
    at, rule = max(since)
    flows = "the same flow is" if len(life.examples.values) == 1 else "the same flows are"
    when = flow_time(at)[_TIME_OF_DAY]
    return f"{flows} let through again since {when} UTC by rule {rule[:_MAX_RULE]}"
