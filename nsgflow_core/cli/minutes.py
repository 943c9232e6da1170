"""When flows were: the time line of a report."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nsgflow_core.cli.read import Found

_MINUTE = 60
_WIDTHS = (1, 5, 15, 30, 60, 180, 360, 720, 1440)
"""Minutes that a bar of the time line may stand for; days together where these are too short."""
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
    """Counts the flows of each minute as they go by."""

    def __init__(self) -> None:
        self._minutes: dict[int, list[int]] = {}

    def beside(self, flows: Iterable[Found]) -> Iterator[Found]:
        """The flows as they come."""
        for found in flows:
            flow = found.flow
            minute = flow.time_ms // (1000 * _MINUTE)
            self._minutes.setdefault(minute, [0, 0])[0 if flow.inbound else 1] += 1
            yield found

    def timeline(self) -> Timeline:
        """The flows in bars of one width, bars without any included; at most so many."""
        if not self._minutes:
            return Timeline(_MINUTE, [], [], [])
        first, last = min(self._minutes), max(self._minutes)
        width = next((wide for wide in _WIDTHS if last // wide - first // wide < _BARS), 0)
        if not width:
            days = _WIDTHS[-1]
            width = days * -(-(last - first + days) // (days * (_BARS - 1)))
        bars = range(first // width, last // width + 1)
        inbound, outbound = dict.fromkeys(bars, 0), dict.fromkeys(bars, 0)
        for minute, (came, went) in self._minutes.items():
            inbound[minute // width] += came
            outbound[minute // width] += went
        return Timeline(
            width * _MINUTE,
            [bar * width * _MINUTE for bar in bars],
            list(inbound.values()),
            list(outbound.values()),
        )
