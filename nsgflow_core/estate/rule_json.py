"""Security rules as Azure's JSON has them: in ARM, in Resource Graph and in what az prints.

An NSG's rule has its values in `properties`, or flattened beside its name
(https://learn.microsoft.com/azure/templates/microsoft.network/networksecuritygroups); a security
admin rule has lists of `sources` and `destinations`
(https://learn.microsoft.com/azure/templates/microsoft.network/networkmanagers/securityadminconfigurations/rulecollections/rules),
and older ones come in other cases. What is one value may stand as a list, and the other way round.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nsgflow_core.estate.rules import NOT_TOLD, Rule
from nsgflow_core.estate.shapes import listed, mapping, text, wrong

_WORDS = {"allow": "Allow", "deny": "Deny", "alwaysallow": "AlwaysAllow"}


def rule_of(name: str, properties: Mapping[str, Any], *, built_in: bool) -> Rule:
    """A rule of an NSG or a security admin rule, from its properties in any case.

    Raises:
        ValueError: its priority is no number, or its ends are no texts.
    """
    found = lower_keys(properties)
    return Rule(
        name,
        _priority(name, found.get("priority")),
        str(found.get("direction")).lower() == "inbound",
        _WORDS.get(str(found.get("access")).lower(), str(found.get("access") or "")),
        str(found.get("protocol") or ""),
        _prefixes(name, found, "source"),
        _texts(name, found, "sourceportrange", "sourceportranges"),
        _prefixes(name, found, "destination"),
        _texts(name, found, "destinationportrange", "destinationportranges"),
        built_in,
    )


def _priority(name: str, value: object) -> int:
    try:
        return int(value or 0)  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError):
        raise ValueError(f"rule {name!r} has the priority {value!r}") from None


def nsg_rules(
    own: object,
    defaults: object,
    make: Callable[..., Rule] = rule_of,
    place: str = "",
) -> tuple[Rule, ...]:
    """The rules of an NSG, which stands at a place: its own, and Azure's default ones.

    Raises:
        ValueError: they are no lists of rules, or one cannot be read.
    """
    entries = [(*entry, False) for entry in listed(own, f"{place}.securityRules".lstrip("."))]
    more = listed(defaults, f"{place}.defaultSecurityRules".lstrip("."))
    entries += [(*entry, True) for entry in more]
    return tuple(
        make(
            text(entry, "name", at),
            mapping(entry.get("properties"), f"{at}.properties") or entry,
            built_in=built_in,
        )
        for at, entry, built_in in entries
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
    rule = rule_of(name, properties, built_in=built_in)
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


def _texts(name: str, found: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """One text, or lists of them, as Azure writes either; without repetition."""
    made: dict[str, None] = {}
    for key in keys:
        value = found.get(key)
        several = value if isinstance(value, list | tuple) else () if value is None else (value,)
        for one in several:
            if not isinstance(one, str | int):
                raise wrong(one, f"{key} of rule {name!r}", "a text")
            made[str(one).strip()] = None
    return tuple(one for one in made if one)


def _prefixes(name: str, found: Mapping[str, Any], end: str) -> tuple[str, ...]:
    """Addresses, service tags and groups of one end: of an NSG's rule, or of an admin rule."""
    groups, items = (
        [
            text(lower_keys(one), key, place)
            for place, one in listed(found.get(of), f"{of} of rule {name!r}")
        ]
        for of, key in ((f"{end}applicationsecuritygroups", "id"), (f"{end}s", "addressprefix"))
    )
    own = _texts(name, found, f"{end}addressprefix", f"{end}addressprefixes")
    # Security admin rules may have several addresses in one text.
    parts = [part.strip() for one in (*own, *groups, *items) for part in one.split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))
