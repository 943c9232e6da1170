"""The pipeline over blobs that are not as expected, and sinks that are not as one would wish."""

from collections import Counter
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from devtools.flowlogs import Group, Nic, nsg_record
from nsgflow_core.delivery import reading
from nsgflow_core.delivery.checkpoint import CLAIM_SECONDS, Checkpoint
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.tenure import Tenure
from nsgflow_core.errors import DataRefusedError, NsgflowError, RefusedError, TransientError
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.logs.path import parse_path
from nsgflow_core.logs.source import BlobChangedError
from nsgflow_core.model import BlobRef, Flow, Position
from nsgflow_core.sinks.patience import SINK_SECONDS, Patience
from nsgflow_core.sinks.sink import Delivery
from tests.functional.logs import azure_blocks, cut, denied_texts, log, records
from tests.functional.world import REF, MemorySink, World

RECORDS = records(6)


@pytest.fixture
def world() -> World:
    """One sink named table, one named webhook."""
    return World([MemorySink("table"), MemorySink("webhook", batch=1)])


def refuse(text: str) -> NsgflowError | None:
    """An answer of a service that takes issue with the data."""
    return DataRefusedError(text)


def test_an_update_costs_six_requests_its_first_no_more_than_seven(world: World) -> None:
    """Checkpoint, list, claim, read, commit, look; nothing new is checkpoint and list."""
    for count in (1, 2, 2):
        world.blobs.requests.clear()
        world.table.requests.clear()
        world.blobs.write(REF, azure_blocks(RECORDS[:count]))
        world.event()
        requests = (world.blobs.requests + world.table.requests).total()
        assert requests <= 6
    world.blobs.requests.clear()
    world.table.requests.clear()
    world.event()
    assert (world.blobs.requests + world.table.requests).total() == 2


def test_each_byte_is_read_once(world: World) -> None:
    """Over an hour of updates the bytes read are the bytes of the blob and the closers."""
    texts = records(60)
    for count in range(1, 61):
        world.blobs.write(REF, azure_blocks(texts[:count]))
        world.event()

    assert world.blobs.bytes_read <= len(world.blobs.content(REF)) + 2 * 60
    assert denied_texts(texts) == Counter(world.sinks[0].texts)


def test_a_blob_of_head_and_closer_only(world: World) -> None:
    """There is nothing in it, and what comes later is read from its beginning."""
    world.blobs.write(REF, azure_blocks([]))
    world.event()
    world.blobs.write(REF, azure_blocks(RECORDS[:1]))
    world.event()

    assert denied_texts(RECORDS[:1]) == Counter(world.sinks[0].texts)


def test_an_event_of_a_claimed_blob_returns_at_once(world: World) -> None:
    """Who holds the claim lists the blob again after releasing it."""
    world.blobs.write(REF, azure_blocks(RECORDS[:1]))
    sink = world.sinks[0]
    seen: list[Report] = []

    def meanwhile(_: Sequence[Flow]) -> None:
        if not seen:
            world.blobs.write(REF, azure_blocks(RECORDS[:2]))
            seen.append(world.event())

    sink.answer = meanwhile
    report = world.event()

    assert seen[0].busy
    assert not report.busy
    assert denied_texts(RECORDS[:2]) == Counter(sink.texts)


def test_a_claim_runs_out(world: World) -> None:
    """A blob whose holder died is free again after a minute, and not before."""
    world.blobs.write(REF, azure_blocks(RECORDS))
    checkpoint = world.table.read(REF, world.clock_hour())
    world.table.write(replace(checkpoint, owner="dead", until=world.clock() + 60))

    world.clock.seconds += 59
    assert world.event().busy
    assert not world.sinks[0].texts
    world.clock.seconds += 2
    world.event()
    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)


def test_a_worker_that_lost_its_claim_commits_nothing(world: World) -> None:
    """Its commit is refused, so the cursor of whoever took over stands."""
    world.blobs.write(REF, azure_blocks(RECORDS))
    sink = world.sinks[0]
    stolen: list[Checkpoint] = []

    def steal(_: Sequence[Flow]) -> None:
        if not stolen:
            row = world.table.rows[REF]
            stolen.append(world.table.write(replace(row, owner="other")))

    sink.answer = steal
    report = world.event()

    assert report.busy
    assert world.table.rows[REF] == stolen[0]


def test_a_sick_sink_keeps_its_cursor_and_the_other_moves_on(world: World) -> None:
    """The failure shows after the others were delivered, and is tried again only when due."""
    table, webhook = world.sinks
    webhook.answer = lambda _: TransientError("down")
    world.blobs.write(REF, azure_blocks(RECORDS[:3]))
    report = world.event()

    assert isinstance(report.error(), TransientError)
    assert denied_texts(RECORDS[:3]) == Counter(table.texts)
    assert not world.event().errors, "it is left alone until its time"
    webhook.answer = lambda _: None
    world.blobs.write(REF, azure_blocks(RECORDS))
    world.heal()
    for sink in world.sinks:
        assert denied_texts(RECORDS) == Counter(sink.texts)


def test_waits_grow_to_a_minute(world: World) -> None:
    """Exponential, and never more than a minute unless the service asks for more."""
    world.sinks[1].answer = lambda _: TransientError("down")
    world.blobs.write(REF, azure_blocks(RECORDS))
    waits = []
    for _ in range(8):
        world.event()
        cursor = world.table.rows[REF].cursors["webhook"]
        waits.append(cursor.not_before - world.clock())
        world.clock.seconds = cursor.not_before
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    world.sinks[1].answer = lambda _: TransientError("busy", retry_after=90)
    world.event()
    assert world.table.rows[REF].cursors["webhook"].not_before == world.clock() + 90


def test_one_row_refused_among_good_ones(world: World) -> None:
    """It becomes a dead letter, its neighbours arrive, and the cursor moves on."""
    (flow,) = denied_texts(RECORDS).most_common(1)
    table = world.sinks[0]
    table.answer = lambda flows: refuse("row") if any(at.text == flow[0] for at in flows) else None
    world.blobs.write(REF, azure_blocks(RECORDS))
    report = world.event()

    expected = denied_texts(RECORDS)
    del expected[flow[0]]
    assert expected == Counter(table.texts)
    assert [name for name, _ in world.letters.refused] == ["table"] * flow[1]
    assert not report.errors
    assert not report.lagging


def test_all_refused_is_configuration(world: World) -> None:
    """Nothing is dead-lettered and the data waits in the blob."""
    world.sinks[0].answer = lambda _: refuse("stream")
    world.blobs.write(REF, azure_blocks(RECORDS))
    report = world.event()

    assert isinstance(report.error(), RefusedError)
    assert not world.letters.refused
    world.sinks[0].answer = lambda _: None
    world.heal()
    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)


@pytest.mark.parametrize("listed", [True, False])
def test_a_rewritten_blob_is_delivered_again(world: World, listed: bool) -> None:
    """When the bytes under the cursor changed, what may be new is delivered and it is said."""
    world.blobs.listed = listed
    world.blobs.write(REF, cut(log(RECORDS), [12], "a"))
    world.event()
    other = records(6, seed=7)
    world.blobs.write(REF, cut(log(other), [12], "b"))
    report = world.event()

    assert report.rewritten == 2
    assert denied_texts(RECORDS) + denied_texts(other) == Counter(world.sinks[0].texts)


def test_a_shrunk_blob_is_delivered_again(world: World) -> None:
    """A cursor past the end goes back to the beginning."""
    world.blobs.write(REF, azure_blocks(RECORDS))
    world.event()
    other = records(2, seed=7)
    world.blobs.write(REF, [(f"x{name}", data) for name, data in azure_blocks(other)])
    report = world.event()

    assert report.rewritten == 2
    assert denied_texts(RECORDS) + denied_texts(other) == Counter(world.sinks[0].texts)


def test_bad_input_is_kept_once_and_its_neighbours_arrive(world: World) -> None:
    """Garbage between records is one dead letter, though one sink meets it later."""
    world.sinks[1].answer = lambda _: TransientError("down")
    garbage = RECORDS[1][: len(RECORDS[1]) // 2]
    texts = [RECORDS[0], garbage, RECORDS[2]]
    world.blobs.write(REF, azure_blocks(texts))
    world.event()
    world.sinks[1].answer = lambda _: None
    world.heal()

    assert [piece.data for piece in world.letters.bad] == [garbage]
    for sink in world.sinks:
        assert denied_texts([RECORDS[0], RECORDS[2]]) == Counter(sink.texts)


@pytest.mark.parametrize("with_denied", [False, True])
def test_bad_input_that_only_a_late_sink_wants_is_kept(with_denied: bool) -> None:
    """While a sink of all flows is put off, one of denied flows reads few of the allowed ones.

    What was kept then is in the late one's letter too: it may have the same name.
    """
    world = World([MemorySink("table", 100, "action=allowed,denied"), MemorySink("webhook")])
    hour = int(world.clock_hour().timestamp())
    denied = f"{hour},192.0.2.1,10.5.16.4,5,77777,T,I,D,B,,,,"
    allowed = [f"{hour},192.0.2.1,10.5.16.4,{port},443,T,I,A,E,1,66,1,66" for port in range(400)]
    bad = allowed[390] = f"{hour},192.0.2.1,10.5.16.4,5,88888,T,I,A,E,1,66,1,66"
    groups = [Group("UserRule_Ok", tuple(allowed)), Group("UserRule_No", (denied,))]
    odd = nsg_record(Nic(), world.clock_hour(), groups[: 1 + with_denied]).data
    world.sinks[0].answer = lambda _: TransientError("down")
    world.blobs.write(REF, azure_blocks(RECORDS[:1]))
    world.event()
    world.blobs.write(REF, azure_blocks([RECORDS[0], odd, *RECORDS[2:]]))
    world.event()
    assert [piece.data for piece in world.letters.bad] == [denied.encode()] * with_denied
    world.letters.bad.clear()
    world.sinks[0].answer = lambda _: None
    world.heal()

    told = [bad.encode(), *[denied.encode()] * with_denied]
    assert [piece.data for piece in world.letters.bad] == told
    assert not set(world.sinks[0].texts).isdisjoint(allowed)
    assert bad not in world.sinks[0].texts


def test_an_unfinished_record_waits(world: World) -> None:
    """Records may straddle blocks of a copy that is still being written."""
    content = log(RECORDS)
    half = len(content) // 2
    world.blobs.write(REF, cut(content[:half], [40]))
    world.event()
    world.blobs.write(REF, cut(content, [40, half]))
    world.event()

    assert not world.letters.bad
    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)


def test_flows_of_nsgs_that_are_too_young_for_the_inventory_are_counted() -> None:
    """They pass a filter by NSG, and the report says how many did only so."""
    world = World([MemorySink("table", terms="action=denied nsg=prod-*")])
    text = records(1, version=4)[0]
    world.blobs.write(REF, azure_blocks([text]))
    report = world.event()
    assert (report.accepted, report.young_nsgs) == ({}, 0)

    world.knowledge = Knowledge(expected=True)
    world.table.rows.clear()
    report = world.event()
    assert report.young_nsgs == report.accepted["table"] == denied_texts([text]).total() > 0


def test_a_new_sink_begins_at_the_furthest_cursor(world: World) -> None:
    """Turning on the webhook does not alert on the past."""
    both = world.sinks
    world.sinks = both[:1]
    world.blobs.write(REF, azure_blocks(RECORDS[:3]))
    world.event()
    world.sinks = both
    world.blobs.write(REF, azure_blocks(RECORDS))
    world.event()

    assert denied_texts(RECORDS[3:]) == Counter(both[1].texts)
    assert denied_texts(RECORDS) == Counter(both[0].texts)


@pytest.mark.parametrize("blocks", [azure_blocks, lambda texts: cut(log(texts), [])])
def test_a_backlog_is_read_in_windows(
    world: World, blocks: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each window is committed, so progress survives, whatever the blocks."""
    monkeypatch.setattr(reading, "WINDOW", 3000)
    texts = records(30)
    world.blobs.write(REF, blocks(texts))  # type: ignore[operator]  # one of the two above
    world.event()

    assert world.table.requests["write"] > 5
    assert denied_texts(texts) == Counter(world.sinks[0].texts)
    assert set(world.sinks[0].accepted.values()) == {1}


def test_a_record_larger_than_a_window(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window grows until the record ends."""
    monkeypatch.setattr(reading, "WINDOW", 100)
    world.blobs.write(REF, azure_blocks(RECORDS))
    world.event()

    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)


def test_a_record_without_end_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows it is delivered."""
    monkeypatch.setattr(reading, "WINDOW", 1000)
    monkeypatch.setattr(reading, "LARGEST_RECORD", 8000)
    monster = b'{"time":"' + b"x" * 40_000
    world.blobs.write(REF, azure_blocks([RECORDS[0], monster, RECORDS[1]]))
    world.heal()

    assert denied_texts(RECORDS[:2]) == Counter(world.sinks[0].texts)
    assert world.letters.bad[0].reason == "no record ends in 64 MiB"


def test_a_blob_that_changes_at_every_read_takes_its_time_and_no_more(world: World) -> None:
    """Each try is another version of it; what is left is for the next run."""
    world.blobs.write(REF, azure_blocks(RECORDS))

    def changed(*_: object) -> bytes:
        world.clock.seconds += 100
        raise BlobChangedError(str(REF))

    with patch.object(world.blobs, "read", changed):
        report = world.event(seconds=480)
    assert (report.out_of_time, report.lagging) == (True, ("table", "webhook"))
    world.heal()

    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)


def test_a_claim_that_ends_soon_is_renewed_before_a_delivery(world: World) -> None:
    """And one that lasts is left as it is."""
    world.blobs.write(REF, azure_blocks(RECORDS))
    row = world.table.read(REF, parse_path(REF.path).hour)
    tenure = Tenure(world.table, row, world.clock, remembered=False)
    tenure.claim()
    claimed = tenure.row
    tenure.last(30)
    assert tenure.row == claimed
    world.clock.seconds += 40
    tenure.last(30)
    assert tenure.row.until == world.clock() + CLAIM_SECONDS
    assert world.table.read(REF, row.hour) == tenure.row


def test_time_runs_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was delivered is committed, the blob is pending, and the next run goes on."""
    monkeypatch.setattr(reading, "WINDOW", 3000)
    texts = records(30)
    world.blobs.write(REF, azure_blocks(texts))
    report = world.event(seconds=0)

    assert report.out_of_time
    assert report.lagging == ("table", "webhook")
    row = world.table.rows[REF]
    assert row.pending
    assert not row.owner
    world.heal()
    assert set(world.sinks[0].accepted.values()) == {1}
    assert denied_texts(texts) == Counter(world.sinks[0].texts)


def test_a_vanished_blob_leaves_nothing_to_do(world: World) -> None:
    """A blob that was deleted is neither an error nor pending."""
    world.blobs.write(REF, azure_blocks(RECORDS))

    def delete(_: Sequence[Flow]) -> NsgflowError:
        world.blobs.blocks.pop(REF, None)
        return TransientError("down")

    world.sinks[0].answer = delete
    world.event()
    world.clock.seconds += 100
    report = world.event()

    assert not report.unfinished
    assert not world.table.rows[REF].pending


def test_other_blobs_are_refused_by_name(world: World) -> None:
    """The trigger's path takes any name; only flow logs have an hour."""
    with pytest.raises(NsgflowError, match="not the path of a flow log"):
        world.event(BlobRef("a", "c", "notes.txt"))


def test_a_sink_with_a_bug_does_not_stop_the_other(world: World) -> None:
    """It fails loudly, and the other is delivered and committed."""

    def broken(_: Sequence[Flow]) -> NsgflowError | None:
        raise ZeroDivisionError

    world.sinks[1].answer = broken
    world.blobs.write(REF, azure_blocks(RECORDS))
    report = world.event()

    assert "ZeroDivisionError" in str(report.error())
    assert world.table.rows[REF].cursors["table"].seen == len(world.blobs.content(REF))


def test_the_mark_of_a_dead_worker_is_cleared(world: World) -> None:
    """Nothing is left to do: the sweep need not come again. The same where the blob is gone."""
    world.blobs.write(REF, azure_blocks(records(1)))
    world.event()
    for gone in (False, True):
        row = world.table.rows[REF]
        late = replace(row, owner="dead", until=world.clock() - 1, pending=True)
        world.table.write(late)
        if gone:
            del world.blobs.blocks[REF]
        report = world.event()
        assert not report.unfinished
        assert (world.table.rows[REF].pending, world.table.rows[REF].owner) == (False, "")


def test_a_rewrite_that_ends_alike_is_seen(world: World) -> None:
    """Every record ends in the same bytes: it takes more of them to know a blob by."""
    texts = [records(1, seed=seed)[0] for seed in (1, 2)]
    size = max(map(len, texts)) + 20
    for name, text in zip("ab", texts, strict=True):
        whole = log([text[:-1].ljust(size, b" ") + b"}"])
        world.blobs.write(REF, [(name, whole[:-2]), ("tail", whole[-2:])])
        report = world.event()

    assert report.rewritten == len(world.sinks)
    assert Counter(world.sinks[0].texts) == denied_texts(texts)


def test_a_sink_that_has_cost_its_time_is_left_for_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs its seconds once, not at each window."""
    monkeypatch.setattr(reading, "WINDOW", 1000)
    asked = []

    def hang(
        ref: BlobRef, found: Sequence[Flow], start: Position, end: Position, patience: Patience
    ) -> Delivery:
        asked.append(start)
        patience.waited += SINK_SECONDS
        return Delivery(start)

    monkeypatch.setattr(world.sinks[1], "deliver", hang)
    world.blobs.write(REF, azure_blocks(RECORDS))
    report = world.event()

    assert len(asked) == 1
    assert report.lagging == ("webhook",)
    assert Counter(world.sinks[0].texts) == denied_texts(RECORDS)
