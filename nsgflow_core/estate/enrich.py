"""What a flow means: names, services, places, its type.

Pure: ids, ports and addresses tell some of it, a snapshot of knowledge the rest; nothing here
asks a service. The registry of service names is IANA's
(https://www.iana.org/assignments/service-names-port-numbers), the first name listed for a
port; it is read at the first row, not at start-up.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from nsgflow_core.caches import LONGEST_ID, cache_short
from nsgflow_core.estate import addresses
from nsgflow_core.estate.inventory import CLIENTS, SITE, Place, vnet_of
from nsgflow_core.estate.knowledge import NOTHING, FarEnd, Knowledge
from nsgflow_core.estate.namesakes import full_name
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

VM, SUBNET = 2, 3
"""Parts of the names of VMs (`group/name`) and subnets (`group/vnet/subnet`)."""
_BEHIND_GATEWAY = {SITE: "S2S", CLIENTS: "P2S"}
_MOST_SEEN = 32_768
_ROUTED = frozenset((addresses.INTERNET, addresses.PRIVATE, addresses.CGNAT))
_CALLED = {"rdp": "ms-wbt-server", "mssql": "ms-sql-s", "dns": "domain", "smb": "microsoft-ds"}
"""What people call services that the registry calls otherwise."""
_SERVICES = Path(__file__).with_name("services.json")


@cache_short(4096, LONGEST_ID)
def acl_name(acl_id: str) -> str:
    """The name of an NSG from its resource id, as given; "" when the id is none."""
    head, _, name = acl_id.rstrip("/").rpartition("/")
    return name if head.lower().endswith("/networksecuritygroups") else ""


@cache
def _services() -> dict[str, dict[int, str]]:
    return msgspec.json.decode(_SERVICES.read_bytes(), type=dict[str, dict[int, str]])


def service_names(protocol: str) -> Mapping[int, str]:
    """The IANA service names of a protocol's ports; none for what is neither TCP nor UDP."""
    return _services().get(protocol.lower(), {})


def service_name(protocol: str, port: int | None) -> str:
    """The IANA service name of a destination port, "" where there is none."""
    return "" if port is None else service_names(protocol).get(port, "")


def port_of(name: str) -> int | None:
    """The lowest TCP or UDP port that IANA's registry gives a service; None where there is none."""
    wanted = _CALLED.get(name.lower(), name.lower())
    ports = (each for names in _services().values() for each in names.items())
    return min((port for port, service in ports if service == wanted), default=None)


class Ends(msgspec.Struct, frozen=True, gc=False):
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
    """What is known of the ends of a flow.

    The log's own interface is one end: the destination of an inbound flow, the source of an
    outbound one.
    """
    inbound = flow.inbound
    here, there = (flow.dst, flow.src) if inbound else (flow.src, flow.dst)
    local = near_end(flow, here, knowledge)
    far = far_end(there, local.vnet if local is not None else "", knowledge)
    own = _tags(here, knowledge)
    vm, subnet = (local.vm, local.subnet) if local is not None else ("", "")
    if inbound:
        return Ends(far.flow_type, far.vm, vm, far.subnet, subnet, far.tags, own)
    return Ends(far.flow_type, vm, far.vm, subnet, far.subnet, own, far.tags)


def flow_type(flow: Flow, knowledge: Knowledge = NOTHING) -> str:
    """FlowType as Traffic Analytics defines it, as far as it can be told.

    The type says what the far end is. Without service tags Azure's public addresses cannot be
    told from others: all but its platform addresses are `ExternalPublic`; without an inventory
    every private address is `UnknownPrivate`.
    https://learn.microsoft.com/azure/network-watcher/traffic-analytics-schema
    """
    here, there = (flow.dst, flow.src) if flow.inbound else (flow.src, flow.dst)
    if knowledge is NOTHING:
        return TYPES_ALONE[addresses.address_class(there)]
    local = near_end(flow, here, knowledge)
    return far_end(there, local.vnet if local is not None else "", knowledge).flow_type


def near_end(flow: Flow, here: str, knowledge: Knowledge) -> Place | None:
    """Where the log's own interface is, which has the address `here`; None where unknown."""
    inventory = knowledge.inventory
    if inventory is None:
        return None
    return inventory.local(flow.group.mac, flow.group.record.target, here)


def vms(flow: Flow, knowledge: Knowledge) -> list[str]:
    """The VMs of both ends that are known, each as `subscription/group/name`."""
    return [full for vm, _, vnet in _places(flow, knowledge) if (full := whole_name(vm, vnet, VM))]


def subnets(flow: Flow, knowledge: Knowledge) -> list[str]:
    """The subnets of both ends that are known, each as `subscription/group/vnet/subnet`."""
    return [
        full
        for _, name, vnet in _places(flow, knowledge)
        if (full := whole_name(name, vnet, SUBNET))
    ]


def vnets(flow: Flow, knowledge: Knowledge) -> list[str]:
    """The VNets of both ends that are known, each as `subscription/group/name`.

    A VNet flow log that is of a VNet, or of a subnet, tells the near end's itself.
    """
    return [full_name(vnet) for _, _, vnet in _places(flow, knowledge) if vnet]


def names(flow: Flow, knowledge: Knowledge) -> tuple[list[str], list[str]]:
    """VM and subnet of the source, and of the destination, with the subscription in front."""
    near, far = (
        [whole_name(vm, vnet, VM), whole_name(subnet, vnet, SUBNET)]
        for vm, subnet, vnet in _places(flow, knowledge)
    )
    return (far, near) if flow.inbound else (near, far)


def _places(flow: Flow, knowledge: Knowledge) -> tuple[tuple[str, str, str], ...]:
    """VM, subnet and VNet (by id) of the near end and of the far one; "" where not known."""
    here, there = (flow.dst, flow.src) if flow.inbound else (flow.src, flow.dst)
    near = near_end(flow, here, knowledge)
    if near is None:
        near = Place("", "", vnet_of(flow.group.record.target))
    far = far_end(there, near.vnet, knowledge)
    return (near.vm, near.subnet, near.vnet), (far.vm, far.subnet, far.vnet)


def whole_name(name: str, vnet: str, parts: int) -> str:
    """A name with the subscription in front, that of the VNet (by id) it is in; "" is none.

    Without it there are `VM` or `SUBNET` parts.
    """
    if not name or name.count("/") >= parts:
        return name
    return f"{full_name(vnet).partition('/')[0]}/{name}"


def tags(flow: Flow, knowledge: Knowledge) -> list[str]:
    """The service tags of both ends."""
    if knowledge.tags is None:
        return []
    found = (tag for ip in (flow.src, flow.dst) for tag in _tags(ip, knowledge).split(","))
    return [tag for tag in found if tag]


def _tags(address: str, knowledge: Knowledge) -> str:
    """Service tags; only what is on the internet has any."""
    tags = knowledge.tags
    if tags is None or addresses.address_class(address) != addresses.INTERNET:
        return ""
    return tags.of(address)


def far_end(address: str, vnet: str, knowledge: Knowledge) -> FarEnd:
    """The far end of a flow, as seen from a VNet ("" where that is not known)."""
    far = knowledge.seen.get((vnet, address))
    if far is None:
        far = _look_up(address, vnet, knowledge)
        if len(knowledge.seen) >= _MOST_SEEN:
            knowledge.seen.clear()
        knowledge.seen[vnet, address] = far
    return far


def _look_up(address: str, vnet: str, knowledge: Knowledge) -> FarEnd:
    inventory = knowledge.inventory
    kind = addresses.address_class(address)
    place = inventory.remote(vnet, address) if inventory is not None else None
    tags = ""
    if kind == addresses.INTERNET and knowledge.tags is not None:
        tags = knowledge.tags.of(address)
    if place is None:
        behind = inventory.gateway(address) if inventory is not None and kind in _ROUTED else 0
        return FarEnd(_type_of(kind, behind, tags), "", "", tags)
    if vnet and kind != addresses.AZURE_PLATFORM:
        flow_type = "IntraVNet" if place.vnet == vnet else "InterVNet"
    else:
        flow_type = _type_of(kind, 0, tags)
    return FarEnd(flow_type, place.vm, place.subnet, tags, place.vnet)


def _type_of(kind: str, behind: int, tags: str) -> str:
    """The type by a far end in no VNet we know: its class, gateway and service tags."""
    if kind == addresses.AZURE_PLATFORM:
        return "AzurePublic"
    if kind not in _ROUTED:
        return "Unknown"
    if behind:
        return _BEHIND_GATEWAY[behind]
    if kind != addresses.INTERNET:
        return "UnknownPrivate"
    return "AzurePublic" if tags else "ExternalPublic"


TYPES_ALONE = {kind: _type_of(kind, 0, "") for kind in addresses.CLASSES}
"""The type of a flow by the class of its far end, where nothing else is known."""
