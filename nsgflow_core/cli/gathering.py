"""Flows in groups, as many as there are: in memory, or on disk where they are too many for it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from nsgflow_core.cli.denials import Denials, Groups, Key, caller
from nsgflow_core.cli.groupings import KEYS, Value, meaning, meanings
from nsgflow_core.cli.names import end_names, nsgs, vnet_id, vnets
from nsgflow_core.cli.progress import working
from nsgflow_core.cli.read import Found
from nsgflow_core.cli.spill import Spill
from nsgflow_core.cli.spilled import Spilled
from nsgflow_core.estate import scope
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import Flow

HELD = 100_000
"""Groups, their sources and their seconds that are held in memory: some 70 MiB."""


class Gathering:
    """Puts flows into groups by some keys as they go by. Use it as a context: it may need disk.

    `measured` counts packets and bytes too, `timed` the flows of each second; `scoped` tells which
    sources are on the internet.
    """

    def __init__(
        self,
        keys: Sequence[str],
        knowledge: Knowledge = NOTHING,
        *,
        measured: bool = False,
        timed: bool = False,
        scoped: bool = True,
    ) -> None:
        self.keys = keys
        self._knowledge = knowledge
        self._measured, self._timed, self._scoped = measured, timed, scoped
        self._groups: dict[Key, tuple[Key, Denials]] = {}
        self._nsgs, self._vnets = nsgs(knowledge.inventory), vnets(knowledge.inventory)
        self._spill = Spill(keys, measured=measured or timed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._spill.close()

    def take(self, found: Iterable[Found]) -> None:
        """Put flows into their groups."""
        for _ in self.beside(found):
            pass

    def beside(self, found: Iterable[Found]) -> Iterator[Found]:
        """The flows as they come, put into their groups."""
        knowledge, groups = self._knowledge, self._groups
        measured, timed, scoped = self._measured, self._timed, self._scoped
        inventory = knowledge.inventory
        getters = [KEYS[key] for key in self.keys]
        at = self.keys.index("nsg") if "nsg" in self.keys else None
        meant = meanings(self.keys)
        room = HELD
        for item in found:
            flow = item.flow
            when = flow.time_ms
            values = tuple([get(item, knowledge) for get in getters])
            acl = flow.group.acl_group.lower() if at is not None else ""
            names = end_names(flow, knowledge)
            apart = meant(flow, knowledge, names)
            # An NSG is told by its id: in different resource groups NSGs may have one name, and its
            # own logs write it in capitals, those of the VNet as it was made.
            key = values if at is None else (*values[:at], acl, *values[at + 1 :])
            if apart:
                key = (*key, apart)
            if (entry := groups.get(key)) is None:
                entry = groups[key] = (values, Denials(acl, when, when, flow, apart=apart))
                room -= 1
                self._name(values, entry[1])
                entry[1].names = names if inventory is not None else None
            denials = entry[1]
            denials.flows += 1
            denials.first = min(denials.first, when)
            denials.last = max(denials.last, when)
            source = caller(flow.src, names[0])
            if source not in denials.sources:
                denials.sources[source] = scoped and scope.on_internet(flow, knowledge)[0]
                room -= 1
            if measured:
                denials.measure(flow)
            if timed:
                room += len(denials.seconds)
                denials.count_seconds(((when // 1000, 1),))
                room -= len(denials.seconds)
            if acl:
                self._place(flow, denials)
            if room < 0:
                self._spill_all()
                room = HELD
            yield item

    def _place(self, flow: Flow, of: Denials) -> None:
        """Keep in which VNet the NSG of a group saw a flow, where that is known."""
        vnet = vnet_id(flow, self._knowledge.inventory)
        if vnet and vnet not in of.vnets:
            of.vnets |= {vnet}
            self._vnets.meet(vnet, vnet.rpartition("/")[2])

    def _name(self, values: Key, of: Denials) -> None:
        """Keep what the NSG and the VNet of a group are named."""
        if "nsg" in self.keys:
            self._nsgs.meet(of.acl_group, str(values[self.keys.index("nsg")]))
        if "vnet" in self.keys:
            vnet = meaning("vnet", self.keys, of.apart)
            self._vnets.meet(vnet, str(values[self.keys.index("vnet")]))

    def called(self) -> dict[str, str]:
        """NSGs and VNets by their ids, of those that share a name with others, and how to say."""
        return {**self._nsgs.called(), **self._vnets.called()}

    def _spill_all(self) -> None:
        self._spill.take(self._groups.values())
        self._groups.clear()

    def groups(self, by: str = "flows") -> Groups:
        """The groups in an order of `SORTS` or by a key; the busiest first in any case."""
        if not self._spill.used:
            # Sorted twice: texts are compared at a tenth of the price of a number and texts.
            ranked = sorted(self._groups.values(), key=lambda entry: "\0".join(map(str, entry[0])))
            return _in_order(sorted(ranked, key=_flows, reverse=True), self.keys, by)
        with working("putting the groups in order"):
            self._spill_all()
            return Spilled(self._spill, self._knowledge, range(1, self._spill.put_in_order(by) + 1))


def _flows(entry: tuple[Key, Denials]) -> int:
    return entry[1].flows


def _in_order(groups: Groups, keys: Sequence[str], by: str) -> Groups:
    """Groups by one of `SORTS`, the most or latest on top, by `first` or a key the least."""
    if by in keys:
        at = keys.index(by)
        return sorted(groups, key=lambda entry: _least_first(entry[0][at]))
    if by == "flows":
        return groups
    if by == "sources":
        return sorted(groups, key=lambda entry: entry[1].source_count, reverse=True)
    return sorted(groups, key=lambda entry: getattr(entry[1], by), reverse=by != "first")


def _least_first(value: Value) -> tuple[bool, int, str]:
    """Numbers by their size, names by their letters, what is not known at the end."""
    if isinstance(value, int):
        return False, value, ""
    return not value, 0, (value or "").casefold()


def span_of(groups: Groups) -> tuple[int, int]:
    """When the first flow of groups was, and the last; there must be one."""
    if isinstance(groups, Spilled):
        return groups.span()
    return min(one.first for _, one in groups), max(one.last for _, one in groups)


def has_vnets(groups: Groups) -> bool:
    """Whether a VNet says of any of the groups where it is, since its NSG is a GUID."""
    if isinstance(groups, Spilled):
        return groups.has_vnets()
    return any(one.vnets and not one.acl_group.startswith("/") for _, one in groups)


def all_of(groups: Groups, others: Groups) -> Groups:
    """Groups and those that were cut off behind them."""
    if isinstance(groups, Spilled):
        return groups.whole if others else groups
    return [*groups, *others] if others else groups


def together(groups: Groups) -> Denials:
    """What some groups are together, as if they were one."""
    if isinstance(groups, Spilled):
        return groups.together()
    first, last = span_of(groups)
    found = Denials("", first, last, groups[0][1].example)
    for _, one in groups:
        found.flows += one.flows
        found.packets += one.packets
        found.bytes += one.bytes
        found.sources.update(one.sources)
        found.count_seconds(one.seconds.items())
    return found


def at_hand(groups: Groups, most: int, most_sources: int) -> Groups:
    """The first groups with their sources in memory; all of those that are in memory."""
    return groups[:most].with_sources(most_sources) if isinstance(groups, Spilled) else groups
