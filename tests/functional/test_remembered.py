"""A worker that remembers checkpoints: what it saves, and what an old memory cannot do."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from unittest import mock

import pytest
from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.pipeline import Pipeline
from nsgflow_core.delivery.report import Report
from nsgflow_core.errors import TransientError
from nsgflow_core.model import Flow
from tests.functional.logs import azure_blocks, denied_texts, records
from tests.functional.world import REF, MemorySink, World

RECORDS = records(6)


@pytest.fixture
def world() -> World:
    """One sink named table, one named webhook."""
    return World([MemorySink("table"), MemorySink("webhook", batch=1)])


def grow(world: World, count: int) -> None:
    """Let the blob have so many records."""
    world.blobs.write(REF, azure_blocks(RECORDS[:count]))


def event(world: World, worker: Pipeline, *, announced: bool = False) -> Report:
    """An event as the service hands it to a worker."""
    told = world.announced() if announced else None
    return worker.run(REF, world.clock() + 30, told, fresh=False)


def spent(world: World) -> Counter[str]:
    """The requests since this was last asked."""
    both = Counter({f"blob {name}": count for name, count in world.blobs.requests.items()})
    both.update({f"row {name}": count for name, count in world.table.requests.items()})
    world.blobs.requests.clear()
    world.table.requests.clear()
    return both


@pytest.mark.parametrize("announced", [False, True])
def test_an_update_costs_five_requests_at_one_worker(world: World, *, announced: bool) -> None:
    """List, claim, read, commit, look; its first reads the checkpoint, too."""
    worker = world.pipeline()
    five = {"blob list": 1, "row write": 2, "blob read": 1, "blob look": 1}
    for count in range(1, 7):
        grow(world, count)
        event(world, worker, announced=announced)
        assert spent(world) == five | ({"row read": 1} if count == 1 else {})

    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)


def test_nothing_new_costs_no_more_than_without_a_memory(world: World) -> None:
    """And the row is read before that is said."""
    worker = world.pipeline()
    grow(world, 1)
    event(world, worker)
    spent(world)
    for _ in range(2):
        event(world, worker)
        assert spent(world) == {"row read": 1, "blob list": 1}
        event(world, worker, announced=True)
        assert spent(world) == {"row read": 1}


@pytest.mark.parametrize("announced", [False, True])
def test_an_event_that_finds_a_replay_delivers_again(world: World, *, announced: bool) -> None:
    """Cursors were put back behind the worker's back, and the blob is as it left it."""
    worker = world.pipeline()
    grow(world, 2)
    event(world, worker)
    row = world.table.rows[REF]
    back = replace(row, cursors=dict.fromkeys(row.cursors, Cursor()), pending=True)
    world.table.write(back)
    event(world, worker, announced=announced)

    assert set(world.sinks[0].accepted.values()) == {2}


def test_a_worker_wakes_with_an_old_memory(world: World) -> None:
    """Another one has delivered meanwhile: its claim is refused, and it repeats nothing."""
    sleeper, other = world.pipeline(), world.pipeline()
    grow(world, 1)
    event(world, sleeper)
    grow(world, 3)
    event(world, other)
    grow(world, 4)
    report = event(world, sleeper)

    assert not report.busy
    assert denied_texts(RECORDS[:4]) == Counter(world.sinks[0].texts)
    spent(world)
    grow(world, 5)
    event(world, other)
    assert spent(world)["row read"] == 2, "refused, and then adopted"
    grow(world, 6)
    event(world, sleeper)
    assert spent(world)["row read"] == 1, "it reads for a while"
    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)


def test_a_worker_wakes_while_another_has_the_blob(world: World) -> None:
    """It goes, as it would have, had it read the row; the holder looks again."""
    sleeper, other = world.pipeline(), world.pipeline()
    grow(world, 1)
    event(world, sleeper)
    grow(world, 2)
    seen: list[Report] = []

    def meanwhile(_: Sequence[Flow]) -> None:
        if not seen:
            grow(world, 3)
            seen.append(event(world, sleeper))

    world.sinks[0].answer = meanwhile
    event(world, other)

    assert seen[0].busy
    assert denied_texts(RECORDS[:3]) == Counter(world.sinks[0].texts)


def test_a_row_that_was_deleted_is_not_written_from_memory(world: World) -> None:
    """Whoever deletes checkpoints wants the blob anew, all of it."""
    worker = world.pipeline()
    grow(world, 1)
    event(world, worker)
    del world.table.rows[REF]
    grow(world, 2)
    event(world, worker)

    assert set(denied_texts(RECORDS[:1])) <= {
        text for text, count in Counter(world.sinks[0].texts).items() if count > 1
    }


def lagging(world: World) -> AbstractContextManager[object]:
    """The webhook fails once."""
    failing = [TransientError("503")]
    world.sinks[1].answer = lambda _: failing.pop() if failing else None
    return nullcontext()


def failing_commit(world: World) -> AbstractContextManager[object]:
    """The storage fails the commit, and the claim stays."""
    write = world.table.write

    def broken(row: Checkpoint) -> Checkpoint:
        if row.owner:
            return write(row)
        raise TransientError("503")

    return mock.patch.object(world.table, "write", broken)


@pytest.mark.parametrize("mishap", [lagging, failing_commit])
def test_a_run_that_left_something_is_not_remembered(
    world: World, mishap: Callable[[World], AbstractContextManager[object]]
) -> None:
    """The next event reads what it left."""
    worker = world.pipeline()
    grow(world, 1)
    with mishap(world), suppress(TransientError):
        event(world, worker)
    spent(world)
    world.clock.seconds += 600
    grow(world, 2)
    event(world, worker)

    assert spent(world)["row read"] == 1
    assert set(denied_texts(RECORDS[:2])) == set(world.sinks[1].texts)


def test_a_sweep_reads_whatever_is_remembered(world: World) -> None:
    """It is there to find what others have left."""
    worker = world.pipeline()
    grow(world, 1)
    event(world, worker)
    spent(world)
    worker.run(REF, world.clock() + 30)

    assert spent(world)["row read"] == 1
