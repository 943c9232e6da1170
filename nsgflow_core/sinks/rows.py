"""From a flow to its row in the table, and the FlowId.

schema.json has the columns: this module, the table and stream in infra/ and the docs all read
it. Rows are put together from JSON fragments because most of a row repeats: what the record and
rule decide is encoded once for all their flows, and what the second half of the tuple decides
once for all tuples that share it.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from nsgflow_core.caches import cache_short
from nsgflow_core.estate import enrich
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import BlobRef, Flow, Group, Outcome, flow_time

_RECORD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
MAX_FIELD = 64 * 1024
"""Largest text in bytes that Log Analytics keeps; it would cut longer ones without a word
(https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#logs-ingestion-api)."""
CUT = "…[cut]"
_NO_ENDS = (
    '"SrcVm":"","DestVm":"","SrcSubnet":"","DestSubnet":"","SrcServiceTags":"","DestServiceTags":""'
)
_SCHEMA = Path(__file__).parents[1] / "schema.json"


@cache
def columns() -> dict[str, str]:
    """Name and type of each column, in the table's order."""
    schema = msgspec.json.decode(_SCHEMA.read_bytes())
    return {column["name"]: column["type"] for column in schema["columns"]}


def flow_id(ref: BlobRef, flow: Flow) -> str:
    """32 hex digits that are the same at every delivery of the tuple, and no other tuple's."""
    return _flow_id(_record_hash(ref, flow.group), flow)


def _record_hash(ref: BlobRef, group: Group) -> hashlib.blake2b:
    place = "\0".join((ref.account, ref.container, ref.path, str(group.record.offset)))
    return hashlib.blake2b(place.encode(), digest_size=16)


def _flow_id(record_hash: hashlib.blake2b, flow: Flow) -> str:
    own = record_hash.copy()
    own.update(f"\0{flow.ordinal}\0{flow.group.rule}\0{flow.text}".encode())
    return own.hexdigest()


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


def _outcome_columns(outcome: Outcome) -> dict[str, Any]:
    return {
        "FlowStatus": "Denied" if outcome.denied else "Allowed",
        "FlowDirection": "Inbound" if outcome.inbound else "Outbound",
        "FlowState": outcome.state,
        "FlowEncryption": outcome.encryption,
        "L4Protocol": outcome.protocol,
        "DestPort": outcome.dst_port,
        "PacketsSrcToDest": outcome.packets_sent,
        "BytesSrcToDest": outcome.bytes_sent,
        "PacketsDestToSrc": outcome.packets_received,
        "BytesDestToSrc": outcome.bytes_received,
        "L7Protocol": enrich.service_name(outcome.protocol, outcome.dst_port),
    }


def encoder(ref: BlobRef, knowledge: Knowledge = NOTHING) -> Callable[[Flow], bytes]:
    """A function that encodes flows of one blob, fastest when called in their order."""
    ends = _known_ends if knowledge is not NOTHING else _ends_by_address
    # By identity: flows.read makes one object for all tuples that share an outcome, and comparing
    # ten fields would cost more than the rest of the row. The object is kept so that its id is.
    outcomes: dict[int, tuple[Outcome, str]] = {}
    last_group: Group | None = None
    rule = group_text = ""
    record_hash = hashlib.blake2b()

    def encode(flow: Flow) -> bytes:
        nonlocal last_group, rule, group_text, record_hash
        group, outcome, port = flow.group, flow.outcome, flow.src_port
        if group is not last_group:
            last_group = group
            rule = group.rule
            group_text = _fields(_group_columns(ref, group))
            record_hash = _record_hash(ref, group)
        if (known := outcomes.get(id(outcome))) is None:
            known = outcomes[id(outcome)] = (outcome, _fields(_outcome_columns(outcome)))
        own = record_hash.copy()
        own.update(f"\0{flow.ordinal}\0{rule}\0{flow.text}".encode())  # as in _flow_id
        when = flow_time(flow.time_ms)
        return (
            f'{{"TimeGenerated":"{when}","FlowTime":"{when}","FlowId":"{own.hexdigest()}",'
            f'"SrcIp":"{flow.src}","DestIp":"{flow.dst}",'
            f'"SrcPort":{"null" if port is None else port},'
            f"{ends(flow, knowledge)},{known[1]},{group_text}}}"
        ).encode()

    return encode


def _ends_by_address(flow: Flow, _: Knowledge) -> str:
    return f'"FlowType":"{enrich.flow_type(flow)}",{_NO_ENDS}'


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


def _fields(values: dict[str, Any]) -> str:
    return msgspec.json.encode({key: _cut(value) for key, value in values.items()})[1:-1].decode()


def _cut(value: Any) -> Any:
    """A text no longer than a field may be, marked where it was cut; anything else as it is."""
    if not isinstance(value, str) or 4 * len(value) <= MAX_FIELD:
        return value
    data = value.encode()
    if len(data) <= MAX_FIELD:
        return value
    return data[: MAX_FIELD - len(CUT.encode())].decode(errors="ignore") + CUT
