"""Groups of flows that are too many for memory: kept on disk, and read from there in order.

They go in as parts, some thousands at once: a group may have a part in each batch. SQLite sorts
what it cannot hold on disk, so it makes groups of the parts and puts them in order. Its database
is private to the process and is gone with it (https://www.sqlite.org/inmemorydb.html#temp_db).
"""

# ruff: noqa: S608 - queries are made of names that are ours

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from nsgflow_core.cli.denials import Denials, Key
from nsgflow_core.cli.groupings import Value
from nsgflow_core.errors import NsgflowError
from nsgflow_core.model import NOWHERE, Flow, Group

if TYPE_CHECKING:
    from sqlite3 import Connection

_STEPS = 100_000
"""Steps of a query between two looks at whether the person wants to end it."""
_SETTINGS = ("page_size = 32768", "journal_mode = OFF", "synchronous = OFF", "cache_size = -16384")
"""The cache in KiB; nothing is kept that a crash could harm."""

NUMBER = 8
"""Bytes of a number that others follow, so that the least is of the first."""
HALF = 32
"""Bits of the lower half of a sum, which may be larger than what a column holds."""
_own = attrgetter(
    *(name for name in Flow.__struct_fields__ if name not in ("group", "text")),
)
_OF_FILES = {"account", "SourceBlob"}
"""Keys whose values may be names of files, which need not be UTF-8."""
_pack = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode

MADE = {
    "flows": "sum(flows)",
    "callers": "count(DISTINCT caller)",
    "first": "min(first)",
    "last": "max(last)",
    "example": "min(example)",
    "vnets": "group_concat(vnets)",
}
"""How what is known of a group is made of its parts."""
_MEASURED = {
    "packets_high": "sum(packets_high)",
    "packets_low": "sum(packets_low)",
    "bytes_high": "sum(bytes_high)",
    "bytes_low": "sum(bytes_low)",
    "seconds": "group_concat(seconds)",
}
_ORDERS = {
    "flows": "flows DESC",
    "sources": "callers DESC",
    "first": "first",
    "last": "last DESC",
    **{
        name: f"{name}_high + ({name}_low >> {HALF}) DESC, {name}_low & {2**HALF - 1} DESC"
        for name in ("packets", "bytes")
    },
}


class Spill:
    """Where groups by some keys go; with counters and seconds where they are `measured`.

    `columns` have the keys; `identity` tells groups apart, a number in front that mostly does.
    """

    def __init__(self, keys: Sequence[str], *, measured: bool = False) -> None:
        self._keys = keys
        self._at = keys.index("nsg") if "nsg" in keys else None
        self.columns = [f"k{number}" for number in range(len(keys))]
        names = [name for at, name in enumerate(self.columns) if at != self._at]
        self.identity = ["digest", *names, "acl", "apart"]
        self.measures = _MEASURED if measured else {}
        self._connection: Connection | None = None
        self._parts_taken = self._places = 0
        self._of_files = not _OF_FILES.isdisjoint(keys)

    def close(self) -> None:
        """Remove all of it."""
        if self._connection is not None:
            self._connection.close()

    @property
    def used(self) -> bool:
        """Whether anything is there."""
        return self._connection is not None

    def _opened(self) -> "Connection":
        import sqlite3  # noqa: PLC0415 - few need it

        if self._connection is None:
            connection = sqlite3.connect("", isolation_level=None)
            self._connection = connection
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            # Without it an interrupt would wait for the end of the query.
            connection.set_progress_handler(lambda: None, _STEPS)
            connection.create_function("folded", 1, str.casefold, deterministic=True)
            connection.create_function("line", 2, _line, deterministic=True)
            parts = [*self.identity, "tag", "caller", "outside", *MADE, *self.measures]
            parts.remove("callers")
            connection.execute(f"CREATE TABLE parts ({', '.join(parts)})")
            connection.execute("CREATE TABLE places (number INTEGER PRIMARY KEY, place)")
        return self._connection

    @contextmanager
    def _asked(self) -> Iterator["Connection"]:
        """The database, its errors ours.

        Raises:
            NsgflowError: there is no room for it.
        """
        import sqlite3  # noqa: PLC0415 - few need it

        try:
            yield self._opened()
        except sqlite3.OperationalError as exc:
            if str(exc) == "interrupted":
                raise KeyboardInterrupt from None
            raise NsgflowError(
                f"groups that do not fit into memory cannot be kept on disk ({exc}): name a folder "
                "with room in SQLITE_TMPDIR, or ask for less, such as --filter or --by"
            ) from exc

    def ask(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a query."""
        with self._asked() as connection:
            yield from connection.execute(query, values)

    def do(self, *queries: str) -> None:
        """Run queries that have no rows."""
        with self._asked() as connection:
            for query in queries:
                connection.execute(query)

    def take(self, groups: Iterable[tuple[Key, Denials]]) -> None:
        """Take parts of groups."""
        places: dict[Group, int] = {}
        marks = ", ".join("?" * (len(self.identity) + len(MADE) + len(self.measures) + 2))
        with self._asked() as connection:
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT INTO parts VALUES ({marks})", self._parts(groups, places)
            )
            connection.executemany(
                "INSERT INTO places VALUES (?, ?)",
                ((number, _pack(place)) for place, number in places.items()),
            )
            connection.execute("COMMIT")
        self._places += len(places)

    def _parts(
        self, groups: Iterable[tuple[Key, Denials]], places: dict[Group, int]
    ) -> Iterator[tuple[Any, ...]]:
        """A row for each source; what else is known of a part stands in its first."""
        at = self._at
        none = [None] * (len(MADE) - 2 + len(self.measures))
        group, place = NOWHERE, 0
        for number, (values, one) in enumerate(groups, self._parts_taken):
            self._parts_taken += 1
            order = number.to_bytes(NUMBER, "big")
            others, tag = values, None
            if at is not None:
                others = (*values[:at], *values[at + 1 :])
                tag = order + _encoded(str(values[at]))
            if self._of_files:
                others = tuple(map(_bindable, others))
            flow = one.example
            if flow.group is not group:  # a hash of all that is in it takes long
                group = flow.group
                place = places.setdefault(group, self._places + len(places))
            digest = hash((others, one.acl_group, one.apart))
            known: list[Any] = [one.flows, one.first, one.last, order + _pack((place, *_own(flow)))]
            known.append(_json(sorted(one.vnets))[1:-1].decode() if one.vnets else None)
            if self.measures:
                known += _measured(one)
            sources = iter(one.sources.items())
            yield (digest, *others, one.acl_group, one.apart, tag, *next(sources), *known)
            for source in sources:
                yield (digest, *others, one.acl_group, one.apart, None, *source, 0, *none)

    def put_in_order(self, by: str) -> int:
        """Make the table `ordered` of the groups, and say how many there are.

        They are in the order of one of `SORTS` or a key, as memory has them; the first has row 1.
        """
        made = {name: name for name in self.columns} | MADE | self.measures
        if self._at is not None:
            made[self.columns[self._at]] = f"CAST(substr(min(tag), {NUMBER + 1}) AS TEXT)"
        selected = ", ".join(f"{made[name]} AS {name}" for name in made)
        words = " || char(0) || ".join(
            f"CAST(ifnull({name}, 'None') AS TEXT)" for name in self.columns
        )
        order = _ORDERS[by] if by not in self._keys else _least_first(f"k{self._keys.index(by)}")
        identity = ", ".join(self.identity)
        self.do(
            f"CREATE TABLE ordered AS SELECT * FROM (SELECT digest, acl, apart, {selected} "
            f"FROM parts "
            f"GROUP BY {identity}) ORDER BY {order}, flows DESC, {words}, example"
        )
        ((count,),) = self.ask("SELECT max(rowid) FROM ordered")
        return int(count)


def _line(text: str, number: int) -> str:
    """A line of a text; of none each is empty."""
    return text.split("\n")[number] if text else ""


def _measured(one: Denials) -> Iterator[Any]:
    for total in (one.packets, one.bytes):
        yield from divmod(total, 2**HALF)
    yield ",".join(f"[{second},{count}]" for second, count in one.seconds.items()) or None


def _least_first(column: str) -> str:
    """Numbers by their size, names by their letters, what is not known at the end."""
    return (
        f"{column} IS NULL OR {column} = '', "
        f"CASE typeof({column}) WHEN 'integer' THEN {column} ELSE 0 END, "
        f"CASE typeof({column}) WHEN 'text' THEN folded({column}) ELSE '' END"
    )


def _bindable(value: Value) -> Value:
    """A value that UTF-8 has: a file may be called by what it has not."""
    return _encoded(value).decode() if isinstance(value, str) else value


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
