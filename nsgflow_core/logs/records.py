"""From the bytes of a blob to its records, each with its exact byte offset.

A PT1H.json is `{"records":[` + records joined by `,` + `]}`, as Azure writes it: head and closer
in blocks of their own and a new block of records before the closer at every update
(https://learn.microsoft.com/azure/network-watcher/flow-logs-read). In the wild it is also
pretty-printed, one bare record, or has a `{"records":[…]}` where a record belongs. All of it is
read as one stream: records with openings, closings, commas and white space between them.

What is no record is told apart from what is not a whole record *yet*, and what stands around
it is not lost: reading goes on at the next place where a record begins.
"""

import json
import re
from collections.abc import Iterator

import msgspec

from nsgflow_core.model import Bad

_OPENING = rb'\{\s*"records"\s*:\s*\['
# Neither possessive nor atomic: up to Python 3.11.4 those may take a record's brace as well. Every
# turn begins with a byte of its own, so nothing is tried twice; a bound on turns bounds the memory.
_BETWEEN = re.compile(rb"(?:[\s,]+|" + _OPENING + rb"|\]\s*\}){1,1000}")
_SEPARATOR = re.compile(rb"[\s,]+")
_WRAPPED = re.compile(_OPENING)
_CLOSING = re.compile(rb"\s*\]\s*\}\s*\Z")
_CLOSING_REACH = 256
"""How far from the end of a blob its closing may begin, in bytes; pretty printers indent it."""

_RECORD_KEYS = (
    b"time|systemId|macAddress|category|resourceId|operationName|properties|records|"
    b"flowLogVersion|flowLogGUID|flowLogResourceID|targetResourceID|flowRecords"
)
RECORD_START = re.compile(rb'\{\s*"(?:' + _RECORD_KEYS + rb')"\s*:')

_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
# Numbers stay text: only the extent of a value is wanted, and a number of a million digits must
# not cost more than its bytes.
_EXTENT = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)

_TEXT_CUTS = 64
_TEXT_LEAST = 64 * 1024
_EFFORT_PER_BYTE = 8
_EFFORT_PER_TRY = 1000
_EFFORT_TOO_DEEP = 10 * _EFFORT_PER_TRY  # Python 3.13 goes ten times as deep as those before it
_LEAST_EFFORT = 100 * _EFFORT_PER_TRY
"""Bounds of the search for the next record behind bytes that are none, in bytes looked at."""


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """The JSON text of one record and the byte offset of its `{` in the blob."""

    offset: int
    data: bytes | msgspec.Raw

    @property
    def end(self) -> int:
        """The first byte behind the record."""
        return self.offset + len(memoryview(self.data))


class Stretch(msgspec.Struct, frozen=True):
    """What a stretch of a blob holds.

    `end` is the offset behind the last record or bad piece: reading goes on there. Openings,
    closings and unfinished records are not counted, since what Azure inserts next comes before
    the closing.
    """

    records: list[RawRecord]
    bad: list[Bad]
    end: int


def split(data: bytes, at: int, *, last: bool) -> Stretch:
    """Split bytes that begin at offset `at`, between two records, into records.

    `last` says that the blob ends where the bytes end. An unfinished record at the end is left
    for the next read, except where the blob has been closed behind it: then it never will be
    finished, and is bad.
    """
    return _split(data, at, last=last, nested=False)


def _split(data: bytes, at: int, *, last: bool, nested: bool) -> Stretch:
    start = _end_of(_BETWEEN, data, 0)
    if start == len(data):
        return Stretch([], [], at)
    closing = _CLOSING.search(data, max(start, len(data) - _CLOSING_REACH)) if last else None
    stop = closing.start() if closing else len(data)
    for candidate in (stop, _last_start(data, start)):
        end = before_separators(data, candidate)
        if end <= start:
            continue
        try:
            elements = _ELEMENTS.decode(b"".join((b"[", memoryview(data)[start:end], b"]")))
        except (msgspec.DecodeError, RecursionError):
            continue
        found = _located(elements, data, start, at, nested=nested)
        if candidate == stop:
            return found
        # What the last record begins may be cut short, or be more than one record.
        rest = _search(data, end, stop, at, closed=closing is not None, nested=nested)
        return Stretch(found.records + rest.records, found.bad + rest.bad, max(found.end, rest.end))
    return _search(data, start, stop, at, closed=closing is not None, nested=nested)


def before_separators(data: bytes, end: int) -> int:
    """Where the commas and the white space before `end` begin."""
    while end and data[end - 1] in b", \t\r\n":
        end -= 1
    return end


def behind_nothing(data: bytes, pos: int) -> int:
    """Where openings, closings, commas and white space end."""
    return _end_of(_BETWEEN, data, pos)


def _end_of(pattern: re.Pattern[bytes], data: bytes, pos: int) -> int:
    """Where what matches the pattern ends, however often it stands there."""
    while found := pattern.match(data, pos):
        pos = found.end()
    return pos


def _last_start(data: bytes, start: int) -> int:
    """Where the last record begins, by the way the first one does: `{"time":` or its like."""
    colon = data.find(b":", start)
    return max(data.rfind(data[start : colon + 1]), start)


def _located(
    elements: list[msgspec.Raw], data: bytes, start: int, at: int, *, nested: bool
) -> Stretch:
    records: list[RawRecord] = []
    bad: list[Bad] = []
    pos = start
    for element in elements:
        # Nearly always one comma and the brace; a match would cost more than this look.
        if data.startswith(b",{", pos):
            pos += 1
        else:
            pos = _end_of(_SEPARATOR, data, pos)
        size = len(memoryview(element))
        if _is_record(data, pos):
            records.append(RawRecord(at + pos, element))
        else:
            inner = _other(data[pos : pos + size], at + pos, nested=nested)
            records += inner.records
            bad += inner.bad
        pos += size
    return Stretch(records, bad, at + pos)


def _is_record(data: bytes, pos: int) -> bool:
    if not data.startswith(b"{", pos):
        return False
    key = data.find(b'"', pos) + 1
    return not (data.startswith(b'records"', key) and _WRAPPED.match(data, pos))


def _other(element: bytes, offset: int, *, nested: bool) -> Stretch:
    """What stands where a record belongs: records in a wrapper of their own, or no object."""
    if element.startswith(b"{") and not nested:
        return _split(element, offset, last=True, nested=True)
    what = "a JSON array, not a record" if element.startswith(b"[") else "not a JSON object"
    reason = "records nested too deep" if nested and element.startswith(b"{") else what
    return Stretch([], [Bad(offset, reason, element)], offset + len(element))


def _search(data: bytes, start: int, stop: int, at: int, *, closed: bool, nested: bool) -> Stretch:
    """Read value by value and step over what is no record; slower, for what `split` refused."""
    text = _Text(data)
    records: list[RawRecord] = []
    bad: list[Bad] = []
    end = 0
    pos = _end_of(_BETWEEN, data, start)
    while pos < stop:
        if (value_end := text.value_end(pos)) is not None:
            end = value_end
            if _is_record(data, pos):
                records.append(RawRecord(at + pos, data[pos:end]))
            else:
                inner = _other(data[pos:end], at + pos, nested=nested)
                records += inner.records
                bad += inner.bad
        else:
            following = _next_record(data, text, pos)
            if following is None and not closed:
                break
            end = following if following is not None else stop
            piece = data[pos:end].rstrip(b", \t\r\n")
            bad.append(Bad(at + pos, "not JSON, or cut short", piece))
        pos = _end_of(_BETWEEN, data, end)
    return Stretch(records, bad, at + end)


class _Text:
    """Bytes as the decoder of single values wants them: text, one character a byte.

    An error of that decoder counts the lines from the beginning of its text, which in a large
    text costs far more than the look. So the text begins anew every so often.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._begin = 0
        self._text = data.decode("latin-1")
        self._reach = max(len(data) // _TEXT_CUTS, _TEXT_LEAST)

    def decode(self, pos: int) -> int:
        """Where the value at `pos` ends.

        Raises:
            json.JSONDecodeError: there is none; its `pos` counts from `pos`.
            RecursionError: it is nested too deep.
        """
        if pos - self._begin > self._reach:
            self._begin = pos
            self._text = self._data[pos:].decode("latin-1")
        start = pos - self._begin
        try:
            return self._begin + _EXTENT.raw_decode(self._text, start)[1]
        except json.JSONDecodeError as exc:
            exc.pos -= start
            raise

    def value_end(self, pos: int) -> int | None:
        """Where the value at `pos` ends, None when there is none."""
        try:
            return self.decode(pos)
        except (ValueError, RecursionError):
            return None


def _next_record(data: bytes, text: _Text, pos: int) -> int | None:
    """Where the next whole record begins behind `pos`, None when none is in sight."""
    effort = _EFFORT_PER_BYTE * len(data) + _LEAST_EFFORT
    for start in _starts(data, pos + 1):
        try:
            text.decode(start)
        except json.JSONDecodeError as exc:
            effort -= exc.pos
        except RecursionError:
            effort -= _EFFORT_TOO_DEEP
        else:
            return start
        effort -= _EFFORT_PER_TRY
        if effort < 0:
            return None
    return None


def _starts(data: bytes, pos: int) -> Iterator[int]:
    return (found.start() for found in RECORD_START.finditer(data, pos))
