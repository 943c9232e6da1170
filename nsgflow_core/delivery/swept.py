"""What the last completed sweep of a connection left behind, for the next one and for digests."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

SWEEP = "~sweep"
"""Partition with a row for each connection; these names sort behind every hour."""

_MOST_LEFT = 100
_MOST_AWAY = 100
"""A property holds 64 KiB; of more places their containers are told."""

Place = tuple[str, str]
"""A container, and the prefix of a resource in it, "" for the whole."""


class SweepState(msgspec.Struct, frozen=True, omit_defaults=True):
    """When the last completed sweep of a connection began; None before the first.

    All that was written until then was delivered or is marked as pending, but for the hours in
    `left`, of which the newest are kept, the places in `away`, and the hours before `first`: the
    very first sweep has no past.
    """

    completed: datetime | None = None
    left: tuple[datetime, ...] = ()
    away: tuple[Place, ...] = ()
    first: datetime | None = None


_STATE = msgspec.json.Decoder(SweepState)
_LONG_AGO = datetime.fromtimestamp(0, UTC)


def behind(
    completed: datetime,
    left: Iterable[datetime] = (),
    away: Iterable[Place] = (),
    first: datetime | None = None,
) -> SweepState:
    """What a sweep leaves that began at a time."""
    places = sorted(set(away))
    if len(places) > _MOST_AWAY:
        places = sorted({(container, "") for container, _ in places})
    return SweepState(completed, tuple(sorted(left)[-_MOST_LEFT:]), tuple(places), first)


def sweep_state(entity: Mapping[str, Any]) -> SweepState:
    """The state in a row; of one that cannot be read, rather too much is looked at."""
    try:
        return _STATE.decode(entity["State"])
    except (KeyError, TypeError, msgspec.MsgspecError):
        return SweepState(_LONG_AGO)
