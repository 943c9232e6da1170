"""The rules that would let denied flows through, as proposals to review.

Groups that differ in one thing alone are one rule, which then allows no more than they did apart.
A name says what a rule is for and ends in a digest of it: az replaces a rule of the same name
without a word, so that no two rules share one, and the same rule has the same at every run.

Options of the command: https://learn.microsoft.com/cli/azure/network/nsg/rule#az-network-nsg-rule-create
"""

import hashlib
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from nsgflow_core.cli.harmless import escaped
from nsgflow_core.estate import addresses
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.rules import Rule, find, free_priority

PRIORITY = "PRIORITY-TO-CHOOSE"
_PROTOCOLS = {"TCP": "Tcp", "UDP": "Udp", "ICMP": "Icmp", "50": "Esp", "51": "Ah"}
_MANAGEMENT = {
    22: "SSH",
    23: "Telnet",
    135: "RPC",
    139: "NetBIOS",
    445: "SMB",
    2375: "Docker",
    2376: "Docker",
    3389: "RDP",
    5900: "VNC",
    5985: "WinRM",
    5986: "WinRM",
    6443: "Kubernetes API",
    10250: "kubelet",
}
_MOST_SOURCES = 16
"""Sources that a proposal names one by one; more are taken together as a service tag."""
_PROBE, _PROBE_TAG = "168.63.129.16", "AzureLoadBalancer"
"""Where health probes come from, and the tag that stands for it in rules:
https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"""
_NSG_ID = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/.+/networksecuritygroups/([^/]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """An az command, "" where none can help, and what to know before running it.

    One that would let the internet in is a comment of the shell: it is not to be run as it is.
    """

    command: str
    warnings: Sequence[str]

    def text(self, title: str) -> str:
        """The proposal in lines, everything but the command as comments of a shell."""
        what = "PROPOSAL, review it before you run it"
        if not self.command:
            what = "no rule to propose"
        elif self.command.startswith("#"):
            what = "NOT TO BE RUN AS IT IS, it would let addresses of the internet in"
        lines = [f"# {title}{what}"]
        lines += [f"# WARNING: {warning}" for warning in self.warnings]
        return "\n".join([*lines, *([self.command] if self.command else [])]) + "\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """Flows of one NSG, direction and protocol that a rule should let through.

    `denied_by` are the rules that denied them, as logged; `groups` the numbers of the groups that
    they are of; `callers` their sources, of which `sources` are what the rule will say. `public`
    ones would let addresses of the internet in, or some that no inventory says are not.
    """

    acl_group: str
    inbound: bool
    protocol: str
    sources: frozenset[str]
    destinations: frozenset[str]
    ports: frozenset[int]
    callers: frozenset[str]
    denied_by: frozenset[str]
    groups: tuple[int, ...]
    public: bool


def wishes(
    number: int,
    group: Mapping[str, str | int | None],
    acl_group: str,
    sources: Collection[str],
    internet: Collection[str],
    *,
    known: bool = False,
) -> list[Wish]:
    """What one group of denied flows needs; nothing where no rule of an NSG can help.

    Probes of the load balancer are a wish of their own: their source is a tag, and no address.

    `group` has the default keys of `nsgflow denied`, `sources` every source address of it,
    `internet` those of them that are on the internet, by an inventory if that is `known`.
    """
    rule = str(group["rule"])
    if not rule.startswith(("DefaultRule", "UserRule")):
        return []
    if _PROBE in sources and len(sources) > 1:
        rest = set(sources) - {_PROBE}
        return [
            *wishes(number, group, acl_group, rest, internet, known=known),
            *wishes(number, group, acl_group, (_PROBE,), (), known=known),
        ]
    inbound, protocol, port = group["direction"] == "in", str(group["protocol"]), group["port"]
    destination = str(group["destination"])
    outside = frozenset(internet) - {_PROBE}
    with_port = protocol in ("TCP", "UDP") and port is not None
    return [
        Wish(
            acl_group,
            inbound,
            protocol,
            frozenset(_prefixes(sources, outside)),
            frozenset((destination,)),
            frozenset((int(port),) if with_port and port is not None else ()),
            frozenset(sources),
            frozenset((rule,)),
            (number,),
            inbound and bool(outside or (not known and any(map(_public, sources)))),
        )
    ]


def merged(apart: Sequence[Wish]) -> list[Wish]:
    """As few wishes as allow the same: those that differ in one thing alone become one."""
    found = list(apart)
    while True:
        before = len(found)
        for field in ("destinations", "ports", "sources"):
            found = _merged_by(found, field)
        if len(found) == before:
            return found


def _merged_by(apart: Sequence[Wish], field: str) -> list[Wish]:
    alike: dict[tuple[object, ...], Wish] = {}
    for one in apart:
        same = [
            getattr(one, name) for name in ("sources", "destinations", "ports") if name != field
        ]
        # Ports of none are all ports: no port can be added to those.
        key = (
            one.acl_group, one.inbound, one.protocol, one.public, _PROBE_TAG in one.sources,
            bool(one.ports), *same,
        )  # fmt: skip
        first = alike.get(key)
        if first is None:
            alike[key] = one
            continue
        alike[key] = replace(
            first,
            callers=first.callers | one.callers,
            denied_by=first.denied_by | one.denied_by,
            groups=(*first.groups, *one.groups),
            **{field: getattr(first, field) | getattr(one, field)},
        )
    return list(alike.values())


class Planner:
    """Turns wishes into proposals; priorities that it gave away are taken for the next."""

    def __init__(self, inventory: Inventory | None = None) -> None:
        self._inventory = inventory
        self._rules: dict[str, Sequence[Rule]] = {}
        self._given: dict[tuple[str, bool], list[int]] = {}
        self._unknown: dict[tuple[str, bool], int] = {}

    def proposal(self, one: Wish) -> Proposal:
        """The command that makes the rule, and what to know of it."""
        acl_group = self._id(one.acl_group)
        warnings = [*_warnings_of_sources(one), *_warnings_of_port(one)]
        protocol = _PROTOCOLS.get(one.protocol, "*")
        if protocol == "*":
            warnings.append(f"an NSG rule cannot name protocol {one.protocol}: this allows any")
        found = _NSG_ID.fullmatch(acl_group)
        subscription, resource_group, nsg = (
            found.groups() if found else ("SUBSCRIPTION", "RESOURCE-GROUP", "NSG-NAME")
        )
        if not found:
            warnings.append(
                f"the log names the NSG only as {escaped(acl_group) or 'nothing'}: fill in its "
                "name, resource group and subscription"
            )
        priority, why = self._priority(acl_group, one)
        warnings.append(why)
        ports = sorted(one.ports)
        words = [
            *("az", "network", "nsg", "rule", "create"),
            *("--subscription", subscription, "--resource-group", resource_group),
            *("--nsg-name", nsg, "--name", _name(acl_group, one)),
            *("--priority", priority, "--access", "Allow"),
            *("--direction", "Inbound" if one.inbound else "Outbound", "--protocol", protocol),
            *("--source-address-prefixes", *_sorted(one.sources), "--source-port-ranges", "*"),
            *("--destination-address-prefixes", *_sorted(one.destinations)),
            *("--destination-port-ranges", *(map(str, ports) if ports else "*")),
        ]
        command = shlex.join(map(escaped, words))
        return Proposal(f"# {command}" if one.public else command, warnings)

    def _id(self, acl_group: str) -> str:
        """The NSG's resource id, where the inventory knows what a GUID stands for."""
        known = self._inventory.acl(acl_group) if self._inventory is not None else None
        return known.id if known is not None else acl_group

    def _priority(self, acl_group: str, one: Wish) -> tuple[str, str]:
        """A free priority before every rule that denied, and how it was found."""
        way = (acl_group.lower(), one.inbound)
        if self._inventory is not None and acl_group not in self._rules:
            self._rules[acl_group] = self._inventory.rules(acl_group)
        rules = self._rules.get(acl_group, ())
        denying = [find(rules, logged, inbound=one.inbound) for logged in sorted(one.denied_by)]
        known = [rule for rule in denying if rule is not None]
        if known and len(known) == len(denying) and _NSG_ID.fullmatch(acl_group):
            first = min(known, key=lambda rule: rule.priority)
            given = self._given.setdefault(way, [])
            priority = free_priority(rules, first, given)
            if priority is not None:
                given.append(priority)
                return str(priority), (
                    f"denied by {escaped(first.name)!r} with priority {first.priority}; "
                    f"{priority} was free before it when the inventory was made"
                )
        number = self._unknown[way] = self._unknown.get(way, 0) + 1
        placeholder = PRIORITY if number == 1 else f"{PRIORITY}-{number}"
        rule = ", ".join(repr(escaped(logged)) for logged in sorted(one.denied_by))
        other = "" if number == 1 else " and another one than of the proposals above"
        return placeholder, (
            f"{placeholder} must be a free number from 100 to 4096, below that of {rule}{other}"
        )


def no_rule(rule: str) -> Proposal:
    """What to say where no rule of an NSG can help."""
    return Proposal(
        "",
        [
            (
                f"{escaped(rule)!r} is no rule of an NSG (a security admin rule, or Azure's "
                "own, or encryption): a rule in the NSG cannot let these flows through"
            )
        ],
    )


def _name(acl_group: str, one: Wish) -> str:
    """A name of its own for a rule: what it is for, and a digest of all that it says."""
    said = (
        acl_group.lower(), str(one.inbound), one.protocol, *_sorted(one.sources), "",
        *_sorted(one.destinations), "", *map(str, sorted(one.ports)),
    )  # fmt: skip
    digest = hashlib.blake2b("\0".join(said).encode(), digest_size=4).hexdigest()
    port = "ports" if len(one.ports) > 1 else "".join(map(str, one.ports)) or "any"
    protocol = re.sub(r"[^a-z0-9]", "", one.protocol.lower())
    return f"nsgflow-allow-{'in' if one.inbound else 'out'}-{protocol}-{port}-{digest}"


def _sorted(prefixes: frozenset[str]) -> list[str]:
    """Addresses in the order of their numbers, tags behind them."""

    def place(text: str) -> tuple[int, int, str]:
        is_address = text[:1].isdigit() or ":" in text
        return (*(addresses.value(text) if is_address else (9, 0)), text)

    return sorted(prefixes, key=place)


def _public(address: str) -> bool:
    return address != _PROBE and addresses.address_class(address) == addresses.INTERNET


def _prefixes(sources: Collection[str], internet: Collection[str]) -> Collection[str]:
    """Address prefixes or a service tag for these sources, of which some are on the internet."""
    if set(sources) == {_PROBE}:
        return (_PROBE_TAG,)
    if len(sources) <= _MOST_SOURCES:
        return sources
    if not internet:
        return ("VirtualNetwork",)
    return ("Internet",) if len(internet) == len(sources) else ("*",)


def _warnings_of_sources(one: Wish) -> list[str]:
    many = f"the flows came from {len(one.callers)} addresses, so this names"
    warnings = []
    if "Internet" in one.sources:
        warnings.append(f"{many} the whole internet as source")
    elif "*" in one.sources:
        warnings.append(f"{many} any source, the whole internet among them")
    elif "VirtualNetwork" in one.sources:
        warnings.append(f"{many} the whole virtual network and its peers as source")
    elif one.public:
        warnings.append("some sources are addresses of the internet: make sure whose they are")
    if one.public:
        warnings.append(
            "an internet scan looks just like this: take the # away only for callers you know"
        )
        if any(map(_public, one.destinations)):
            warnings.append(
                "the network's own range has public addresses, so these may be callers inside it"
            )
    return warnings


def _warnings_of_port(one: Wish) -> list[str]:
    whom = "to addresses of the internet" if one.public else "further than it is now"
    return [
        f"port {port} ({_MANAGEMENT[port]}) is a management port and this opens it {whom}: "
        "Azure Bastion or just-in-time access may serve better"
        for port in sorted(one.ports)
        if one.inbound and port in _MANAGEMENT
    ]
