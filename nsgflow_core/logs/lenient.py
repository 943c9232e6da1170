"""Records with values of other types than they should have, or bytes that are no UTF-8."""

import json
from typing import Any

import msgspec

from nsgflow_core.logs.log_record import (
    FlowGroup,
    FlowRecords,
    LogRecord,
    OfAcl,
    OfMac,
    OfRule,
    Properties,
    UnreadableError,
)
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import Bad

MAX_BAD = 1000
"""Pieces of one record kept as bad: as many as a dead letter holds. A hostile one has millions."""

_MORE = f"more than {MAX_BAD} pieces of the record cannot be read"
_MAX_DIGITS = 19
_ANYTHING = json.JSONDecoder(parse_int=lambda digits: int(digits[:_MAX_DIGITS]))
"""Takes numbers of any length; what they are does not matter where it is used."""

_Tuples = tuple[str, str, str, msgspec.Raw]
"""aclID, rule and MAC of a list of tuples, and the list."""


def read_leniently(raw: RawRecord, bad: list[Bad]) -> LogRecord[msgspec.Raw]:
    """Read a record that has values of other types than it should, or bytes that are no UTF-8.

    Whatever makes sense is kept; each piece that does not is bad on its own.
    """
    try:
        doc = _ANYTHING.decode(bytes(raw.data).decode(errors="replace"))
    except (ValueError, RecursionError):
        raise UnreadableError("not JSON") from None
    if not isinstance(doc, dict):
        raise UnreadableError("not a JSON object")
    properties, flow_records = doc.get("properties"), doc.get("flowRecords")
    lists: list[_Tuples] = []

    def walk(node: object, keys: tuple[str, ...], found: dict[str, str]) -> None:
        if not isinstance(node, dict):
            note_bad(bad, Bad(raw.offset, f"not an object with {keys[0]}", _excerpt(node)))
            return
        found = {**found, **_texts(node)}
        inner = node.get(keys[0])
        if not isinstance(inner, list):
            note_bad(bad, Bad(raw.offset, f"{keys[0]} is not a list", _excerpt(node)))
        elif len(keys) > 1:
            for child in inner:
                walk(child, keys[1:], found)
        else:
            acl, rule, mac = (found.get(key, "") for key in ("aclID", "rule", "mac"))
            lists.append((acl, rule, mac, msgspec.Raw(json.dumps(inner).encode())))

    if isinstance(flow_records, dict):
        walk(flow_records, ("flows", "flowGroups", "flowTuples"), {})
    elif isinstance(properties, dict):
        walk(properties, ("flows", "flows", "flowTuples"), {})
    return _record_of(doc, properties, flow_records, lists)


def _record_of(
    doc: dict[str, Any], properties: object, flow_records: object, lists: list[_Tuples]
) -> LogRecord[msgspec.Raw]:
    texts = _texts(doc)
    of_nsg: Properties[msgspec.Raw] | None = None
    of_vnet: FlowRecords[msgspec.Raw] | None = None
    if isinstance(properties, dict):
        rules = [OfRule([OfMac(tuples, mac)], rule) for _, rule, mac, tuples in lists]
        of_nsg = Properties(rules, _whole(properties.get("Version")))
    if isinstance(flow_records, dict):
        acls = [OfAcl([FlowGroup(tuples, rule)], acl) for acl, rule, _, tuples in lists]
        of_vnet = FlowRecords(acls)
    return LogRecord(
        time=texts.get("time", ""),
        macAddress=texts.get("macAddress", ""),
        resourceId=texts.get("resourceId", ""),
        targetResourceID=texts.get("targetResourceID", ""),
        flowLogVersion=_whole(doc.get("flowLogVersion")),
        properties=of_nsg,
        flowRecords=of_vnet,
    )


def _texts(node: dict[str, Any]) -> dict[str, str]:
    return {key: clean(value) for key, value in node.items() if isinstance(value, str)}


def clean(text: str) -> str:
    """The text without lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def _whole(value: object) -> int | None:
    return int(str(value)) if str(value) in ("1", "2", "4") else None


def _excerpt(value: object) -> bytes:
    return json.dumps(value)[:4096].encode()


def any_list(tuples: bytes) -> list[Any]:
    """The elements of a list of tuples, whatever they are; what is no list is one element."""
    text = tuples.decode(errors="replace")
    try:
        value = _ANYTHING.decode(text)
    except (ValueError, RecursionError):
        return [text]
    return value if isinstance(value, list) else [value]


def note_bad(bad: list[Bad], piece: Bad) -> None:
    """Keep a bad piece of a record, or once there is no room for more, count it."""
    if len(bad) < MAX_BAD or bad[-MAX_BAD].offset != piece.offset:
        bad.append(piece)
        return
    counted = bad.pop().count if bad[-1].reason == _MORE else 0
    bad.append(Bad(piece.offset, _MORE, b"", counted + piece.count))
