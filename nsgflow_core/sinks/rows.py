"""From a flow to its row in the table, and the FlowId.

Rows are put together from JSON fragments because most of a row repeats: what the record and rule
decide is encoded once for all their flows, and what decision, direction and protocol decide once
for all tuples that share them.
"""

import hashlib
import re
import struct
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from operator import add, itemgetter
from typing import Any, TypeVar

import msgspec

from nsgflow_core.caches import cache_short
from nsgflow_core.columns import columns
from nsgflow_core.estate import enrich
from nsgflow_core.estate.addresses import address_classes
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.logs.columns import Columns, Place, of_blob
from nsgflow_core.logs.weave import woven
from nsgflow_core.model import (
    MILLISECONDS,
    PROTOCOLS,
    BlobRef,
    Flow,
    Group,
    flow_time,
    second_of,
)
from nsgflow_core.sinks.deflating import deflate

_RECORD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
MAX_FIELD = 64 * 1024
"""Largest text in bytes that Log Analytics keeps; it would cut longer ones without a word
(https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#logs-ingestion-api)."""
CUT = "…[cut]"
_PLACE_BYTES = 8
_WITHIN_BYTES = 8
"""Of a FlowId: of the hash of its record, and of what tells the tuples of a record apart."""
_SECOND = 1000
_KEPT = 1024
"""Keys whose texts are kept for the next rows."""
_Made = TypeVar("_Made")
_Outcome = tuple[str, str, str, str, str]
"""Decision, direction, protocol as written, state and encryption."""
_NUMBERS = frozenset(name for name, kind in columns().items() if kind in ("int", "long"))


def flow_id(ref: BlobRef, flow: Flow) -> str:
    """32 hex digits that are the same at every delivery of the tuple, and no other tuple's.

    16 are a hash of the record's place, 8 the tuple's ordinal in it, and 8 a check sum of rule and
    text, which differs where a blob was rewritten: what tuples share is hashed once.
    """
    begun, check = _begun_id(Place(ref, flow.group))
    return f"{begun}{flow.ordinal:08x}{deflate.crc32(flow.text.encode(), check):08x}"


_BegunId = tuple[str, int]
"""What the ids of a place begin with, and the check sum of what stands before each text."""


def _begun_id(place: Place) -> _BegunId:
    ref, group = place.ref, place.group
    told = "\0".join((ref.account, ref.container, ref.path, str(group.record.offset)))
    begun = hashlib.blake2b(told.encode(), digest_size=_PLACE_BYTES).hexdigest()
    return begun, deflate.crc32(f"{group.rule}\0".encode())


@cache_short(256, 64)
def record_time(text: str) -> str | None:
    """The time of a record as written when it is one; None otherwise, as Azure takes no other."""
    if not _RECORD_TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return f"{text}Z"
        if text.endswith("Z"):
            return text
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return None


def _group_columns(ref: BlobRef, group: Group) -> dict[str, Any]:
    return {
        "FlowLogVersion": group.record.version,
        "AclGroup": group.acl_group,
        "AclName": group.acl_name,
        "AclRule": group.rule,
        "MacAddress": group.mac,
        "TargetResourceId": group.record.target,
        "RecordTime": record_time(group.record.time),
        "SourceBlob": ref.source,
    }


def _outcome_columns(outcome: _Outcome) -> dict[str, Any]:
    decision, direction, protocol, state, encryption = outcome
    return {
        "FlowStatus": "Denied" if decision == "D" else "Allowed",
        "FlowDirection": "Inbound" if direction == "I" else "Outbound",
        "FlowState": state,
        "FlowEncryption": encryption,
        "L4Protocol": PROTOCOLS.get(protocol, protocol),
    }


def encoder(
    ref: BlobRef, knowledge: Knowledge = NOTHING, omit: frozenset[str] = frozenset()
) -> Callable[[Flow], bytes]:
    """A function that encodes flows of one blob; many at once cost far less, see `lines_of`."""
    lines = lines_of(knowledge, omit)
    return lambda flow: lines(of_blob(ref, [flow]))[:-1].encode()


def lines_of(
    knowledge: Knowledge = NOTHING, omit: frozenset[str] = frozenset()
) -> Callable[[Columns], str]:
    """A function that encodes flows as lines of JSON, a row each, without the columns in `omit`."""
    parts_of, texts = apart(knowledge), kept_of_each(lambda cells: _fields(cells, omit))
    return lambda flows: _encoded(parts_of(flows), texts, omit)


class Parts(msgspec.Struct, frozen=True):
    """Rows taken apart: the columns of their own, and the keys of those that many rows share.

    Keys are of what tells the rest: places, outcomes and ends, one of each for each row. CELLS are
    functions that tell the columns of a key, in the same order.
    """

    own: Mapping[str, Sequence[str]]
    keys: tuple[Sequence[Hashable], Sequence[Hashable], Sequence[Hashable]]


class Kept(dict[Any, _Made]):
    """What is made of keys that many rows share; most of it serves the next rows as well."""

    def __init__(self, make: Callable[[Any], _Made]) -> None:
        """Nothing is made yet."""
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> _Made:
        made = self[key] = self._make(key)
        return made

    def of(self, keys: Iterable[Hashable]) -> list[_Made]:
        """What is made of each key."""
        if len(self) > _KEPT:
            self.clear()
        return list(map(self.__getitem__, keys))


_TIMES = Kept(flow_time)
"""Times of NSG logs, which are whole seconds, as rows have them."""


def kept_of_each(make: Callable[[Mapping[str, Any]], _Made]) -> list[Kept[_Made]]:
    """What is made of the cells that places, outcomes and ends tell."""

    def kept(cells: Callable[[Any], Mapping[str, Any]]) -> Kept[_Made]:
        return Kept(lambda key: make(cells(key)))

    return list(map(kept, CELLS))


def apart(knowledge: Knowledge) -> Callable[[Columns], Parts]:
    """A function that takes the rows of flows apart."""
    begun_ids = Kept(_begun_id)

    def parts_of(flows: Columns) -> Parts:
        when = times_of(flows)
        states = flows.states(flows.versions)
        codes = (flows.decision, flows.direction_code, flows.protocol_code, *states)
        return Parts(
            {
                "TimeGenerated": when,
                "FlowTime": when,
                "FlowId": _flow_ids(flows, begun_ids.of(flows.places)),
                "SrcIp": flows.src,
                "DestIp": flows.dst,
                "SrcPort": flows.src_port,
                "DestPort": flows.dst_port,
                "L7Protocol": _services_of(flows),
                "PacketsSrcToDest": flows.packets_sent,
                "BytesSrcToDest": flows.bytes_sent,
                "PacketsDestToSrc": flows.packets_received,
                "BytesDestToSrc": flows.bytes_received,
            },
            (flows.places, list(zip(*codes, strict=True)), _ends(flows, knowledge)),
        )

    return parts_of


def _services_of(flows: Columns) -> list[str]:
    """The name of the service of each flow, by the port that it goes to."""
    services = {code: _services(code) for code in set(flows.protocol_code)}
    return [
        services[code].get(port, "")
        for code, port in zip(flows.protocol_code, flows.dst_port, strict=True)
    ]


def _ends(flows: Columns, knowledge: Knowledge) -> Sequence[Hashable]:
    if knowledge is NOTHING:
        return address_classes(flows.far())
    return [enrich.ends(flow, knowledge) for flow in flows.flows()]


def _flow_ids(flows: Columns, begun: Sequence[_BegunId]) -> list[str]:
    """The FlowId of each flow, as in `flow_id`."""
    # As whole numbers side by side, which become hex digits all at once.
    words = [0] * (2 * len(flows))
    words[::2] = flows.ordinals
    words[1::2] = map(deflate.crc32, map(str.encode, flows.texts), map(itemgetter(1), begun))
    within = struct.pack(f">{len(words)}I", *words).hex(" ", _WITHIN_BYTES).split()
    return list(map(add, map(itemgetter(0), begun), within))


def times_of(flows: Columns) -> list[str]:
    """The time of each flow as ISO 8601 in UTC, to the millisecond."""
    if not any(time % _SECOND for time in flows.times[:1]):  # of an NSG log: seconds come again
        return _TIMES.of(flows.times)
    seconds = Kept(second_of)
    return [seconds[time // _SECOND] + MILLISECONDS[time % _SECOND] for time in flows.times]


def _encoded(parts: Parts, texts: Sequence[Kept[str]], omit: frozenset[str]) -> str:
    pieces: list[str | Sequence[str]] = []
    begun = "{"
    for name, column in parts.own.items():
        if name in _NUMBERS and name not in omit:
            pieces += (f'{begun}"{name}":', _nulls(column))
            begun = ","
        elif name not in omit:
            pieces += (f'{begun}"{name}":"', column)
            begun = '",'
    if begun == '",':
        pieces.append('"')
    places, outcomes, ends = (of.of(keys) for of, keys in zip(texts, parts.keys, strict=True))
    return woven([*pieces, ends, outcomes, places, "}\n"], len(places))


@cache
def _services(protocol_code: str) -> Mapping[str, str]:
    """The service names of a protocol's ports, which are texts."""
    names = enrich.service_names(PROTOCOLS.get(protocol_code, protocol_code))
    return {str(port): name for port, name in names.items()}


def _nulls(numbers: Sequence[str]) -> Sequence[str]:
    """Numbers as JSON has them."""
    return numbers if all(numbers) else [number or "null" for number in numbers]


def _ends_columns(ends: enrich.Ends | str) -> dict[str, Any]:
    """What two ends tell; of a class of addresses, where nothing else is known of them."""
    if isinstance(ends, str):
        ends = enrich.Ends(enrich.TYPES_ALONE[ends], "", "", "", "", "", "")
    return {
        "FlowType": ends.flow_type,
        "SrcVm": ends.src_vm,
        "DestVm": ends.dest_vm,
        "SrcSubnet": ends.src_subnet,
        "DestSubnet": ends.dest_subnet,
        "SrcServiceTags": ends.src_tags,
        "DestServiceTags": ends.dest_tags,
    }


def _fields(cells: Mapping[str, Any], omit: frozenset[str]) -> str:
    """Columns as JSON without the braces, each with a comma in front."""
    kept = {key: value for key, value in cells.items() if key not in omit}
    return f",{msgspec.json.encode(kept)[1:-1].decode()}" if kept else ""


def _cut(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    """Texts no longer than a field may be, marked where they were cut; others as they are."""
    return {key: _cut_text(value) for key, value in cells.items()}


CELLS: tuple[Callable[[Any], Mapping[str, Any]], ...] = (
    lambda place: _cut(_group_columns(place.ref, place.group)),
    lambda outcome: _cut(_outcome_columns(outcome)),
    lambda ends: _cut(_ends_columns(ends)),
)
"""The columns that a place, an outcome and ends tell; see `Parts`."""


def _cut_text(value: Any) -> Any:
    if not isinstance(value, str) or 4 * len(value) <= MAX_FIELD:
        return value
    data = value.encode()
    if len(data) <= MAX_FIELD:
        return value
    return data[: MAX_FIELD - len(CUT.encode())].decode(errors="ignore") + CUT
