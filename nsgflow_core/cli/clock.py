"""Times as they are shown: local to whoever sits before a terminal, UTC in files and pipes.

Each says its offset from UTC. `session` tells whether --utc was given; whatever shows a time asks
here, so that all commands show them alike.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

Clock = Callable[[int], str]
"""Makes a text of a time in milliseconds since the epoch."""

_GIVEN = {"--utc": False}
"""Not by thread or context: a command has one, and its threads show times, too."""


@contextmanager
def asked(*, utc: bool) -> Iterator[None]:
    """Meanwhile times are as --utc says, where it was given."""
    before, _GIVEN["--utc"] = _GIVEN["--utc"], utc
    try:
        yield
    finally:
        _GIVEN["--utc"] = before


def clock(*, milliseconds: bool = False) -> Clock:
    """How the times of flows are shown on stdout."""
    if not _is_local(sys.stdout):
        return _flow_time()
    return local_time if milliseconds else local_second


def text_clock(*, milliseconds: bool = False) -> Callable[[str], str]:
    """How times are shown on stdout that are there as ISO 8601, as `clock` shows those of flows.

    What is no time stays as it is.
    """
    if not _is_local(sys.stdout):
        return str
    times = clock(milliseconds=milliseconds)
    return lambda text: _local_text(text, times)


def shown_time(moment: datetime, *, seconds: bool = False) -> str:
    """A moment in a sentence on stdout, to the minute or the second."""
    return _said(moment, sys.stdout, seconds=seconds)


def noted(moment: datetime, *, seconds: bool = False) -> str:
    """A moment in a note or an error, on stderr, to the minute or the second."""
    return _said(moment, sys.stderr, seconds=seconds)


def note_clock() -> Clock:
    """How times are shown on stderr, to the millisecond."""
    return local_time if _is_local(sys.stderr) else _flow_time()


def _flow_time() -> Clock:
    from nsgflow_core.model import flow_time  # noqa: PLC0415 - help needs none of the model

    return flow_time


def _is_local(stream: TextIO | None) -> bool:
    return not _GIVEN["--utc"] and stream is not None and stream.isatty()


def _said(moment: datetime, stream: TextIO | None, *, seconds: bool) -> str:
    if _is_local(stream):
        text, offset = _local(int(moment.timestamp()))
    else:
        text, offset = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "Z"
    return f"{text if seconds else text[:-3]}{offset}"


def _local_text(text: str, times: Clock) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return times(int(moment.timestamp() * 1000)) if moment.tzinfo else text


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
        return _flow_time()(seconds * 1000)[:19].replace("T", " "), "Z"
    offset = moment.isoformat()[19:]
    return moment.isoformat(" ")[:19], "Z" if offset == "+00:00" else offset
