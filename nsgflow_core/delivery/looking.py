"""A look into the bytes of a window for flows that were denied, and pass by now.

Digests read denied flows alone, and decoding the others would cost every delivery more than all it
does today. But of a group of a few flows their ends are known, as a tuple has them: a search for
these bytes costs next to nothing, and only where one is found a record is read for it.

So it may miss one: addresses that are not written in their canonical form, and what lies where
much is sought in many bytes. Then other evidence ends the group.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product

from nsgflow_core.digests.groups import example_of
from nsgflow_core.digests.ledger import Ledger, Passed
from nsgflow_core.digests.sought import Few, Sought, few_in, newest, passed, sought
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.logs import flows
from nsgflow_core.logs.alike import around
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.fields import TOGETHER
from nsgflow_core.logs.flows import Reading
from nsgflow_core.logs.path import LogPath
from nsgflow_core.model import Flow

MOST_BYTES = 96 * 1024
"""Bytes of a window that are searched, for all flows together: the last ones."""
MOST_FLOWS = 8
MOST_HITS = 32
"""The most flows that are sought in a window, and places between their ends that are looked at."""

_BEGINS = re.compile(rb'[^,"]*,(\d*),[^,"]*,[^,"]*,(?:A,)?B[,"]')
"""What stands behind the ends of a tuple that lets a connection begin; its group is the port."""
_MOST_LOGS = 4096
_HOUR = timedelta(hours=1)
_LATE = timedelta(minutes=30)
"""What was denied before is quiet before the next hour has much to say of it."""


class Lately:
    """What this process found denied in the hours before: who delivers the next looks for it.

    An hour is a blob of its own. Where another process had the one before, nothing of it is looked
    for; that is not worth a request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, datetime], dict[str, list[Few]]] = OrderedDict()

    def keep(self, log: str, hour: datetime, ledgers: Mapping[str, Ledger]) -> None:
        """Remember what was denied at the end of an hour of a log, by sink."""
        late = round((hour + _LATE).timestamp() * 1000)
        denied = {
            sink: [group for group in few_in(ledger) if group.last >= late][:MOST_FLOWS]
            for sink, ledger in ledgers.items()
        }
        with self._lock:
            self._kept.pop((log, hour - 2 * _HOUR), None)
            self._kept.pop((log, hour), None)
            if any(denied.values()):
                self._kept[log, hour] = denied
            while len(self._kept) > _MOST_LOGS:
                self._kept.popitem(last=False)

    def before(self, log: str, hour: datetime) -> Mapping[str, list[Few]]:
        """What was denied in the hour before one, by sink."""
        return self._kept.get((log, hour - _HOUR), {})


class Look:
    """The look into one window: bytes that begin at offset `start`, and what was read of them.

    What was read has all denied flows of the window, those among them that no sink is told.
    """

    def __init__(
        self,
        data: bytes,
        start: int,
        reading: Reading[Columns],
        log: LogPath,
        knowledge: Knowledge,
    ) -> None:
        self._data = data
        self._size = reading.end - start
        self._start = start
        self._reading = reading
        self._log = log
        self._knowledge = knowledge

    def passed(self, ledger: Ledger | None, before: Sequence[Few]) -> list[Passed]:
        """The flows of a ledger, and those denied in the hour before, that are let through here.

        Of those that are denied here and not counted, that they are: a filter leaves them out, or
        they are too old, or there was no room. That takes back what was seen before. A record has
        its tuples by rules: only their times tell which is newer.
        """
        most = min(MOST_FLOWS, max(MOST_BYTES // max(self._size, 1), 1))
        wanted = sought(ledger, before, self._reading.read_to, most, turn=self._start)
        pairs: dict[tuple[str, str], list[Sought]] = {}
        for one in wanted:
            src, dst, _ = one.example.split(" ")
            pairs.setdefault((src, dst), []).append(one)
        found = [seen for ends, of_pair in pairs.items() for seen in self._begun(ends, of_pair)]
        # Where one was seen let through no denied one may be missed, however far back it stands.
        known = found or any(one.since for one in wanted)
        parts = self._reading.flows
        denied = _denied(pairs, parts if known else _last(parts))
        if not found and not denied:  # nearly always
            return []
        return [seen for one in wanted for seen in newest(one, found, denied.get(one.example, 0))]

    def _begun(self, ends: tuple[str, str], wanted: Sequence[Sought]) -> list[Passed]:
        """What the newest tuples say of each flow between two ends that begins, and passes.

        However many tuples they have: a few of the last ones are looked at.
        """
        found: list[Passed] = []
        left = [one for one in wanted if not one.lately]
        pair = ",".join(("", *ends, "")).encode()
        first, at = max(self._size - MOST_BYTES, 0), self._size
        hits = 0
        while left and hits < MOST_HITS and (at := self._data.rfind(pair, first, at)) >= 0:
            hits += 1
            begins = _BEGINS.match(self._data, at + len(pair))
            if begins and any(one.example.endswith(f" {begins[1].decode()}") for one in left):
                seen = product(self._flows(at, pair), left)
                found += filter(None, (passed(flow, one, self._knowledge) for flow, one in seen))
                told = {(one.group, one.example) for one in found}
                left = [one for one in left if (one.key.id, one.example) not in told]
        return found

    def _flows(self, at: int, pair: bytes) -> list[Flow]:
        """The flows between two ends in the record around a place."""
        record = around(self._data, at)
        if record is None:
            return []
        return flows.read_some(record, self._log, pair.decode(), self._knowledge.inventory)


def _last(parts: Sequence[Columns]) -> Sequence[Columns]:
    """The parts with the last flows, as many as are read at once where only denied ones are.

    Of a window whose allowed flows are read, too, a part has few denied ones.
    """
    number = 0
    for at in reversed(range(len(parts))):
        number += len(parts[at])
        if number >= TOGETHER:
            return parts[at:]
    return parts


def _denied(pairs: Collection[tuple[str, str]], parts: Sequence[Columns]) -> dict[str, int]:
    """When each flow between some ends was denied last, in milliseconds, by its example."""
    denied: dict[str, int] = {}
    sources, targets = ({ends[side] for ends in pairs} for side in (0, 1))
    for part in parts:
        if sources.isdisjoint(part.src) or targets.isdisjoint(part.dst):
            continue
        between = [ends in pairs for ends in zip(part.src, part.dst, strict=True)]
        for flow in part.where(between) if any(between) else ():
            if flow.denied:
                example = example_of(flow)
                denied[example] = max(denied.get(example, 0), flow.time_ms)
    return denied
