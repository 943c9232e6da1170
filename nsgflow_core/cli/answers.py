"""What SQL answers, and how it is shown."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nsgflow_core.cli.database import Database, database
from nsgflow_core.cli.exporting import ENDING
from nsgflow_core.cli.formats import write_csv, write_json, write_table
from nsgflow_core.cli.options import Estate, Sources, Wanted, When
from nsgflow_core.errors import BadInputError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PAGE = 1000
_JSON = msgspec.json.Encoder(decimal_format="number")


def parquet_files(sources: Sources, wanted: Wanted, when: When, estate: Estate) -> list[Path]:
    """The sources, where they are Parquet files; none where they are logs or accounts.

    Raises:
        BadInputError: there are both, one is not there, or SQL itself must choose the flows.
    """
    given = [*(sources.sources or ()), *(sources.account_name or ())]
    files = [text for text in given if text.lower().endswith(ENDING)]
    if not files:
        return []
    if others := [text for text in given if text not in files]:
        raise BadInputError(f"give Parquet files or logs, not both: {files[0]} and {others[0]}")
    if any(getattr(kind, each.name) for kind in (wanted, when, estate) for each in fields(kind)):
        raise BadInputError(
            f"{files[0]} is read as it is: say in WHERE which flows, for example FlowTime >= "
            "'2026-11-23 08:00Z'"
        )
    for text in files:
        if not Path(text).expanduser().is_file():
            raise BadInputError(f"there is no file {text}")
    return [Path(text).expanduser() for text in files]


def check(query: str) -> None:
    """Have SQL looked at before a log is read; a SELECT is bound to the table's columns too.

    Raises:
        BadInputError: it is wrong.
    """
    import duckdb  # noqa: PLC0415 - `database` says what to do where it is not installed

    with database() as empty:
        empty.lock()
        statements = empty.connection.extract_statements(query)
        if not statements:
            raise BadInputError("there is no SQL: give for example 'SELECT count(*) FROM flows'")
        if len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT:
            empty.connection.execute(f"EXPLAIN {statements[0].query}")


def write(flows: Database, query: str, form: str) -> None:
    """Run SQL that reaches nothing but the table, and write what it answers to stdout."""
    flows.lock()
    answer = flows.connection.execute(query)
    columns = _columns(answer)
    if form == "table":
        rows = [[_text(cell) for cell in row] for row in _rows(answer)]
        if columns:
            write_table(columns, rows)
        return
    if form == "csv":
        cells = ([_cell(cell) for cell in row] for row in _rows(answer))
        write_csv(columns, (dict(zip(columns, row, strict=True)) for row in cells))
        return
    values = ([_value(cell) for cell in row] for row in _rows(answer))
    for row in values:
        write_json(_JSON.encode(dict(zip(columns, row, strict=True))))


def _columns(answer: "DuckDBPyConnection") -> list[str]:
    """The names of the columns, none of them twice."""
    found: list[str] = []
    for name, *_ in answer.description or ():
        number, free = 1, str(name)
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found


def _rows(answer: "DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    if answer.description is None:
        return
    while page := answer.fetchmany(_PAGE):
        yield from page


def _value(cell: Any) -> Any:
    """A value as JSON has it; times like those of rows."""
    if isinstance(cell, datetime) and cell.tzinfo is not None:
        moment = cell.astimezone(UTC)
        kept = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
        return f"{moment.replace(tzinfo=None).isoformat(timespec=kept)}Z"
    if isinstance(cell, list):
        return [_value(each) for each in cell]
    if isinstance(cell, dict):
        return {_text(key): _value(each) for key, each in cell.items()}
    return cell


def _cell(cell: Any) -> Any:
    """A value as a cell: numbers and texts as they are, else as JSON has it."""
    value = _value(cell)
    if value is None or isinstance(value, str | int | float):
        return _text(value) if isinstance(value, bool) or value is None else value
    text = _JSON.encode(value).decode()
    return text[1:-1] if text.startswith('"') else text


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(_cell(cell))
