"""What a status and its Retry-After stand for, and retries that keep to them."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import isfinite

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nsgflow_core.errors import DataRefusedError, NsgflowError, RefusedError, TransientError
from nsgflow_core.sinks import answers
from nsgflow_core.sinks.patience import Patience


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success(status: int) -> None:
    """Every 2xx accepts."""
    assert answers.status_error(status, None, "x") is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient(status: int) -> None:
    """Busy, away and too slow pass by themselves."""
    assert isinstance(answers.status_error(status, None, "x"), TransientError)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_data_refused(status: int) -> None:
    """Refusals of what was sent are told apart, so that it can be halved."""
    assert type(answers.status_error(status, None, "x")) is DataRefusedError


@pytest.mark.parametrize(
    "status", [301, 302, 307, 401, 403, 404, 405, 409, 410, 415, 418, 501, 700]
)
def test_refused(status: int) -> None:
    """401, 403, 404, redirects and anything unknown wait for a person."""
    assert type(answers.status_error(status, "5", "x")) is RefusedError


def test_message_names_service_and_status() -> None:
    """The error says who answered what."""
    assert str(answers.status_error(403, None, "Logs Ingestion")) == "Logs Ingestion answered 403"


def retry_after(header: str | None) -> float:
    """The wait that a 429 with this header asks for."""
    error = answers.status_error(429, header, "x")
    assert isinstance(error, TransientError)
    return error.retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("", 0), ("0", 0), ("7", 7), ("120", 120), ("-5", 0), ("soon", 0), ("1 minute", 0)],
)
def test_retry_after_in_seconds(header: str | None, seconds: float) -> None:
    """Retry-After counts seconds; none, or what cannot be read, is 0."""
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    """Retry-After may be a date; one that has passed is 0."""
    now = datetime.now(UTC)

    assert 25 < retry_after(format_datetime(now + timedelta(seconds=30), usegmt=True)) <= 30
    assert retry_after(format_datetime(now - timedelta(hours=1), usegmt=True)) == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@given(st.text(max_size=40))
@example("nan")
@example("inf")
@example("-inf")
@example("1e400")
@example("9" * 5000)
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Wed, 21 Oct 99999 07:28:00 GMT")
@settings(deadline=None)
def test_any_retry_after_is_a_finite_wait(header: str) -> None:
    """No header, however hostile, crashes or asks for a wait that is no number."""
    wait = retry_after(header)

    assert isfinite(wait)
    assert wait >= 0


class Clock:
    """A clock that sleeping moves, with the waits taken."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of sinks, in the test's hands."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


class Service:
    """Answers with the errors given, in order, then accepts."""

    def __init__(self, *errors: NsgflowError) -> None:
        self.errors = list(errors)
        self.calls: list[float] = []

    def __call__(self, left: float) -> None:
        """One try."""
        self.calls.append(left)
        if self.errors:
            raise self.errors.pop(0)


def test_success_at_once_waits_for_nothing(clock: Clock) -> None:
    """What succeeds is tried once, with the time that is left."""
    service = Service()
    answers.with_retries(service, Patience(8, 1000))

    assert (service.calls, clock.waits) == ([8], [])


def test_transient_errors_are_tried_again_with_growing_waits(clock: Clock) -> None:
    """Waits begin at 0.2 s or less and double, with jitter between half and whole."""
    service = Service(*[TransientError("busy")] * 3)
    answers.with_retries(service, Patience(100, 1000))

    assert len(service.calls) == 4
    assert all(low <= w <= 2 * low for low, w in zip([0.1, 0.2, 0.4], clock.waits, strict=True))


def test_waits_are_told_whether_or_not_it_succeeds(clock: Clock) -> None:
    """Their number is that of the retries, also where the last try failed."""
    waits: list[float] = []
    answers.with_retries(Service(*[TransientError("busy")] * 2), Patience(100, 1000), waits)
    assert (len(waits), waits) == (2, clock.waits)

    with pytest.raises(TransientError):
        answers.with_retries(Service(*[TransientError("busy")] * 9), Patience(100, 1000), waits)
    assert len(waits) == 6


def test_retry_after_is_honoured(clock: Clock) -> None:
    """A wait is never shorter than the service asked for."""
    service = Service(TransientError("busy", retry_after=3), TransientError("busy", retry_after=4))
    answers.with_retries(service, Patience(100, 1000))

    assert clock.waits == [3, 4]


def test_wait_past_the_deadline_is_not_begun(clock: Clock) -> None:
    """A service that asks for more time than there is fails at once, with its wait."""
    service = Service(TransientError("busy", retry_after=60))

    with pytest.raises(TransientError) as caught:
        answers.with_retries(service, Patience(10, 1000))
    assert (clock.waits, len(service.calls), caught.value.retry_after) == ([], 1, 60)


def test_tries_are_bounded(clock: Clock) -> None:
    """A service that never recovers is given up after few tries, with its last error."""
    service = Service(*[TransientError(f"busy {n}") for n in range(50)])

    with pytest.raises(TransientError, match=f"busy {4}"):
        answers.with_retries(service, Patience(1000, 1000))
    assert len(service.calls) == 5


def test_time_left_shrinks(clock: Clock) -> None:
    """Each try is told the time that is left, and none is begun with too little to be answered."""
    errors = [TransientError("busy", retry_after=wait) for wait in (6, 0.9, 0.2)]
    service = Service(*errors)

    with pytest.raises(TransientError):
        answers.with_retries(service, Patience(10, 1000))
    assert service.calls == pytest.approx([10, 4, 3.1])


@pytest.mark.parametrize("error", [RefusedError("no"), DataRefusedError("no")])
def test_refusals_are_not_tried_again(clock: Clock, error: RefusedError) -> None:
    """What waiting does not mend raises at once."""
    service = Service(error)

    with pytest.raises(RefusedError):
        answers.with_retries(service, Patience(10, 1000))
    assert (len(service.calls), clock.waits) == (1, [])
