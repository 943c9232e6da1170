"""How far each sink got in each log, and how far behind it is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nsgflow_core.cli.clock import text_clock
from nsgflow_core.cli.formats import write_csv, write_json_lines
from nsgflow_core.cli.names import interface_names, joined
from nsgflow_core.cli.state import Entry
from nsgflow_core.cli.tables import write_table
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import flow_time

_COLUMNS = (
    "connection",
    "hour",
    "log",
    "mac",
    "sink",
    "offset",
    "size",
    "lagBytes",
    "behindSince",
    "failures",
    "notBefore",
    "pending",
    "claimedUntil",
)
_TIMES = ("hour", "behindSince", "notBefore", "claimedUntil")
_NAMES = ("vm", "subnet", "nsgs")
_NAMES_AT = _COLUMNS.index("sink")


def write(found: Sequence[Mapping[str, Any]], output: str, *, named: bool = False) -> None:
    """Write what `rows` found as table, json or csv; `named` where there are names in it."""
    columns = [*_COLUMNS[:_NAMES_AT], *(_NAMES if named else ()), *_COLUMNS[_NAMES_AT:]]
    if output == "json":
        write_json_lines(found)
    elif output == "csv":
        write_csv(columns, map(joined, found))
    else:
        times = text_clock()
        shown = [{**row, **{key: times(_cell(row[key])) for key in _TIMES}} for row in found]
        write_table(
            columns, [[_cell(row[column]) for column in columns] for row in map(joined, shown)]
        )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else str(value)


def rows(entry: Entry, now: float, inventory: Inventory | None = None) -> Iterator[dict[str, Any]]:
    """A row for each sink; one without a sink for a log that nobody has looked at.

    With an inventory each says which VM, subnet and NSGs it is of.
    """
    log = entry.log.path if entry.log else parse_path(entry.ref.path)
    size = entry.log.size if entry.log else None
    checkpoint = entry.checkpoint
    common = {
        "connection": entry.connection,
        "hour": f"{log.hour:%Y-%m-%dT%H:00Z}",
        "log": log.resource.rpartition("/")[2],
        "mac": log.mac,
        **(interface_names(log, inventory) if inventory is not None else {}),
        "size": size,
        "pending": bool(checkpoint and checkpoint.pending),
        "claimedUntil": _time(checkpoint.until)
        if checkpoint and checkpoint.owner and checkpoint.until > now
        else None,
    }
    cursors: Mapping[str, Cursor] = checkpoint.cursors if checkpoint else {}
    if not cursors:
        yield common | _cursor_columns("", Cursor(), size)
    for sink, cursor in sorted(cursors.items()):
        yield common | _cursor_columns(sink, cursor, size)


def _cursor_columns(sink: str, cursor: Cursor, size: int | None) -> dict[str, Any]:
    return {
        "sink": sink,
        "offset": cursor.offset,
        # A log that was deleted cannot be lagged behind; a shorter one is read from its start.
        "lagBytes": 0 if size is None else size - cursor.seen if cursor.seen <= size else size,
        "behindSince": _time(cursor.behind_since),
        "failures": cursor.failures,
        "notBefore": _time(cursor.not_before),
    }


def _time(seconds: float) -> str | None:
    return flow_time(round(seconds * 1000)) if seconds else None
