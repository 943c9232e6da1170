"""What was counted for the digests of one sink: ledgers of checkpoints, and hours to look at.

A ledger is a column of its blob's checkpoint, so that it is committed with the cursor; each sink
has a column of its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from azure.data.tables import TableClient

from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.state_table import StateTable, etag_of, hour_of
from nsgflow_core.digests.ledger import Ledger, decode, encode
from nsgflow_core.digests.memory import Watched
from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.path import hour_name, log_name, parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.webhooks import NAMES

_CURSORS = msgspec.json.Decoder(dict[str, Cursor])
_SHORT_KEY = 16  # hex digits that tell the rows of one hour apart
_COLUMNS = {name: "Alerts" + name.removeprefix(NAMES[0]) for name in NAMES}
_WATCHED = {name: "~watched" + name.removeprefix(NAMES[0]) for name in NAMES}
"""Partition of the hours that a sink's digests look at although they are over."""


class Ledgers:
    """The ledgers of one sink in the table of checkpoints."""

    def __init__(self, table: TableClient, sink: str = NAMES[0]) -> None:
        self._rows = StateTable(table)
        self._sink = sink
        self._column = _COLUMNS[sink]
        self._watched = _WATCHED[sink]

    def ledgers(self, hour: datetime) -> Iterator[tuple[str, Ledger]]:
        """What was counted in the blobs of an hour, by the beginning of the row key."""
        rows = self._rows.query(
            f"PartitionKey eq @hour and {self._column} gt ''",
            {"hour": hour_name(hour)},
            select=["RowKey", self._column],
        )
        for entity in rows:
            if ledger := _ledger(entity.get(self._column)):
                yield entity["RowKey"][:_SHORT_KEY], ledger

    def reached(self, hour: datetime) -> Iterator[tuple[str, int]]:
        """How far the sink read the logs of an hour, by their names: times in milliseconds.

        It is 0 where there is more to read, or where that is not known.
        """
        columns = ["Account", "Container", "Path", "Cursors"]
        rows = self._rows.query("PartitionKey eq @hour", {"hour": hour_name(hour)}, select=columns)
        for entity in rows:
            with suppress(KeyError, TypeError, msgspec.MsgspecError, BadInputError):
                ref = BlobRef(entity["Account"], entity["Container"], entity["Path"])
                name = log_name(ref, parse_path(ref.path))
                cursor = _CURSORS.decode(entity["Cursors"]).get(self._sink)
                yield name, cursor.read_to if cursor is not None and cursor.listed else 0

    def watch(self, hour: datetime, until: float) -> None:
        """Mark an hour whose ledgers may change although it is long over."""
        row = {"PartitionKey": self._watched, "RowKey": hour_name(hour), "Until": until}
        self._rows.put([row])

    def watched(self) -> Iterator[Watched]:
        """The hours that are marked."""
        for entity in self._rows.query("PartitionKey eq @watched", {"watched": self._watched}):
            if hour := hour_of(entity):
                yield Watched(hour, entity["Until"], etag_of(entity))

    def unwatch(self, watched: Watched) -> None:
        """Take away the mark of an hour, unless it was renewed."""
        self._rows.remove(self._watched, hour_name(watched.hour), watched.etag)


def columns_of(ledgers: Mapping[str, Ledger]) -> dict[str, str]:
    """The columns of a checkpoint's row that hold its ledgers."""
    return {_COLUMNS[sink]: encode(ledger) for sink, ledger in ledgers.items()}


def ledgers_of(entity: Mapping[str, Any]) -> dict[str, Ledger]:
    """The ledgers in a checkpoint's row, by sink; what cannot be read is counted anew."""
    found = {sink: _ledger(entity.get(column)) for sink, column in _COLUMNS.items()}
    return {sink: ledger for sink, ledger in found.items() if ledger is not None}


def _ledger(text: Any) -> Ledger | None:
    with suppress(TypeError, msgspec.MsgspecError):
        return decode(text) if text else None
    return None
