"""What was denied and may be seen let through: which flows to look for, and what one is. Pure.

Whoever delivers blobs imports this and no more of what tells people.
"""

from collections.abc import Sequence
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

    `since` is when it was seen so first, 0 where it was not; both in milliseconds.
    """

    key: Key
    example: str
    last: int
    since: int = 0


def denied_in(ledger: Ledger) -> list[Sought]:
    """The flows of the groups of which all different ones are known, and that a rule denied."""
    return [
        Sought(tally.key, example, tally.last)
        for tally in ledger.groups
        if tally.examples.complete and tally.key.cause == RULE
        for example in tally.examples.values
    ]


def sought(ledger: Ledger | None, before: Sequence[Sought], read_to: int) -> list[Sought]:
    """The flows of a blob's groups, and those of the hour `before`, that are to be looked for.

    `read_to` is how far the blob has been read. What was seen let through a short while before is
    left out, and what was not is in front.
    """
    denied = [*before, *(denied_in(ledger) if ledger else ())]
    known = {(each.group, each.example): each for each in (ledger.passed if ledger else ())}
    lasts: dict[Key, int] = {}
    for one in denied:
        lasts[one.key] = max(lasts.get(one.key, 0), one.last)
    ids = {key: key.id for key in lasts} if known else {}
    first: list[Sought] = []
    again: list[Sought] = []
    for key, example in dict.fromkeys((one.key, one.example) for one in denied):
        least = lasts[key] + TICK
        seen = known.get((ids[key], example)) if known else None
        if seen is None or seen.at < least:
            first.append(Sought(key, example, lasts[key]))
        elif seen.at < read_to - _AGAIN:
            since = seen.since if seen.since >= least else seen.at
            again.append(Sought(key, example, lasts[key], since))
    return first + again


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
