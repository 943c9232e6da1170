"""What is left of a blob behind its last record: its closing, a record not whole yet, or no log.

`records.split` leaves what may still become a record. Here it is judged once the end of the blob
has been read: what can never become one is bad at once, and what is cut short is bad as soon as
the blob is not written any more.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from nsgflow_core.logs.records import behind_nothing
from nsgflow_core.model import Bad

LAST_UPDATE = timedelta(hours=1, minutes=10)
"""So long after its hour began a log may still be written: its last update comes after the hour
(https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview has a blob an hour)."""

_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*(\{\s*"records"\s*:\s*\[)?')
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_SHOWN = 256
"""Bytes of what is no log that are kept, to see what it is."""
HEAD_BYTES = 64
"""Bytes at the beginning of a blob that tell a log by its opening."""

NO_LOG, CUT_OFF = "no flow log: ", "cut off"
"""How the reasons of `leftover` begin."""


class Ending(msgspec.Struct, frozen=True):
    """How a blob ends: `bad` is what is said of it, `state` whether more may come.

    `waiting` is a log cut short whose hour is not over: it must be looked at again.
    """

    state: Literal["whole", "waiting", "cut", "none"]
    bad: Bad | None = None


def ending(head: bytes, rest: bytes, at: int, *, over: bool) -> Ending:
    """Judge the end of a blob as `leftover` does, and whether it must be judged again."""
    bad = leftover(head, rest, at, over=True)
    if bad is None:
        return Ending("whole")
    if not bad.reason.startswith(CUT_OFF):
        return Ending("none", bad)
    return Ending("cut", bad) if over else Ending("waiting")


def is_over(hour: datetime, now: datetime | None = None) -> bool:
    """Whether the log of an hour is not written any more."""
    return (now or datetime.now(UTC)) >= hour + LAST_UPDATE


def leftover(head: bytes, rest: bytes, at: int, *, over: bool) -> Bad | None:
    """Judge the bytes from offset `at`, where no record begins any more, to the end of a blob.

    `head` are the first bytes of the blob, `over` says that it is not written any more. None
    where all is well, or may still become so.
    """
    found = _HEAD.match(rest) if at == 0 else None
    begin = behind_nothing(rest, found.end() if found else 0)
    piece = rest[begin : begin + _SHOWN]
    if not piece:
        opened = _HEAD.match(head)
        if over and opened is not None and opened[1] and b"]" not in rest:
            return Bad(at, f"{CUT_OFF}: the log has no end", rest[:_SHOWN])
        return None
    if piece[:1] not in (b"{", b"]"):
        return Bad(at + begin, _what_it_is(piece), piece)
    if over:
        return Bad(at + begin, f"{CUT_OFF} within a record", piece)
    return None


def _what_it_is(piece: bytes) -> str:
    if piece.startswith(_GZIP):
        return f"{NO_LOG}compressed with gzip"
    if piece.startswith(_PARQUET):
        return f"{NO_LOG}Parquet, which 'nsgflow sql' reads"
    if piece.startswith(b"<"):
        return f"{NO_LOG}HTML or XML"
    return f"{NO_LOG}not JSON"
