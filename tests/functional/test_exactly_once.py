"""However a log is cut and whatever fails, the rows delivered are the denied flows."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.errors import NsgflowError, RefusedError, TransientError
from nsgflow_core.model import Flow
from tests.functional.logs import azure_blocks, cut, denied_texts, log, records
from tests.functional.world import REF, Killed, MemorySink, World

RECORDS = records(12)


@dataclass(frozen=True)
class Step:
    """One thing that happens: the blob grows to so many records and events come."""

    grown: int
    events: int
    cuts: tuple[int, ...] | None
    faults: tuple[int, ...]
    wait: float


STEPS = st.lists(
    st.builds(
        Step,
        grown=st.integers(0, 4),
        events=st.integers(0, 3),
        cuts=st.none() | st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
        faults=st.lists(st.integers(0, 3), max_size=8).map(tuple),
        wait=st.sampled_from([0.0, 1.0, 5.0, 61.0]),
    ),
    max_size=8,
)


def answering(faults: list[int]) -> Callable[[Sequence[Flow]], NsgflowError | None]:
    """Answers by the script: 2 is busy, 3 refuses, anything else accepts."""

    def answer(_: Sequence[Flow]) -> NsgflowError | None:
        match faults.pop() if faults else 0:
            case 2:
                return TransientError("busy")
            case 3:
                return RefusedError("no")
            case _:
                return None

    return answer


def commit(world: World, count: int, cuts: tuple[int, ...] | None, listed: bool) -> None:
    """Write the first records, in Azure's blocks or cut anywhere."""
    texts = RECORDS[:count]
    blocks = azure_blocks(texts) if cuts is None else cut(log(texts), cuts)
    world.blobs.listed = listed
    world.blobs.write(REF, blocks)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, listed=st.booleans(), batch=st.integers(1, 7))
def test_delivered_are_the_denied_flows(steps: list[Step], listed: bool, batch: int) -> None:
    """Any cutting, any events, any failures: once all heals, each denied flow is there once."""
    world = World([MemorySink("table", batch), MemorySink("webhook", 2)])
    grown = 0
    for step in steps:
        grown = min(grown + step.grown, len(RECORDS))
        if step.grown:
            commit(world, grown, step.cuts, listed)
        for number, sink in enumerate(world.sinks):
            sink.answer = answering(list(step.faults[number::2]))
        for _ in range(step.events):
            world.event()
        world.clock.seconds += step.wait
    commit(world, len(RECORDS), None, listed)
    for sink in world.sinks:
        sink.answer = lambda _: None
    world.heal()

    expected = denied_texts(RECORDS)
    for sink in world.sinks:
        assert expected == Counter(sink.texts)
        assert set(sink.accepted.values()) == {1}
    assert not world.letters.bad


@settings(max_examples=300, deadline=None)
@given(
    kills=st.lists(st.integers(0, 40), max_size=6),
    growth=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    batch=st.integers(1, 7),
)
def test_death_at_any_step_loses_nothing(kills: list[int], growth: list[int], batch: int) -> None:
    """A process that dies between any two steps repeats flows at worst, with the same FlowId."""
    world = World([MemorySink("table", batch), MemorySink("webhook", 2)])
    grown = 0
    for number, more in enumerate(growth):
        grown = min(grown + more, len(RECORDS))
        commit(world, grown, None, listed=True)
        world.fate(kills[number] if number < len(kills) else None)
        with suppress(Killed):
            world.event()
        world.clock.seconds += 20
    world.fate(None)
    commit(world, len(RECORDS), None, listed=True)
    world.heal()

    expected = denied_texts(RECORDS)
    for sink in world.sinks:
        assert set(expected) == set(sink.texts)
        assert len(sink.accepted) == expected.total()
        if not kills:
            assert set(sink.accepted.values()) == {1}


@settings(max_examples=100, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=4),
    listed=st.booleans(),
)
def test_reblocking_repeats_nothing(cuts: list[tuple[int, int]], listed: bool) -> None:
    """The same bytes in other blocks, in one piece or in Azure's own: nothing is sent again."""
    world = World([MemorySink("table")])
    commit(world, len(RECORDS), None, listed)
    world.event()
    for places in cuts:
        commit(world, len(RECORDS), places, listed)
        world.event()

    assert denied_texts(RECORDS) == Counter(world.sinks[0].texts)
