"""Times as they are shown: local to whoever sits before a terminal, UTC in files and pipes."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from nsgflow_core.model import flow_time

Clock = Callable[[int], str]
"""Makes a text of a time in milliseconds since the epoch."""


def clock(*, utc: bool = False, milliseconds: bool = False) -> Clock:
    """How the times of flows are shown on stdout: each with its offset from UTC."""
    if utc or not sys.stdout.isatty():
        return flow_time
    return local_time if milliseconds else local_second


def text_clock(*, utc: bool = False) -> Callable[[str], str]:
    """How times are shown on stdout that are there as ISO 8601, as `clock` shows those of flows."""
    if utc or not sys.stdout.isatty():
        return str
    return _local_text


def _local_text(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return local_second(int(moment.timestamp() * 1000)) if moment.tzinfo else text


def local_time(milliseconds: int) -> str:
    """A time in the machine's time zone, to the millisecond."""
    seconds, rest = divmod(milliseconds, 1000)
    text, offset = _local(seconds)
    return f"{text}.{rest:03d}{offset}"


def local_second(milliseconds: int) -> str:
    """A time in the machine's time zone, to the second."""
    return "".join(_local(milliseconds // 1000))


@lru_cache(maxsize=4096)
def _local(seconds: int) -> tuple[str, str]:
    """A second since the epoch, and its offset from UTC."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    except (OverflowError, OSError, ValueError):  # a year that some platforms do not know
        return flow_time(seconds * 1000)[:19].replace("T", " "), "Z"
    offset = moment.isoformat()[19:]
    return moment.isoformat(" ")[:19], "Z" if offset == "+00:00" else offset
