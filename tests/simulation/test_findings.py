"""What the schedules, or the thought that went into them, have found in the product: each once."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from nsgflow_core.delivery import sweep
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.logs.path import VNET_CONTAINER
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Process, Task
from tests.simulation.world import REPLAYS, SINKS, START, World, blob_ref, simulated

OLD = START - timedelta(hours=9)
"""An hour that no sweep looks at by itself."""
Enter = Callable[[World], AbstractContextManager[None]]


@pytest.fixture
def bare() -> Any:
    """A world after its first sweep."""
    plan = Plan(calm=False, processes=1, blobs=1, updates=1, batch=3, window=2**22, deadline=480.0)
    with simulated() as enter:
        world = World(plan, random.Random(1))
        with enter(world):
            world.sweep()
            world.scheduler.run()
            yield world


@pytest.fixture
def world(bare: World) -> World:
    """The same with one blob of an old hour that holds two records."""
    bare.grow(blob_ref(0, OLD), 2)
    return bare


def failing_writes(world: World, broken: Callable[[Any], bool]) -> Any:
    """The storage fails writes of checkpoints for which this holds."""
    put = world.table._put

    def maybe(entity: dict[str, Any]) -> dict[str, Any]:
        if "Cursors" in entity and broken(entity):
            world.blobs.wire.draw = lambda _: True
            try:
                world.blobs.wire.request()
            finally:
                world.blobs.wire.draw = lambda _: False
        return put(entity)

    return mock.patch.object(world.table, "_put", maybe)


def test_a_retry_that_meets_its_own_claim_in_an_old_hour(world: World) -> None:
    """The first try fails and leaves its claim, the second finds the blob busy: the sweep knows."""
    ref = blob_ref(0, OLD)
    with failing_writes(world, lambda entity: not entity["Owner"]):
        world.event(ref)
        world.scheduler.run()
    assert world.table.rows, "the claim was left behind"
    world.heal()

    assert not world.judge.missing("table")


def test_an_event_that_meets_a_dead_workers_claim_in_an_old_hour(world: World) -> None:
    """Nobody will finish what the dead one held, so who finds it busy tells the sweep."""
    ref = blob_ref(0, OLD)
    store = world.checkpoints()

    def die() -> None:
        row = store.read(ref, OLD)
        store.write(replace(row, owner="dead", until=world.scheduler.now + 60, pending=True))

    world.scheduler.spawn(Process(-1), die)
    world.scheduler.run()
    world.event(ref)
    world.scheduler.run()
    world.heal()

    assert not world.judge.missing("table")


def test_a_replay_of_an_old_hour_while_a_sweep_closes_it(world: World) -> None:
    """The hour was open when the sweep began and is opened again: the sweep must not close it."""
    ref = blob_ref(0, OLD)
    world.replay(ref, OLD)
    world.scheduler.run()
    run_in_time = sweep._run_in_time
    store = world.checkpoints()

    def and_replay(*args: Any) -> Any:
        done = run_in_time(*args)
        row = store.read(ref, OLD)
        world.judge.replayed(ref)
        again: dict[str, Cursor] = dict.fromkeys(row.cursors, Cursor())
        store.ask_sweep("FlowLogs", [OLD])
        store.write(replace(row, cursors=again, pending=True))
        return done

    with mock.patch.object(sweep, "_run_in_time", and_replay):
        world.sweep()
        world.scheduler.run()
    assert not world.judge.missing("table"), "the sweep delivered before the replay"
    world.heal()

    assert world.judge.repeats == len(world.judge.accepted)


@pytest.mark.parametrize("swept", range(8))
@pytest.mark.parametrize("died", range(8))
def test_a_replay_that_dies_beside_a_sweep(world: World, swept: int, died: int) -> None:
    """A whole sweep comes between two of its steps, and behind another it is killed."""
    ref = blob_ref(0, OLD)
    world.event(ref)
    world.scheduler.run()
    steps = 0

    def before_step(task: Task) -> None:
        nonlocal steps
        if task.process.number < REPLAYS:
            return
        if steps == swept:
            world.scheduler.sleep(1000)
        if steps == died:
            world.scheduler.kill(task.process)
        steps += 1

    world.scheduler.before_step = before_step
    world.replay(ref, OLD)
    world.scheduler.spawn(Process(-1), world.sweep, 100)
    world.scheduler.run()
    world.heal()


@pytest.mark.parametrize("repeated", [0.0, 1.0])
@pytest.mark.parametrize("put_back", [False, True])
def test_a_worker_wakes_with_a_checkpoint_that_others_moved(
    bare: World, repeated: float, *, put_back: bool
) -> None:
    """Two took over and one replayed; each answer may be lost, and the write repeated."""
    ref = blob_ref(0, START)
    sleeper, *others = (bare.process() for _ in range(3))

    def deliver(process: Process) -> None:
        bare.grow(ref, 1)
        bare.processes = [process]
        bare.event(ref)
        bare.scheduler.run()

    deliver(sleeper)
    for process in others:
        deliver(process)
    if put_back:
        bare.replay(ref, START)
        bare.scheduler.run()
    with mock.patch.object(
        bare.blobs.wire, "draw", lambda kind: kind == "repeated" and bare.rng.random() < repeated
    ):
        deliver(sleeper)
        deliver(others[0])

    assert not bare.judge.broken
    assert not bare.judge.missing("table") + bare.judge.missing("webhook")
    assert bool(bare.judge.repeats) == put_back
    bare.heal()


def test_a_stop_right_behind_a_sweep(bare: World) -> None:
    """An hour is written to a little longer than it lasts: the last update of the one before."""
    before = START
    bare.scheduler.now = START.timestamp() + 3600.3
    bare.sweep()
    bare.scheduler.run()
    bare.grow(blob_ref(2, before), 1)
    bare.scheduler.now += 3 * 3600 + 180
    bare.heal()

    assert not bare.judge.missing("table")


def test_an_old_hours_event_that_never_gets_to_the_blob(world: World) -> None:
    """The flow logs cannot be read in any of its five tries, so that nothing is marked."""
    ref = blob_ref(0, OLD)
    world.blobs.refuses = lambda _: not world.healing
    world.event(ref)
    world.scheduler.run()
    assert not [row for row, _ in world.table.rows.values() if "Cursors" in row]
    world.heal()

    assert not world.judge.missing("table")


def test_a_replay_of_weeks(bare: World) -> None:
    """No property holds all of its hours; a sweep that cannot do them all goes on where it was."""
    store = bare.checkpoints()
    hours = [OLD - timedelta(hours=age) for age in range(30 * 24 - 24)]
    bare.grow(blob_ref(2, hours[600]), 1)

    def ask() -> None:
        store.ask_sweep("FlowLogs", hours)

    bare.scheduler.spawn(Process(-1), ask)
    bare.scheduler.run()
    with mock.patch("nsgflow_core.service.DEADLINE_SECONDS", 10.0):
        bare.sweep()
        bare.scheduler.run()
    assert bare.judge.missing("table")
    bare.heal()

    assert not bare.judge.missing("table")
    assert not [key for key in bare.table.rows if key[0].startswith("~asked")]


def test_a_container_that_refuses_for_a_day(bare: World) -> None:
    """It costs a request now and then, and no hour; when it lets us in, its hours are caught up."""
    bare.blobs.refuses = lambda container: container == VNET_CONTAINER and not bare.healing
    spent = []
    for number in range(24):
        bare.grow(blob_ref(2 * number + 1, START + timedelta(hours=number)), 1)
        bare.scheduler.now = START.timestamp() + 3600 * number + 1800
        before = bare.blobs.wire.requests
        bare.sweep()
        bare.scheduler.run()
        spent.append(bare.blobs.wire.requests - before)
    assert max(spent[1:]) <= min(spent[1:]) + 4
    assert not [key for key in bare.table.rows if key[0].startswith("~asked")]
    bare.scheduler.now += 3600
    bare.heal()

    assert not bare.judge.missing("table")


def test_a_hanging_webhook_keeps_the_sweep_from_nobody(bare: World) -> None:
    """It may hang at every blob of the newest hour: the table's update of the one before comes."""
    hangs = mock.patch.object(bare, "sink_fault", lambda sink: "hang" * (sink == SINKS[1]) or None)
    with hangs, mock.patch("nsgflow_core.service.DEADLINE_SECONDS", 60.0):
        for number in range(1, 41):
            bare.grow(blob_ref(2 * number, START), 1)
            bare.event(blob_ref(2 * number, START))
        bare.scheduler.run(10**6)
        bare.grow(blob_ref(2, START - timedelta(hours=1)), 1)
        bare.scheduler.now += 300
        begun = bare.scheduler.now
        bare.sweep()
        bare.scheduler.run(10**6)
        assert not bare.judge.missing("table")
        assert bare.scheduler.now - begun < 60 + 40, "one delivery may hang behind the end"
