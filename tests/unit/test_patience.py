"""How long a delivery may take: what a sink made us wait, and all of it."""

import time

import pytest

from nsgflow_core.sinks.patience import FLOOR, HANG_GRACE, LONGEST, Patience


class Clock:
    """The monotonic clock, in the test's hands."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that moves by sleeping alone."""
    made = Clock()

    def sleep(seconds: float) -> None:
        made.now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(time, "sleep", sleep)
    return made


def test_only_waiting_is_the_sinks_and_all_of_it_has_an_end(clock: Clock) -> None:
    """Whichever is over first."""
    patience = Patience(10, 25)
    assert patience.left() == 10
    clock.now += 12
    assert patience.left() == 10
    patience.sleep(4)
    assert (patience.waited, patience.left()) == (4, 6)
    clock.now += 5
    assert patience.left() == 4
    with patience.waiting():
        clock.now += 5
    assert (patience.waited, patience.left()) == (9, -1)


def test_one_that_sets_no_end_has_the_longest(clock: Clock) -> None:
    """However long its sink may take."""
    assert Patience(100).left() == LONGEST
    assert clock.now == 1000


def test_what_breaks_off_was_waited_for(clock: Clock) -> None:
    """As what was answered."""
    patience = Patience(10)

    def request() -> None:
        with patience.waiting():
            clock.now += 3
            raise OSError("reset")

    with pytest.raises(OSError, match="reset"):
        request()
    assert patience.waited == 3


@pytest.mark.parametrize(
    ("left", "wait", "enough"),
    [
        (FLOOR, 0, True),
        (FLOOR - 0.1, 0, False),
        (FLOOR + 2, 2, True),
        (FLOOR + 2, 2.1, False),
    ],
)
def test_a_request_needs_time_for_its_answer(
    clock: Clock, left: float, wait: float, *, enough: bool
) -> None:
    """Behind a wait, too."""
    assert Patience(left).enough(wait) is enough
    assert Patience(100, left).enough(wait) is enough
    assert clock.now == 1000


def test_one_that_hangs_is_known_by_the_time_that_it_has_had(clock: Clock) -> None:
    """Waiting for a thread counts, our own work does not, and a wait that goes on does."""
    patience = Patience(10, 25)
    assert patience.until_hung() == 10 + HANG_GRACE
    clock.now += 2
    assert patience.until_hung() == 8 + HANG_GRACE
    patience.begin()
    assert patience.until_hung() == 10 + HANG_GRACE
    clock.now += 2
    assert patience.until_hung() == 10 + HANG_GRACE
    with patience.waiting():
        clock.now += 4
        assert patience.until_hung() == 6 + HANG_GRACE
    assert patience.until_hung() == 6 + HANG_GRACE
    clock.now += 12
    assert patience.until_hung() == 5 + HANG_GRACE
