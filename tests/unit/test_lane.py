"""A sink's lane: its own threads, its own time, and a breaker for the whole process."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from nsgflow_core import service
from nsgflow_core.errors import DataRefusedError, NsgflowError, RefusedError, TransientError
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.sinks import lane, patience
from nsgflow_core.sinks.lane import Begun, Breaker, Lane
from nsgflow_core.sinks.patience import FLOOR, Patience
from nsgflow_core.sinks.sink import AsRead, Delivery

REF = BlobRef("a", "c", "p")
START, END = Position(0), Position(9)
BAD = Delivery(START, error=TransientError("503"))
GOOD = Delivery(END, 1)


class Clock:
    """The monotonic clock, in the test's hands."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(time, "time", lambda: made.now)
    return made


def ticket(breaker: Breaker) -> int:
    """A ticket that must be given."""
    given = breaker.ask()
    assert given is not None
    return given


def test_a_failed_sink_is_left_alone_and_then_asked_by_one(clock: Clock) -> None:
    """Two seconds after its first failure one delivery goes, and no second beside it."""
    breaker = Breaker(time.time)
    breaker.tell(ticket(breaker), BAD)
    assert (breaker.closed(), breaker.ask()) == (False, None)
    clock.now += 2
    probe = ticket(breaker)
    assert (breaker.closed(), breaker.ask()) == (False, None)
    breaker.tell(probe, GOOD)
    assert (breaker.ask(), breaker.ask()) == (0, 0)


def test_the_waits_double_up_to_a_minute(clock: Clock) -> None:
    """Each failure of a probe doubles the wait."""
    breaker = Breaker(time.time)
    waits = []
    for _ in range(8):
        breaker.tell(ticket(breaker), BAD)
        begun = clock.now
        while not breaker.closed():
            clock.now += 1
        waits.append(clock.now - begun)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_sink_that_names_its_wait_gets_it(clock: Clock) -> None:
    """A limit of the service is one for every blob."""
    breaker = Breaker(time.time)
    breaker.tell(ticket(breaker), Delivery(START, error=TransientError("429", retry_after=90)))
    clock.now += 89
    assert not breaker.closed()
    clock.now += 1
    assert breaker.closed()


def test_failures_together_are_one(clock: Clock) -> None:
    """Sixteen deliveries that a sink fails at once make it wait two seconds, not a minute."""
    breaker = Breaker(time.time)
    tickets = [ticket(breaker) for _ in range(16)]
    for each in tickets:
        breaker.tell(each, BAD)
    clock.now += 2
    assert breaker.closed()


@pytest.mark.parametrize(
    "error", [DataRefusedError("all was refused: 400"), lane.BrokenSinkError("failed: KeyError")]
)
def test_what_one_blob_holds_is_not_the_sinks_fault(error: NsgflowError) -> None:
    """A row that no service takes, or that our own code cannot encode, holds up its blob only."""
    breaker = Breaker(time.time)
    breaker.tell(ticket(breaker), Delivery(START, error=error))
    assert breaker.closed()


def test_refusals_of_the_service_are(clock: Clock) -> None:
    """A role that is missing is missing for every blob."""
    breaker = Breaker(time.time)
    breaker.tell(ticket(breaker), Delivery(START, error=RefusedError("403")))
    assert not breaker.closed()


def test_a_probe_that_never_ends_gives_way(clock: Clock) -> None:
    """Whoever tried the sink may have died over it."""
    breaker = Breaker(time.time)
    breaker.tell(ticket(breaker), BAD)
    clock.now += 2
    ticket(breaker)
    clock.now += 60
    assert breaker.ask() is not None


class Sink:
    """A sink that does in each delivery what it is told."""

    name = "webhook"
    filter = compile_terms("")

    def __init__(self) -> None:
        self.deliveries = 0
        self.hang = threading.Event()
        self.compute = 0.0
        self.wait = 0.0

    def gather(self) -> AsRead:
        """Flows as they were read."""
        return AsRead()

    def deliver(
        self,
        ref: BlobRef,
        flows: Sequence[Columns],
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        """Work for a while, wait for a while, and hang while that is wanted."""
        self.deliveries += 1
        time.sleep(self.compute)
        with patience.waiting():
            time.sleep(self.wait)
            self.hang.wait(20)
        return Delivery(end, 1)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads, ended with the test."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def begin(lane: Lane, seconds: float) -> Begun:
    """A delivery that must be let through."""
    begun = lane.begin(REF, AsRead(), START, END, seconds)
    assert begun is not None
    return begun


def test_a_hung_sink_costs_its_time_once(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery that met it waits; all others of the process, of any blob, do not."""
    monkeypatch.setattr(patience, "HANG_GRACE", 0.1)
    sink = Sink()
    here = Lane(sink, pool)
    begun = time.monotonic()
    done, waited = begin(here, 0.3).result(START)
    took = time.monotonic() - begun
    assert isinstance(done.error, TransientError)
    assert (0.3 <= took < 2, waited >= patience.SINK_SECONDS) == (True, True)
    assert [here.begin(REF, AsRead(), START, END, 5) for _ in range(50)] == [None] * 50
    assert sink.deliveries == 1
    sink.hang.set()


def test_computing_is_not_waiting(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery that works longer than its sink may make us wait is no hung one."""
    monkeypatch.setattr(patience, "HANG_GRACE", 0.1)
    sink = Sink()
    sink.compute, sink.wait = 0.8, 0.1
    sink.hang.set()
    done, waited = begin(Lane(sink, pool), 0.3).result(START)
    assert (done, 0.1 <= waited < 0.3) == (Delivery(END, 1), True)


def test_what_is_done_counts_however_late_it_is_asked_for(pool: ThreadPoolExecutor) -> None:
    """A sink that was done long ago, while another hung, has delivered."""
    sink = Sink()
    sink.hang.set()
    begun = begin(Lane(sink, pool), 5)
    begun._future.result(5)
    begun._patience._ends -= 60
    assert begun.result(START)[0] == Delivery(END, 1)


def test_each_sink_has_threads_for_every_delivery_of_a_process() -> None:
    """All threads of one are held, and the other has all of its own."""
    sick, well = service._lanes([Sink(), Sink()], time.time)
    all_there = threading.Barrier(lane.THREADS, timeout=5)
    hung = threading.Event()
    held = [sick._executor.submit(hung.wait, 20) for _ in range(lane.THREADS + 8)]
    met = [well._executor.submit(all_there.wait) for _ in range(lane.THREADS)]
    assert sorted(future.result(5) for future in met) == list(range(lane.THREADS))
    assert lane.THREADS >= 16 + 8 + 4
    hung.set()
    for future in held:
        future.result(5)


def test_a_request_is_begun_with_time_to_be_answered(clock: Clock) -> None:
    """Neither waiting nor the time that passed leaves less than the floor."""
    some = Patience(10, 25)
    some.begin()
    assert (some.left(), some.enough(), some.enough(10 - FLOOR + 0.1)) == (10, True, False)
    with some.waiting():
        clock.now += 7.5
    assert (some.left(), some.enough()) == (2.5, False)
    late = Patience(10, 25)
    clock.now += 22.5
    assert (late.left(), late.enough()) == (2.5, False)
