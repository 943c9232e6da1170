"""Checkpoints: how far each sink got in each blob, and who works on it.

One row per PT1H.json in a table of the host account; the partition is the log's hour, so that
an hour is listed in one query. Every write is conditional on the row's ETag: whoever lost the
claim finds its commit refused, and no cursor is ever moved on old knowledge.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, UpdateMode

from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.digests.digest import Watched
from nsgflow_core.digests.ledger import Ledger, decode, encode
from nsgflow_core.errors import NsgflowError, TransientError
from nsgflow_core.logs.path import hour_name, hour_named
from nsgflow_core.model import BlobRef
from nsgflow_core.storage import errors_of

CLAIM_SECONDS = 60
"""How far ahead a claim reaches; a dead worker's blob is free again after this."""

_SWEEP_TRIES = 10
_SHORT_KEY = 16  # hex digits that tell the rows of one hour apart
_DELETE_BATCH = 100  # the most operations of one table transaction


class ClaimLostError(NsgflowError):
    """Somebody else wrote the checkpoint: the claim is theirs now."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The row of one blob. `etag` is the row's own, "" while there is none.

    `pending` marks what the sweep must look at: set with a claim, cleared when all is delivered.
    `alerts` is what a digest's sink counted, written with the cursor that says how far.
    """

    ref: BlobRef
    hour: datetime
    cursors: dict[str, Cursor] = {}
    owner: str = ""
    until: float = 0.0
    pending: bool = False
    etag: str = ""
    alerts: Ledger | None = None


_CURSORS = msgspec.json.Decoder(dict[str, Cursor])


class Checkpoints:
    """The table of checkpoints. It is made when the first row is written, if it is missing."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    def read(self, ref: BlobRef, hour: datetime) -> Checkpoint:
        """The checkpoint of a blob; an empty one where there is none yet."""
        with errors_of("read a checkpoint"):
            try:
                entity = self._table.get_entity(hour_name(hour), _row_key(ref))
            except ResourceNotFoundError:
                return Checkpoint(ref, hour)
        return _checkpoint(entity)

    def write(self, checkpoint: Checkpoint) -> Checkpoint:
        """Write a checkpoint over the row it was read from, and return it with its new ETag.

        Raises:
            ClaimLostError: the row is not as it was read.
        """
        etag = self._replace(_entity(checkpoint), checkpoint.etag, "a checkpoint")
        return msgspec.structs.replace(checkpoint, etag=etag)

    def _replace(self, entity: dict[str, Any], etag: str, what: str) -> str:
        """Write a row that still has `etag`, or is new where that is ""; return its new ETag."""
        with errors_of(f"write {what}"):
            try:
                if not etag:
                    return str(self._create(entity)["etag"])
                answer = self._table.update_entity(
                    entity,
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceExistsError, ResourceNotFoundError) as exc:
                raise ClaimLostError(f"{what} has changed since it was read") from exc
        return str(answer["etag"])

    def _create(self, entity: dict[str, Any]) -> Any:
        try:
            return self._table.create_entity(entity)
        except ResourceNotFoundError:  # of the table: it is the only thing that can be missing
            with suppress(ResourceExistsError):  # another worker was as early
                self._table.create_table()
            return self._table.create_entity(entity)

    def in_hour(self, hour: datetime) -> Iterator[Checkpoint]:
        """All checkpoints of an hour."""
        yield from map(_checkpoint, self._query("PartitionKey eq @hour", {"hour": hour_name(hour)}))

    def ledgers(self, hour: datetime) -> Iterator[tuple[str, Ledger]]:
        """What was counted for digests in the blobs of an hour, by the beginning of the row key."""
        rows = self._query(
            "PartitionKey eq @hour and Alerts gt ''",
            {"hour": hour_name(hour)},
            select=["RowKey", "Alerts"],
        )
        for entity in rows:
            if ledger := _alerts(entity):
                yield entity["RowKey"][:_SHORT_KEY], ledger

    def watch(self, hour: datetime, until: float) -> None:
        """Mark an hour whose ledgers may change although it is long over."""
        entity = {"PartitionKey": _WATCHED, "RowKey": hour_name(hour), "Until": until}
        with errors_of("mark an hour for digests"):
            try:
                self._table.upsert_entity(entity, mode=UpdateMode.REPLACE)
            except ResourceNotFoundError:  # of the table
                with suppress(ResourceExistsError):
                    self._table.create_table()
                self._table.upsert_entity(entity, mode=UpdateMode.REPLACE)

    def watched(self) -> "Iterator[Watched]":
        """The hours that are marked."""
        for entity in self._query("PartitionKey eq @watched", {"watched": _WATCHED}):
            yield Watched(hour_named(entity["RowKey"]), entity["Until"], entity.metadata["etag"])

    def unwatch(self, watched: "Watched") -> None:
        """Take away the mark of an hour, unless it was renewed."""
        with (
            errors_of("unmark an hour for digests"),
            suppress(ResourceModifiedError, ResourceNotFoundError),
        ):
            self._table.delete_entity(
                _WATCHED,
                hour_name(watched.hour),
                etag=watched.etag,
                match_condition=MatchConditions.IfNotModified,
            )

    def delete_before(self, hour: datetime) -> int:
        """Delete the checkpoints of all hours before one; how many they were."""
        deleted = 0
        batch: list[tuple[str, Any]] = []
        old = self._query(
            "PartitionKey lt @hour",
            {"hour": hour_name(hour)},
            select=["PartitionKey", "RowKey"],
        )
        for entity in old:
            if batch and (
                len(batch) == _DELETE_BATCH or batch[0][1]["PartitionKey"] != entity["PartitionKey"]
            ):
                deleted += self._delete(batch)
                batch = []
            batch.append(("delete", entity))
        return deleted + (self._delete(batch) if batch else 0)

    def _delete(self, batch: list[tuple[str, Any]]) -> int:
        with errors_of("delete old checkpoints"):
            self._table.submit_transaction(batch)
        return len(batch)

    def _query(self, where: str, parameters: dict[str, str], **options: Any) -> Iterator[Any]:
        # A missing table has no rows.
        with errors_of("list checkpoints"), suppress(ResourceNotFoundError):
            yield from self._table.query_entities(where, parameters=parameters, **options)

    def read_sweep(self, connection: str) -> "SweepState":
        """What the last completed sweep of a connection left behind."""
        return self._read_sweep(connection)[0]

    def ask_sweep(self, connection: str, hours: Iterable[datetime]) -> None:
        """Let the next sweep look at hours that it would not look at by itself any more."""
        asked = {uuid.uuid4().hex: hour for hour in hours}
        self.update_sweep(
            connection,
            lambda state: msgspec.structs.replace(state, asked={**state.asked, **asked}),
        )

    def update_sweep(
        self, connection: str, change: Callable[["SweepState"], "SweepState"]
    ) -> "SweepState":
        """Change what the sweep remembers; `change` is asked again when somebody else was faster.

        Raises:
            TransientError: others were faster every time.
        """
        for _ in range(_SWEEP_TRIES):
            latest, etag = self._read_sweep(connection)
            state = change(latest)
            entity = {
                "PartitionKey": _SWEEP,
                "RowKey": connection,
                "State": msgspec.json.encode(state).decode(),
            }
            with suppress(ClaimLostError):
                self._replace(entity, etag, "the state of the sweep")
                return state
        raise TransientError("the state of the sweep is being changed too often")

    def _read_sweep(self, connection: str) -> "tuple[SweepState, str]":
        with errors_of("read the state of the sweep"):
            try:
                entity = self._table.get_entity(_SWEEP, connection)
            except ResourceNotFoundError:
                return SweepState(), ""
        return msgspec.json.decode(entity["State"], type=SweepState), str(entity.metadata["etag"])


class SweepState(msgspec.Struct, frozen=True):
    """What one sweep tells the next: when it was, and what it could not finish.

    `open_hours` have checkpoints that are pending; `unlisted` must be listed again; `asked` are
    hours that somebody else wants looked at, each under a name of its own, so that one asked for
    while a sweep is under way is not taken for one that it has looked at.
    """

    completed: datetime | None = None
    open_hours: tuple[datetime, ...] = ()
    unlisted: tuple[datetime, ...] = ()
    asked: dict[str, datetime] = {}


_SWEEP = "~sweep"
"""Partition of the sweep's own rows; sorts behind every hour."""


_WATCHED = "~watched"
"""Partition of the hours that digests look at although they are over."""


def _row_key(ref: BlobRef) -> str:
    # Hashed because a row key may hold neither "/" nor more than 1 KiB.
    return hashlib.sha256(str(ref).encode()).hexdigest()[:40]


def _entity(checkpoint: Checkpoint) -> dict[str, Any]:
    ref = checkpoint.ref
    alerts = {} if checkpoint.alerts is None else {"Alerts": encode(checkpoint.alerts)}
    return alerts | {
        "PartitionKey": hour_name(checkpoint.hour),
        "RowKey": _row_key(ref),
        "Account": ref.account,
        "Container": ref.container,
        "Path": ref.path,
        "Cursors": msgspec.json.encode(checkpoint.cursors).decode(),
        "Owner": checkpoint.owner,
        "Until": checkpoint.until,
        "Pending": checkpoint.pending,
    }


def _checkpoint(entity: Any) -> Checkpoint:
    return Checkpoint(
        BlobRef(entity["Account"], entity["Container"], entity["Path"]),
        hour_named(entity["PartitionKey"]),
        _CURSORS.decode(entity["Cursors"]),
        entity["Owner"],
        entity["Until"],
        entity["Pending"],
        entity.metadata["etag"],
        _alerts(entity),
    )


def _alerts(entity: Any) -> Ledger | None:
    text = entity.get("Alerts")
    return decode(text) if text else None
