"""Blobs that are no flow log, or only part of one: said in a dead letter, once, and in time."""

import gzip
from datetime import timedelta

import pytest

from devtools.flowlogs import CLOSER, HEAD
from nsgflow_core.errors import TransientError
from tests.functional.logs import azure_blocks, log, records
from tests.functional.world import REF, MemorySink, World

RECORDS = records(3)


@pytest.fixture
def world() -> World:
    """One sink, while the hour of the log runs."""
    made = World([MemorySink("table")])
    made.clock.seconds = (made.clock_hour() + timedelta(minutes=30)).timestamp()
    return made


def later(world: World) -> None:
    """The hour is over, and the sweep looks at what is pending."""
    world.clock.seconds = (world.clock_hour() + timedelta(minutes=75)).timestamp()
    world.event()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html><body>Not found</body></html>", "no flow log: HTML or XML"),
        (gzip.compress(log(RECORDS), mtime=0), "no flow log: compressed with gzip"),
        (b"time,source,destination\n1,2,3\n", "no flow log: not JSON"),
        (b"[" + b",".join(RECORDS) + b"]", "a JSON array, not a record"),
    ],
)
def test_what_is_no_log_is_a_dead_letter_at_once(world: World, content: bytes, reason: str) -> None:
    """It never becomes one; and it is told once."""
    world.blobs.write(REF, [("all", content)])
    report = world.event()

    assert [piece.reason for piece in world.letters.bad] == [reason]
    assert report.bad == 1
    assert report.unreadable == ("" if content.startswith(b"[") else reason)
    assert not world.event().bad
    later(world)
    assert len(world.letters.bad) == 1
    assert not world.table.rows[REF].pending


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEAD, "cut off: the log has no end"),
        (HEAD + b",".join(RECORDS), "cut off: the log has no end"),
        (HEAD + RECORDS[0] + b"," + RECORDS[1][:90], "cut off within a record"),
    ],
)
def test_what_is_cut_short_is_a_dead_letter_when_its_hour_is_over(
    world: World, content: bytes, reason: str
) -> None:
    """While it may grow nothing is said, and the sweep is asked to look again."""
    world.blobs.write(REF, [("all", content)])
    report = world.event()
    assert not world.letters.bad
    assert not report.lagging
    assert world.table.rows[REF].pending

    later(world)
    assert [piece.reason for piece in world.letters.bad] == [reason]
    assert not world.table.rows[REF].pending
    assert not world.event().bad


def test_a_log_that_goes_on_loses_nothing(world: World) -> None:
    """Whether it was taken for cut short before or not."""
    for cut in (40, 90):
        content = HEAD + RECORDS[0] + b"," + RECORDS[1][:cut]
        world.blobs.write(REF, [("all", content)])
        world.event()
    later(world)
    assert len(world.letters.bad) == 1
    whole = HEAD + RECORDS[0] + b"," + RECORDS[1] + b"," + RECORDS[2] + CLOSER
    world.blobs.write(REF, [("all", whole)])
    world.event()

    assert world.sinks[0].accepted.total() == len(world.sinks[0].texts)
    assert len(world.letters.bad) == 1
    fresh = World([MemorySink("table")])
    fresh.blobs.write(REF, azure_blocks(RECORDS))
    fresh.event()
    assert sorted(world.sinks[0].texts) == sorted(fresh.sinks[0].texts)


def test_a_log_that_waits_for_its_end_costs_no_more_than_a_look(world: World) -> None:
    """A run ends although the end is not reached, and says that nobody lags."""
    world.blobs.write(REF, [("all", HEAD + RECORDS[0] + b"," + RECORDS[1][:90])])
    world.event()
    world.blobs.requests.clear()
    report = world.event()
    assert world.blobs.requests["read"] <= 1
    assert not report.unfinished


def test_two_sinks_make_one_letter(world: World) -> None:
    """The one that comes later to the end finds it told."""
    world.sinks.append(MemorySink("webhook"))
    world.sinks[1].answer = lambda _: TransientError("no")
    world.blobs.write(REF, [("all", HEAD + RECORDS[0] + b"<html>")])
    world.event()
    world.sinks[1].answer = lambda _: None
    world.heal()
    assert len(world.letters.bad) == 1
