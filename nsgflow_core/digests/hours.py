"""Which hours digests look at besides those that their last run read. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_TURN_SECONDS = 600.0
"""Behind the beginning of an hour a sweep has found what was missed at the end of the last."""
_MOST_HOURS = 6


def hours_to_look(quiet: Iterable[int], now: float) -> list[datetime]:
    """The hours whose logs may tell that groups with these last flows are over.

    They are the newest ones, and those of some of the flows. An hour that has just begun waits: a
    sweep may still find something of the one before.
    """
    this = floor(now)
    asked = {this - timedelta(hours=1)}
    if now >= this.timestamp() + _TURN_SECONDS:
        asked.add(this)
    for last in sorted(quiet, reverse=True):
        if len(asked) >= _MOST_HOURS:
            break
        asked |= {min(floor(last / 1000) + timedelta(hours=more), max(asked)) for more in (0, 1)}
    return sorted(asked)


def floor(seconds: float) -> datetime:
    """The hour that a time is in."""
    return datetime.fromtimestamp(seconds, UTC).replace(minute=0, second=0, microsecond=0)


def watch_from(now: float) -> datetime:
    """Logs of hours before this one must be marked as watched before they are delivered."""
    return floor(now - 3600)
