"""What SQL answers, and how it is shown."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from nsgflow_core.cli.clock import text_clock
from nsgflow_core.cli.database import Database, database
from nsgflow_core.cli.exporting import PARQUET, tell_shared_names
from nsgflow_core.cli.files import is_file
from nsgflow_core.cli.formats import write_csv, write_json
from nsgflow_core.cli.globs import expanded
from nsgflow_core.cli.options import Estate, Sources, Wanted, When
from nsgflow_core.cli.progress import working
from nsgflow_core.cli.tables import write_table
from nsgflow_core.errors import BadInputError

_SQL = re.compile(r"\s*(?:select|with|from|describe|summarize|show|explain|pivot)\s", re.IGNORECASE)
_JSON = msgspec.json.Encoder(decimal_format="number")


def parquet_files(sources: Sources, wanted: Wanted, when: When, estate: Estate) -> list[Path]:
    """The sources, where they are Parquet files; none where they are logs or accounts.

    Raises:
        BadInputError: there are both, one is not there, or SQL itself must choose the flows.
    """
    given = [*expanded(sources.sources or ()), *(sources.account_name or ())]
    files = [text for text in given if text.lower().endswith(PARQUET)]
    if not files:
        return []
    if others := [text for text in given if text not in files]:
        raise BadInputError(
            f"{files[0]} is a Parquet file and {others[0]} is none: give either, not both"
        )
    if estate.inventory or estate.refresh:
        raise BadInputError(
            f"{files[0]} is read as it is, with the names that it was written with: give "
            "--inventory to 'nsgflow export'"
        )
    if any(getattr(kind, each.name) for kind in (wanted, when) for each in fields(kind)):
        raise BadInputError(
            f"{files[0]} is read as it is: say in WHERE which flows, for example FlowTime >= "
            "'2026-11-23 08:00Z'"
        )
    paths = {text: Path(text).expanduser() for text in files}
    if missing := [text for text, path in paths.items() if not path.is_file()]:
        raise BadInputError(f"there is no file {missing[0]}: 'nsgflow export' writes one")
    # Given twice, by whatever name: its flows are not twice as many.
    return list({path.resolve(): path for path in paths.values()}.values())


def check_order(query: str, sources: Sequence[str]) -> None:
    """Have SQL and sources told apart where they are given the other way round.

    Raises:
        BadInputError: they are.
    """
    asked = next(filter(_SQL.match, sources), "")
    if query.strip() and not _SQL.match(query) and (asked or is_file(query)):
        example = asked or "SELECT count(*) FROM flows"
        raise BadInputError(
            f"{query} stands where SQL is expected: SQL comes first, then what it asks, as in "
            f'nsgflow sql "{example}" {query}'
        )


def check(query: str) -> None:
    """Have SQL looked at before a log is read; a SELECT is bound to the table's columns too.

    Raises:
        BadInputError: it is wrong.
    """
    with database() as empty:
        empty.lock()
        empty.explain(query)


def write(flows: Database, query: str, form: str) -> None:
    """Run SQL that reaches nothing but the table, and write what it answers to stdout.

    Where it has names of NSGs without their ids, stderr says which names several have.
    """
    words = query.lower()
    alone = "aclname" in words and "aclgroup" not in words
    shared = flows.names_of_several() if alone else []
    flows.lock()
    with working("asking the flows"):
        names, rows = flows.ask(query)
    columns = _told_apart(names)
    if form == "json":
        for row in rows:
            write_json(_JSON.encode(dict(zip(columns, map(_value, row), strict=True))))
    elif form == "csv":
        write_csv(columns, (dict(zip(columns, map(_cell, row), strict=True)) for row in rows))
    elif columns:
        times = text_clock(milliseconds=True)
        write_table(columns, [[str(_cell(cell, times)) for cell in row] for row in rows])
    sys.stdout.flush()
    tell_shared_names(shared)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names of columns, none of them twice."""
    found: list[str] = []
    for name in names:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found


def _value(cell: Any, times: Callable[[str], str] = str) -> Any:
    """A value as JSON has it; times like those of rows, or as `times` shows these."""
    if isinstance(cell, datetime) and cell.tzinfo is not None:
        moment = cell.astimezone(UTC)
        kept = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
        return times(f"{moment.replace(tzinfo=None).isoformat(timespec=kept)}Z")
    if isinstance(cell, list):
        return [_value(each, times) for each in cell]
    if isinstance(cell, dict):
        return {str(_cell(key, times)): _value(each, times) for key, each in cell.items()}
    return cell


def _cell(cell: Any, times: Callable[[str], str] = str) -> str | int | float:
    """A value as a cell: numbers and texts as they are, else as JSON has it."""
    value = _value(cell, times)
    if value is None:
        return ""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    text = _JSON.encode(value).decode()
    return text[1:-1] if text.startswith('"') else text
