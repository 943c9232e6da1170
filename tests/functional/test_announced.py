"""An event that brings nothing new costs the flow-log account nothing, and nothing is missed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nsgflow_core.errors import TransientError
from tests.functional.logs import azure_blocks, denied_texts, records
from tests.functional.world import REF, MemorySink, World


def two_sinks() -> World:
    """A world with the table and the webhook."""
    return World([MemorySink("table"), MemorySink("webhook")])


def test_an_event_whose_blob_was_delivered_costs_one_read_of_the_checkpoint() -> None:
    """The same event again, and those of the versions before."""
    world = two_sinks()
    announced = []
    for count in (1, 2, 3):
        world.blobs.write(REF, azure_blocks(records(count)))
        announced.append(world.announced())
        world.clock.seconds += 1
    world.event(announced=announced[0])
    world.blobs.requests.clear()
    world.table.requests.clear()
    reports = [world.event(announced=each) for each in announced]

    assert not world.blobs.requests
    assert world.table.requests == {"read": 3}
    assert not any(report.unfinished or report.busy for report in reports)
    assert world.sinks[0].accepted.total() == denied_texts(records(3)).total()


def test_an_event_that_comes_before_an_older_one() -> None:
    """The newest version is read with the first event, and the older one finds it done."""
    world = two_sinks()
    world.blobs.write(REF, azure_blocks(records(1)))
    older = world.announced()
    world.clock.seconds += 60
    world.blobs.write(REF, azure_blocks(records(2)))
    newer = world.announced()
    world.clock.seconds += 1
    world.event(announced=newer)
    world.blobs.requests.clear()
    world.event(announced=older)

    assert not world.blobs.requests


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_blob_written_anew_is_read_however_small(count: int) -> None:
    """Its event is newer than the listing, and of another ETag."""
    world = two_sinks()
    world.blobs.write(REF, azure_blocks(records(3)))
    world.event(announced=world.announced())
    world.clock.seconds += 60
    other = records(count, seed=7)
    world.blobs.write(REF, azure_blocks(other))
    report = world.event(announced=world.announced())

    assert report.rewritten == 2
    assert set(denied_texts(other)) <= set(world.sinks[0].texts)


def test_an_event_says_nothing_where_a_sink_lags() -> None:
    """All sinks must have what is announced: one that failed is tried again."""
    world = two_sinks()
    failing = [TransientError("503")]
    world.sinks[1].answer = lambda _: failing.pop() if failing else None
    world.blobs.write(REF, azure_blocks(records(2)))
    announced = world.announced()
    assert world.event(announced=announced).lagging == ("webhook",)
    world.clock.seconds += 600
    world.event(announced=announced)

    assert world.sinks[1].accepted == world.sinks[0].accepted
    world.blobs.requests.clear()
    world.event(announced=announced)
    assert not world.blobs.requests


def test_a_replay_is_not_kept_back_by_events() -> None:
    """Cursors that were put back have not seen the blob."""
    world = two_sinks()
    world.blobs.write(REF, azure_blocks(records(2)))
    announced = world.announced()
    world.event(announced=announced)
    row = world.table.rows[REF]
    world.table.rows[REF] = replace(row, cursors={}, pending=True)
    world.event(announced=announced)

    assert set(world.sinks[0].accepted.values()) == {2}


def test_a_checkpoint_of_an_older_version_proves_nothing() -> None:
    """It does not say when the blob was listed: look."""
    world = two_sinks()
    world.blobs.write(REF, azure_blocks(records(2)))
    announced = world.announced()
    world.event(announced=announced)
    row = world.table.rows[REF]
    old = {name: replace(cursor, listed=0.0) for name, cursor in row.cursors.items()}
    world.table.rows[REF] = replace(row, cursors=old)
    world.blobs.requests.clear()
    world.event(announced=announced)

    assert world.blobs.requests == {"list": 1}


_STEPS = st.lists(
    st.tuples(st.sampled_from(["grow", "anew", "event", "event"]), st.integers(0, 5)), max_size=25
)


@settings(deadline=None)
@given(_STEPS)
def test_whatever_the_order_of_events_every_version_at_the_end_is_delivered(
    steps: list[tuple[str, int]],
) -> None:
    """Versions grow or are written anew, and their events come late, early and twice.

    Once each version's event has come, what the blob holds is with both sinks.
    """
    world = two_sinks()
    seed, count = 0, 1
    world.blobs.write(REF, azure_blocks(records(count, seed)))
    announced = [world.announced()]
    waiting = list(announced)
    for step, number in steps:
        world.clock.seconds += 0.25
        if step == "event":
            world.event(announced=announced[number % len(announced)])
            if announced[number % len(announced)] in waiting:
                waiting.remove(announced[number % len(announced)])
            continue
        seed, count = (seed, count + 1) if step == "grow" else (seed + 1, 1 + number % 3)
        world.blobs.write(REF, azure_blocks(records(count, seed)))
        announced.append(world.announced())
        waiting.append(announced[-1])
    world.clock.seconds += 0.25
    for each in reversed(waiting):
        world.event(announced=each)

    for sink in world.sinks:
        assert set(denied_texts(records(count, seed))) <= set(sink.texts)
