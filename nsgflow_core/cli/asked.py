"""A flow that is asked about, as people type it: addresses or VMs, a port, a protocol."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nsgflow_core.cli.names import address_name
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import addresses
from nsgflow_core.estate.acl import Packet
from nsgflow_core.estate.enrich import VM, port_of, whole_name
from nsgflow_core.estate.inventory import Inventory, Nic
from nsgflow_core.estate.namesakes import full_name, path_name, told_apart
from nsgflow_core.model import Flow

_BRACKETED = re.compile(r"\[([^\]]+)\](?::(\d{1,5}))?")
_PORT = re.compile(r"(.+):(\d{1,5})")
_NAMED_PORT = re.compile(r"([^/:]+|[^:]*/[^:]+):([\w-]+)", re.ASCII)
_PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "esp": "50", "ah": "51"}
_LAST_PORT = 65535
_MOST_SAID = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """The flow that is asked about; `protocol` as flow logs are shown with it, or a number.

    `source` and `target` are the network interfaces of ends that were given by name: others may
    have the same address in other VNets.
    """

    src: str
    dst: str
    port: int | None
    protocol: str
    source: Nic | None = None
    target: Nic | None = None

    def packet(self) -> Packet:
        """As rules are asked about it; any source port will do."""
        return Packet(self.src, self.dst, self.protocol, None, self.port)

    def names(self, inventory: Inventory | None) -> dict[str, str]:
        """What the addresses of both ends are called, "" where that is not known."""
        ends = ((self.src, self.source), (self.dst, self.target))
        return {
            at: nic.vm or inventory.subnet(nic).name
            if nic is not None and inventory is not None
            else address_name(at, inventory)
            for at, nic in ends
        }

    def nics(self, inventory: Inventory) -> dict[str, Sequence[Nic]]:
        """The network interfaces that may be meant by the address of each end."""
        ends = ((self.src, self.source), (self.dst, self.target))
        return {at: (nic,) if nic else inventory.nics_at(at) for at, nic in ends}

    def to_json(self) -> dict[str, Any]:
        """As `nsgflow why -o json` has it."""
        protocol = self.protocol.lower()
        return {"src": self.src, "dst": self.dst, "port": self.port, "protocol": protocol}


def parse(src: str, dst: str, protocol: str, inventory: Inventory | None) -> Asked:
    """The flow that was typed: addresses, or names of VMs where an inventory is there.

    Raises:
        BadInputError: an end is neither.
    """
    _refuse_port(src)
    name, port = _with_port(dst)
    number = protocol.strip().lower()
    if number not in _PROTOCOLS and not (number.isdecimal() and int(number) <= 255):  # noqa: PLR2004
        raise BadInputError(f"--protocol {protocol!r} is not one of {', '.join(_PROTOCOLS)}, 0-255")
    known = {"6": "TCP", "17": "UDP", "1": "ICMP"}
    sources, targets = _ends("SRC", src, inventory), _ends("DST", name, inventory)
    pairs = [(one, two) for one in sources for two in targets if (":" in one) == (":" in two)]
    if not pairs:
        raise BadInputError(f"{src} and {name} are of IPv4 and IPv6: give addresses of one of them")
    one, two = pairs[0]
    protocol = _PROTOCOLS.get(number) or known.get(number, number)
    return Asked(one, two, port, protocol, sources[one], targets[two])


def fits(asked: Asked, flow: Flow, inventory: Inventory | None) -> bool:
    """Whether a flow is such a one.

    A log is of one network interface: of a VM that was given, it must be its own. At the far end
    another VM may have the address that a log has, in another VNet.
    """
    alike = (
        flow.src == asked.src
        and flow.dst == asked.dst
        and flow.protocol == asked.protocol
        and (asked.port is None or flow.dst_port == asked.port)
    )
    if not alike or inventory is None or not (asked.source or asked.target):
        return alike
    near, far = (asked.target, asked.source) if flow.inbound else (asked.source, asked.target)
    own = inventory.nic(flow.group.mac)
    if near is not None and flow.group.mac:
        return near.mac == flow.group.mac and _reaches(near, far, inventory)
    return own is None or _reaches(own, far, inventory)


def _reaches(near: Nic, far: Nic | None, inventory: Inventory) -> bool:
    """Whether it is this far end whose address a log of the near one has."""
    if far is None or all(len(inventory.nics_at(at)) == 1 for at in far.addresses):
        return True
    here, there = (inventory.subnet(nic).vnet for nic in (near, far))
    return there in inventory.layout.peers(here)


def _refuse_port(src: str) -> None:
    """A port of the source is nothing that rules of Azure's are asked about here.

    Raises:
        BadInputError: there is one.
    """
    found = _BRACKETED.fullmatch(src.strip())
    if found is None and src.count(":") == 1:
        found = _NAMED_PORT.fullmatch(src.strip())
    if found is not None and found[2]:
        raise BadInputError(
            f"SRC {src.strip()!r} has a port, and any source port is asked about: say {found[1]}"
        )


def _with_port(text: str) -> tuple[str, int | None]:
    text = text.strip()
    found = _BRACKETED.fullmatch(text)
    if found is None and text.count(":") == 1:
        found = _PORT.fullmatch(text)
        if found is None and (named := _NAMED_PORT.fullmatch(text)) is not None:
            number = port_of(named[2])
            mend = f"say {named[1]}:{number}" if number else "give its number"
            raise BadInputError(f"DST {text!r}: the port {named[2]!r} is no number: {mend}")
    if found is None:
        return text, None
    name, port = found[1], found[2]
    if port is not None and int(port) > _LAST_PORT:
        raise BadInputError(f"{text!r} has no such port: give one of 0-{_LAST_PORT}")
    return name, None if port is None else int(port)


def _ends(what: str, text: str, inventory: Inventory | None) -> dict[str, Nic | None]:
    """The addresses that an end may be, each with its network interface where it was named.

    Those of a VM are its private ones, where it has some.
    """
    text = text.strip().removeprefix("[").removesuffix("]")
    try:
        return {addresses.canonical(text): None}
    except ValueError:
        pass
    if inventory is None:
        raise BadInputError(
            f"{what} {text!r} is no address: give one, or --inventory, which knows names of VMs"
        )
    named = _interfaces(text.rstrip("/"), inventory)
    if len(named) > 1:
        raise BadInputError(f"{what} {text!r} is {', '.join(sorted(named))}: give one of these")
    found = [(at, nic) for nics in named.values() for nic in nics for at in nic.addresses]
    private = [each for each in found if addresses.address_class(each[0]) != addresses.INTERNET]
    if not found:
        raise BadInputError(
            f"{what} {text!r} is neither an address nor a VM of the inventory: give its address, "
            "or ask Azure anew with --refresh"
        )
    return dict(private or found)


def mend(address: str, inventory: Inventory) -> str:
    """What to type in the place of an address that several interfaces have, to say which."""
    labels = sorted(set(_labels(inventory.nics_at(address), inventory)))
    more = len(labels) - _MOST_SAID
    some = labels[:_MOST_SAID] + ([f"one of {more} more"] if more > 0 else [])
    said = [", ".join(some[:-1]), some[-1]] if some[1:] else some
    return f"say {' or '.join(said)} in its place"


def _labels(nics: Sequence[Nic], inventory: Inventory) -> list[str]:
    """What network interfaces are called, as it can be typed: their VMs, else they themselves."""
    ids = inventory.layout.nics
    names = {} if all(nic.vm for nic in nics) else told_apart(map(full_name, ids), VM)
    return [nic.vm or names[full_name(ids[inventory.number(nic)])] for nic in nics]


def _interfaces(text: str, inventory: Inventory) -> dict[str, list[Nic]]:
    """The network interfaces of each VM that is called so; where none is, those that are.

    VMs and interfaces are named by `group/name`, and where two have that in common with the
    subscription in front; a resource id names one, too.
    """
    wanted = f"/{path_name(text.lower())}"
    is_id = text.startswith("/")
    found: dict[str, list[Nic]] = {}
    for nic in inventory.nics if not is_id or "/virtualmachines/" in text.lower() else ():
        if f"/{whole_name(nic.vm, inventory.subnet(nic).vnet, VM)}".endswith(wanted):
            found.setdefault(nic.vm, []).append(nic)
    if found:
        return found
    nics = [
        nic
        for one, nic in zip(inventory.layout.nics, inventory.nics, strict=False)
        if (one == text.lower() if is_id else f"/{full_name(one)}".endswith(wanted))
    ]
    for label, nic in zip(_labels(nics, inventory), nics, strict=True):
        found.setdefault(label, []).append(nic)
    return found
