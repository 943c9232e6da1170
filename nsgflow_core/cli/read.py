"""From accounts to flows in the order of their times, an hour of logs after the other.

The logs of an hour are read side by side, window by window: a pool of threads downloads the next
windows while this one parses what has come, and a merge puts the flows of all logs in order. So
what is held is a window of each log of two hours, however long the logs are.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import chain
from typing import NamedTuple, Self

import msgspec

from nsgflow_core.cli.session import sentence
from nsgflow_core.delivery.parts import Source
from nsgflow_core.delivery.reading import LARGEST_RECORD
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.filter import Filter
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.blocks import BlobChangedError
from nsgflow_core.logs.leftover import is_over, leftover
from nsgflow_core.logs.path import LogPath
from nsgflow_core.model import Bad, BlobRef, Flow

_DOWNLOADS = 8
_WINDOWS = 32 * 1024 * 1024
"""Bytes that the windows of an hour's logs share."""
_AHEAD = 2
_WINDOW = (128 * 1024, 4 * 1024 * 1024)
_CLOSING = 512
"""Bytes at the end that are fetched at once: half a closing would not fit a log that grew."""
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
    ) -> None:
        """Ready to read; whoever only counts does without the order of time, and saves sorting."""
        self.tally = Tally()
        self._ordered = ordered
        self._inventory = inventory
        self._source = source
        self._wanted = wanted
        self._progress = progress
        self._downloads = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="download")
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
        upcoming = iter(hours)

        def open_next() -> list[Iterator[Found]] | None:
            logs = next(upcoming, None)
            return None if logs is None else self._open(logs)

        ahead = self._listing.submit(open_next)
        while (streams := ahead.result()) is not None:
            ahead = self._listing.submit(open_next)
            if len(streams) == 1 or not self._ordered:
                yield from chain.from_iterable(streams)
            else:
                yield from merge(*streams, key=lambda found: found.flow.time_ms)

    def _open(self, logs: Sequence[Log]) -> list[Iterator[Found]]:
        smallest, largest = _WINDOW
        window = min(max(_WINDOWS // max(len(logs), 1), smallest), largest)
        self.tally.logs += len(logs)
        self.tally.resources |= {(log.path.kind, log.path.resource) for log in logs}
        self.tally.bytes_known += sum(log.size for log in logs)
        return [
            self._stream(log, Download(self._source, self._downloads, log, window)) for log in logs
        ]

    def _stream(self, log: Log, download: "Download") -> Iterator[Found]:
        """The wanted flows of one log, in order as far as Azure wrote them within ten minutes."""
        waiting: list[Flow] = []
        bad: list[Bad] = []
        denied_only, accepts = self._wanted.denied_only, self._wanted.accepts
        try:
            for stretch in self._stretches(log, download, bad):
                newest = ""
                for raw in stretch:
                    found = flows.read(
                        raw, log.path, bad, denied_only=denied_only, inventory=self._inventory
                    )
                    waiting += filter(accepts, found)
                    if found:
                        newest = found[-1].group.record.time
                if not self._ordered:
                    yield from [Found(log, flow) for flow in waiting]
                    waiting.clear()
                    continue
                waiting.sort(key=_time)
                settled = bisect_left(waiting, _settled_before(newest), key=_time)
                yield from [Found(log, flow) for flow in waiting[:settled]]
                del waiting[:settled]
        except NsgflowError as exc:
            self.tally.failures.append(Failure(str(log.ref), sentence(exc)))
        if bad:
            self.tally.failures.append(Failure(str(log.ref), unreadable(bad)))
        yield from [Found(log, flow) for flow in waiting]

    def _stretches(
        self, log: Log, download: "Download", bad: list[Bad]
    ) -> Iterator[list[records.RawRecord]]:
        """The records of a log, as many at a time as came with a window."""
        at = 0
        head = data = b""
        for piece, last in download.pieces():
            self.tally.bytes_read += len(piece)
            data += piece
            head = head or data[:_HEAD]
            stretch = records.split(data, at, last=last)
            if stretch.end == at and len(data) > LARGEST_RECORD:
                stretch = records.Stretch(
                    [], [Bad(at, "no record ends in 64 MiB", b"")], at + len(data)
                )
            self.tally.records += len(stretch.records)
            self._progress(self.tally)
            bad += stretch.bad
            if last and (
                left := leftover(
                    head, data[stretch.end - at :], stretch.end, over=is_over(log.path.hour)
                )
            ):
                bad.append(left)
            if stretch.records:
                self.tally.newest = max(self.tally.newest, record_time(stretch.records[-1]))
            yield stretch.records
            data = data[stretch.end - at :]
            at = stretch.end
            download.widen(unfinished=not stretch.records)


class Download:
    """One log on its way: the next windows are fetched while the one before is parsed."""

    def __init__(self, source: Source, pool: Executor, log: Log, window: int) -> None:
        self._source = source
        self._pool = pool
        self._ref = log.ref
        self._window = window
        self._size, self._etag = log.size, log.etag
        self._at = self._asked = 0
        self._ahead: deque[Future[bytes]] = deque()
        self._fetch()

    def _fetch(self) -> None:
        while self._asked < self._size and len(self._ahead) < _AHEAD:
            end = self._asked + self._window
            if end > self._size - _CLOSING:
                end = self._size
            read = self._source.read
            self._ahead.append(self._pool.submit(read, self._ref, self._asked, end, self._etag))
            self._asked = end

    def widen(self, *, unfinished: bool) -> None:
        """Fetch more at once when a window holds no whole record."""
        if unfinished:
            self._window = min(self._window * 4, LARGEST_RECORD)

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """The bytes in order, and whether they are the last.

        Raises:
            NsgflowError: the rest cannot be read.
        """
        while self._ahead:
            try:
                piece = self._ahead.popleft().result()
            except BlobChangedError:
                self._list_again()
                continue
            self._at += len(piece)
            self._fetch()
            yield piece, not self._ahead

    def _list_again(self) -> None:
        """The log has grown: what was read stands, since Azure inserts before the closer."""
        listed = self._source.list_blocks(self._ref)
        if listed.size < self._at:
            raise BadInputError(f"{self._ref} was rewritten while it was read")
        self._size, self._etag = listed.size, listed.etag
        self._ahead.clear()
        self._asked = self._at
        self._fetch()


def unreadable(bad: Sequence[Bad]) -> str:
    """What to say of pieces that cannot be read."""
    first = min(bad, key=lambda one: one.offset)
    if len(bad) == 1:
        return f"a piece is unreadable, at byte {first.offset} ({first.reason})"
    return f"{len(bad)} pieces are unreadable, the first at byte {first.offset} ({first.reason})"


class _Time(msgspec.Struct):
    time: str = ""


_TIME = msgspec.json.Decoder(_Time)


def record_time(raw: records.RawRecord) -> str:
    """The time of a record as written, "" where it has none."""
    try:
        return _TIME.decode(raw.data).time
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _time(flow: Flow) -> int:
    return flow.time_ms


def _settled_before(record_time: str) -> int:
    """Up to where, in milliseconds since the epoch, no record to come has flows any more."""
    try:
        return round(datetime.fromisoformat(record_time).timestamp() * 1000) - _LATE_MS
    except ValueError:
        return 0
