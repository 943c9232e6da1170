"""From a record to its flows: tuples of versions 1 and 2 (NSG) and 4 (VNet).

    v1  time(s),src,dst,sport,dport,T|U,I|O,A|D
    v2  v1 + B|C|E,packets→,bytes→,packets←,bytes←
    v4  time(ms),src,dst,sport,dport,IANA protocol,I|O,B|C|E|D,encryption + v2's counters

https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format. A flow is
denied by decision D in v1 and v2, and by state D in v4: all three have it in the eighth field.

Most tuples are of allowed flows, and most readers want denied ones. So the tuples of a group stay
undecoded text until a `D` is seen among them; that is what makes this faster than decoding the
JSON.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from nsgflow_core.estate import addresses, enrich
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs import records
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import Bad, Flow, Group, Outcome, Record

_NSG_VERSIONS = frozenset((1, 2))
_VNET_VERSIONS = frozenset((4,))
_NSG_FIELDS = (4, 9)
_V4_FIELDS = 9
"""Fields behind time, addresses and source port; more than these are ignored."""
_SEPARATORS = (7, 12)
"""Commas in a tuple of a known length."""
_MILLISECONDS_FROM = 10**11
"""Times from here on are milliseconds: as seconds they would lie past the year 5000."""
_USUAL_TIMES = (10, 13)
"""Digits of the times of our day, in seconds and in milliseconds: all of these are possible."""
_LAST_TIME_MS = 253_402_300_799_999  # the end of the year 9999
_LONG = 2**63
_MAX_DIGITS = 19
_PORTS = 65536
_NUMBERED_PROTOCOLS = 256
_PROTOCOLS = {"T": "TCP", "U": "UDP", "I": "ICMP", "6": "TCP", "17": "UDP", "1": "ICMP"}
_DIRECTIONS = {"I": True, "O": False}
_DECISIONS = {"A": False, "D": True}
_NSG_STATES = frozenset(("", "B", "C", "E", "D"))
_V4_STATES = frozenset("BCED")
_D, _BACKSLASH = b"D\\"
"""As numbers: `in` finds a number in bytes several times as fast as it finds a text."""
_MAX_BAD = 1000
"""Pieces of one record kept as bad: as many as a dead letter holds. A hostile one has millions."""
_SMALL_GROUP = 16 * 1024
"""Up to this many bytes a list with a denied tuple has each of its tuples checked."""


class _Macs(msgspec.Struct, gc=False):
    flowTuples: msgspec.Raw  # noqa: N815 - the log's name
    mac: str = ""


class _Rule(msgspec.Struct, gc=False):
    flows: list[_Macs]
    rule: str = ""


class _Properties(msgspec.Struct, gc=False):
    flows: list[_Rule]
    Version: int | None = None


class _FlowGroup(msgspec.Struct, gc=False):
    flowTuples: msgspec.Raw  # noqa: N815 - the log's name
    rule: str = ""


class _Acl(msgspec.Struct, gc=False):
    flowGroups: list[_FlowGroup]  # noqa: N815 - the log's name
    aclID: str = ""  # noqa: N815 - the log's name


class _FlowRecords(msgspec.Struct, gc=False):
    flows: list[_Acl]


class _LogRecord(msgspec.Struct, gc=False):
    """The fields of a record that matter, of both kinds; Azure writes them in any order."""

    time: str = ""
    macAddress: str = ""  # noqa: N815 - the log's name
    resourceId: str = ""  # noqa: N815 - the log's name
    targetResourceID: str = ""  # noqa: N815 - the log's name
    flowLogVersion: int | None = None  # noqa: N815 - the log's name
    properties: _Properties | None = None
    flowRecords: _FlowRecords | None = None  # noqa: N815 - the log's name


_Tuples = tuple[str, str, str, bytes | msgspec.Raw]
"""aclID, rule and MAC, "" where the record has none, and the JSON list of tuples under them."""

_RECORD = msgspec.json.Decoder(_LogRecord)
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ANYTHING = json.JSONDecoder(parse_int=lambda digits: int(digits[:_MAX_DIGITS]))
"""Takes numbers of any length; what they are does not matter where it is used."""
_TEXTS = msgspec.json.Decoder(list[str])


class _UnreadableError(ValueError):
    """A record or tuple that makes no sense; the message says why."""


class Reading(msgspec.Struct, frozen=True):
    """What a stretch of a blob holds: flows, bad pieces, the number of records; see `Stretch`."""

    flows: list[Flow]
    bad: list[Bad]
    records: int
    end: int


def read_stretch(
    data: bytes,
    at: int,
    log: LogPath,
    *,
    last: bool,
    denied_only: bool,
    inventory: Inventory | None = None,
) -> Reading:
    """All flows in bytes that begin at offset `at`: `records.split` and `read`, but faster.

    Records that `records.alike` knows are decoded once instead of twice. From the first one on
    that it does not know the rest is read by `split` and `read`. Either way the same is found.
    """
    flows: list[Flow] = []
    bad: list[Bad] = []
    count = done = 0
    for begin, end, doc in records.alike(data, _RECORD.decode):
        try:
            place = (at + begin, at + end)
            flows += _flows(
                doc, _tuple_lists(doc), place, log, bad, inventory, denied_only=denied_only
            )
        except _UnreadableError as exc:
            bad.append(Bad(at + begin, str(exc), data[begin:end]))
        count += 1
        done = end
    rest = records.split(data[done:], at + done, last=last)
    for raw in rest.records:
        flows += read(raw, log, bad, denied_only=denied_only, inventory=inventory)
    return Reading(flows, rest.bad + bad, count + len(rest.records), rest.end)


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
    try:
        doc = _RECORD.decode(raw.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        doc = None
    room = len(bad) + _MAX_BAD
    try:
        if doc is None:
            doc, lists = _read_leniently(raw, bad, room)
        else:
            lists = _tuple_lists(doc)
        place = (raw.offset, raw.end)
        return _flows(doc, lists, place, log, bad, inventory, denied_only=denied_only)
    except (_UnreadableError, RecursionError) as exc:
        bad.append(Bad(raw.offset, str(exc), bytes(raw.data)))
        return []


def _flows(
    doc: _LogRecord,
    lists: list[_Tuples],
    place: tuple[int, int],
    log: LogPath,
    bad: list[Bad],
    inventory: Inventory | None,
    *,
    denied_only: bool,
) -> list[Flow]:
    """The flows of a record that lies between two offsets."""
    room = len(bad) + _MAX_BAD
    flows: list[Flow] = []
    version = _version(doc)
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
            ordinal += sum(map(_count, uncounted))
            uncounted.clear()
        if record is None:
            resource = doc.targetResourceID if version == 4 else doc.resourceId or log.resource  # noqa: PLR2004
            record = Record(*place, doc.time, version, _lower(resource))
        known = inventory.acl(acl) if inventory is not None and version == 4 else None  # noqa: PLR2004
        group_id, name = known or _acl(acl if version == 4 else resource)  # noqa: PLR2004
        group = Group(record, group_id, name, rule, canonical_mac(mac or doc.macAddress) or log.mac)
        ordinal += _read_tuples(group, tuples, ordinal, flows, bad, room, denied_only=denied_only)
    return flows


@lru_cache(maxsize=4096)
def _lower(text: str) -> str:
    return text.lower()


@lru_cache(maxsize=4096)
def _acl(acl: str) -> tuple[str, str]:
    """A group's `acl_group` and `acl_name`."""
    return acl.lower() if acl.startswith("/") else acl, enrich.acl_name(acl)


def _version(doc: _LogRecord) -> int:
    if doc.flowRecords is not None:
        version, known = doc.flowLogVersion, _VNET_VERSIONS
    elif doc.properties is not None:
        version, known = doc.properties.Version, _NSG_VERSIONS
    else:
        raise _UnreadableError("a record with neither properties nor flowRecords")
    if version is None or version not in known:
        raise _UnreadableError(f"unknown flow log version {version}")
    return version


def _tuple_lists(doc: _LogRecord) -> list[_Tuples]:
    if doc.flowRecords is not None:
        return [
            (acl.aclID, group.rule, "", group.flowTuples)
            for acl in doc.flowRecords.flows
            for group in acl.flowGroups
        ]
    if doc.properties is not None:
        return [
            ("", rule.rule, macs.mac, macs.flowTuples)
            for rule in doc.properties.flows
            for macs in rule.flows
        ]
    return []


def _read_tuples(
    group: Group,
    tuples: bytes,
    first: int,
    flows: list[Flow],
    bad: list[Bad],
    room: int,
    *,
    denied_only: bool,
) -> int:
    """Add the flows of one list of tuples, whose first has ordinal `first`; count the list."""
    outcome = _v4_outcome if group.record.version == 4 else _nsg_outcome  # noqa: PLR2004
    mark = "," if group.record.version == 4 else ",A"  # noqa: PLR2004 - the VNet format
    if denied_only and len(tuples) > _SMALL_GROUP and _begins_allowed(tuples):
        candidates, count = _candidates(tuples)
    else:
        candidates, count = _listed(tuples)
    for index, text in candidates:
        try:
            # Allowed, by a look: reading it would cost ten times as much.
            if denied_only and ",D" not in text and text.count(",") in _SEPARATORS and mark in text:
                continue
            time, src, dst, src_port, rest = text.split(",", 4)
            flow = Flow(
                group,
                first + index,
                text,
                _time_ms(time),
                addresses.canonical(src),
                addresses.canonical(dst),
                _port(src_port),
                outcome(rest),
            )
        except ValueError as exc:
            reason = f"tuple {first + index} of the record, rule {group.rule[:80]!r}: {exc}"
            _note(bad, Bad(group.record.offset, reason, text.encode()), room)
        else:
            if flow.outcome.denied or not denied_only:
                flows.append(flow)
    return count


def _note(bad: list[Bad], piece: Bad, room: int) -> None:
    """Keep a bad piece, or once there is no room for more, say that there were more."""
    if len(bad) < room:
        bad.append(piece)
    elif len(bad) == room:
        reason = f"more than {_MAX_BAD} pieces of the record cannot be read"
        bad.append(Bad(piece.offset, reason, b""))


def _listed(tuples: bytes) -> tuple[Iterable[tuple[int, str]], int]:
    """Index and text of every tuple of a list, and their number."""
    try:
        texts = _TEXTS.decode(tuples)
    except (msgspec.DecodeError, UnicodeDecodeError):
        items = _any_list(tuples)
        texts = [_clean(item) if isinstance(item, str) else json.dumps(item) for item in items]
    return enumerate(texts), len(texts)


def _begins_allowed(tuples: bytes) -> bool:
    """Whether a list can be searched for denied tuples: plain texts, and not a list of denies."""
    first = tuples.find(b'"')
    return (
        b",D" not in tuples[first : tuples.find(b'"', first + 1)]
        and b"\\" not in tuples
        and tuples.count(b'"') == 2 * _count(tuples)
    )


def _candidates(tuples: bytes) -> tuple[Iterable[tuple[int, str]], int]:
    """Index and text of the tuples of a list that may be denied, and the number of all."""
    found: list[tuple[int, str]] = []
    index = counted = 0
    pos = tuples.find(b"D")
    while pos >= 0:
        end = pos + 1
        if tuples[pos - 1] == ord(","):
            end = tuples.find(b'"', pos)
            start = tuples.rfind(b'"', 0, pos)
            index += tuples.count(b'"', counted, start) // 2
            found.append((index, tuples[start + 1 : end].decode(errors="replace")))
            counted = start
        pos = tuples.find(b"D", end)
    return found, index + tuples.count(b'"', counted) // 2


def _count(tuples: bytes) -> int:
    """How many elements a JSON list has, counted without making them; 1 for what is no list."""
    try:
        return len(_ELEMENTS.decode(tuples))
    except (msgspec.DecodeError, RecursionError):
        return 1


def _any_list(tuples: bytes) -> list[Any]:
    text = tuples.decode(errors="replace")
    try:
        value = _ANYTHING.decode(text)
    except (ValueError, RecursionError):
        return [text]
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=16384)
def _nsg_outcome(rest: str) -> Outcome:
    fields = rest.split(",")
    if len(fields) != _NSG_FIELDS[0] and len(fields) < _NSG_FIELDS[1]:
        raise _UnreadableError(f"{len(fields) + 4} fields")
    state = fields[4] if len(fields) >= _NSG_FIELDS[1] else ""
    if fields[3] not in _DECISIONS or state not in _NSG_STATES:
        raise _UnreadableError(f"impossible decision or state {fields[3:5]}")
    return _outcome(fields, denied=_DECISIONS[fields[3]], state=state, encryption="")


@lru_cache(maxsize=16384)
def _v4_outcome(rest: str) -> Outcome:
    fields = rest.split(",")
    if len(fields) < _V4_FIELDS:
        raise _UnreadableError(f"{len(fields) + 4} fields")
    if fields[3] not in _V4_STATES:
        raise _UnreadableError(f"impossible state {fields[3]!r}")
    return _outcome(fields, denied=fields[3] == "D", state=fields[3], encryption=fields[4])


def _outcome(fields: list[str], *, denied: bool, state: str, encryption: str) -> Outcome:
    if fields[2] not in _DIRECTIONS:
        raise _UnreadableError(f"impossible direction {fields[2]!r}")
    counters = [_counter(text) for text in fields[5:9]] or [None] * 4
    return Outcome(
        _port(fields[0]),
        _protocol(fields[1]),
        _DIRECTIONS[fields[2]],
        denied,
        state,
        encryption,
        *counters,
    )


def _number(text: str, limit: int, what: str) -> int:
    # int() would take signs, underscores, blanks and other scripts' digits.
    if text.isdigit() and text.isascii() and len(text) <= _MAX_DIGITS:
        number = int(text)
        if number < limit:
            return number
    raise _UnreadableError(f"impossible {what} {text[:40]!r}")


def _time_ms(text: str) -> int:
    if len(text) in _USUAL_TIMES and text.isdigit() and text.isascii():
        number = int(text)
        return number if number >= _MILLISECONDS_FROM else number * 1000
    number = _number(text, _LONG, "time")
    milliseconds = number if number >= _MILLISECONDS_FROM else number * 1000
    if milliseconds > _LAST_TIME_MS:
        raise _UnreadableError(f"impossible time {text!r}")
    return milliseconds


@lru_cache(maxsize=_PORTS)
def _port(text: str) -> int | None:
    return _number(text, _PORTS, "port") if text else None


def _counter(text: str) -> int | None:
    return _number(text, _LONG, "counter") if text else None


def _protocol(text: str) -> str:
    return _PROTOCOLS.get(text) or str(_number(text, _NUMBERED_PROTOCOLS, "protocol"))


def _read_leniently(raw: RawRecord, bad: list[Bad], room: int) -> tuple[_LogRecord, list[_Tuples]]:
    """Read a record that has values of other types than it should, or bytes that are no UTF-8.

    Whatever makes sense is kept; each piece that does not is bad on its own.
    """
    try:
        doc = _ANYTHING.decode(bytes(raw.data).decode(errors="replace"))
    except (ValueError, RecursionError):
        raise _UnreadableError("not JSON") from None
    if not isinstance(doc, dict):
        raise _UnreadableError("not a JSON object")
    properties, flow_records = doc.get("properties"), doc.get("flowRecords")
    lists: list[_Tuples] = []

    def walk(node: object, keys: tuple[str, ...], found: dict[str, str]) -> None:
        if not isinstance(node, dict):
            _note(bad, Bad(raw.offset, f"not an object with {keys[0]}", _excerpt(node)), room)
            return
        found = {**found, **_texts(node)}
        inner = node.get(keys[0])
        if not isinstance(inner, list):
            _note(bad, Bad(raw.offset, f"{keys[0]} is not a list", _excerpt(node)), room)
        elif len(keys) > 1:
            for child in inner:
                walk(child, keys[1:], found)
        else:
            acl, rule, mac = (found.get(key, "") for key in ("aclID", "rule", "mac"))
            lists.append((acl, rule, mac, json.dumps(inner).encode()))

    if isinstance(flow_records, dict):
        walk(flow_records, ("flows", "flowGroups", "flowTuples"), {})
    elif isinstance(properties, dict):
        walk(properties, ("flows", "flows", "flowTuples"), {})
    texts = _texts(doc)
    return (
        _LogRecord(
            time=texts.get("time", ""),
            macAddress=texts.get("macAddress", ""),
            resourceId=texts.get("resourceId", ""),
            targetResourceID=texts.get("targetResourceID", ""),
            flowLogVersion=_whole(doc.get("flowLogVersion")),
            properties=_Properties([], _whole(properties.get("Version")))
            if isinstance(properties, dict)
            else None,
            flowRecords=_FlowRecords([]) if isinstance(flow_records, dict) else None,
        ),
        lists,
    )


def _texts(node: dict[str, Any]) -> dict[str, str]:
    return {key: _clean(value) for key, value in node.items() if isinstance(value, str)}


def _clean(text: str) -> str:
    """The text without lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def _whole(value: object) -> int | None:
    return int(str(value)) if str(value) in ("1", "2", "4") else None


def _excerpt(value: object) -> bytes:
    return json.dumps(value)[:4096].encode()
