"""Checkpoints: how far each sink got in each blob, and who works on it; and what sweeps remember.

One row per PT1H.json in a table of the host account; the partition is the log's hour, so that
an hour is listed in one query. Every write is conditional on the row's ETag: whoever lost the
claim finds its commit refused, and no cursor is ever moved on old knowledge.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from azure.data.tables import TableClient

from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.ledgers import columns_of, ledgers_of
from nsgflow_core.delivery.state_table import ClaimLostError, StateTable, etag_of, hour_of
from nsgflow_core.delivery.swept import SWEEP, SweepState, sweep_state
from nsgflow_core.digests.ledger import Ledger
from nsgflow_core.logs.path import hour_name
from nsgflow_core.model import BlobRef

CLAIM_SECONDS = 60
"""How far ahead a claim reaches; a dead worker's blob is free again after this."""

_WITHOUT_ALERTS = (
    "PartitionKey",
    "RowKey",
    "Account",
    "Container",
    "Path",
    "Cursors",
    "Owner",
    "Until",
    "Pending",
)


class Checkpoint(msgspec.Struct, frozen=True):
    """The row of one blob. `etag` is the row's own, "" while there is none.

    `pending` marks what the sweep must look at: set with a claim, cleared when all is delivered.
    `ledgers` is what the sinks of digests counted, written with the cursors that say how far.
    `damaged` says that the row's cursors could not be read: the blob is delivered anew.
    """

    ref: BlobRef
    hour: datetime
    cursors: dict[str, Cursor] = {}
    owner: str = ""
    until: float = 0.0
    pending: bool = False
    etag: str = ""
    ledgers: dict[str, Ledger] = {}
    damaged: bool = False

    def says_the_same(self, other: "Checkpoint") -> bool:
        """Whether two rows are one write: each of a holder has an owner or times of its own."""
        return (self.cursors, self.owner, self.until, self.pending) == (
            other.cursors,
            other.owner,
            other.until,
            other.pending,
        )


class Asked(msgspec.Struct, frozen=True):
    """An hour that sweeps look at until nothing is left in it.

    With `listing` its blobs are listed, else only its pending checkpoints are run. Whoever asks
    again gives the row another ETag, so that a sweep under way does not take it for done.
    """

    hour: datetime
    listing: bool
    etag: str


class Away(msgspec.Struct, frozen=True):
    """A container, or one of its resources by its prefix, that could not be looked at.

    It is left alone until `not_before`, in seconds since the epoch; `since` is the first of its
    hours that nobody has looked at.
    """

    container: str
    prefix: str
    since: datetime
    failures: int
    not_before: float


_CURSORS = msgspec.json.Decoder(dict[str, Cursor])
_AWAY = msgspec.json.Decoder(Away)

_ASKED = "~asked."
_AWAY_FROM = "~away."


class Checkpoints:
    """The table of checkpoints."""

    def __init__(self, table: TableClient) -> None:
        self._rows = StateTable(table)

    def read(self, ref: BlobRef, hour: datetime) -> Checkpoint:
        """The checkpoint of a blob; an empty one where there is none yet."""
        entity = self._rows.get(hour_name(hour), _row_key(ref))
        return Checkpoint(ref, hour) if entity is None else _checkpoint(entity, ref, hour)

    def write(self, checkpoint: Checkpoint) -> Checkpoint:
        """Write a checkpoint over the row it was read from, and return it with its new ETag.

        Raises:
            ClaimLostError: the row is not as it was read.
        """
        etag = self._rows.replace(_entity(checkpoint), checkpoint.etag)
        return msgspec.structs.replace(checkpoint, etag=etag)

    def in_hour(self, hour: datetime) -> Iterator[Checkpoint]:
        """All checkpoints of an hour, without what was counted for digests."""
        rows = self._rows.query(
            "PartitionKey eq @hour", {"hour": hour_name(hour)}, select=_WITHOUT_ALERTS
        )
        for entity in rows:
            try:
                ref = BlobRef(entity["Account"], entity["Container"], entity["Path"])
            except KeyError:  # a row that names no blob is nobody's
                continue
            yield _checkpoint(entity, ref, hour)

    def delete_before(self, hour: datetime, out_of_time: Callable[[], bool] = lambda: False) -> int:
        """Delete the checkpoints of all hours before one, while there is time; how many it were."""
        old = self._rows.query(
            "PartitionKey lt @hour",
            {"hour": hour_name(hour)},
            select=["PartitionKey", "RowKey"],
        )
        return self._rows.delete(old, out_of_time)

    def read_sweep(self, connection: str) -> SweepState:
        """What the last completed sweep of a connection left behind."""
        entity = self._rows.get(SWEEP, connection)
        return SweepState() if entity is None else sweep_state(entity)

    def write_sweep(self, connection: str, state: SweepState) -> None:
        """Leave something behind for the next sweep of a connection."""
        text = msgspec.json.encode(state).decode()
        self._rows.put([{"PartitionKey": SWEEP, "RowKey": connection, "State": text}])

    def ask_sweep(self, connection: str, hours: Iterable[datetime]) -> None:
        """Let the next sweep list hours that it would not look at by itself any more."""
        if rows := [_asked(connection, hour, listing=True) for hour in set(hours)]:
            self._rows.put(rows)

    def keep_open(self, connection: str, hour: datetime) -> None:
        """Let sweeps look at an hour for its pending checkpoints, if nobody asked for more."""
        with suppress(ClaimLostError):  # somebody did
            self._rows.replace(_asked(connection, hour, listing=False), "")

    def asked(self, connection: str) -> Iterator[Asked]:
        """The hours that sweeps of a connection were asked for."""
        partition = _ASKED + connection
        for entity in self._rows.query("PartitionKey eq @asked", {"asked": partition}):
            if hour := hour_of(entity):
                yield Asked(hour, bool(entity.get("Listing", True)), etag_of(entity))

    def answered(self, connection: str, asked: Asked, *, still_open: bool) -> None:
        """Forget an hour, or if it is `still_open` that it must be listed, unless asked again."""
        if not still_open:
            self._rows.remove(_ASKED + connection, hour_name(asked.hour), asked.etag)
        elif asked.listing:
            with suppress(ClaimLostError):
                self._rows.replace(_asked(connection, asked.hour, listing=False), asked.etag)

    def away(self, connection: str) -> Iterator[Away]:
        """What could not be looked at in a connection's account."""
        partition = _AWAY_FROM + connection
        for entity in self._rows.query("PartitionKey eq @away", {"away": partition}):
            try:
                yield _AWAY.decode(entity["State"])
            except (KeyError, TypeError, msgspec.MsgspecError):
                continue  # it is looked at as if it were well

    def put_away(self, connection: str, away: Away) -> None:
        """Remember what could not be looked at."""
        state = msgspec.json.encode(away).decode()
        self._rows.put([{**_away_key(connection, away), "State": state}])

    def back(self, connection: str, away: Away) -> None:
        """Forget it: it can be looked at."""
        key = _away_key(connection, away)
        self._rows.remove(key["PartitionKey"], key["RowKey"])


def _row_key(ref: BlobRef) -> str:
    # Hashed because a row key may hold neither "/" nor more than 1 KiB.
    return _hashed(str(ref))


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:40]


def _asked(connection: str, hour: datetime, *, listing: bool) -> dict[str, Any]:
    return {"PartitionKey": _ASKED + connection, "RowKey": hour_name(hour), "Listing": listing}


def _away_key(connection: str, away: Away) -> dict[str, str]:
    place = f"{away.container}/{away.prefix}"
    return {"PartitionKey": _AWAY_FROM + connection, "RowKey": _hashed(place)}


def _entity(checkpoint: Checkpoint) -> dict[str, Any]:
    ref = checkpoint.ref
    return {
        **columns_of(checkpoint.ledgers),
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


def _checkpoint(entity: Any, ref: BlobRef, hour: datetime) -> Checkpoint:
    damaged = False
    try:
        cursors = _CURSORS.decode(entity["Cursors"])
    except (KeyError, TypeError, msgspec.MsgspecError):
        cursors, damaged = {}, True
    return Checkpoint(
        ref,
        hour,
        cursors,
        entity.get("Owner") or "",
        entity.get("Until") or 0.0,
        bool(entity.get("Pending")) or damaged,
        etag_of(entity),
        ledgers_of(entity),
        damaged,
    )
