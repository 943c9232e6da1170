"""Security rules judged in the plainest way, to hold the compiled ones against.

Nothing here is shared with the product: rules and estates are plain mappings, addresses are
Python's own, and each rule is asked after the other.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Plain = Mapping[str, Any]
Truth = bool | None
"""True, False, or None: nobody knows."""

NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "esp": 50, "ah": 51}


def any_of(truths: Iterable[Truth]) -> Truth:
    """True if any is; unknown if any may be."""
    found = list(truths)
    return True if True in found else None if None in found else False


def all_of(truths: Iterable[Truth]) -> Truth:
    """False if any is; unknown if any may be."""
    found = list(truths)
    return False if False in found else None if None in found else True


def in_prefixes(address: str, prefixes: Iterable[str]) -> bool:
    """Whether any of these networks has the address."""
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(prefix) for prefix in prefixes)


def holds(text: str, address: str, world: Plain) -> Truth:  # noqa: C901, PLR0911 - a list of cases
    """Whether a prefix, tag or group has an address.

    `world` has `space` (prefixes of VirtualNetwork, None where unknown), `tags` (prefixes by
    name, or None) and `groups` (addresses by id, or None).
    """
    if text == "*":
        return True
    if text[0].isdigit() or ":" in text:
        return in_prefixes(address, [text])
    if text.startswith("/"):
        groups = world["groups"]
        return None if groups is None or text not in groups else address in groups[text]
    if text == "AzureLoadBalancer":
        return address == "168.63.129.16"
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
    platform = ["168.63.129.16/32", "169.254.0.0/16", "127.0.0.0/8", "224.0.0.0/4", "ff00::/8"]
    inside: Truth
    if world["space"] is not None:
        inside = in_prefixes(address, [*world["space"], "168.63.129.16/32"])
    elif address == "168.63.129.16":
        inside = True
    else:
        inside = None if in_prefixes(address, private) else False
    if text == "VirtualNetwork":
        return inside
    if text == "Internet":
        if in_prefixes(address, private + platform):
            return False
        return None if inside is None else not inside
    tags = world["tags"] or {}
    if text not in tags:
        return False if in_prefixes(address, [*private[:3], "fc00::/7"]) else None
    return in_prefixes(address, tags[text])


def port_fits(ranges: Sequence[str], port: int) -> bool:
    """Whether any of the ranges has a port."""
    for text in ranges:
        if text == "*":
            return True
        first, _, last = text.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False


def fits(rule: Plain, packet: Plain, world: Plain) -> Truth:
    """Whether a rule fits a packet."""
    protocol = rule["protocol"].lower()
    return all_of(
        [
            protocol == "*" or NUMBERS[protocol] == packet["protocol"],
            port_fits(rule["source_ports"], packet["src_port"]),
            port_fits(rule["ports"], packet["dst_port"]),
            any_of(holds(text, packet["src"], world) for text in rule["sources"]),
            any_of(holds(text, packet["dst"], world) for text in rule["destinations"]),
        ]
    )


def decide(rules: Iterable[Plain], packet: Plain, world: Plain) -> tuple[str, str | None]:
    """What rules of one direction say: access ("" where none fits, "?" where unknown), and name."""
    doubtful: list[str] = []
    for rule in sorted(rules, key=lambda one: one["priority"]):
        truth = fits(rule, packet, world)
        if truth is None:
            doubtful.append(rule["access"])
        if truth:
            if any(access != rule["access"] for access in doubtful):
                return "?", None
            return rule["access"], rule["name"]
    # What an admin rule allows goes on as if no rule were there.
    return ("?", None) if any(access != "Allow" for access in doubtful) else ("", None)


def defaults(inbound: bool) -> list[Plain]:
    """Azure's default rules of one direction."""

    def made(name: str, priority: int, access: str, source: str, destination: str) -> Plain:
        return {
            "name": name,
            "priority": priority,
            "access": access,
            "protocol": "*",
            "sources": [source],
            "destinations": [destination],
            "source_ports": ["*"],
            "ports": ["*"],
        }

    if inbound:
        return [
            made("AllowVnetInBound", 65000, "Allow", "VirtualNetwork", "VirtualNetwork"),
            made("AllowAzureLoadBalancerInBound", 65001, "Allow", "AzureLoadBalancer", "*"),
            made("DenyAllInBound", 65500, "Deny", "*", "*"),
        ]
    return [
        made("AllowVnetOutBound", 65000, "Allow", "VirtualNetwork", "VirtualNetwork"),
        made("AllowInternetOutBound", 65001, "Allow", "*", "Internet"),
        made("DenyAllOutBound", 65500, "Deny", "*", "*"),
    ]
