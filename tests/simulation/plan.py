"""What a schedule is made of, drawn from its seed."""

import random
from dataclasses import dataclass, replace

from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER


@dataclass(frozen=True)
class Plan:
    """How many of what, and how likely each mishap is at a step.

    Attributes:
        calm: no mishap but what the client mends by itself, and every update has an event: nothing
            may wait for a sweep.
        stall: a task pauses, perhaps for longer than its claim lasts.
        death: the process dies, at most `deaths` times.
        look: the host may not look at an event's blob, and ends over it.
        withheld: an update has no event.
        sick: a sink that never heals.
        window: bytes read at once; deadline: seconds of an invocation.
        event_bytes: more than these an event hands over.
        repeated: the client repeats a write whose answer was lost.
        refused: a container that answers 403 until all heals.
        odd: a process has other settings than the others: only the first sink.
        strange: there are logs of impossible hours, with events.
        threads: how many deliveries to one sink a process has under way.
        starts: minutes of the hour at which the schedule begins.
        asleep: hours that the app is stopped for in the end, right behind a sweep or not.
        doubts: seconds for which a process remembers nothing once others had moved what it did;
            with none it wakes with an old checkpoint whenever others took turns at a blob.
    """

    calm: bool
    processes: int
    blobs: int
    updates: int
    batch: int
    window: int
    deadline: float
    event_bytes: int = 256 * 1024
    skew: float = 0.0
    stall: float = 0.0
    death: float = 0.0
    deaths: int = 0
    look: float = 0.0
    withheld: float = 0.0
    storage_fault: float = 0.0
    sink_fault: float = 0.0
    replay: float = 0.0
    sweep: float = 0.0
    reblock: float = 0.0
    sick: str | None = None
    repeated: float = 0.0
    refused: str | None = None
    odd: bool = False
    strange: bool = False
    threads: int = 32
    starts: float = 20.0
    asleep: int = 0
    edge: bool = False
    doubts: float = 300.0


def draw(rng: random.Random) -> Plan:
    """A plan: calm, or with any of the mishaps."""
    calm = rng.random() < 0.25
    shape = Plan(
        calm=calm,
        processes=rng.randint(1, 3),
        blobs=rng.choice((1, 1, 2)),
        updates=rng.randint(1, 3),
        batch=rng.randint(1, 3),
        window=rng.choice((4 * 1024 * 1024, 4 * 1024 * 1024, 700)),
        deadline=480.0,
        event_bytes=rng.choice((256 * 1024, 256 * 1024, 1500)),
    )
    strange = rng.random() < 0.1
    doubts = rng.choice((0.0, 0.0, 300.0))
    if not doubts:
        shape = replace(shape, updates=shape.updates + 1)
    starts = rng.choice((20.0, 20.0, 49.0, 57.0, 59.9))
    if calm:
        repeated = rng.choice((0.0, 0.1))
        return replace(shape, strange=strange, starts=starts, repeated=repeated, doubts=doubts)

    def some(*rates: float) -> float:
        return rng.choice((0.0, *rates))

    return Plan(
        calm=False,
        processes=shape.processes,
        blobs=shape.blobs,
        updates=shape.updates,
        batch=shape.batch,
        window=shape.window,
        deadline=rng.choice((480.0, 480.0, 0.3)),
        event_bytes=shape.event_bytes,
        skew=some(0.5, 10.0),
        stall=some(0.01, 0.05),
        death=some(0.02, 0.08),
        deaths=rng.randint(1, 4),
        look=some(0.02),
        withheld=some(0.3),
        storage_fault=some(0.02, 0.1),
        sink_fault=some(0.1, 0.4),
        replay=some(0.3),
        sweep=some(0.3, 0.6),
        reblock=some(0.2),
        sick=rng.choice((None, None, None, None, "table", "webhook")),
        repeated=some(0.05, 0.2),
        refused=rng.choice((*[None] * 12, NSG_CONTAINER, VNET_CONTAINER)),
        odd=rng.random() < 0.2,
        strange=strange,
        threads=rng.choice((1, 2, 32)),
        starts=starts,
        asleep=rng.choice((0, 0, 0, 0, 2, 4, 7)),
        edge=rng.random() < 0.5,
        doubts=doubts,
    )
