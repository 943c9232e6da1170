"""From a flow to its row in the table, and the FlowId.

Rows are put together from JSON fragments because most of a row repeats: what the record and rule
decide is encoded once for all their flows, and what decision, direction and protocol decide once
for all tuples that share them.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nsgflow_core.caches import cache_short
from nsgflow_core.estate import enrich
from nsgflow_core.estate.addresses import address_class
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import MILLISECONDS, MILLISECONDS_FROM, BlobRef, Flow, Group, second_of

_RECORD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
MAX_FIELD = 64 * 1024
"""Largest text in bytes that Log Analytics keeps; it would cut longer ones without a word
(https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#logs-ingestion-api)."""
CUT = "…[cut]"
_MOST_OUTCOMES = 4096
_SHARED = frozenset(
    (
        "AclGroup",
        "AclName",
        "AclRule",
        "FlowDirection",
        "FlowEncryption",
        "FlowLogVersion",
        "FlowState",
        "FlowStatus",
        "L4Protocol",
        "MacAddress",
        "RecordTime",
        "SourceBlob",
        "TargetResourceId",
    )
)
"""Columns that many flows share: their text is made once for all of those."""
_NO_ENDS = (
    '"SrcVm":"","DestVm":"","SrcSubnet":"","DestSubnet":"","SrcServiceTags":"","DestServiceTags":""'
)
_ENDS_ALONE = {
    kind: f'"FlowType":"{flow_type}",{_NO_ENDS}' for kind, flow_type in enrich.TYPES_ALONE.items()
}


def flow_id(ref: BlobRef, flow: Flow) -> str:
    """32 hex digits that are the same at every delivery of the tuple, and no other tuple's."""
    own = _record_hash(ref, flow.group)
    own.update(f"\0{flow.ordinal}\0{flow.group.rule}\0{flow.text}".encode())
    return own.hexdigest()


def _record_hash(ref: BlobRef, group: Group) -> hashlib.blake2b:
    place = "\0".join((ref.account, ref.container, ref.path, str(group.record.offset)))
    return hashlib.blake2b(place.encode(), digest_size=16)


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


def _outcome_columns(flow: Flow) -> dict[str, Any]:
    return {
        "FlowStatus": "Denied" if flow.denied else "Allowed",
        "FlowDirection": "Inbound" if flow.inbound else "Outbound",
        "FlowState": flow.state,
        "FlowEncryption": flow.encryption,
        "L4Protocol": flow.protocol,
    }


def encoder(
    ref: BlobRef, knowledge: Knowledge = NOTHING, omit: frozenset[str] = frozenset()
) -> Callable[[Flow], bytes]:
    """A function that encodes flows of one blob, fastest when called in their order.

    Columns in `omit` are left out; leaving out those that differ from flow to flow costs time.
    """
    encode = _encoder(ref, knowledge, omit)
    if single := omit - _SHARED:
        return lambda flow: _without(encode(flow), single)
    return encode


def _without(row: bytes, omit: frozenset[str]) -> bytes:
    columns = msgspec.json.decode(row)
    return msgspec.json.encode({name: columns[name] for name in columns if name not in omit})


def _encoder(ref: BlobRef, knowledge: Knowledge, omit: frozenset[str]) -> Callable[[Flow], bytes]:
    known = knowledge is not NOTHING
    outcomes: dict[tuple[str, str, str, str], tuple[str, Mapping[int, str]]] = {}
    last_group: Group | None = None
    last_second, second = -1, ""
    rule = group_text = ""
    record_hash = hashlib.blake2b()

    def encode(flow: Flow) -> bytes:
        nonlocal last_group, rule, group_text, record_hash, last_second, second
        if flow.group is not last_group:
            last_group = flow.group
            rule = last_group.rule
            outcomes.clear()  # versions differ in what the fields mean
            group_text = _fields(_group_columns(ref, last_group), omit)
            record_hash = _record_hash(ref, last_group)
        key = (flow.decision, flow.detail, flow.direction_code, flow.protocol_code)
        if (outcome := outcomes.get(key)) is None:
            if len(outcomes) >= _MOST_OUTCOMES:
                outcomes.clear()
            services = enrich.service_names(flow.protocol)
            outcome = outcomes[key] = (_fields(_outcome_columns(flow), omit), services)
        own = record_hash.copy()
        own.update(f"\0{flow.ordinal}\0{rule}\0{flow.text}".encode())  # as in flow_id
        time, milliseconds = flow.time, ".000Z"
        if time >= MILLISECONDS_FROM:
            time, rest = divmod(time, 1000)
            milliseconds = MILLISECONDS[rest]
        if time != last_second:
            last_second, second = time, second_of(time)
        when = second + milliseconds
        port, to_port = flow.src_port, flow.dst_port
        sent, sent_bytes = flow.packets_sent, flow.bytes_sent
        received, received_bytes = flow.packets_received, flow.bytes_received
        if known:
            ends = _known_ends(flow, knowledge)
        else:
            ends = _ENDS_ALONE[address_class(flow.src if flow.direction_code == "I" else flow.dst)]
        return (
            f'{{"TimeGenerated":"{when}","FlowTime":"{when}","FlowId":"{own.hexdigest()}",'
            f'"SrcIp":"{flow.src}","DestIp":"{flow.dst}",'
            f'"SrcPort":{"null" if port is None else port},'
            f'"DestPort":{"null" if to_port is None else to_port},'
            f'"L7Protocol":"{"" if to_port is None else outcome[1].get(to_port, "")}",'
            f'"PacketsSrcToDest":{"null" if sent is None else sent},'
            f'"BytesSrcToDest":{"null" if sent_bytes is None else sent_bytes},'
            f'"PacketsDestToSrc":{"null" if received is None else received},'
            f'"BytesDestToSrc":{"null" if received_bytes is None else received_bytes},'
            f"{ends}{outcome[0]}{group_text}}}"
        ).encode()

    return encode


def _known_ends(flow: Flow, knowledge: Knowledge) -> str:
    seen = enrich.ends(flow, knowledge)
    return (
        f'"FlowType":"{seen.flow_type}","SrcVm":{_text(seen.src_vm)},'
        f'"DestVm":{_text(seen.dest_vm)},"SrcSubnet":{_text(seen.src_subnet)},'
        f'"DestSubnet":{_text(seen.dest_subnet)},"SrcServiceTags":{_text(seen.src_tags)},'
        f'"DestServiceTags":{_text(seen.dest_tags)}'
    )


@cache_short(16_384, 1024)
def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _fields(values: dict[str, Any], omit: frozenset[str]) -> str:
    """Columns as JSON without the braces, each with a comma in front."""
    kept = {key: _cut(value) for key, value in values.items() if key not in omit}
    return f",{msgspec.json.encode(kept)[1:-1].decode()}" if kept else ""


def _cut(value: Any) -> Any:
    """A text no longer than a field may be, marked where it was cut; anything else as it is."""
    if not isinstance(value, str) or 4 * len(value) <= MAX_FIELD:
        return value
    data = value.encode()
    if len(data) <= MAX_FIELD:
        return value
    return data[: MAX_FIELD - len(CUT.encode())].decode(errors="ignore") + CUT
