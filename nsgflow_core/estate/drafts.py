"""Rules in the making: boxes of flows with names and priorities.

A rule stands before the one that denies, at the last priority that is free. Its name says what it
is for and ends in a digest of it: az replaces a rule of the same name without a word, so that no
two share one, and the same rule has the same at every run.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import msgspec

from nsgflow_core.estate.acl import DENY
from nsgflow_core.estate.boxes import Box, fewest
from nsgflow_core.estate.needs import WITH_PORTS, Kind, Place, Point
from nsgflow_core.estate.rules import FIRST_PRIORITY, LAST_PRIORITY, Rule
from nsgflow_core.estate.sides import Sides
from nsgflow_core.estate.verdict import Judge

MOST_RULES = 1000
"""Rules that an NSG may have:
https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-networking-limits"""

_MOST_SAID = 3
_PROTOCOLS = {"TCP": "Tcp", "UDP": "Udp", "ICMP": "Icmp", "50": "Esp", "51": "Ah"}


@dataclass
class Draft:
    """A proposal in the making, and the flows that it is for."""

    place: Place
    box: Box
    protocols: tuple[str, ...]
    internet: bool
    points: set[Point]
    groups: tuple[int, ...]
    rule: Rule
    besides: tuple[str, ...]
    denied_by: tuple[Rule | str, ...]
    no_priority: str = ""
    no_room: bool = False


def drafts(places: Iterable[Place], sides: Sides, judge: Judge) -> list[Draft]:
    """The rules that are needed at some places, with priorities as far as they are known."""
    found = []
    for place in sorted(places, key=lambda one: (one.nsg.lower(), one.inbound)):
        for kind, box, protocols in _boxes(place):
            found.append(_draft(place, kind, box, protocols, sides, judge))
    _give_priorities(found)
    return found


def _boxes(place: Place) -> list[tuple[Kind, Box, tuple[str, ...]]]:
    """The boxes of a place; TCP and UDP are one rule where they need the same ports."""
    found: dict[tuple[Kind, Box], list[str]] = {}
    for kind, wanted in sorted(place.wanted.items(), key=str):
        with_ports = {cell: some for cell, some in wanted.items() if cell[1] is not None}
        without = {cell: some for cell, some in wanted.items() if cell[1] is None}
        for box in fewest(with_ports):
            label = "TCP" if kind.protocol in WITH_PORTS else kind.protocol
            found.setdefault((kind._replace(protocol=label), box), []).append(kind.protocol)
        for box in fewest(without):
            found.setdefault((kind, box), []).append(kind.protocol)
    return [(kind, box, tuple(sorted(protocols))) for (kind, box), protocols in found.items()]


def _draft(
    place: Place, kind: Kind, box: Box, protocols: tuple[str, ...], sides: Sides, judge: Judge
) -> Draft:
    points = {
        Point(protocol, src, dst, port) for protocol, src, dst, port in product(protocols, *box)
    }
    vnet = next(iter(place.vnets)) if len(place.vnets) == 1 else ""
    space = judge.space(place.nic)
    sources = sides.of(box.sources, vnet, space)
    destinations = sides.of(box.destinations, vnet, space)
    protocol = _PROTOCOLS.get(protocols[0], "*") if len(protocols) == 1 else "*"
    besides = [*sources.besides, *destinations.besides]
    if len(protocols) > 1:
        besides.append("a rule cannot name TCP and UDP alone: this allows any protocol with ports")
    elif protocol == "*":
        besides.append(f"a rule cannot name protocol {protocols[0]}: this allows any")
    elif None in box.ports and protocols[0] in WITH_PORTS:
        besides.append("the log has no port, so this allows all of them")
    ports = sorted(port for port in box.ports if port is not None)
    rule = Rule(
        _name(place, protocols, sources.texts, destinations.texts, ports),
        0,
        place.inbound,
        "Allow",
        protocol,
        sources.texts,
        ("*",),
        destinations.texts,
        tuple(_ranges(ports)) or ("*",),
    )
    deniers = {place.deniers[point] for point in points}
    groups = {group for point in points for group in place.groups[point]}
    return Draft(
        place,
        box,
        protocols,
        kind.internet,
        points,
        tuple(sorted(groups)),
        rule,
        tuple(besides),
        tuple(sorted(deniers, key=_rank)),
    )


def _rank(denier: Rule | str) -> tuple[int, str]:
    return (0, denier) if isinstance(denier, str) else (denier.priority, denier.name)


def _give_priorities(found: Iterable[Draft]) -> None:
    """To each rule a free priority before those that deny, the nearest to spare the others."""
    by_place: dict[int, list[tuple[Rule, Draft]]] = {}
    for draft in found:
        denier = draft.denied_by[0]
        if draft.place.known is None:
            draft.no_priority = "the rules of this NSG are not known"
        elif isinstance(denier, str):
            draft.no_priority = f"{denier!r} is not among the rules that are known"
        else:
            by_place.setdefault(id(draft.place), []).append((denier, draft))
    for some in by_place.values():
        _give_at_one(sorted(some, key=lambda one: (one[0].priority, one[1].rule.name)))


def _give_at_one(some: Sequence[tuple[Rule, Draft]]) -> None:
    """The same at one place, where what must stand first comes first."""
    place = some[0][1].place
    taken = {rule.priority for rule in place.rules}
    room = MOST_RULES - place.count
    before = at = 0
    for denier, draft in some:
        if denier.priority != before:
            before = denier.priority
            at = min(before - 1, LAST_PRIORITY)
        while at in taken:
            at -= 1
        if at < FIRST_PRIORITY:
            draft.no_priority = f"no priority is free before {denier.name!r} ({before})"
            draft.no_room = True
        elif not room:
            draft.no_priority = f"an NSG has at most {MOST_RULES:,} rules, and this one is full"
            draft.no_room = True
        else:
            taken.add(at)
            room -= 1
            draft.rule = msgspec.structs.replace(draft.rule, priority=at)
            draft.besides += tuple(_passed_by(draft, at, before))


def _passed_by(draft: Draft, priority: int, before: int) -> Iterator[str]:
    """What a rule comes before besides the one that denies, where that can let more in."""
    passed = [
        f"{rule.name!r} ({rule.priority})"
        for rule in draft.place.rules
        if priority < rule.priority < before and rule.access == DENY
    ]
    if passed and draft.besides:
        more = f" and {len(passed) - _MOST_SAID} more" if len(passed) > _MOST_SAID else ""
        names = ", ".join(passed[:_MOST_SAID])
        yield f"it comes before {names}{more} as well, and lets through what that denied of this"


def _name(
    place: Place,
    protocols: Sequence[str],
    sources: Collection[str],
    destinations: Collection[str],
    ports: Sequence[int],
) -> str:
    """A name of its own for a rule: what it is for, and a digest of all that it says."""
    said = (
        place.nsg.lower(), str(place.inbound), *protocols, *sources, "", *destinations, "",
        *map(str, ports),
    )  # fmt: skip
    digest = hashlib.blake2b("\0".join(said).encode(), digest_size=4).hexdigest()
    port = "ports" if len(ports) > 1 else "".join(map(str, ports)) or "any"
    protocol = re.sub(r"[^a-z0-9]", "", protocols[0].lower()) if len(protocols) == 1 else "any"
    return f"nsgflow-allow-{'in' if place.inbound else 'out'}-{protocol}-{port}-{digest}"


def _ranges(ports: Sequence[int]) -> list[str]:
    """Ports as a rule names them; three and more in a row are a range."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and runs[-1][-1] == port - 1:
            runs[-1].append(port)
        else:
            runs.append([port])
    return [
        text
        for run in runs
        for text in ([f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run))  # noqa: PLR2004
    ]
