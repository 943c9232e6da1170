"""Flows as CSV: the rows of the table, with what many of them share written once for all."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from nsgflow_core.cli.harmless import inert
from nsgflow_core.columns import columns
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.weave import woven
from nsgflow_core.sinks import rows


def header() -> str:
    """The first line, with the names of the columns."""
    return ",".join(columns()) + "\n"


def cell(value: Any) -> str:
    """A value as a cell (RFC 4180): no formula to a spreadsheet, and steering no terminal."""
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = inert(value)
    return '"' + text.replace('"', '""') + '"' if '"' in text or "," in text else text


def writer(knowledge: Knowledge = NOTHING) -> Callable[[Columns], str]:
    """A function that makes the lines of flows, with their ends."""
    parts_of, kept = rows.apart(knowledge), rows.kept_of_each(_runs)

    def lines(flows: Columns) -> str:
        parts = parts_of(flows)
        found: dict[str, Sequence[str]] = {**parts.own}
        for of, keys in zip(kept, parts.keys, strict=True):
            runs = of.of(keys)
            for name in runs[0]:
                found[name] = list(map(itemgetter(name), runs))
        pieces: list[str | Sequence[str]] = []
        for name in columns():
            if name in found:
                pieces += (found[name], ",")
        return woven([*pieces[:-1], "\n"], len(flows.texts))

    return lines


def _runs(cells: Mapping[str, Any]) -> dict[str, str]:
    """Cells as they stand side by side, by the name of the first column of each run."""
    found: dict[str, str] = {}
    for there, some in groupby(columns(), cells.__contains__):
        if there:
            names = list(some)
            found[names[0]] = ",".join([cell(cells[name]) for name in names])
    return found
