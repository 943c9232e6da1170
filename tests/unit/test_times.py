"""Times as people type them."""

from datetime import UTC, datetime, timedelta

import pytest

from nsgflow_core.cli.times import moment
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
        ("2h ago", NOW - timedelta(hours=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("1795000000", datetime.fromtimestamp(1_795_000_000, UTC)),
        ("1795000000000", datetime.fromtimestamp(1_795_000_000, UTC)),
        ("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC)),
        ("20261125", datetime(2026, 11, 25, tzinfo=UTC)),
        ("2026-11-25 22:30", datetime(2026, 11, 25, 22, 30, tzinfo=UTC)),
        ("2026-11-25T22:30+02:00", datetime(2026, 11, 25, 20, 30, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    """All in UTC; a time of day is the last one that was."""
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "someday", "25:00", "12:60", "1x", "h", "--10m", "999999w",
                                  "1.h", "\u0661h"])  # fmt: skip
def test_what_is_no_time_is_named(text: str) -> None:
    """And an example is given, or that it is too long ago."""
    with pytest.raises(BadInputError, match=r"no time|too long ago"):
        moment(text, NOW)
