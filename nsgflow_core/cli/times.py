"""Times as they are given on the command line."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from nsgflow_core.errors import BadInputError

HOUR = timedelta(hours=1)
_AGO = re.compile(r"-?(?:\d{1,6}(?:\.\d{1,6})?[smhdw])+(?: ago)?", re.IGNORECASE | re.ASCII)
_PIECE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.IGNORECASE | re.ASCII)
_EPOCH = re.compile(r"\d{9,10}|\d{12,13}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}:\d\d(?::\d\d)?)Z?", re.IGNORECASE | re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MARGIN = timedelta(minutes=2)
"""Azure writes a tuple up to a minute or so after its time, so it may lie in a neighbour hour."""


@dataclass(frozen=True, slots=True)
class Span:
    """Flows from `since` until before `until`, both in UTC."""

    since: datetime
    until: datetime

    def hours(self) -> list[datetime]:
        """The hours whose logs can hold such flows, the oldest first."""
        hour = floor(self.since - _MARGIN)
        last = floor(self.until + _MARGIN)
        hours = []
        while hour <= last:
            hours.append(hour)
            hour += HOUR
        return hours

    def milliseconds(self) -> tuple[int, int]:
        """Both ends since the epoch."""
        return round(self.since.timestamp() * 1000), round(self.until.timestamp() * 1000)


def floor(moment: datetime) -> datetime:
    """The hour that a moment lies in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def moment(text: str, now: datetime) -> datetime:
    """A time in UTC.

    ISO 8601; how long ago (`90s`, `30m`, `1h30m`, `1.5h`, `3d`, `1w`, with - before it or not);
    a time of the last 24 hours (`14:00`); `now`, `today`, `yesterday`; or seconds or milliseconds
    since the epoch.

    Raises:
        BadInputError: it is none of these.
    """
    given = text.strip()
    try:
        if _AGO.fullmatch(given):
            pieces = _PIECE.findall(given)
            return now - sum(
                (timedelta(**{_UNITS[unit.lower()]: float(count)}) for count, unit in pieces),
                timedelta(),
            )
        if _EPOCH.fullmatch(given):
            return datetime.fromtimestamp(float(given) / (1000 if len(given) > 11 else 1), UTC)  # noqa: PLR2004 - seconds have 10 digits
    except (OverflowError, OSError, ValueError) as exc:
        raise BadInputError(f"{text!r} is too long ago") from exc
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    words = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if given.lower() in words:
        return words[given.lower()]
    if found := _CLOCK.fullmatch(given):
        return _clock(found[1], text, now)
    try:
        read = datetime.fromisoformat(given)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise BadInputError(
            f"{text!r} is no time: give one such as 2026-11-23T08:00 or 14:00 (UTC), or how long "
            "ago, such as 2h or 1h30m"
        ) from exc


def duration(text: str) -> timedelta:
    """How long: `90s`, `30m`, `1h30m`, `3d`, `1w`.

    Raises:
        BadInputError: it is none of these.
    """
    now = datetime.now(UTC)
    if not _AGO.fullmatch(text.strip()) or text.strip().startswith("-"):
        raise BadInputError(f"{text!r} is no length of time: give one such as 30m, 2h or 3d")
    return now - moment(text, now)


def _clock(clock: str, text: str, now: datetime) -> datetime:
    """The last time that it was so late, in UTC."""
    try:
        of_day = time.fromisoformat(clock.zfill(5))
    except ValueError as exc:
        raise BadInputError(f"{text!r} is no time of day") from exc
    found = datetime.combine(now.date(), of_day, UTC)
    return found if found <= now else found - timedelta(days=1)


def span(since: str | None, until: str | None, hours: int, now: datetime) -> Span:
    """The time asked for; `hours` long where only its end is given.

    Raises:
        BadInputError: it is empty, or an end of it is no time.
    """
    end = moment(until, now) if until else now
    start = moment(since, now) if since else end - hours * HOUR
    if start >= end:
        raise BadInputError(
            f"the time range is empty: it would begin at {start:%Y-%m-%dT%H:%M:%SZ} and end at "
            f"{end:%Y-%m-%dT%H:%M:%SZ}"
        )
    return Span(start, end)
