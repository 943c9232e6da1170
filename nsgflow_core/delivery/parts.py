"""What the pipeline is made of: where it reads, where it writes, and who is told."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.estate.knowledge import Knowing, nothing
from nsgflow_core.logs.source import GrowingSource
from nsgflow_core.model import Bad, BlobRef
from nsgflow_core.sinks.lane import Lane
from nsgflow_core.sinks.sink import Refusal


class CheckpointStore(Protocol):
    """Where checkpoints are; `checkpoint.Checkpoints` is the real one."""

    def read(self, ref: BlobRef, hour: datetime) -> Checkpoint: ...  # noqa: D102
    def write(self, checkpoint: Checkpoint) -> Checkpoint: ...  # noqa: D102


class DeadLetterStore(Protocol):
    """Where dead letters go; `dead_letters.DeadLetters` is the real one."""

    def put_bad(self, ref: BlobRef, bad: Sequence[Bad], start: int) -> None: ...  # noqa: D102
    def put_refused(self, ref: BlobRef, sink: str, refused: Sequence[Refusal]) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline is made of; `now` is the wall clock in seconds since the epoch.

    `knowledge` gives the newest snapshot; a run keeps to the one it began with.
    """

    source: GrowingSource
    checkpoints: CheckpointStore
    dead_letters: DeadLetterStore
    lanes: Sequence[Lane]
    now: Callable[[], float] = time.time
    knowledge: Knowing = nothing
