"""Looks on while a schedule runs, and knows what must never happen.

It knows what was written to each blob, is told of every acceptance and of every write of a
checkpoint, and of everything that may excuse a repeat. What it finds it keeps in `broken`: raised
at once, it would be one more failure for the product to survive.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.model import BlobRef, Position
from tests.simulation.scheduler import Process, SimulatedFuture, Task

CURSORS = msgspec.json.Decoder(dict[str, Cursor])


class BrokenPromiseError(AssertionError):
    """What nsgflow promises did not hold."""


@dataclass(eq=False)
class Tenure:
    """A claim from its taking to its end; `excuse` says why its holder may have lost it.

    `committed` is where its own commits put the cursor of each sink, `streams` the place from
    which on each sink may accept flows in it.
    """

    owner: str
    task: Task
    excuse: str = ""
    committed: dict[str, Position] = field(default_factory=dict)
    streams: dict[str, Position] = field(default_factory=dict)


@dataclass(eq=False)
class Acceptance:
    """One flow accepted once: in which tenure, and whether its acknowledgement was lost."""

    tenure: Tenure
    replays: int
    future: SimulatedFuture | None
    lost: bool = False


@dataclass
class Judge:
    """The truth about a world, and what became of it."""

    sinks: tuple[str, ...]
    truth: dict[BlobRef, list[tuple[Position, str]]] = field(default_factory=dict)
    accepted: dict[tuple[str, BlobRef, Position], Acceptance] = field(default_factory=dict)
    tenures: dict[BlobRef, list[Tenure]] = field(default_factory=dict)
    replays: dict[BlobRef, int] = field(default_factory=dict)
    begun: dict[tuple[str, BlobRef], Position] = field(default_factory=dict)
    disturbed: set[BlobRef] = field(default_factory=set)
    repeats: int = 0
    broken: list[str] = field(default_factory=list)

    def wrote(self, ref: BlobRef, flows: list[tuple[Position, str]]) -> None:
        """The blob has grown by these denied flows."""
        self.truth.setdefault(ref, []).extend(flows)

    def died(self, process: Process) -> None:
        """A process has died: what its runs had accepted and not committed may come again."""
        self.excuse_all("died", lambda task: task.process is process)

    def failed(self, task: Task) -> None:
        """The storage failed a task: it may be unable to commit what was accepted."""
        self.excuse_all("storage failed", lambda other: other is task)

    def excuse_all(self, why: str, whose: Any) -> None:
        """Excuse the tenures of tasks."""
        for tenures in self.tenures.values():
            for tenure in tenures:
                if not tenure.excuse and whose(tenure.task):
                    tenure.excuse = why

    def replayed(self, ref: BlobRef) -> None:
        """The cursors of a blob were put back to its beginning."""
        self.replays[ref] = self.replays.get(ref, 0) + 1
        self.disturbed.add(ref)
        for tenure in self.tenures.get(ref, ()):
            tenure.excuse = tenure.excuse or "replay"

    def checkpoint(
        self, before: Mapping[str, Any] | None, after: Mapping[str, Any], task: Task, now: float
    ) -> None:
        """A checkpoint was written by a task at this time of its process."""
        ref = BlobRef(after["Account"], after["Container"], after["Path"])
        cursors = CURSORS.decode(after["Cursors"])
        self._check_sinks(ref, CURSORS.decode(before["Cursors"]) if before else {}, cursors)
        for sink, cursor in cursors.items():
            self._check_cursor(ref, sink, cursor.position)
        old = before["Owner"] if before else ""
        held = self._tenure(ref, old)
        if held is not None and held.task is task:
            for sink, cursor in cursors.items():
                held.committed[sink] = cursor.position
        elif held is not None and before is not None and before["Until"] <= now:
            held.excuse = held.excuse or "its claim ran out"
        if after["Owner"] and after["Owner"] != old:
            self.tenures.setdefault(ref, []).append(Tenure(after["Owner"], task))

    def current(self, ref: BlobRef, task: Task | None) -> Tenure:
        """The newest tenure of a blob that a task has taken."""
        mine = [tenure for tenure in self.tenures.get(ref, ()) if tenure.task is task]
        if not mine:
            self.broken.append(f"{ref}: delivered without ever having claimed it")
            return Tenure("", Task(Process(-9), lambda: None, 0.0))
        return mine[-1]

    def accept(
        self, sink: str, ref: BlobRef, flows: list[tuple[Position, str]], one: Acceptance
    ) -> None:
        """A sink has accepted a batch of flows."""
        known = dict(self.truth[ref])
        if flows[0][0] < one.tenure.streams.get(sink, Position(0)):
            self.broken.append(f"{sink}: {flows[0][0]} out of order")
        # What was not acknowledged is sent again.
        following, _ = flows[0] if one.lost else flows[-1]
        one.tenure.streams[sink] = Position(following.offset, following.ordinal + (not one.lost))
        for position, text in flows:
            if known.get(position) != text:
                self.broken.append(f"{sink}: a flow that nobody wrote: {position} {text}")
            earlier = self.accepted.get((sink, ref, position))
            if earlier is not None:
                self.repeats += 1
                if not self._explained(sink, position, earlier, one):
                    self.broken.append(f"{sink}: {position} repeated without a reason")
            self.accepted[sink, ref, position] = one

    def _explained(
        self, sink: str, position: Position, earlier: Acceptance, now: Acceptance
    ) -> bool:
        if earlier.lost or any(
            one.future is not None and one.future.abandoned for one in (earlier, now)
        ):
            return True
        if now.tenure.excuse or now.replays > earlier.replays:
            return True
        committed = earlier.tenure.committed.get(sink, Position(0)) > position
        return bool(earlier.tenure.excuse) and not committed

    def _tenure(self, ref: BlobRef, owner: str) -> Tenure | None:
        for tenure in self.tenures.get(ref, ()):
            if owner and tenure.owner == owner:
                return tenure
        return None

    def _check_sinks(
        self, ref: BlobRef, before: Mapping[str, Cursor], after: Mapping[str, Cursor]
    ) -> None:
        """No cursor is ever dropped; a sink that is new need not tell what others have."""
        for sink in before.keys() - after.keys():
            self.broken.append(f"{sink}: its cursor in {ref} was dropped")
        if after:
            furthest = max(cursor.position for cursor in after.values())
            for sink in set(self.sinks) - after.keys():
                self.begun[sink, ref] = furthest

    def _check_cursor(self, ref: BlobRef, sink: str, cursor: Position) -> None:
        flows = self.truth.get(ref, [])
        begun = self.begun.get((sink, ref), Position(0))
        for position, _ in flows[: bisect_left(flows, (cursor, ""))]:
            if position >= begun and (sink, ref, position) not in self.accepted:
                self.broken.append(f"{sink}: cursor at {cursor}, {position} not accepted")

    def missing(self, sink: str) -> list[tuple[BlobRef, Position]]:
        """Flows that a sink has not accepted."""
        return [
            (ref, position)
            for ref, flows in self.truth.items()
            for position, _ in flows
            if position >= self.begun.get((sink, ref), Position(0))
            and (sink, ref, position) not in self.accepted
        ]
