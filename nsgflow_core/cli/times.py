"""Times as they are given on the command line."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from nsgflow_core.cli.clock import noted
from nsgflow_core.cli.clock_words import date_of, in_figures, in_numbers
from nsgflow_core.errors import BadInputError

HOUR = timedelta(hours=1)
_UNIT = "s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?"
_LENGTH = rf"\d{{1,6}}(?:\.\d{{1,6}})? ?(?:{_UNIT})"
_AGO = re.compile(rf"-?{_LENGTH}(?:(?:,? and |,? )?{_LENGTH})*(?: ago)?", re.IGNORECASE | re.ASCII)
_PIECE = re.compile(r"(\d+(?:\.\d+)?) ?([smhdw])", re.IGNORECASE | re.ASCII)
_EPOCH = re.compile(r"\d{9,10}|\d{12,13}", re.ASCII)
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?(?P<zone>Z|[+-]\d\d:\d\d)?", re.IGNORECASE | re.ASCII)
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


def moment(
    text: str, now: datetime, *, utc: bool = False, late: bool = False, ahead: bool = False
) -> datetime:
    """A time in UTC.

    ISO 8601; how long ago (`90s`, `30m`, `1h30m`, `1.5h`, `5 min`, `half an hour ago`, `3 days`,
    `the last hour`, with - or now- before it or not); a time of day (`14:00`, `9:30pm`, `noon`,
    `midnight`), of a day or not (`yesterday 22:30`, `monday 9am`, `Nov 23 14:00`,
    `2026-11-25 9:00`), with its zone or without (`14:00 UTC`, `14:00+01:00`); `now` or a day; or
    seconds or milliseconds since the epoch.
    A time or weekday is the last one that was, or where one looks `ahead` the next one.

    What names no zone is local, or of UTC. Where clocks are put back, an hour comes twice: the
    first is meant, or the second where the time is `late`, so that a span has both.

    Raises:
        BadInputError: it is none of these.
    """
    given = in_numbers(" ".join(text.split()))
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
        raise BadInputError(f"{text!r} is too long ago: flow logs begin in 2017") from exc
    if given.lower() == "now":
        return now
    day, clock = in_figures(given)
    try:
        if day or _CLOCK.fullmatch(clock):
            return _nearest(day, clock, now, ahead=ahead, utc=utc, late=late)
        return _in_utc(datetime.fromisoformat(given), utc=utc, late=late)
    except (ValueError, OverflowError) as exc:
        raise BadInputError(
            f"{text!r} is no time: give one such as 14:00, 'monday 9am', 'Nov 23 14:00' or "
            "2026-11-23T08:00 "
            "(with Z behind it for UTC), or how long ago, such as 2h or 1h30m"
        ) from exc


def _nearest(
    day: str, clock: str, now: datetime, *, ahead: bool, utc: bool, late: bool
) -> datetime:
    """A time of day, in 24 hours, that may come again: the last one, or the next one."""
    found = _CLOCK.fullmatch(clock)
    zone: tzinfo | None = UTC if utc else None
    if not day and found is not None and found["zone"]:
        zone = datetime.fromisoformat(f"2000-01-01T00:00{found['zone'].upper()}").tzinfo
    on, again = date_of(day, now.astimezone(zone).date(), ahead=ahead)
    at = _in_utc(_joined(on, clock), utc=utc, late=late)
    if again and (at <= now if ahead else at > now):
        other = on + again if ahead else on - again
        return _in_utc(_joined(other, clock), utc=utc, late=late)
    return at


def _joined(day: date, clock: str) -> datetime:
    """A time of that day, in 24 hours; its beginning where none is named."""
    padded = f"0{clock}" if clock[1:2] == ":" else clock
    return datetime.fromisoformat(f"{day}T{padded.upper() or '00:00'}")


def _in_utc(read: datetime, *, utc: bool, late: bool) -> datetime:
    """A time as read, in UTC; the zone that it does not name is the machine's, or UTC."""
    if read.tzinfo is None and not utc:
        # Not by `astimezone`: Python 3.11's takes an hour that clocks leave out for another one.
        return datetime.fromtimestamp(read.replace(fold=int(late)).timestamp(), UTC)
    return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)


def duration(text: str) -> timedelta:
    """How long: `90s`, `30m`, `1h30m`, `3d`, `1w`.

    Raises:
        BadInputError: it is none of these.
    """
    now = datetime.now(UTC)
    if not _AGO.fullmatch(in_numbers(" ".join(text.split()))) or text.strip().startswith("-"):
        raise BadInputError(f"{text!r} is no length of time: give one such as 30m, 2h or 3d")
    return now - moment(text, now)


def span(
    since: str | None, until: str | None, hours: int, now: datetime, *, utc: bool = False
) -> Span:
    """The time asked for; `hours` long where only its end is given.

    Raises:
        BadInputError: it is empty, or an end of it is no time.
    """
    end = moment(until, now, utc=utc, late=True) if until else now
    start = moment(since, now, utc=utc) if since else end - hours * HOUR
    if start >= end:
        raise BadInputError(
            f"the time range is empty: it would begin at {noted(start, seconds=True)} and end at "
            f"{noted(end, seconds=True)}; give --since a time before --until"
        )
    return Span(start, end)
