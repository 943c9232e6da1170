"""The table of flows. Whatever many flows share is padded once for all of them."""

import sys
from collections.abc import Sequence
from operator import itemgetter

from nsgflow_core.cli import tables
from nsgflow_core.cli.clock import Clock
from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.names import end_names, labelled, vnet_name
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.logs.columns import Columns, Place, Text
from nsgflow_core.model import PROTOCOLS, flow_time
from nsgflow_core.sinks.rows import times_of

_PAGE = 500
"""Flows that are laid out together; so a table of any length needs little memory."""
_TITLES = (
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
_VNET = 4


def write(flows: Columns, knowledge: Knowledge, clock: Clock = flow_time) -> None:
    """Write some flows to stdout, page by page, each under a heading of its own."""
    cells = _cells(flows, knowledge, clock)
    for at in range(0, len(flows.texts), _PAGE):
        _write_page([column[at : at + _PAGE] for column in cells])


def _cells(flows: Columns, knowledge: Knowledge, clock: Clock) -> list[Sequence[str]]:
    src, dst = _ends(flows, knowledge)
    names = {place: printable(place.nsg) for place in set(flows.places)}
    rules = {place: printable(place.group.rule) for place in names}
    return [
        times_of(flows) if clock is flow_time else list(map(clock, flows.times)),
        [names[place] for place in flows.places],
        _vnets(flows, knowledge.inventory),
        [rules[place] for place in flows.places],
        ["denied" if decision == "D" else "allowed" for decision in flows.decision],
        ["in" if direction == "I" else "out" for direction in flows.direction_code],
        [PROTOCOLS.get(code, code) for code in flows.protocol_code],
        src,
        _texts(flows.src_port),
        dst,
        _texts(flows.dst_port),
        flows.states()[0],
        _counters(flows.packets_sent, flows.bytes_sent),
        _counters(flows.packets_received, flows.bytes_received),
    ]


def _ends(flows: Columns, knowledge: Knowledge) -> tuple[Sequence[str], Sequence[str]]:
    """Both addresses of each flow, with what they are called where there is an inventory."""
    if knowledge.inventory is None:
        return flows.src, flows.dst
    names = [end_names(flow, knowledge) for flow in flows.flows()]
    src, dst = (
        [printable(labelled(end, one)) for end, one in zip(ends, of_ends, strict=True)]
        for ends, of_ends in zip((flows.src, flows.dst), zip(*names, strict=True), strict=True)
    )
    return src, dst


def _vnets(flows: Columns, inventory: Inventory | None) -> Sequence[str]:
    """The VNet of each flow; by the place alone, or with an inventory by the flow's near end."""
    if _VNET not in flows.versions:
        return [""] * len(flows.texts)
    if inventory is not None:
        return [printable(vnet_name(flow, inventory)) for flow in flows.flows()]
    first: dict[Place, int] = {}
    for number, place in enumerate(flows.places):
        first.setdefault(place, number)
    examples = itemgetter(*first.values(), 0)(flows.flows())
    named = {
        place: printable(vnet_name(flow, None))
        for place, flow in zip(first, examples[:-1], strict=True)
    }
    return [named[place] for place in flows.places]


def _texts(numbers: Sequence[Text]) -> Sequence[str]:
    return list(map(str, numbers))


def _counters(packets: Sequence[Text], sizes: Sequence[Text]) -> list[str]:
    return [
        "" if size == count == "" else f"{count}/{size}"
        for count, size in zip(packets, sizes, strict=True)
    ]


def _write_page(columns: Sequence[Sequence[str]]) -> None:
    titles = list(_TITLES)
    at = titles.index("VNet")
    if not any(columns[at]):  # the VNet is a column where any flow has one
        titles.pop(at)
        columns = [*columns[:at], *columns[at + 1 :]]
    heading, rows = tables.drawn(titles, columns, tables.terminal_width())
    sys.stdout.write(tables.bold(heading))
    sys.stdout.write("".join(rows))
