"""A Log Analytics workspace on DuckDB: rows go in, KQL is asked of them at a moment in time.

duckdb-kql (https://pypi.org/project/duckdb-kql/) turns KQL into DuckDB's SQL. What it lacks and
queries here need is put in plainer KQL first, in `plainer`; anything else that it lacks raises.
Rows are seen as Log Analytics shows them: only within the query's time range, and only once they
are ingested, which `INGESTED` tells of each.
"""

import datetime as dt
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb_kql

INGESTED = "IngestedAt"
"""The column that stands for `ingestion_time()`; a row without it came at its TimeGenerated."""

Row = Mapping[str, Any]
_TYPES = {
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
    "int": "INTEGER",
    "long": "BIGINT",
    "real": "DOUBLE",
    "string": "VARCHAR",
}
_IN_RANGE = re.compile(r"ipv4_is_in_range\((\w+), '([^']*)'\)")


class Workspace:
    """Tables by name, with the KQL type of each column, and saved functions without parameters."""

    def __init__(
        self,
        tables: Mapping[str, Mapping[str, str]],
        functions: Mapping[str, str] | None = None,
    ) -> None:
        self._tables = {
            name: {
                column: _TYPES[kind] for column, kind in {**columns, INGESTED: "datetime"}.items()
            }
            for name, columns in tables.items()
        }
        self._functions = [
            f"function {name}() {{\n{plainer(body)}\n}}" for name, body in (functions or {}).items()
        ]
        self._shown: tuple[dt.datetime, dt.datetime] | None = None
        self._connection = duckdb_kql.connect()
        for name, types in self._tables.items():
            listed = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
            self._connection.execute(f'CREATE TABLE "{name} stored" ({listed})')

    def add(self, table: str, rows: Iterable[Row]) -> None:
        """Store rows; a string that a row lacks is empty, as KQL's strings are never null."""
        types = self._tables[table]
        empty = {column: "" for column, kind in types.items() if kind == "VARCHAR"}
        whole = [empty | {INGESTED: row["TimeGenerated"]} | dict(row) for row in rows]
        unknown = {name for row in whole for name in row} - set(types)
        if unknown:
            raise ValueError(f"{table} has no column {', '.join(sorted(unknown))}")
        self._connection.execute(
            f'INSERT INTO "{table} stored" BY NAME '
            "SELECT unnest(from_json($1::JSON, $2), recursive := true)",
            [json.dumps(whole, default=str), json.dumps([types])],
        )

    def ask(self, query: str, now: dt.datetime, span: dt.timedelta) -> list[dict[str, Any]]:
        """The query's rows at `now`, over the time range that began `span` before it."""
        self._show(now - span, now)
        answer = duckdb_kql.kql(
            self._connection, plainer(query), query_now=now, functions=self._functions
        )
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]

    def _show(self, start: dt.datetime, end: dt.datetime) -> None:
        if (start, end) == self._shown:
            return
        self._shown = (start, end)
        first, last = (moment.replace(tzinfo=None) for moment in self._shown)
        for name in self._tables:
            self._connection.execute(
                f'CREATE OR REPLACE VIEW "{name}" AS SELECT * FROM "{name} stored" WHERE '
                f"TimeGenerated > '{first}' AND TimeGenerated <= '{last}' "
                f"AND {INGESTED} <= '{last}'"
            )


def plainer(query: str) -> str:
    """The query in the KQL that duckdb-kql 1.1 takes.

    - `summarize take_any(*) by X` takes one row of each X, whichever; so does the newest.
    - `ingestion_time()` is a column of ours.
    - `ipv4_is_in_range(Column, 'a.b.c.d/n')` compares the address as a number; an address that is
      no IPv4, or a range that is none, is in no range, as in Kusto.
    """
    query = query.replace("take_any(*)", "arg_max(TimeGenerated, *)")
    query = query.replace("ingestion_time()", INGESTED)
    return _IN_RANGE.sub(lambda match: _in_range(match[1], match[2]), query)


def _in_range(column: str, text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return "false"
    octets = [f"tolong(split({column}, '.')[{place}])" for place in range(4)]
    number = " + ".join(f"{octet} * {256 ** (3 - at)}" for at, octet in enumerate(octets))
    return f"({number}) between ({int(network[0])} .. {int(network[-1])})"
