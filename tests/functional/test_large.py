"""An hour blob of 1 GB in 50,000 blocks, both far beyond what Azure has been seen to write."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from benchmarks.fresh import in_fresh_process
from benchmarks.large import BLOCKS, GIGABYTE, deliver, large_and_denied
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.reading import WINDOW

MIB = 1024 * 1024


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Where the sinks run."""
    with ThreadPoolExecutor(2) as running:
        yield running


def test_memory_does_not_follow_the_size_of_a_blob() -> None:
    """A gigabyte: each byte read once, a commit a window, each denied flow once, memory flat."""
    delivered = in_fresh_process(deliver)

    assert delivered.size >= GIGABYTE
    assert delivered.bytes_read == delivered.size
    assert delivered.commits >= delivered.size // WINDOW
    assert delivered.lists == 1
    assert delivered.accepted == (delivered.denied, delivered.denied)
    assert not delivered.repeated
    assert not delivered.bad
    assert delivered.memory < 128 * MIB


def test_time_runs_out_within_a_gigabyte(pool: ThreadPoolExecutor) -> None:
    """Each run stops after the window that met its deadline, and the next goes on from there."""
    world, denied = large_and_denied()

    def slow() -> None:
        world.seconds += 2.5  # each window, half of it a sink

    for sink in world.sinks:
        sink.on_delivery = slow
    runs = 0
    while True:
        begun = world.seconds
        report = world.pipeline(pool).run(world.ref, begun + 480)
        runs += 1
        row = world.checkpoints.row
        assert row is not None
        assert not row.owner
        assert world.seconds - begun <= 480 + 5
        if not report.out_of_time:
            break
        assert row.pending
        assert report.lagging == ("table", "webhook")

    assert runs > 1
    assert not row.pending
    assert [sink.flows for sink in world.sinks] == [denied, denied]
    assert not any(sink.repeated for sink in world.sinks)
    assert world.blob.bytes_read == world.blob.size


def test_a_sink_that_catches_up_lists_no_block_twice(pool: ThreadPoolExecutor) -> None:
    """A list of 50,000 blocks costs more than a window; it is not made for each of them."""
    world, denied = large_and_denied()
    table, webhook = world.sinks
    world.sinks = [table]
    world.pipeline(pool).run(world.ref, world.seconds + 480)
    row = world.checkpoints.row
    assert row is not None
    world.checkpoints.row = replace(row, cursors=row.cursors | {"webhook": Cursor()})
    world.sinks = [table, webhook]
    world.blob.lists = 0
    world.pipeline(pool).run(world.ref, world.seconds + 480)

    assert webhook.flows == table.flows == denied
    assert world.blob.lists == 1


def test_new_data_does_not_wait_for_a_sink_that_catches_up(pool: ThreadPoolExecutor) -> None:
    """The next read of a blob that has grown says so, and who is current gets what is new."""
    world, _ = large_and_denied()
    world.blob.count = BLOCKS // 10
    table, webhook = world.sinks
    world.sinks = [table]
    world.pipeline(pool).run(world.ref, world.seconds + 480)
    row = world.checkpoints.row
    assert row is not None
    world.checkpoints.row = replace(row, cursors=row.cursors | {"webhook": Cursor()})
    world.sinks = [table, webhook]
    deliveries: list[str] = []

    def grow() -> None:
        deliveries.append("webhook")
        if len(deliveries) == 5:
            world.blob.count += 1

    webhook.on_delivery = grow
    table.on_delivery = lambda: deliveries.append("table")
    world.pipeline(pool).run(world.ref, world.seconds + 480)

    assert deliveries.index("table") == 5
    assert webhook.flows == table.flows
    assert not webhook.repeated
    assert not table.repeated
