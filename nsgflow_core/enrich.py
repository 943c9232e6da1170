"""What a flow means: names, services, places, its type.

Pure: ids, ports and addresses tell some of it, a snapshot of knowledge the rest; nothing here
asks a service. The registry of service names is IANA's
(https://www.iana.org/assignments/service-names-port-numbers), the first name listed for a
port; it is read at the first row, not at start-up.
"""

from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from nsgflow_core import addresses
from nsgflow_core.inventory import CLIENTS, SITE, Inventory, Place
from nsgflow_core.knowledge import NOTHING, Knowledge
from nsgflow_core.model import Flow

FLOW_TYPES = (
    "IntraVNet",
    "InterVNet",
    "S2S",
    "P2S",
    "AzurePublic",
    "ExternalPublic",
    "UnknownPrivate",
    "Unknown",
)

_ROUTED = frozenset((addresses.INTERNET, addresses.PRIVATE, addresses.CGNAT))
_SERVICES = Path(__file__).with_name("services.json")


@lru_cache(maxsize=4096)
def acl_name(acl_id: str) -> str:
    """The name of an NSG from its resource id, as given; "" when the id is none."""
    head, _, name = acl_id.rstrip("/").rpartition("/")
    return name if head.lower().endswith("/networksecuritygroups") else ""


@cache
def _services() -> dict[str, dict[int, str]]:
    return msgspec.json.decode(_SERVICES.read_bytes(), type=dict[str, dict[int, str]])


def service_name(protocol: str, port: int | None) -> str:
    """The IANA service name of a destination port, "" where there is none."""
    if port is None or protocol not in ("TCP", "UDP"):
        return ""
    return _services()[protocol.lower()].get(port, "")


class Ends(NamedTuple):
    """What is known of a flow's two ends, and what that makes the flow; "" where unknown.

    VMs are `group/name`, subnets `group/vnet/subnet`; service tags are joined by commas.
    """

    flow_type: str
    src_vm: str
    dest_vm: str
    src_subnet: str
    dest_subnet: str
    src_tags: str
    dest_tags: str


def ends(flow: Flow, knowledge: Knowledge = NOTHING) -> Ends:
    """What is known of the ends of a flow."""
    here, there = _sides(flow)
    local, remote = _places(flow, knowledge.inventory)
    kind = _flow_type(there, local, remote, knowledge)
    local_tags = remote_tags = ""
    if (tags := knowledge.tags) is not None:
        local_tags, remote_tags = tags.of(here), tags.of(there)
    vm, subnet = (local.vm, local.subnet) if local is not None else ("", "")
    far_vm, far_subnet = (remote.vm, remote.subnet) if remote is not None else ("", "")
    if flow.outcome.inbound:
        return Ends(kind, far_vm, vm, far_subnet, subnet, remote_tags, local_tags)
    return Ends(kind, vm, far_vm, subnet, far_subnet, local_tags, remote_tags)


def flow_type(flow: Flow, knowledge: Knowledge = NOTHING) -> str:
    """FlowType as Traffic Analytics defines it, as far as it can be told.

    The log's own interface is one side: the destination of an inbound flow, the source of an
    outbound one. The type says what the other side is. Without service tags Azure's public
    addresses cannot be told from others: all but its platform addresses are `ExternalPublic`;
    without an inventory every private address is `UnknownPrivate`.
    https://learn.microsoft.com/azure/network-watcher/traffic-analytics-schema
    """
    _, there = _sides(flow)
    local, remote = _places(flow, knowledge.inventory)
    return _flow_type(there, local, remote, knowledge)


def _sides(flow: Flow) -> tuple[str, str]:
    """The address of the log's own interface, and the other one."""
    return (flow.dst, flow.src) if flow.outcome.inbound else (flow.src, flow.dst)


def _places(flow: Flow, inventory: Inventory | None) -> tuple[Place | None, Place | None]:
    if inventory is None:
        return None, None
    here, there = _sides(flow)
    group = flow.group
    local = inventory.local(group.mac, group.record.target, here)
    return local, inventory.remote(local.vnet if local is not None else "", there)


def _flow_type(other: str, local: Place | None, remote: Place | None, knowledge: Knowledge) -> str:
    kind = addresses.address_class(other)
    if kind == addresses.AZURE_PLATFORM:
        return "AzurePublic"
    if local is not None and remote is not None:
        return "IntraVNet" if local.vnet == remote.vnet else "InterVNet"
    if kind not in _ROUTED:
        return "Unknown"
    if remote is None and (behind := _behind_gateway(other, knowledge.inventory)):
        return behind
    if kind != addresses.INTERNET:
        return "UnknownPrivate"
    in_azure = knowledge.tags is not None and knowledge.tags.of(other)
    return "AzurePublic" if in_azure else "ExternalPublic"


def _behind_gateway(address: str, inventory: Inventory | None) -> str:
    behind = inventory.gateway(address) if inventory is not None else 0
    return {SITE: "S2S", CLIENTS: "P2S"}.get(behind, "")
