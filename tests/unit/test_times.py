"""Times as people type them."""

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from nsgflow_core.cli.clock import _local as cached
from nsgflow_core.cli.clock import local_second, local_time
from nsgflow_core.cli.times import moment, span
from nsgflow_core.errors import BadInputError

NOW = datetime(2026, 11, 25, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("Yesterday", datetime(2026, 11, 24, tzinfo=UTC)),
        ("today", datetime(2026, 11, 25, tzinfo=UTC)),
        ("13:00", datetime(2026, 11, 25, 13, tzinfo=UTC)),
        ("13:00:30Z", datetime(2026, 11, 25, 13, 0, 30, tzinfo=UTC)),
        ("9:05", datetime(2026, 11, 25, 9, 5, tzinfo=UTC)),
        ("14:00", datetime(2026, 11, 24, 14, tzinfo=UTC)),
        ("90s", NOW - timedelta(seconds=90)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("-10m", NOW - timedelta(minutes=10)),
        ("1 hour ago", NOW - timedelta(hours=1)),
        ("5 min", NOW - timedelta(minutes=5)),
        ("1h 30m", NOW - timedelta(minutes=90)),
        ("2 Hours and  30 minutes ago", NOW - timedelta(minutes=150)),
        ("3 days, 2 hrs", NOW - timedelta(days=3, hours=2)),
        ("2h ago", NOW - timedelta(hours=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("1795000000", datetime.fromtimestamp(1_795_000_000, UTC)),
        ("1795000000000", datetime.fromtimestamp(1_795_000_000, UTC)),
        ("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC)),
        ("20261125", datetime(2026, 11, 25, tzinfo=UTC)),
        ("2026-11-25 22:30", datetime(2026, 11, 25, 22, 30, tzinfo=UTC)),
        ("2026-11-25 9:05:30", datetime(2026, 11, 25, 9, 5, 30, tzinfo=UTC)),
        ("2026-11-25 9:05Z", datetime(2026, 11, 25, 9, 5, tzinfo=UTC)),
        ("yesterday 22:30", datetime(2026, 11, 24, 22, 30, tzinfo=UTC)),
        ("Today, 9:05", datetime(2026, 11, 25, 9, 5, tzinfo=UTC)),
        ("9:05:30", datetime(2026, 11, 25, 9, 5, 30, tzinfo=UTC)),
        ("2026-11-25T22:30+02:00", datetime(2026, 11, 25, 20, 30, tzinfo=UTC)),
        ("2026-11-25T9:05", datetime(2026, 11, 25, 9, 5, tzinfo=UTC)),
        ("9am", datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ("9 a.m.", datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ("9:30pm", datetime(2026, 11, 24, 21, 30, tzinfo=UTC)),
        ("9:30:15 PM", datetime(2026, 11, 24, 21, 30, 15, tzinfo=UTC)),
        ("12:30am", datetime(2026, 11, 25, 0, 30, tzinfo=UTC)),
        ("12:30pm", datetime(2026, 11, 25, 12, 30, tzinfo=UTC)),
        ("noon", datetime(2026, 11, 25, 12, tzinfo=UTC)),
        ("Midnight", datetime(2026, 11, 25, tzinfo=UTC)),
        ("yesterday noon", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("noon yesterday", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("9:30pm on monday", datetime(2026, 11, 23, 21, 30, tzinfo=UTC)),
        ("yesterday at 10pm", datetime(2026, 11, 24, 22, tzinfo=UTC)),
        ("at 9am", datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ("2026-11-23 9am", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("monday 14:00", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("Mon, 14:00", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("monday", datetime(2026, 11, 23, tzinfo=UTC)),
        ("thurs 9am", datetime(2026, 11, 19, 9, tzinfo=UTC)),
        # It is a Wednesday, half past one.
        ("wednesday 13:00", datetime(2026, 11, 25, 13, tzinfo=UTC)),
        ("wednesday 14:00", datetime(2026, 11, 18, 14, tzinfo=UTC)),
        ("wed", datetime(2026, 11, 25, tzinfo=UTC)),
        ("tomorrow 9am", datetime(2026, 11, 26, 9, tzinfo=UTC)),
        ("half an hour ago", NOW - timedelta(minutes=30)),
        ("Half an hour", NOW - timedelta(minutes=30)),
        ("an hour ago", NOW - timedelta(hours=1)),
        ("a day and 2 hours ago", NOW - timedelta(hours=26)),
        ("a week ago", NOW - timedelta(weeks=1)),
        ("Nov 23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("23 Nov", datetime(2026, 11, 23, tzinfo=UTC)),
        ("Nov 23 14:00", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("23 november, 2pm", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("November 23rd at 14:00", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("14:00 on Nov 23", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("noon, 23. Nov", datetime(2026, 11, 23, 12, tzinfo=UTC)),
        ("nov 23 14:00Z", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("Nov 23, 2024", datetime(2024, 11, 23, tzinfo=UTC)),
        ("23 Nov 2024 9:05", datetime(2024, 11, 23, 9, 5, tzinfo=UTC)),
        ("2024 nov 23", datetime(2024, 11, 23, tzinfo=UTC)),
        ("Feb 29 2024", datetime(2024, 2, 29, tzinfo=UTC)),
        ("1 May", datetime(2026, 5, 1, tzinfo=UTC)),
        # Of the year before where it is still to come in this one; today's is today's.
        ("dec 1", datetime(2025, 12, 1, tzinfo=UTC)),
        ("nov 25 22:00", datetime(2026, 11, 25, 22, tzinfo=UTC)),
        ("last hour", NOW - timedelta(hours=1)),
        ("the last hour", NOW - timedelta(hours=1)),
        ("last 30 minutes", NOW - timedelta(minutes=30)),
        ("the past 2 days", NOW - timedelta(days=2)),
        ("the last half an hour", NOW - timedelta(minutes=30)),
        ("now-1h", NOW - timedelta(hours=1)),
        ("now - 90m", NOW - timedelta(minutes=90)),
        ("2026/11/23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026/11/3 14:00", datetime(2026, 11, 3, 14, tzinfo=UTC)),
        ("13:00 UTC", datetime(2026, 11, 25, 13, tzinfo=UTC)),
        ("14:00+01:00", datetime(2026, 11, 25, 13, tzinfo=UTC)),
        ("15:00 +0100", datetime(2026, 11, 24, 14, tzinfo=UTC)),
        # Half past one here is tomorrow's morning there.
        ("3:00+14:00", datetime(2026, 11, 25, 13, tzinfo=UTC)),
        ("monday 9am Z", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("9am utc on Nov 23", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("noon GMT", datetime(2026, 11, 25, 12, tzinfo=UTC)),
        ("2026-11-23 UTC", datetime(2026, 11, 23, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    """A time of day is the last one that was."""
    assert moment(text, NOW, utc=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14:00", datetime(2026, 11, 25, 14, tzinfo=UTC)),
        ("9am", datetime(2026, 11, 26, 9, tzinfo=UTC)),
        ("midnight", datetime(2026, 11, 26, tzinfo=UTC)),
        ("monday 9am", datetime(2026, 11, 30, 9, tzinfo=UTC)),
        ("wednesday 14:00", datetime(2026, 11, 25, 14, tzinfo=UTC)),
        ("wednesday 13:00", datetime(2026, 12, 2, 13, tzinfo=UTC)),
        ("dec 1 9am", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("nov 23", datetime(2027, 11, 23, tzinfo=UTC)),
    ],
)
def test_times_ahead(text: str, expected: datetime) -> None:
    """What lasts until then lasts until the next one."""
    assert moment(text, NOW, utc=True, ahead=True) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("12am", "'12am' may be noon or midnight: say noon, midnight, 12:00 or 00:00"),
        ("monday 12:00pm", "may be noon or midnight"),
        ("9", "'9' may be a time of day or a length: say 9:00 or 9am, or 9m or 9h for how long"),
        ("11/12/2026", "may begin with the day or with the month: say a date as 2026-11-23"),
        ("11.12.26 14:00", "may begin with the day or with the month"),
        ("last monday", "may be of one week or another: say monday, which is the nearest one"),
        ("last night", "'last night' begins when whoever says it thinks: say 'yesterday 22:00'"),
        ("this morning", "begins when whoever says it thinks"),
        ("yesterday evening", "begins when whoever says it thinks"),
        ("last week", "may be of one week or another: say 7d, or a date"),
        ("the last day", "may be of one week or another: say 7d, or a date"),
        ("nov 31", "'nov 31' is no time"),
        ("nov", "'nov' is no time"),
        ("nov 2026", "'nov 2026' is no time"),
        ("someday", "such as 14:00, 'monday 9am', 'Nov 23 14:00' or 2026-11-23T08:00"),
        ("yesterday midnight", "may be when that day begins or ends: say 'yesterday 00:00'"),
        ("14pm", "'14pm' is no time: before am and pm hours are from 1 to 12"),
        ("0:30am", "hours are from 1 to 12"),
    ],
)
def test_what_may_mean_two_things_is_refused(text: str, said: str) -> None:
    """With the reason, and what to say instead."""
    with pytest.raises(BadInputError) as caught:
        moment(text, NOW, utc=True)
    assert said in str(caught.value)


Zoned = Callable[[str], None]


@pytest.fixture
def zoned(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zoned]:
    """Puts the machine into a time zone."""
    if sys.platform == "win32":
        pytest.skip("Windows has one time zone for all processes")

    def put(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()
        cached.cache_clear()

    yield put
    monkeypatch.undo()
    time.tzset()
    cached.cache_clear()


BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
"""The rule itself, which needs no database of time zones."""


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        # In winter one hour ahead of UTC, in summer two.
        ("14:00", "2026-11-25T13:30", "2026-11-25T13:00"),
        ("14:45", "2026-11-25T13:30", "2026-11-24T13:45"),
        ("14:00Z", "2026-11-25T13:30", "2026-11-24T14:00"),
        ("14:00 UTC", "2026-11-25T13:30", "2026-11-24T14:00"),
        ("8:00-05:00", "2026-11-25T13:30", "2026-11-25T13:00"),
        ("monday 9am Z", "2026-11-25T13:30", "2026-11-23T09:00"),
        ("yesterday 22:30", "2026-11-25T13:30", "2026-11-24T21:30"),
        ("yesterday 22:30Z", "2026-11-25T13:30", "2026-11-24T22:30"),
        ("today", "2026-11-25T23:30", "2026-11-25T23:00"),
        ("yesterday", "2026-07-25T23:30", "2026-07-24T22:00"),
        ("2026-07-25", "2026-11-25T13:30", "2026-07-24T22:00"),
        ("2026-07-25 9:00", "2026-11-25T13:30", "2026-07-25T07:00"),
        ("2026-07-25T09:00", "2026-11-25T13:30", "2026-07-25T07:00"),
        ("2026-07-25T09:00Z", "2026-11-25T13:30", "2026-07-25T09:00"),
        ("2026-07-25T09:00-04:00", "2026-11-25T13:30", "2026-07-25T13:00"),
        # Clocks are put forward at 01:00 UTC on 29 March: 02:30 never was, and is 03:30.
        ("2026-03-29 02:30", "2026-11-25T13:30", "2026-03-29T01:30"),
        ("2026-03-29 03:00", "2026-11-25T13:30", "2026-03-29T01:00"),
        # Clocks are put back at 01:00 UTC on 25 October: 02:30 is twice, and the first is meant.
        ("2026-10-25 02:30", "2026-11-25T13:30", "2026-10-25T00:30"),
        ("02:30", "2026-10-25T00:45", "2026-10-25T00:30"),
        ("02:30", "2026-10-25T01:45", "2026-10-25T00:30"),
        ("yesterday 02:30", "2026-10-26T12:00", "2026-10-25T00:30"),
        # How long ago knows no clocks.
        ("1h", "2026-10-25T01:30", "2026-10-25T00:30"),
        ("1d", "2026-10-25T12:00", "2026-10-24T12:00"),
    ],
)
def test_times_are_local_where_they_name_no_zone(
    zoned: Zoned, text: str, now: str, expected: str
) -> None:
    """As a person in Berlin means them, on the days on which clocks are changed too."""
    zoned(BERLIN)
    found = moment(text, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_span_has_both_of_the_hours_that_come_twice(zoned: Zoned) -> None:
    """It begins with the first 02:00 and ends with the second 02:30."""
    zoned(BERLIN)
    found = span("2026-10-25 02:00", "2026-10-25 02:30", 1, NOW)
    assert (found.since, found.until) == (
        datetime(2026, 10, 25, 0, 0, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    )
    assert span("2026-10-25 02:00", "2026-10-25 02:30", 1, NOW, utc=True).until == datetime(
        2026, 10, 25, 2, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("zone", "moment", "shown"),
    [
        (BERLIN, "2026-10-25T00:30:05.007", "2026-10-25 02:30:05.007+02:00"),
        (BERLIN, "2026-10-25T01:30:05.007", "2026-10-25 02:30:05.007+01:00"),
        (BERLIN, "2026-03-29T01:00:00", "2026-03-29 03:00:00.000+02:00"),
        ("NST3:30", "2026-03-29T01:00:00", "2026-03-28 21:30:00.000-03:30"),
        ("UTC0", "2026-03-29T01:00:00", "2026-03-29 01:00:00.000Z"),
    ],
)
def test_local_times_carry_their_offset(zoned: Zoned, zone: str, moment: str, shown: str) -> None:
    """So that no two of them look alike, and each can be given back as --since."""
    zoned(zone)
    then = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    milliseconds = round(then.timestamp() * 1000)
    assert local_time(milliseconds) == shown
    assert local_second(milliseconds) == shown[:19] + shown[23:]
    assert datetime.fromisoformat(shown) == then


@pytest.mark.parametrize("text", ["", "someday", "25:00", "12:60", "1x", "h", "--10m", "999999w",
                                  "1.h", "\u0661h", "5 months", "1 h ago ago",
                                  "14:00+25:00", "9 UTC", "now+1h", "2hago"])  # fmt: skip
def test_what_is_no_time_is_named(text: str) -> None:
    """And an example is given, or that it is too long ago."""
    with pytest.raises(BadInputError, match=r"no time|too long ago"):
        moment(text, NOW)
