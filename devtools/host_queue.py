"""The queue in which a Functions host keeps the events of its blob triggers.

As measured of Microsoft.Azure.WebJobs.Extensions.Storage.Blobs 5.3 with its storage queue: a
message that is fetched is hidden for ten minutes and counts as delivered, whatever becomes of it.
One that failed is visible again at once; one whose host died when its time is over.
"""

import dataclasses
import itertools
import threading
import time

HIDDEN_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Message:
    """An event in the queue; `attempt` counts its deliveries, from 1."""

    function: str
    container: str
    name: str
    attempt: int


@dataclasses.dataclass
class _Entry:
    message: Message
    visible_at: float


class WorkQueue:
    """Messages by their number; several hosts may share one, as instances of an app do.

    Attributes:
        hidden_seconds: how long a fetched message stays hidden; shorter in tests.
        poison: messages given up, as last delivered.
    """

    def __init__(self, hidden_seconds: float = HIDDEN_SECONDS) -> None:
        self.hidden_seconds = hidden_seconds
        self.poison: list[Message] = []
        self._changed = threading.Condition()
        self._entries: dict[int, _Entry] = {}
        self._numbers = itertools.count()

    def put(self, message: Message) -> None:
        """Add a message that nobody has delivered yet."""
        with self._changed:
            self._entries[next(self._numbers)] = _Entry(message, time.monotonic())

    def fetch(self, most: int, poison_threshold: int) -> list[tuple[int, Message]]:
        """Take up to so many visible messages; those delivered too often go to poison instead."""
        now = time.monotonic()
        taken: list[tuple[int, Message]] = []
        with self._changed:
            for number, entry in list(self._entries.items()):
                if len(taken) == most:
                    break
                if entry.visible_at > now:
                    continue
                attempt = entry.message.attempt + 1
                if attempt > poison_threshold:
                    self._give_up(number)
                    continue
                entry.message = dataclasses.replace(entry.message, attempt=attempt)
                entry.visible_at = now + self.hidden_seconds
                taken.append((number, entry.message))
        return taken

    def delete(self, number: int) -> None:
        """A message is done with."""
        with self._changed:
            self._entries.pop(number, None)
            self._changed.notify_all()

    def release(self, number: int, poison_threshold: int, after: float = 0.0) -> None:
        """A message failed: visible again after so many seconds, or given up."""
        with self._changed:
            entry = self._entries.get(number)
            if entry is None:
                return
            if entry.message.attempt >= poison_threshold:
                self._give_up(number)
                return
            # Behind the others that wait.
            self._entries[number] = self._entries.pop(number)
            entry.visible_at = time.monotonic() + after

    def next_visible(self) -> float | None:
        """Seconds until a message is visible; None where there is none."""
        with self._changed:
            if not self._entries:
                return None
            first = min(entry.visible_at for entry in self._entries.values())
            return max(first - time.monotonic(), 0.0)

    def wait_empty(self, timeout: float) -> int:
        """Wait until nothing is left, hidden messages included; how many are left after all."""
        with self._changed:
            self._changed.wait_for(lambda: not self._entries, timeout)
            return len(self._entries)

    def _give_up(self, number: int) -> None:
        self.poison.append(self._entries.pop(number).message)
        self._changed.notify_all()
