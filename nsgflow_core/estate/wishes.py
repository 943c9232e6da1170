"""What denied flows need: groups of them as they were seen, and those that are let alone.

A scan from the internet needs no rule. What tells one is how it goes about: an address that tries
many ports or many hosts, or many addresses that try one port. Nothing else is guessed about who is
behind an address.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nsgflow_core.estate.members import HOST

MANY_PORTS = MANY_HOSTS = 5
"""From so many ports or hosts on, an address of the internet is a scanner."""
MANY_CALLERS = 16
"""Addresses of the internet that try one port of one host; more are a scan."""

_OF_NSGS = ("DefaultRule", "UserRule")


class Denied(NamedTuple):
    """Denied flows of one NSG, rule, direction, protocol, destination and port.

    `acl_group` and `rule` are as logged, `sources` canonical addresses, of which `outside` are on
    the internet, and `doubtful` may be: public, near the destination's own, and in no inventory.
    `source_port` is that of any of the flows. `called` has sources with what the inventory calls
    them, and `destination_name` the destination: VMs or subnets, which tell whose an address is
    that several have.
    """

    acl_group: str
    rule: str
    inbound: bool
    protocol: str
    sources: frozenset[str]
    destination: str
    port: int | None
    source_port: int | None = None
    outside: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    called: frozenset[tuple[str, str]] = frozenset()
    destination_name: str = ""


class Refusal(NamedTuple):
    """Groups (by their numbers) for which no rule is proposed, and why."""

    groups: tuple[int, ...]
    why: str


class Wish(NamedTuple):
    """What is left of a group: the sources that a rule should let through."""

    group: int
    denied: Denied
    sources: frozenset[str]


def wishes(groups: Sequence[Denied]) -> tuple[list[Wish], list[Refusal]]:
    """What groups of denied flows need, and what is refused: no rule of an NSG, or a scan."""
    scanners = _scanners(groups)
    found: list[Wish] = []
    refused: dict[str, list[int]] = {}
    for number, denied in enumerate(groups):
        if not denied.rule.startswith(_OF_NSGS):
            refused.setdefault(_no_rule(denied.rule), []).append(number)
            continue
        scan, why = _scan(denied, scanners)
        if scan:
            refused.setdefault(why, []).append(number)
        if left := denied.sources - scan:
            found.append(Wish(number, denied, left))
    return found, [Refusal(tuple(numbers), why) for why, numbers in refused.items()]


def is_probe(address: str) -> bool:
    """Whether an address is where health probes of the load balancer come from."""
    return address == HOST


def _no_rule(rule: str) -> str:
    return (
        f"{rule!r} is no rule of an NSG (a security admin rule, or Azure's own, or encryption): "
        "a rule in the NSG cannot let these flows through"
    )


def _scanners(groups: Sequence[Denied]) -> dict[str, str]:
    """Addresses of the internet that try many ports or many hosts, and what each tried."""
    ports: dict[str, set[tuple[str, int | None]]] = {}
    hosts: dict[str, set[str]] = {}
    for denied in groups:
        if not denied.inbound:
            continue
        for source in denied.outside:
            ports.setdefault(source, set()).add((denied.protocol, denied.port))
            hosts.setdefault(source, set()).add(denied.destination)
    return {
        source: f"{source} on the internet tried {_count(len(tried), 'port')} of "
        f"{_count(len(hosts[source]), 'host')}, which is a scan: no rule is proposed for it"
        for source, tried in ports.items()
        if len(tried) >= MANY_PORTS or len(hosts[source]) >= MANY_HOSTS
    }


def _scan(denied: Denied, scanners: Mapping[str, str]) -> tuple[frozenset[str], str]:
    """The sources of a group that are part of a scan, and what to say of them."""
    if not denied.inbound or not denied.outside:
        return frozenset(), ""
    if len(denied.outside) > MANY_CALLERS:
        where = denied.protocol if denied.port is None else f"{denied.protocol} {denied.port}"
        return denied.outside, (
            f"{len(denied.outside)} addresses of the internet tried {where} of "
            f"{denied.destination}, and a scan looks just like this: no rule is proposed for it; "
            "if the port is for everybody to use, make a rule with the source Internet by hand"
        )
    scan = denied.outside & scanners.keys()
    if len(scan) > 1:
        return scan, (
            f"{len(scan)} addresses of the internet tried many ports or hosts, which is a scan: "
            "no rule is proposed for them"
        )
    return scan, scanners[next(iter(scan))] if scan else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
