"""Flows as text, a table, JSON or CSV; and tables of anything."""

import csv
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nsgflow_core.cli import flow_csv, flow_table, text
from nsgflow_core.cli.clock import Clock, clock
from nsgflow_core.cli.colour import coloured
from nsgflow_core.cli.harmless import inert, json_text, printable
from nsgflow_core.cli.names import nsgs, remark
from nsgflow_core.cli.read import Found, place_of
from nsgflow_core.cli.text import lines
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.logs.columns import Columns, Place, of_flows
from nsgflow_core.model import Flow, flow_time
from nsgflow_core.sinks import rows

_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"


def write_flows(
    found: Iterable[Columns],
    output: str,
    knowledge: Knowledge = NOTHING,
    *,
    named: bool = False,
) -> None:
    """Write flows to stdout as text, table, json or csv, as they come.

    With `named` the lines of text, too, tell what both ends are called.
    """
    table_clock = clock(milliseconds=True)
    if output == "csv":
        sys.stdout.write(flow_csv.header())
    csv_lines, json_lines = flow_csv.writer(knowledge), rows.lines_of(knowledge)
    nsg = _nsgs_apart(knowledge)
    text_lines = text.writer(nsg)
    pages = flow_table.Pages(knowledge, table_clock)
    for flows in found:
        match output:
            case "json":
                _write_json_lines(json_lines(flows))
            case "csv":
                sys.stdout.write(csv_lines(flows))
            case "table":
                pages.write(flows)
            case _ if named:
                sys.stdout.writelines(line + "\n" for line in _remarked(flows, knowledge, nsg))
            case _:
                sys.stdout.write(text_lines(flows, ()))


def _nsgs_apart(knowledge: Knowledge) -> Callable[[Place], str]:
    """How the NSG of flows is shown in lines: where there is no inventory, as get_nsg_logs does."""
    if knowledge.inventory is None:
        return lambda place: place.nsg
    names = nsgs(knowledge.inventory)
    return lambda place: names.shown(place.group.acl_group.lower(), place.nsg)


def _remarked(
    flows: Columns, knowledge: Knowledge, nsg: Callable[[Place], str], times: Sequence[str] = ()
) -> list[str]:
    """Lines that tell what both ends are called."""
    remarks = (printable(remark(flow, knowledge)) for flow in flows.flows())
    return [line + said for line, said in zip(lines(flows, times, nsg), remarks, strict=True)]


def flow_writer(
    output: str,
    knowledge: Knowledge = NOTHING,
    explained: Callable[[Flow], str] | None = None,
    *,
    named: bool = False,
    times: Clock = flow_time,
) -> Callable[[Sequence[Found]], None]:
    """Writes flows to stdout as text, coloured where colours are, or as json; at once.

    A line begins with the flow's own time, as `times` writes it. With `explained` what it says of
    a flow stands in a line below the flow's, as text; with `named` what both ends are called
    stands behind it.
    """
    colours = coloured()
    json_lines, nsg = rows.lines_of(knowledge), _nsgs_apart(knowledge)

    def write(found: Sequence[Found]) -> None:
        if not found:
            return
        flows = [flow for _, flow in found]
        shown = of_flows(flows, [place_of(log, flow.group) for log, flow in found])
        if output == "json":
            _write_json_lines(json_lines(shown))
        else:
            own = [times(flow.time_ms) for flow in flows]
            texts = _remarked(shown, knowledge, nsg, own) if named else lines(shown, own, nsg)
            for flow, line in zip(flows, texts, strict=True):
                if colours:
                    line = f"{_RED if flow.denied else _GREEN}{line}{_PLAIN}"  # noqa: PLW2901
                sys.stdout.write(line + "\n")
                if explained is not None:
                    sys.stdout.write(f"    {printable(explained(flow))}\n")
        sys.stdout.flush()

    return write


def write_csv(columns: Iterable[str], found: Iterable[Mapping[str, Any]]) -> None:
    """Write mappings to stdout as CSV (RFC 4180 with bare line feeds), with a header.

    No cell is a formula to a spreadsheet, and none steers a terminal.
    """
    writer = csv.DictWriter(sys.stdout, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: inert(cell) if isinstance(cell, str) else cell for key, cell in item.items()}
        for item in found
    )


def write_json_lines(found: Iterable[Mapping[str, Any]]) -> None:
    """Write mappings to stdout as JSON, one object a line."""
    for item in found:
        write_json(msgspec.json.encode(item))


def write_json(encoded: bytes) -> None:
    """Write one JSON value as a line of stdout; what could steer a terminal becomes an escape."""
    _write_json_lines(f"{encoded.decode()}\n")


def _write_json_lines(text: str) -> None:
    """Write lines of JSON to stdout, as `write_json` does."""
    if not text.isascii() or "\x7f" in text:
        encoding = sys.stdout.encoding or "utf-8"
        text = "\n".join([json_text(line, encoding) for line in text.split("\n")])
    sys.stdout.write(text)
