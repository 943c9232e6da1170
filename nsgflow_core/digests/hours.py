"""Which hours digests look at besides those that their last run read. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_TURN_SECONDS = 600.0
"""Behind the beginning of an hour a sweep has found what was missed at the end of the last."""
_MOST_HOURS = 6
HOUR_MS = 3_600_000


def hours_to_look(lasts: Iterable[int], now: float) -> list[datetime]:
    """The hours whose logs may tell that groups are over.

    They are the newest ones, and those in which logs had the groups last, in hours since the epoch.
    An hour that has just begun waits: a sweep may still find something of the one before.
    """
    this = floor(now)
    asked = {this - timedelta(hours=1)}
    if now >= this.timestamp() + _TURN_SECONDS:
        asked.add(this)
    newest = max(asked)
    for last in sorted(lasts, reverse=True):
        hour = datetime.fromtimestamp(last * 3600, UTC)
        asked |= {min(hour + timedelta(hours=more), newest) for more in (0, 1)}
        if len(asked) >= _MOST_HOURS:
            break
    return sorted(asked)


def floor(seconds: float) -> datetime:
    """The hour that a time is in."""
    return datetime.fromtimestamp(seconds, UTC).replace(minute=0, second=0, microsecond=0)


def watch_from(now: float) -> datetime:
    """Logs of hours before this one must be marked as watched before they are delivered."""
    return floor(now - 3600)
