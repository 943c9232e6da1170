"""How long one delivery may take: what a sink makes us wait is bounded, and so is the whole.

The two differ where a backlog is large: making its rows takes our processor, in line behind other
work, and no sink is to blame for that. But no delivery outlasts the claim on its blob.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SINK_SECONDS = 10.0
"""What an invocation may wait for one sink beyond what it waits for the others."""

FLOOR = 3.0
"""A request is begun only with so many seconds left for its answer: one that is given up may
have been accepted all the same, and is then sent twice."""

LONGEST = 25.0
"""The most that a delivery takes, waiting or not; what is left is a delivery of its own."""

HANG_GRACE = 3.0
"""How much later a delivery is given up whose client does not come back."""


class Patience:
    """The time of one delivery: so many seconds of waiting, and `longest` in all.

    It is made when the delivery is handed over, and waits from then on for a thread to begin it.
    """

    def __init__(self, seconds: float, longest: float = LONGEST) -> None:
        now = time.monotonic()
        self.waited = 0.0
        self._seconds = seconds
        self._ends = now + longest
        self._since: float | None = now

    def begin(self) -> None:
        """A thread has begun the delivery."""
        self._since = None

    def left(self) -> float:
        """Seconds that the next request may take."""
        return min(self._seconds - self.waited, self._ends - time.monotonic())

    def enough(self, wait: float = 0.0) -> bool:
        """Whether a request may be begun, now or after a wait."""
        return self.left() - wait >= FLOOR

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as the sink's."""
        self._since = begun = time.monotonic()
        try:
            yield
        finally:
            self._since = None
            self.waited += time.monotonic() - begun

    def sleep(self, seconds: float) -> None:
        """Wait because the sink asked for it, or failed."""
        with self.waiting():
            time.sleep(seconds)

    def until_hung(self) -> float:
        """Seconds from now after which the delivery must be taken for hung, at the earliest."""
        now = time.monotonic()
        since = self._since
        waiting = 0.0 if since is None else now - since
        return min(self._seconds - self.waited - waiting, self._ends - now) + HANG_GRACE
