"""Flows as text, a table, JSON or CSV; and tables of anything."""

import csv
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from nsgflow_core.cli.harmless import inert, json_text, printable
from nsgflow_core.cli.names import end_names, labelled, remark, vnet_name
from nsgflow_core.cli.read import Found
from nsgflow_core.cli.text import Lines, nsg_name
from nsgflow_core.columns import columns
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import BlobRef, Flow, flow_time
from nsgflow_core.sinks import rows

_PAGE = 500
"""Rows of a table that are laid out together; so a table of any length needs little memory."""
_UNBOUNDED = 100_000
_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"
_TABLE = (
    "time",
    "NSG",
    "VNet",
    "rule",
    "action",
    "direction",
    "protocol",
    "source",
    "sport",
    "destination",
    "port",
    "state",
    "sent",
    "received",
)


def write_flows(
    found: Iterable[Found], output: str, knowledge: Knowledge = NOTHING, *, named: bool = False
) -> None:
    """Write flows to stdout as text, table, json or csv, as they come.

    With `named` the lines of text, too, tell what both ends are called.
    """
    match output:
        case "json":
            for row in _rows(found, knowledge):
                write_json(row)
        case "csv":
            write_csv(columns(), (msgspec.json.decode(row) for row in _rows(found, knowledge)))
        case "table":
            cells = (_cells(one, knowledge) for one in found)
            while page := list(islice(cells, _PAGE)):
                _write_page(page)
        case _:
            lines = Lines()
            for log, flow in found:
                behind = printable(remark(flow, knowledge)) if named else ""
                sys.stdout.write(f"{lines.line(log.path, flow)}{behind}\n")


def flow_writer(
    output: str,
    knowledge: Knowledge = NOTHING,
    explained: Callable[[Flow], str] | None = None,
    *,
    named: bool = False,
) -> Callable[[Sequence[Found]], None]:
    """Writes flows to stdout as text, coloured on a terminal, or as json; at once.

    With `explained` what it says of a flow stands in a line below the flow's, as text; with
    `named` what both ends are called stands behind it.
    """
    lines = Lines()
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def write(found: Sequence[Found]) -> None:
        encoders: Mapping[BlobRef, Callable[[Flow], bytes]] = (
            {log.ref: rows.encoder(log.ref, knowledge) for log, _ in found}
            if output == "json"
            else {}
        )
        for log, flow in found:
            if output == "json":
                write_json(encoders[log.ref](flow))
                continue
            line = lines.line(log.path, flow)
            if named:
                line += printable(remark(flow, knowledge))
            if colours:
                line = f"{_RED if flow.denied else _GREEN}{line}{_PLAIN}"
            sys.stdout.write(line + "\n")
            if explained is not None:
                sys.stdout.write(f"    {printable(explained(flow))}\n")
        sys.stdout.flush()

    return write


def _rows(found: Iterable[Found], knowledge: Knowledge) -> Iterator[bytes]:
    encoders: dict[BlobRef, Any] = {}
    hour = None
    for log, flow in found:
        if log.path.hour != hour:  # the logs of one hour are merged, those of another are done
            encoders.clear()
            hour = log.path.hour
        if (encode := encoders.get(log.ref)) is None:
            encode = encoders[log.ref] = rows.encoder(log.ref, knowledge)
        yield encode(flow)


def _write_page(page: Sequence[list[str]]) -> None:
    """A table of flows; the VNet is a column where any flow has one."""
    at = _TABLE.index("VNet")
    if any(cells[at] for cells in page):
        write_table(_TABLE, page)
        return
    columns = [*_TABLE[:at], *_TABLE[at + 1 :]]
    write_table(columns, [[*cells[:at], *cells[at + 1 :]] for cells in page])


def _cells(found: Found, knowledge: Knowledge) -> list[str]:
    log, flow = found
    source, destination = end_names(flow, knowledge)
    return [
        flow_time(flow.time_ms),
        nsg_name(log.path, flow.group),
        vnet_name(flow, knowledge.inventory),
        flow.group.rule,
        "denied" if flow.denied else "allowed",
        "in" if flow.inbound else "out",
        flow.protocol,
        labelled(flow.src, source),
        _cell(flow.src_port),
        labelled(flow.dst, destination),
        _cell(flow.dst_port),
        flow.state,
        _counters(flow.packets_sent, flow.bytes_sent),
        _counters(flow.packets_received, flow.bytes_received),
    ]


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _counters(packets: int | None, size: int | None) -> str:
    return "" if packets is None and size is None else f"{_cell(packets)}/{_cell(size)}"


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
    sys.stdout.write(json_text(encoded.decode(), sys.stdout.encoding or "utf-8") + "\n")


def terminal_width() -> int:
    """How wide the terminal is that stdout goes to; 0 where it goes to none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def write_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout: folded to a terminal's width, as wide as it is to anything else."""
    from rich.console import Console  # noqa: PLC0415 - only tables pay for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else _UNBOUNDED, highlight=False
    )
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")
