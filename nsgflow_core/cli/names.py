"""Names: NSGs as they are asked for (`web-nsg`, `prod-*`, a resource id), VNets, ends of flows.

An end is called by its VM (`group/name`), else by its subnet (`group/vnet/subnet`), beside its
address and never in its place: an address is what one can look for elsewhere.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from typing import Any

from nsgflow_core.estate import enrich
from nsgflow_core.estate.inventory import Inventory, vnet_of
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.namesakes import Namesakes, full_name
from nsgflow_core.logs.path import LogPath
from nsgflow_core.model import Flow

_VNET = re.compile(r".+/virtualnetworks/([^/]+)(?:/.*)?", re.IGNORECASE)
_ID = re.compile(r"/subscriptions/.+/(?:networksecuritygroups|flowlogs)/[^/]+/?", re.IGNORECASE)
_FLOW_LOG = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/providers/microsoft\.network"
    r"/networkwatchers/([^/]+)/flowlogs/([^/]+)"
)


def matcher(names: Iterable[str]) -> Callable[[str, str], bool]:
    """Whether an NSG or VNet flow log, by name and resource id ("" if unknown), is one of these.

    A name may have the resource group in front. Case makes no difference. No names accept every
    NSG.
    """
    ids, patterns, placed = set[str](), list[re.Pattern[str]](), list[re.Pattern[str]]()
    for name in names:
        if _ID.fullmatch(name.strip()):
            ids.update(ids_in_paths(name.strip().rstrip("/").lower()))
        elif "/" in name:
            placed.append(re.compile(f"(?:.*/)?{translate(name.strip())}", re.IGNORECASE))
        else:
            patterns.append(re.compile(translate(name.strip()), re.IGNORECASE))
    if not ids and not patterns and not placed:
        return lambda _name, _id: True

    def accepts(name: str, resource: str) -> bool:
        return (
            resource.lower() in ids
            or any(one.fullmatch(name) for one in patterns)
            or any(one.fullmatch(full_name(resource)) for one in placed)
        )

    return accepts


def meant(names: Iterable[str], inventory: Inventory | None) -> list[str]:
    """NSGs as they are asked for, with the ids of those that are asked for by a known GUID."""
    asked = list(names)
    known = map(inventory.acl, asked) if inventory is not None else ()
    return [*asked, *(acl.id for acl in known if acl is not None)]


def ids_in_paths(resource: str) -> tuple[str, ...]:
    """A resource id in lower case, in the forms that paths of logs and flows have it in."""
    if parts := _FLOW_LOG.fullmatch(resource):
        subscription, group, watcher, name = parts.groups()
        return resource, f"/{subscription}_{group}/{watcher}_{name}"
    return (resource,)


def nsgs(inventory: Inventory | None) -> Namesakes:
    """The NSGs of an inventory, to tell those of one name apart."""
    return Namesakes(inventory.acl_names() if inventory is not None else {})


def vnets(inventory: Inventory | None) -> Namesakes:
    """The same of its VNets."""
    return Namesakes(inventory.vnet_names() if inventory is not None else {})


def vnet_name(flow: Flow, inventory: Inventory | None) -> str:
    """The VNet of a flow's near end: as a VNet flow log says, else by the inventory; else ""."""
    return vnet_id(flow, inventory).rpartition("/")[2]


def vnet_id(flow: Flow, inventory: Inventory | None) -> str:
    """The same by its id."""
    group = flow.group
    target = group.record.target
    if inventory is not None and not _VNET.fullmatch(target):
        place = inventory.local(group.mac, target, near(flow))
        target = place.vnet if place is not None else ""
    return vnet_of(target)


def near(flow: Flow) -> str:
    """The address of the interface that a flow's log is of."""
    return flow.dst if flow.inbound else flow.src


def vnet_of_interface(mac: str, target: str, inventory: Inventory | None) -> str:
    """The VNet of a network interface by id, as a VNet flow log or the inventory says; else ""."""
    if vnet := vnet_of(target.lower()):
        return vnet
    nic = inventory.nic(mac) if inventory is not None else None
    return inventory.subnet(nic).vnet if nic is not None and inventory is not None else ""


def interface_names(log: LogPath, inventory: Inventory) -> dict[str, Any]:
    """What the interface of a log is: `vm`, `subnet`, and `nsgs`, a list of names; else empty."""
    nic = inventory.nic(log.mac)
    if nic is None:
        return {"vm": "", "subnet": "", "nsgs": []}
    nsgs = dict.fromkeys(inventory.nsg_shown(one) for one in inventory.nsgs_of(nic) if one)
    return {"vm": nic.vm, "subnet": inventory.subnet(nic).name, "nsgs": list(nsgs)}


def joined(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose lists of names are texts, for tables and CSV."""
    return {key: " ".join(one) if isinstance(one, list) else one for key, one in row.items()}


def log_fits(
    log: LogPath, accepts: Callable[[str, str], bool], inventory: Inventory | None
) -> bool:
    """Whether a log is of what is asked for: by its path, or an NSG that its interface is under."""
    if accepts(_last(log.resource), log.resource):
        return True
    nsgs = inventory.nsgs(log.mac) if inventory is not None else ()
    return any(accepts(_last(one), one) for one in nsgs)


def _last(resource: str) -> str:
    return resource.rpartition("/")[2]


def acl_shown(acl_id: str, inventory: Inventory | None) -> tuple[str, str]:
    """An NSG as flows have it, by its v4 aclID: its name where it is known, and its id.

    Each is the aclID where it is not known.
    """
    if inventory is not None and (known := inventory.acl(acl_id)) is not None:
        return known.name, known.id
    return enrich.acl_name(acl_id) or acl_id, acl_id


def end_names(flow: Flow, knowledge: Knowledge) -> tuple[str, str]:
    """What source and destination are called, "" where the inventory does not know."""
    if knowledge.inventory is None:
        return "", ""
    near, far = (flow.dst, flow.src) if flow.inbound else (flow.src, flow.dst)
    local = enrich.near_end(flow, near, knowledge)
    remote = enrich.far_end(far, local.vnet if local is not None else "", knowledge)
    here = (local.vm or local.subnet) if local is not None else ""
    there = remote.vm or remote.subnet
    return (there, here) if flow.inbound else (here, there)


def labelled(address: str, name: str) -> str:
    """An address and what is called so."""
    return f"{address} ({name})" if name else address


def remark(flow: Flow, knowledge: Knowledge) -> str:
    """Both ends by name, behind the line of a flow; "" where neither is known."""
    source, destination = end_names(flow, knowledge)
    if not source and not destination:
        return ""
    return f" # {source or flow.src} > {destination or flow.dst}"


def address_name(address: str, inventory: Inventory | None) -> str:
    """What an address is called, wherever it is seen from; "" where it is in several places."""
    place = inventory.remote("", address) if inventory is not None else None
    return (place.vm or place.subnet) if place is not None else ""
