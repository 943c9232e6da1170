"""What changed on the path of a group before it began: for the message that tells it first.

A change that came before the first denial may be its cause, and none that came later is. More is
not said: Azure's history names what differs and when, not what follows from it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.marks import ago
from nsgflow_core.estate.changes import Change, by_weight, ends_of
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.scope import INTERNET
from nsgflow_core.model import flow_time

MAX_CHANGED = 300
"""Characters of a line that are kept: it goes into the state of digests."""

_GROUPS = 10
_IDS = 100
_PROPERTIES = 2

Asking = Callable[[Iterable[str]], Sequence[Change]]
"""Gives the changes of resources, the newest first."""


def changed(
    begun: Mapping[str, int], groups: Sequence[Tally], inventory: Inventory | None, ask: Asking
) -> dict[str, str]:
    """The last change on the path of each group that has just begun, before its first flow.

    `begun` has the time of the first flow of each such group by its id, in milliseconds since the
    epoch. The history is asked once, for the groups in front; scans have no cause of ours.
    """
    paths = {
        tally.key.id: path(tally, inventory)
        for tally in groups
        if tally.key.id in begun and not tally.key.cause and tally.key.scope != INTERNET
    }
    asked = dict(list(paths.items())[:_GROUPS])
    ids = by_weight({one for found in asked.values() for one in found})[:_IDS]
    if not ids:
        return {}
    history = ask(ids)
    found = {}
    for name, on_path in asked.items():
        first = flow_time(begun[name])
        before = (one for one in history if one.target in on_path and one.time <= first)
        if (change := max(before, key=lambda one: one.time, default=None)) is not None:
            found[name] = line(change, begun[name])
    return found


def path(tally: Tally, inventory: Inventory | None) -> set[str]:
    """The resources whose changes may have denied a group; see `ends_of`."""
    found = {tally.key.acl} if tally.key.acl.startswith("/subscriptions/") else set()
    if inventory is None:
        return found
    if (acl := inventory.acl(tally.key.acl)) is not None:
        found.add(acl.id)
    ends = (end for example in tally.examples.values for end in example.split(" ")[:2])
    nics = (nic for address in dict.fromkeys(ends) for nic in inventory.nics_at(address))
    return found | ends_of(inventory, nics)


def line(change: Change, first: int) -> str:
    """A change in one line; `first` is the first flow's time in milliseconds since the epoch."""
    name = change.target.rpartition("/")[2]
    told = [
        f"{one.path.removeprefix('properties.')} {one.before or 'none'} to {one.after or 'none'}"
        for one in change.properties[:_PROPERTIES]
    ]
    if len(change.properties) > _PROPERTIES:
        told.append(f"{len(change.properties) - _PROPERTIES} more")
    what = "; ".join(told) or change.kind.lower()
    who = f" by {change.by}" if change.by else ""
    return f"{_before(change.time, first)} {name} changed{who}: {what}"[:MAX_CHANGED]


def _before(time: str, first: int) -> str:
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return f"at {time}"
    return f"{ago(first / 1000 - then.timestamp())} before"
