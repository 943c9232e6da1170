"""The checkpoint of one blob during a run: as last read or written, and whether it is ours."""

import uuid
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import CLAIM_SECONDS, Checkpoint
from nsgflow_core.delivery.parts import CheckpointStore
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.errors import NsgflowError


class Tenure:
    """The row of one blob, and our hold of it.

    `held` is also what we may hold, because a claim was sent whose answer was lost. `moved` says
    that others have written the row since it was read, or `remembered`.
    """

    def __init__(
        self,
        checkpoints: CheckpointStore,
        row: Checkpoint,
        now: Callable[[], float],
        *,
        remembered: bool,
    ) -> None:
        self._checkpoints = checkpoints
        self._now = now
        self._unread = remembered
        self._owner = ""
        self.row = row
        self.held = False
        self.moved = False

    @property
    def busy(self) -> bool:
        """Whether somebody has the blob."""
        return bool(self.row.owner) and self.row.until > self._now()

    def start_over(self) -> None:
        """Read the row that others have written."""
        self.held = False
        self.moved = True
        self._adopt(self._read())

    def confirm(self) -> None:
        """Read a row that is only remembered, before it is said that nothing is to do.

        Raises:
            ClaimLostError: it has been written by others since.
        """
        if self._unread:
            self._unread = False
            if self._read().etag != self.row.etag:
                raise ClaimLostError("the row has changed since this process left it")

    def claim(self) -> None:
        """Claim the blob.

        Raises:
            ClaimLostError: the row is not as it was read.
        """
        self.held = True
        self._owner = uuid.uuid4().hex
        until = self._now() + CLAIM_SECONDS
        self.write(replace(self.row, owner=self._owner, until=until, pending=True))

    def last(self, seconds: float) -> None:
        """Extend the claim, unless it lasts so long.

        Raises:
            ClaimLostError: it was lost already.
        """
        if self.row.until - self._now() < seconds:
            self.write(replace(self.row, until=self._now() + CLAIM_SECONDS))

    def write(self, wanted: Checkpoint) -> None:
        """Write the row over the one that is known.

        Raises:
            ClaimLostError: that is not the one that is there.
        """
        try:
            self._adopt(self._checkpoints.write(wanted))
        except ClaimLostError:
            # The client repeats a write whose answer was lost, and is refused for its own row.
            latest = self._read()
            if not latest.says_the_same(wanted):
                raise
            self._adopt(latest)

    def give_back(self) -> None:
        """Free a blob still held, for whoever tries next, when the storage still lets us."""
        if not self.held:
            return
        self.held = False
        with suppress(NsgflowError):  # the claim runs out by itself
            try:
                self._free(self.row)
            except ClaimLostError:  # or what we read before a write whose answer was lost is old
                latest = self._read()
                if latest.owner == self._owner:
                    self._free(latest)

    def _free(self, row: Checkpoint) -> None:
        self._checkpoints.write(replace(row, owner="", until=0.0, pending=True))

    def _read(self) -> Checkpoint:
        return self._checkpoints.read(self.row.ref, self.row.hour)

    def _adopt(self, row: Checkpoint) -> None:
        self.row = row
        self._unread = False
