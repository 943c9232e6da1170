"""Which flow logs record a network interface: the inventory against the flow logs there are.

Of VNet flow logs the nearest counts: network interface before subnet before VNet
(https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-manage#create-a-flow-log). An NSG
log records what its own NSG judges, so an interface under two NSGs needs both; beside a VNet flow
log it records everything twice
(https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview). Nothing is recorded at
a private endpoint, only at who talks to it. That a flow log which is switched off gives way to the
next level is inferred.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from nsgflow_core.estate.flow_logs import FlowLog
from nsgflow_core.estate.inventory import Inventory, Nic

Logged = Literal["not-logged", "in-part", "unknown", "twice", "once", "private-endpoint"]
LOGGED: tuple[Logged, ...] = (
    *("not-logged", "in-part", "unknown", "twice", "once", "private-endpoint"),
)
"""What can be said of an interface, the most urgent first."""

NO_FLOW_LOGS = "the inventory knows no flow logs"
_ENDPOINT = "recorded only where traffic to it comes from"

State = Literal["logging", "overridden", "off"]


class Covering(msgspec.Struct, frozen=True):
    """A flow log over an interface; `state` says whether it records it, and if not, why."""

    log: FlowLog
    state: State


class Covered(msgspec.Struct, frozen=True):
    """A network interface and the flow logs over it, the nearest first.

    `id` is its resource id in lower case, `subnet` `group/vnet/subnet`, `nsgs` the ids of its own
    NSG and of its subnet's, where there are such; `because` says what is missing.
    """

    id: str
    nic: Nic
    subnet: str
    nsgs: tuple[str, ...]
    logs: tuple[Covering, ...]
    logged: Logged
    because: str

    @property
    def logging(self) -> list[FlowLog]:
        """The flow logs that record it."""
        return [one.log for one in self.logs if one.state == "logging"]

    @property
    def filtered(self) -> bool | None:
        """Whether flows of it are in no log; None where nobody told, or nothing is recorded."""
        told = [log.filtered for log in self.logging]
        if not told or False in told:
            return False if told else None
        return True if all(told) else None

    @property
    def on_nsg_logs(self) -> bool:
        """Whether it is recorded by NSG logs, which end on 2027-09-30."""
        return any(log.level == "nsg" for log in self.logging)


def coverage(inventory: Inventory, logs: Iterable[FlowLog]) -> Iterator[Covered]:
    """What is recorded of each network interface, in the order of the inventory.

    Without any flow log it is not known: there may be none, or who looked may not see them.
    """
    by_target: dict[str, list[FlowLog]] = {}
    for log in logs:
        by_target.setdefault(log.target, []).append(log)
    layout = inventory.layout
    for number, (nic, resource_id) in enumerate(zip(inventory.nics, layout.nics, strict=True)):
        subnet = inventory.subnet(nic)
        below = f"{subnet.vnet}/subnets/{subnet.name.rpartition('/')[2]}"
        nsgs = tuple(dict.fromkeys(filter(None, inventory.nsgs_of(nic))))
        near = [by_target.get(target, ()) for target in (resource_id, below, subnet.vnet)]
        own = [by_target.get(nsg, ()) for nsg in nsgs]
        covering = (*_nearest(near), *(_alone(log) for found in own for log in found))
        if number in layout.endpoints:
            yield Covered(resource_id, nic, subnet.name, nsgs, (), "private-endpoint", _ENDPOINT)
            continue
        logged, because = _logged(covering, nsgs) if by_target else ("unknown", NO_FLOW_LOGS)
        yield Covered(resource_id, nic, subnet.name, nsgs, covering, logged, because)


def _nearest(levels: Sequence[Sequence[FlowLog]]) -> Iterator[Covering]:
    """VNet flow logs by level, the nearest first: those of one level alone record."""
    overridden = False
    for found in levels:
        for log in found:
            on: State = "overridden" if overridden else "logging"
            yield Covering(log, on if log.enabled else "off")
        overridden = overridden or any(log.enabled for log in found)


def _alone(log: FlowLog) -> Covering:
    return Covering(log, "logging" if log.enabled else "off")


def _logged(covering: Sequence[Covering], nsgs: Sequence[str]) -> tuple[Logged, str]:
    logging = [one.log for one in covering if one.state == "logging"]
    near = [log for log in logging if log.level != "nsg"]
    recorded = {log.target for log in logging if log.level == "nsg"}
    if near and (recorded or len(near) > 1):
        return "twice", ""
    if near:
        return "once", ""
    missing = [nsg.rpartition("/")[2] for nsg in nsgs if nsg not in recorded]
    if recorded and missing:
        return "in-part", f"the NSG {missing[0]} is not logged"
    if recorded:
        return ("once" if len(logging) == len(recorded) else "twice"), ""
    off = [one.log.name for one in covering if one.state == "off"]
    if off:
        return "not-logged", f"the flow log {off[0]} is switched off"
    return "not-logged", "no flow log is over it" + ("" if nsgs else ", and it has no NSG")
