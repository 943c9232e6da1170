"""Flows in groups: what the flows of each have in common."""

from collections.abc import Iterable, Sequence

import msgspec

from nsgflow_core.cli.groupings import KEYS, Value
from nsgflow_core.cli.names import end_names, vnet_name
from nsgflow_core.cli.read import Found
from nsgflow_core.estate import scope
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import Flow

DEFAULT_BY = "nsg,rule,direction,protocol,destination,port"
SORTS = ("flows", "sources", "packets", "bytes", "first", "last")
"""What groups are put in order by, besides their keys."""

Key = tuple[Value, ...]


class Denials(msgspec.Struct, eq=False, gc=False):
    """What the flows of one group have in common; times in milliseconds.

    `sources` says of each whether it is on the internet, where that was asked for; `vnets` are the
    VNets of NSGs that VNet flow logs name by a GUID alone; `names` says what source and destination
    of the first flow are called, where there is an inventory. `packets` and `bytes` are of both
    ways, `seconds` has the number of flows by the second: both only where they are asked for.
    """

    acl_group: str
    first: int
    last: int
    example: Flow
    flows: int = 0
    sources: dict[str, bool] = {}
    vnets: frozenset[str] = frozenset()
    names: tuple[str, str] | None = None
    packets: int = 0
    bytes: int = 0
    seconds: dict[int, int] = {}

    @property
    def internet(self) -> frozenset[str]:
        """The sources that are on the internet."""
        return frozenset(source for source, outside in self.sources.items() if outside)

    def measure(self, flow: Flow) -> None:
        """Count what a flow carried, and when it was."""
        self.packets += (flow.packets_sent or 0) + (flow.packets_received or 0)
        self.bytes += (flow.bytes_sent or 0) + (flow.bytes_received or 0)
        second = flow.time_ms // 1000
        self.seconds[second] = self.seconds.get(second, 0) + 1


Groups = Sequence[tuple[Key, Denials]]


def group(
    found: Iterable[Found],
    keys: Sequence[str],
    knowledge: Knowledge = NOTHING,
    *,
    measured: bool = False,
    scoped: bool = True,
) -> list[tuple[Key, Denials]]:
    """Flows by these keys, the busiest group first.

    `measured` counts packets and seconds too; `scoped` tells which sources are on the internet.
    """
    inventory = knowledge.inventory
    getters = [KEYS[key] for key in keys]
    at = keys.index("nsg") if "nsg" in keys else None
    groups: dict[Key, tuple[Key, Denials]] = {}
    for item in found:
        flow = item.flow
        when = flow.time_ms
        values = tuple([get(item, knowledge) for get in getters])
        acl = flow.group.acl_group if at is not None else ""
        # An NSG is told by its id: in different resource groups NSGs may have one name, and its
        # own logs write it in capitals, those of the VNet as it was made.
        key = values if at is None else (*values[:at], acl, *values[at + 1 :])
        if (entry := groups.get(key)) is None:
            entry = groups[key] = (values, Denials(acl, when, when, flow))
            if inventory is not None:
                entry[1].names = end_names(flow, knowledge)
        denials = entry[1]
        denials.flows += 1
        denials.first = min(denials.first, when)
        denials.last = max(denials.last, when)
        if flow.src not in denials.sources:
            denials.sources[flow.src] = scoped and scope.on_internet(flow, knowledge)[0]
        if measured:
            denials.measure(flow)
        if acl and not acl.startswith("/") and (vnet := vnet_name(flow, inventory)):
            denials.vnets |= {vnet}
    # Sorted twice, since texts are compared at a tenth of the price of pairs of a number and texts.
    ranked = sorted(groups.values(), key=lambda entry: "\0".join(map(str, entry[0])))
    return sorted(ranked, key=lambda entry: entry[1].flows, reverse=True)


def in_order(groups: Groups, keys: Sequence[str], by: str) -> list[tuple[Key, Denials]]:
    """Groups by one of `SORTS`, the most or latest on top, by `first` or a key the least."""
    if by in keys:
        at = keys.index(by)
        return sorted(groups, key=lambda entry: _least_first(entry[0][at]))
    if by == "sources":
        return sorted(groups, key=lambda entry: len(entry[1].sources), reverse=True)
    return sorted(groups, key=lambda entry: getattr(entry[1], by), reverse=by != "first")


def _least_first(value: Value) -> tuple[bool, int, str]:
    """Numbers by their size, names by their letters, what is not known at the end."""
    if isinstance(value, int):
        return False, value, ""
    return not value, 0, (value or "").casefold()


def together(groups: Groups) -> Denials:
    """What some groups are together, as if they were one."""
    parts = [one for _, one in groups]
    first, last = min(one.first for one in parts), max(one.last for one in parts)
    found = Denials("", first, last, parts[0].example, sum(one.flows for one in parts))
    found.packets = sum(one.packets for one in parts)
    found.bytes = sum(one.bytes for one in parts)
    for one in parts:
        found.sources.update(one.sources)
        for second, count in one.seconds.items():
            found.seconds[second] = found.seconds.get(second, 0) + count
    return found
