"""Times as they are given on the command line."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nsgflow_core.errors import BadInputError

HOUR = timedelta(hours=1)
_AGO = re.compile(r"(\d{1,6})([smhdw])", re.IGNORECASE)
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
    """A time in UTC: ISO 8601, or how long ago, for example `90s`, `30m`, `2h`, `3d`, `1w`.

    Raises:
        BadInputError: it is neither.
    """
    if found := _AGO.fullmatch(text.strip()):
        ago = timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
        try:
            return now - ago
        except OverflowError as exc:
            raise BadInputError(f"{text!r} is too long ago") from exc
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise BadInputError(
            f"{text!r} is no time: give one such as 2026-11-23T08:00, or how long ago, such as 2h"
        ) from exc
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


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
