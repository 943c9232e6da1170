"""The table of nsgflow's state: rows that are replaced only as they were read.

It is made when the first row is written, if it is missing. A property holds 64 KiB, so whatever
may grow has a row for each of its parts:
https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, UpdateMode

from nsgflow_core.errors import NsgflowError
from nsgflow_core.logs.path import hour_named
from nsgflow_core.storage import errors_of

Entity = Mapping[str, Any]

_BATCH = 100  # the most operations of one transaction; all of them are of one partition


class ClaimLostError(NsgflowError):
    """Somebody else wrote the row: what was known of it is old."""


class StateTable:
    """Rows by partition and key.

    Every method raises TransientError and RefusedError as `errors_of` says.
    """

    def __init__(self, table: TableClient) -> None:
        self._table = table

    def get(self, partition: str, key: str) -> Any | None:
        """A row; None where there is none."""
        with errors_of("read the state"), suppress(ResourceNotFoundError):
            return self._table.get_entity(partition, key)
        return None

    def replace(self, entity: Entity, etag: str) -> str:
        """Write a row that still has `etag`, or is new where that is ""; return its new ETag.

        Raises:
            ClaimLostError: the row is not as it was read.
        """
        with errors_of("write the state"):
            try:
                if not etag:
                    made = self._making_table(lambda: self._table.create_entity(dict(entity)))
                    return str(made["etag"])
                answer = self._table.update_entity(
                    dict(entity),
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceExistsError, ResourceNotFoundError) as exc:
                raise ClaimLostError("the row has changed since it was read") from exc
        return str(answer["etag"])

    def put(self, entities: Iterable[Entity]) -> None:
        """Write rows of one partition, whatever is there."""
        first, *others = map(dict, entities)
        with errors_of("write the state"):
            self._making_table(lambda: self._table.upsert_entity(first, mode=UpdateMode.REPLACE))
            for start in range(0, len(others), _BATCH):
                self._table.submit_transaction(
                    [
                        ("upsert", entity, {"mode": UpdateMode.REPLACE})
                        for entity in others[start : start + _BATCH]
                    ]
                )

    def remove(self, partition: str, key: str, etag: str = "") -> None:
        """Delete a row; with an ETag only if it still has that."""
        condition: dict[str, Any] = {}
        if etag:
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        with (
            errors_of("delete from the state"),
            suppress(ResourceModifiedError, ResourceNotFoundError),
        ):
            self._table.delete_entity(partition, key, **condition)

    def query(self, where: str, parameters: Mapping[str, str], **options: Any) -> Iterator[Any]:
        """Rows by an OData filter; a missing table has none."""
        with errors_of("list the state"), suppress(ResourceNotFoundError):
            yield from self._table.query_entities(where, parameters=dict(parameters), **options)

    def delete(self, entities: Iterable[Any], out_of_time: Callable[[], bool]) -> int:
        """Delete rows, those of one partition together, while there is time; how many it were."""
        deleted = 0
        batch: list[Any] = []
        for entity in entities:
            if batch and (
                len(batch) == _BATCH or batch[0]["PartitionKey"] != entity["PartitionKey"]
            ):
                if out_of_time():
                    return deleted
                deleted += self._delete(batch)
                batch = []
            batch.append(entity)
        return deleted + (self._delete(batch) if batch and not out_of_time() else 0)

    def _delete(self, batch: list[Any]) -> int:
        with errors_of("delete old state"):
            self._table.submit_transaction([("delete", entity) for entity in batch])
        return len(batch)

    def _making_table(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except ResourceNotFoundError:  # of the table: it is the only thing that can be missing
            with suppress(ResourceExistsError):  # another worker was as early
                self._table.create_table()
            return write()


def etag_of(entity: Any) -> str:
    """The ETag of a row that was read."""
    return str(entity.metadata["etag"])


def hour_of(entity: Any) -> datetime | None:
    """The hour that a row is named by; None where it is named by something else."""
    with suppress(ValueError):
        return hour_named(entity["RowKey"])
    return None
