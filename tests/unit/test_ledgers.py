"""What is counted for digests, in the table: columns of checkpoints, and hours to look at."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.ledgers import Ledgers, columns_of, ledgers_of
from nsgflow_core.delivery.swept import SweepState
from nsgflow_core.digests.ledger import Ledger, encode
from nsgflow_core.digests.reach import Swept
from nsgflow_core.digests.rows import Marks, Row, Watched
from nsgflow_core.logs.path import hour_name, log_name, parse_path, resource_prefix
from nsgflow_core.model import BlobRef
from nsgflow_core.webhooks import NAMES
from tests.functional.world import REF
from tests.unit.test_checkpoints import HOUR, Rows, rows

__all__ = ["rows"]
LATER = HOUR + timedelta(hours=1)
LEDGER = Ledger("first", others=3, at=5.0)
OTHER = Ledger("other", others=4, log="A:1")
NAME = log_name(REF, parse_path(REF.path))


def of(rows: Rows, sink: str = NAMES[0], *connections: str) -> Ledgers:
    """The product's own over a table in memory."""
    return Ledgers(rows, sink, connections)  # type: ignore[arg-type]  # has what is used of it


def watched(ledgers: Ledgers) -> tuple[Watched, ...]:
    """The hours that are marked."""
    return ledgers.marks().watched


def reached(ledgers: Ledgers, hour: datetime = HOUR) -> dict[str, tuple[int, bool]]:
    """How far each log of an hour was read, and whether that is its end."""
    return {row.log: (row.read_to, row.whole) for row in ledgers.rows(hour, everything=True)}


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

    assert list(of(rows).rows(HOUR)) == [Row(key[:16], LEDGER)]
    assert list(of(rows, NAMES[1]).rows(HOUR)) == [Row(key[:16], OTHER)]
    assert list(of(rows, NAMES[2]).rows(HOUR)) == []
    assert rows.asked == [["RowKey", column] for column in ("Alerts", "Alerts_2", "Alerts_3")]


@pytest.mark.parametrize("damage", ["", "{", "[1]", 5])
def test_a_ledger_that_cannot_be_read_is_counted_anew(rows: Rows, damage: Any) -> None:
    """It costs no other one."""
    key = write(rows, Checkpoint(REF, HOUR, ledgers={NAMES[0]: OTHER}))
    other = write(rows, Checkpoint(BlobRef("b", "c", "p"), HOUR, ledgers={NAMES[0]: LEDGER}))
    spoil(rows, key, Alerts=damage)

    found = {row.key: row.ledger for row in of(rows).rows(HOUR)}
    assert found.pop(key[:16], None) is None
    assert found == {other[:16]: LEDGER}
    assert ledgers_of({"Alerts": damage, "Alerts_2": encode(OTHER)}) == {NAMES[1]: OTHER}


def test_columns_and_ledgers_are_two_forms_of_one() -> None:
    """Of every sink that there can be; its column is its own."""
    every = {name: Ledger(name) for name in NAMES}
    columns = columns_of(every)
    assert list(columns) == ["Alerts", *(f"Alerts_{number}" for number in range(2, 10))]
    assert ledgers_of(columns) == every
    assert ledgers_of({}) == {}


@pytest.mark.parametrize(
    ("cursor", "uncounted"),
    [
        (Cursor(9, listed=1.0, read_to=77), 0),
        (Cursor(9, listed=1.0, read_to=-77), 77),
        (Cursor(9, listed=1.0, read_to=77, uncounted=50), 50),
    ],
    ids=["it counts", "it posts at once", "it did once"],
)
def test_until_when_nobody_counted(rows: Rows, cursor: Cursor, uncounted: int) -> None:
    """A log is read all the same."""
    write(rows, Checkpoint(REF, HOUR, {NAMES[0]: cursor}))
    (row,) = of(rows).rows(HOUR, everything=True)
    assert (row.read_to, row.whole, row.uncounted) == (77, True, uncounted)


def test_how_far_each_log_was_read(rows: Rows) -> None:
    """By the sink that asks, and in that hour; with what was counted, and nothing else."""
    read = Cursor(9, listed=1.0, read_to=77)
    counted = {NAMES[0]: LEDGER, NAMES[1]: OTHER}
    cursors = {NAMES[0]: read, NAMES[1]: Cursor(9, read_to=78)}
    key = write(rows, Checkpoint(REF, HOUR, cursors, ledgers=counted))
    write(rows, Checkpoint(REF, LATER, {NAMES[0]: Cursor(9, listed=1.0, read_to=99)}))

    (row,) = of(rows).rows(HOUR, everything=True)
    assert row == Row(key[:16], LEDGER, NAME, 77, whole=True)
    (row,) = of(rows, NAMES[1]).rows(HOUR, everything=True)
    assert row == Row(key[:16], OTHER, NAME, 78, whole=False)
    (row,) = of(rows, NAMES[2]).rows(HOUR, everything=True)
    assert row == Row(key[:16], None, NAME, 0, whole=False)
    assert reached(of(rows), LATER) == {NAME: (99, True)}
    columns = {"RowKey", "Account", "Container", "Path", "Cursors", "Owner", "Pending"}
    assert [set(asked) for asked in rows.asked] == [
        columns | {column} for column in ("Alerts", "Alerts_2", "Alerts_3", "Alerts")
    ]


@pytest.mark.parametrize(
    ("left", "whole"),
    [
        ({}, True),
        ({"owner": "somebody"}, False),
        ({"pending": True}, False),
        ({"mine": {"behind_since": 5.0}}, False),
        ({"mine": {"listed": 0.0}}, False),
        ({"theirs": {"behind_since": 5.0}}, True),
        ({"pending": True, "theirs": {"behind_since": 5.0}}, True),
        ({"owner": "somebody", "theirs": {"behind_since": 5.0}}, False),
    ],
)
def test_a_log_is_read_whole_where_nothing_is_known_to_be_left(
    rows: Rows, left: dict[str, Any], *, whole: bool
) -> None:
    """Who is at work may have found more; a mark for another sink says nothing of this one."""
    read = Cursor(9, listed=1.0, read_to=77)
    mine, theirs = replace(read, **left.get("mine", {})), replace(read, **left.get("theirs", {}))
    row = Checkpoint(
        REF,
        HOUR,
        {NAMES[0]: mine, "table": theirs},
        left.get("owner", ""),
        pending=left.get("pending", False),
    )
    write(rows, row)
    assert reached(of(rows)) == {NAME: (77, whole)}


def test_of_a_place_that_is_away_nobody_knows_what_is_left(rows: Rows) -> None:
    """Its container, or the resource itself; as the sweeps of these connections say."""
    write(rows, Checkpoint(REF, HOUR, {NAMES[0]: Cursor(9, listed=1.0, read_to=77)}))
    for place, whole in (
        ((REF.container, ""), False),
        ((REF.container, resource_prefix(REF.path)), False),
        ((REF.container, "other/"), True),
        (("other", ""), True),
    ):
        sweep(rows, "FlowLogs", SweepState(HOUR, away=(place,)))
        for ledgers, known in ((of(rows, NAMES[0], "FlowLogs"), whole), (of(rows), True)):
            ledgers.marks()
            assert reached(ledgers) == {NAME: (77, known)}


def sweep(rows: Rows, connection: str, state: SweepState) -> None:
    """What a sweep leaves behind."""
    Checkpoints(rows).write_sweep(connection, state)  # type: ignore[arg-type]


def test_what_sweeps_have_seen_to(rows: Rows) -> None:
    """As far as the one that is furthest behind has; all that any has left."""
    one, both = of(rows, NAMES[0], "a"), of(rows, NAMES[0], "a", "b")
    assert one.marks() == both.marks() == of(rows).marks() == Marks((), Swept(0.0))
    sweep(rows, "a", SweepState(LATER, (HOUR,)))
    assert one.marks().swept == Swept(LATER.timestamp(), frozenset([HOUR]))
    assert both.marks().swept == Swept(0.0, frozenset([HOUR]))
    sweep(rows, "b", SweepState(HOUR, (LATER,)))
    assert both.marks().swept == Swept(HOUR.timestamp(), frozenset([HOUR, LATER]))
    assert of(rows).marks().swept == Swept(0.0)


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
    found = reached(of(rows))
    assert found.pop("", (0, False)) == (0, False)
    assert found == dict.fromkeys(left, (77, True))


def test_hours_are_watched_until_the_mark_is_taken_away(rows: Rows) -> None:
    """Each sink for itself; a mark that was renewed since it was seen stays."""
    mine, theirs = of(rows), of(rows, NAMES[1])
    mine.watch(HOUR, 10.0)
    mine.watch(LATER, 20.0)
    theirs.watch(HOUR, 30.0)

    seen = {at.hour: at for at in watched(mine)}
    assert {hour: at.until for hour, at in seen.items()} == {HOUR: 10.0, LATER: 20.0}
    assert [(at.hour, at.until) for at in watched(theirs)] == [(HOUR, 30.0)]
    mine.watch(HOUR, 40.0)
    for at in seen.values():
        mine.unwatch(at)
    (left,) = watched(mine)
    assert (left.hour, left.until) == (HOUR, 40.0)
    mine.unwatch(left)
    assert watched(mine) == ()
    assert [at.hour for at in watched(theirs)] == [HOUR]


def test_a_mark_that_names_no_hour_marks_none(rows: Rows) -> None:
    """It costs no other one."""
    mine = of(rows)
    mine.watch(LATER, 20.0)
    ((partition, _),) = rows.rows
    rows.rows[partition, "2026"] = ({"PartitionKey": partition, "RowKey": "2026"}, "1")
    assert [at.hour for at in watched(mine)] == [LATER]
