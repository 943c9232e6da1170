"""When flows were: the time line of a report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nsgflow_core.cli.read import Found

_MINUTE = 60
_WIDTHS = (1, 5, 15, 30, 60, 180, 360, 720, 1440)
"""Minutes that a bar of the time line may stand for; days together where these are too short."""
_SHORT = 5
"""Minutes whose flows are shown by the second."""
_SECONDS = (1, 5)
"""Seconds that a bar of so short a time may stand for."""
_BARS = 120


@dataclass(frozen=True, slots=True)
class Timeline:
    """Flows by time, in bars that are `seconds` wide.

    Where each begins, in seconds since the epoch, and how many came and went.
    """

    seconds: int
    times: list[int]
    inbound: list[int]
    outbound: list[int]


class Minutes:
    """Counts the flows of each minute as they go by, and of each second while these are few."""

    def __init__(self) -> None:
        self._minutes: dict[int, list[int]] = {}
        self._seconds: dict[int, list[int]] = {}

    def beside(self, flows: Iterable[Found]) -> Iterator[Found]:
        """The flows as they come."""
        for found in flows:
            flow = found.flow
            second, way = flow.time_ms // 1000, 0 if flow.inbound else 1
            self._minutes.setdefault(second // _MINUTE, [0, 0])[way] += 1
            if len(self._minutes) <= _SHORT:
                self._seconds.setdefault(second, [0, 0])[way] += 1
            yield found

    def timeline(self) -> Timeline:
        """The flows in bars of one width, bars without any included; at most so many."""
        if not self._minutes:
            return Timeline(_MINUTE, [], [], [])
        if max(self._minutes) - min(self._minutes) < _SHORT:
            first, last = min(self._seconds), max(self._seconds)
            width = next((wide for wide in _SECONDS if last // wide - first // wide < _BARS), 0)
            if width:
                return _bars(self._seconds, width, 1)
        first, last = min(self._minutes), max(self._minutes)
        width = next((wide for wide in _WIDTHS if last // wide - first // wide < _BARS), 0)
        if not width:
            days = _WIDTHS[-1]
            width = days * -(-(last - first + days) // (days * (_BARS - 1)))
        return _bars(self._minutes, width, _MINUTE)


def _bars(counts: Mapping[int, Sequence[int]], width: int, unit: int) -> Timeline:
    """Counts by a unit of so many seconds, in bars that are `width` units wide."""
    bars = range(min(counts) // width, max(counts) // width + 1)
    inbound, outbound = dict.fromkeys(bars, 0), dict.fromkeys(bars, 0)
    for at, (came, went) in counts.items():
        inbound[at // width] += came
        outbound[at // width] += went
    return Timeline(
        width * unit,
        [bar * width * unit for bar in bars],
        list(inbound.values()),
        list(outbound.values()),
    )
