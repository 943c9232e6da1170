"""Addresses of hosts: the canonical form of IPs and MACs, and the class of an IP.

Classes follow the IANA special-purpose registries (RFC 6890 and its updates) and Azure's own
platform addresses. The table is ours because `ipaddress` answers differently between Python
releases, and a filter must not change its meaning with the interpreter.
"""

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, inet_pton

from nsgflow_core.caches import cache_short

INTERNET = "internet"
PRIVATE = "private"  # RFC 1918 and IPv6 unique local
CGNAT = "cgnat"  # RFC 6598
LOOPBACK = "loopback"
LINK_LOCAL = "link-local"
MULTICAST = "multicast"
DOCUMENTATION = "documentation"
AZURE_PLATFORM = "azure-platform"
RESERVED = "reserved"
CLASSES = (
    INTERNET,
    PRIVATE,
    CGNAT,
    LOOPBACK,
    LINK_LOCAL,
    MULTICAST,
    DOCUMENTATION,
    AZURE_PLATFORM,
    RESERVED,
)

_SPECIAL = [
    ("0.0.0.0/8", RESERVED),
    ("10.0.0.0/8", PRIVATE),
    ("100.64.0.0/10", CGNAT),
    ("127.0.0.0/8", LOOPBACK),
    # DNS, DHCP, load balancer probes; the same address in every region and cloud:
    # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    ("168.63.129.16/32", AZURE_PLATFORM),
    ("169.254.0.0/16", LINK_LOCAL),
    ("169.254.169.254/32", AZURE_PLATFORM),
    ("172.16.0.0/12", PRIVATE),
    ("192.0.0.0/24", RESERVED),
    ("192.0.2.0/24", DOCUMENTATION),
    ("192.168.0.0/16", PRIVATE),
    ("198.18.0.0/15", RESERVED),
    ("198.51.100.0/24", DOCUMENTATION),
    ("203.0.113.0/24", DOCUMENTATION),
    ("224.0.0.0/4", MULTICAST),
    ("240.0.0.0/4", RESERVED),
    ("::/96", RESERVED),
    ("::1/128", LOOPBACK),
    ("::ffff:0:0/96", RESERVED),
    ("64:ff9b:1::/48", RESERVED),
    ("100::/64", RESERVED),
    ("2001::/23", RESERVED),
    ("2001:db8::/32", DOCUMENTATION),
    ("3fff::/20", DOCUMENTATION),
    ("fc00::/7", PRIVATE),
    ("fe80::/10", LINK_LOCAL),
    # Source of IPv6 load balancer probes.
    ("fe80::1234:5678:9abc/128", AZURE_PLATFORM),
    ("ff00::/8", MULTICAST),
]


def _boundaries(version: int) -> tuple[list[int], list[str]]:
    """Sorted first addresses of the stretches of one class, and the class of each."""
    networks = [(ipaddress.ip_network(cidr), name) for cidr, name in _SPECIAL]
    nets = [(net, name) for net, name in networks if net.version == version]
    # The longest prefix wins: whoever owns the address just behind an inner network is the
    # widest one that still holds it.
    nets.sort(key=lambda entry: (int(entry[0].network_address), entry[0].prefixlen))
    edges = {0}
    for net, _ in nets:
        edges |= {int(net.network_address), int(net.broadcast_address) + 1}

    def owner(value: int) -> str:
        held = [
            (net.prefixlen, name)
            for net, name in nets
            if int(net.network_address) <= value <= int(net.broadcast_address)
        ]
        return max(held)[1] if held else INTERNET

    starts = sorted(edges)
    return starts, [owner(start) for start in starts]


_V4_STARTS, _V4_CLASSES = _boundaries(4)
_V6_STARTS, _V6_CLASSES = _boundaries(6)
_V4_PACKED = [start.to_bytes(4) for start in _V4_STARTS if start < 2**32]


@lru_cache(maxsize=16384)  # one end of a flow is always the NIC's own, the other often known
def canonical(text: str) -> str:
    """The canonical form of an address: dotted quad, or RFC 5952 without brackets.

    Raises:
        ValueError: the text is no address.
    """
    try:
        # Strict about leading zeros and missing parts, and a tenth of the cost of `ipaddress`.
        inet_pton(AF_INET, text)
    except OSError:
        if "%" in text:  # a zone is text of any kind, and means nothing away from its host
            raise ValueError(f"an address with a zone: {text[:80]!r}") from None
        return ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]")).compressed
    return text


def value(address: str) -> tuple[int, int]:
    """Version (4 or 6) and number of a canonical address."""
    if ":" in address:
        return 6, int(ipaddress.IPv6Address(address))
    return 4, int.from_bytes(inet_pton(AF_INET, address))


def address_class(address: str) -> str:
    """The class of a canonical address, one of the constants of this module."""
    if ":" in address:
        return _V6_CLASSES[bisect_right(_V6_STARTS, value(address)[1]) - 1]
    # As packed bytes addresses compare as their numbers do; a cache would cost as much as this.
    return _V4_CLASSES[bisect_right(_V4_PACKED, inet_pton(AF_INET, address)) - 1]


_BEGINNING = 4


@cache
def _classes_by_beginning() -> dict[str, str]:
    """Classes of the /8 blocks that are of one class, by what their addresses begin with.

    That is the first octet with its dot, which no IPv6 address has, and what follows.
    """
    return {
        f"{first}.{rest}"[:_BEGINNING]: _V4_CLASSES[bisect_right(_V4_STARTS, first << 24) - 1]
        for first in range(256)
        if not any(first << 24 < start < (first + 1) << 24 for start in _V4_STARTS)
        for rest in (*(f"{second}." for second in range(10)), *range(10, 100))
    }


def address_classes(found: Iterable[str]) -> list[str]:
    """The class of each of many canonical addresses; most are told by their first octet."""
    known = _classes_by_beginning().get
    return [known(text[:_BEGINNING]) or address_class(text) for text in found]


def within(address: str, network: IPv4Network | IPv6Network) -> bool:
    """Whether a canonical address lies in a network."""
    version, number = value(address)
    return version == network.version and int(network.network_address) <= number <= int(
        network.broadcast_address
    )


def cidrs(text: str) -> str:
    """A range such as `10.4.0.0-10.4.0.9` as networks with commas between; "" if it is none."""
    first, hyphen, last = text.partition("-")
    try:
        ends = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
        networks = list(ipaddress.summarize_address_range(*ends))
    except (TypeError, ValueError):
        return ""
    return ",".join(map(str, networks)) if hyphen else ""


@cache_short(4096, 32)
def canonical_mac(text: str) -> str:
    """A MAC address as 12 upper-case hex digits; "" when the text is none."""
    digits = text.replace("-", "").replace(":", "").upper()
    return digits if re.fullmatch(r"[0-9A-F]{12}", digits) else ""
