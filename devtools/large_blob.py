"""A flow log too large to hold: its bytes are made when they are read.

With it the rest of what the pipeline needs, counting in constant memory, so that whatever memory
grows is the pipeline's own.
"""

# ruff: noqa: ARG002 - what stands in for a part is given all that the part is

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec

from devtools.flowlogs import CLOSER, HEAD, Nic, nsg_path
from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.pipeline import Pipeline
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.source import BlobChangedError, BlockList
from nsgflow_core.model import Bad, BlobRef, Block, Position
from nsgflow_core.sinks.lane import Lane
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import AsRead, Delivery, Refusal


@dataclasses.dataclass
class LargeBlob:
    """A blob whose data blocks all hold the same records.

    Attributes:
        records: the text of one block: records with commas between them.
        count: data blocks so far; raise it and the blob has grown.
        lists: block lists asked for; also reads, and the bytes read.
    """

    records: bytes
    count: int
    lists: int = 0
    reads: int = 0
    bytes_read: int = 0

    @property
    def size(self) -> int:
        """Bytes in the blob."""
        return len(HEAD) + self.count * (len(self.records) + 1) - 1 + len(CLOSER)

    @property
    def etag(self) -> str:
        """It changes when the blob grows."""
        return f'"{self.count}"'

    def list_blocks(self, ref: BlobRef) -> BlockList:
        """As `FlowLogs.list_blocks`, with blocks as Azure writes them."""
        self.lists += 1
        stride = len(self.records) + 1  # of all data blocks but the first, which has no comma
        first = len(HEAD)
        data = [
            Block(f"D{number:08X}", first + max(number * stride - 1, 0), stride - (number == 0))
            for number in range(self.count)
        ]
        closer = Block("Z", self.size - len(CLOSER), len(CLOSER))
        return BlockList((Block("A", 0, first), *data, closer), self.size, self.etag)

    def changed(self, ref: BlobRef, etag: str) -> bool:
        """As `FlowLogs.changed`."""
        return etag != self.etag

    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes:
        """As `FlowLogs.read`."""
        if etag != self.etag:
            raise BlobChangedError(str(ref))
        self.reads += 1
        self.bytes_read += end - start
        behind = self.size - len(CLOSER)
        unit = self.records + b","
        begin, until = max(start, len(HEAD)) - len(HEAD), min(end, behind) - len(HEAD)
        data = b""
        if begin < until:
            skip = begin % len(unit)
            data = (unit * ((skip + until - begin) // len(unit) + 1))[skip : skip + until - begin]
        closer = CLOSER[max(start - behind, 0) : max(end - behind, 0)]
        return HEAD[start:end] + data + closer


@dataclasses.dataclass
class OneCheckpoint:
    """The checkpoint of one blob, with an ETag; `writes` counts."""

    row: Checkpoint | None = None
    writes: int = 0

    def read(self, ref: BlobRef, hour: datetime) -> Checkpoint:
        """As `Checkpoints.read`."""
        return self.row or Checkpoint(ref, hour)

    def write(self, checkpoint: Checkpoint) -> Checkpoint:
        """As `Checkpoints.write`."""
        if checkpoint.etag != (self.row.etag if self.row else ""):
            raise ClaimLostError(str(checkpoint.ref))
        self.writes += 1
        self.row = msgspec.structs.replace(checkpoint, etag=str(self.writes))
        return self.row


@dataclasses.dataclass
class CountingSink:
    """A sink that counts flows, and those that come again or out of order.

    `on_delivery` is told of each delivery before it counts.
    """

    name: str
    flows: int = 0
    repeated: int = 0
    on_delivery: Callable[[], None] = lambda: None
    _last: Position = dataclasses.field(default_factory=lambda: Position(-1))

    def __post_init__(self) -> None:
        self.filter = compile_terms("action=denied")

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
        """Accept all of it."""
        self.on_delivery()
        for part in flows:
            for position in part.positions():
                self.repeated += position <= self._last
                self._last = position
        count = sum(map(len, flows))
        self.flows += count
        return Delivery(end, count)


@dataclasses.dataclass
class CountedLetters:
    """Dead letters, counted."""

    count: int = 0

    def put_bad(self, ref: BlobRef, bad: Sequence[Bad], start: int) -> None:
        """As `DeadLetters.put_bad`."""
        self.count += len(bad)

    def put_refused(self, ref: BlobRef, sink: str, refused: Sequence[Refusal]) -> None:
        """As `DeadLetters.put_refused`."""
        self.count += len(refused)


@dataclasses.dataclass
class LargeWorld:
    """The product's pipeline over a large blob; `seconds` is its clock, moved by whoever has it."""

    blob: LargeBlob
    sinks: list[CountingSink]
    ref: BlobRef
    checkpoints: OneCheckpoint = dataclasses.field(default_factory=OneCheckpoint)
    letters: CountedLetters = dataclasses.field(default_factory=CountedLetters)
    seconds: float = 1_767_268_800.0

    def pipeline(self, pool: ThreadPoolExecutor) -> Pipeline:
        """The pipeline, with sinks in this pool."""
        lanes = [Lane(sink, pool, lambda: self.seconds) for sink in self.sinks]
        parts = Parts(self.blob, self.checkpoints, self.letters, lanes, lambda: self.seconds)
        return Pipeline(parts)


def large_world(records: bytes, count: int, hour: datetime) -> LargeWorld:
    """A blob of so many blocks of these records, and two sinks."""
    ref = BlobRef("logs", "insights-logs-networksecuritygroupflowevent", nsg_path(Nic(), hour))
    return LargeWorld(
        LargeBlob(records, count), [CountingSink("table"), CountingSink("webhook")], ref
    )
