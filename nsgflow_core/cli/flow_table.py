"""The table of flows. Whatever many flows share is padded once for all of them."""

import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter

from nsgflow_core.cli import tables
from nsgflow_core.cli.clock import Clock
from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.names import end_names, labelled, nsgs, vnet_id, vnets
from nsgflow_core.estate import causes
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.namesakes import Namesakes
from nsgflow_core.logs.columns import Columns, Place
from nsgflow_core.model import PROTOCOLS, flow_time
from nsgflow_core.sinks.rows import times_of

_TITLES = (
    "time",
    "nsg",
    "vnet",
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


class Pages:
    """Writes flows to stdout, page by page, each under a heading of its own.

    Those that come together are a page, so a table of any length needs little memory.

    NSGs and VNets that share a name are told apart as soon as both are known or met.
    """

    def __init__(self, knowledge: Knowledge, clock: Clock = flow_time) -> None:
        self._knowledge, self._clock = knowledge, clock
        self._nsgs, self._vnets = nsgs(knowledge.inventory), vnets(knowledge.inventory)

    def write(self, flows: Columns) -> None:
        """Write a page."""
        _write_page(_cells(flows, self._knowledge, self._clock, self._nsgs, self._vnets))


def _cells(
    flows: Columns, knowledge: Knowledge, clock: Clock, acls: Namesakes, networks: Namesakes
) -> list[Sequence[str]]:
    src, dst = _ends(flows, knowledge)
    # In their order: an NSG is named as it comes first.
    places = dict.fromkeys(flows.places)
    versions = {place.group.record.version for place in places}
    kinds = {place: causes.cause(place.group.acl_group, place.group.rule) for place in places}
    codes = {code: PROTOCOLS.get(code, code) for code in set(flows.protocol_code)}
    protocols = {code: causes.protocol_name(name) for code, name in codes.items()}
    without = {code for code, name in codes.items() if not causes.has_ports(name)}
    return [
        times_of(flows) if clock is flow_time else list(map(clock, flows.times)),
        _nsgs(flows, kinds, acls),
        _vnets(flows, knowledge.inventory, networks)
        if _VNET in versions
        else [""] * len(flows.texts),
        _rules(flows, kinds),
        ["denied" if decision == "D" else "allowed" for decision in flows.decision],
        ["in" if direction == "I" else "out" for direction in flows.direction_code],
        [protocols[code] for code in flows.protocol_code],
        src,
        _ports(flows.src_port, flows.protocol_code, without),
        dst,
        _ports(flows.dst_port, flows.protocol_code, without),
        flows.states(versions)[0],
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


def _vnets(flows: Columns, inventory: Inventory | None, names: Namesakes) -> Sequence[str]:
    """The VNet of each flow; by the place alone, or with an inventory by the flow's near end."""
    if inventory is not None:
        ids = [vnet_id(flow, inventory) for flow in flows.flows()]
        of_ids = _vnets_apart(set(ids), names)
        return [of_ids[one] for one in ids]
    first: dict[Place, int] = {}
    for number, place in enumerate(flows.places):
        first.setdefault(place, number)
    examples = itemgetter(*first.values(), 0)(flows.flows())
    at = {place: vnet_id(flow, None) for place, flow in zip(first, examples[:-1], strict=True)}
    of_ids = _vnets_apart(set(at.values()), names)
    return [of_ids[at[place]] for place in flows.places]


def _vnets_apart(ids: AbstractSet[str], names: Namesakes) -> dict[str, str]:
    for one in ids:
        names.meet(one, one.rpartition("/")[2])
    return {one: printable(names.shown(one, "")) for one in ids}


def _nsgs(flows: Columns, kinds: Mapping[Place, str], apart: Namesakes) -> Sequence[str]:
    """The NSG of each flow; where none denied, what dropped it."""
    ids = {place: place.group.acl_group.lower() for place in kinds}
    for place, one in ids.items():
        apart.meet(one, place.nsg)
    names = {place: printable(apart.shown(one, place.nsg)) for place, one in ids.items()}
    if not any(kinds.values()):
        return [names[place] for place in flows.places]
    return [
        causes.dropper(kind) if (kind := causes.cause_of(flow)) else names[place]
        for flow, place in zip(flows.flows(), flows.places, strict=True)
    ]


def _rules(flows: Columns, kinds: Mapping[Place, str]) -> Sequence[str]:
    """The rule of each flow; where none denied the reason, which a tuple may have for itself."""
    if not any(kinds.values()):
        rules = {place: printable(place.group.rule) for place in kinds}
        return [rules[place] for place in flows.places]
    return [
        printable(causes.reason(flow) or (causes.cause_of(flow) and causes.NO_REASON))
        for flow in flows.flows()
    ]


def _ports(
    numbers: Sequence[str], codes: Sequence[str], without: AbstractSet[str]
) -> Sequence[str]:
    """Ports, of protocols that have some; those `without` are logged with 0."""
    if not without:
        return numbers
    return [
        "" if number == "0" and code in without else number
        for number, code in zip(numbers, codes, strict=True)
    ]


def _counters(packets: Sequence[str], sizes: Sequence[str]) -> list[str]:
    cells = [f"{count}/{size}" for count, size in zip(packets, sizes, strict=True)]
    return ["" if cell == "/" else cell for cell in cells] if "/" in cells else cells


def _write_page(columns: Sequence[Sequence[str]]) -> None:
    titles = list(_TITLES)
    at = titles.index("vnet")
    if not any(columns[at]):  # the VNet is a column where any flow has one
        titles.pop(at)
        columns = [*columns[:at], *columns[at + 1 :]]
    heading, rows = tables.drawn(titles, columns, tables.terminal_width())
    sys.stdout.write(tables.bold(heading) + rows)
