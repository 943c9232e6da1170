"""What is left behind the last record: a closing, half a record, or no log at all."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from nsgflow_core.logs import records
from nsgflow_core.logs.leftover import is_over, leftover

RECORD = b'{"time":"2026-03-04T05:00:00Z","properties":{"Version":2,"flows":[]}}'
HEAD, CLOSER = b'{"records":[', b"]}"


def judged(data: bytes, *, over: bool) -> str | None:
    """Why what `split` leaves of a whole blob is bad, None where it is not."""
    stretch = records.split(data, 0, last=True)
    bad = leftover(data[:64], data[stretch.end :], stretch.end, over=over)
    return None if bad is None else bad.reason


@pytest.mark.parametrize(
    "log",
    [
        b"",
        HEAD + CLOSER,
        HEAD + RECORD + CLOSER,
        HEAD + RECORD + b",\n" + RECORD + b" ] } \n",
        b"\xef\xbb\xbf" + HEAD + RECORD + CLOSER,
        RECORD,
        RECORD + b"\n" + RECORD + b"\n",
    ],
)
def test_whole_logs_leave_nothing(log: bytes) -> None:
    """An end, or none where no opening asks for one, is as it should be."""
    assert judged(log, over=True) is None


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (b"<html><body>Not found</body></html>", "no flow log: HTML or XML"),
        (gzip.compress(HEAD + RECORD + CLOSER, mtime=0), "no flow log: compressed with gzip"),
        (b"PAR1\x15\x04PAR1", "no flow log: Parquet, which 'nsgflow sql' reads"),
        (b"time,source,destination\n", "no flow log: not JSON"),
        (b"\0" * 1000, "no flow log: not JSON"),
    ],
)
def test_what_is_no_log_is_bad_at_once(log: bytes, reason: str) -> None:
    """It will never become one."""
    assert judged(log, over=False) == reason
    assert judged(log, over=True) == reason


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (HEAD, "cut off: the log has no end"),
        (HEAD + RECORD, "cut off: the log has no end"),
        (HEAD + RECORD[:25], "cut off within a record"),
        (HEAD + RECORD + b"," + RECORD[:40], "cut off within a record"),
        (RECORD + b"\n" + RECORD[:40], "cut off within a record"),
    ],
)
def test_what_is_cut_short_is_bad_when_nobody_writes_any_more(log: bytes, reason: str) -> None:
    """While the hour runs the rest may come."""
    assert judged(log, over=False) is None
    assert judged(log, over=True) == reason


def test_the_last_update_comes_after_the_hour() -> None:
    """A log is over ten minutes after its hour, not at its end."""
    hour = datetime(2026, 3, 4, 5, tzinfo=UTC)
    assert not is_over(hour, hour + timedelta(minutes=69))
    assert is_over(hour, hour + timedelta(minutes=70))


@pytest.mark.parametrize("size", [10, 60, 300])
@pytest.mark.parametrize("before", [b"", HEAD, HEAD + RECORD + b", "])
def test_what_is_put_aside_is_the_beginning_of_what_is_there(size: int, before: bytes) -> None:
    """Where it lies, and no more than shows what it is."""
    for rest in (b"<" + b"x" * size, b'{"time":"' + b"x" * size):
        bad = leftover(HEAD if before else rest, rest, len(before), over=True)
        assert bad is not None
        assert (bad.offset, bad.data) == (len(before), rest[:256])
        spaced = leftover(HEAD, b" ,\n" + rest, 7, over=True)
        assert spaced is not None
        assert (spaced.offset, spaced.data) == (10, rest[:256])
    no_end = leftover(HEAD, b" ", len(HEAD), over=True)
    assert no_end is not None
    assert (no_end.offset, no_end.data) == (len(HEAD), b" ")
