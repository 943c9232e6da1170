"""What is counted for digests, in the table: columns of checkpoints, and hours to look at."""

from datetime import timedelta
from typing import Any

import pytest

from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.ledgers import Ledgers, columns_of, ledgers_of
from nsgflow_core.digests.ledger import Ledger, encode
from nsgflow_core.digests.memory import Watched
from nsgflow_core.logs.path import hour_name, log_name, parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.webhooks import NAMES
from tests.functional.world import REF
from tests.unit.test_checkpoints import HOUR, Rows, rows

__all__ = ["rows"]
LATER = HOUR + timedelta(hours=1)
LEDGER = Ledger("first", others=3, at=5.0)
OTHER = Ledger("other", others=4, log="A:1")
NAME = log_name(REF, parse_path(REF.path))


def of(rows: Rows, sink: str = NAMES[0]) -> Ledgers:
    """The product's own over a table in memory."""
    return Ledgers(rows, sink)  # type: ignore[arg-type]  # has what is used of it


def write(rows: Rows, checkpoint: Checkpoint) -> str:
    """Write a checkpoint; its row key."""
    before = set(rows.rows)
    Checkpoints(rows).write(checkpoint)  # type: ignore[arg-type]  # has what is used of it
    ((_, key),) = set(rows.rows) - before
    return key


def spoil(rows: Rows, key: str, **columns: Any) -> None:
    """Overwrite columns of a row; None takes one away."""
    at = hour_name(HOUR), key
    row, etag = rows.rows[at]
    changed = {name: value for name, value in (row | columns).items() if value is not None}
    rows.rows[at] = changed, etag


def test_each_sink_has_ledgers_of_its_own(rows: Rows) -> None:
    """By the hour, under the beginning of the row's key; no more is read than they are."""
    both = {NAMES[0]: LEDGER, NAMES[1]: OTHER}
    key = write(rows, Checkpoint(REF, HOUR, ledgers=both))
    write(rows, Checkpoint(BlobRef("b", "c", "p"), LATER, ledgers={NAMES[0]: OTHER}))
    write(rows, Checkpoint(BlobRef("c", "c", "p"), HOUR))

    assert list(of(rows).ledgers(HOUR)) == [(key[:16], LEDGER)]
    assert list(of(rows, NAMES[1]).ledgers(HOUR)) == [(key[:16], OTHER)]
    assert list(of(rows, NAMES[2]).ledgers(HOUR)) == []
    assert rows.asked == [["RowKey", column] for column in ("Alerts", "Alerts_2", "Alerts_3")]


@pytest.mark.parametrize("damage", ["", "{", "[1]", 5])
def test_a_ledger_that_cannot_be_read_is_counted_anew(rows: Rows, damage: Any) -> None:
    """It costs no other one."""
    key = write(rows, Checkpoint(REF, HOUR, ledgers={NAMES[0]: OTHER}))
    other = write(rows, Checkpoint(BlobRef("b", "c", "p"), HOUR, ledgers={NAMES[0]: LEDGER}))
    spoil(rows, key, Alerts=damage)

    assert list(of(rows).ledgers(HOUR)) == [(other[:16], LEDGER)]
    assert ledgers_of({"Alerts": damage, "Alerts_2": encode(OTHER)}) == {NAMES[1]: OTHER}


def test_columns_and_ledgers_are_two_forms_of_one() -> None:
    """Of every sink that there can be; its column is its own."""
    every = {name: Ledger(name) for name in NAMES}
    columns = columns_of(every)
    assert list(columns) == ["Alerts", *(f"Alerts_{number}" for number in range(2, 10))]
    assert ledgers_of(columns) == every
    assert ledgers_of({}) == {}


def test_how_far_each_log_was_read(rows: Rows) -> None:
    """Only where its end was reached; by the sink that asks, and in that hour."""
    read = Cursor(9, listed=1.0, read_to=77)
    write(rows, Checkpoint(REF, HOUR, {NAMES[0]: read, NAMES[1]: Cursor(9, read_to=77)}))
    write(rows, Checkpoint(REF, LATER, {NAMES[0]: Cursor(9, listed=1.0, read_to=99)}))

    assert list(of(rows).reached(HOUR)) == [(NAME, 77)]
    assert list(of(rows, NAMES[1]).reached(HOUR)) == [(NAME, 0)]
    assert list(of(rows, NAMES[2]).reached(HOUR)) == [(NAME, 0)]
    assert list(of(rows).reached(LATER)) == [(NAME, 99)]
    assert rows.asked[0] == ["Account", "Container", "Path", "Cursors"]


@pytest.mark.parametrize(
    "damage",
    [
        {"Account": None},
        {"Container": None},
        {"Path": None},
        {"Path": "no log"},
        {"Cursors": None},
        {"Cursors": 7},
        {"Cursors": "{"},
        {"Cursors": "[]"},
    ],
)
def test_a_row_that_cannot_be_read_says_nothing_of_its_log(
    rows: Rows, damage: dict[str, Any]
) -> None:
    """And the rows before and behind it are read."""
    read = {NAMES[0]: Cursor(9, listed=1.0, read_to=77)}
    refs = [BlobRef(account, REF.container, REF.path) for account in "abcde"]
    keys = {write(rows, Checkpoint(ref, HOUR, read)): ref for ref in refs}
    spoiled = sorted(keys)[2]
    spoil(rows, spoiled, **damage)

    left = {log_name(ref, parse_path(ref.path)) for key, ref in keys.items() if key != spoiled}
    assert dict(of(rows).reached(HOUR)) == dict.fromkeys(left, 77)


def test_hours_are_watched_until_the_mark_is_taken_away(rows: Rows) -> None:
    """Each sink for itself; a mark that was renewed since it was seen stays."""
    mine, theirs = of(rows), of(rows, NAMES[1])
    mine.watch(HOUR, 10.0)
    mine.watch(LATER, 20.0)
    theirs.watch(HOUR, 30.0)

    seen = {at.hour: at for at in mine.watched()}
    assert {hour: at.until for hour, at in seen.items()} == {HOUR: 10.0, LATER: 20.0}
    assert [(at.hour, at.until) for at in theirs.watched()] == [(HOUR, 30.0)]
    mine.watch(HOUR, 40.0)
    for at in seen.values():
        mine.unwatch(at)
    (left,) = mine.watched()
    assert (left.hour, left.until) == (HOUR, 40.0)
    mine.unwatch(left)
    assert list(mine.watched()) == []
    assert [at.hour for at in theirs.watched()] == [HOUR]


def test_a_mark_that_names_no_hour_marks_none(rows: Rows) -> None:
    """It costs no other one."""
    mine = of(rows)
    mine.watch(LATER, 20.0)
    ((partition, _),) = rows.rows
    rows.rows[partition, "2026"] = ({"PartitionKey": partition, "RowKey": "2026"}, "1")
    assert [at.hour for at in mine.watched()] == [LATER]
    assert isinstance(next(mine.watched()), Watched)
