"""A bug seeded into the product must be found: each of these breaks one rule of the protocol."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from nsgflow_core.delivery import pipeline, sweep
from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.delivery.remembered import Remembered
from nsgflow_core.delivery.sweep import Window
from nsgflow_core.delivery.swept import SweepState
from nsgflow_core.logs import records
from nsgflow_core.logs.records import Stretch
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.sinks.sink import Gathered
from tests.simulation.judge import BrokenPromiseError
from tests.simulation.schedules import run_all
from tests.simulation.world import simulated

ENOUGH = 1000
"""A bug that so many schedules do not show would slip through a gate of twenty times as many."""


def found(owner: Any, name: str, bug: Any) -> str:
    """What the schedules find when a part of the product is replaced by one with a bug."""
    with (
        simulated() as enter,
        mock.patch.object(owner, name, bug),
        pytest.raises(BrokenPromiseError) as raised,
    ):
        run_all(enter, range(ENOUGH))
    return str(raised.value)


def test_commit_before_send() -> None:
    """A cursor that moves before its flows are accepted is ahead of acceptance."""
    deliver = pipeline._Run._deliver

    def too_early(
        run: Any,
        gathered: Mapping[str, Gathered],
        start: Position,
        end: Position,
    ) -> Any:
        row = run.tenure.row
        cursors = run._cursors()
        ahead = {name: replace(cursors[name], offset=end.offset, ordinal=0) for name in gathered}
        run.tenure.write(replace(row, cursors=row.cursors | ahead))
        return deliver(run, gathered, start, end)

    assert "not accepted" in found(pipeline._Run, "_deliver", too_early)


def test_no_second_listing() -> None:
    """An event that found the blob claimed has gone: without the last listing nobody looks."""
    commit = pipeline._Run._commit

    def and_leave(run: Any, cursors: Any, blocks: Any, *, release: bool) -> None:
        commit(run, cursors, blocks, release=release)
        if release:
            run._due = lambda *_: {}

    assert "nobody looked again" in found(pipeline._Run, "_commit", and_leave)


def test_claim_ignored() -> None:
    """Two workers on one blob deliver the same flows."""
    read = Checkpoints.read

    def unclaimed(store: Checkpoints, ref: BlobRef, hour: datetime) -> Checkpoint:
        return replace(read(store, ref, hour), owner="", until=0.0)

    assert "repeated without a reason" in found(Checkpoints, "read", unclaimed)


def test_closer_block_counted() -> None:
    """A cursor behind the closer stands inside of what is written before it next."""
    split = records.split

    def closer_too(data: bytes, at: int, *, last: bool) -> Stretch:
        stretch = split(data, at, last=last)
        return replace(stretch, end=at + len(data)) if last else stretch

    # Whichever comes first: a flow is passed over, or the blob never looks delivered.
    assert re.search("not accepted|stuck", found(records, "split", closer_too))


def test_a_window_that_ends_at_the_last_sweeps_hour() -> None:
    """Azure writes to an hour a little longer than it lasts, and then the app may be asleep."""
    hours_to_list = sweep.hours_to_list

    def one_less(state: SweepState, window: Window) -> list[datetime]:
        hours = hours_to_list(state, window)
        return hours[: max(2, len(hours) - max(window.sweep_hours - 1, 1))]

    assert "stuck: missing" in found(sweep, "hours_to_list", one_less)


def test_cursors_of_others_dropped() -> None:
    """A process commits only the cursors of the sinks that it has."""
    commit = pipeline._Run._commit

    def only_mine(run: Any, cursors: Any, blocks: Any, *, release: bool) -> None:
        row = run.tenure.row
        mine = {name: at for name, at in row.cursors.items() if name in run._lanes}
        run.tenure.row = replace(row, cursors=mine)
        commit(run, cursors, blocks, release=release)

    assert "was dropped" in found(pipeline._Run, "_commit", only_mine)


def test_a_refused_write_taken_for_a_lost_claim() -> None:
    """The client repeats a write whose answer was lost: the row that refuses it is our own."""

    def never(row: Checkpoint, other: Checkpoint) -> bool:
        return False

    assert "nobody looked again" in found(Checkpoint, "says_the_same", never)


def test_a_memory_trusted_without_its_etag() -> None:
    """A checkpoint is remembered on condition that nobody has written its row since."""
    taken: dict[str, Checkpoint] = {}
    take, write = Remembered.take, Checkpoints.write

    def noted(memory: Remembered, ref: BlobRef) -> Checkpoint | None:
        row = take(memory, ref)
        if row is not None:
            taken[row.etag] = row
        return row

    def over_whatever_is_there(store: Checkpoints, row: Checkpoint) -> Checkpoint:
        if row.etag in taken:
            row = replace(row, etag=store.read(row.ref, row.hour).etag)
        return write(store, row)

    with mock.patch.object(Remembered, "take", noted):
        said = found(Checkpoints, "write", over_whatever_is_there)
    # Whichever comes first: flows are sent again, or the cursor of another's sink is lost.
    assert re.search("repeated without a reason|was dropped", said)


def test_asked_hours_not_listed() -> None:
    """Where nothing got as far as a mark, only a listing shows what was missed."""
    asked = Checkpoints.asked

    def for_marks_only(store: Checkpoints, connection: str) -> Any:
        return (replace(at, listing=False) for at in asked(store, connection))

    assert "stuck: missing" in found(Checkpoints, "asked", for_marks_only)
