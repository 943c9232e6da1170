"""Security rules, and which one a flow log names.

Priorities: https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#security-rules
(100 to 4096 for one's own; the lower number is asked first). Inbound and outbound rules are
counted apart.
"""

from collections.abc import Sequence

import msgspec

FIRST_PRIORITY, LAST_PRIORITY = 100, 4096
NOT_TOLD = "?"
"""Stands for addresses or ports that a rule of an NSG must have, and that a file leaves out."""

_PREFIXES = ("UserRule_", "DefaultRule_")
_CUT_NAME = 65
"""A rule's name may be cut in a flow log, to no less than this many characters."""


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """A security rule, with its values as Azure writes them.

    `access` is Allow, Deny, or (of a security admin rule) AlwaysAllow; application security
    groups stand among the prefixes by their ids; `built_in` marks Azure's default rules.
    """

    name: str
    priority: int
    inbound: bool
    access: str
    protocol: str
    sources: tuple[str, ...]
    source_ports: tuple[str, ...]
    destinations: tuple[str, ...]
    destination_ports: tuple[str, ...]
    built_in: bool = False


def find(rules: Sequence[Rule], logged: str, *, inbound: bool) -> Rule | None:
    """The rule that a flow log names; None where there is none, or more than one could be meant."""
    prefix = next((prefix for prefix in _PREFIXES if logged.startswith(prefix)), "")
    name = logged.removeprefix(prefix).casefold()
    same_way = [
        rule
        for rule in rules
        if rule.inbound == inbound and (not prefix or rule.built_in == (prefix == _PREFIXES[1]))
    ]
    exact = [rule for rule in same_way if rule.name.casefold() == name]
    if len(exact) == 1:
        return exact[0]
    if exact or len(logged) < _CUT_NAME:
        return None
    longer = [rule for rule in same_way if rule.name.casefold().startswith(name)]
    return longer[0] if len(longer) == 1 else None


def with_defaults(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules of an NSG and, where they are left out, the default ones that every NSG has."""
    named = {rule.name.casefold() for rule in rules if rule.priority > LAST_PRIORITY}
    implied = (rule for rule in DEFAULT_RULES if rule.name.casefold() not in named)
    return (*rules, *implied)


def _default(name: str, priority: int, access: str, source: str, destination: str) -> Rule:
    every = ("*",)
    inbound = name.endswith("InBound")
    return Rule(
        name, priority, inbound, access, "*", (source,), every, (destination,), every, built_in=True
    )


DEFAULT_RULES = (
    _default("AllowVnetInBound", 65000, "Allow", "VirtualNetwork", "VirtualNetwork"),
    _default("AllowAzureLoadBalancerInBound", 65001, "Allow", "AzureLoadBalancer", "*"),
    _default("DenyAllInBound", 65500, "Deny", "*", "*"),
    _default("AllowVnetOutBound", 65000, "Allow", "VirtualNetwork", "VirtualNetwork"),
    _default("AllowInternetOutBound", 65001, "Allow", "*", "Internet"),
    _default("DenyAllOutBound", 65500, "Deny", "*", "*"),
)
"""https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules"""
