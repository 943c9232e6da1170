"""Whether flows pass with proposed rules in place, and what else these would let in."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from nsgflow_core.estate.acl import Acl, Packet, Verdict
from nsgflow_core.estate.drafts import Draft
from nsgflow_core.estate.judgement import WHERE, Judgement, Layer
from nsgflow_core.estate.needs import Asked, Needs, Place, Point, at_own, learn, packet_of, point_of
from nsgflow_core.estate.rules import Rule
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.estate.wishes import Denied


class Proof(NamedTuple):
    """What the rules say of all flows of a proposal, once every proposal is in place.

    `still` are the layers that deny some of them all the same, in words, and `because` what is not
    known; `needs` names the other rules that they cannot do without, each with its NSG.
    """

    verdict: Verdict
    still: tuple[str, ...]
    because: tuple[str, ...]
    needs: tuple[tuple[str, str], ...]


class _Found:
    """What is found about one draft, flow by flow."""

    def __init__(self) -> None:
        self.still: dict[str, None] = {}
        self.because: dict[str, None] = {}
        self.needs: dict[tuple[str, str], None] = {}

    def proof(self) -> Proof:
        verdict: Verdict = "denied" if self.still else "unknown" if self.because else "allowed"
        return Proof(verdict, tuple(self.still), tuple(self.because), tuple(sorted(self.needs)))


def with_drafts(judge: Judge, drafts: Iterable[Draft]) -> Judge:
    """The rules as they would be, with all drafts in place that have a priority."""
    return judge.with_rules(_by_nsg(drafts))


def proofs(trial: Judge, drafts: Sequence[Draft], asked: Iterable[Asked]) -> list[Proof]:
    """Ask every layer about every flow; `trial` has the drafts in place."""
    at: dict[tuple[int, Point], list[int]] = {}
    for number, draft in enumerate(drafts):
        for point in draft.points:
            at.setdefault((id(draft.place), point), []).append(number)
    found = [_Found() for _ in drafts]
    learned = -1
    for one in asked:
        if not one.needs:
            continue
        denied = one.wish.denied
        if one.wish.group != learned:
            learned = one.wish.group
            learn(trial, denied, one.wish.sources)
        still, because = _outcome(trial, one)
        for place, point in one.needs:
            for number in at[id(place), point]:
                mine = found[number]
                mine.still |= dict.fromkeys(still)
                mine.because |= dict.fromkeys(because)
                for other, there in one.needs:
                    if other is not place:
                        draft = drafts[at[id(other), there][0]]
                        name = trial.shown(other.nsg, other.nsg.rpartition("/")[2])
                        mine.needs[draft.rule.name, name] = None
    return [one.proof() for one in found]


def _by_nsg(drafts: Iterable[Draft]) -> dict[str, list[Rule]]:
    added: dict[str, list[Rule]] = {}
    for draft in drafts:
        if draft.rule.priority and draft.place.known is not None:
            added.setdefault(draft.place.known.id.lower(), []).append(draft.rule)
    return added


def _outcome(trial: Judge, one: Asked) -> tuple[list[str], list[str]]:
    """What denies a flow in the trial, and what is not known of it."""
    denied = one.wish.denied
    ends = trial.ends(one.packet, source=one.ends[0], target=one.ends[1])
    judged: Judgement = trial.judge(one.packet, ends)
    still = [_words(layer, trial.shown) for layer in judged.denying]
    because = list(judged.unknown)
    known = trial.nsg(denied.acl_group)
    own = known.id.lower() if known is not None else denied.acl_group.lower()
    end = "destination" if denied.inbound else "source"
    if not any(layer.acl == own and layer.end == end for layer in judged.layers):
        answer = at_own(trial, denied, one.packet)
        name = trial.shown(own, known.name if known is not None else denied.acl_group)
        if answer.verdict == "denied" and answer.rule is not None:
            still.append(f"{answer.rule.name} of {name}")
        if answer.because:
            because.append(answer.because)
        if trial.inventory is not None:
            because.append(f"the inventory does not have NSG {name} on the way of these flows")
    return still, because


def _words(layer: Layer, shown: Callable[[str, str], str]) -> str:
    said = f"{layer.rule} of {shown(layer.acl, layer.name)} ({WHERE[layer.layer]}, {layer.end})"
    return f"{said}, where no rule of an NSG can help" if layer.layer == "admin" else said


def also_let_in(
    trial: Judge, drafts: Sequence[Draft], groups: Sequence[Denied], needs: Needs
) -> list[tuple[Point, ...]]:
    """For each draft the flows denied at its NSG that it is not for, and would let in."""
    wide: dict[int, dict[str, int]] = {}
    for number, draft in enumerate(drafts):
        if draft.besides:  # others allow what they are for, and nothing else
            wide.setdefault(id(draft.place), {})[draft.rule.name] = number
    found: list[set[Point]] = [set() for _ in drafts]
    compiled: dict[int, Acl] = {}
    for denied in groups if wide else ():
        place = needs.place(denied.acl_group, inbound=denied.inbound)
        named = wide.get(id(place))
        if named is None:
            continue
        if id(place) not in compiled:
            rules = [drafts[at].rule for at in named.values()]
            compiled[id(place)] = trial.alone(rules, place.nic, inbound=place.inbound)
        for source in denied.sources:
            packet = packet_of(denied, source)
            point = point_of(packet)
            fitting = [named[rule.name] for rule in compiled[id(place)].fitting(packet)]
            more = [at for at in fitting if point not in drafts[at].points]
            if more and not _denied_still(trial, place, packet):
                for at in more:
                    found[at].add(point)
    return [tuple(sorted(some, key=_in_order)) for some in found]


def _denied_still(trial: Judge, place: Place, packet: Packet) -> bool:
    answer = trial.at_nsg(place.nsg, packet, inbound=place.inbound, nic=place.nic)
    return answer.verdict == "denied"


def _in_order(point: Point) -> tuple[str, str, str, int]:
    return point.src, point.dst, point.protocol, -1 if point.port is None else point.port
