"""One blob, from its checkpoint to accepted rows and alerts.

    read checkpoint ─▶ list blocks ─▶ claim ─▶ read ─▶ records ─▶ flows ─▶ sinks ─▶ commit ┐
                            ▲                                                              │
                            └────────────── look again: has it grown? ◀────────────────────┘

The order loses no event: whoever finds the blob claimed may go, because the holder looks at it
again after releasing the claim. docs/architecture.md tells what each failure leads to.
"""

import time
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import CLAIM_SECONDS, Checkpoint
from nsgflow_core.delivery.cursor import Cursor, after, beginning, behind, has, matches, put_off
from nsgflow_core.delivery.looking import Lately, Look
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.reading import Reader
from nsgflow_core.delivery.remembered import Remembered
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.delivery.taking import Taking
from nsgflow_core.delivery.tenure import Tenure
from nsgflow_core.digests import ledger
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.events import Announced
from nsgflow_core.logs.flows import Reading
from nsgflow_core.logs.path import LogPath, log_name, parse_path
from nsgflow_core.logs.source import BlobChangedError, BlobGoneError, BlockList
from nsgflow_core.model import Bad, BlobRef, Position
from nsgflow_core.sinks.lane import Begun
from nsgflow_core.sinks.patience import FLOOR, HANG_GRACE, LONGEST, SINK_SECONDS
from nsgflow_core.sinks.sink import Delivery, Gathered

_TRIES = 5  # of a run whose row was written by others
_CLAIM_RESERVE = LONGEST + HANG_GRACE + 7
"""Seconds of claim that must be left before a delivery begins, or it is extended first."""


class Pipeline:
    """The way of the data."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._remembered = Remembered(parts.now)
        self._lately = Lately()

    def run(
        self,
        ref: BlobRef,
        deadline: float,
        announced: Announced | None = None,
        most: int | None = None,
        *,
        fresh: bool = True,
    ) -> Report:
        """Deliver what is new in a blob, until `deadline` (seconds since the epoch).

        Where all sinks have what an event `announced`, the blob is not asked for.
        What has more new bytes than `most` is marked and left for a run without that limit.
        Unless it must be `fresh`, the checkpoint is not read before something is delivered by it
        where this process remembers it.
        What sinks answer is in the report, and so is a blob that has vanished: there is nothing
        to deliver from it.

        Raises:
            BadInputError: the path is not that of a flow log.
            TransientError, RefusedError: the storage failed; the data waits in the blob.
        """
        begun = time.monotonic()
        log = parse_path(ref.path)
        known = self._remembered.take(ref)
        # Nothing is passed over on its word: a replay may have put cursors back since.
        trusted = not fresh and known is not None and not self._have(known, announced)
        row = known if trusted and known else self._parts.checkpoints.read(ref, log.hour)
        run = _Run(self._parts, log, row, deadline, most, self._lately, remembered=trusted)
        if self._have(row, announced):
            self._remembered.keep(row)
            run.report.seconds = time.monotonic() - begun
            return run.report
        try:
            run.whole()
            self._remembered.keep(run.tenure.row)
            if ledgers := run.tenure.row.ledgers:
                self._lately.keep(log_name(ref, log), log.hour, ledgers)
        finally:
            run.tenure.give_back()
            if trusted and run.tenure.moved:
                self._remembered.doubt()
            run.report.marked = run.tenure.row.pending
            run.report.seconds = time.monotonic() - begun
        return run.report

    def _have(self, row: Checkpoint, announced: Announced | None) -> bool:
        """Whether every sink has what an event announced."""
        names = [lane.name for lane in self._parts.lanes]
        cursors = _cursors_of(row, names).values()
        return announced is not None and all(has(cursor, announced) for cursor in cursors)


class _Run:
    """One run over one blob.

    Where the checkpoint is `remembered` and nothing is to do by it, it is read after all.
    """

    def __init__(
        self,
        parts: Parts,
        log: LogPath,
        checkpoint: Checkpoint,
        deadline: float,
        most: int | None,
        lately: Lately,
        *,
        remembered: bool,
    ) -> None:
        self._parts = parts
        self._lanes = {lane.name: lane for lane in parts.lanes}
        self._ref = checkpoint.ref
        self.tenure = Tenure(parts.checkpoints, checkpoint, parts.now, remembered=remembered)
        self._deadline = deadline
        self._most = most
        self._log = log
        self._lately = lately
        self._knowledge = parts.knowledge()
        self._overtime = dict.fromkeys(self._lanes, 0.0)
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
            if self.tenure.busy:
                break
            try:
                self._whatever_is_there()
            except ClaimLostError:
                self.tenure.start_over()
                self._ledgers = self.tenure.row.ledgers
                continue
            return
        self.report.busy = True

    def _whatever_is_there(self) -> None:
        try:
            self._until_nothing_new()
        except BlobGoneError:
            self.tenure.confirm()
            self._settle(None)

    def _until_nothing_new(self) -> None:
        """Deliver until a listing made without the claim shows nothing new."""
        blocks: BlockList | None = None
        while True:
            blocks = blocks or self._parts.source.list_blocks(self._ref)
            cursors = self._cursors()
            due = self._due(cursors, blocks)
            if not due or self.report.out_of_time or self._too_much(due, blocks):
                self.tenure.confirm()
                break
            if not self.tenure.held:
                self.tenure.claim()
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
            if not self.tenure.held:
                blocks = self._again(blocks)
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
        elif not self.tenure.row.pending:  # nothing was done here, and the sweep must know
            self.tenure.write(replace(self.tenure.row, pending=True))

    def _again(self, blocks: BlockList) -> BlockList:
        """The blob as it is now: if it is still as it was listed, a look tells and no list."""
        if blocks.etag and not self._parts.source.changed(self._ref, blocks.etag):
            return blocks
        return self._parts.source.list_blocks(self._ref)

    def _too_much(self, due: Mapping[str, Cursor], blocks: BlockList) -> bool:
        """Whether what is new takes longer than this run should; never while the blob is held."""
        if self._most is None or self.tenure.held:
            return False
        return blocks.size - min(cursor.offset for cursor in due.values()) > self._most

    def _settle(self, blocks: BlockList | None) -> None:
        """Clear the mark that a worker left who died, or whose blob is gone: nothing is to do.

        It stays where a sink is behind that only other processes have.
        """
        row = self.tenure.row
        pending = blocks is not None and any(behind(at, blocks) for at in row.cursors.values())
        if row.pending and (row.owner or not pending):
            self.tenure.write(replace(row, owner="", until=0.0, pending=pending))
        self.tenure.held = False

    def _cursors(self) -> dict[str, Cursor]:
        return _cursors_of(self.tenure.row, self._lanes)

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
        sinks = {name: self._lanes[name].sink for name in window}
        denied_only = all(sink.filter.denied_only for sink in sinks.values())
        taking = Taking(sinks, start, self._knowledge)
        data, reading = self._reader.window(
            start.offset, blocks, taking.take, denied_only=denied_only
        )
        if start.offset + len(data) == blocks.size:
            told = any(not behind(at, blocks) for at in self.tenure.row.cursors.values())
            reading = self._reader.judge_end(data, start.offset, reading, blocks, told=told)
        self.report.records += reading.records
        self.report.flows += taking.read
        self.report.young_nsgs += taking.young
        known = {**self.tenure.row.cursors, **cursors}
        examined = {name: at.offset for name, at in known.items() if matches(at, blocks)}
        if fresh := self._fresh(reading, data, start.offset, examined, denied_only=denied_only):
            self._parts.dead_letters.put_bad(self._ref, fresh, start.offset)
            self.report.bad += sum(piece.count for piece in fresh)
        self.tenure.last(_CLAIM_RESERVE)
        end = Position(reading.end)
        last = start.offset + len(data) == blocks.size
        moved: dict[str, Cursor] = {}
        deliveries = self._deliver(taking.gathered, start, end)
        for name in window.keys() - deliveries.keys():  # left alone by now
            moved[name] = self._behind(window[name])
        for name, delivery in deliveries.items():
            self._account(name, delivery)
            looks = taking.gathered[name].looks
            cursor = after(
                window[name], delivery, data, start.offset, blocks, reading, counts=looks
            )
            if delivery.reached == end and delivery.error is None and last:
                waits = self._reader.waits(cursor, blocks)
                seen = max(cursor.offset - 1, 0) if waits else blocks.size
                listed = 0.0 if waits else blocks.listed
                cursor = replace(cursor, seen=seen, listed=listed, behind_since=0.0)
            else:
                cursor = self._behind(cursor)
            if not looks:
                self._ledgers = ledger.without_passed(self._ledgers, name)
            elif delivery.reached == end and delivery.error is None:
                self._look(name, data, start.offset, reading)
            if delivery.error is not None:
                before = 0 if delivery.accepted else window[name].failures
                cursor = put_off(cursor, delivery.error, before + 1, self._parts.now())
            moved[name] = cursor
        return moved

    def _fresh(
        self,
        reading: Reading[Columns],
        data: bytes,
        start: int,
        examined: Mapping[str, int],
        *,
        denied_only: bool,
    ) -> list[Bad]:
        """Bad input of a window that was not kept yet; `examined` is how far each sink has got.

        Sinks behind the furthest one meet what was kept when that one met it. But where only denied
        flows were wanted there, most allowed ones were not read: what is wrong with them is met
        by the first who wants them. It is kept with all else that was met there, in one letter.
        """
        furthest = max(examined.values())
        if not denied_only and any(piece.offset < furthest for piece in reading.bad):
            lanes = self._lanes.items()
            hasty = {name for name, lane in lanes if lane.sink.filter.denied_only}
            others = [at for name, at in examined.items() if name not in hasty]
            whole = max(others, default=start)
            there = [piece for piece in reading.bad if whole <= piece.offset < furthest]
            met = self._reader.bad_among_denied(data, start) if there else set()
            if any((piece.offset, piece.reason) not in met for piece in there):
                furthest = whole
        return [piece for piece in reading.bad if piece.offset >= furthest]

    def _behind(self, cursor: Cursor) -> Cursor:
        return replace(cursor, behind_since=cursor.behind_since or self._parts.now())

    def _deliver(
        self, gathered: Mapping[str, Gathered], start: Position, end: Position
    ) -> dict[str, Delivery]:
        """Deliver to the sinks side by side, each in its time; one left alone is left out."""
        deliveries: dict[str, Delivery] = {}
        begun: dict[str, Begun] = {}
        for name, flows in gathered.items():
            if not flows.total:
                deliveries[name] = Delivery(end)
                continue
            seconds = SINK_SECONDS - self._overtime[name]
            delivery = self._lanes[name].begin(self._ref, flows, start, end, seconds)
            if delivery is None:  # it failed for another blob meanwhile
                self._left.add(name)
                continue
            _count(self.report.wanted, name, flows.total)
            begun[name] = delivery
        waited: dict[str, float] = {}
        for name, delivery in begun.items():
            deliveries[name], waited[name] = delivery.result(start)
        if len(gathered) > 1:  # somebody else might have gone on
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
            known, now = self._ledgers.get(name), self._parts.now()
            counted = ledger.add(known, delivery.counted, now, self._reader.log_name)
            self._ledgers = {**self._ledgers, name: counted}
        if delivery.refused:
            self._parts.dead_letters.put_refused(self._ref, name, delivery.refused)
            _count(self.report.refused, name, len(delivery.refused))
        if delivery.error is not None:
            self.report.errors[name] = delivery.error
            self._left.add(name)

    def _look(self, name: str, data: bytes, start: int, reading: Reading[Columns]) -> None:
        """Note what was denied before, for a sink of digests, and is let through in a window."""
        before = self._lately.before(self._reader.log_name, self._log.hour).get(name, ())
        if not before and name not in self._ledgers:
            return
        look = Look(data, start, reading, self._log, self._knowledge)
        known = self._ledgers.get(name)
        if passed := look.passed(known, before):
            noted = ledger.noted(known, passed, self._reader.log_name)
            self._ledgers = {**self._ledgers, name: noted}

    def _commit(self, cursors: Mapping[str, Cursor], blocks: BlockList, *, release: bool) -> None:
        """Write how far the sinks got; those that only other processes have stay where they are."""
        now = self._parts.now()
        all_cursors = {**self.tenure.row.cursors, **cursors}
        lagging = {name: at for name, at in all_cursors.items() if behind(at, blocks)}
        since = {
            name: replace(at, behind_since=at.behind_since or now)
            for name, at in lagging.items()
            if not self._reader.waits(at, blocks)
        }
        self.tenure.write(
            replace(
                self.tenure.row,
                cursors=all_cursors | since,
                owner="" if release else self.tenure.row.owner,
                until=0.0 if release else now + CLAIM_SECONDS,
                pending=not release or bool(lagging),
                ledgers=self._ledgers,
                damaged=False,
            )
        )
        self.tenure.held = not release


def _cursors_of(row: Checkpoint, names: Iterable[str]) -> dict[str, Cursor]:
    """The cursor of every sink; one that is new begins where the furthest is."""
    return {name: row.cursors.get(name) or beginning(row.cursors) for name in names}


def _count(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number
