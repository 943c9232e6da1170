"""The inventory: which VM and subnet an address belongs to, and what an ACL's GUID stands for.

resource_graph.py fills it; here it is looked up, without I/O. Addresses are canonical, MACs are 12
upper-case hex digits, resource ids and the names made from them are lower case, since Azure's
services do not agree on the case of one id.
"""

import sys
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from nsgflow_core.caches import LONGEST_ID, cache_short
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import addresses
from nsgflow_core.estate.layout import Layout
from nsgflow_core.estate.namesakes import Namesakes, told_apart
from nsgflow_core.estate.ranges import NOTHING, Network, PackedRanges, Ranges, network, pack
from nsgflow_core.estate.rules import Rule

SITE, CLIENTS = 1, 2
"""Values of the ranges behind gateways: sites of a VPN, and the pools of its clients."""
AMBIGUOUS = 1
"""Value of the range of subnets for what lies in more than one VNet; subnet i has i + 2."""

_VNET = "/virtualnetworks/"
_VM_PARTS, _SUBNET_PARTS = 2, 3
"""Parts of the names of VMs and subnets, the subscription left out."""


class Nic(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A network interface.

    `vm` is `group/name`, "" where none is attached; where two subscriptions have such a one, a
    loaded inventory has the subscription in front. `subnet` counts the subnets and `nsg` the NSGs
    of the inventory (-1: none); `addresses` are private and public.
    """

    mac: str
    vm: str
    subnet: int
    nsg: int
    addresses: tuple[str, ...]


class Subnet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A subnet: `name` is `group/vnet/subnet`, `vnet` the id of its VNet, `nsg` as of a NIC.

    Where two subscriptions have such a one, a loaded inventory has the subscription in front.
    """

    name: str
    vnet: str
    nsg: int


class Acl(NamedTuple):
    """What a GUID in a flow log stands for: an NSG, or something of a network manager."""

    id: str
    name: str


class Stored(msgspec.Struct, frozen=True):
    """The inventory as it is kept.

    `prefixes` maps VNets to their prefixes and the subnet of each; `subnet_ranges` and
    `gateway_ranges` say which subnet or gateway alone has an address; `rules` and `layout` are
    packed apart because only people and digests ask for them.
    """

    nics: list[Nic]
    subnets: list[Subnet]
    nsgs: list[str]
    prefixes: dict[str, dict[str, int]]
    subnet_ranges: PackedRanges
    gateway_ranges: PackedRanges
    acls: dict[str, Acl]
    rules: bytes
    layout: bytes


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where an address is: `vm` and `subnet` are "" where only the VNet is known."""

    vm: str
    subnet: str
    vnet: str


class Inventory:
    """A loaded inventory."""

    def __init__(self, packed: bytes) -> None:
        """Load what `pack_inventory` made.

        Raises:
            BadInputError: these bytes are something else.
        """
        try:
            self._stored = stored = msgspec.msgpack.decode(packed, type=Stored)
            self._subnet_ranges = Ranges(stored.subnet_ranges)
            self._gateway_ranges = Ranges(stored.gateway_ranges)
        except ValueError as exc:  # which msgspec's errors and those of encodings are
            raise BadInputError(f"not an inventory: {exc}") from exc
        # Few VNets are named by many subnets: one text for each makes comparing them cheap.
        self._subnets = [
            Subnet(subnet.name, sys.intern(subnet.vnet), subnet.nsg) for subnet in stored.subnets
        ]
        self._nics: Sequence[Nic] = stored.nics
        if len({_subscription(subnet) for subnet in self._subnets}) > 1:
            self._nics, self._subnets = _told_apart(stored.nics, self._subnets)
        self._by_mac = {nic.mac: nic for nic in self._nics}
        self._nsgs_apart: Namesakes | None = None
        self._acls_by_id: dict[str, Acl] | None = None
        self._local: dict[str, Place] = {}
        self._by_address: dict[str, Nic] = {}
        self._sharing: dict[str, list[Nic]] = {}
        for nic in self._nics:
            for address in nic.addresses:
                first = self._by_address.setdefault(address, nic)
                if first is not nic:
                    self._sharing.setdefault(address, [first]).append(nic)
        self._vnet_ranges = lru_cache(maxsize=1024)(self._ranges_of_vnet)
        self._layout: Layout | None = None
        self._rules: dict[str, msgspec.Raw] | None = None

    def __len__(self) -> int:
        """The number of network interfaces."""
        return len(self._nics)

    def local(self, mac: str, target: str, address: str) -> Place | None:
        """The side of a flow that the log is of.

        By MAC where it is known; else by address, in the VNet that the log covers if it names
        one (`target` is a lower-case resource id).
        """
        place = self._local.get(mac)
        if place is not None:
            return place
        nic = self._by_mac.get(mac) if mac else None
        if nic is not None:
            return self._local.setdefault(mac, self._place(nic))
        vnet = vnet_of(target)
        found = self.remote(vnet, address)
        if vnet and (found is None or found.vnet != vnet):
            return Place("", "", vnet)
        return found

    def remote(self, vnet: str, address: str) -> Place | None:
        """The side of a flow that is seen from a VNet ("": from one that is not known).

        What lies in that VNet comes first; elsewhere an address counts only when it is in one
        place alone, since VNets may use the same addresses.
        """
        nic, subnets = self._by_address.get(address), self._subnets
        sharing: Sequence[Nic] = ()
        if nic is not None:
            if subnets[nic.subnet].vnet == vnet:
                return self._place(nic)
            sharing = self._sharing.get(address, ())
            for other in sharing:
                if subnets[other.subnet].vnet == vnet:
                    return self._place(other)
        number = addresses.value(address)
        at = self._subnet_ranges.at(*number)
        if at == AMBIGUOUS and vnet in self._stored.prefixes:
            at = self._vnet_ranges(vnet).at(*number) or at
        if at > AMBIGUOUS and (subnets[at - 2].vnet == vnet or nic is None):
            return Place("", subnets[at - 2].name, subnets[at - 2].vnet)
        return self._place(nic) if nic is not None and not sharing else None

    def gateway(self, address: str) -> int:
        """`SITE` or `CLIENTS` when the address lies behind a gateway, else 0."""
        return self._gateway_ranges.at(*addresses.value(address))

    def acl(self, acl_id: str) -> Acl | None:
        """What v4's `aclID` stands for, a GUID or a resource id, when the inventory has it."""
        wanted = acl_id.lower()
        if not wanted.startswith("/"):
            return self._stored.acls.get(wanted)
        if self._acls_by_id is None:
            self._acls_by_id = {acl.id: acl for acl in self._stored.acls.values()}
        return self._acls_by_id.get(wanted)

    def acl_names(self) -> dict[str, str]:
        """The names of all that GUIDs stand for, by ids."""
        return dict(self._stored.acls.values())

    def nsg_shown(self, nsg: str) -> str:
        """How to say an NSG by its id: those that share a name are told apart."""
        if self._nsgs_apart is None:
            self._nsgs_apart = Namesakes(self.acl_names())
        return self._nsgs_apart.shown(nsg, nsg.rpartition("/")[2])

    def vnet_names(self) -> dict[str, str]:
        """The names of all VNets that have subnets, by ids."""
        return {subnet.vnet: subnet.vnet.rpartition("/")[2] for subnet in self._subnets}

    @property
    def subnets(self) -> Sequence[Subnet]:
        """Every subnet."""
        return self._subnets

    def nsgs(self, mac: str) -> tuple[str, ...]:
        """The ids of the NSGs that a network interface is under: its own and its subnet's."""
        nic = self._by_mac.get(mac)
        return () if nic is None else tuple(filter(None, self.nsgs_of(nic)))

    def nsgs_of(self, nic: Nic) -> tuple[str, str]:
        """The ids of a network interface's own NSG and of its subnet's, "" where there is none."""
        nsgs = self._stored.nsgs
        own, shared = nic.nsg, self._subnets[nic.subnet].nsg
        return nsgs[own] if own >= 0 else "", nsgs[shared] if shared >= 0 else ""

    def nic(self, mac: str) -> Nic | None:
        """The network interface with a MAC."""
        return self._by_mac.get(mac) if mac else None

    def nics_at(self, address: str) -> Sequence[Nic]:
        """The network interfaces that have an address, private or public; several in twin VNets."""
        nic = self._by_address.get(address)
        return () if nic is None else self._sharing.get(address, (nic,))

    @property
    def nics(self) -> Sequence[Nic]:
        """Every network interface; `layout.nics` has their ids in the same order."""
        return self._nics

    def number(self, nic: Nic) -> int:
        """The place of a network interface in `nics`."""
        return self._nics.index(nic)

    def subnet(self, nic: Nic) -> Subnet:
        """The subnet of a network interface."""
        return self._subnets[nic.subnet]

    def prefixes_of(self, subnet: int) -> list[str]:
        """The prefixes of a subnet, by its number, as a NIC has it."""
        known = self._stored.prefixes.get(self._subnets[subnet].vnet, {})
        return [text for text, number in known.items() if number == subnet]

    def nsg_ids(self) -> Sequence[str]:
        """The NSGs whose rules are known, by id."""
        return [owner for owner in self._all_rules() if "/networksecuritygroups/" in owner]

    @property
    def layout(self) -> Layout:
        """How the estate is put together; unpacked when it is first asked for."""
        if self._layout is None:
            self._layout = msgspec.msgpack.decode(zlib.decompress(self._stored.layout), type=Layout)
        return self._layout

    def rules(self, acl_group: str) -> tuple[Rule, ...]:
        """The rules of an NSG, or below a resource of a network manager, by its id."""
        wanted = acl_group.lower()
        kept = self._all_rules()
        if (own := kept.get(wanted)) is not None:
            return msgspec.msgpack.decode(own, type=tuple[Rule, ...])
        below = f"{wanted}/"
        return tuple(
            rule
            for owner, rules in kept.items()
            if owner.startswith(below)
            for rule in msgspec.msgpack.decode(rules, type=tuple[Rule, ...])
        )

    def _all_rules(self) -> dict[str, msgspec.Raw]:
        """The rules by their owners, each packed: an estate has tens of thousands."""
        if self._rules is None:
            self._rules = msgspec.msgpack.decode(
                zlib.decompress(self._stored.rules), type=dict[str, msgspec.Raw]
            )
        return self._rules

    def _place(self, nic: Nic) -> Place:
        subnet = self._subnets[nic.subnet]
        return Place(nic.vm, subnet.name, subnet.vnet)

    def _ranges_of_vnet(self, vnet: str) -> Ranges:
        prefixes = self._stored.prefixes[vnet]
        return Ranges(pack({network(text): at + 2 for text, at in prefixes.items()}))


@cache_short(4096, LONGEST_ID)
def vnet_of(target: str) -> str:
    """The VNet of a resource id that is one, or lies in one."""
    head, mark, rest = target.partition(_VNET)
    return f"{head}{mark}{rest.partition('/')[0]}" if mark else ""


def _subscription(subnet: Subnet) -> str:
    """The subscription of a subnet, and so of every NIC and VM in it.

    https://learn.microsoft.com/azure/virtual-network/virtual-network-network-interface
    """
    return subnet.vnet.removeprefix("/subscriptions/").partition("/")[0]


def _told_apart(
    nics: Sequence[Nic], subnets: Sequence[Subnet]
) -> tuple[Sequence[Nic], list[Subnet]]:
    """The same, each VM and subnet by a name of its own."""
    of_subnets = [f"{_subscription(one)}/{one.name}" for one in subnets]
    of_vms = [f"{_subscription(subnets[nic.subnet])}/{nic.vm}" if nic.vm else "" for nic in nics]
    names = told_apart(of_subnets, _SUBNET_PARTS) | told_apart(filter(None, of_vms), _VM_PARTS)
    return (
        [
            nic if not full or names[full] == nic.vm else replace(nic, vm=names[full])
            for nic, full in zip(nics, of_vms, strict=True)
        ],
        [
            one if names[full] == one.name else replace(one, name=names[full])
            for one, full in zip(subnets, of_subnets, strict=True)
        ],
    )


def pack_inventory(
    nics: list[Nic],
    subnets: list[tuple[Subnet, tuple[str, ...]]],
    nsgs: list[str],
    gateways: dict[str, int],
    acls: dict[str, Acl],
    rules: dict[str, tuple[Rule, ...]],
    layout: Layout = Layout(),  # noqa: B008 - frozen
) -> bytes:
    """Pack an inventory; `subnets` come with their prefixes, `gateways` are prefixes too."""
    prefixes: dict[str, dict[str, int]] = {}
    everywhere: dict[Network, int] = {}
    for at, (subnet, texts) in enumerate(subnets):
        for text in texts:
            net = network(text)
            prefixes.setdefault(subnet.vnet, {})[text] = at
            everywhere[net] = AMBIGUOUS if net in everywhere else at + 2

    def nested(outer: int, inner: int) -> int:
        if AMBIGUOUS in (outer, inner):
            return AMBIGUOUS
        if outer == NOTHING:
            return inner
        same = subnets[outer - 2][0].vnet == subnets[inner - 2][0].vnet
        return inner if same else AMBIGUOUS

    return msgspec.msgpack.encode(
        Stored(
            nics,
            [subnet for subnet, _ in subnets],
            nsgs,
            prefixes,
            pack(everywhere, nested),
            pack(
                {net: kind for text, kind in gateways.items() if (net := network(text)).prefixlen}
            ),
            acls,
            zlib.compress(msgspec.msgpack.encode(rules)),
            zlib.compress(msgspec.msgpack.encode(layout)),
        )
    )
