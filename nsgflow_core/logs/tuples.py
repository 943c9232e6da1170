"""Flow tuples of versions 1 and 2 (NSG) and 4 (VNet), and the lists that they stand in.

    v1  time(s),src,dst,sport,dport,T|U,I|O,A|D
    v2  v1 + B|C|E,packets→,bytes→,packets←,bytes←
    v4  time(ms),src,dst,sport,dport,IANA protocol,I|O,B|C|E|D,encryption + v2's counters

https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format. A flow is
denied by decision D in v1 and v2, and by state D in v4: all three have it in the eighth field.

Many tuples are read at once as columns, see there. Where one of them is unusual they are read here,
one by one, and each that makes no sense is told.
"""

import json
from collections.abc import Sequence

import msgspec

from nsgflow_core.estate import addresses
from nsgflow_core.logs.fields import (
    DECISIONS,
    DIRECTIONS,
    FIELDS,
    NSG_STATES,
    V4_STATES,
)
from nsgflow_core.logs.lenient import any_list, clean
from nsgflow_core.logs.log_record import UnreadableError
from nsgflow_core.model import LAST_TIME_MS, MILLISECONDS_FROM, PROTOCOLS, Bad, Flow, Group

_NSG_FIELDS, _VNET_FIELDS = (8, 13), (13,)
_VNET = 4
_LONG = 2**63
_MAX_DIGITS = 19
_PORTS = 65536
_NUMBERED_PROTOCOLS = 256
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_TEXTS = msgspec.json.Decoder(list[str])
_LISTS = msgspec.json.Decoder(list[list[str]])


class TupleList(msgspec.Struct, frozen=True, gc=False):
    """Tuples of one group as written, and the ordinal of each in its record."""

    group: Group
    ordinals: Sequence[int]
    texts: Sequence[str]


def read_tuple(group: Group, ordinal: int, text: str) -> Flow | Bad:
    """The flow of one tuple; or what to tell, where it makes no sense."""
    try:
        return _flow(group, ordinal, text)
    except ValueError as exc:
        reason = f"tuple {ordinal} of the record, rule {group.rule[:80]!r}: {exc}"
        return Bad(group.record.offset, reason, text.encode())


def _flow(group: Group, ordinal: int, text: str) -> Flow:
    """One tuple read.

    Raises:
        UnreadableError: it makes no sense.
    """
    fields = text.split(",", FIELDS)[:FIELDS]
    if len(fields) not in (_VNET_FIELDS if group.record.version == _VNET else _NSG_FIELDS):
        raise UnreadableError(f"{len(fields)} fields")
    time, src, dst, src_port, dst_port, protocol, direction, decision, *rest = fields
    detail, *counters = rest or [""] * (FIELDS - 8)
    if group.record.version == _VNET:
        if decision not in V4_STATES:
            raise UnreadableError(f"impossible state {decision!r}")
    elif decision not in DECISIONS or detail not in NSG_STATES:
        raise UnreadableError(f"impossible decision or state {fields[7:9]}")
    if direction not in DIRECTIONS:
        raise UnreadableError(f"impossible direction {direction!r}")
    return Flow(
        _time(time),
        addresses.canonical(src),
        addresses.canonical(dst),
        _port(src_port),
        _port(dst_port),
        _protocol(protocol),
        "I" if direction == "I" else "O",
        decision,  # type: ignore[arg-type]  # it is one of the letters, as was seen above
        detail,
        _counter(counters[0]),
        _counter(counters[1]),
        _counter(counters[2]),
        _counter(counters[3]),
        group,
        ordinal,
        text,
    )


def texts_of(tuples: bytes) -> list[str]:
    """The text of every tuple of a JSON list."""
    try:
        return _TEXTS.decode(tuples)
    except (msgspec.DecodeError, UnicodeDecodeError):
        items = any_list(tuples)
        return [clean(item) if isinstance(item, str) else json.dumps(item) for item in items]


def count_tuples(lists: Sequence[bytes]) -> int:
    """How many elements JSON lists have together; 1 for what is no list."""
    try:
        if len(lists) == 1:
            return len(_TEXTS.decode(lists[0]))
        return sum(map(len, _LISTS.decode(b"[%b]" % b",".join(lists))))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return sum(map(_count, lists))


def _count(tuples: bytes) -> int:
    try:
        return len(_ELEMENTS.decode(tuples))
    except (msgspec.DecodeError, RecursionError):
        return 1


def _number(text: str, limit: int, what: str) -> int:
    # int() would take signs, underscores, blanks and other scripts' digits.
    if text.isdigit() and text.isascii() and len(text) <= _MAX_DIGITS:
        number = int(text)
        if number < limit:
            return number
    raise UnreadableError(f"impossible {what} {text[:40]!r}")


def _time(text: str) -> int:
    number = _number(text, _LONG, "time")
    number = number if number >= MILLISECONDS_FROM else number * 1000
    if number > LAST_TIME_MS:
        raise UnreadableError(f"impossible time {text!r}")
    return number


def _port(text: str) -> int | None:
    return _number(text, _PORTS, "port") if text else None


def _counter(text: str) -> int | None:
    return _number(text, _LONG, "counter") if text else None


def _protocol(text: str) -> str:
    if text in PROTOCOLS:
        return text
    return str(_number(text, _NUMBERED_PROTOCOLS, "protocol"))
