"""What is counted and in no digest yet: merged as it comes, and bounded. Pure."""

from collections.abc import Iterable

from msgspec.structs import replace

from nsgflow_core.digests.groups import MANY_LOGS, Key, Tally, known_key, rank
from nsgflow_core.digests.life import MAX_ALL_LOGS

MAX_WAITING = 2000
"""The most groups that wait; of more the flows are counted, and not named."""


class Waiting:
    """Groups merged as they come, the most important ones where they are too many."""

    def __init__(self, groups: Iterable[Tally], others: int) -> None:
        self._groups: dict[Key, Tally] = {}
        self._others = others
        self.add([replace(tally, key=known_key(tally.key)) for tally in groups], 0)

    def add(self, fresh: Iterable[Tally], others: int) -> None:
        """Add what one ledger tells."""
        for tally in fresh:
            known = self._groups.get(tally.key)
            self._groups[tally.key] = known.merged(tally) if known else tally
        self._others += others
        if len(self._groups) > 2 * MAX_WAITING:
            self._bound()

    def _bound(self) -> None:
        ranked = sorted(self._groups.values(), key=rank)
        self._others += sum(tally.flows for tally in ranked[MAX_WAITING:])
        self._groups = {tally.key: tally for tally in ranked[:MAX_WAITING]}

    @property
    def groups(self) -> tuple[Tally, ...]:
        """The groups, what matters first in front, with as many names of logs as there may be."""
        self._bound()
        room = MAX_ALL_LOGS
        found = []
        for tally in self._groups.values():
            room -= len(tally.seen_in)
            few = tally if room >= 0 else replace(tally, seen_in={MANY_LOGS: tally.last})
            found.append(few)
        return tuple(found)

    @property
    def others(self) -> int:
        """Flows of groups that are not named."""
        self._bound()
        return self._others
