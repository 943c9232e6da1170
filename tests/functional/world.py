"""A world in memory for the product's own pipeline: only storage, sinks and clock are replaced."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.pipeline import Pipeline
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.errors import NsgflowError, TransientError
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.events import Announced
from nsgflow_core.logs.path import parse_path
from nsgflow_core.logs.source import BlobChangedError, BlobGoneError, BlockList
from nsgflow_core.model import Bad, BlobRef, Block, Flow, Position
from nsgflow_core.sinks import rows
from nsgflow_core.sinks.in_order import deliver_in_order
from nsgflow_core.sinks.lane import Lane
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import AsRead, Delivery, Item, Refusal

REF = BlobRef(
    "logs",
    "insights-logs-networksecuritygroupflowevent",
    "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK"
    "/NETWORKSECURITYGROUPS/WEB/y=2026/m=11/d=23/h=08/m=00/macAddress=000D3AF87856/PT1H.json",
)


class Inline(Executor):
    """Runs what is submitted at once, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - an executor hands over whatever was raised
            future.set_exception(exc)
        return future


class Killed(BaseException):
    """The process dies here: nothing of it runs on."""


@dataclass
class Fate:
    """Kills the process at a step of its I/O; `steps` counts down, None lives for ever."""

    steps: int | None = None

    def __call__(self) -> None:
        """One step; a dead process does none."""
        if self.steps is not None:
            if self.steps <= 0:
                raise Killed
            self.steps -= 1


@dataclass
class Clock:
    """A wall clock that moves when told."""

    seconds: float = 1_763_800_000.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


@dataclass
class Blobs:
    """Flow-log blobs: the blocks of each, changed only as a whole."""

    blocks: dict[BlobRef, list[tuple[str, bytes]]] = field(default_factory=dict)
    etags: dict[BlobRef, str] = field(default_factory=dict)
    bytes_read: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    listed: bool = True
    clock: Callable[[], float] = float
    fate: Fate = field(default_factory=Fate)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def write(self, ref: BlobRef, blocks: Sequence[tuple[str, bytes]]) -> None:
        """Commit these blocks (id, bytes)."""
        self.blocks[ref] = list(blocks)
        self.etags[ref] = f'"{next(self._numbers)}"'

    def content(self, ref: BlobRef) -> bytes:
        """The whole blob."""
        return b"".join(data for _, data in self.blocks[ref])

    def list_blocks(self, ref: BlobRef) -> BlockList:
        """As `FlowLogs.list_blocks`; with `listed` off, as of a blob uploaded in one piece."""
        self.fate()
        self.requests["list"] += 1
        if ref not in self.blocks:
            raise BlobGoneError(str(ref))
        offset = 0
        blocks = []
        for name, data in self.blocks[ref]:
            blocks.append(Block(name, offset, len(data)))
            offset += len(data)
        return BlockList(
            tuple(blocks) if self.listed else (), offset, self.etags[ref], self.clock()
        )

    def changed(self, ref: BlobRef, etag: str) -> bool:
        """As `FlowLogs.changed`."""
        self.fate()
        self.requests["look"] += 1
        if ref not in self.blocks:
            raise BlobGoneError(str(ref))
        return etag != self.etags[ref]

    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes:
        """As `FlowLogs.read`."""
        self.fate()
        self.requests["read"] += 1
        if ref not in self.blocks:
            raise BlobGoneError(str(ref))
        if etag != self.etags[ref]:
            raise BlobChangedError(str(ref))
        data = self.content(ref)[start:end]
        assert len(data) == end - start, "a read past the end of the blob"
        self.bytes_read += len(data)
        return data


@dataclass
class Table:
    """Checkpoints with ETags."""

    rows: dict[BlobRef, Checkpoint] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    fate: Fate = field(default_factory=Fate)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def read(self, ref: BlobRef, hour: datetime) -> Checkpoint:
        """As `Checkpoints.read`."""
        self.fate()
        self.requests["read"] += 1
        return self.rows.get(ref, Checkpoint(ref, hour))

    def write(self, checkpoint: Checkpoint) -> Checkpoint:
        """As `Checkpoints.write`."""
        self.fate()
        self.requests["write"] += 1
        current = self.rows.get(checkpoint.ref)
        if (current.etag if current else "") != checkpoint.etag:
            raise ClaimLostError(str(checkpoint.ref))
        written = replace(checkpoint, etag=str(next(self._numbers)))
        self.rows[checkpoint.ref] = written
        self.fate()
        return written


@dataclass
class Letters:
    """Dead letters: what could not be read and what was refused, as often as it was put."""

    bad: list[Bad] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    refused: list[tuple[str, Refusal]] = field(default_factory=list)

    def put_bad(self, ref: BlobRef, bad: Sequence[Bad], start: int) -> None:
        """As `DeadLetters.put_bad`."""
        assert isinstance(ref, BlobRef)
        self.bad += bad
        self.starts.append(start)

    def put_refused(self, ref: BlobRef, sink: str, refused: Sequence[Refusal]) -> None:
        """As `DeadLetters.put_refused`."""
        assert isinstance(ref, BlobRef)
        self.refused += [(sink, refusal) for refusal in refused]


@dataclass
class MemorySink:
    """A sink that keeps the FlowIds it accepted; `answer` decides each post of a batch.

    `answer` returns None to accept, or an error to raise; `lose` accepts and raises.
    """

    name: str
    batch: int = 3
    terms: str = "action=denied"
    accepted: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    answer: Callable[[Sequence[Flow]], NsgflowError | None] = lambda _: None
    lose: Callable[[], bool] = lambda: False
    fate: Fate = field(default_factory=Fate)

    def __post_init__(self) -> None:
        self.filter = compile_terms(self.terms)

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
        """As the real ones, through the product's own accounting."""
        by_name = {str(number): flow for number, flow in enumerate(chain(*flows))}

        def post(items: Sequence[Item]) -> None:
            posted = [by_name[item.id] for item in items]
            self.fate()
            if error := self.answer(posted):
                raise error
            for flow in posted:
                self.accepted[rows.flow_id(ref, flow)] += 1
                self.texts.append(flow.text)
            self.fate()
            if self.lose():
                raise TransientError("the answer was lost")

        items = [
            Item(b"", Position(flow.group.record.offset, flow.ordinal + 1), 1, number)
            for number, flow in by_name.items()
        ]
        batches = [items[at : at + self.batch] for at in range(0, len(items), self.batch)]
        return deliver_in_order(batches, post, start, end, patience)


@dataclass
class World:
    """Everything, with one pipeline over it."""

    sinks: list[MemorySink]
    blobs: Blobs = field(default_factory=Blobs)
    table: Table = field(default_factory=Table)
    letters: Letters = field(default_factory=Letters)
    clock: Clock = field(default_factory=Clock)
    knowledge: Knowledge = NOTHING

    def __post_init__(self) -> None:
        self.blobs.clock = self.clock

    def fate(self, steps: int | None) -> None:
        """Let the process die after so many steps of I/O, or live."""
        fate = Fate(steps)
        self.blobs.fate = self.table.fate = fate
        for sink in self.sinks:
            sink.fate = fate

    def pipeline(self) -> Pipeline:
        """The product's pipeline over this world."""
        lanes = [Lane(sink, Inline(), self.clock) for sink in self.sinks]
        known = self.knowledge
        parts = Parts(self.blobs, self.table, self.letters, lanes, self.clock, lambda: known)
        return Pipeline(parts)

    def clock_hour(self) -> datetime:
        """The hour of `REF`."""
        return parse_path(REF.path).hour

    def announced(self, ref: BlobRef = REF) -> Announced:
        """What an event would say of a blob now."""
        return Announced(
            len(self.blobs.content(ref)), self.blobs.etags[ref].strip('"'), self.clock()
        )

    def event(
        self, ref: BlobRef = REF, seconds: float = 480.0, announced: Announced | None = None
    ) -> Any:
        """One event: the report of its run."""
        return self.pipeline().run(ref, self.clock() + seconds, announced=announced)

    def heal(self, ref: BlobRef = REF) -> None:
        """Let every wait pass, and run until nothing is left, as events and sweeps would."""
        for _ in range(100):
            self.clock.seconds += 700
            if not self.event(ref).unfinished:
                return
        raise AssertionError("the blob is stuck")
