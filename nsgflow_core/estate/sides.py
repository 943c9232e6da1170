"""Addresses as a rule names them: one by one, or by what says the same.

An application security group says the same where its members are just those addresses. One stands
alone on its side of a rule, which takes no addresses beside it
(https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#security-rules),
and is of the VNet of the NSG. A subnet's prefix says the same where all network interfaces in
it are meant. Both hold what is put there later as well, which is said.
"""

from collections.abc import Iterable
from typing import NamedTuple

from nsgflow_core.estate import addresses
from nsgflow_core.estate.inventory import Inventory, Nic
from nsgflow_core.estate.members import Space
from nsgflow_core.estate.ranges import Network, network
from nsgflow_core.estate.wishes import is_probe

PROBES, VNET = "AzureLoadBalancer", "VirtualNetwork"
MOST_NAMED = 64
"""Addresses and prefixes that a rule names one by one; more are the whole virtual network."""
_FEWEST = 2
"""Interfaces that a group or a subnet must have to stand for them: one is named better."""


class Side(NamedTuple):
    """One side of a rule, and in words what it holds besides the addresses, "" for nothing."""

    texts: tuple[str, ...]
    besides: tuple[str, ...] = ()


class Sides:
    """Finds how to name addresses; without an inventory by themselves."""

    def __init__(self, inventory: Inventory | None) -> None:
        self._inventory = inventory
        self._groups: dict[tuple[str, frozenset[str]], str] = {}
        self._inside: dict[tuple[int, int], set[str]] = {}
        self._prefixes: dict[int, list[str]] = {}
        if inventory is None:
            return
        for key, group in sorted(inventory.layout.members_of_groups().items()):
            for some in _by_version(group.addresses):
                if len(some) >= _FEWEST:
                    self._groups.setdefault((group.vnet, some), key)
        for nic in inventory.nics:
            for address in _own(nic):
                version, _ = addresses.value(address)
                self._inside.setdefault((nic.subnet, version), set()).add(address)

    def of(self, found: frozenset[str], vnet: str, space: Space | None) -> Side:
        """One side of a rule of an NSG of a VNet ("": of none, or more than one).

        `space` is what `VirtualNetwork` holds there, None where none of the addresses is outside.
        """
        if all(map(is_probe, found)):
            return Side((PROBES,))
        if (group := self._groups.get((vnet, found))) is not None:
            name = group.rpartition("/")[2]
            return Side(
                (group,),
                (f"whoever joins application security group {name} later is let through as well",),
            )
        texts, said = self._by_subnet(found)
        if len(texts) > MOST_NAMED and _all_inside(found, space):
            many = f"{len(found)} addresses are too many to name"
            return Side((VNET,), (f"{many}: this names the whole virtual network and its peers",))
        return Side(tuple(in_order(texts)), tuple(said))

    def _by_subnet(self, found: frozenset[str]) -> tuple[list[str], list[str]]:
        """Addresses, and the prefixes of subnets all of whose interfaces are among them."""
        if self._inventory is None:
            return list(found), []
        parts: dict[tuple[int, int], set[str]] = {}
        rest: list[str] = []
        for address in found:
            nics = self._inventory.nics_at(address)
            if len(nics) == 1 and address in _own(nics[0]):
                key = nics[0].subnet, addresses.value(address)[0]
                parts.setdefault(key, set()).add(address)
            else:
                rest.append(address)
        said: list[str] = []
        nets: list[Network] = []
        for (subnet, version), some in sorted(parts.items()):
            prefixes = self._prefixes_of(subnet, version)
            if len(some) < _FEWEST or some != self._inside[subnet, version] or not prefixes:
                rest += some
                continue
            nets += map(network, prefixes)
            said.append(
                f"{' and '.join(prefixes)} is a whole subnet: all its {len(some)} network "
                "interfaces were denied, and what else it has, or will have, is let through as well"
            )
        # Azure takes no address beside a prefix that holds it.
        apart = [at for at in rest if not any(addresses.within(at, net) for net in nets)]
        return [*apart, *map(str, nets)], said

    def _prefixes_of(self, subnet: int, version: int) -> list[str]:
        if subnet not in self._prefixes:
            known = self._inventory.prefixes_of(subnet) if self._inventory is not None else []
            self._prefixes[subnet] = known
        return [text for text in self._prefixes[subnet] if (":" in text) == (version == 6)]  # noqa: PLR2004


def in_order(texts: Iterable[str]) -> list[str]:
    """Addresses and prefixes in the order of their numbers."""

    def place(text: str) -> tuple[int, int, str]:
        return (*addresses.value(text.partition("/")[0]), text)

    return sorted(texts, key=place)


def _own(nic: Nic) -> list[str]:
    """The addresses by which rules know an interface: what is public is translated."""
    private = [at for at in nic.addresses if addresses.address_class(at) != addresses.INTERNET]
    return private or list(nic.addresses)


def _by_version(found: frozenset[str]) -> Iterable[frozenset[str]]:
    """Addresses of each version: what has one version never meets the other."""
    for version in (4, 6):
        yield frozenset(at for at in found if addresses.value(at)[0] == version)


def _all_inside(found: frozenset[str], space: Space | None) -> bool:
    return space is None or all(space.holds(address) is True for address in found)
