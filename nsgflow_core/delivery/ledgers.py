"""What was counted for the digests of one sink: ledgers of checkpoints, and hours to look at.

A ledger is a column of its blob's checkpoint, so that it is committed with the cursor; each sink
has a column of its own.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from azure.data.tables import TableClient

from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.state_table import StateTable, etag_of, hour_of
from nsgflow_core.delivery.swept import SWEEP, SweepState, sweep_state
from nsgflow_core.digests.ledger import Ledger, decode, encode
from nsgflow_core.digests.reach import Swept
from nsgflow_core.digests.rows import Marks, Row, Watched
from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.path import hour_name, log_name, parse_path, resource_prefix
from nsgflow_core.model import BlobRef
from nsgflow_core.webhooks import NAMES

_CURSORS = msgspec.json.Decoder(dict[str, Cursor])
_OF_LOGS = ("RowKey", "Account", "Container", "Path", "Cursors", "Owner", "Pending")
_SHORT_KEY = 16  # hex digits that tell the rows of one hour apart
_COLUMNS = {name: "Alerts" + name.removeprefix(NAMES[0]) for name in NAMES}
_WATCHED = {name: "~watched" + name.removeprefix(NAMES[0]) for name in NAMES}
"""Partition of the hours that a sink's digests look at although they are over."""


class Ledgers:
    """The ledgers of one sink in the table of checkpoints."""

    def __init__(
        self, table: TableClient, sink: str = NAMES[0], connections: Collection[str] = ()
    ) -> None:
        """Ledgers of a sink; `connections` are those whose sweeps see to the logs."""
        self._rows = StateTable(table)
        self._sink = sink
        self._column = _COLUMNS[sink]
        self._watched = _WATCHED[sink]
        self._connections = frozenset(connections)
        self._away: frozenset[tuple[str, str]] = frozenset()

    def rows(self, hour: datetime, *, everything: bool = False) -> Iterator[Row]:
        """The rows of an hour in which something was counted; or all, and how far they were read.

        Of a place that sweeps cannot look at nobody knows what is left there.
        """
        if not everything:
            where = f"PartitionKey eq @hour and {self._column} gt ''"
            found = self._rows.query(
                where, {"hour": hour_name(hour)}, select=["RowKey", self._column]
            )
            for entity in found:
                yield Row(entity["RowKey"][:_SHORT_KEY], _ledger(entity.get(self._column)))
            return
        columns = [*_OF_LOGS, self._column]
        found = self._rows.query("PartitionKey eq @hour", {"hour": hour_name(hour)}, select=columns)
        for entity in found:
            ledger = _ledger(entity.get(self._column))
            yield Row(entity["RowKey"][:_SHORT_KEY], ledger, *self._reached(entity))

    def _reached(self, entity: Mapping[str, Any]) -> tuple[str, int, bool, int]:
        """The log of a row, how far it was read, and whether nothing is known to be left in it.

        And until when it was not counted. Who is at work may have found more, and so may who
        marked it and left it to others.
        """
        with suppress(KeyError, TypeError, msgspec.MsgspecError, BadInputError):
            ref = BlobRef(entity["Account"], entity["Container"], entity["Path"])
            name = log_name(ref, parse_path(ref.path))
            cursors = _CURSORS.decode(entity["Cursors"])
            cursor = cursors.pop(self._sink, Cursor())
            others = any(other.behind_since for other in cursors.values())
            places = {(ref.container, ""), (ref.container, resource_prefix(ref.path))}
            whole = cursor.listed and not cursor.behind_since and not entity.get("Owner")
            marked = entity.get("Pending") and not others
            whole = bool(whole and not marked and not places & self._away)
            return name, abs(cursor.read_to), whole, max(cursor.uncounted, -cursor.read_to)
        return "", 0, False, 0

    def watch(self, hour: datetime, until: float) -> None:
        """Mark an hour whose ledgers may change although it is long over."""
        row = {"PartitionKey": self._watched, "RowKey": hour_name(hour), "Until": until}
        self._rows.put([row])

    def marks(self) -> Marks:
        """The hours that are marked, and what the sweeps of all connections have seen to.

        What sweeps leave behind lies next to the marks, so that one query has both.
        """
        watched: list[Watched] = []
        swept: dict[str, SweepState] = {}
        found = self._rows.query(
            "PartitionKey ge @sweep and PartitionKey le @watched",
            {"sweep": SWEEP, "watched": max(_WATCHED.values())},
        )
        for entity in found:
            if entity["PartitionKey"] == SWEEP:
                swept[entity["RowKey"]] = sweep_state(entity)
            elif entity["PartitionKey"] == self._watched and (hour := hour_of(entity)):
                watched.append(Watched(hour, entity["Until"], etag_of(entity)))
        states = [swept.get(name, SweepState()) for name in self._connections]
        self._away = frozenset(place for state in states for place in state.away)
        since = min((_seconds(at.completed) for at in states), default=0.0)
        first = max((_seconds(at.first) for at in states), default=0.0)
        left = frozenset(hour for state in states for hour in state.left)
        return Marks(tuple(watched), Swept(since, left, first))

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


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0


def _ledger(text: Any) -> Ledger | None:
    with suppress(TypeError, msgspec.MsgspecError):
        return decode(text) if text else None
    return None
