"""Records as Azure writes them, found and decoded in one pass.

`records.split` reads every byte to find where a record ends, and whoever wants its content reads
it again. But all records of a log begin alike (`{"time":"2026-…`), so a search for the next such
beginning cuts the bytes into pieces, and decoding tells whether each piece is one whole record.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from nsgflow_core.logs.records import (
    RECORD_START,
    RawRecord,
    before_separators,
    behind_nothing,
    split,
)

_COMMA, _OPENED, _CLOSED = b",{}"
_MARK = 20
"""Bytes of a record's start to search for; the longer, the faster a search is."""
_BRACES = 32
"""So many braces are looked at for the start of a record; where more stand it is searched for."""
_TOGETHER = 64 * 1024
"""Bytes decoded at once, unless a record has more: few enough for the processor's cache."""
_TRIES = (True, _TOGETHER), (False, _TOGETHER), (False, 0)

_Document = TypeVar("_Document")
Decode = Callable[[Sequence[memoryview]], Sequence[_Document]]
"""Makes a document of each of some pieces; raises a DecodeError where one is not one document."""
Bounds = list[tuple[int, int]]
"""Begin and end of each of some pieces."""


def alike(data: bytes, decode: Decode[_Document]) -> Iterator[tuple[Bounds, Sequence[_Document]]]:
    """Begin, end and document of each record, some at a time: small ones are decoded together.

    They are the records that `split` would find: a beginning that stands inside a record, or one
    that was missed, leaves pieces that do not decode.

    It ends, for good, before the first piece that does not decode: `split` reads the rest. So it
    yields nothing for records that begin otherwise than the known keys say, and stops at one that
    begins otherwise than the first, at whatever is wrapped, cut short, or no record, and at values
    of unexpected types.
    """
    begin = behind_nothing(data, 0)
    start = RECORD_START.match(data, begin)
    if start is None or b'"records"' in start[0]:
        return
    mark = data[begin : begin + max(start.end() - begin, _MARK)]
    view = memoryview(data)
    # A stride too far shows (two records are not one), and among several pieces one that does not
    # decode hides the others: each is given up for good where it may be at fault.
    for strides, together in _TRIES:
        length = 1 if strides else 0
        while begin >= 0:
            bounds, following = _pieces(data, mark, begin, together, length)
            try:
                documents = decode([view[first:end] for first, end in bounds])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                break
            yield bounds, documents
            begin = following
            if strides:
                length = bounds[-1][1] - bounds[-1][0]


def _pieces(data: bytes, mark: bytes, begin: int, together: int, length: int) -> tuple[Bounds, int]:
    """Pieces of so many bytes, at least one, and where the next begins; below 0 where none does.

    All end with a brace if they are several. So to join them otherwise than with commas leaves
    no JSON where one of them begins inside a record. The next record is about as long as `length`
    says, where it is not 0.
    """
    bounds: Bounds = []
    find, is_at = data.find, data.startswith
    stop = len(data) - 2 if data.endswith(b"]}") else len(data)
    enough = begin + together
    strides = length > 0
    stride = length * 3 // 4 or 1
    while True:
        # Most records are about as long as the one before: begin the search for the end not far
        # from where that one had it. Few braces stand there, and one character is found in a tenth
        # of the time that many are.
        near = begin + stride
        for _ in range(_BRACES):
            following = find(_OPENED, near, stop)
            if following < 0 or is_at(mark, following):
                break
            near = following + 1
        else:
            following = find(mark, near, stop)
        if following > 0 and data[following - 1] == _COMMA and data[following - 2] == _CLOSED:
            end = following - 1
        else:
            end = before_separators(data, following if following > 0 else stop)
            if data[end - 1] != _CLOSED:
                return (bounds, begin) if bounds else ([(begin, end)], following)
        bounds.append((begin, end))
        if following < 0 or following >= enough:
            return bounds, following
        if strides:
            stride = (end - begin) * 3 // 4
        begin = following


def around(data: bytes, at: int) -> RawRecord | None:
    """The whole record that holds a byte, by its place in these bytes; None where none is plain.

    The bytes begin between two records. It is cut out by what the first one begins with.
    """
    start = RECORD_START.match(data, behind_nothing(data, 0))
    if start is None:
        return None
    begin = data.rfind(start[0], 0, at)
    following = data.find(start[0], at)
    piece = data[begin : following if following > 0 else len(data)]
    found = split(piece, begin, last=False).records
    return next((each for each in found if each.offset <= at < each.end), None)
