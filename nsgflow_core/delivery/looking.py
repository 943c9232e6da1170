"""A look into the bytes of a window for flows that were denied, and pass by now.

Digests read denied flows alone, and decoding the others would cost every delivery more than all it
does today. But of a group of a few flows their ends are known, as a tuple has them: a search for
these bytes costs next to nothing, and only where one is found a record is read for it.

So it may miss one: addresses that are not written in their canonical form, and what lies where
much is sought in many bytes. Then other evidence ends the group.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product

from nsgflow_core.digests.ledger import Ledger, Passed
from nsgflow_core.digests.sought import Few, Sought, few_in, newest, passed, sought
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.logs import flows
from nsgflow_core.logs.alike import around
from nsgflow_core.logs.path import LogPath
from nsgflow_core.model import LAST_TIME_MS, MILLISECONDS_FROM, Flow

MOST_BYTES = 128 * 1024
"""Bytes of a window that are searched, for all flows together: the last ones."""
MOST_FLOWS = 8
MOST_HITS = 64
"""The most flows that are sought in a window, and places between their ends that are looked at."""

_PORT, _STATE = 4, 7
_DENIED = b"D"
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
    """The look into one window: bytes that begin at offset `start`, whole records up to `end`."""

    def __init__(
        self, data: bytes, start: int, end: int, log: LogPath, knowledge: Knowledge
    ) -> None:
        self._data = data
        self._size = end - start
        self._start = start
        self._log = log
        self._knowledge = knowledge

    def passed(self, ledger: Ledger | None, before: Sequence[Few], read_to: int) -> list[Passed]:
        """The flows of a ledger, and those denied in the hour before, that are let through here.

        Of those that are denied here and not counted, that they are.
        """
        size = max(self._size, 1)
        most = min(MOST_FLOWS, max(MOST_BYTES // size, 1))
        pairs: dict[bytes, list[Sought]] = {}
        for one in sought(ledger, before, read_to, most, turn=self._start):
            src, dst, _ = one.example.split(" ")
            pairs.setdefault(f",{src},{dst},".encode(), []).append(one)
        first = max(size - MOST_BYTES, 0)
        return [one for pair, wanted in pairs.items() for one in self._of_pair(pair, wanted, first)]

    def _of_pair(self, pair: bytes, wanted: list[Sought], first: int) -> list[Passed]:
        """What the newest tuples say of each flow between two ends: let through, or denied.

        A denied one that no group has counted (a filter leaves it out, or it is too old, or there
        was no room) takes back what was seen before. A record has its tuples by rules: only their
        times tell which is newer.
        """
        found: list[Passed] = []
        denied: dict[str, int] = {}
        left = [one for one in wanted if not one.lately]
        known = any(one.since for one in wanted)
        at, hits = self._size, 0
        # Where one was seen let through no denied one may be missed, however far back it stands.
        while known or found or hits < MOST_HITS:
            at = self._data.rfind(pair, 0 if known or found else first, at)
            if at < 0:
                break
            hits += 1
            fields = self._tuple(at)
            if len(fields) <= _STATE:
                continue
            port = fields[_PORT].decode(errors="replace")
            if fields[_STATE] == _DENIED:
                denied[port] = max(denied.get(port, 0), _time_ms(fields[0]))
            elif _begins(fields) and any(_port(one) == port for one in left):
                seen = product(self._flows(at, pair), left)
                found += filter(None, (passed(flow, one, self._knowledge) for flow, one in seen))
                told = {(one.group, one.example) for one in found}
                left = [one for one in left if (one.key.id, one.example) not in told]
        return [said for one in wanted for said in newest(one, found, denied.get(_port(one), 0))]

    def _tuple(self, at: int) -> list[bytes]:
        """The fields of the tuple around a place."""
        begin = self._data.rfind(b'"', 0, at) + 1
        return self._data[begin : self._data.find(b'"', at)].split(b",")

    def _flows(self, at: int, pair: bytes) -> list[Flow]:
        """The flows between two ends in the record around a place."""
        record = around(self._data, at)
        if record is None:
            return []
        return flows.read_some(record, self._log, pair.decode(), self._knowledge.inventory)


def _port(one: Sought) -> str:
    return one.example.rpartition(" ")[2]


def _begins(fields: Sequence[bytes]) -> bool:
    """Whether a tuple lets a connection begin."""
    return fields[7] == b"B" or fields[7:9] == [b"A", b"B"]


def _time_ms(text: bytes) -> int:
    """The time of a tuple; the last there is where it makes no sense: that takes back all."""
    if not text.isdigit():
        return LAST_TIME_MS
    time = int(text)
    return min(time if time >= MILLISECONDS_FROM else time * 1000, LAST_TIME_MS)
