"""Which logs there are to read: of which NSGs, VNets and interfaces, and how old the newest is."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from nsgflow_core.cli.files import FileLogs
from nsgflow_core.cli.read import Log
from nsgflow_core.cli.session import sentence
from nsgflow_core.cli.times import HOUR, Span, floor
from nsgflow_core.errors import NsgflowError
from nsgflow_core.logs.source import BlobChangedError, Source

_READERS = 8
_FIRST_READ = 16 * 1024
_MORE = 16
LOOKED_AT = 4 * 1024 * 1024
"""Bytes at the end of a log in which an NSG is looked for: not every record has flows of it."""
_TRIES = 3
_NO_DIGIT = re.compile("[^0-9A-F]")
_TEXT = r'"\s*:\s*("(?:[^"\\]|\\.){1,400}")'
_TIME, _TARGET, _ACL, _MAC = (
    re.compile(f'"{key}{_TEXT}'.encode(), re.IGNORECASE)
    for key in ("time", "targetResourceID", "aclID", "mac(?:Address)?")
)


class Newest(NamedTuple):
    """What the end of a log says: the time of its newest record, in UTC; else why not.

    `target` is what a VNet flow log is of, `acls` are the NSGs at its end, as logged.
    """

    time: datetime | None = None
    because: str = ""
    target: str = ""
    acls: frozenset[str] = frozenset()
    mac: str = ""


_UNREAD = Newest()


@dataclass(slots=True)
class Interface:
    """The logs of a network interface."""

    mac: str
    last: Log
    hours: set[datetime] = field(default_factory=set)
    logs: int = 0
    bytes: int = 0
    newest: Newest = _UNREAD

    def add(self, log: Log) -> None:
        """Count a log."""
        self.hours.add(log.path.hour)
        self.logs += 1
        self.bytes += log.size
        if log.path.hour >= self.last.path.hour:
            self.last = log


@dataclass(slots=True)
class Listed:
    """An NSG or VNet flow log with logs: its account, kind, and id as its path has it."""

    account: str
    kind: str
    resource: str
    interfaces: dict[str, Interface] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The NSG or VNet flow log, as its path names it."""
        return self.resource.rstrip("/").rpartition("/")[2]

    @property
    def newest(self) -> datetime | None:
        """When the newest record of all was written."""
        found = (each.newest.time for each in self.interfaces.values())
        return max((time for time in found if time is not None), default=None)


class Lists:
    """Logs as they are found, by what they are of."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Listed] = {}

    def add(self, log: Log) -> Interface:
        """Count a log; the interface that it is of."""
        account, path = log.ref.account, log.path
        key = (account, path.kind, path.resource.lower())
        if (listed := self._found.get(key)) is None:
            listed = self._found[key] = Listed(account, path.kind, path.resource)
        if (interface := listed.interfaces.get(path.mac)) is None:
            interface = listed.interfaces[path.mac] = Interface(path.mac, log)
        interface.add(log)
        return interface

    def has(self, account: str, kind: str, resource: str) -> bool:
        """Whether there is a log of this."""
        return (account, kind, resource.lower()) in self._found

    def all(self) -> list[Listed]:
        """What was found, by name."""
        return sorted(
            self._found.values(), key=lambda one: (one.name.lower(), one.kind, one.account)
        )

    def read_ends(self, source: Source, told: Callable[[int, int], None]) -> None:
        """Read the end of the newest log of each interface."""
        every = [
            each
            for one in self._found.values()
            for each in one.interfaces.values()
            if each.newest is _UNREAD
        ]
        with ThreadPoolExecutor(_READERS, thread_name_prefix="newest") as pool:
            ends = pool.map(lambda each: newest_of(source, each.last), every)
            for done, (interface, newest) in enumerate(zip(every, ends, strict=True), 1):
                interface.newest = newest
                interface.mac = interface.mac or newest.mac
                told(done, len(every))

    def look_for(
        self,
        source: Source,
        asked: Callable[[str, str], bool],
        accepts: Callable[[frozenset[str]], bool],
        told: Callable[[int, int], None],
    ) -> None:
        """Read more of VNet flow logs whose newest records have flows of no NSG that is asked for.

        `asked` says of a flow log by name and id whether itself is, `accepts` of NSGs as logged.
        """
        every = [
            each
            for one in self._found.values()
            if one.kind == "vnet" and not asked(one.name, one.resource)
            for each in one.interfaces.values()
            if each.newest.time is not None and not accepts(each.newest.acls)
        ]
        with ThreadPoolExecutor(_READERS, thread_name_prefix="looking") as pool:
            found = pool.map(lambda each: _acls_with(source, each.last, accepts), every)
            for done, (each, acls) in enumerate(zip(every, found, strict=True), 1):
                each.newest = each.newest._replace(acls=each.newest.acls | acls)
                told(done, len(every))


def _acls_with(
    source: Source, log: Log, accepts: Callable[[frozenset[str]], bool]
) -> frozenset[str]:
    """The NSGs at the end of a log, as far back as one of them is asked for; else none."""
    wanted = _FIRST_READ
    while wanted < min(log.size, LOOKED_AT):
        wanted = min(wanted * _MORE, LOOKED_AT)
        try:
            data = source.read(log.ref, max(log.size - wanted, 0), log.size, log.etag)
        except NsgflowError:  # it has grown, or went: its end was read, which is told
            break
        if accepts(acls := acls_of(data)):
            return acls
    return frozenset()


def hours_of(span: Span) -> list[datetime]:
    """The hours that a span touches, the oldest first."""
    first, last = floor(span.since), floor(span.until)
    return [first + number * HOUR for number in range((last - first) // HOUR + 1)]


def in_files(files: FileLogs, nsgs: Sequence[str], span: Span | None) -> Iterator[Log]:
    """The logs of files, all or those of a span."""
    for of_hour in files.hours(nsgs, None, None if span is None else hours_of(span)):
        yield from of_hour


def newest_of(source: Source, log: Log) -> Newest:
    """What the end of a log says: its last record, and what stands with it."""
    size, etag = log.size, log.etag
    wanted = _FIRST_READ
    tries = 0
    while True:
        start = max(size - wanted, 0)
        try:
            data = source.read(log.ref, start, size, etag)
        except BlobChangedError as exc:  # a log that is being written has grown
            tries += 1
            if tries > _TRIES:
                return Newest(because=sentence(exc))
            try:
                listed = source.list_blocks(log.ref)
            except NsgflowError as refused:
                return Newest(because=sentence(refused))
            size, etag = listed.size, listed.etag
            continue
        except NsgflowError as exc:
            return Newest(because=sentence(exc))
        if (times := _TIME.findall(data)) or not start:
            return _said(data, times)
        wanted *= _MORE


def _said(data: bytes, times: Sequence[bytes]) -> Newest:
    if not times:
        return Newest(because="there is no record in it")
    try:
        moment = datetime.fromisoformat(_text(times[-1]))
    except ValueError:
        return Newest(because="its newest record has a time that cannot be read")
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    target = _last(_TARGET.findall(data))
    return Newest(moment, "", target, acls_of(data), mac_of(data))


def acls_of(data: bytes) -> frozenset[str]:
    """The NSGs that records of VNet flow logs name, as logged."""
    return frozenset(map(_text, _ACL.findall(data)))


def mac_of(data: bytes) -> str:
    """The network interface of the last record, as its MAC; "" where none says it."""
    return _NO_DIGIT.sub("", _last(_MAC.findall(data)).upper())


def _last(found: Sequence[bytes]) -> str:
    return _text(found[-1]) if found else ""


def _text(quoted: bytes) -> str:
    try:
        return msgspec.json.decode(quoted, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
