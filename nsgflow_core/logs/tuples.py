"""Flow tuples of versions 1 and 2 (NSG) and 4 (VNet), and the lists that they stand in.

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

import msgspec

from nsgflow_core.estate import addresses
from nsgflow_core.logs.lenient import any_list, clean, note_bad
from nsgflow_core.logs.log_record import UnreadableError
from nsgflow_core.model import Bad, Flow, Group, Outcome

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
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_TEXTS = msgspec.json.Decoder(list[str])
_LONGEST_KEPT = 256
"""Characters of what is cached: no real tuple has as many, and a made-up one has any number."""
_SMALL_GROUP = 16 * 1024
"""Up to this many bytes a list with a denied tuple has each of its tuples checked."""


def read_tuples(
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
                outcome(rest) if len(rest) <= _LONGEST_KEPT else outcome.__wrapped__(rest),
            )
        except ValueError as exc:
            reason = f"tuple {first + index} of the record, rule {group.rule[:80]!r}: {exc}"
            note_bad(bad, Bad(group.record.offset, reason, text.encode()), room)
        else:
            if flow.outcome.denied or not denied_only:
                flows.append(flow)
    return count


def _listed(tuples: bytes) -> tuple[Iterable[tuple[int, str]], int]:
    """Index and text of every tuple of a list, and their number."""
    try:
        texts = _TEXTS.decode(tuples)
    except (msgspec.DecodeError, UnicodeDecodeError):
        items = any_list(tuples)
        texts = [clean(item) if isinstance(item, str) else json.dumps(item) for item in items]
    return enumerate(texts), len(texts)


def _begins_allowed(tuples: bytes) -> bool:
    """Whether a list can be searched for denied tuples: plain texts, and not a list of denies."""
    first = tuples.find(b'"')
    return (
        b",D" not in tuples[first : tuples.find(b'"', first + 1)]
        and b"\\" not in tuples
        and tuples.count(b'"') == 2 * count_tuples(tuples)
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


def count_tuples(tuples: bytes) -> int:
    """How many elements a JSON list has, counted without making them; 1 for what is no list."""
    try:
        return len(_ELEMENTS.decode(tuples))
    except (msgspec.DecodeError, RecursionError):
        return 1


@lru_cache(maxsize=16384)
def _nsg_outcome(rest: str) -> Outcome:
    fields = rest.split(",")
    if len(fields) != _NSG_FIELDS[0] and len(fields) < _NSG_FIELDS[1]:
        raise UnreadableError(f"{len(fields) + 4} fields")
    state = fields[4] if len(fields) >= _NSG_FIELDS[1] else ""
    if fields[3] not in _DECISIONS or state not in _NSG_STATES:
        raise UnreadableError(f"impossible decision or state {fields[3:5]}")
    return _outcome(fields, denied=_DECISIONS[fields[3]], state=state, encryption="")


@lru_cache(maxsize=16384)
def _v4_outcome(rest: str) -> Outcome:
    fields = rest.split(",")
    if len(fields) < _V4_FIELDS:
        raise UnreadableError(f"{len(fields) + 4} fields")
    if fields[3] not in _V4_STATES:
        raise UnreadableError(f"impossible state {fields[3]!r}")
    return _outcome(fields, denied=fields[3] == "D", state=fields[3], encryption=fields[4])


def _outcome(fields: list[str], *, denied: bool, state: str, encryption: str) -> Outcome:
    if fields[2] not in _DIRECTIONS:
        raise UnreadableError(f"impossible direction {fields[2]!r}")
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
    raise UnreadableError(f"impossible {what} {text[:40]!r}")


def _time_ms(text: str) -> int:
    if len(text) in _USUAL_TIMES and text.isdigit() and text.isascii():
        number = int(text)
        return number if number >= _MILLISECONDS_FROM else number * 1000
    number = _number(text, _LONG, "time")
    milliseconds = number if number >= _MILLISECONDS_FROM else number * 1000
    if milliseconds > _LAST_TIME_MS:
        raise UnreadableError(f"impossible time {text!r}")
    return milliseconds


@lru_cache(maxsize=_PORTS)
def _port(text: str) -> int | None:
    return _number(text, _PORTS, "port") if text else None


def _counter(text: str) -> int | None:
    return _number(text, _LONG, "counter") if text else None


def _protocol(text: str) -> str:
    return _PROTOCOLS.get(text) or str(_number(text, _NUMBERED_PROTOCOLS, "protocol"))
