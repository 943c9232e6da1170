"""Groups that are on disk, as a sequence: read as they are gone through, never all at once."""

# ruff: noqa: S608 - queries are made of names that are ours

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

import msgspec

from nsgflow_core.cli.denials import Denials, Key
from nsgflow_core.cli.names import end_names
from nsgflow_core.cli.spill import HALF, MADE, NUMBER, Spill
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.model import Flow, Group

_PAGE = 1000
"""Groups that are read at once."""
_unpack = msgspec.msgpack.Decoder(list[Any]).decode
_unpack_group = msgspec.msgpack.Decoder(Group).decode
_flow: Callable[..., Flow] = Flow
_NONE = Flow(0, "", "", None, None, "", "I", "D")
_list_of_texts = msgspec.json.Decoder(list[str]).decode
_list_of_pairs = msgspec.json.Decoder(list[tuple[int, int]]).decode


class Spilled(Sequence[tuple[Key, Denials]]):
    """Groups by their numbers, the first of all being 1; a part of them is such a sequence again.

    Their example has no text, and their sources are only counted: `with_sources` has them.
    """

    def __init__(
        self, spill: Spill, knowledge: Knowledge, numbers: range, *, with_examples: bool = True
    ) -> None:
        self._spill = spill
        self._knowledge = knowledge
        self._numbers = numbers
        self._with_examples = with_examples or knowledge.inventory is not None
        self._place = lru_cache(maxsize=1024)(self._read_place)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> tuple[Key, Denials]: ...
    @overload
    def __getitem__(self, at: slice) -> "Spilled": ...
    def __getitem__(self, at: int | slice) -> "tuple[Key, Denials] | Spilled":
        if isinstance(at, slice):
            return Spilled(self._spill, self._knowledge, self._numbers[at])
        number = self._numbers[at]
        return next(self._read(range(number, number + 1)))

    def __iter__(self) -> Iterator[tuple[Key, Denials]]:
        return self._read(self._numbers)

    @property
    def whole(self) -> "Spilled":
        """All groups, of which these are some."""
        ((count,),) = self._spill.ask("SELECT max(rowid) FROM ordered")
        return Spilled(self._spill, self._knowledge, range(1, count + 1))

    @property
    def counted(self) -> "Spilled":
        """The same, read faster: their examples are none, unless they have names."""
        return Spilled(self._spill, self._knowledge, self._numbers, with_examples=False)

    @property
    def _range(self) -> str:
        return f"rowid BETWEEN {self._numbers.start} AND {self._numbers.stop - 1}"

    def _read(self, numbers: range) -> Iterator[tuple[Key, Denials]]:
        spill = self._spill
        names = ("acl", "apart", *spill.columns, *MADE, *spill.measures)
        query = f"SELECT {', '.join(names)} FROM ordered WHERE rowid BETWEEN ? AND ?"
        for start in range(numbers.start, numbers.stop, _PAGE):
            last = min(start + _PAGE, numbers.stop) - 1
            yield from map(self._made, list(spill.ask(query, start, last)))

    def _made(self, row: tuple[Any, ...]) -> tuple[Key, Denials]:
        behind = len(self._spill.columns) + 2
        flows, callers, first, last, example, vnets, *measured = row[behind:]
        flow = _NONE
        if self._with_examples:
            place, *own, ordinal = _unpack(example[NUMBER:])
            flow = _flow(*own, self._place(place), ordinal)
        found = Denials(row[0], first, last, flow, flows, callers=callers, apart=row[1])
        if vnets:
            found.vnets = frozenset(_list_of_texts(f"[{vnets}]"))
        if self._knowledge.inventory is not None:
            found.names = end_names(flow, self._knowledge)
        if measured:
            packets_high, packets_low, bytes_high, bytes_low, seconds = measured
            found.packets = (packets_high << HALF) + packets_low
            found.bytes = (bytes_high << HALF) + bytes_low
            found.count_seconds(_list_of_pairs(f"[{seconds or ''}]"))
        return row[2:behind], found

    def _read_place(self, number: int) -> Group:
        ((packed,),) = self._spill.ask("SELECT place FROM places WHERE number = ?", number)
        return _unpack_group(packed)

    def span(self) -> tuple[int, int]:
        """When the first flow was, and the last."""
        ((first, last),) = self._spill.ask(
            f"SELECT min(first), max(last) FROM ordered WHERE {self._range}"
        )
        return first, last

    def has_vnets(self) -> bool:
        """Whether a VNet says of any where it is, since its NSG is a GUID."""
        guid = "vnets IS NOT NULL AND acl NOT LIKE '/%'"
        query = f"SELECT 1 FROM ordered WHERE {self._range} AND {guid} LIMIT 1"
        return any(self._spill.ask(query))

    def together(self) -> Denials:
        """What they are together, as if they were one."""
        first, last = self.span()
        found = Denials("", first, last, self[0][1].example, callers=self._callers())
        ((found.flows,),) = self._spill.ask(f"SELECT sum(flows) FROM ordered WHERE {self._range}")
        if self._spill.measures:
            for _, one in self:
                found.packets += one.packets
                found.bytes += one.bytes
                found.count_seconds(one.seconds.items())
        return found

    def _callers(self) -> int:
        """How many sources they have together."""
        parts, every = "parts", len(self.whole)
        if len(self) < every:
            # Either these or the others are few, mostly.
            few = len(self) <= every // 2
            on = self._choose("" if few else "NOT ")
            parts += f" WHERE {'' if few else 'NOT '}EXISTS (SELECT 1 FROM chosen WHERE {on})"
        # Grouped, since that sorts, which is faster on disk than looking each up.
        query = f"SELECT count(*) FROM (SELECT 1 FROM {parts} GROUP BY caller)"
        ((count,),) = self._spill.ask(query)
        return int(count)

    def _choose(self, negation: str = "") -> str:
        """Make a table `chosen` of these groups, or the others, and say which parts are theirs."""
        identity = self._spill.identity
        names = ", ".join(identity)
        self._spill.do(
            "DROP TABLE IF EXISTS chosen",
            f"CREATE TABLE chosen AS SELECT rowid AS number, {names} FROM ordered "
            f"WHERE {negation}({self._range})",
            f"CREATE INDEX of_chosen ON chosen ({names})",
        )
        return " AND ".join(f"parts.{name} IS chosen.{name}" for name in identity)

    def with_sources(self, most: int) -> list[tuple[Key, Denials]]:
        """These groups with their sources, at hand in memory.

        So many sources in all at most, or somewhat more: where there are more, those groups that
        have many have the first of them, on the internet and not.
        """
        found = list(self)
        each = most
        while each > 1 and sum(min(one.callers, each) for _, one in found) > most:
            each //= 2
        kept: list[tuple[dict[str, bool], dict[str, bool]]] = [({}, {}) for _ in found]
        on = self._choose()
        rows = self._spill.ask(
            f"SELECT number, caller, outside FROM parts CROSS JOIN chosen ON {on}"
        )
        first = self._numbers.start
        for number, caller, outside in rows:
            inside, others = kept[number - first]
            of_kind = others if outside else inside
            if len(of_kind) < each and caller not in inside and caller not in others:
                of_kind[caller] = bool(outside)
        for (_, one), (inside, others) in zip(found, kept, strict=True):
            one.sources = inside | others
            one.callers = max(one.callers, len(one.sources))
        return found

    def ask(self, query: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query of all groups (`ordered`) or their parts (`parts`); see `Spill`."""
        return self._spill.ask(query)
