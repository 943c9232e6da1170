"""Flow tuples of versions 1 and 2 (NSG) and 4 (VNet), and the lists that they stand in.

    v1  time(s),src,dst,sport,dport,T|U,I|O,A|D
    v2  v1 + B|C|E,packets→,bytes→,packets←,bytes←
    v4  time(ms),src,dst,sport,dport,IANA protocol,I|O,B|C|E|D,encryption + v2's counters

https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format. A flow is
denied by decision D in v1 and v2, and by state D in v4: all three have it in the eighth field.

Lists are read as a whole, which costs a third of reading tuple by tuple: without its digits a
tuple has one of few shapes, and when all shapes of a list are known, its text becomes JSON
arrays that msgspec decodes into flows, judging every number on the way. A list with anything
unusual in it is read tuple by tuple, and says what is wrong with which.

Most tuples are of allowed flows, and most readers want denied ones. So the tuples of a group stay
undecoded text until a `D` is seen among them; that is what makes this faster than decoding the
JSON.
"""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from socket import AF_INET, inet_pton

import msgspec

from nsgflow_core.caches import cache_short
from nsgflow_core.estate import addresses
from nsgflow_core.logs.lenient import any_list, clean, note_bad
from nsgflow_core.logs.log_record import UnreadableError
from nsgflow_core.model import MILLISECONDS_FROM, PROTOCOLS, Bad, Flow, Group

_NSG_FIELDS, _VNET_FIELDS = (8, 13), (13,)
_VNET = 4
_FIELDS = 13
"""More fields than these are ignored: Azure may add some."""
_SEPARATORS = (7, 12)
"""Commas in a tuple of a known length."""
_LAST_TIME_MS = 253_402_300_799_999  # the end of the year 9999
_LONG = 2**63
_MAX_DIGITS = 19
_PORTS = 65536
_NUMBERED_PROTOCOLS = 256
_PROTOCOL_CODES = frozenset((*PROTOCOLS, *map(str, range(_NUMBERED_PROTOCOLS))))
_DECISIONS = frozenset("AD")
_NSG_STATES = frozenset(("", "B", "C", "E", "D"))
_V4_STATES = frozenset("BCED")
_DIGITS = b"0123456789"
_ENDS = rb",[.:a-fA-F]*,[.:a-fA-F]*,,,[TUI]?,[IO]"
_NSG_SHAPE = re.compile(_ENDS + rb",[AD](?:,[BCED]?,,,,)?")
_VNET_SHAPE = re.compile(_ENDS + rb",[BCED],[A-Za-z_]*,,,,")
"""Tuples without their digits."""
_LONGEST_SHAPE = 160
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_TEXTS = msgspec.json.Decoder(list[str])
_FLOWS = msgspec.json.Decoder(list[Flow], strict=False)  # numbers come in quotes
_SMALL_GROUP = 16 * 1024
"""Up to this many bytes a list with a denied tuple has each of its tuples checked."""


class TupleList(msgspec.Struct, frozen=True, gc=False):
    """Tuples of one group as written, and the ordinal of each in its record."""

    group: Group
    ordinals: Sequence[int]
    texts: Sequence[str]


def listed(group: Group, tuples: bytes, first: int, *, denied_only: bool) -> tuple[TupleList, int]:
    """The tuples of a JSON list, whose first has ordinal `first`, and how many there are.

    With `denied_only` those are left out that a look shows to be allowed: reading one would cost
    ten times as much.
    """
    ordinals: Sequence[int]
    if denied_only and len(tuples) > _SMALL_GROUP and _begins_allowed(tuples):
        ordinals, texts, count = _candidates(tuples, first)
    else:
        texts = _texts(tuples)
        count = len(texts)
        ordinals = range(first, first + count)
    if denied_only and texts and not (",D" in texts[0] and ",D" in texts[-1]):
        mark = "," if group.record.version == _VNET else ",A"
        kept = [
            (ordinal, text)
            for ordinal, text in zip(ordinals, texts, strict=True)
            if ",D" in text or text.count(",") not in _SEPARATORS or mark not in text
        ]
        ordinals, texts = [ordinal for ordinal, _ in kept], [text for _, text in kept]
    return TupleList(group, ordinals, texts), count


def read_lists(lists: Sequence[TupleList], bad: list[Bad], *, denied_only: bool) -> list[Flow]:
    """The flows of lists of tuples, in their order; what cannot be read is added to `bad`."""
    if not lists:
        return []
    found = _whole(lists)
    if found is None:
        if len(lists) > 1:
            return [
                flow for each in lists for flow in read_lists([each], bad, denied_only=denied_only)
            ]
        found = _one_by_one(lists[0], bad)
    return [flow for flow in found if flow.decision == "D"] if denied_only else found


def _whole(lists: Sequence[TupleList]) -> list[Flow] | None:
    """All flows of lists of one kind of log, None where anything in them is unusual."""
    vnet = {each.group.record.version == _VNET for each in lists}
    if len(vnet) != 1:
        return None
    texts = [text for each in lists for text in each.texts]
    found = _alike(texts, vnet=True in vnet)
    if found is None:
        return None
    at = 0
    for each in lists:
        group, end = each.group, at + len(each.texts)
        for flow, text, ordinal in zip(found[at:end], each.texts, each.ordinals, strict=True):
            flow.group, flow.text, flow.ordinal = group, text, ordinal
        at = end
    return found


def _alike(texts: Sequence[str], *, vnet: bool) -> list[Flow] | None:
    """A flow for each text, not placed yet, if all are of known shapes and possible values."""
    joined = "\0".join(texts).encode()
    if shapes(joined, vnet=vnet) is None:
        return None
    fields = b'[["' + joined.replace(b",", b'","').replace(b"\0", b'"],["') + b'"]]'
    if b",," in joined or b",\0" in joined or joined.endswith(b","):
        fields = fields.replace(b'""', b"null")
    try:
        found = _FLOWS.decode(fields)
    except msgspec.ValidationError:
        return None
    if not {flow.protocol_code for flow in found} <= _PROTOCOL_CODES:
        return None
    if not vnet and not {flow.detail for flow in found} <= _NSG_STATES:
        return None
    try:
        all(map(inet_pton, repeat(AF_INET), {flow.src for flow in found}))
        all(map(inet_pton, repeat(AF_INET), {flow.dst for flow in found}))
    except OSError:
        return _with_canonical_ends(found)
    return found


def shapes(joined: bytes, *, vnet: bool) -> set[bytes] | None:
    """The shapes of texts with zero bytes between them, None where one is not known."""
    found = set(joined.translate(None, _DIGITS).split(b"\0"))
    known = _known_vnet_shape if vnet else _known_nsg_shape
    return found if all(map(known, found)) else None


def are_codes(
    protocols: Iterable[str], decisions: Iterable[str], details: Iterable[str], *, vnet: bool
) -> bool:
    """Whether fields of tuples whose shapes are known are what they may be."""
    if not _PROTOCOL_CODES.issuperset(protocols):
        return False
    if vnet:
        return _V4_STATES.issuperset(decisions)
    return _DECISIONS.issuperset(decisions) and _NSG_STATES.issuperset(details)


@cache_short(1024, _LONGEST_SHAPE)
def _known_nsg_shape(shape: bytes) -> bool:
    return _NSG_SHAPE.fullmatch(shape) is not None


@cache_short(1024, _LONGEST_SHAPE)
def _known_vnet_shape(shape: bytes) -> bool:
    return _VNET_SHAPE.fullmatch(shape) is not None


def _with_canonical_ends(found: list[Flow]) -> list[Flow] | None:
    """Flows with addresses of any family in canonical form; None where one is no address."""
    try:
        for flow in found:
            flow.src, flow.dst = addresses.canonical(flow.src), addresses.canonical(flow.dst)
    except ValueError:
        return None
    return found


def _one_by_one(each: TupleList, bad: list[Bad]) -> list[Flow]:
    """The flows of a list with something unusual in it."""
    found: list[Flow] = []
    record, rule = each.group.record, each.group.rule
    for ordinal, text in zip(each.ordinals, each.texts, strict=True):
        try:
            found.append(_flow(each.group, ordinal, text))
        except ValueError as exc:
            reason = f"tuple {ordinal} of the record, rule {rule[:80]!r}: {exc}"
            note_bad(bad, Bad(record.offset, reason, text.encode()))
    return found


def _flow(group: Group, ordinal: int, text: str) -> Flow:
    """One tuple read.

    Raises:
        UnreadableError: it makes no sense.
    """
    fields = text.split(",", _FIELDS)[:_FIELDS]
    if len(fields) not in (_VNET_FIELDS if group.record.version == _VNET else _NSG_FIELDS):
        raise UnreadableError(f"{len(fields)} fields")
    time, src, dst, src_port, dst_port, protocol, direction, decision, *rest = fields
    detail, *counters = rest or [""] * (_FIELDS - 8)
    if group.record.version == _VNET:
        if decision not in _V4_STATES:
            raise UnreadableError(f"impossible state {decision!r}")
    elif decision not in _DECISIONS or detail not in _NSG_STATES:
        raise UnreadableError(f"impossible decision or state {fields[7:9]}")
    if direction not in {"I", "O"}:
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


def _texts(tuples: bytes) -> list[str]:
    """The text of every tuple of a list."""
    try:
        return _TEXTS.decode(tuples)
    except (msgspec.DecodeError, UnicodeDecodeError):
        items = any_list(tuples)
        return [clean(item) if isinstance(item, str) else json.dumps(item) for item in items]


def _begins_allowed(tuples: bytes) -> bool:
    """Whether a list can be searched for denied tuples: plain texts, and not a list of denies."""
    first = tuples.find(b'"')
    return (
        b",D" not in tuples[first : tuples.find(b'"', first + 1)]
        and b"\\" not in tuples
        and tuples.count(b'"') == 2 * count_tuples(tuples)
    )


def _candidates(tuples: bytes, first: int) -> tuple[list[int], list[str], int]:
    """Ordinal and text of the tuples of a list that may be denied, and the number of all."""
    ordinals: list[int] = []
    texts: list[str] = []
    index = counted = 0
    pos = tuples.find(b"D")
    while pos >= 0:
        end = pos + 1
        if tuples[pos - 1] == ord(","):
            end = tuples.find(b'"', pos)
            start = tuples.rfind(b'"', 0, pos)
            index += tuples.count(b'"', counted, start) // 2
            ordinals.append(first + index)
            texts.append(tuples[start + 1 : end].decode(errors="replace"))
            counted = start
        pos = tuples.find(b"D", end)
    return ordinals, texts, index + tuples.count(b'"', counted) // 2


def count_tuples(tuples: bytes) -> int:
    """How many elements a JSON list has, counted without making them; 1 for what is no list."""
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
    if (number if number >= MILLISECONDS_FROM else number * 1000) > _LAST_TIME_MS:
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
