"""The table of flows. Whatever many flows share is padded once for all of them."""

import sys
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

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

_PAGE = 500
"""Flows that are laid out together; so a table of any length needs little memory."""
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

    NSGs and VNets that share a name are told apart as soon as both are known or met.
    """

    def __init__(self, knowledge: Knowledge, clock: Clock = flow_time) -> None:
        self._knowledge, self._clock = knowledge, clock
        self._nsgs, self._vnets = nsgs(knowledge.inventory), vnets(knowledge.inventory)

    def write(self, flows: Columns) -> None:
        """Write some flows."""
        local = self._clock is not flow_time
        times = list(map(self._clock, flows.times)) if local else times_of(flows)
        labels = self._labels(flows)
        names = {code: PROTOCOLS.get(code, code) for code in set(flows.protocol_code)}
        numbers: dict[tuple[str, str, str], int] = {}  # have a hash sooner than what they stand for
        codes = [
            numbers.setdefault(codes, len(numbers))
            for codes in zip(flows.decision, flows.direction_code, flows.protocol_code, strict=True)
        ]
        outcomes = {
            number: _outcome(decision, direction, names[protocol])
            for (decision, direction, protocol), number in numbers.items()
        }
        without = {code for code, name in names.items() if not causes.has_ports(name)}
        src, dst = _ends(flows, self._knowledge)
        src_port = _ports(flows.src_port, flows.protocol_code, without)
        dst_port = _ports(flows.dst_port, flows.protocol_code, without)
        states, _ = flows.states(flows.versions)
        for at in range(0, len(flows.texts), _PAGE):
            part = slice(at, at + _PAGE)
            texts = (column[part] for column in (src, src_port, dst, dst_port, states))
            _write_page(
                [
                    tables.Column(times[part]),
                    *labels(part),
                    tables.Shared(codes[part], outcomes),
                    *map(tables.Column, texts),
                    tables.Pair(flows.packets_sent[part], flows.bytes_sent[part]),
                    tables.Pair(flows.packets_received[part], flows.bytes_received[part]),
                ]
            )

    def _labels(self, flows: Columns) -> Callable[[slice], list[tables.Block]]:
        """What makes the columns of NSG, VNet and rule; that of VNets where any flow has one."""
        # In their order, since what is met first decides how a name is spelled.
        kinds = {place: _cause(place) for place in dict.fromkeys(flows.places)}
        if any(kinds.values()) or self._knowledge.inventory is not None:  # flows may differ
            cells = self._label_cells(flows, kinds)
            return lambda part: [
                tables.Column(some) for some in _with_vnet([column[part] for column in cells])
            ]
        first = dict(zip(reversed(flows.places), range(len(flows) - 1, -1, -1), strict=True))
        examples = flows.at(list(first.values()))
        of_places = dict(
            zip(first, zip(*self._label_cells(examples, kinds), strict=True), strict=True)
        )

        def shared(part: slice) -> list[tables.Block]:
            there = set(flows.places[part])
            columns = _with_vnet(list(zip(*map(of_places.__getitem__, there), strict=True)))
            cells = dict(zip(there, zip(*columns, strict=True), strict=True))
            return [tables.Shared(flows.places[part], cells)]

        return shared

    def _label_cells(self, flows: Columns, kinds: Mapping[Place, str]) -> list[Sequence[str]]:
        """The columns of NSG, VNet and rule."""
        return [
            _nsgs(flows, kinds, self._nsgs),
            _vnets(flows, self._knowledge.inventory, self._vnets),
            _rules(flows, kinds),
        ]


def _with_vnet(labels: list[Sequence[str]]) -> list[Sequence[str]]:
    """Columns of NSG, VNet and rule; that of VNets where any flow has one."""
    return labels if any(labels[1]) else labels[::2]


def _cause(place: Place) -> str:
    return causes.cause(place.group.acl_group, place.group.rule)


def _outcome(decision: str, direction: str, protocol: str) -> tuple[str, str, str]:
    """The columns of action, direction and protocol."""
    return (
        "denied" if decision == "D" else "allowed",
        "in" if direction == "I" else "out",
        causes.protocol_name(protocol),
    )


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
    """The VNet of each flow of a VNet flow log."""
    if _VNET not in flows.versions:
        return [""] * len(flows)
    ids = [vnet_id(flow, inventory) for flow in flows.flows()]
    for one in set(ids):
        names.meet(one, one.rpartition("/")[2])
    of_ids = {one: printable(names.shown(one, "")) for one in set(ids)}
    return [of_ids[one] for one in ids]


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


def _write_page(blocks: Sequence[tables.Block]) -> None:
    titles = list(_TITLES)
    if sum(len(block.widest) for block in blocks) < len(titles):
        titles.remove("vnet")
    heading, rows = tables.drawn_of(titles, blocks, tables.terminal_width())
    sys.stdout.write(tables.bold(heading) + rows)
