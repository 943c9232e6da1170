"""Where denied flows need a rule: at each NSG on their way that denies them now.

A log names the first NSG that denied. With an inventory every layer at both ends is asked, so that
those behind it are known as well. Without one there is the NSG that the log names, and no more.
"""

from collections.abc import Sequence
from typing import NamedTuple

from nsgflow_core.estate.acl import Answer, Packet
from nsgflow_core.estate.inventory import Nic
from nsgflow_core.estate.judgement import Judgement
from nsgflow_core.estate.rule_files import KnownNsg
from nsgflow_core.estate.rules import FIRST_PRIORITY, Rule, find, with_defaults
from nsgflow_core.estate.simulation import tells
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.estate.wishes import Denied, Wish, is_probe

WITH_PORTS = ("TCP", "UDP")
"""Protocols whose ports a rule of an NSG can name."""


class Point(NamedTuple):
    """A flow as an NSG sees it, without its source port; the port None stands for any."""

    protocol: str
    src: str
    dst: str
    port: int | None


class Kind(NamedTuple):
    """What one rule cannot have two of, besides its NSG and direction.

    `room` tells flows apart by whether a rule can stand before the one that denies them: True,
    False, or None where that is not known.
    """

    protocol: str
    internet: bool
    probe: bool
    room: bool | None


class Place:
    """One direction of an NSG, and what is needed there.

    `nsg` is its id, or what the log calls it, and `known` the NSG with its rules, None where they
    are not known; `vnets` are those of the network interfaces that were met there, `nic` one of
    them. `deniers` are the rules that deny each flow, or the names that a log has for them;
    `groups` the numbers of the groups it is of. `rules` are those of the direction, and `count` is
    how many of one's own the NSG has in both.
    """

    def __init__(self, nsg: str, known: KnownNsg | None, *, inbound: bool) -> None:
        self.nsg, self.known, self.inbound = nsg, known, inbound
        self.nic: Nic | None = None
        self.vnets: set[str] = set()
        self.wanted: dict[Kind, dict[tuple[str, int | None], set[str]]] = {}
        self.deniers: dict[Point, Rule | str] = {}
        self.groups: dict[Point, set[int]] = {}
        rules = with_defaults(known.rules) if known is not None else ()
        self.rules = [rule for rule in rules if rule.inbound == inbound]
        self.count = sum(not rule.built_in for rule in rules)
        self._by_name = {rule.name: rule for rule in self.rules}
        self._logged: dict[str, Rule | str] = {}
        taken = {rule.priority for rule in self.rules}
        first = FIRST_PRIORITY
        while first in taken:
            first += 1
        self._first_free = first

    def logged(self, name: str) -> Rule | str:
        """The rule that a log names; else its name."""
        if name not in self._logged:
            found = find(self.rules, name, inbound=self.inbound)
            self._logged[name] = found if found is not None else name
        return self._logged[name]

    def need(self, point: Point, denier: Rule | str, wish: Wish, *, internet: bool) -> None:
        """Take down that a flow needs a rule before the one that denies it."""
        before = self.deniers.get(point)
        if before is None or _earlier(denier, before):
            self.deniers[point] = denier
        self.groups.setdefault(point, set()).add(wish.group)
        room = None if isinstance(denier, str) else denier.priority > self._first_free
        kind = Kind(point.protocol, internet, is_probe(point.src), room)
        self.wanted.setdefault(kind, {}).setdefault((point.dst, point.port), set()).add(point.src)

    def named(self, name: str | None) -> Rule | str | None:
        """A rule by its own name; None where there is none."""
        return self._by_name.get(name) if name is not None else None


class Asked(NamedTuple):
    """A flow that is to pass, what the rules say of it now, and where it needs one.

    `ends` are the network interfaces of source and destination that are known beforehand.
    """

    wish: Wish
    packet: Packet
    ends: tuple[Nic | None, Nic | None]
    now: Judgement
    needs: tuple[tuple[Place, Point], ...]


class Needs:
    """Asks the rules about flows, one wish after the other, and keeps what they need."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.places: dict[tuple[str, bool], Place] = {}

    def of(self, wishes: Sequence[Wish]) -> list[Asked]:
        """What the flows of all wishes need."""
        for wish in wishes:
            learn(self._judge, wish.denied, wish.sources)
        return [self._asked(wish, *end) for wish in wishes for end in sorted(_sources(wish))]

    def place(self, nsg: str, *, inbound: bool) -> Place:
        """One direction of an NSG, by what a log or the inventory calls it."""
        known = self._judge.nsg(nsg)
        key = known.id.lower() if known is not None else nsg.lower()
        if (place := self.places.get((key, inbound))) is None:
            shown = known.id if known is not None else nsg
            place = self.places[key, inbound] = Place(shown, known, inbound=inbound)
        return place

    def _asked(self, wish: Wish, source: str, name: str) -> Asked:
        denied = wish.denied
        packet = packet_of(denied, source)
        nics = (
            self._judge.nic_called(source, name),
            self._judge.nic_called(denied.destination, denied.destination_name),
        )
        ends = self._judge.ends(packet, source=nics[0], target=nics[1])
        now = self._judge.judge(packet, ends)
        own = self.place(denied.acl_group, inbound=denied.inbound)
        at = {("destination" if seen.inbound else "source"): seen for seen in ends.seen}
        internet = denied.inbound and (source in denied.outside or source in denied.doubtful)
        needs: dict[tuple[int, Point], tuple[Place, Point]] = {}
        met = False
        for layer in now.layers:
            if layer.layer == "admin":
                continue
            seen = at[layer.end]
            place = self.place(layer.acl, inbound=seen.inbound)
            mine = place is own
            met = met or mine
            if layer.verdict == "denied" or (layer.verdict == "unknown" and mine):
                self._meet(place, seen.nic)
                denier = place.named(layer.rule) or place.logged(denied.rule)
                point = point_of(seen.packet)
                place.need(point, denier, wish, internet=internet)
                needs[id(place), point] = place, point
        if not met and self._denies(denied, packet):
            point = point_of(packet)
            own.need(point, own.logged(denied.rule), wish, internet=internet)
            needs[id(own), point] = own, point
        return Asked(wish, packet, nics, now, tuple(needs.values()))

    def _denies(self, denied: Denied, packet: Packet) -> bool:
        """Whether the NSG that logged a flow denies it still, for all that is known.

        An inventory without its network interface is no witness against the log.
        """
        if self._judge.inventory is not None:
            return True
        return at_own(self._judge, denied, packet).verdict != "allowed"

    def _meet(self, place: Place, nic: Nic) -> None:
        """Take down where an NSG is."""
        inventory = self._judge.inventory
        if inventory is not None:
            place.nic = place.nic or nic
            place.vnets.add(inventory.subnet(nic).vnet)


def _sources(wish: Wish) -> set[tuple[str, str]]:
    """The sources of a wish, each with what it is called, "" where that is not known."""
    called = {end for end in wish.denied.called if end[0] in wish.sources}
    return called | {(one, "") for one in wish.sources - {address for address, _ in called}}


def packet_of(denied: Denied, source: str) -> Packet:
    """A flow of a group."""
    return Packet(source, denied.destination, denied.protocol, denied.source_port, denied.port)


def point_of(packet: Packet) -> Point:
    """What a rule can tell of a packet."""
    port = packet.dst_port if packet.protocol in WITH_PORTS else None
    return Point(packet.protocol, packet.src, packet.dst, port)


def learn(judge: Judge, denied: Denied, sources: frozenset[str]) -> None:
    """Take in what a log tells of the ends of flows, for where there is no network interface."""
    space = judge.space(None)
    inside = tells(denied.rule)
    near, far = ((denied.destination,), sources) if denied.inbound else (
        sources, (denied.destination,),
    )  # fmt: skip
    for address in near:
        space.own(address)
    if inside is not None:
        for address in far:
            space.learn(address, inside=inside)


def at_own(judge: Judge, denied: Denied, packet: Packet) -> Answer:
    """What the NSG that logged a flow says of it, where the inventory does not have it there."""
    return judge.at_nsg(denied.acl_group, packet, inbound=denied.inbound)


def _earlier(one: Rule | str, other: Rule | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and not isinstance(other, str)
    return one.priority < other.priority
