"""What a report counts over all groups: its rules, and how many ends there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nsgflow_core.cli.denials import DEFAULT_BY, Groups
from nsgflow_core.cli.groupings import Value, line_of, meaning
from nsgflow_core.cli.spilled import Spilled

_KEYS = DEFAULT_BY.split(",")


@dataclass(slots=True)
class Rule:
    """A rule of an NSG in a direction, and how many flows, sources and destinations it denied."""

    nsg: str
    rule: str
    direction: str
    flows: int = 0
    sources: int = 0
    destinations: int = 0


def distinct(groups: Groups, keys: Sequence[str], key: str) -> int:
    """How many things one of the keys names."""
    at = keys.index(key)
    if isinstance(groups, Spilled):
        ((count,),) = groups.ask(
            f"SELECT count(*) FROM (SELECT 1 FROM parts GROUP BY k{at:d}, "  # noqa: S608 - numbers
            f"line(apart, {line_of(key, keys):d}))"
        )
        return int(count)
    return len({(values[at], meaning(key, keys, one.apart)) for values, one in groups})


def rules_of(groups: Groups, called: Mapping[str, str]) -> list[Rule]:
    """The rules that groups by the default keys are of, the busiest first.

    `called` says by their ids how NSGs are called that share a name with others.
    """
    found = _on_disk(groups, called) if isinstance(groups, Spilled) else _in_memory(groups, called)
    return sorted(found, key=lambda one: (-one.flows, one.nsg, one.rule, one.direction))


def _in_memory(groups: Groups, called: Mapping[str, str]) -> Sequence[Rule]:
    rules: dict[tuple[str, Value, Value], tuple[Rule, set[str], set[tuple[Value, str]]]] = {}
    for (nsg, rule, direction, _, destination, _), denials in groups:
        key = (denials.acl_group, rule, direction)
        if (entry := rules.get(key)) is None:
            name = called.get(denials.acl_group, str(nsg))
            entry = rules[key] = (Rule(name, str(rule), str(direction)), set(), set())
        entry[0].flows += denials.flows
        entry[1].update(denials.sources)
        entry[2].add((destination, meaning("destination", _KEYS, denials.apart)))
    for found, sources, destinations in rules.values():
        found.sources, found.destinations = len(sources), len(destinations)
    return [found for found, *_ in rules.values()]


def _on_disk(groups: Spilled, called: Mapping[str, str]) -> Sequence[Rule]:
    """The same; k0, k1, k2 and k4 are the keys NSG, rule, direction and destination."""
    # The name is that of the least row, as SQLite has it of a query with one min().
    first = groups.ask(
        "SELECT acl, k1, k2, min(rowid), k0, sum(flows) FROM ordered GROUP BY acl, k1, k2"
    )
    rules = {
        tuple(key): Rule(called.get(key[0], nsg), key[1], key[2], flows)
        for *key, _, nsg, flows in first
    }
    for *key, count in groups.ask(
        "SELECT acl, k1, k2, count(*) FROM "
        "(SELECT acl, k1, k2 FROM parts GROUP BY acl, k1, k2, caller) GROUP BY acl, k1, k2"
    ):
        rules[tuple(key)].sources = count
    for *key, count in groups.ask(
        "SELECT acl, k1, k2, count(*) FROM "  # noqa: S608 - a number
        "(SELECT acl, k1, k2 FROM ordered GROUP BY acl, k1, k2, k4, "
        f"line(apart, {line_of('destination', _KEYS):d})) GROUP BY acl, k1, k2"
    ):
        rules[tuple(key)].destinations = count
    return list(rules.values())
