"""Which NSGs and VNet flow logs a file is of whose path does not say it: its records do."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from nsgflow_core.cli.files import Hour
from nsgflow_core.cli.log_lists import Interface, Lists, Newest, acls_of, mac_of
from nsgflow_core.cli.read import Log
from nsgflow_core.cli.times import floor
from nsgflow_core.errors import NsgflowError
from nsgflow_core.logs import records
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.source import LARGEST_RECORD, Source

_WINDOW = 8 * 1024 * 1024


class _Head(msgspec.Struct, gc=False):
    """What a record says of itself."""

    time: str = ""
    resourceId: str = ""  # noqa: N815 - the log's name
    flowLogResourceID: str = ""  # noqa: N815 - the log's name
    targetResourceID: str = ""  # noqa: N815 - the log's name
    flowRecords: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the log's name
    properties: msgspec.Raw = msgspec.Raw()


_HEAD = msgspec.json.Decoder(_Head)


class _Of(NamedTuple):
    """What a record is of."""

    kind: Literal["nsg", "vnet"]
    resource: str
    mac: str


@dataclass(slots=True)
class _Sum:
    """The records of one interface; `newest` is when the last of them was written."""

    newest: datetime
    hours: set[datetime] = field(default_factory=set)
    bytes: int = 0
    target: str = ""
    acls: set[str] = field(default_factory=set)


def add_records(lists: Lists, source: Source, log: Log, hours: Collection[datetime] | None) -> bool:
    """Count a file as a log of each NSG or VNet flow log that its records are of.

    Of these hours alone, where some are named. Returns whether it has a record at all.

    Raises:
        NsgflowError: the file cannot be read.
    """
    sums: dict[_Of, _Sum] = {}
    any_at_all = False
    for record in _records(source, log):
        try:
            head = _HEAD.decode(record.data)
            time = datetime.fromisoformat(head.time)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            continue
        if not head.flowRecords and not head.properties:
            continue
        any_at_all = True
        time = time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
        if hours is not None and floor(time) not in hours:
            continue
        resource = head.flowLogResourceID or head.targetResourceID
        data = bytes(record.data)
        of = (
            _Of("vnet", resource, mac_of(data))
            if head.flowRecords
            else _Of("nsg", head.resourceId or f"/{log.ref.path}", mac_of(data))
        )
        if (found := sums.get(of)) is None:
            found = sums[of] = _Sum(time)
        found.newest = max(found.newest, time)
        found.hours.add(floor(time))
        found.bytes += len(data)
        found.target = head.targetResourceID or found.target
        found.acls |= acls_of(data)
    for of, found in sums.items():
        _add(lists, log, of, found)
    return any_at_all


def hours_held(source: Source, log: Log) -> set[Hour]:
    """The hours of each NSG or VNet flow log that a file's records are of; none if unreadable."""
    lists = Lists()
    with suppress(NsgflowError):  # it is told when the file is read for its flows
        add_records(lists, source, log, None)
    return {
        Hour(one.kind, one.resource.lower(), hour)
        for one in lists.all()
        for interface in one.interfaces.values()
        for hour in interface.hours
    }


def _add(lists: Lists, log: Log, of: _Of, found: _Sum) -> None:
    path = LogPath(of.kind, of.resource, floor(found.newest), of.mac)
    interface: Interface = lists.add(replace(log, path=path, size=found.bytes))
    interface.hours |= found.hours
    before = interface.newest
    if before.time is None or found.newest >= before.time:
        acls = frozenset(found.acls)
        interface.newest = Newest(found.newest, "", found.target, acls, of.mac)


def _records(source: Source, log: Log) -> Iterator[records.RawRecord]:
    """All whole records of a file; what is none is passed over."""
    data, at, read = b"", 0, 0
    while read < log.size:
        piece = source.read(log.ref, read, min(read + _WINDOW, log.size), log.etag)
        if not piece:  # it became shorter
            return
        read += len(piece)
        data += piece
        stretch = records.split(data, at, last=read >= log.size)
        yield from stretch.records
        if stretch.end == at and len(data) > LARGEST_RECORD:
            return
        data, at = data[stretch.end - at :], stretch.end
