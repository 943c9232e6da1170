"""Places that a sweep cannot look at: what one container or resource refuses is its own affair.

A place that failed is left alone for a while, ever longer, and when it can be looked at again
its missed hours are, of no other place. Nothing is remembered but the first hour missed, so an
outage of weeks costs no more than one of minutes.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Away
from nsgflow_core.delivery.swept import Place

_SHORTEST_WAIT = 4 * 60.0
_LONGEST_WAIT = 59 * 60.0
"""Waits are a little shorter than the sweep's timer makes them, so that its jitter adds none."""


class Places:
    """Which places one sweep leaves alone, and what it learns of the others."""

    def __init__(self, away: Iterable[Away], now: float) -> None:
        self._away = {(at.container, at.prefix): at for at in away}
        self._now = now
        self._failed: dict[Place, tuple[datetime, bool]] = {}

    def closed(self, place: Place) -> bool:
        """Whether a place is left alone: put off by earlier sweeps, or failed in this one."""
        known = self._away.get(place)
        return place in self._failed or (known is not None and known.not_before > self._now)

    def left(self, *, complete: bool) -> set[Place]:
        """The places of which something may not have been looked at, in a sweep that is over."""
        known = {*self._away, *self._failed}
        return {place for place in known if self.closed(place) or not complete}

    def since(self, place: Place) -> datetime | None:
        """The first hour that was missed at a place that can be looked at, if any was."""
        missed = [
            self._away[at].since
            for at in {place, (place[0], "")}
            if at in self._away and not self.closed(at)
        ]
        return min(missed, default=None)

    def failed(self, place: Place, first: datetime, *, refused: bool) -> None:
        """A place could not be looked at, from this hour on; was it refused, or only missed?"""
        self._failed[place] = first, refused

    def changes(self, asked: datetime, *, complete: bool) -> Iterator[tuple[Away, bool]]:
        """What later sweeps have to know: places, and whether they are still away.

        `asked` is the first hour that was to be listed at all places. Missed hours are only done
        with when the sweep was `complete`.
        """
        for place, (first, refused) in self._failed.items():
            known = self._away.get(place, Away(*place, first, 0, 0.0))
            wait = min(_SHORTEST_WAIT * 2.0 ** min(known.failures, 10), _LONGEST_WAIT)
            failed = replace(
                known,
                since=min(known.since, first),
                failures=known.failures + refused,
                not_before=self._now + wait * refused,
            )
            yield failed, True
        for place, known in self._away.items():
            if place in self._failed:
                continue
            if not self.closed(place):
                if complete:
                    yield known, False
            elif asked < known.since:
                yield replace(known, since=asked), True
