"""How an estate is put together, as far as rules depend on it: VNets, groups, admin rules.

resource_graph.py fills it in; it is kept with the inventory, packed apart, since only people and
digests ask for it. Resource ids are lower case, and prefixes are as Azure writes them.
"""

import msgspec

from nsgflow_core.estate import addresses
from nsgflow_core.estate.members import HOST, Group, Learned, Space, UnknownSpace
from nsgflow_core.estate.ranges import Network, Ranges, network, pack
from nsgflow_core.estate.rules import Rule

_PRIVATE = frozenset((addresses.PRIVATE, addresses.CGNAT))


class Peering(msgspec.Struct, frozen=True, array_like=True):
    """A peering, from one of its VNets.

    `open` says that the other VNet counts as `VirtualNetwork` (it is connected and traffic is not
    blocked, https://learn.microsoft.com/azure/virtual-network/virtual-network-manage-peering);
    `gateway`, that its gateways are used.
    """

    remote: str
    prefixes: tuple[str, ...]
    open: bool
    gateway: bool


class Vnet(msgspec.Struct, frozen=True, array_like=True):
    """A VNet: its address space, its peerings, and what lies behind gateways of its own.

    `learned` says why more may be reachable than is written anywhere, "" where nothing is: routes
    of ExpressRoute and BGP, and of a mesh, are in no resource.
    """

    prefixes: tuple[str, ...]
    peerings: tuple[Peering, ...] = ()
    behind: tuple[str, ...] = ()
    learned: str = ""


class AdminRules(msgspec.Struct, frozen=True, array_like=True):
    """Security admin rules of one configuration that are in force, by the rule collection.

    `tier` is 0 where the network manager has a management group in its scope, 1 where it has
    subscriptions alone: of two managers the one of the higher scope is right
    (https://learn.microsoft.com/azure/virtual-network-manager/concept-network-manager-scope).
    """

    configuration: str
    name: str
    tier: int
    collections: dict[str, tuple[Rule, ...]]


class Layout(msgspec.Struct, frozen=True):
    """What rules depend on.

    `groups` are application security groups by id, with VNet and addresses of their members;
    `routes` has the prefixes of the route table of each subnet, in the order of the inventory's;
    `admin` the configurations in force, and `admin_of` which collections of them each VNet has;
    `nics` has the ids of the NICs, in the order of the inventory's, and `endpoints` the numbers
    of those that belong to private endpoints; `tables` has the id of the route table of each
    subnet, "" where it has none.
    """

    vnets: dict[str, Vnet] = {}
    groups: dict[str, tuple[str, tuple[str, ...]]] = {}
    routes: list[tuple[str, ...]] = []
    admin: list[AdminRules] = []
    admin_of: dict[str, tuple[str, ...]] = {}
    nics: list[str] = []
    endpoints: frozenset[int] = frozenset()
    tables: list[str] = []

    def members_of_groups(self) -> dict[str, Group]:
        """The application security groups, ready to be asked."""
        return {
            group: Group(vnet, frozenset(found)) for group, (vnet, found) in self.groups.items()
        }

    def peers(self, vnet: str) -> frozenset[str]:
        """A VNet and those whose hosts it reaches by peering."""
        known = self.vnets.get(vnet)
        found = [peering.remote for peering in known.peerings if peering.open] if known else []
        return frozenset((vnet, *found))

    def space(self, vnet: str, subnet: int = -1) -> Space:
        """What the tag `VirtualNetwork` holds, seen from a subnet (its number) of a VNet."""
        known = self.vnets.get(vnet)
        if known is None:
            return UnknownSpace("the inventory does not tell what VirtualNetwork holds here")
        routes = self.routes[subnet] if 0 <= subnet < len(self.routes) else ()
        texts = [*known.prefixes, *known.behind, HOST, *routes]
        learned = [known.learned]
        for peering in known.peerings:
            if not peering.open:
                continue
            texts += peering.prefixes
            if peering.gateway:
                hub = self.vnets.get(peering.remote)
                texts += hub.behind if hub is not None else ()
                learned.append(
                    hub.learned
                    if hub is not None
                    else "the inventory lacks a peer whose gateways this VNet uses"
                )
        return VnetSpace(texts, next(filter(None, learned), ""))


class VnetSpace(Learned):
    """The tag `VirtualNetwork`, from prefixes, and `learned` as a `Vnet` has it."""

    def __init__(self, prefixes: list[str], learned: str) -> None:
        super().__init__()
        nets: dict[Network, int] = {}
        self._by_default = ""
        for text in prefixes:
            net = network(text)
            if net.prefixlen:
                nets[net] = 1
            else:
                self._by_default = (
                    "the subnet has a default route, which VirtualNetwork may or may not hold"
                )
        self._ranges = Ranges(pack(nets))
        self._learned = learned

    def holds(self, address: str) -> bool | str:
        """Whether the tag holds a canonical address; a text says why nobody knows."""
        known = self._by_prefix(address)
        if isinstance(known, bool):
            return known
        told = self.told(address)
        return known if told is None else told

    def assumed(self, address: str, *, inside: bool) -> bool:
        """Whether the tag holds an address, where one is told of the doubtful ones."""
        known = self._by_prefix(address)
        return known if isinstance(known, bool) else address in self._own or inside

    def _by_prefix(self, address: str) -> bool | str:
        if self._ranges.at(*addresses.value(address)):
            return True
        if self._by_default:
            return self._by_default
        if self._learned and addresses.address_class(address) in _PRIVATE:
            return self._learned
        return False
