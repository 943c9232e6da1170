"""Flows that were seen, judged by rules as they are or would be.

A flow is judged by the NSG that its log names, in its direction, and by nothing else: that one
decided about it, and its log says how.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from nsgflow_core.estate.acl import Acl, Answer, Packet
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.model import Flow, Group

Change = Literal["none", "newly-denied", "newly-allowed", "unknown"]
CHANGES: tuple[Change, ...] = ("none", "newly-denied", "newly-allowed", "unknown")

_EXAMPLES = 3
_NO_NAMES: Mapping[str, str] = {}
_PREFIXES = ("UserRule_", "DefaultRule_")
_DEFAULT = "DefaultRule_"
_INSIDE = frozenset(("allowvnetinbound", "allowvnetoutbound"))
_OUTSIDE = frozenset(("denyallinbound", "allowinternetoutbound", "denyalloutbound"))


def rule_name(logged: str) -> str:
    """A rule as it is called, from how a log names it."""
    prefix = next((prefix for prefix in _PREFIXES if logged.startswith(prefix)), "")
    return logged.removeprefix(prefix)


def tells(logged: str) -> bool | None:
    """Whether `VirtualNetwork` holds the far end of a flow, by the rule that a log names."""
    name = rule_name(logged).casefold() if logged.startswith(_DEFAULT) else ""
    return True if name in _INSIDE else False if name in _OUTSIDE else None


class Kind(NamedTuple):
    """What a flow was recorded as, and what it is now."""

    nsg: str
    inbound: bool
    recorded_rule: str
    was_denied: bool
    rule: str | None
    outcome: str
    because: str

    @property
    def change(self) -> Change:
        """What the rules change for such flows."""
        if self.outcome == "unknown":
            return "unknown"
        if self.was_denied == (self.outcome == "denied"):
            return "none"
        return "newly-allowed" if self.was_denied else "newly-denied"


@dataclass
class Seen:
    """Flows of one kind: how many, and a few of them."""

    flows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, packet: Packet, flows: int = 1, names: Mapping[str, str] = _NO_NAMES) -> None:
        """Count flows of a packet, whose ends may have names."""
        self.flows += flows
        if len(self.examples) < _EXAMPLES:
            example = {
                "src": packet.src,
                "dst": packet.dst,
                "port": packet.dst_port,
                "protocol": packet.protocol.lower(),
                **names,
            }
            if example not in self.examples:
                self.examples.append(example)


class _Place:
    """One NSG at one network interface, and the rule that logged flows there.

    Where that is a default rule, it tells whether `VirtualNetwork` holds the far end (`tells`).
    """

    def __init__(self, judge: Judge, group: Group) -> None:
        nsg = judge.nsg(group.acl_group)
        inventory = judge.inventory
        self._group, self._inventory = group, inventory
        self.nsg = nsg.id if nsg is not None else group.acl_group
        self.rule = rule_name(group.rule)
        nic = inventory.nic(group.mac) if inventory is not None else None
        at = _vnet(group.record.target) or group.mac or self.nsg
        self.tells = tells(group.rule)
        self.space = judge.space(nic, at)
        self.known = nsg is not None
        self.inbound, self.outbound = (
            judge.acl(group.acl_group, nic, inbound=inbound, place=at, inside=self.tells)
            for inbound in (True, False)
        )
        self._all = [
            acl
            for inside in (None, True, False)
            for inbound in (True, False)
            if (acl := judge.acl(group.acl_group, nic, inbound=inbound, place=at, inside=inside))
        ]
        self.unknown = Answer("unknown", None, judge.why_unknown(group.acl_group))
        self.seen: dict[tuple[bool, bool, str], tuple[Answer, Seen]] = {}
        self.met: set[str] = set()

    def meet(self, near: str, far: str) -> None:
        """Take in what a log says of both ends: the near one is the interface's own."""
        if near not in self.met:
            self.met.add(near)
            if self.space.own(near):
                self._forget(near)
        if self.tells is not None and far not in self.met:
            self.met.add(far)
            if self.space.learn(far, inside=self.tells):
                self._forget(far)

    def names(self, packet: Packet, *, inbound: bool) -> Mapping[str, str]:
        """What both ends are called, by `srcName` and `dstName`; none without an inventory."""
        if (inventory := self._inventory) is None:
            return _NO_NAMES
        near, far = (packet.dst, packet.src) if inbound else (packet.src, packet.dst)
        local = inventory.local(self._group.mac, self._group.record.target, near)
        remote = inventory.remote(local.vnet if local is not None else "", far)
        here, there = ((one.vm or one.subnet) if one is not None else "" for one in (local, remote))
        source, target = (there, here) if inbound else (here, there)
        return {"srcName": source, "dstName": target}

    def _forget(self, address: str) -> None:
        for acl in self._all:
            acl.forget(address)


class Simulation:
    """Judges flow after flow; what it learns of addresses on the way counts for all of them."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._places: dict[tuple[str, str, str, str], _Place] = {}
        self._group: Group | None = None
        self._place: _Place | None = None
        self._doubtful: dict[tuple[_Place, bool, bool, Packet], int] = {}
        self.allowed = self.denied = 0

    def add(self, flow: Flow) -> None:
        """Judge a flow and count it."""
        group = flow.group
        if group is not self._group or self._place is None:
            self._group, self._place = group, self._enter(group)
        place = self._place
        inbound = flow.direction_code == "I"
        denied = flow.decision == "D"
        near, far = (flow.dst, flow.src) if inbound else (flow.src, flow.dst)
        if near not in place.met or (place.tells is not None and far not in place.met):
            place.meet(near, far)
        packet = Packet(flow.src, flow.dst, flow.protocol, flow.src_port, flow.dst_port)
        acl = place.inbound if inbound else place.outbound
        answer = acl.decide(packet) if acl is not None else place.unknown
        if denied:
            self.denied += 1
        else:
            self.allowed += 1
        if acl is not None and answer.because:
            key = (place, inbound, denied, packet)
            self._doubtful[key] = self._doubtful.get(key, 0) + 1
            return
        _count(place, inbound, denied, answer, packet, 1)

    def kinds(self) -> list[tuple[Kind, Seen]]:
        """What was found, the most flows first. Nothing is added after this."""
        for (place, inbound, denied, packet), flows in self._doubtful.items():
            acl: Acl | None = place.inbound if inbound else place.outbound
            answer = acl.decide(packet) if acl is not None else place.unknown
            _count(place, inbound, denied, answer, packet, flows)
        self._doubtful.clear()
        found: dict[Kind, Seen] = {}
        for place in self._places.values():
            for (inbound, denied, _), (answer, seen) in place.seen.items():
                rule = answer.rule.name if answer.rule is not None else None
                kind = Kind(
                    place.nsg, inbound, place.rule, denied, rule, answer.verdict, answer.because
                )
                total = found.setdefault(kind, Seen())
                total.flows += seen.flows
                room = _EXAMPLES - len(total.examples)
                new = [one for one in seen.examples if one not in total.examples]
                total.examples += new[:room]
        return sorted(found.items(), key=lambda entry: (-entry[1].flows, [*map(str, entry[0])]))

    def _enter(self, group: Group) -> _Place:
        key = (group.acl_group, group.mac, group.record.target, group.rule)
        if (place := self._places.get(key)) is None:
            place = self._places[key] = _Place(self._judge, group)
        return place


def totals(kinds: Iterable[tuple[Kind, Seen]]) -> dict[Change, int]:
    """How many flows each change touches."""
    found: dict[Change, int] = dict.fromkeys(CHANGES, 0)
    for kind, seen in kinds:
        found[kind.change] += seen.flows
    return found


def as_json(kind: Kind, seen: Seen) -> dict[str, Any]:
    """One line of `nsgflow simulate -o json`."""
    evaluated = {"rule": kind.rule, "outcome": kind.outcome, "because": kind.because or None}
    return {
        "nsg": kind.nsg,
        "direction": "in" if kind.inbound else "out",
        "recorded": {
            "rule": kind.recorded_rule,
            "outcome": "denied" if kind.was_denied else "allowed",
        },
        "evaluated": evaluated,
        "change": kind.change,
        "flows": seen.flows,
        "examples": seen.examples,
    }


def _count(
    place: _Place,
    inbound: bool,  # noqa: FBT001 - parts of a key
    denied: bool,  # noqa: FBT001
    answer: Answer,
    packet: Packet,
    flows: int,
) -> None:
    said = answer.because or (answer.rule.name if answer.rule is not None else "")
    key = (inbound, denied, said)
    if (entry := place.seen.get(key)) is None:
        entry = place.seen[key] = (answer, Seen())
    seen = entry[1]
    if len(seen.examples) < _EXAMPLES:
        seen.add(packet, flows, place.names(packet, inbound=inbound))
    else:
        seen.flows += flows


def _vnet(target: str) -> str:
    head, mark, rest = target.partition("/virtualnetworks/")
    return f"{head}{mark}{rest.partition('/')[0]}" if mark else ""
