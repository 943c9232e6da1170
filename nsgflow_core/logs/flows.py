"""From a record to its flows.

Two readers find the same: one for records as Azure writes them, and a lenient one for the rest.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

import msgspec

from nsgflow_core.caches import LONGEST_ID, cache_short
from nsgflow_core.estate import enrich
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs import records
from nsgflow_core.logs.lenient import read_leniently
from nsgflow_core.logs.log_record import (
    RECORD,
    LogRecord,
    Tuples,
    UnreadableError,
    tuple_lists,
    version_of,
)
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.logs.tuples import TupleList, count_tuples, listed, read_lists
from nsgflow_core.model import Bad, Flow, Group, Record

_VNET = 4
_TOGETHER = 4096
"""Tuples read at once: enough that what a list costs by itself does not count."""
_LATEST = timedelta(minutes=75)
"""How long behind the beginning of an hour the last record of its log may bear a time."""
_TIME = re.compile(rb'"time"\s*:\s*"([^"\\]{1,64})"')
_D, _BACKSLASH = b"D\\"
"""As numbers: `in` finds a number in bytes several times as fast as it finds a text."""


_Made = TypeVar("_Made")
Make = Callable[[list[TupleList], list[Bad]], list[_Made]]
"""What reads lists of tuples, in their order, and adds what it cannot read to the bad pieces."""


class Reading(msgspec.Struct, Generic[_Made], frozen=True):
    """What a stretch of a blob holds: flows, bad pieces, the number of records; see `Stretch`.

    `read_to` is the time of its last record, in milliseconds; 0 where that is not known. `newest`
    is the same as written, "" where the record has none.
    """

    flows: list[_Made]
    bad: list[Bad]
    records: int
    end: int
    read_to: int = 0
    newest: str = ""


def read_stretch(
    data: bytes,
    at: int,
    log: LogPath,
    *,
    last: bool,
    denied_only: bool,
    inventory: Inventory | None = None,
) -> Reading[Flow]:
    """All flows in bytes that begin at offset `at`: `records.split` and `read`, but faster."""
    make = partial(read_lists, denied_only=denied_only)
    return stretch_of(data, at, log, make, last=last, denied_only=denied_only, inventory=inventory)


def stretch_of(
    data: bytes,
    at: int,
    log: LogPath,
    make: Make[_Made],
    *,
    last: bool,
    denied_only: bool,
    inventory: Inventory | None = None,
) -> Reading[_Made]:
    """What `make` makes of all tuples in bytes that begin at offset `at`.

    Records that `records.alike` knows are decoded once instead of twice. From the first one on
    that it does not know the rest is split and read one by one. Either way the same is found.
    """
    flows: list[_Made] = []
    bad: list[Bad] = []
    lists: list[TupleList] = []
    count = done = waiting = 0
    newest = ""
    record: bytes | memoryview = b""
    for begin, end, doc in records.alike(data, RECORD.decode):
        try:
            place = (at + begin, at + end)
            found = _lists(doc, tuple_lists(doc), place, log, inventory, denied_only=denied_only)
        except UnreadableError as exc:
            bad.append(Bad(at + begin, str(exc), data[begin:end]))
            found = []
        lists += found
        waiting += sum(len(each.texts) for each in found)
        if waiting >= _TOGETHER:
            flows += make(lists, bad)
            lists, waiting = [], 0
        count += 1
        done, newest, record = end, doc.time, memoryview(data)[begin:end]
    flows += make(lists, bad)
    rest = records.split(data[done:], at + done, last=last)
    for raw in rest.records:
        found, newest = _lists_of(raw, log, bad, denied_only=denied_only, inventory=inventory)
        flows += make(found, bad)
    bad = sorted(rest.bad + bad, key=lambda piece: piece.offset)
    if rest.records:
        record = bytes(rest.records[-1].data)
    read_to = written_ms(record, log.hour)
    return Reading(flows, bad, count + len(rest.records), rest.end, read_to, newest)


def written_ms(record: bytes | memoryview, hour: datetime) -> int:
    """When a record was written, in milliseconds; 0 where it says no time of this hour's log."""
    found = _TIME.search(record)
    try:
        at = datetime.fromisoformat(found[1].decode()) if found else hour - _LATEST
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return int(at.timestamp() * 1000) if hour <= at <= hour + _LATEST else 0
    except (ValueError, OverflowError):
        return 0


def read(
    raw: RawRecord,
    log: LogPath,
    bad: list[Bad],
    *,
    denied_only: bool,
    inventory: Inventory | None = None,
) -> list[Flow]:
    """The flows of a record, in its order.

    With `denied_only` allowed flows are left out, most of them unread. What cannot be read is
    added to `bad`, and the rest of the record is read all the same. An inventory tells which NSG
    the GUID of a v4 log stands for.
    """
    found, _ = _lists_of(raw, log, bad, denied_only=denied_only, inventory=inventory)
    return read_lists(found, bad, denied_only=denied_only)


def _lists_of(
    raw: RawRecord,
    log: LogPath,
    bad: list[Bad],
    *,
    denied_only: bool,
    inventory: Inventory | None = None,
) -> tuple[list[TupleList], str]:
    """The lists of tuples of a record, and its time as written."""
    try:
        doc = RECORD.decode(raw.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        doc = None
    try:
        if doc is None:
            doc, lists = read_leniently(raw, bad)
        else:
            lists = tuple_lists(doc)
        place = (raw.offset, raw.end)
        found = _lists(doc, lists, place, log, inventory, denied_only=denied_only)
    except (UnreadableError, RecursionError) as exc:
        bad.append(Bad(raw.offset, str(exc), bytes(raw.data)))
        return [], "" if doc is None else doc.time
    return found, doc.time


def _lists(
    doc: LogRecord,
    lists: list[Tuples],
    place: tuple[int, int],
    log: LogPath,
    inventory: Inventory | None,
    *,
    denied_only: bool,
) -> list[TupleList]:
    """The lists of tuples worth reading of a record that lies between two offsets."""
    found: list[TupleList] = []
    version = version_of(doc)
    record: Record | None = None
    ordinal = 0
    # Counting tuples is a pass over their bytes: put off until a flow needs its ordinal.
    uncounted: list[bytes] = []
    for acl, rule, mac, raw_tuples in lists:
        tuples = bytes(raw_tuples)
        if denied_only and _D not in tuples and _BACKSLASH not in tuples:
            uncounted.append(tuples)
            continue
        if uncounted:
            ordinal += sum(map(count_tuples, uncounted))
            uncounted.clear()
        if record is None:
            resource = doc.targetResourceID if version == _VNET else doc.resourceId or log.resource
            record = Record(*place, doc.time, version, _lower(resource))
        known = inventory.acl(acl) if inventory is not None and version == _VNET else None
        group_id, name = known or _acl(acl if version == _VNET else resource)
        group = Group(record, group_id, name, rule, canonical_mac(mac or doc.macAddress) or log.mac)
        each, count = listed(group, tuples, ordinal, denied_only=denied_only)
        if each.texts:
            found.append(each)
        ordinal += count
    return found


@cache_short(4096, LONGEST_ID)
def _lower(text: str) -> str:
    return text.lower()


@cache_short(4096, LONGEST_ID)
def _acl(acl: str) -> tuple[str, str]:
    """A group's `acl_group` and `acl_name`."""
    return acl.lower() if acl.startswith("/") else acl, enrich.acl_name(acl)
