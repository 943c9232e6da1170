"""Runs schedules by their seeds."""

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.simulation.judge import BrokenPromiseError
from tests.simulation.plan import draw
from tests.simulation.scheduler import Process
from tests.simulation.world import SINKS, World, blob_ref

Enter = Callable[[World], AbstractContextManager[None]]


@dataclass
class Tally:
    """What a number of schedules came to."""

    schedules: int = 0
    steps: int = 0
    deaths: int = 0
    repeats: int = 0
    flows: int = 0


def run_all(enter: Enter, seeds: Iterable[int]) -> Tally:
    """Run the schedules of these seeds.

    Raises:
        AssertionError: one of them broke a promise; the message names its seed.
    """
    tally = Tally()
    for seed in seeds:
        try:
            world = run(enter, seed)
        except Exception as exc:
            raise BrokenPromiseError(f"seed {seed}: {type(exc).__name__}: {exc}") from exc
        tally.schedules += 1
        tally.steps += world.scheduler.steps
        tally.deaths += world.kills
        tally.repeats += world.judge.repeats
        tally.flows += len(world.judge.accepted)
    return tally


def run(enter: Enter, seed: int) -> World:
    """Run one schedule: a first sweep, updates with whatever happens to them, and healing."""
    rng = random.Random(seed)
    world = World(draw(rng), rng)
    with enter(world):
        healing, world.healing = world.healing, True
        world.sweep()
        world.scheduler.run()
        world.healing = healing
        world.scheduler.spawn(Process(-2), lambda: _azure(world))
        world.scheduler.run()
        if world.plan.calm:
            for sink in SINKS:
                if left := world.judge.missing(sink):
                    raise BrokenPromiseError(f"{sink}: nobody looked again for {left}")
        _sleep(world)
        world.heal()
    if world.judge.broken:
        raise BrokenPromiseError(world.judge.broken[0])
    return world


def _azure(world: World) -> None:
    """Write the updates, with events, sweeps and replays between them."""
    plan, rng = world.plan, world.rng
    hour = datetime.fromtimestamp(world.scheduler.now, UTC).replace(
        minute=0, second=0, microsecond=0
    )
    # The second blob is of an hour that no sweep looks at by itself.
    hours = (hour, hour - timedelta(hours=9))
    refs = [(blob_ref(rng.randrange(2) + 2 * n, hours[n]), hours[n]) for n in range(plan.blobs)]
    for _ in range(plan.updates):
        for ref, of_hour in refs:
            world.grow(ref, rng.randint(1, 2))
            old = of_hour != hour
            if old or rng.random() >= plan.withheld:
                for _ in range(rng.choice((1, 1, 2, 3))):
                    world.event(ref, certain=old)
            if rng.random() < plan.replay:
                world.replay(ref, of_hour)
        if rng.random() < plan.sweep:
            world.sweep()
        pause = rng.choice((0.0, 0.0, 0.1, 0.4, 20.0, 65.0))
        world.scheduler.sleep(pause)
    if plan.replay:
        for _ in range(2):
            world.sweep()
            world.scheduler.sleep(rng.choice((0.1, 0.3, 0.6, 1.0)))
            ref, of_hour = rng.choice(refs)
            world.replay(ref, of_hour)


def _sleep(world: World) -> None:
    """Stop the app for hours, in which logs go on being written."""
    for number in range(world.plan.asleep):
        world.scheduler.now += 3600
        if number % 3 == 0:
            hour = datetime.fromtimestamp(world.scheduler.now, UTC)
            world.grow(blob_ref(100 + number, hour.replace(minute=0, second=0, microsecond=0)), 1)
