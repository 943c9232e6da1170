"""Groups of flows as a table, JSON or CSV, with what is proposed for them and when they were."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from nsgflow_core.cli.bars import Bars
from nsgflow_core.cli.clock import Clock, local_second, text_clock
from nsgflow_core.cli.denials import Denials, Groups, Key
from nsgflow_core.cli.formats import write_csv, write_json_lines
from nsgflow_core.cli.gathering import all_of, has_vnets, together
from nsgflow_core.cli.groupings import all_in_words, meaning
from nsgflow_core.cli.names import labelled
from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.spilled import Spilled
from nsgflow_core.cli.tables import write_pages, write_text
from nsgflow_core.model import flow_time

if TYPE_CHECKING:
    from nsgflow_core.estate.verdict import Judge

_COUNTERS = ("packets", "bytes")
_TELLING = {"nsg": "aclGroup", "rule": "reason"}
"""Fields that tell rows apart whose keys read alike: which NSG it is, why Azure dropped flows."""
_PAGE = 10_000
"""Groups that are written at once."""
_DAY, _SECOND = 10, 19
"""Where the day of a local time ends, and its second."""


class Proposed(Protocol):
    """Rules that would let groups through; `proposals.Document` is the real one."""

    def texts(self) -> Iterable[str]:
        """Each proposal, to be shown below the table."""

    def into_rows(self, rows: Sequence[dict[str, Any]], first: int) -> None:
        """Put into the rows of groups, by their numbers from `first` on, what is proposed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of groups, and how.

    `keys` are what they are grouped by, `times` writes the times of a table. `others` are the
    groups that are only counted; `counters` shows packets and bytes, `bars` when flows were. With
    a `judge` a flow of each group is judged by the rules as they are now. `called` says by their
    ids how NSGs and VNets are called that share a name with others.
    """

    keys: Sequence[str]
    times: Clock = flow_time
    others: Groups = ()
    counters: bool = False
    bars: Bars | None = None
    judge: "Judge | None" = None
    called: Mapping[str, str] = field(default_factory=dict)

    def named(self, values: Key, one: Denials) -> Key:
        """The keys of a group, where NSGs or VNets share a name with more of it."""
        if not self.called:
            return values
        ids = {key: meaning(key, self.keys, one.apart) for key in ("vnet",) if key in self.keys}
        ids["nsg"] = one.acl_group
        return tuple(
            self.called.get(ids.get(key, ""), value)
            for key, value in zip(self.keys, values, strict=True)
        )

    def vnets(self, one: Denials) -> list[str]:
        """The VNets of a group's NSG, by name."""
        names = (self.called.get(vnet) or vnet.rpartition("/")[2] for vnet in one.vnets)
        return sorted(set(names))


def write(groups: Groups, output: str, shown: Shown, proposed: Proposed | None = None) -> None:
    """Write the groups, and the rules that are proposed for them.

    Below a table of several groups stands what all of them are together.
    """
    if output == "table":
        _write_table(groups, shown)
        if shown.judge is not None:
            _write_lines(groups, shown.judge)
        for text in proposed.texts() if proposed is not None else ():
            sys.stdout.write(f"\n{text}")
        return
    found_rows = _rows(groups, shown, proposed, whole=output == "json")
    if output == "json":
        write_json_lines(found_rows)
        return
    columns = [*shown.keys, *(_names(shown.keys, groups[0][1]) if groups else ())]
    columns += ["flows", "sources", *(_COUNTERS if shown.counters else ()), "first", "last"]
    columns += ["vnet"] if _has_vnet(shown.keys) else []
    columns += [name for key, name in _TELLING.items() if key in shown.keys]
    columns += ["every", "begin", "counts"] if shown.bars is not None else []
    columns += ["now"] * (shown.judge is not None) + ["proposal"] * (proposed is not None)
    write_csv(columns, (_cells(row, columns) for row in found_rows))


def _cells(row: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    if "counts" in columns:
        row["counts"] = " ".join(map(str, row["counts"]))
    return {name: row[name] for name in columns}


def _rows(
    groups: Groups, shown: Shown, proposed: Proposed | None, *, whole: bool
) -> Iterator[dict[str, Any]]:
    """What is known of each group, by name; of the rules the `whole` or a line."""
    first = 0
    if shown.judge is None and isinstance(groups, Spilled):
        groups = groups.counted
    for page in _pages(groups):
        found_rows = [_row(*entry, shown) for entry in page]
        if "nsg" in shown.keys:  # the name alone, as ever: aclGroup says which one it is
            at = shown.keys.index("nsg")
            for row, (values, _) in zip(found_rows, page, strict=True):
                row["nsg"] = values[at]
        if shown.judge is not None:
            _explain(found_rows, page, shown.judge, whole=whole)
        if proposed is not None:
            proposed.into_rows(found_rows, first)
        yield from found_rows
        first += len(page)


def _pages(groups: Groups) -> Iterator[Sequence[tuple[Key, Denials]]]:
    """The groups, so many at once that memory holds them."""
    rest = iter(groups)
    while page := list(islice(rest, _PAGE)):
        yield page


def _write_lines(groups: Sequence[tuple[Key, Denials]], judge: "Judge") -> None:
    """A line for each group: one of its flows, and what the rules say of it now."""
    from nsgflow_core.estate import explain  # noqa: PLC0415 - only with rules to judge by

    sys.stdout.write("\n" * bool(groups))
    for number, (_, denials) in enumerate(groups, 1):
        flow = denials.example
        names = denials.names or ("", "")
        ends = f"{labelled(flow.src, names[0])} to {labelled(flow.dst, names[1])}"
        said = f"{number}. {ends}: {explain.line(judge, flow)}"
        write_text(said)


def _explain(
    rows: Sequence[dict[str, Any]],
    groups: Sequence[tuple[Key, Denials]],
    judge: "Judge",
    *,
    whole: bool,
) -> None:
    """Put into each row what the rules say now, as a whole or in one line."""
    from nsgflow_core.estate import explain  # noqa: PLC0415 - only with rules to judge by
    from nsgflow_core.estate.judgement import denial_line  # noqa: PLC0415

    for row, (_, denials) in zip(rows, groups, strict=True):
        now = explain.judged(judge, denials.example)
        row["now"] = now.to_json() if whole else denial_line(now, judge.shown)


def _names(keys: Sequence[str], denials: Denials) -> dict[str, str]:
    """What the ends that a group is of are called, by `sourceName` and `destinationName`."""
    if denials.names is None:
        return {}
    ends = zip(("source", "destination"), denials.names, strict=True)
    return {f"{key}Name": name for key, name in ends if key in keys}


def _has_vnet(keys: Sequence[str]) -> bool:
    """Whether the VNets of NSGs stand in a column of their own."""
    return "nsg" in keys and "vnet" not in keys


def _row(values: Key, denials: Denials, shown: Shown) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(shown.keys, shown.named(values, denials), strict=True))
    row |= _names(shown.keys, denials)
    row |= {"flows": denials.flows, "sources": denials.source_count}
    if shown.counters:
        row |= {name: getattr(denials, name) for name in _COUNTERS}
    row |= {"first": flow_time(denials.first), "last": flow_time(denials.last)}
    if _has_vnet(shown.keys):
        row["vnet"] = " ".join(shown.vnets(denials))
    if "nsg" in shown.keys:
        row[_TELLING["nsg"]] = denials.acl_group
    if "rule" in shown.keys:
        row[_TELLING["rule"]] = meaning("rule", shown.keys, denials.apart)
    if (bars := shown.bars) is not None:
        row |= {"every": bars.seconds, "begin": flow_time(bars.begin * 1000)}
        row["counts"] = bars.counts(denials.seconds)
    return row


def _write_table(groups: Groups, shown: Shown) -> None:
    if not groups:
        return
    keys, bars = shown.keys, shown.bars
    titles = ["flows", "sources", *(_COUNTERS if shown.counters else ()), *keys]
    with_vnets = _has_vnet(keys) and has_vnets(groups)
    if with_vnets:
        titles.append("vnet")
    titles += ["first", "last"] + ([f"every {bars.length}"] if bars is not None else [])
    sums = _sums(groups, shown)
    within_day, day = _of_one_day(sums[-1][1] if sums else groups[0][1], shown)

    def pages() -> Iterator[Sequence[Sequence[str]]]:
        for page in _pages(groups):
            named = [(shown.named(*entry), entry[1]) for entry in page]
            names = _in_words(named, keys)
            if with_vnets:
                names.append([", ".join(shown.vnets(one)) for _, one in page])
            numbers, times = _columns([one for _, one in page], within_day)
            yield [*numbers, *names, *times]
        for what, found in sums:
            numbers, times = _columns([found], within_day)
            # What the groups are stands in the first column of names.
            yield [*numbers, [what], *[[""]] * (len(keys) - 1 + with_vnets), *times]

    write_pages(titles, pages())
    if day:
        write_text(f"times of {day}")
    if bars is not None:
        write_text(*bars.legend(shown.times).splitlines())


def _in_words(groups: Sequence[tuple[Key, Denials]], keys: Sequence[str]) -> list[list[str]]:
    """Columns of what the groups are."""
    examples = [denials.example for _, denials in groups]
    ends = [_names(keys, denials) for _, denials in groups]
    found: list[list[str]] = []
    for at, key in enumerate(keys):
        column = all_in_words(key, [values[at] for values, _ in groups], examples)
        if key == "RecordTime":
            column = list(map(text_clock(milliseconds=True), column))
        if (name := f"{key}Name") in ends[0]:
            column = [labelled(cell, end[name]) for cell, end in zip(column, ends, strict=True)]
        found.append(column)
    return found


def _sums(groups: Groups, shown: Shown) -> list[tuple[str, Denials]]:
    """What several groups are together: those that are not shown, and all."""
    found: list[tuple[str, Denials]] = []
    if shown.others:
        found.append((counted(len(shown.others), "more group"), together(shown.others)))
    every = all_of(groups, shown.others)
    if len(every) > 1:
        found.append((f"all {len(every)} groups", together(every)))
    return found


def _of_one_day(every: Denials, shown: Shown) -> tuple[Shown, str]:
    """Times without their day where all are of one, and that day, as a terminal has them."""
    if shown.times is not local_second:
        return shown, ""
    days = {(text[:_DAY], text[_SECOND:]) for text in map(local_second, (every.first, every.last))}
    if len(days) > 1:
        return shown, ""
    day, offset = days.pop()
    return replace(shown, times=_time_of_day), f"{day}, UTC{offset.removesuffix('Z')}"


def _time_of_day(milliseconds: int) -> str:
    return local_second(milliseconds)[_DAY + 1 : _SECOND]


def _columns(found: Sequence[Denials], shown: Shown) -> tuple[list[list[str]], list[list[str]]]:
    """What stands before the names, numbers, and behind them: times and bars."""
    numbers = [[one.flows for one in found], [one.source_count for one in found]]
    if shown.counters:
        numbers += ([one.packets for one in found], [one.bytes for one in found])
    ends = [[one.first for one in found], [one.last for one in found]]
    written = {when: shown.times(when) for when in {*ends[0], *ends[1]}}  # many share a second
    times = [[written[when] for when in column] for column in ends]
    if shown.bars is not None:
        times.append([shown.bars.drawn(one.seconds) for one in found])
    return [list(map(str, column)) for column in numbers], times
