"""Flows in a database of their own (DuckDB), to be kept as Parquet or asked in SQL.

Rows go in many thousand at once, so that memory is bounded and little time is added to that of
reading the logs: what is a flow's own as CSV, what many flows share (NSG, rule, blob) once for all
of them as JSON. The database is a file that lives as long as the command.
"""

import re
import tempfile
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nsgflow_core.cli.harmless import printable
from nsgflow_core.columns import columns
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.logs.columns import Columns
from nsgflow_core.sinks import rows
from nsgflow_core.terms import ALIASES, ELSEWHERE, key_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TYPES = {"datetime": "TIMESTAMPTZ", "string": "VARCHAR", "int": "INTEGER", "long": "BIGINT"}
"""Types in SQL and Parquet, by those of schema.json."""
_TOGETHER = 122_880
"""Flows that are inserted at once: as many as a row group of DuckDB's."""
_PAGE = 1000
_OWN = {
    "FlowTime": "BIGINT",
    "FlowId": "VARCHAR",
    "SrcIp": "VARCHAR",
    "DestIp": "VARCHAR",
    "SrcPort": "INTEGER",
    "DestPort": "INTEGER",
    "L7Protocol": "VARCHAR",
    "PacketsSrcToDest": "BIGINT",
    "BytesSrcToDest": "BIGINT",
    "PacketsDestToSrc": "BIGINT",
    "BytesDestToSrc": "BIGINT",
}
"""What differs from flow to flow, and its type in CSV. None of it needs quotes: numbers, canonical
addresses, names of IANA's registry."""
_TIME = "make_timestamptz(1000 * FlowTime)"
_MADE = {
    "TimeGenerated": _TIME,
    "FlowTime": _TIME,
    "L7Protocol": "coalesce(L7Protocol, '')",  # what is empty in CSV is null
}
_NO_DUCKDB = (
    "this needs DuckDB, which is not installed: pip install duckdb, or pipx inject nsgflow duckdb "
    "where pipx installed nsgflow"
)
_REFUSED = "Permission Error"
_NO_COLUMN = re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"')
_OF_KEYS = {key: name for name, key in ALIASES.items() if name in columns()}
"""The column that has what a filter key asks for."""
_CALLED = {
    "acl": "AclName",
    "action": "FlowStatus, which is Denied or Allowed",
    "ip": "SrcIp or DestIp",
    "vnet": "SrcSubnet or DestSubnet, which are group/vnet/subnet",
    "vm": "SrcVm or DestVm",
    "subnet": "SrcSubnet or DestSubnet",
    "encryption": "FlowEncryption",
    "version": "FlowLogVersion",
    "service": "L7Protocol",
    "time": "FlowTime",
    "first": "min(FlowTime)",
    "last": "max(FlowTime)",
    "flows": "count(*)",
    "packets": "PacketsSrcToDest or PacketsDestToSrc",
    "bytes": "BytesSrcToDest or BytesDestToSrc",
    "tag": "SrcServiceTags or DestServiceTags",
}
"""What else columns are called in filters, groups and lists."""


@contextmanager
def database() -> Iterator["Database"]:
    """A database with the table `flows`, which is empty.

    Raises:
        NsgflowError: DuckDB is not installed, or refuses what it was asked.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nsgflow-", ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(1, thread_name_prefix="duckdb") as worker,
    ):
        connection = worker.submit(_connected, Path(folder)).result()
        import duckdb  # noqa: PLC0415 - an extra, which is there now

        try:
            yield Database(connection, worker, Path(folder))
        except KeyboardInterrupt:
            connection.interrupt()
            raise
        except duckdb.Error as exc:
            raise (BadInputError if _is_of_sql(exc) else NsgflowError)(_said(exc)) from exc
        finally:
            worker.submit(connection.close).result()


def _connected(folder: Path) -> "DuckDBPyConnection":
    try:
        import duckdb  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise NsgflowError(_NO_DUCKDB) from None
    return duckdb.connect(
        folder / "flows.duckdb",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "preserve_insertion_order": "false",
            # No variable of this program's is taken for a table.
            "python_enable_replacements": "false",
        },
    )


class Database:
    """The table `flows`: the columns of the row, times in UTC.

    It is a view: what many flows share stands in a table of its own, once.
    DuckDB works in a thread of its own, since it does not listen to interrupts all the time, and
    one that meets it while it is imported ends the process.
    """

    def __init__(self, connection: "DuckDBPyConnection", worker: Executor, folder: Path) -> None:
        """Make the table; `folder` is for what is on its way into it."""
        self._connection = connection
        self._worker = worker
        self._own, self._shared = folder / "own.csv", folder / "shared.json"
        self._keys = 0
        self._of_parquet = False
        kinds = {name: _TYPES[kind] for name, kind in columns().items()}
        own = {"key": "INTEGER"} | _OWN
        shared = {"key": "INTEGER"} | {
            name: kinds[name] for name in kinds if name not in {*_OWN, *_MADE}
        }
        cells = ", ".join(
            f"{_MADE[name]} AS {name}" if name in _MADE else name for name in columns()
        )
        self._inserting = (
            f"""
            INSERT INTO parts.own FROM read_csv(
                '{_quoted(self._own)}', columns = {_struct(own)},
                auto_detect = false, header = false, delim = ',', quote = '', escape = ''
            )""",
            f"""
            INSERT INTO parts.shared FROM read_json(
                '{_quoted(self._shared)}', columns = {_struct(shared)},
                format = 'newline_delimited', maximum_object_size = {64 * 1024 * 1024}
            )""",
        )
        for query in (
            "SET TimeZone = 'UTC'",
            "SET enable_progress_bar = false",  # it would go among what is written
            "CREATE SCHEMA parts",
            f"CREATE TABLE parts.own ({_declared(own)})",
            f"CREATE TABLE parts.shared ({_declared(shared)})",
            f"CREATE VIEW flows AS SELECT {cells} FROM parts.own JOIN parts.shared USING (key)",  # noqa: S608 - of names that are ours
        ):
            self._execute(query)

    def _execute(self, query: str, values: Mapping[str, Any] | None = None) -> None:
        self._worker.submit(self._connection.execute, query, values).result()

    def ask(self, query: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """The names of columns that SQL answers with, and the rows.

        Raises:
            BadInputError: it asks twice, and one answer would be lost.
        """
        self._statements(query)
        self._execute(query)
        names = [str(name) for name, *_ in self._connection.description or ()]
        return names, self._rows() if names else iter(())

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        while page := self._worker.submit(self._connection.fetchmany, _PAGE).result():
            yield from page

    def explain(self, query: str) -> None:
        """Look at SQL without running it; a SELECT is bound to the table's columns too.

        Raises:
            BadInputError: there is none.
        """
        from duckdb import StatementType  # noqa: PLC0415 - it is here

        statements = self._statements(query)
        if not statements:
            raise BadInputError("there is no SQL: give for example 'SELECT count(*) FROM flows'")
        if len(statements) == 1 and statements[0].type == StatementType.SELECT:
            self._execute(f"EXPLAIN {statements[0].query}")

    def _statements(self, query: str) -> list[Any]:
        """What SQL consists of; the last statement alone is answered, so it alone may ask."""
        from duckdb import StatementType  # noqa: PLC0415 - it is here

        statements = list(self._connection.extract_statements(query))
        if any(each.type == StatementType.SELECT for each in statements[:-1]):
            raise BadInputError(
                "this SQL asks more than once, and has one answer: join what it asks with UNION "
                "ALL, or ask each by itself"
            )
        return statements

    def load(self, found: Iterable[Columns], knowledge: Knowledge = NOTHING) -> None:
        """Insert flows."""
        lines: list[str] = []
        shared: list[Mapping[str, Any]] = []
        parts_of = rows.apart(knowledge)
        for flows in found:
            _take_apart(parts_of(flows), flows.times, self._keys, lines, shared)
            if len(lines) >= _TOGETHER:
                self._insert(lines, shared)
                lines.clear()
                shared.clear()
        if lines:
            self._insert(lines, shared)

    def _insert(self, lines: Sequence[str], shared: Sequence[Mapping[str, Any]]) -> None:
        self._keys += len(shared)
        self._own.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self._shared.write_bytes(msgspec.json.Encoder().encode_lines(shared))
        for query in self._inserting:
            self._execute(query)

    def load_parquet(self, files: Sequence[Path]) -> None:
        """Take what `export` wrote for the table."""
        self._of_parquet = True
        self._execute("DROP VIEW flows")
        self._execute(
            "CREATE TABLE flows AS FROM read_parquet($files, union_by_name = true)",
            {"files": [str(file) for file in files]},
        )

    def names_of_several(self) -> list[tuple[str, int]]:
        """Names of NSGs that several of those in the table have, and how many."""
        of = "flows" if self._of_parquet else "parts.shared"  # of which there are few
        self._execute(f"DESCRIBE {of}")
        there = {str(name) for name, *_ in self._rows()}
        if not {"AclName", "AclGroup"} <= there:
            return []
        self._execute(
            f"SELECT AclName, count(DISTINCT lower(AclGroup)) AS found FROM {of} "  # noqa: S608 - of names that are ours
            "WHERE AclName <> '' GROUP BY 1 HAVING found > 1 ORDER BY 1"
        )
        return [(str(name), int(found)) for name, found in self._rows()]

    def write_parquet(self, path: Path, omit: Sequence[str] = ()) -> None:
        """Write the table, without the columns in `omit`."""
        kept = ", ".join(name for name in columns() if name not in omit)
        self._execute(
            f"COPY (SELECT {kept} FROM flows) TO '{_quoted(path)}' "  # noqa: S608 - names of ours
            "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, USE_TMP_FILE false)"
        )

    def lock(self) -> None:
        """Let SQL reach nothing but the table from now on: no file, no network, no extension."""
        self._execute("SET enable_external_access = false")
        self._execute("SET lock_configuration = true")


def _take_apart(
    parts: rows.Parts,
    times: Sequence[int],
    first: int,
    lines: list[str],
    shared: list[Mapping[str, Any]],
) -> None:
    """Flows as lines of CSV, each begun with the key of what it shares; keys begin at `first`."""
    kinds = list(zip(*parts.keys, strict=True))
    keys: dict[tuple[Hashable, ...], str] = {}
    for kind in dict.fromkeys(kinds):
        cells: dict[str, Any] = {"key": first + len(shared)}
        for cells_of, key in zip(rows.CELLS, kind, strict=True):
            cells |= cells_of(key)
        keys[kind] = str(cells["key"])
        shared.append(cells)
    own = [map(str, parts.own[name]) for name in _OWN if name != "FlowTime"]
    begun = [keys[kind] for kind in kinds]
    lines += map(",".join, zip(begun, map(str, times), *own, strict=True))


def _declared(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())


def _struct(kinds: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in kinds.items()) + "}"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _is_of_sql(error: Exception) -> bool:
    """Whether the mend of an error is another question."""
    import duckdb  # noqa: PLC0415 - here only where it was raised

    return isinstance(
        error, (duckdb.ProgrammingError, duckdb.DataError, duckdb.PermissionException)
    )


def _column_of(word: str) -> str | None:
    """The column that is called so elsewhere, if there is one."""
    key = ELSEWHERE.get(word, key_of(word))
    return _CALLED.get(word) or _CALLED.get(key) or _OF_KEYS.get(key)


def _said(error: Exception) -> str:
    """An error of DuckDB's in one line: without the query and the place in it."""
    text = str(error).partition("\n\nLINE ")[0]
    said = printable(" ".join(text.split()))
    missing = _NO_COLUMN.search(said)
    if missing is not None and (column := _column_of(missing[1].lower())):
        return f"there is no column {missing[1]}: say {column}; docs/columns.md has all of them"
    if said.startswith(_REFUSED):
        return f"{said}: sql reads the table flows and nothing else"
    return said
