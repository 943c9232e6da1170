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
    this = _hour(world.scheduler.now)
    # Some of hours that no sweep looks at by itself, or not any more when the hour is over.
    ages = [0, rng.choice((1, 2, 9))] if rng.random() < 0.7 else [1, rng.choice((2, 3, 30))]
    hours = [this - timedelta(hours=age) for age in ages]
    refs = [(blob_ref(rng.randrange(2) + 2 * n, hours[n]), hours[n]) for n in range(plan.blobs)]
    _impossible(world, this)
    for _ in range(plan.updates):
        for ref, of_hour in refs:
            world.grow(ref, rng.randint(1, 2))
            # What the next sweep may not look at any more is known by its event alone.
            old = of_hour < _hour(world.scheduler.now + 900) - timedelta(hours=1)
            if old or rng.random() >= plan.withheld:
                for _ in range(rng.choice((1, 1, 2, 3))):
                    world.event(ref)
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


def _impossible(world: World, this: datetime) -> None:
    """Somebody puts blobs there whose paths name hours that cannot be."""
    for year in (1, 999, 9999) if world.plan.strange else ():
        ref = blob_ref(90, this.replace(year=year))
        world.blobs.write((ref.container, ref.path), [("head", b"")])
        world.event(ref)


def _hour(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(minute=0, second=0, microsecond=0)


def _sleep(world: World) -> None:
    """Stop the app for hours, in which logs go on being written: each a little past its hour."""
    if world.plan.asleep and world.plan.edge:
        following = _hour(world.scheduler.now) + timedelta(hours=1)
        world.scheduler.now = following.timestamp() + 0.3
        world.sweep()
        world.scheduler.run()
    for number in range(world.plan.asleep):
        this = _hour(world.scheduler.now)
        if number % 3 == 0:
            world.grow(blob_ref(100 + number, this), 1)
            world.grow(blob_ref(101 + number, this - timedelta(hours=1)), 1)
        world.scheduler.now += 3600
