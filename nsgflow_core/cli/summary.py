"""What a report tells of denied flows besides their groups: when they were, and who to whom."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nsgflow_core.cli.names import end_names
from nsgflow_core.cli.read import Found
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import Flow

_MINUTE = 60
_WIDTHS = (1, 5, 15, 30, 60, 180, 360, 720, 1440)
"""Minutes that a bar of the time line may stand for; days together where these are too short."""
_BARS = 120

Pair = tuple[str, str, str, int | None]
"""Source, destination, protocol, port."""


@dataclass(slots=True)
class Seen:
    """Flows of one pair; times in milliseconds, `names` of source and destination."""

    first: int
    last: int
    names: tuple[str, str]
    flows: int = 0

    def add(self, flow: Flow) -> None:
        """Count a flow."""
        self.flows += 1
        self.first = min(self.first, flow.time_ms)
        self.last = max(self.last, flow.time_ms)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Flows by time, in bars that are `seconds` wide.

    Where each begins, in seconds since the epoch, and how many came and went.
    """

    seconds: int
    times: list[int]
    inbound: list[int]
    outbound: list[int]


class Summary:
    """Looks on as flows go by."""

    def __init__(self, knowledge: Knowledge = NOTHING) -> None:
        self.pairs: dict[Pair, Seen] = {}
        self._knowledge = knowledge
        self._minutes: dict[int, list[int]] = {}

    def beside(self, flows: Iterable[Found]) -> Iterator[Found]:
        """The flows as they come."""
        for found in flows:
            self._add(found.flow)
            yield found

    def _add(self, flow: Flow) -> None:
        pair = (flow.src, flow.dst, flow.protocol, flow.dst_port)
        if (seen := self.pairs.get(pair)) is None:
            when = flow.time_ms
            seen = self.pairs[pair] = Seen(when, when, end_names(flow, self._knowledge))
        seen.add(flow)
        minute = flow.time_ms // (1000 * _MINUTE)
        self._minutes.setdefault(minute, [0, 0])[0 if flow.inbound else 1] += 1

    def busiest(self, most: int) -> list[tuple[Pair, Seen]]:
        """Who to whom, the most flows first; so many at most."""
        return heapq.nsmallest(
            most, self.pairs.items(), key=lambda each: (-each[1].flows, list(map(str, each[0])))
        )

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
