"""One blob, from its checkpoint to accepted rows and alerts.

    read checkpoint ─▶ list blocks ─▶ claim ─▶ read ─▶ records ─▶ flows ─▶ sinks ─▶ commit ┐
                            ▲                                                              │
                            └────────────── list again: has it grown? ◀────────────────────┘

The order loses no event: whoever finds the blob claimed may go, because the holder lists it
again after releasing the claim. docs/architecture.md tells what each failure leads to.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import CLAIM_SECONDS, Checkpoint
from nsgflow_core.delivery.cursor import Cursor, after, beginning, behind, has, matches, put_off
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.reading import Reader
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.digests import ledger
from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.young import is_young
from nsgflow_core.logs.blocks import BlobChangedError, BlobGoneError, BlockList
from nsgflow_core.logs.events import Announced
from nsgflow_core.logs.path import LogPath, parse_path
from nsgflow_core.model import BlobRef, Flow, Position
from nsgflow_core.sinks.lane import Begun
from nsgflow_core.sinks.patience import FLOOR, HANG_GRACE, LONGEST, SINK_SECONDS
from nsgflow_core.sinks.sink import Delivery
from nsgflow_core.turns import HEAVY_FLOWS, turn

_TRIES = 5  # of a run whose row was written by others
_CLAIM_RESERVE = LONGEST + HANG_GRACE + 7
"""Seconds of claim that must be left before a delivery begins, or it is extended first."""


class Pipeline:
    """The way of the data."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(
        self,
        ref: BlobRef,
        deadline: float,
        announced: Announced | None = None,
        most: int | None = None,
    ) -> Report:
        """Deliver what is new in a blob, until `deadline` (seconds since the epoch).

        Where all sinks have what an event `announced`, the blob is not asked for.
        What has more new bytes than `most` is marked and left for a run without that limit.
        What sinks answer is in the report, and so is a blob that has vanished: there is nothing
        to deliver from it.

        Raises:
            BadInputError: the path is not that of a flow log.
            TransientError, RefusedError: the storage failed; the data waits in the blob.
        """
        begun = time.monotonic()
        log = parse_path(ref.path)
        checkpoint = self._parts.checkpoints.read(ref, log.hour)
        run = _Run(self._parts, log, checkpoint, deadline, most)
        if announced is not None and run.has(announced):
            run.report.seconds = time.monotonic() - begun
            return run.report
        try:
            run.whole()
        finally:
            run.give_back()
            run.report.marked = run.marked
            run.report.seconds = time.monotonic() - begun
        return run.report


class _Run:
    """One run over one blob: its checkpoint as last read or written, and whether we hold it.

    Held is also what we may hold, because a claim was sent whose answer was lost.
    """

    def __init__(
        self,
        parts: Parts,
        log: LogPath,
        checkpoint: Checkpoint,
        deadline: float,
        most: int | None,
    ) -> None:
        self._parts = parts
        self._lanes = {lane.name: lane for lane in parts.lanes}
        self._checkpoint = checkpoint
        self._deadline = deadline
        self._most = most
        self._knowledge = parts.knowledge()
        self._held = False
        self._overtime = dict.fromkeys(self._lanes, 0.0)
        self._owner = ""
        self._left: set[str] = set()
        self._ledgers = checkpoint.ledgers
        self.report = Report(checkpoint.ref, rewritten=int(checkpoint.damaged))
        self._reader = Reader(parts, log, self._knowledge, self.report)

    def whole(self) -> None:
        """Deliver what is new, unless or until somebody else has the blob.

        Who finds that the row has changed looks again: another may have written it and be done,
        and then nobody but us looks at what has come since.
        """
        for _ in range(_TRIES):
            if self._checkpoint.owner and self._checkpoint.until > self._parts.now():
                break
            try:
                self._until_nothing_new()
            except BlobGoneError:
                self._settle(None)
            except ClaimLostError:
                self._start_over()
                continue
            return
        self.report.busy = True

    @property
    def marked(self) -> bool:
        """Whether the checkpoint, as far as is known, stays pending."""
        return self._checkpoint.pending

    def _start_over(self) -> None:
        self._held = False
        self._adopt(self._read_row())

    def _read_row(self) -> Checkpoint:
        return self._parts.checkpoints.read(self._checkpoint.ref, self._checkpoint.hour)

    def _adopt(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._ledgers = checkpoint.ledgers

    def _until_nothing_new(self) -> None:
        """Deliver until a listing made without the claim shows nothing new."""
        ref = self._checkpoint.ref
        blocks: BlockList | None = None
        while True:
            blocks = blocks or self._parts.source.list_blocks(ref)
            cursors = self._cursors()
            due = self._due(cursors, blocks)
            if not due or self.report.out_of_time or self._too_much(due, blocks):
                break
            if not self._held:
                self._claim()
            try:
                cursors |= self._verify(due, blocks)
                front = max(cursors[name].position for name in due)
                window = {name: cursors[name] for name in due if cursors[name].position == front}
                cursors |= self._deliver_window(window, cursors, blocks)
            except BlobChangedError:
                self.report.out_of_time = self._parts.now() >= self._deadline
                blocks = None
                continue
            more = bool(self._due(cursors, blocks))
            self.report.out_of_time = more and self._parts.now() >= self._deadline
            self._commit(cursors, blocks, release=not more or self.report.out_of_time)
            # While it is held, the next read tells when the blob has grown; a long list costs
            # more than a window, so it is not made anew for each.
            if not self._held:
                blocks = None
        late = {name: cursor for name, cursor in cursors.items() if behind(cursor, blocks)}
        lagging = [name for name, cursor in late.items() if not self._reader.waits(cursor, blocks)]
        self.report.lagging = tuple(sorted(lagging))
        self._left.clear()
        self.report.more = bool(self._due(cursors, blocks))
        self.report.behind_since = min(
            (cursors[name].behind_since or self._parts.now() for name in lagging), default=0.0
        )
        if not late:
            self._settle(blocks)
        elif not self._checkpoint.pending:  # nothing was done here, and the sweep must know
            self._write(replace(self._checkpoint, pending=True))

    def _too_much(self, due: Mapping[str, Cursor], blocks: BlockList) -> bool:
        """Whether what is new takes longer than this run should; never while the blob is held."""
        if self._most is None or self._held:
            return False
        return blocks.size - min(cursor.offset for cursor in due.values()) > self._most

    def _settle(self, blocks: BlockList | None) -> None:
        """Clear the mark that a worker left who died, or whose blob is gone: nothing is to do.

        It stays where a sink is behind that only other processes have.
        """
        row = self._checkpoint
        pending = blocks is not None and any(behind(at, blocks) for at in row.cursors.values())
        if row.pending and (row.owner or not pending):
            self._write(replace(row, owner="", until=0.0, pending=pending))
        self._held = False

    def give_back(self) -> None:
        """Free a blob still held, for whoever tries next, when the storage still lets us."""
        if not self._held:
            return
        self._held = False
        with suppress(NsgflowError):  # the claim runs out by itself
            try:
                self._free(self._checkpoint)
            except ClaimLostError:  # or what we read before a write whose answer was lost is old
                latest = self._read_row()
                if latest.owner == self._owner:
                    self._free(latest)

    def _free(self, row: Checkpoint) -> None:
        self._parts.checkpoints.write(replace(row, owner="", until=0.0, pending=True))

    def has(self, announced: Announced) -> bool:
        """Whether every sink has what an event announced."""
        return all(has(cursor, announced) for cursor in self._cursors().values())

    def _cursors(self) -> dict[str, Cursor]:
        """The cursor of every sink; one that is new begins where the furthest is."""
        known = self._checkpoint.cursors
        return {name: known.get(name) or beginning(known) for name in self._lanes}

    def _due(self, cursors: Mapping[str, Cursor], blocks: BlockList) -> dict[str, Cursor]:
        now = self._parts.now()
        return {
            name: cursor
            for name, cursor in cursors.items()
            if name not in self._left
            and cursor.not_before <= now
            and behind(cursor, blocks)
            and not self._reader.waits(cursor, blocks)
            and self._lanes[name].breaker.closed()
        }

    def _claim(self) -> None:
        self._held = True
        self._owner = uuid.uuid4().hex
        until = self._parts.now() + CLAIM_SECONDS
        self._write(replace(self._checkpoint, owner=self._owner, until=until, pending=True))

    def _write(self, wanted: Checkpoint) -> None:
        try:
            self._checkpoint = self._parts.checkpoints.write(wanted)
        except ClaimLostError:
            # The client repeats a write whose answer was lost, and is refused for its own row.
            latest = self._read_row()
            if not latest.says_the_same(wanted):
                raise
            self._adopt(latest)

    def _verify(self, due: Mapping[str, Cursor], blocks: BlockList) -> dict[str, Cursor]:
        """Cursors that still stand on the bytes they were left on, or at the beginning."""
        verified: dict[str, Cursor] = {}
        for name, cursor in due.items():
            if matches(cursor, blocks):
                verified[name] = cursor
            elif self._reader.unchanged(cursor, blocks):
                block = blocks.holding(cursor.offset - 1)
                verified[name] = replace(cursor, block=block, etag=blocks.etag)
            else:
                self.report.rewritten += 1
                verified[name] = Cursor(behind_since=cursor.behind_since)
        return verified

    def _deliver_window(
        self, window: Mapping[str, Cursor], cursors: Mapping[str, Cursor], blocks: BlockList
    ) -> dict[str, Cursor]:
        """Read the next window for sinks that stand at one place, deliver it, move them on."""
        start = next(iter(window.values())).position
        denied_only = all(self._lanes[name].sink.filter.denied_only for name in window)
        data, reading = self._reader.window(start.offset, blocks, denied_only=denied_only)
        if start.offset + len(data) == blocks.size:
            told = any(not behind(at, blocks) for at in self._checkpoint.cursors.values())
            reading = self._reader.judge_end(data, start.offset, reading, blocks, told=told)
        self.report.records += reading.records
        self.report.flows += len(reading.flows)
        # Sinks behind the furthest one meet bad input that was kept when that one met it.
        known = {**self._checkpoint.cursors, **cursors}
        examined = max(at.offset for at in known.values() if matches(at, blocks))
        if fresh := [piece for piece in reading.bad if piece.offset >= examined]:
            self._parts.dead_letters.put_bad(self._checkpoint.ref, fresh, start.offset)
            self.report.bad += len(fresh)
        if self._checkpoint.until - self._parts.now() < _CLAIM_RESERVE:
            self._write(replace(self._checkpoint, until=self._parts.now() + CLAIM_SECONDS))
        end = Position(reading.end)
        last = start.offset + len(data) == blocks.size
        moved: dict[str, Cursor] = {}
        deliveries = self._deliver(window, reading.flows, start, end)
        for name in window.keys() - deliveries.keys():  # left alone by now
            moved[name] = self._behind(window[name])
        for name, delivery in deliveries.items():
            self._account(name, delivery)
            cursor = after(window[name], delivery, data, start.offset, blocks)
            if delivery.reached == end and delivery.error is None and last:
                waits = self._reader.waits(cursor, blocks)
                seen = max(cursor.offset - 1, 0) if waits else blocks.size
                listed = 0.0 if waits else blocks.listed
                cursor = replace(cursor, seen=seen, listed=listed, behind_since=0.0)
            else:
                cursor = self._behind(cursor)
            if delivery.error is not None:
                before = 0 if delivery.accepted else window[name].failures
                cursor = put_off(cursor, delivery.error, before + 1, self._parts.now())
            moved[name] = cursor
        return moved

    def _behind(self, cursor: Cursor) -> Cursor:
        return replace(cursor, behind_since=cursor.behind_since or self._parts.now())

    def _deliver(
        self, window: Mapping[str, Cursor], found: Sequence[Flow], start: Position, end: Position
    ) -> dict[str, Delivery]:
        """Deliver to the sinks side by side, each in its time; one left alone is left out."""
        deliveries: dict[str, Delivery] = {}
        # Only of a record that was left half delivered can flows lie before the start.
        ahead = [flow for flow in found if flow.position >= start] if start.ordinal else found
        begun: dict[str, Begun] = {}
        for name in window:
            lane = self._lanes[name]
            with turn(heavy=len(ahead) > HEAVY_FLOWS):
                wanted = list(filter(lane.sink.filter.knowing(self._knowledge), ahead))
            if "nsg" in lane.sink.filter.keys:
                self.report.young_nsgs += sum(is_young(flow, self._knowledge) for flow in wanted)
            if not wanted:
                deliveries[name] = Delivery(end)
                continue
            seconds = SINK_SECONDS - self._overtime[name]
            delivery = lane.begin(self._checkpoint.ref, wanted, start, end, seconds)
            if delivery is None:  # it failed for another blob meanwhile
                self._left.add(name)
                continue
            _count(self.report.wanted, name, len(wanted))
            begun[name] = delivery
        waited: dict[str, float] = {}
        for name, delivery in begun.items():
            deliveries[name], waited[name] = delivery.result(start)
        if len(window) > 1:  # somebody else might have gone on
            self._note_overtime(waited)
        return deliveries

    def _note_overtime(self, waited: Mapping[str, float]) -> None:
        """Leave a sink for the rest of the run that has made the others wait too long."""
        for name, seconds in waited.items():
            others = [other for key, other in waited.items() if key != name]
            self._overtime[name] += max(seconds - max(others, default=0.0), 0.0)
            if self._overtime[name] >= SINK_SECONDS - FLOOR:
                self._left.add(name)

    def _account(self, name: str, delivery: Delivery) -> None:
        _count(self.report.accepted, name, delivery.accepted)
        _count(self.report.too_old, name, delivery.too_old)
        _count(self.report.retries, name, delivery.retries)
        if delivery.counted:
            counted = ledger.add(self._ledgers.get(name), delivery.counted, self._parts.now())
            self._ledgers = {**self._ledgers, name: counted}
        if delivery.refused:
            self._parts.dead_letters.put_refused(self._checkpoint.ref, name, delivery.refused)
            _count(self.report.refused, name, len(delivery.refused))
        if delivery.error is not None:
            self.report.errors[name] = delivery.error
            self._left.add(name)

    def _commit(self, cursors: Mapping[str, Cursor], blocks: BlockList, *, release: bool) -> None:
        """Write how far the sinks got; those that only other processes have stay where they are."""
        now = self._parts.now()
        all_cursors = {**self._checkpoint.cursors, **cursors}
        lagging = {name: at for name, at in all_cursors.items() if behind(at, blocks)}
        since = {
            name: replace(at, behind_since=at.behind_since or now)
            for name, at in lagging.items()
            if not self._reader.waits(at, blocks)
        }
        self._write(
            replace(
                self._checkpoint,
                cursors=all_cursors | since,
                owner="" if release else self._checkpoint.owner,
                until=0.0 if release else now + CLAIM_SECONDS,
                pending=not release or bool(lagging),
                ledgers=self._ledgers,
                damaged=False,
            )
        )
        self._held = not release


def _count(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number
