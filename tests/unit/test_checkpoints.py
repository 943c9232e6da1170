"""The rows of state: what is asked of the table, and what becomes of odd rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from nsgflow_core.delivery.checkpoint import Away, Checkpoint, Checkpoints
from nsgflow_core.errors import RefusedError
from nsgflow_core.logs.path import hour_name
from nsgflow_core.model import BlobRef
from tests.simulation.storage import Entity, Table, Wire

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
WHERE = re.compile(r"PartitionKey (eq|lt) @(\w+)( and Alerts gt '')?")


@dataclass
class Rows(Table):
    """A table that takes only the queries that Azure would, and gives what was selected."""

    asked: list[Any] = field(default_factory=list)

    def query_entities(
        self, where: str, parameters: dict[str, str], **options: Any
    ) -> Iterator[Entity]:
        """The rows, with the columns asked for."""
        found = WHERE.fullmatch(where)
        assert found is not None
        assert [found[2]] == list(parameters)
        self.asked.append(options.get("select"))
        for row in super().query_entities(where, parameters):
            kept = options.get("select") or list(row)
            entity = Entity({key: value for key, value in row.items() if key in kept})
            entity.metadata = row.metadata
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
