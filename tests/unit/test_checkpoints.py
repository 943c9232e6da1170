"""The rows of state: what is asked of the table, and what becomes of odd rows."""

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Away, Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.delivery.swept import SweepState, behind
from nsgflow_core.digests.ledger import Ledger
from nsgflow_core.errors import RefusedError
from nsgflow_core.logs.path import hour_name
from nsgflow_core.model import BlobRef
from nsgflow_core.webhooks import NAMES
from tests.simulation.storage import Entity, Table, Wire

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
CONDITION = re.compile(r"PartitionKey (eq|lt|le|ge) @(\w+)|(Alerts(?:_\d)?) gt ''")
COMPARE = {"eq": operator.eq, "lt": operator.lt, "le": operator.le, "ge": operator.ge}


@dataclass
class Rows(Table):
    """A table that takes only the queries that Azure would, and gives what was selected."""

    asked: list[Any] = field(default_factory=list)

    def query_entities(
        self, where: str, parameters: dict[str, str], **options: Any
    ) -> Iterator[Entity]:
        """The rows for which all of it holds, with the columns asked for."""
        self.wire.request()
        conditions = [CONDITION.fullmatch(one) for one in where.split(" and ")]
        named = [found[2] for found in conditions if found is not None and found[2]]
        assert None not in conditions
        assert named == list(parameters)
        self.asked.append(options.get("select"))
        for (partition, row), (columns, _) in sorted(self.rows.items()):
            if all(
                columns.get(found[3])
                if found[3]
                else COMPARE[found[1]](partition, parameters[found[2]])
                for found in conditions
                if found is not None
            ):
                kept = options.get("select") or list(columns)
                whole = self._entity((partition, row))
                entity = Entity({key: value for key, value in whole.items() if key in kept})
                entity.metadata = whole.metadata
                yield entity


@pytest.fixture
def rows() -> Rows:
    """Empty, and never in the way."""
    return Rows(Wire(lambda: None, lambda _: False), lambda *_: None)


@pytest.fixture
def store(rows: Rows) -> Checkpoints:
    """The product's own over it."""
    return Checkpoints(rows)  # type: ignore[arg-type]  # has what is used of it


def ref(path: str) -> BlobRef:
    """A blob of one account."""
    return BlobRef("logs", "container", path)


def test_the_checkpoints_of_an_hour_come_without_what_digests_count(
    rows: Rows, store: Checkpoints
) -> None:
    """Ten thousand interfaces have hundreds of MB of it, and the sweep needs none."""
    store.write(Checkpoint(ref("a"), HOUR))
    store.write(Checkpoint(ref("b"), HOUR + timedelta(hours=1)))
    assert [row.ref.path for row in store.in_hour(HOUR)] == ["a"]
    (selected,) = rows.asked
    assert "Cursors" in selected
    assert not [name for name in selected if "lert" in name or "edger" in name]


def test_a_row_that_names_no_blob_ends_nothing(rows: Rows, store: Checkpoints) -> None:
    """It is passed over, and the rows behind it are read."""
    store.write(Checkpoint(ref("a"), HOUR))
    rows.rows[hour_name(HOUR), "0"] = ({"PartitionKey": hour_name(HOUR), "RowKey": "0"}, "1")
    assert [row.ref.path for row in store.in_hour(HOUR)] == ["a"]


def test_old_checkpoints_are_deleted_and_no_others(store: Checkpoints) -> None:
    """What is of the hour itself stays."""
    for age in range(3):
        store.write(Checkpoint(ref("a"), HOUR - timedelta(hours=age)))
    assert store.delete_before(HOUR) == 2
    assert [len(list(store.in_hour(HOUR - timedelta(hours=age)))) for age in range(3)] == [1, 0, 0]


def test_places_that_are_away_come_back_one_by_one(store: Checkpoints) -> None:
    """Each has a row of its own, of the connection that it was away for."""
    places = [Away("one", prefix, HOUR, 1, 5.0) for prefix in ("", "r/")]
    for place in places:
        store.put_away("FlowLogs", place)
    assert sorted(store.away("FlowLogs"), key=str) == sorted(places, key=str)
    assert list(store.away("Other")) == []
    store.back("FlowLogs", places[0])
    assert list(store.away("FlowLogs")) == places[1:]


def test_what_cannot_be_listed_is_named(rows: Rows, store: Checkpoints) -> None:
    """An error says what was tried, in words."""

    def refuse(*_: Any, **__: Any) -> Any:
        refusal = HttpResponseError("no role")
        refusal.status_code = 403
        raise refusal

    rows.query_entities = refuse  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="list the state"):
        list(store.in_hour(HOUR))


def test_hours_that_are_asked_for_stay_until_they_are_answered(store: Checkpoints) -> None:
    """Each connection for itself; to keep one open asks for no more than was asked."""
    later = HOUR + timedelta(hours=1)
    store.ask_sweep("FlowLogs", [HOUR, HOUR])
    store.keep_open("FlowLogs", HOUR)
    store.keep_open("FlowLogs", later)
    store.ask_sweep("Other", [later])
    store.ask_sweep("Other", [])

    asked = {at.hour: at for at in store.asked("FlowLogs")}
    assert {hour: at.listing for hour, at in asked.items()} == {HOUR: True, later: False}
    assert [(at.hour, at.listing) for at in store.asked("Other")] == [(later, True)]
    for at in asked.values():
        store.answered("FlowLogs", at, still_open=True)
    left = {at.hour: at for at in store.asked("FlowLogs")}
    assert {hour: at.listing for hour, at in left.items()} == {HOUR: False, later: False}
    assert left[later] == asked[later]
    for at in left.values():
        store.answered("FlowLogs", at, still_open=False)
    assert list(store.asked("FlowLogs")) == []
    assert len(list(store.asked("Other"))) == 1


@pytest.mark.parametrize("still_open", [True, False])
def test_an_hour_that_is_asked_for_again_is_not_answered(
    store: Checkpoints, *, still_open: bool
) -> None:
    """Whoever asks while a sweep runs is heard by the next one."""
    store.ask_sweep("FlowLogs", [HOUR])
    (before,) = store.asked("FlowLogs")
    store.ask_sweep("FlowLogs", [HOUR])
    store.answered("FlowLogs", before, still_open=still_open)
    (after,) = store.asked("FlowLogs")
    assert after.listing
    assert after.etag != before.etag


def test_an_hour_that_an_older_release_asked_for_is_listed(rows: Rows, store: Checkpoints) -> None:
    """Its rows did not say so; and a row that names no hour asks for none."""
    store.ask_sweep("FlowLogs", [HOUR])
    ((partition, key),) = rows.rows
    for name in (key, "2026"):
        rows.rows[partition, name] = ({"PartitionKey": partition, "RowKey": name}, "1")
    assert [(at.hour, at.listing) for at in store.asked("FlowLogs")] == [(HOUR, True)]


def test_what_a_row_holds_comes_back(store: Checkpoints) -> None:
    """By the blob and its hour; what is not there is empty."""
    ledgers = {NAMES[0]: Ledger("x", others=2)}
    row = Checkpoint(ref("a"), HOUR, {"table": Cursor(5)}, "me", 7.5, pending=True, ledgers=ledgers)
    written = store.write(row)
    assert store.read(ref("a"), HOUR) == written
    assert replace(written, etag="") == row
    assert store.read(ref("b"), HOUR) == Checkpoint(ref("b"), HOUR)
    assert store.read(ref("a"), HOUR + timedelta(hours=1)).etag == ""
    assert list(store.in_hour(HOUR)) == [replace(written, ledgers={})]
    with pytest.raises(ClaimLostError):
        store.write(row)
    with pytest.raises(ClaimLostError):
        store.write(replace(row, etag="other"))
    assert store.read(ref("a"), HOUR) == written


@pytest.mark.parametrize("cursors", [None, 7, "{", "[]"])
def test_cursors_that_cannot_be_read_are_a_blob_to_deliver_anew(
    rows: Rows, store: Checkpoints, cursors: Any
) -> None:
    """It is pending, and says why."""
    store.write(Checkpoint(ref("a"), HOUR, {"table": Cursor(5)}))
    ((key, (row, etag)),) = rows.rows.items()
    row.pop("Cursors")
    rows.rows[key] = (row if cursors is None else row | {"Cursors": cursors}, etag)
    found = store.read(ref("a"), HOUR)
    assert (found.cursors, found.pending, found.damaged) == ({}, True, True)


def test_the_last_sweep_is_remembered(rows: Rows, store: Checkpoints) -> None:
    """Of each connection; where it cannot be read everything is looked at."""
    assert store.read_sweep("FlowLogs") == SweepState()
    store.write_sweep("FlowLogs", SweepState(HOUR))
    assert store.read_sweep("FlowLogs") == SweepState(HOUR)
    assert store.read_sweep("Other") == SweepState()
    ((key, (row, etag)),) = rows.rows.items()
    damages: list[dict[str, Any]] = [{}, {"State": 5}, {"State": "{"}]
    for damage in damages:
        kept = {name: value for name, value in row.items() if name != "State"}
        rows.rows[key] = (kept | damage, etag)
        assert store.read_sweep("FlowLogs") == SweepState(datetime.fromtimestamp(0, UTC))


def test_a_place_that_cannot_be_read_is_looked_at(rows: Rows, store: Checkpoints) -> None:
    """As if it were well; the others stay away."""
    place = Away("one", "r/", HOUR, 1, 5.0)
    store.put_away("FlowLogs", place)
    ((partition, _),) = rows.rows
    damages: list[dict[str, Any]] = [{}, {"State": 5}, {"State": "{"}]
    for name, damage in enumerate(damages):
        key: dict[str, Any] = {"PartitionKey": partition, "RowKey": str(name)}
        rows.rows[partition, str(name)] = (key | damage, "1")
    assert list(store.away("FlowLogs")) == [place]


def test_old_rows_go_while_there_is_time(rows: Rows, store: Checkpoints) -> None:
    """A hundred of one hour at once; the rest the next time."""
    for hour, count in ((1, 130), (2, 5)):
        for number in range(count):
            store.write(Checkpoint(ref(str(number)), HOUR - timedelta(hours=hour)))
    looks: list[int] = []

    def out_of_time() -> bool:
        looks.append(len(rows.rows))
        return len(looks) > 2

    assert store.delete_before(HOUR, out_of_time) == 105
    assert looks == [135, 130, 30]
    assert store.delete_before(HOUR) == 30
    assert rows.rows == {}
    assert store.delete_before(HOUR) == 0


def test_what_the_table_refuses_is_named(rows: Rows, store: Checkpoints) -> None:
    """By what was tried, whatever it is."""
    row = Checkpoint(ref("a"), HOUR)

    def refuse() -> None:
        refusal = HttpResponseError("no role")
        refusal.status_code = 403
        raise refusal

    rows.wire.step = refuse
    for tried, what in (
        (lambda: store.read(ref("a"), HOUR), "read the state"),
        (lambda: store.write(row), "write the state"),
        (lambda: store.write(replace(row, etag="1")), "write the state"),
        (lambda: store.ask_sweep("FlowLogs", [HOUR]), "write the state"),
        (lambda: store.back("FlowLogs", Away("one", "", HOUR, 1, 5.0)), "delete from the state"),
        (lambda: list(store.in_hour(HOUR)), "list the state"),
    ):
        with pytest.raises(RefusedError, match=f"^{what}: 403"):
            tried()


def test_a_claim_that_is_lost_says_so(store: Checkpoints) -> None:
    """Whether the row is another, is there already, or is gone."""
    store.write(Checkpoint(ref("a"), HOUR))
    for row in (
        Checkpoint(ref("a"), HOUR),
        Checkpoint(ref("a"), HOUR, etag="other"),
        Checkpoint(ref("b"), HOUR, etag="other"),
    ):
        with pytest.raises(ClaimLostError, match=r"^the row has changed since it was read$"):
            store.write(row)


def test_what_a_sweep_leaves_fits_into_a_row() -> None:
    """The newest hours; of too many places their containers."""
    hours = [HOUR - timedelta(hours=at) for at in range(130)]
    few = [("one", f"r{at:03}/") for at in range(100)]
    assert behind(HOUR, hours, few) == SweepState(HOUR, tuple(sorted(hours)[-100:]), tuple(few))
    many = behind(HOUR, [], [*few, ("two", "r/"), ("two", "")])
    assert many == SweepState(HOUR, (), (("one", ""), ("two", "")))
