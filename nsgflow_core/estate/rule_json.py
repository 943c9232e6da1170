"""Security rules as Azure's JSON has them: in ARM, in Resource Graph and in what az prints.

An NSG's rule has its values in `properties`, or flattened beside its name
(https://learn.microsoft.com/azure/templates/microsoft.network/networksecuritygroups); a security
admin rule has lists of `sources` and `destinations`
(https://learn.microsoft.com/azure/templates/microsoft.network/networkmanagers/securityadminconfigurations/rulecollections/rules),
and older ones come in other cases. What is one value may stand as a list, and the other way round.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nsgflow_core.estate.rules import NOT_TOLD, Rule

_WORDS = {"allow": "Allow", "deny": "Deny", "alwaysallow": "AlwaysAllow"}


def rule_of(name: str, properties: Mapping[str, Any], *, built_in: bool) -> Rule:
    """A rule of an NSG or a security admin rule, from its properties in any case.

    Raises:
        ValueError: its priority is no number.
    """
    found = lower_keys(properties)
    return Rule(
        name,
        int(found.get("priority") or 0),
        str(found.get("direction")).lower() == "inbound",
        _WORDS.get(str(found.get("access")).lower(), str(found.get("access") or "")),
        str(found.get("protocol") or ""),
        _prefixes(found, "source"),
        texts(found.get("sourceportrange"), found.get("sourceportranges")),
        _prefixes(found, "destination"),
        texts(found.get("destinationportrange"), found.get("destinationportranges")),
        built_in,
    )


def nsg_rules(
    own: Iterable[Any] | None,
    defaults: Iterable[Any] | None,
    make: Callable[..., Rule] = rule_of,
) -> tuple[Rule, ...]:
    """The rules of an NSG: its own, and Azure's default ones.

    Raises:
        ValueError: a priority is no number.
    """
    entries = [(entry, False) for entry in own or ()]
    entries += [(entry, True) for entry in defaults or ()]
    return tuple(
        make(str(entry["name"]), entry.get("properties") or entry, built_in=built_in)
        for entry, built_in in entries
    )


def file_rule(name: str, properties: Mapping[str, Any], *, built_in: bool) -> Rule:
    """A rule of an NSG from a file, where values may be missing, or expressions.

    Raises:
        ValueError: access, direction or protocol are no words, or the priority no number; names
            the rule.
    """
    found = lower_keys(properties)
    if str(found.get("direction")).lower() not in ("inbound", "outbound"):
        raise ValueError(f"rule {name!r} has the direction {found.get('direction')!r}")
    if str(found.get("access")).lower() not in _WORDS:
        raise ValueError(f"rule {name!r} has the access {found.get('access')!r}")
    protocol = str(found.get("protocol") or "")
    if not built_in and (not protocol or protocol.startswith("[")):
        raise ValueError(f"rule {name!r} has the protocol {found.get('protocol')!r}")
    try:
        rule = rule_of(name, properties, built_in=built_in)
    except ValueError as exc:
        raise ValueError(f"rule {name!r} has the priority {found.get('priority')!r}") from exc
    told = (NOT_TOLD,)
    return msgspec.structs.replace(
        rule,
        sources=rule.sources or told,
        source_ports=rule.source_ports or told,
        destinations=rule.destinations or told,
        destination_ports=rule.destination_ports or told,
    )


def lower_keys(found: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping by its keys in lower case."""
    return {key.lower(): value for key, value in found.items()}


def texts(*values: str | int | Sequence[str | int] | None) -> tuple[str, ...]:
    """One text, or lists of them, as Azure writes either; without repetition."""
    lists = [[value] if isinstance(value, str | int) else value or () for value in values]
    found = (str(text).strip() for one in lists for text in one)
    return tuple(dict.fromkeys(text for text in found if text))


def _prefixes(found: Mapping[str, Any], end: str) -> tuple[str, ...]:
    """Addresses, service tags and groups of one end: of an NSG's rule, or of an admin rule."""
    groups = [group["id"] for group in found.get(f"{end}applicationsecuritygroups") or ()]
    items = [lower_keys(item)["addressprefix"] for item in found.get(f"{end}s") or ()]
    own = texts(found.get(f"{end}addressprefix"), found.get(f"{end}addressprefixes"))
    # Security admin rules may have several addresses in one text.
    return texts([part for text in (*own, *groups, *items) for part in text.split(",")])
