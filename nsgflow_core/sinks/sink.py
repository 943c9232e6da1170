"""Where flows go: what a sink is, and what it says of a delivery.

A sink takes the flows of a stretch of one blob in their order and says how far it got. It never
raises for what a service answers: the pipeline has other sinks to look after.

What it is to deliver it gathers while the stretch is read, some hundreds of flows at a time, so
that it can make of them what it sends while they are in the processor's cache.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from nsgflow_core.digests.groups import Tally
from nsgflow_core.errors import NsgflowError
from nsgflow_core.filter import Filter
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.sinks.patience import Patience


class Item(msgspec.Struct, frozen=True, gc=False):
    """What is accepted or refused as one: a row, or an alert.

    `after` is the place behind its last flow, `flows` their number, `id` the alert's id.
    """

    payload: bytes
    after: Position
    flows: int = 1
    id: str = ""


class Sendable(Protocol):
    """What has the attributes of an `Item`; its payload may be made when it is asked for."""

    @property
    def payload(self) -> bytes: ...  # noqa: D102
    @property
    def after(self) -> Position: ...  # noqa: D102
    @property
    def flows(self) -> int: ...  # noqa: D102
    @property
    def id(self) -> str: ...  # noqa: D102


class Refusal(msgspec.Struct, frozen=True):
    """An item that was refused alone while others were accepted: a dead letter."""

    item: Sendable
    reason: str


class Delivery(msgspec.Struct, frozen=True):
    """How far a sink got: everything before `reached` is accepted, refused for good, or unwanted.

    `error` is set when the sink failed; without one and short of the end its time ran out.
    `too_old` counts the flows that were left out because of their age, `retries` the requests
    that were made again. `counted` is what the checkpoint has to add to its ledger when the cursor
    moves.
    """

    reached: Position
    accepted: int = 0
    refused: Sequence[Refusal] = ()
    error: NsgflowError | None = None
    too_old: int = 0
    counted: Sequence[Tally] = ()
    retries: int = 0


class Gathered(Protocol):
    """The flows of a stretch that one sink is to deliver."""

    def add(self, flows: Columns) -> None:
        """Some more of them, behind those before; never raises."""

    @property
    def total(self) -> int:
        """How many flows there are."""

    @property
    def looks(self) -> bool:
        """Whether who counts them looks afterwards at all denied flows that were read."""


class AsRead(list[Columns]):
    """Flows that a sink wants as they were read."""

    looks = False

    def add(self, flows: Columns) -> None:
        """See `Gathered`."""
        self.append(flows)

    @property
    def total(self) -> int:
        """See `Gathered`."""
        return sum(map(len, self))


class Counted(AsRead):
    """Those of a digest, which tells too when what was denied before is let through."""

    looks = True


class Sink(Protocol):
    """A consumer of flows with its own cursor in every blob."""

    name: str
    filter: Filter

    def gather(self) -> Gathered:
        """What takes the flows of a delivery; nothing is in it yet."""

    def deliver(
        self,
        ref: BlobRef,
        flows: Any,
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        """Deliver flows that pass the filter, in order, as long as `patience` says.

        The flows, in what `gather` gave, lie between the places `start` and `end` of the blob.
        """
