"""Flows as CSV: the rows of the table, with what many of them share written once for all."""

from collections.abc import Callable, Sequence
from itertools import groupby
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

    def lines(flows: Columns) -> str:
        parts = rows.parts_of(flows, knowledge)
        shared = {
            name: of
            for of in (parts.places, parts.outcomes, parts.ends)
            for name in next(iter(of.cells.values()))
        }
        pieces: list[str | Sequence[str]] = []
        for of, some in groupby(columns(), shared.get):
            names = list(some)
            if of is None:
                for name in names:
                    pieces += (parts.own[name], ",")
                continue
            texts = {
                key: ",".join([cell(cells[name]) for name in names])
                for key, cells in of.cells.items()
            }
            pieces += ([texts[key] for key in of.keys], ",")
        return woven([*pieces[:-1], "\n"], len(flows.texts))

    return lines
