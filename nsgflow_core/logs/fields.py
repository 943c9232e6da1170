"""The fields of many tuples, taken apart at once: a column of each, judged as a whole.

A column costs a fraction of what the same fields cost tuple by tuple, as long as all of it is as
Azure writes it. Where anything is unusual there are no columns, and whoever asked reads the
tuples one by one, which tells what is wrong with which.
"""

from collections.abc import Sequence
from itertools import chain, count, repeat
from socket import AF_INET, inet_pton

import msgspec

from nsgflow_core.estate import addresses
from nsgflow_core.model import (
    MILLISECONDS_FROM,
    PROTOCOLS,
    Counter,
    Port,
    Time,
)

FIELDS = 13
V1_COMMAS = 7
TOGETHER = 512
"""Tuples taken apart at once: enough that a column's own cost does not count, few enough for the
processor's cache."""
PROTOCOL_CODES = frozenset((*PROTOCOLS, *map(str, range(256))))
DECISIONS = frozenset("AD")
NSG_STATES = frozenset(("", "B", "C", "E", "D"))
V4_STATES = frozenset("BCED")
DIRECTIONS = frozenset("IO")
_END = "\0"
"""Stands between two tuples, as a field of its own."""
_ODD = " \t\n\r-"
"""What else a JSON list of whole numbers that are not negative may hold: white space, and -0."""
_SECONDS = 10
"""Digits of a time in seconds, up to the year 2286."""
_OF_SECONDS = 1000 * MILLISECONDS_FROM
"""Below it are the milliseconds that were made of seconds."""
_SAMPLED, _TURNS = 31, count()
"""One address in so many is looked at, others each time: where none comes again, to remember each
would cost more than it saves elsewhere."""
_MOST_KNOWN = 16384
_KNOWN: dict[str, str] = {}
"""The canonical form of addresses that were seen, a limited number."""
_KINDS = bytes(
    ord("0") if chr(byte) in "0123456789" else byte if chr(byte) == "," else ord("x")
    for byte in range(256)
)
"""What a byte of counters is: a digit, a comma, or something else."""
_LONG, _ELSE = b"0" * 19, b"x"
"""A number of so many digits may be above 2^63, and no shorter one is."""
_NOTHING = frozenset(("", "0"))
"""What the counters of a denied flow are."""
_INTS = msgspec.json.Decoder(list[int])
_TIMES = msgspec.json.Decoder(list[Time])
_PORTS = msgspec.json.Decoder(list[Port])
_COUNTERS = msgspec.json.Decoder(list[Counter])


class Fields(msgspec.Struct, gc=False):
    """The fields of tuples, in their order: a list of each.

    Times are as written and not judged. Addresses are canonical. `numbers` are ports and counters
    as written, without zeros in front and "" where there is none.
    """

    times: Sequence[str]
    src: Sequence[str]
    dst: Sequence[str]
    protocol_code: Sequence[str]
    direction_code: Sequence[str]
    decision: Sequence[str]
    detail: Sequence[str]
    numbers: Sequence[Sequence[str]]


def fields_of(texts: Sequence[str], *, vnet: bool) -> Fields | None:
    """The fields of tuples of one kind of log; None where anything in them is unusual."""
    columns = _columns(texts, vnet=vnet) if _END not in "".join(texts) else None
    if columns is None:
        return None
    times, src, dst, src_port, dst_port, protocol, direction, decision, detail, *counters = columns
    if not _are_known(protocol, direction, decision, detail, vnet=vnet):
        return None
    try:
        src, dst = _addresses(src), _addresses(dst)
        _judge([*src_port, *dst_port], _PORTS)
        _judge_counters(counters)
    except (ValueError, OSError):  # msgspec's are ValueErrors, too
        return None
    numbers = (src_port, dst_port, *counters)
    return Fields(times, src, dst, protocol, direction, decision, detail, numbers)


def times_of(written: Sequence[str]) -> Sequence[int] | None:
    """Times in milliseconds, of seconds or milliseconds as written; None where one is unusual."""
    seconds = len(written[0]) == _SECONDS
    # Made milliseconds as text, which costs less than to multiply each.
    text = f"{'000,'.join(written)}000" if seconds else ",".join(written)
    try:
        found = _whole(text, _TIMES)
    except ValueError:
        return None
    usual = max(found) < _OF_SECONDS if seconds else min(found, default=0) >= MILLISECONDS_FROM
    return found if usual and len(found) == len(written) else None


def _columns(texts: Sequence[str], *, vnet: bool) -> list[list[str]] | None:
    """The fields of texts of 13 fields, or as many as version 1 has; None where one has others."""
    between = f",{_END},"
    stride, ends = FIELDS + 1, [_END] * (len(texts) - 1)
    flat = between.join(texts).split(",")
    if len(flat) != stride * len(texts) - 1 and not vnet:
        flat = between.join(
            [f"{text},,,,," if text.count(",") == V1_COMMAS else text for text in texts]
        ).split(",")
    # So many ends in so many fields, each where it should be: no tuple is longer or shorter.
    if len(flat) != stride * len(texts) - 1 or flat[FIELDS::stride] != ends:
        return None
    return [flat[at::stride] for at in range(FIELDS)]


def _are_known(
    protocols: Sequence[str],
    directions: Sequence[str],
    decisions: Sequence[str],
    details: Sequence[str],
    *,
    vnet: bool,
) -> bool:
    if not (PROTOCOL_CODES.issuperset(protocols) and DIRECTIONS.issuperset(directions)):
        return False
    if vnet:
        return V4_STATES.issuperset(decisions)
    return DECISIONS.issuperset(decisions) and NSG_STATES.issuperset(details)


def _addresses(column: list[str]) -> list[str]:
    """Addresses in canonical form; those that come again are the same texts, which saves memory.

    Raises:
        ValueError, OSError: one is none.
    """
    if _are_alike(column):  # the end that is the network interface's own
        return [addresses.canonical(column[0])] * len(column)
    try:
        return list(map(_KNOWN.__getitem__, column))
    except KeyError:
        pass
    found = column
    try:
        all(map(inet_pton, repeat(AF_INET), column))
    except OSError:  # not of version 4
        found = list(map(addresses.canonical, column))
    # Who is denied tries again: where most of some are known, all will be, else only those.
    some = slice(next(_TURNS) % _SAMPLED, None, _SAMPLED)
    known = sum(map(_KNOWN.__contains__, column[some]))
    most = slice(None) if 4 * known > 3 * len(column[some]) else some
    if len(_KNOWN) > _MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN.update(zip(column[most], found[most], strict=True))
    return found


def _are_alike(column: Sequence[str]) -> bool:
    return column[0] == column[-1] and column.count(column[0]) == len(column)


def _judge(column: Sequence[str], decoder: msgspec.json.Decoder[list[int]]) -> None:
    """See that these are numbers within the decoder's bounds, or nothing.

    Raises:
        ValueError: one is something else, or has zeros in front, which JSON does not allow.
    """
    text = ",".join(column)
    try:
        _whole(text, decoder)
    except ValueError:
        if "" not in column:
            raise
        _whole(",".join(filter(None, column)), decoder)


def numbers_of(column: Sequence[str]) -> list[int | None]:
    """A column of ports or counters as numbers, None where there is none."""
    if "" not in column:
        return _INTS.decode(f"[{','.join(column)}]")  # type: ignore[return-value]  # a list of its own
    return [int(text) if text else None for text in column]


def _judge_counters(columns: Sequence[list[str]]) -> None:
    """The same of counters, which are many, and most far below their bound: none becomes a number.

    Raises:
        ValueError: as for `_judge`.
    """
    columns = [each for each in columns if each[0] not in _NOTHING or not _are_alike(each)]
    text = f",{','.join([','.join(column) for column in columns])},"
    # Of several zeros in a row the first look finds every other one.
    if ",0" in text and ",0" in text.replace(",0,", ",,").replace(",0,", ",,"):
        raise ValueError
    kinds = text.encode().translate(_KINDS)
    if _ELSE in kinds:
        raise ValueError
    if _LONG in kinds:
        _judge(list(chain(*columns)), _COUNTERS)


def _whole(text: str, decoder: msgspec.json.Decoder[list[int]]) -> list[int]:
    if any(mark in text for mark in _ODD):
        raise ValueError
    return decoder.decode(f"[{text}]")
