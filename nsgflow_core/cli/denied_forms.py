"""Groups of flows as a table, JSON or CSV, with what is proposed for them and when they were."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from nsgflow_core.cli.bars import Bars
from nsgflow_core.cli.clock import Clock, local_second
from nsgflow_core.cli.denials import Denials, Groups, Key, together
from nsgflow_core.cli.formats import write_csv, write_json_lines
from nsgflow_core.cli.groupings import all_in_words
from nsgflow_core.cli.names import labelled
from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.tables import write_columns, write_text
from nsgflow_core.model import flow_time

if TYPE_CHECKING:
    from nsgflow_core.estate.verdict import Judge

_COUNTERS = ("packets", "bytes")
_DAY, _SECOND = 10, 19
"""Where the day of a local time ends, and its second."""


class Proposed(Protocol):
    """Rules that would let groups through; `proposals.Document` is the real one."""

    def texts(self) -> Iterable[str]:
        """Each proposal, to be shown below the table."""

    def into_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put into the row of each group what is proposed for it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of groups, and how.

    `keys` are what they are grouped by, `times` writes the times of a table. `others` are the
    groups that are only counted; `counters` shows packets and bytes, `bars` when flows were. With
    a `judge` a flow of each group is judged by the rules as they are now.
    """

    keys: Sequence[str]
    times: Clock = flow_time
    others: Groups = ()
    counters: bool = False
    bars: Bars | None = None
    judge: "Judge | None" = None


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
    found_rows = [_row(*entry, shown) for entry in groups]
    if shown.judge is not None:
        _explain(found_rows, groups, shown.judge, whole=output == "json")
    if proposed is not None:
        proposed.into_rows(found_rows)
    if output == "json":
        write_json_lines(found_rows)
        return
    columns = [*shown.keys, *(_names(shown.keys, groups[0][1]) if groups else ())]
    columns += ["flows", "sources", *(_COUNTERS if shown.counters else ()), "first", "last"]
    columns += ["vnet"] if _has_vnet(shown.keys) else []
    columns += ["every", "begin", "counts"] if shown.bars is not None else []
    columns += ["now"] * (shown.judge is not None) + ["proposal"] * (proposed is not None)
    for row in found_rows if shown.bars is not None else ():
        row["counts"] = " ".join(map(str, row["counts"]))
    write_csv(columns, ({name: row[name] for name in columns} for row in found_rows))


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
        row["now"] = now.to_json() if whole else denial_line(now)


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
    row: dict[str, Any] = dict(zip(shown.keys, values, strict=True))
    row |= _names(shown.keys, denials)
    row |= {"flows": denials.flows, "sources": len(denials.sources)}
    if shown.counters:
        row |= {name: getattr(denials, name) for name in _COUNTERS}
    row |= {"first": flow_time(denials.first), "last": flow_time(denials.last)}
    if _has_vnet(shown.keys):
        row["vnet"] = " ".join(sorted(denials.vnets))
    if (bars := shown.bars) is not None:
        row |= {"every": bars.seconds, "begin": flow_time(bars.begin * 1000)}
        row["counts"] = bars.counts(denials.seconds)
    return row


def _write_table(groups: Groups, shown: Shown) -> None:
    if not groups:
        return
    keys, bars = shown.keys, shown.bars
    of_all = [denials for _, denials in groups]
    named = {
        key: [_names(keys, denials)[f"{key}Name"] for denials in of_all]
        for key in keys
        if f"{key}Name" in _names(keys, of_all[0])
    }
    examples = [denials.example for denials in of_all]
    names = [
        all_in_words(key, [values[at] for values, _ in groups], examples)
        for at, key in enumerate(keys)
    ]
    names = [
        list(map(labelled, column, named[key])) if key in named else column
        for key, column in zip(keys, names, strict=True)
    ]
    titles = ["flows", "sources", *(_COUNTERS if shown.counters else ()), *keys]
    if _has_vnet(keys) and any(denials.vnets for denials in of_all):
        titles.append("vnet")
        names.append([", ".join(sorted(denials.vnets)) for denials in of_all])
    if shown.others:
        _add(names, counted(len(shown.others), "more group"))
        of_all.append(together(shown.others))
    if every := [*groups, *shown.others][1:]:
        _add(names, f"all {len(every) + 1} groups")
        of_all.append(together([groups[0], *every]))
    titles += ["first", "last"] + ([f"every {bars.length}"] if bars is not None else [])
    within_day, day = _of_one_day(of_all, shown)
    numbers, times = _columns(of_all, within_day)
    write_columns(titles, [*numbers, *names, *times])
    if day:
        write_text(f"times of {day}")
    if bars is not None:
        write_text(*bars.legend(shown.times).splitlines())


def _of_one_day(found: Iterable[Denials], shown: Shown) -> tuple[Shown, str]:
    """Times without their day where all are of one, and that day, as a terminal has them."""
    if shown.times is not local_second:
        return shown, ""
    ends = {end for one in found for end in (one.first, one.last)}
    days = {(text[:_DAY], text[_SECOND:]) for text in map(local_second, ends)}
    if len(days) > 1:
        return shown, ""
    day, offset = days.pop()
    return replace(shown, times=_time_of_day), f"{day}, UTC{offset.removesuffix('Z')}"


def _time_of_day(milliseconds: int) -> str:
    return local_second(milliseconds)[_DAY + 1 : _SECOND]


def _add(names: Sequence[list[str]], what: str) -> None:
    """A row for several groups: what they are stands in the first column of names."""
    for at, column in enumerate(names):
        column.append("" if at else what)


def _columns(found: Sequence[Denials], shown: Shown) -> tuple[list[list[str]], list[list[str]]]:
    """What stands before the names, numbers, and behind them: times and bars."""
    numbers = [[one.flows for one in found], [len(one.sources) for one in found]]
    if shown.counters:
        numbers += ([one.packets for one in found], [one.bytes for one in found])
    ends = [[one.first for one in found], [one.last for one in found]]
    written = {when: shown.times(when) for when in {*ends[0], *ends[1]}}  # many share a second
    times = [[written[when] for when in column] for column in ends]
    if shown.bars is not None:
        times.append([shown.bars.drawn(one.seconds) for one in found])
    return [list(map(str, column)) for column in numbers], times
