"""The rules that would let denied flows through, proven by asking every layer with them in place.

Groups of flows become the fewest rules that allow them and no others; what a rule allows besides,
where Azure has no words for less, is said, and which flows that were seen that lets in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nsgflow_core.estate.drafts import drafts
from nsgflow_core.estate.needs import Asked, Needs, Point
from nsgflow_core.estate.proof import Proof, also_let_in, proofs, with_drafts
from nsgflow_core.estate.rules import Rule
from nsgflow_core.estate.sides import Sides
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.estate.wishes import Denied, Refusal, wishes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule to review.

    `nsg` is the NSG's id, or what the log calls it. The rule's priority is 0 where there is none to
    give: `no_priority` says why, and `no_room` whether nobody could give one. `groups` are the
    numbers of the groups whose flows it is for, and `protocols` what these have; `denied_by` are
    the rules that deny them now, or the names that a log has. `internet` says that addresses of the
    internet would be let in. `besides` tells in words what it allows besides, and `also` what of
    that was seen.
    """

    nsg: str
    rule: Rule
    groups: tuple[int, ...]
    protocols: tuple[str, ...]
    denied_by: tuple[Rule | str, ...]
    no_priority: str
    no_room: bool
    internet: bool
    besides: tuple[str, ...]
    also: tuple[Point, ...]
    proof: Proof


def propose(groups: Sequence[Denied], judge: Judge) -> list[Proposal | Refusal]:
    """Proposals for groups of denied flows, and what is refused; those of the first groups first.

    Neither depends on the order of the groups, but for their numbers.
    """
    wanted, refused = wishes(groups)
    needs = Needs(judge)
    asked = needs.of(wanted)
    made = drafts(needs.places.values(), Sides(judge.inventory), judge)
    trial = with_drafts(judge, made)
    proven = proofs(trial, made, asked)
    also = also_let_in(trial, made, groups, needs)
    found: list[Proposal | Refusal] = [
        Proposal(
            draft.place.nsg,
            draft.rule,
            draft.groups,
            draft.protocols,
            draft.denied_by,
            draft.no_priority,
            draft.no_room,
            draft.internet,
            draft.besides,
            also[at],
            proven[at],
        )
        for at, draft in enumerate(made)
    ]
    return sorted([*found, *refused, *_needless(asked)], key=_order)


def _order(one: Proposal | Refusal) -> tuple[int, str, str]:
    name, nsg = (one.rule.name, one.nsg) if isinstance(one, Proposal) else (one.why, "")
    return min(one.groups), nsg, name


def _needless(asked: Iterable[Asked]) -> list[Refusal]:
    """What is to say of groups none of whose flows needs a rule in an NSG."""
    needy: set[int] = set()
    why: dict[int, str] = {}
    for one in asked:
        group = one.wish.group
        if one.needs:
            needy.add(group)
        elif group not in why:
            why[group] = _needs_none(one)
    found: dict[str, list[int]] = {}
    for group, text in why.items():
        if group not in needy:
            found.setdefault(text, []).append(group)
    return [Refusal(tuple(numbers), text) for text, numbers in found.items()]


def _needs_none(one: Asked) -> str:
    if one.now.verdict == "allowed":
        return "the rules as they are now let these flows through on every layer"
    if one.now.verdict == "denied":
        said = ", ".join(f"{layer.rule!r} of {layer.name}" for layer in one.now.denying)
        return f"security admin rules deny them now ({said}): no rule of an NSG can help"
    return "the NSG lets these flows through now; whether the rest does is not known: " + "; ".join(
        one.now.unknown
    )
