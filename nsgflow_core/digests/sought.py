"""What was denied and may be seen let through: which flows to look for, and what one is. Pure.

Whoever delivers blobs imports this and no more of what tells people.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from nsgflow_core.digests.groups import Key, example_of, key_of
from nsgflow_core.digests.ledger import Ledger, Passed
from nsgflow_core.estate.causes import RULE
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.model import Flow

TICK = 1000
"""Milliseconds by which a flow must be later than another to be so for sure: NSG logs write whole
seconds."""

_BEGUN = "B"
_AGAIN = 300_000
"""Milliseconds after which a flow that was seen let through is looked for again."""


class Sought(NamedTuple):
    """A flow of a group, as in `Tally.examples`, to be seen let through later than `last`.

    `since` is when it was seen so first, 0 where it was not; both in milliseconds. Where that was
    `lately` it is only asked whether it was denied since.
    """

    key: Key
    example: str
    last: int
    since: int = 0
    lately: bool = False


class Few(NamedTuple):
    """A group of which all different flows are known, and when it was denied last."""

    key: Key
    last: int
    examples: tuple[str, ...]


def few_in(ledger: Ledger, turn: int = 0) -> Iterator[Few]:
    """The groups of a few flows that a rule denied; another `turn` begins with another one."""
    groups = ledger.groups
    for number in range(len(groups)):
        tally = groups[(turn + number) % len(groups)]
        if tally.examples.complete and tally.key.cause == RULE:
            yield Few(tally.key, tally.last, tally.examples.values)


def sought(
    ledger: Ledger | None, before: Sequence[Few], read_to: int, most: int, turn: int = 0
) -> list[Sought]:
    """Flows of a blob's groups, and of those of the hour `before`, that are to be looked for.

    `read_to` is how far the blob has been read: what was seen let through a short while before is
    there as such. Of what was not there are at most `most`, and another `turn` begins with others.
    """
    groups = few_in(ledger, turn) if ledger else iter(())
    passed = ledger.passed if ledger else ()
    noted = {one.example for one in passed}
    counted = max(len(ledger.groups) if ledger else 0, len(before), 1)
    known: list[Sought] = []
    others: list[Sought] = []
    for key, last, examples in _merged(before, groups, turn) if before else groups:
        if not noted and len(others) >= most:
            break
        first = turn // counted % len(examples) if examples else 0
        for example in examples[first:] + examples[:first]:
            seen = _seen(key, example, last, passed) if example in noted else None
            if seen is None:
                others.append(Sought(key, example, last))
            else:
                since = seen.since if seen.since >= last + TICK else seen.at
                known.append(Sought(key, example, last, since, seen.at >= read_to - _AGAIN))
    return known + others[:most]


def _merged(before: Sequence[Few], groups: Iterator[Few], turn: int) -> list[Few]:
    found = {group.key: group for group in groups}
    for group in before:
        known = found.get(group.key, group)
        examples = tuple(sorted({*known.examples, *group.examples}))
        found[group.key] = Few(group.key, max(known.last, group.last), examples)
    first = turn % len(found)
    merged = [*found.values()]
    return merged[first:] + merged[:first]


def _seen(key: Key, example: str, last: int, passed: Sequence[Passed]) -> Passed | None:
    """How a flow was seen let through; None where it was not, or was denied since."""
    name = key.id
    for one in passed:
        if one.example == example and one.group == name and one.at >= last + TICK:
            return one if one.rule else None
    return None


def newest(one: Sought, found: Iterable[Passed], denied: int) -> list[Passed]:
    """What was seen let through of a flow after it was `denied` last, in milliseconds.

    Nothing was, and its group has not counted that: then that it was denied.
    """
    name = one.key.id, one.example
    later = [seen for seen in found if (seen.group, seen.example) == name]
    later = [seen for seen in later if seen.at >= denied + TICK]
    if later or denied <= one.last:
        return later
    return [Passed(*name, 0, denied, "")]


def passed(flow: Flow, one: Sought, knowledge: Knowledge) -> Passed | None:
    """What a flow says if it is the one that is sought, let through.

    Only a connection that begins says so: one that was open before the rule that denies goes on
    (https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview). Version 1
    does not tell which do. It must be of the same NSG: another one may let through what this one
    denies.
    """
    if flow.denied or flow.state != _BEGUN or flow.time_ms < one.last + TICK:
        return None
    key = replace(key_of(flow, knowledge), rule=one.key.rule, port=one.key.port)
    if key != one.key or example_of(flow) != one.example:
        return None
    return Passed(key.id, one.example, one.since or flow.time_ms, flow.time_ms, flow.group.rule)
