"""A sink with a life of its own: its threads, and what this process knows of its health.

A sink that hangs fills its own threads and no others. One that failed is left alone by the whole
process for a while, and then asked by one delivery at a time until it accepts: what all other
blobs have for it is put off at once, and takes no time from anybody else's.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from nsgflow_core.errors import DataRefusedError, NsgflowError, RefusedError, TransientError
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.sinks.answers import wait_after
from nsgflow_core.sinks.patience import HANG_GRACE, LONGEST, SINK_SECONDS, Patience
from nsgflow_core.sinks.sink import Delivery, Gathered, Sink

THREADS = 32
"""For each sink: sixteen events, eight blobs of a sweep and what is drained beside them."""

_PROBE_SECONDS = LONGEST + HANG_GRACE
"""After so long a delivery that was to try the sink is not waited for: somebody else may."""


class Breaker:
    """Whether a sink may be asked.

    `now` is the wall clock, as for what checkpoints put off. A delivery that began before the last
    failure says nothing new of the sink: sixteen that fail together are one failure.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures = 0
        self._not_before = 0.0
        self._probed_until = 0.0

    def closed(self) -> bool:
        """Whether a delivery would be let through now."""
        now = self._now()
        return not self._failures or (now >= self._not_before and now >= self._probed_until)

    def ask(self) -> int | None:
        """A ticket for one delivery, to be told of when it ends; None where it must wait."""
        with self._lock:
            if not self.closed():
                return None
            if self._failures:
                self._probed_until = self._now() + _PROBE_SECONDS
            return self._failures

    def tell(self, ticket: int, delivery: Delivery) -> None:
        """What came of it."""
        with self._lock:
            if ticket != self._failures:
                return
            self._probed_until = 0.0
            error = delivery.error
            if error is not None and _is_the_sinks(error):
                self._failures = 1 if delivery.accepted else self._failures + 1
                self._not_before = self._now() + wait_after(self._failures, error)
            elif delivery.accepted or delivery.refused:
                self._failures = 0


class BrokenSinkError(RefusedError):
    """Our own sink failed over the flows of one blob; `str` says how."""


def _is_the_sinks(error: NsgflowError) -> bool:
    """Whether an error is of the sink as such, and not of what one blob holds."""
    return not isinstance(error, DataRefusedError | BrokenSinkError)


class Begun:
    """A delivery under way."""

    def __init__(
        self, lane: "Lane", ticket: int, future: Future[Delivery], patience: Patience
    ) -> None:
        self._lane = lane
        self._ticket = ticket
        self._future = future
        self._patience = patience

    def result(self, start: Position) -> tuple[Delivery, float]:
        """What the sink did, and how long it made us wait.

        A sink that hangs or breaks has delivered nothing behind `start`, as far as is known.
        """
        delivery, waited = self._result(start)
        self._lane.breaker.tell(self._ticket, delivery)
        return delivery, waited

    def _result(self, start: Position) -> tuple[Delivery, float]:
        while True:
            seconds = self._patience.until_hung()
            try:
                broken = self._future.exception(timeout=max(seconds, 0.0))
            except FutureTimeoutError:
                if self._patience.until_hung() > 0:  # it has not waited for the sink all the time
                    continue
                self._future.cancel()  # if it has not even begun, it need not
                return Delivery(start, error=TransientError("no answer in time")), SINK_SECONDS
            if broken is None:
                return self._future.result(), self._patience.waited
            error = BrokenSinkError(f"failed: {type(broken).__name__}: {broken}")
            error.__cause__ = broken
            return Delivery(start, error=error), 0.0


class Lane:
    """One sink, its threads and its breaker."""

    def __init__(
        self, sink: Sink, executor: Executor, now: Callable[[], float] = time.time
    ) -> None:
        self.sink = sink
        self.name = sink.name
        self.breaker = Breaker(now)
        self._executor = executor

    def begin(
        self,
        ref: BlobRef,
        flows: Gathered,
        start: Position,
        end: Position,
        seconds: float,
    ) -> Begun | None:
        """Begin a delivery that may wait so long; None where the sink is left alone."""
        ticket = self.breaker.ask()
        if ticket is None:
            return None
        patience = Patience(seconds)
        future = self._executor.submit(deliver, self.sink, ref, flows, start, end, patience)
        return Begun(self, ticket, future, patience)


def deliver(
    sink: Sink,
    ref: BlobRef,
    flows: Gathered,
    start: Position,
    end: Position,
    patience: Patience,
) -> Delivery:
    """Deliver, in a thread of the sink's."""
    patience.begin()
    return sink.deliver(ref, flows, start, end, patience)
