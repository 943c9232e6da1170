"""Which hours digests look at besides those that their last run read. Pure."""

from datetime import UTC, datetime


def floor(seconds: float) -> datetime:
    """The hour that a time is in."""
    return datetime.fromtimestamp(seconds, UTC).replace(minute=0, second=0, microsecond=0)


def watch_from(now: float) -> datetime:
    """Logs of hours before this one must be marked as watched before they are delivered."""
    return floor(now - 3600)
