"""From accounts to flows in the order of their times, an hour of logs after the other.

The logs of an hour are read side by side, window by window: a pool of threads downloads the next
windows while this one parses what has come, and a merge puts the flows of all logs in order. So
what is held is a window of each log of two hours, however long the logs are.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import NamedTuple, Self, TypeVar

import msgspec

from nsgflow_core.cli.download import Download
from nsgflow_core.cli.session import sentence
from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.filter import Filter
from nsgflow_core.logs import columns, records
from nsgflow_core.logs.columns import Columns, Place, Placed
from nsgflow_core.logs.fields import TOGETHER
from nsgflow_core.logs.flows import Make, Reading, stretch_of
from nsgflow_core.logs.leftover import is_over, leftover
from nsgflow_core.logs.lenient import note_bad
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.source import LARGEST_RECORD, Source
from nsgflow_core.logs.tuples import TupleList
from nsgflow_core.model import NOWHERE, Bad, BlobRef, Flow, Group

_VNET = 4
DOWNLOADS = 8
"""Windows that are downloaded at once."""
_WINDOWS = 32 * 1024 * 1024
"""Bytes that the windows of an hour's logs share."""
_WINDOW = (128 * 1024, 2 * 1024 * 1024)
_AHEAD = 2
"""Windows of each log that are on their way at least; of few logs as many as are downloaded at
once, since a window is parsed in less time than the next takes to come from afar."""
_NEVER = 2**63
_Item = TypeVar("_Item")
Settled = tuple[list[_Item], int]
"""Items, and the time in milliseconds before which no more will come."""
_HEAD = 64
"""Bytes at the beginning that tell a log by its opening."""
_LATE_MS = 10 * 60 * 1000
"""A tuple that is older than its record by more than this may come out of order."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log to read: its path taken apart, its size in bytes and its ETag as listed."""

    ref: BlobRef
    path: LogPath
    size: int
    etag: str


class Found(NamedTuple):
    """A flow and the log it stands in."""

    log: Log
    flow: Flow


@dataclass(frozen=True, slots=True)
class Failure:
    """A log, or a piece of one, that could not be read, and why."""

    log: str
    why: str

    def __str__(self) -> str:
        return self.why if self.log in self.why else f"{self.log}: {self.why}"


@dataclass(slots=True)
class Tally:
    """What was read so far: bytes, of how many known; and what could not be, and why.

    `resources` are the NSGs and VNet flow logs by kind and id, `newest` is the time of the
    newest record as written.
    """

    logs: int = 0
    bytes_read: int = 0
    bytes_known: int = 0
    records: int = 0
    newest: str = ""
    resources: set[tuple[str, str]] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)


class Reader:
    """Reads logs and counts what it reads. Use it as a context: it has threads to end."""

    def __init__(
        self,
        source: Source,
        wanted: Filter,
        progress: Callable[[Tally], None],
        inventory: Inventory | None = None,
        *,
        ordered: bool = True,
        sieve: tuple[int, int] | None = None,
    ) -> None:
        """Ready to read; whoever only counts does without the order of time, and saves sorting.

        A `sieve` is the span of time, in milliseconds, in which every flow is wanted.
        """
        self.tally = Tally()
        self._sieve = sieve
        self._bad: dict[str, list[Bad]] = {}
        self._ordered = ordered
        self._inventory = inventory
        self._source = source
        self._wanted = wanted
        self._progress = progress
        self._downloads = ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="download")
        self._listing = ThreadPoolExecutor(1, thread_name_prefix="listing")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for pool in (self._listing, self._downloads):
            pool.shutdown(wait=False, cancel_futures=True)

    def flows(self, hours: Iterable[Sequence[Log]]) -> Iterator[Found]:
        """The flows that are wanted: hours in the order given, each in the order of time.

        Raises:
            NsgflowError: the logs could not be listed. One that cannot be read is skipped.
        """
        for ready in self._read(hours, self._found, _time_of_found):
            yield from ready

    def columns(self, hours: Iterable[Sequence[Log]]) -> Iterator[Columns]:
        """The same flows, some hundreds at once, for whoever only shows them.

        Raises:
            NsgflowError: the logs could not be listed. One that cannot be read is skipped.
        """
        for ready in self._read(hours, self._placed, _time_of_placed):
            ready.reverse()  # what is read can go at once, while it is at hand
            while ready:
                found = columns.read(ready[: -TOGETHER - 1 : -1], self._tell)
                del ready[-TOGETHER:]
                if found.texts:
                    yield found

    def _read(
        self,
        hours: Iterable[Sequence[Log]],
        make: Callable[[Log, Sequence[TupleList], list[Bad]], list[_Item]],
        time: Callable[[_Item], int],
    ) -> Iterator[list[_Item]]:
        upcoming = iter(hours)

        def open_next() -> list[Iterator[Settled[_Item]]] | None:
            logs = next(upcoming, None)
            return None if logs is None else self._open(logs, make)

        ahead = self._listing.submit(open_next)
        while (streams := ahead.result()) is not None:
            ahead = self._listing.submit(open_next)
            if self._ordered:
                yield from in_order(streams, time)
            else:
                for stream in streams:
                    for some, _ in stream:
                        yield some
            for log, bad in self._bad.items():
                self.tally.failures.append(Failure(log, unreadable(bad)))
            self._bad.clear()

    def _found(self, log: Log, lists: Sequence[TupleList], bad: list[Bad]) -> list[Found]:
        found = columns.read_flows(lists, bad, denied_only=self._wanted.denied_only)
        return [Found(log, flow) for flow in filter(self._wanted.accepts, found)]

    def _placed(self, log: Log, lists: Sequence[TupleList], bad: list[Bad]) -> list[Placed]:
        if self._sieve is not None:
            since, until = self._sieve
            items: list[Placed] = []
            for each in lists:
                items += columns.placed(each, place_of(log, each.group, self._inventory), bad)
            if since == 0:
                return items
            return [item for item in items if since <= item[0] < until]
        place = partial(place_of, log, inventory=self._inventory)
        parts = columns.read_lists(lists, place, bad, denied_only=self._wanted.denied_only)
        return [
            item
            for part in map(self._wanted.wanted, parts)
            for item in zip(part.times, part.places, part.ordinals, part.texts, strict=True)
        ]

    def _tell(self, place: Place, piece: Bad) -> None:
        note_bad(self._bad.setdefault(str(place.ref), []), piece)

    def _open(
        self,
        logs: Sequence[Log],
        make: Callable[[Log, Sequence[TupleList], list[Bad]], list[_Item]],
    ) -> list[Iterator[Settled[_Item]]]:
        window, ahead = windows(len(logs))
        self.tally.logs += len(logs)
        self.tally.resources |= {(log.path.kind, log.path.resource) for log in logs}
        self.tally.bytes_known += sum(log.size for log in logs)
        downloads = [
            Download(self._source, self._downloads, log.ref, log.size, log.etag, window, ahead)
            for log in logs
        ]
        return [
            self._stream(log, download, make) for log, download in zip(logs, downloads, strict=True)
        ]

    def _stream(
        self,
        log: Log,
        download: Download,
        make: Callable[[Log, Sequence[TupleList], list[Bad]], list[_Item]],
    ) -> Iterator[Settled[_Item]]:
        """What is wanted of one log, a window at a time, and how far in time the log is read."""
        bad: list[Bad] = []
        try:
            for stretch in self._stretches(log, download, partial(make, log), bad):
                yield stretch.flows, _settled_before(stretch.newest)
        except NsgflowError as exc:
            self.tally.failures.append(Failure(str(log.ref), sentence(exc)))
        for piece in bad:
            self._tell(Place(log.ref, NOWHERE), piece)

    def _stretches(
        self, log: Log, download: Download, make: Make[_Item], bad: list[Bad]
    ) -> Iterator[Reading[_Item]]:
        """What a log holds, as much at a time as came with a window."""
        at = 0
        head = data = b""
        for piece, last in download.pieces():
            self.tally.bytes_read += len(piece)
            data += piece
            head = head or data[:_HEAD]
            stretch = stretch_of(
                data,
                at,
                log.path,
                make,
                last=last,
                denied_only=self._wanted.denied_only,
                inventory=self._inventory,
            )
            if stretch.end == at and len(data) > LARGEST_RECORD:
                give_up = [Bad(at, "no record ends in 64 MiB", b"")]
                stretch = Reading([], give_up, 0, at + len(data))
            self.tally.records += stretch.records
            self._progress(self.tally)
            bad += stretch.bad
            if last and (
                left := leftover(
                    head, data[stretch.end - at :], stretch.end, over=is_over(log.path.hour)
                )
            ):
                bad.append(left)
            self.tally.newest = max(self.tally.newest, stretch.newest)
            yield stretch
            data = data[stretch.end - at :]
            at = stretch.end
            download.widen(unfinished=not stretch.records)


def windows(logs: int) -> tuple[int, int]:
    """The bytes of a window where so many logs are read side by side, and how many are fetched."""
    smallest, largest = _WINDOW
    logs = max(logs, 1)
    return min(max(_WINDOWS // logs, smallest), largest), max(_AHEAD, DOWNLOADS // logs)


def in_order(
    streams: Sequence[Iterator[Settled[_Item]]], time: Callable[[_Item], int]
) -> Iterator[list[_Item]]:
    """The items of streams by time, those of one time in the order of the streams.

    Each stream says with some of its items up to which time it will bring no more. What is
    before the earliest such time of all is handed out, so no more is held than must be.
    """
    held: list[list[list[_Item]]] = [[] for _ in streams]  # runs in order of each stream
    reached: dict[int, int] = dict.fromkeys(range(len(streams)), -1)
    while reached:
        behind = min(reached, key=lambda number: reached[number])
        some = next(streams[behind], None)
        if some is None:
            del reached[behind]
        else:
            items, until = some
            held[behind].append(sorted(items, key=time))
            reached[behind] = max(reached[behind], until)
        bound = min(reached.values(), default=_NEVER)
        ready: list[_Item] = []
        for runs in held:
            for run in runs:
                settled = bisect_left(run, bound, key=time)
                ready += run[:settled]
                del run[:settled]
            runs[:] = filter(None, runs)
        ready.sort(key=time)
        if ready:
            yield ready


def unreadable(bad: Sequence[Bad]) -> str:
    """What to say of pieces that cannot be read."""
    first = min(bad, key=lambda one: one.offset)
    number = sum(piece.count for piece in bad)
    if number == 1:
        return f"a piece is unreadable, at byte {first.offset} ({first.reason})"
    return f"{number:,} pieces are unreadable, the first at byte {first.offset} ({first.reason})"


class _Time(msgspec.Struct):
    time: str = ""


_TIME = msgspec.json.Decoder(_Time)


def record_time(raw: records.RawRecord) -> str:
    """The time of a record as written, "" where it has none."""
    try:
        return _TIME.decode(raw.data).time
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def nsg_name(log: LogPath, group: Group, inventory: Inventory | None = None) -> str:
    """The NSG as a line names it: from the path of its own log, else its name, else the aclID.

    One that an inventory knows has the name there.
    """
    known = inventory is not None and inventory.acl(group.acl_group) is not None
    if log.kind == "nsg" and log.mac and not known:
        return log.resource.rpartition("/")[2]
    if group.record.version == _VNET:
        return group.acl_name or group.acl_group
    # A file without such a path may have records of any NSG: each says which.
    return group.acl_name or group.acl_group.rpartition("/")[2]


def place_of(log: Log, group: Group, inventory: Inventory | None = None) -> Place:
    """What the tuples of a group share."""
    return Place(log.ref, group, nsg_name(log.path, group, inventory))


def _time_of_found(found: Found) -> int:
    return found.flow.time_ms


_time_of_placed: Callable[[Placed], int] = itemgetter(0)


def _settled_before(record_time: str) -> int:
    """Up to where, in milliseconds since the epoch, no record to come has flows any more."""
    try:
        return round(datetime.fromisoformat(record_time).timestamp() * 1000) - _LATE_MS
    except ValueError:
        return 0
