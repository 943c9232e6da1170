"""Whether logs went on, by how far their blobs were read: the evidence of an end. Pure.

A blob is read in its order, so an hour says all by itself how far it was read. A later hour says
something only where nothing is left of those before it: an app that was stopped does not read
blobs in the order of their hours. That is what completed sweeps have seen to.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

HOUR_MS = 3_600_000
_TURN_SECONDS = 600.0
"""So long behind its end the last of an hour was written."""
_MOST_HOURS = 4

WentOn = Callable[[str, int, int], bool]
"""Whether all of a log between two times was read, and it had records behind; milliseconds."""


class Swept(msgspec.Struct, frozen=True):
    """What the last completed sweeps of all connections have seen to.

    All that was written until `since` was delivered or is marked in its row, but for the hours in
    `left`, and those before `first`; both in seconds since the epoch.
    """

    since: float = 0.0
    left: frozenset[datetime] = frozenset()
    first: float = 0.0


class Read(NamedTuple):
    """How far a log was read in an hour, in milliseconds, and whether nothing is left of it.

    Until `uncounted`, in milliseconds, it was not counted: what was denied then is not known.
    """

    to: int
    whole: bool
    uncounted: int = 0


_NOTHING = Read(0, whole=True)
"""Of an hour in which a log had nothing."""


def unknown(_log: str, _last: int, _until: int) -> bool:
    """Where nobody knows how far logs were read."""
    return False


class Reach:
    """How far each log was read, by the hours of its blobs."""

    def __init__(self, swept: Swept) -> None:
        self._since = swept.since
        self._first = swept.first / 3600
        self._left = {_index(hour) for hour in swept.left}
        self._hours: dict[int, dict[str, Read]] = {}

    def add(self, hour: datetime, logs: Mapping[str, Read]) -> None:
        """How far the logs of an hour were read."""
        self._hours[_index(hour)] = dict(logs)

    def went_on(self, log: str, last: int, until: int) -> bool:
        """Whether all of a log between two times was read, and it had records behind."""
        first, end = last // HOUR_MS, until // HOUR_MS
        if any(self._read(log, hour).uncounted > last for hour in range(first, end + 1)):
            return False
        if self._to(log, first) >= until:
            return True
        if not all(self._is_whole(log, hour) for hour in range(first, end)):
            return False
        if self._to(log, end) >= until:
            return True
        later = (hour for hour in self._hours if hour > end)
        return self._is_whole(log, end) and any(self._to(log, hour) for hour in later)

    def _read(self, log: str, hour: int) -> Read:
        return self._hours.get(hour, {}).get(log, _NOTHING)

    def _to(self, log: str, hour: int) -> int:
        return self._read(log, hour).to

    def _is_whole(self, log: str, hour: int) -> bool:
        """Whether nothing of a log in an hour can be left; it may have had nothing at all."""
        turned = self._since >= (hour + 1) * 3600 + _TURN_SECONDS
        if hour not in self._hours or not turned or hour in self._left or hour < self._first:
            return False
        return self._read(log, hour).whole


def hours_behind(
    groups: Iterable[Mapping[str, int]], went_on: WentOn, quiet: float, before: datetime
) -> set[datetime]:
    """The hours before one that may say of logs what that and later ones do not.

    Each group has when its logs had it last; `quiet` is in seconds.
    """
    asked: set[int] = set()
    for logs in groups:
        for log, last in logs.items():
            until = last + round(quiet * 1000)
            if log and not went_on(log, last, until):
                asked |= {last // HOUR_MS, until // HOUR_MS}
    newest = sorted((hour for hour in asked if hour < _index(before)), reverse=True)[:_MOST_HOURS]
    return {datetime.fromtimestamp(hour * 3600, UTC) for hour in newest}


def _index(hour: datetime) -> int:
    return int(hour.timestamp()) // 3600
