"""Where a flow goes: between hosts of one's own, out to the internet, or in from it. Pure.

An address alone does not tell. A VNet may have a public range, which Azure keeps reachable from
inside only, so its addresses are not the internet
(https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq#what-address-ranges-can-i-use-in-my-virtual-networks).
What tells is the inventory: its VNets, and the sites behind its gateways. Without one the near
end still does: it is the log's own network interface, so what it has is no address of the
internet, and what lies close to a public one of those lies in the same range.
"""

from nsgflow_core.estate import addresses, enrich
from nsgflow_core.estate.inventory import Place
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import Flow

INSIDE = "inside"
OUTBOUND = "outbound"
INTERNET = "internet"
SCOPES = (INSIDE, OUTBOUND, INTERNET)
"""Where a flow goes, what matters first in front: between hosts of one's own, out to the
internet, and in from it."""

_OWN = frozenset(("IntraVNet", "InterVNet", "S2S", "P2S"))
_CLOSE = {4: 16, 6: 80}
"""Addresses are close when only so many of their last bits differ: a /16, as VNets mostly have,
and a /48 in IPv6."""


def scope(flow: Flow, knowledge: Knowledge = NOTHING) -> str:
    """One of SCOPES."""
    source, destination = on_internet(flow, knowledge)
    if source:
        return INTERNET
    return OUTBOUND if destination else INSIDE


def on_internet(flow: Flow, knowledge: Knowledge = NOTHING) -> tuple[bool, bool]:
    """Whether the source, and the destination, of a flow are on the internet."""
    public = addresses.address_class(flow.src), addresses.address_class(flow.dst)
    if addresses.INTERNET not in public:
        return False, False
    near, far = (flow.dst, flow.src) if flow.inbound else (flow.src, flow.dst)
    place = enrich.near_end(flow, near, knowledge)
    here = place is not None and _forwarded(near, place, knowledge)
    there = outside(far, near, knowledge, place)
    return (there, here) if flow.inbound else (here, there)


def outside(
    far: str, near: str, knowledge: Knowledge = NOTHING, place: Place | None = None
) -> bool:
    """Whether a far end is on the internet, seen from a near end and where that is, if known."""
    if addresses.address_class(far) != addresses.INTERNET:
        return False
    seen = enrich.far_end(far, place.vnet if place is not None else "", knowledge)
    if seen.subnet or seen.flow_type in _OWN:
        return False
    if place is not None and place.subnet:  # the whole range of that VNet is known
        return True
    return not _close(far, near) or _is_service(seen.tags)


def _forwarded(near: str, place: Place, knowledge: Knowledge) -> bool:
    """Whether the near end is an address of the internet that its interface only passes on."""
    if not place.subnet or addresses.address_class(near) != addresses.INTERNET:
        return False
    return not enrich.far_end(near, place.vnet, knowledge).subnet


def _close(far: str, near: str) -> bool:
    """Whether an address lies in the public range of a VNet, by an address that is in it."""
    if addresses.address_class(near) != addresses.INTERNET:
        return False
    (version, number), (other, known) = addresses.value(far), addresses.value(near)
    return version == other and number >> _CLOSE[version] == known >> _CLOSE[version]


def _is_service(tags: str) -> bool:
    """Whether service tags name a service of Microsoft's, and not only some place in Azure.

    Which they say in one tag, that no other stands beside.
    """
    return bool(tags) and tags.partition(".")[0] != "AzureCloud"
