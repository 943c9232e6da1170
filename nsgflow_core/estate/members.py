"""Which addresses a service tag or an application security group holds, seen from a VNet.

`VirtualNetwork` is the address space of the VNet, that of its peers, what lies behind its
gateways, the host's address and the prefixes of user-defined routes, and "might also contain
default routes"; `Internet` is what lies outside of it and is public; `AzureLoadBalancer` is the
host's address, where probes come from
(https://learn.microsoft.com/azure/virtual-network/service-tags-overview#available-service-tags).
What Azure makes of the first two shows in effective rules: the host's address is in
`VirtualNetwork`, and private addresses are not in `Internet`
(https://learn.microsoft.com/azure/network-watcher/diagnose-vm-network-traffic-filtering-problem).
All other tags are Microsoft's services, by the prefixes that it publishes. These are public ones,
in every tag (https://www.microsoft.com/download/details.aspx?id=56519), and a private endpoint's
address is in none: that a service's tag does not hold a private address is known without them.

What cannot be told is said in words that name no address, so that one reason covers many flows.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from nsgflow_core.estate import addresses
from nsgflow_core.estate.rules import NOT_TOLD

HOST = "168.63.129.16"
"""https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"""
_HOST_V6 = "fe80::1234:5678:9abc"
_METADATA = "169.254.169.254"

_NOT_PUBLIC = frozenset(
    (
        addresses.PRIVATE,
        addresses.CGNAT,
        addresses.LOOPBACK,
        addresses.LINK_LOCAL,
        addresses.MULTICAST,
        addresses.AZURE_PLATFORM,
    )
)
_MAYBE_INSIDE = frozenset((addresses.PRIVATE, addresses.CGNAT))
"""What may be in a VNet or behind a gateway that nothing is known of."""

_PLATFORM = {
    "azureloadbalancer": frozenset((HOST, _HOST_V6)),
    "azure_loadbalancer": frozenset((HOST, _HOST_V6)),  # as the classic model spells it
    "azureplatformdns": frozenset((HOST,)),
    "azureplatformimds": frozenset((_METADATA,)),
}
_SERVICE = re.compile(
    r"(?!azure_?platform|azure_?loadbalancer|internet|virtual_?network)[a-z][a-z0-9]*(\.[a-z0-9_]+)*"
)
"""Names of services' tags in lower case; what stands for addresses of the platform or of networks,
or may some day, is none."""
_VNET = frozenset(("virtualnetwork", "virtual_network"))
_INTERNET = "internet"


class Tags(Protocol):
    """Service tags; `service_tags.ServiceTags` is the real one."""

    def holds(self, tag: str, address: str) -> bool | None:
        """Whether a tag holds a canonical address; None where there is no such tag."""


class Space(Protocol):
    """What the tag `VirtualNetwork` holds, seen from one subnet."""

    def holds(self, address: str) -> bool | str:
        """Whether it holds a canonical address; a text says why nobody knows."""

    def assumed(self, address: str, *, inside: bool) -> bool:
        """Whether it holds an address, where one is told of the doubtful ones."""

    def learn(self, address: str, *, inside: bool) -> bool:
        """Take in what a log tells of an address; whether that was new."""

    def own(self, address: str) -> bool:
        """Take in that an address is an interface's own; whether that was new."""

    def keep(self, most: int) -> None:
        """Forget what logs told where that is of more addresses."""


class Learned:
    """What logs tell of addresses that nothing else tells of.

    A log that names the default rule `AllowVnetInBound` says that the far end is in
    `VirtualNetwork`, and one that names a default rule behind it that it is not. Where logs
    disagree, as before and after a peering, nothing is known. The near end is always inside.
    """

    DISPUTED = "logs disagree on whether VirtualNetwork holds the address"

    def __init__(self) -> None:
        self._own: set[str] = set()
        self._told: dict[str, bool | str] = {}

    def learn(self, address: str, *, inside: bool) -> bool:
        """As `Space` says."""
        known = self._told.get(address)
        if known is None:
            self._told[address] = inside
        elif known is not inside and known != self.DISPUTED:
            self._told[address] = self.DISPUTED
        else:
            return False
        return True

    def own(self, address: str) -> bool:
        """As `Space` says."""
        if address in self._own:
            return False
        self._own.add(address)
        return True

    def keep(self, most: int) -> None:
        """As `Space` says."""
        if len(self._own) + len(self._told) > most:
            self._own.clear()
            self._told.clear()

    def told(self, address: str) -> bool | str | None:
        """What logs tell, or that they disagree; None where they tell nothing."""
        return True if address in self._own else self._told.get(address)


class UnknownSpace(Learned):
    """The space of a VNet that nothing is known of, but what logs tell.

    Public addresses are taken to be outside: a VNet that uses some is known by its inventory.
    """

    def __init__(
        self, why: str = "there is no inventory to tell what VirtualNetwork holds"
    ) -> None:
        super().__init__()
        self._why = why

    def holds(self, address: str) -> bool | str:
        """As `Space` says."""
        if address == HOST:
            return True
        if (told := self.told(address)) is not None:
            return told
        return self._why if addresses.address_class(address) in _MAYBE_INSIDE else False

    def assumed(self, address: str, *, inside: bool) -> bool:
        """As `Space` says."""
        return address == HOST or address in self._own or inside


class Assumed(Learned):
    """A space, where one flow's log tells which of the doubtful addresses it holds."""

    def __init__(self, space: Space, *, inside: bool) -> None:
        super().__init__()
        self._space, self._inside = space, inside

    def holds(self, address: str) -> bool:
        """As `Space` says."""
        return self._space.assumed(address, inside=self._inside)

    def assumed(self, address: str, *, inside: bool) -> bool:
        """As `Space` says."""
        return self._space.assumed(address, inside=inside)


class Group(NamedTuple):
    """An application security group: the VNet of its NICs, "" where it has none; addresses."""

    vnet: str
    addresses: frozenset[str]


class Members:
    """What tags and groups hold, seen from a subnet.

    `groups` are the application security groups that are known, by lower-case id, None where
    there is no inventory; `reachable` are the VNets whose groups count, None for all.
    """

    def __init__(
        self,
        space: Space,
        tags: Tags | None = None,
        groups: Mapping[str, Group] | None = None,
        reachable: frozenset[str] | None = None,
    ) -> None:
        self.space = space
        self._tags = tags
        self._groups = groups
        self._reachable = reachable

    def holds(self, prefix: str, address: str) -> bool | str:
        """Whether a tag or group holds a canonical address; a text says why nobody knows."""
        name = prefix.casefold()
        if name.startswith("/"):
            return self._in_group(name, address)
        if name in _VNET:
            return self.space.holds(address)
        if name == _INTERNET:
            return self._on_the_internet(address)
        if (known := _PLATFORM.get(name)) is not None:
            return address in known
        return self._in_service(prefix, address)

    def assuming(self, *, inside: bool) -> "Members":
        """The same, where the doubtful addresses are in `VirtualNetwork`, or are not."""
        space = Assumed(self.space, inside=inside)
        return Members(space, self._tags, self._groups, self._reachable)

    def _in_service(self, tag: str, address: str) -> bool | str:
        if tag.startswith("["):
            return f"the file has an expression, {tag}, which only Azure evaluates"
        if tag == NOT_TOLD:
            return "the file does not tell all addresses of a rule"
        if networks := addresses.cidrs(tag):
            return f"{tag} is no prefix: a range is written as CIDR, {networks}"
        answer = None if self._tags is None else self._tags.holds(tag, address)
        if answer is not None:
            return answer
        private = addresses.address_class(address) == addresses.PRIVATE
        if private and _SERVICE.fullmatch(tag.casefold()):
            return False
        lacking = "there are no service tags to tell what {} holds"
        return (lacking if self._tags is None else "the service tags have no {}").format(tag)

    def _on_the_internet(self, address: str) -> bool | str:
        if addresses.address_class(address) in _NOT_PUBLIC:
            return False
        inside = self.space.holds(address)
        return inside if isinstance(inside, str) else not inside

    def _in_group(self, group: str, address: str) -> bool | str:
        name = group.rpartition("/")[2]
        if self._groups is None:
            return f"there is no inventory to tell who is in application security group {name}"
        if (found := self._groups.get(group)) is None:
            return f"the inventory lacks application security group {name}"
        if self._reachable is not None and found.vnet not in self._reachable:
            return False
        return address in found.addresses
