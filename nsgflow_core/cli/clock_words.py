"""Times of day and days as people say them, in the figures that `times` reads."""

import re
from datetime import date, timedelta

from nsgflow_core.errors import BadInputError

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEAR = {"today": 0, "yesterday": -1, "tomorrow": 1}
_SHORT = {"tues": "tuesday", "thur": "thursday", "thurs": "thursday"}
_NAMES = {name: name for name in _WEEKDAYS} | {name[:3]: name for name in _WEEKDAYS} | _SHORT
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_MONTH = rf"(?:{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)}|sept)\.?"
_OF_MONTH = r"\d{1,2}(?:st|nd|rd|th|\.)?"
_DATE = rf"(?:{_MONTH} {_OF_MONTH}|{_OF_MONTH} (?:of )?{_MONTH})"
_YEAR = r"20\d\d"
_DAY = (
    rf"{'|'.join(_NEAR)}|\d{{4}}-\d\d-\d\d|(?:(?:last|this|next) )?(?:{'|'.join(_NAMES)})"
    rf"|{_DATE}(?:,? {_YEAR})?|{_YEAR} {_DATE}"
)
_FIRST = re.compile(rf"(?P<day>{_DAY})(?:[ ,t]+(?:at )?(?P<clock>.+))?", re.ASCII)
_LAST = re.compile(rf"(?:at )?(?P<clock>.+?),? (?:on )?(?P<day>{_DAY})", re.ASCII)
_TWELVE = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))? ?([ap])\.?m\.?", re.ASCII)
_ZONE = re.compile(r"(?P<clock>.*?) ?(?P<zone>z|utc|gmt|[+-]\d\d:?\d\d)", re.ASCII)
_SLASHED = re.compile(r"(20\d\d)/(\d{1,2})/(\d{1,2})(?!\d)", re.ASCII)
_BARE = re.compile(r"[01]?\d|2[0-3]", re.ASCII)
_NO_ISO_DATE = re.compile(r"\d{1,2}(?:/\d{1,2}(?:/\d+)?|[.-]\d{1,2}[.-]\d+)(?: .*)?", re.ASCII)
_VAGUE = re.compile(r".*\b(?:night|tonight|morning|afternoon|evening)\b.*", re.ASCII)
_PERIOD = re.compile(
    r"(?:the )?(?:past|last|this|next) (?:week|month|year|weekend|hour|day)", re.ASCII
)
_UNTIL_NOW = re.compile(
    r"now ?- ?(?=\d)|(?:the )?(?:last|past) (?:(?=\d|an? |half )|(?P<one>(?:minute|hour)$))",
    re.IGNORECASE | re.ASCII,
)
"""What stands before a length that ends now; the last hour or minute is one of them."""
_ONE = re.compile(r"\b(half )?an? (?=(?:second|minute|hour|day|week)\b)", re.IGNORECASE)
_HALF = 12


def in_numbers(text: str) -> str:
    """A length with numbers: `half an hour` is 0.5 hour, `a day` 1 day, `the last hour` 1 hour."""
    bare = _UNTIL_NOW.match(text)
    if bare is not None:
        text = f"1 {bare['one']}" if bare["one"] else text[bare.end() :]
    return _ONE.sub(lambda found: "0.5 " if found[1] else "1 ", text)


def in_figures(text: str) -> tuple[str, str]:
    """A day (`today`, `monday`, `2026-11-25`, or "") and a time of it in 24 hours, or "".

    The time ends with its zone (`z`, `+01:00`) where it names one.

    What is written otherwise is not taken apart, and stands as a time.

    Raises:
        BadInputError: it may mean one thing or another.
    """
    said = " ".join(text.lower().split())
    said = _SLASHED.sub(lambda date: f"{date[1]}-{date[2]:0>2}-{date[3]:0>2}", said)
    if _BARE.fullmatch(said):
        raise BadInputError(
            f"{text!r} may be a time of day or a length: say {said}:00 or {said}am, or {said}m or "
            f"{said}h for how long ago"
        )
    if _NO_ISO_DATE.fullmatch(said):
        raise BadInputError(
            f"{text!r} may begin with the day or with the month: say a date as 2026-11-23"
        )
    if _VAGUE.fullmatch(said):
        raise BadInputError(
            f"{text!r} begins when whoever says it thinks: say 'yesterday 22:00', or another hour"
        )
    if _PERIOD.fullmatch(said):
        raise BadInputError(
            f"{text!r} may be of one week or another: say 7d, or a date such as 2026-11-23"
        )
    found = _FIRST.fullmatch(said) or _LAST.fullmatch(said)
    if found is None:
        return "", _clock(said.removeprefix("at "), text, day="")
    day, clock = found["day"], found["clock"] or ""
    which, _, name = day.rpartition(" ")
    if which in ("last", "this", "next"):
        raise BadInputError(
            f"{text!r} may be of one week or another: say {name}, which is the nearest one, or its "
            "date"
        )
    return _NAMES.get(day, day), _clock(clock, text, day=day)


def _clock(said: str, text: str, *, day: str) -> str:
    """A time of day in 24 hours, with its zone where it names one."""
    if (found := _ZONE.fullmatch(said)) is None:
        return _in_day(said, text, day=day)
    zone = found["zone"]
    offset = f"{zone[:3]}:{zone[-2:]}" if zone[0] in "+-" else "z"
    return f"{_in_day(found['clock'], text, day=day) or '00:00'}{offset}"


def _in_day(said: str, text: str, *, day: str) -> str:
    if said == "noon":
        return "12:00"
    if said == "midnight":
        if day:
            raise BadInputError(
                f"{text!r} may be when that day begins or ends: say '{day} 00:00', or 00:00 of the "
                "day after"
            )
        return "00:00"
    if (found := _TWELVE.fullmatch(said)) is None:
        return said
    hour, minute, second = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    if not 1 <= hour <= _HALF:
        raise BadInputError(
            f"{text!r} is no time: before am and pm hours are from 1 to 12, without them to 23"
        )
    if (hour, minute, second) == (_HALF, 0, 0):
        raise BadInputError(f"{text!r} may be noon or midnight: say noon, midnight, 12:00 or 00:00")
    return f"{hour % _HALF + _HALF * (found[4] == 'p'):02}:{minute:02}:{second:02}"


def date_of(day: str, today: date, *, ahead: bool = False) -> tuple[date, timedelta]:
    """The date that a day is, and how long until it comes again.

    A weekday is the last one, no day is today; other days come once. A day of a month is the last
    one, or where one looks `ahead` the next one, today among them.

    Raises:
        ValueError: there is no such date.
    """
    if day in _WEEKDAYS:
        since = (today.weekday() - _WEEKDAYS.index(day)) % len(_WEEKDAYS)
        return today - timedelta(days=since), timedelta(weeks=1)
    if not day:
        return today, timedelta(days=1)
    if day in _NEAR:
        return today + timedelta(days=_NEAR[day]), timedelta()
    if (named := re.search(_MONTH, day)) is not None:
        return _of_month(named[0], day.replace(named[0], " "), today, ahead=ahead), timedelta()
    return date.fromisoformat(day), timedelta()


def _of_month(name: str, rest: str, today: date, *, ahead: bool) -> date:
    """A day of a month; without a year of the one that is nearest."""
    month = next(at for at, full in enumerate(_MONTHS, 1) if full.startswith(name[:3]))
    numbers = [int(number) for number in re.findall(r"\d+", rest)]
    year = next((number for number in numbers if number > 31), 0)  # noqa: PLR2004 - days of a month
    of_month = next(number for number in numbers if number != year)
    if year:
        return date(year, month, of_month)
    found = date(today.year, month, of_month)
    if ahead:
        return found if found >= today else date(today.year + 1, month, of_month)
    return found if found <= today else date(today.year - 1, month, of_month)
