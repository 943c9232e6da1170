"""What goes on beside the events: backlogs, a slice at a time, until nothing is left.

Eight long runs stop the host's intake of events, so an event's run does not stay with a backlog.
It hands it over to a few threads of the process, which take turns at the blobs they were given.
What was handed over is marked pending in its checkpoint: should the process die, the sweep goes
on where it was.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nsgflow_core.delivery.report import Report
from nsgflow_core.model import BlobRef

WORKERS = 4
"""Enough for one to work while others wait for their sinks; each holds a window in memory."""

_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Drained:
    """What a slice did, or how it failed."""

    ref: BlobRef
    report: Report | None
    error: Exception | None = None


class Drain:
    """Blobs that wait for their next slice, the one that waits longest first.

    `run` delivers a slice of a blob, and `beside` begins a thread; it ends when nothing waits.
    """

    def __init__(
        self, run: Callable[[BlobRef], Report], beside: Callable[[Callable[[], None]], object]
    ) -> None:
        self._run = run
        self._beside = beside
        self._idle = threading.Condition()
        self._stopped = False
        self._waiting: dict[BlobRef, None] = {}
        self._workers = 0
        self._done: deque[Drained] = deque(maxlen=_KEPT)

    def add(self, ref: BlobRef) -> None:
        """Go on with a blob beside the caller; one that waits already waits once."""
        with self._idle:
            if self._stopped:
                return
            self._waiting.setdefault(ref)
            if self._workers >= WORKERS:
                return
            self._workers += 1
        self._beside(self._work)

    def stop(self, seconds: float) -> None:
        """Let what runs end its slice, waiting so long at most; what waits is the sweep's."""
        with self._idle:
            self._waiting.clear()
            self._stopped = True
            self._idle.wait_for(lambda: not self._workers, seconds)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False when the time was over first."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._workers, seconds)

    def told(self) -> list[Drained]:
        """What was done since this was last asked.

        For the thread of an invocation: the host files lines by it.
        """
        with self._idle:
            done = list(self._done)
            self._done.clear()
        return done

    def _next(self) -> BlobRef | None:
        """The next blob; None ends the thread that asks."""
        with self._idle:
            if not self._waiting:
                self._workers -= 1
                self._idle.notify_all()
                return None
            ref = next(iter(self._waiting))
            del self._waiting[ref]
            return ref

    def _work(self) -> None:
        while (ref := self._next()) is not None:
            try:
                report = self._run(ref)
            except Exception as exc:  # noqa: BLE001 - told by the next invocation; others must go on
                self._done.append(Drained(ref, None, exc))
                continue
            self._done.append(Drained(ref, report))
            with self._idle:
                if report.more and not self._stopped:
                    self._waiting.setdefault(ref)
