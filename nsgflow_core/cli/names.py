"""NSGs by name, as a command is given them: `web-nsg`, `prod-*`, or a resource id; VNets too."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.model import Flow

_VNET = re.compile(r".+/virtualnetworks/([^/]+)(?:/.*)?", re.IGNORECASE)
_ID = re.compile(r"(/subscriptions/.+/networksecuritygroups/)([^/]+)/?", re.IGNORECASE)


def matcher(names: Iterable[str]) -> Callable[[str, str], bool]:
    """Whether an NSG, by its name and its resource id ("" where unknown), is one of these.

    Case makes no difference. No names accept every NSG.
    """
    ids, patterns = set[str](), list[re.Pattern[str]]()
    for name in names:
        if _ID.fullmatch(name.strip()):
            ids.add(name.strip().rstrip("/").lower())
        else:
            patterns.append(re.compile(translate(name.strip()), re.IGNORECASE))
    if not ids and not patterns:
        return lambda _name, _id: True

    def accepts(name: str, resource: str) -> bool:
        return resource.lower() in ids or any(one.fullmatch(name) for one in patterns)

    return accepts


def vnet_name(flow: Flow, inventory: Inventory | None) -> str:
    """The VNet that a VNet flow log is of: as its record says, else by the inventory; else ""."""
    group = flow.group
    if group.record.version != 4:  # noqa: PLR2004 - the VNet format
        return ""
    target = group.record.target
    if inventory is not None and not _VNET.fullmatch(target):
        near = flow.dst if flow.inbound else flow.src
        place = inventory.local(group.mac, target, near)
        target = place.vnet if place is not None else ""
    found = _VNET.fullmatch(target)
    return found[1] if found else ""
