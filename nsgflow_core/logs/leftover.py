"""What is left of a blob behind its last record: its closing, a record not whole yet, or no log.

`records.split` leaves what may still become a record. Here it is judged once the end of the blob
has been read: what can never become one is bad at once, and what is cut short is bad as soon as
the blob is not written any more.
"""

import re
from datetime import UTC, datetime, timedelta

from nsgflow_core.model import Bad

LAST_UPDATE = timedelta(hours=1, minutes=10)
"""So long after its hour began a log may still be written: its last update comes after the hour
(https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview has a blob an hour)."""

_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*(\{\s*"records"\s*:\s*\[)?')
_NOTHING = re.compile(rb'(?:[\s,]|\{\s*"records"\s*:\s*\[|\]\s*\})*')
_GZIP = b"\x1f\x8b"
_SHOWN = 256
"""Bytes of what is no log that are kept, to see what it is."""


def is_over(hour: datetime, now: datetime | None = None) -> bool:
    """Whether the log of an hour is not written any more."""
    return (now or datetime.now(UTC)) >= hour + LAST_UPDATE


def leftover(head: bytes, rest: bytes, at: int, *, over: bool) -> Bad | None:
    """Judge the bytes from offset `at`, where no record begins any more, to the end of a blob.

    `head` are the first bytes of the blob, `over` says that it is not written any more. None
    where all is well, or may still become so.
    """
    begin = _end(_NOTHING, rest, _end(_HEAD, rest, 0) if at == 0 else 0)
    piece = rest[begin : begin + _SHOWN]
    if not piece:
        opened = _HEAD.match(head)
        if over and opened is not None and opened[1] and b"]" not in rest:
            return Bad(at, "cut off: the log has no end", rest[:_SHOWN])
        return None
    if piece[:1] not in (b"{", b"]"):
        return Bad(at + begin, _what_it_is(piece), piece)
    if over:
        return Bad(at + begin, "cut off within a record", piece)
    return None


def _end(pattern: re.Pattern[bytes], data: bytes, begin: int) -> int:
    found = pattern.match(data, begin)
    return found.end() if found else begin


def _what_it_is(piece: bytes) -> str:
    if piece.startswith(_GZIP):
        return "no flow log: compressed with gzip"
    if piece.startswith(b"<"):
        return "no flow log: HTML or XML"
    return "no flow log: not JSON"
