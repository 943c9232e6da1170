"""Random rules, packets and worlds, dense enough that most rules are met at their edges."""

import random
from typing import Any

from nsgflow_core.estate.acl import Packet
from nsgflow_core.estate.members import Group
from nsgflow_core.estate.rules import Rule
from tests.rules_oracle import Plain

ADDRESSES = (
    *("10.0.0.4", "10.0.0.5", "10.0.0.255", "10.0.1.0", "10.0.1.7", "10.1.0.4", "10.2.0.9"),
    *("172.16.5.9", "192.168.3.3", "100.64.1.1", "168.63.129.16", "20.60.1.1", "20.60.255.255"),
    *("20.61.0.0", "8.8.8.8", "203.0.113.9", "fd00:1::4", "fd00:1::5", "fd00:2::1"),
    *("2603:1030::9", "2001:4860::8"),
)
PREFIXES = (
    *("10.0.0.4", "10.0.0.0/24", "10.0.0.4/31", "10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0"),
    *("20.60.0.0/15", "8.8.8.8/32", "203.0.113.0/24", "fd00:1::4", "fd00:1::/64", "::/0"),
    *("2603:1030::/32", "192.168.0.0/16"),
)
GROUPS = tuple(f"/subscriptions/s/asg/{name}" for name in ("web", "db", "gone"))
NAMED = ("VirtualNetwork", "Internet", "AzureLoadBalancer", "Storage", "Storage.WestEurope", "Sql")
PORTS = (0, 21, 22, 23, 80, 443, 1023, 1024, 3389, 65535)
RANGES = ("*", "22", "80", "443", "20-25", "0-1023", "1024-65535", "3389", "0-65535")
PROTOCOLS = ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*")
SPACE = ("10.0.0.0/16", "10.1.0.0/16", "192.168.3.0/24", "fd00:1::/64")
TAGS = {
    "Storage": ["20.60.0.0/16", "2603:1030::/32"],
    "Storage.WestEurope": ["20.60.1.0/24"],
    "AzureCloud": ["20.0.0.0/8"],
}
MEMBERS = {
    GROUPS[0]: ["10.0.0.4", "fd00:1::4"],
    GROUPS[1]: ["10.1.0.4"],
}


def world(rng: random.Random) -> Plain:
    """What is known of tags, groups and the VNet: all of it, or parts."""
    return {
        "space": rng.choice((SPACE, SPACE, SPACE, None)),
        "tags": rng.choice((TAGS, TAGS, None)),
        "groups": rng.choice((MEMBERS, MEMBERS, None)),
    }


def rules(rng: random.Random, *, admin: bool = False, most: int = 9) -> list[Plain]:
    """Rules of one direction, with priorities of their own."""
    count = rng.randint(0, most)
    priorities = rng.sample(range(1, 40), count)
    return [
        {
            "name": f"r{priority}",
            "priority": priority + (0 if admin else 99),
            "access": rng.choice(("Allow", "Deny", "AlwaysAllow") if admin else ("Allow", "Deny")),
            "protocol": rng.choice(PROTOCOLS),
            "sources": _ends(rng),
            "destinations": _ends(rng),
            "source_ports": _some(rng, ("*", "*", *RANGES)),
            "ports": _some(rng, RANGES),
        }
        for priority in priorities
    ]


def packet(rng: random.Random) -> Plain:
    """A packet between two of the addresses."""
    return {
        "src": rng.choice(ADDRESSES),
        "dst": rng.choice(ADDRESSES),
        "protocol": rng.choice((6, 6, 17, 17, 1, 50, 51, 47)),
        "src_port": rng.choice(PORTS),
        "dst_port": rng.choice(PORTS),
    }


def _ends(rng: random.Random) -> list[str]:
    kind = rng.randrange(5)
    if kind == 0:
        return ["*"]
    if kind == 1:
        return [rng.choice(NAMED)]
    if kind == 2:
        return [rng.choice(GROUPS)]
    return _some(rng, PREFIXES)


def _some(rng: random.Random, choices: tuple[str, ...]) -> list[str]:
    return rng.sample(choices, rng.randint(1, 3))


def compiled(plain: Plain, *, inbound: bool) -> Rule:
    """A plain rule as the product has it."""
    return Rule(
        plain["name"],
        plain["priority"],
        inbound,
        plain["access"],
        plain["protocol"],
        tuple(plain["sources"]),
        tuple(plain["source_ports"]),
        tuple(plain["destinations"]),
        tuple(plain["ports"]),
        plain["priority"] > 4096,
    )


def asked(plain: Plain) -> Packet:
    """A plain packet as the product has it."""
    names = {6: "TCP", 17: "udp", 1: "ICMP"}
    protocol = names.get(plain["protocol"], str(plain["protocol"]))
    return Packet(plain["src"], plain["dst"], protocol, plain["src_port"], plain["dst_port"])


def groups(found: dict[str, list[str]] | None) -> dict[str, Group] | None:
    """Application security groups as the product has them, all of one VNet."""
    if found is None:
        return None
    return {key: Group("/vnet", frozenset(members)) for key, members in found.items()}


def azure(plain: Plain, direction: str) -> dict[str, Any]:
    """A plain rule as Azure's JSON has it, what is single as a single value."""
    properties: dict[str, Any] = {
        "priority": plain["priority"],
        "access": plain["access"],
        "direction": direction,
        "protocol": plain["protocol"],
    }
    for key, name in (("source_ports", "sourcePortRange"), ("ports", "destinationPortRange")):
        values = plain[key]
        properties |= {name: values[0]} if len(values) == 1 else {f"{name}s": values}
    for key, end in (("sources", "source"), ("destinations", "destination")):
        ids = [{"id": text} for text in plain[key] if text.startswith("/")]
        texts = [text for text in plain[key] if not text.startswith("/")]
        if ids:
            properties[f"{end}ApplicationSecurityGroups"] = ids
        if len(texts) == 1:
            properties[f"{end}AddressPrefix"] = texts[0]
        elif texts:
            properties[f"{end}AddressPrefixes"] = texts
    return {"name": plain["name"], "properties": properties}
