"""When flows were, as a row of small bars: one for each stretch of time of one length."""

import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from nsgflow_core.cli.clock import Clock
from nsgflow_core.errors import BadInputError

_BLOCKS = "▁▂▃▄▅▆▇█"
_NONE = "·"
_DIGITS = "123456789"
_MOST = 10_000
_SHOWN = 60
"""Bars that fit into the column of a table."""
_NICE = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY = 86_400


class Bars(NamedTuple):
    """Stretches of `seconds`; `begin` is in seconds, the first of `number` of them begins then."""

    seconds: int
    begin: int
    number: int

    @property
    def length(self) -> str:
        """How long a stretch is, as it is typed."""
        for unit, size in (("d", _DAY), ("h", 3600), ("m", 60)):
            if self.seconds % size == 0:
                return f"{self.seconds // size}{unit}"
        return f"{self.seconds}s"

    def counts(self, of_seconds: Mapping[int, int]) -> list[int]:
        """How many there were in each stretch, of counts by the second."""
        found = [0] * self.number
        for second, count in of_seconds.items():
            at = (second - self.begin) // self.seconds
            if 0 <= at < self.number:
                found[at] += count
        return found

    def drawn(self, of_seconds: Mapping[int, int]) -> str:
        """The bars as letters; the highest is the largest number of the row."""
        counts = self.counts(of_seconds)
        levels, none = (_BLOCKS, _NONE) if _can_draw() else (_DIGITS, ".")
        most = max(counts, default=0)
        return "".join(
            levels[-(-count * len(levels) // most) - 1] if count else none for count in counts
        )

    def legend(self, times: Clock) -> str:
        """What a row of bars is of."""
        begin, end = self.begin * 1000, (self.begin + self.number * self.seconds) * 1000
        none = _NONE if _can_draw() else "."
        return (
            f"bars of {self.length} from {times(begin)} to {times(end)}\n"
            f"{none} is none, the highest is the most of its line"
        )


def every(length: timedelta) -> int:
    """How long a bar is, in seconds.

    Raises:
        BadInputError: it is no whole number of seconds.
    """
    seconds = round(length.total_seconds())
    if seconds < 1 or length != timedelta(seconds=seconds):
        raise BadInputError("--every takes whole seconds, such as 30s, 5m or 1h")
    return seconds


def bars(seconds: int, first: int, last: int) -> Bars:
    """Bars of a length over all from the first to the last, both in milliseconds.

    Raises:
        BadInputError: they would be too many.
    """
    begin = first // 1000 // seconds * seconds
    number = (last // 1000 - begin) // seconds + 1
    if number > _MOST:
        raise BadInputError(f"--every gives {number} bars, and {_MOST} are the most: take longer")
    return Bars(seconds, begin, number)


def fitting(made: Bars) -> Bars:
    """The same time in bars that fit into a table."""
    if made.number <= _SHOWN:
        return made
    end = made.begin + made.number * made.seconds
    seconds = next((nice for nice in _NICE if nice * _SHOWN >= end - made.begin + nice), 0)
    if not seconds:
        seconds = -(-(end - made.begin + _DAY) // (_SHOWN * _DAY)) * _DAY
    begin = made.begin // seconds * seconds
    return Bars(seconds, begin, -(-(end - begin) // seconds))


def _can_draw() -> bool:
    try:
        (_BLOCKS + _NONE).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
