"""What runs leave in the checkpoint of their blob, write by write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

from devtools.flowlogs import HEAD
from nsgflow_core.delivery import reading
from nsgflow_core.delivery.checkpoint import CLAIM_SECONDS, Checkpoint
from nsgflow_core.delivery.cursor import Cursor, beginning
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.delivery.tenure import Tenure
from nsgflow_core.errors import NsgflowError, TransientError
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.path import log_name, parse_path
from nsgflow_core.model import Flow, Position
from nsgflow_core.sinks.digest import DigestSink
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Delivery
from tests.functional.digest_world import SETTINGS
from tests.functional.logs import azure_blocks, records
from tests.functional.world import REF, MemorySink, Table, World

RECORDS = records(6)
WINDOWS = records(30)


@dataclass
class Writes(Table):
    """Keeps every row that was written, with the time of it."""

    written: list[tuple[float, Checkpoint]] = field(default_factory=list)
    now: Callable[[], float] = float

    def write(self, checkpoint: Checkpoint) -> Checkpoint:
        """As ever."""
        row = super().write(checkpoint)
        self.written.append((self.now(), row))
        return row


@pytest.fixture
def table() -> Writes:
    """The rows."""
    return Writes()


@pytest.fixture
def world(table: Writes) -> World:
    """Two sinks, a clock that goes on by a second with each post, and small windows."""
    made = World([MemorySink("table"), MemorySink("webhook")], table=table)
    table.now = made.clock

    def tick(_: Sequence[Flow]) -> None:
        made.clock.seconds += 1

    for sink in made.sinks:
        sink.answer = tick
    return made


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of a record or two."""
    monkeypatch.setattr(reading, "WINDOW", 3000)


def cursor(world: World, name: str) -> Cursor:
    """The cursor of a sink."""
    return world.table.rows[REF].cursors[name]


@pytest.mark.usefixtures("small")
def test_a_blob_is_claimed_from_the_first_write_to_the_last(world: World, table: Writes) -> None:
    """By one owner, a minute ahead at each, and marked; the last frees it."""
    world.blobs.write(REF, azure_blocks(WINDOWS))
    world.event()
    *held, (_, free) = table.written
    assert len(held) > 5
    assert {row.owner for _, row in held} == {held[0][1].owner} != {""}
    assert [row.until - at for at, row in held] == [CLAIM_SECONDS] * len(held)
    assert all(row.pending for _, row in held)
    assert (free.owner, free.until, free.pending) == ("", 0.0, False)
    offsets = [row.cursors["table"].offset for _, row in table.written[1:]]
    assert offsets == sorted(set(offsets))
    table.written.clear()
    world.blobs.write(REF, azure_blocks([*WINDOWS, RECORDS[0]]))
    world.event()
    assert table.written[0][1].owner not in ("", held[0][1].owner)


@pytest.mark.usefixtures("small")
def test_how_far_a_log_was_read_is_known_at_its_end_alone(world: World, table: Writes) -> None:
    """When it was listed so, and with which ETag; the time of the last record at any place."""
    texts = [text.replace(b'"2021-', b'"2026-') for text in WINDOWS]
    world.blobs.write(REF, azure_blocks(texts))
    begun = world.clock()
    world.event()
    *amid, last = [row.cursors["table"] for _, row in table.written if row.cursors]
    size = len(world.blobs.content(REF))
    assert all((at.listed, at.seen) == (0.0, at.offset) for at in amid)
    assert (last.seen, last.etag, last.listed) == (size, world.blobs.etags[REF], begun)
    read_to = [-at.read_to for at in [*amid, last]]  # it does not count for digests
    assert read_to == sorted(set(read_to))
    assert all(read_to)


def test_since_when_a_sink_is_behind(world: World) -> None:
    """From its first failure on, through all that follow, until it has everything."""
    world.blobs.write(REF, azure_blocks(RECORDS[:2]))
    world.event()
    assert cursor(world, "webhook").behind_since == 0
    world.sinks[1].answer = lambda _: TransientError("down")
    world.blobs.write(REF, azure_blocks(RECORDS[:3]))
    report = world.event()
    since = cursor(world, "webhook").behind_since
    assert 0 <= world.clock() - since <= 5
    assert report.behind_since == since
    assert cursor(world, "table").behind_since == 0
    for _ in range(3):
        world.clock.seconds += 700
        assert world.event().behind_since == since
    assert cursor(world, "webhook").behind_since == since
    world.sinks[1].answer = lambda _: None
    world.clock.seconds += 700
    assert world.event().behind_since == 0
    assert cursor(world, "webhook").behind_since == 0


def test_sinks_of_other_processes_are_behind_from_now_on(world: World) -> None:
    """Their cursors stay where they are, and the row stays marked for them."""
    world.blobs.write(REF, azure_blocks(RECORDS[:2]))
    world.event()
    theirs = cursor(world, "webhook")
    webhook = world.sinks.pop()
    for count in (3, 4):
        world.clock.seconds += 100
        world.blobs.write(REF, azure_blocks(RECORDS[:count]))
        before = world.clock()
        report = world.event()
        if count == 3:
            since = cursor(world, "webhook").behind_since
            assert 0 <= since - before <= 5
        assert replace(cursor(world, "webhook"), behind_since=0.0) == theirs
        assert cursor(world, "webhook").behind_since == since
        assert world.table.rows[REF].pending
        assert (report.lagging, report.marked) == ((), True)
    world.sinks.append(webhook)
    world.event()
    assert cursor(world, "webhook").behind_since == 0
    assert not world.table.rows[REF].pending


def test_failures_are_counted_in_a_row(world: World) -> None:
    """What was accepted before one makes it the first."""
    world.blobs.write(REF, azure_blocks(RECORDS))
    world.sinks[0].answer = lambda _: TransientError("down")
    for failures in (1, 2, 3):
        world.event()
        assert cursor(world, "table").failures == failures
        world.clock.seconds += 700
    posts: list[int] = []

    def once(flows: Sequence[Flow]) -> NsgflowError | None:
        posts.append(len(flows))
        return None if len(posts) == 1 else TransientError("down")

    world.sinks[0].answer = once
    world.event()
    assert posts == [3, 3]
    assert cursor(world, "table").failures == 1
    assert cursor(world, "table").not_before == world.clock() + 2
    assert cursor(world, "table").ordinal or cursor(world, "table").offset
    world.sinks[0].answer = lambda _: None
    world.clock.seconds += 10
    world.event()
    assert (cursor(world, "table").failures, cursor(world, "table").not_before) == (0, 0.0)


def test_a_log_cut_short_is_looked_at_again_and_not_lagging(world: World) -> None:
    """While its hour runs; its end was not reached."""
    world.clock.seconds = (world.clock_hour() + timedelta(minutes=30)).timestamp()
    content = HEAD + RECORDS[0] + b"," + RECORDS[1][:50]
    world.blobs.write(REF, [("all", content)])
    report = world.event()
    at = cursor(world, "table")
    assert at.offset == len(HEAD + RECORDS[0])
    assert (at.seen, at.listed, at.behind_since) == (at.offset - 1, 0.0, 0.0)
    assert (report.lagging, report.behind_since, report.more) == ((), 0.0, False)
    world.blobs.write(REF, [("all", b"{")])
    world.event()
    assert cursor(world, "table").seen == 0


@pytest.mark.usefixtures("small")
def test_what_is_counted_for_digests_is_committed_with_the_cursor(
    world: World, table: Writes
) -> None:
    """All of it, under the name of the log, and dated."""
    sink = DigestSink(SETTINGS)
    world.sinks.append(sink)  # type: ignore[arg-type]  # it has a name, a filter and `deliver`
    world.blobs.write(REF, azure_blocks(WINDOWS[:10]))
    world.event()
    world.blobs.write(REF, azure_blocks(WINDOWS))
    world.event()
    ledger = world.table.rows[REF].ledgers[sink.name]
    assert sum(one.flows for one in ledger.groups) == world.sinks[0].accepted.total()
    assert ledger.log == log_name(REF, parse_path(REF.path))
    assert ledger.at > world.clock() - 100
    counts = [
        sum(one.flows for one in row.ledgers[sink.name].groups)
        for _, row in table.written
        if sink.name in row.ledgers
    ]
    assert counts == sorted(counts)
    assert len(set(counts)) > 4


def test_a_claim_that_was_lost_is_read_anew_and_said(world: World) -> None:
    """Whoever holds it; what was remembered of it is doubted then."""
    row = world.table.read(REF, parse_path(REF.path).hour)
    mine = Tenure(world.table, row, world.clock, remembered=False)
    other = Tenure(world.table, row, world.clock, remembered=False)
    assert (mine.held, mine.moved, mine.busy) == (False, False, False)
    mine.claim()
    assert (mine.held, mine.busy) == (True, True)
    with pytest.raises(ClaimLostError):
        other.claim()
    other.start_over()
    assert (other.held, other.moved, other.busy) == (False, True, True)
    assert other.row == mine.row
    world.clock.seconds += CLAIM_SECONDS
    assert not other.busy
    other.claim()
    mine.give_back()
    assert world.table.rows[REF] == other.row, "what others hold is theirs"
    other.give_back()
    freed = world.table.rows[REF]
    assert (freed.owner, freed.until, freed.pending) == ("", 0.0, True)
    other.give_back()
    assert world.table.rows[REF] == freed


class Stopping(MemorySink):
    """Says how far it got, whatever came."""

    def deliver(
        self,
        ref: object,
        flows: Sequence[Columns],
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        """The first flow alone, without an error: its time ran out."""
        first, *_ = flows[0].positions()
        self.texts.append(flows[0].texts[0])
        return Delivery(Position(first.offset, first.ordinal + 1), 1)


def test_a_sink_whose_time_ran_out_goes_on_where_it_was(world: World) -> None:
    """Flow by flow, in order, each once; its failures are none."""
    sink = Stopping("table")
    world.sinks[:] = [sink]
    world.blobs.write(REF, azure_blocks(RECORDS[:2]))
    world.event()
    told = MemorySink("told")
    fresh = World([told])
    fresh.blobs.write(REF, azure_blocks(RECORDS[:2]))
    fresh.event()
    assert sink.texts == told.texts
    assert cursor(world, "table").failures == 0


@pytest.mark.parametrize(
    "content", [b"<html>" + b"x" * 500, b"\x1f\x8b" + b"y" * 500], ids=["HTML", "gzip"]
)
def test_what_is_no_log_is_done_with_to_its_end(world: World, content: bytes) -> None:
    """Nothing of it is read again; what is cut short is waited for where it begins."""
    world.blobs.write(REF, [("all", content)])
    world.event()
    assert cursor(world, "table").offset == len(content)
    world.clock.seconds = (world.clock_hour() + timedelta(hours=3)).timestamp()
    world.blobs.write(REF, [("all", HEAD + RECORDS[0] + b"," + RECORDS[1][:50])])
    world.event()
    assert cursor(world, "table").offset == len(HEAD + RECORDS[0])


def test_a_new_sink_has_not_failed_yet() -> None:
    """It begins where the furthest stands, and neither waits nor is behind for that one."""
    known = {
        "table": Cursor(5, 2, failures=3, not_before=9.0, behind_since=4.0),
        "webhook": Cursor(5, 1, seen=7),
    }
    assert beginning(known) == Cursor(5, 2)
    assert beginning({}) == Cursor()
