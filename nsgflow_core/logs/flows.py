"""From a record to its flows.

Two readers find the same: one for records as Azure writes them, and a lenient one for the rest.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

import msgspec

from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs import records
from nsgflow_core.logs.alike import alike
from nsgflow_core.logs.columns import Columns, Place, read_flows, read_lists
from nsgflow_core.logs.groups import Groups
from nsgflow_core.logs.lenient import read_leniently
from nsgflow_core.logs.log_record import RECORD, UnreadableError, groups_of
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.logs.tuples import TupleList, texts_of
from nsgflow_core.model import Bad, BlobRef, Flow

_TOGETHER = 4096
"""Tuples read at once: enough that what a list costs by itself does not count."""
_LATEST = timedelta(minutes=75)
"""How long behind the beginning of an hour the last record of its log may bear a time."""
_TIME = re.compile(rb'"time"\s*:\s*"([^"\\]{1,64})"')


_Made = TypeVar("_Made")
Make = Callable[[list[TupleList], list[Bad]], Iterable[_Made]]
"""What reads lists of tuples, in their order, and adds what it cannot read to the bad pieces."""
Take = Callable[[Columns], Columns | None]
"""Who is given flows as soon as they are read, and gives back those that are kept."""


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
    ref: BlobRef,
    log: LogPath,
    *,
    last: bool,
    denied_only: bool,
    inventory: Inventory | None = None,
    take: Take = lambda flows: flows,
) -> Reading[Columns]:
    """All flows in bytes that begin at offset `at`: `records.split` and `read`, but faster.

    They come some hundreds in one, as they were read; those that nobody keeps are not among them.
    """

    def make(lists: list[TupleList], bad: list[Bad]) -> Iterator[Columns]:
        read = read_lists(lists, partial(Place, ref), bad, denied_only=denied_only)
        return filter(None, map(take, read))

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

    Records that `alike` knows are decoded once instead of twice. From the first one on
    that it does not know the rest is split and read one by one. Either way the same is found.
    """
    flows: list[_Made] = []
    bad: list[Bad] = []
    lists: list[TupleList] = []
    records_read = begun = done = waiting = 0
    newest = ""
    groups = Groups(log, inventory, denied_only=denied_only)
    for bounds, documents in alike(data, groups.decode):
        found: list[TupleList] = []
        for (begin, end), doc in zip(bounds, documents, strict=True):
            try:
                found += groups.lists(doc, at + begin, at + end)
            except UnreadableError as exc:
                bad.append(Bad(at + begin, str(exc), data[begin:end]))
        lists += found
        waiting += sum([len(each.texts) for each in found])
        if waiting >= _TOGETHER:
            flows += make(lists, bad)
            lists, waiting = [], 0
        records_read += len(bounds)
        begun, done = bounds[-1]
        newest = documents[-1].time
    flows += make(lists, bad)
    rest = records.split(data[done:], at + done, last=last)
    for raw in rest.records:
        found, newest = _lists_of(raw, groups, bad)
        flows += make(found, bad)
    bad = sorted(rest.bad + bad, key=lambda piece: piece.offset)
    record = rest.records[-1].data if rest.records else data[begun:done]
    read_to = written_ms(bytes(record), log.hour)
    return Reading(flows, bad, records_read + len(rest.records), rest.end, read_to, newest)


def written_ms(record: bytes, hour: datetime) -> int:
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
    groups = Groups(log, inventory, denied_only=denied_only)
    found, _ = _lists_of(raw, groups, bad)
    return read_flows(found, bad, denied_only=denied_only)


def read_some(
    raw: RawRecord, log: LogPath, text: str, inventory: Inventory | None = None
) -> list[Flow]:
    """The flows of a record whose tuples hold a text; its other tuples are left unread.

    Their ordinals are not those in the record. There are none where it is not as Azure writes it.
    """
    try:
        doc = RECORD.decode(raw.data)
        for whole in groups_of(doc):
            for group in whole.groups:
                written = bytes(group.tuples)  # type: ignore[arg-type]  # no texts
                texts = texts_of(written) if text.encode() in written else []
                group.tuples = [one for one in texts if text in one]
        groups = Groups(log, inventory, denied_only=False)
        found = groups.lists(doc, raw.offset, raw.end)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, UnreadableError):
        return []
    return read_flows(found, [], denied_only=False)


def _lists_of(raw: RawRecord, groups: Groups, bad: list[Bad]) -> tuple[list[TupleList], str]:
    """The lists of tuples of a record, and its time as written."""
    time = ""
    try:
        try:
            doc = RECORD.decode(raw.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            doc = read_leniently(raw, bad)
        time = doc.time
        return groups.lists(doc, raw.offset, raw.end), time
    except (UnreadableError, RecursionError) as exc:
        bad.append(Bad(raw.offset, str(exc), bytes(raw.data)))
        return [], time
