"""The Functions host's queue of events, as its real blob trigger was seen to treat them.

An instance takes nine at once when at most seven run. A failed try comes again at once; what a
dead instance had taken comes back within ten minutes. Either counts, and after five an event is
given up for good.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from nsgflow_core.logs.events import Announced
from tests.simulation.scheduler import Process, Scheduler

FETCHED = 9
THRESHOLD = 7
DELIVERIES = 5


@dataclass(eq=False)
class Message:
    """An event in the queue, what it says of its blob, and how often it was handed out.

    That of a blob trigger says nothing.
    """

    announced: Announced | None = None
    deliveries: int = 0
    taken: bool = False


@dataclass
class Queue:
    """What waits for an instance, and how many run in it."""

    scheduler: Scheduler
    waiting: dict[Process, list[Message]] = field(default_factory=dict)
    running: dict[Process, int] = field(default_factory=dict)

    def run(self, process: Process, message: Message, call: Callable[[], None]) -> None:
        """Run a message in its turn."""
        message.taken = False
        self.waiting.setdefault(process, []).append(message)
        self._fetch(process)
        self.scheduler.wait(lambda: message.taken, 10**6)
        try:
            call()
        finally:
            self.running[process] -= 1
            self._fetch(process)

    def _fetch(self, process: Process) -> None:
        if self.running.get(process, 0) <= THRESHOLD:
            fetched = self.waiting[process][:FETCHED]
            del self.waiting[process][:FETCHED]
            self.running[process] = self.running.get(process, 0) + len(fetched)
            for message in fetched:
                message.taken = True
