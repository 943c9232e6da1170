"""A figure, how to time two things fairly, and the table of all figures."""

import gc
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_TITLES = ("figure", "measured", "of what", "target", "")


@dataclass(frozen=True)
class Figure:
    """One measured value, and what it must reach.

    Attributes:
        name: what was measured.
        value: a multiple of the baseline, or a number of `unit`.
        baseline: what `value` is measured against, or counted over.
        target: the most that `value` may be, or the least with `at_least`; None states it only.
    """

    name: str
    value: float
    baseline: str
    target: float | None = None
    at_least: bool = False
    unit: str = "x"

    @property
    def missed(self) -> bool:
        """Whether there is a target and it is not reached."""
        if self.target is None:
            return False
        return self.value < self.target if self.at_least else self.value > self.target

    @property
    def verdict(self) -> str:
        """The last column of the table."""
        if self.target is None:
            return "stated"
        return "MISSED" if self.missed else "met"


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of this process, all threads, while `run` runs; its result is freed afterwards."""
    begun = time.process_time()
    result = run()
    seconds = time.process_time() - begun
    del result
    return seconds


def memory(name: str) -> int:
    """A line of this process's status in bytes: VmRSS is held now, VmHWM was at most."""
    status = Path("/proc/self/status").read_text()
    (kibibytes,) = re.findall(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kibibytes) * 1024


def ratio(rounds: int, ours: Callable[[int], object], baseline: Callable[[int], object]) -> float:
    """CPU time of ours as a multiple of the baseline's: the least of each over several rounds.

    The two take turns, so that whatever else the machine does meets both. Both are given the
    number of the round. As in `timeit`, the garbage collector rests while either runs.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            for run, taken in zip((ours, baseline), seconds, strict=True):
                gc.collect()
                taken.append(cpu_seconds(partial(run, number)))
    finally:
        if was_enabled:
            gc.enable()
    return min(seconds[0]) / min(seconds[1])


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which so many percent of the values lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(figures: Sequence[Figure]) -> str:
    """All figures, one a line."""
    rows = [_TITLES, *map(_cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    target = ""
    if figure.target is not None:
        target = f"{'≥' if figure.at_least else '≤'} {_number(figure.target, figure.unit)}"
    measured = _number(figure.value, figure.unit)
    return figure.name, measured, figure.baseline, target, figure.verdict


def _number(value: float, unit: str) -> str:
    if unit != "x":
        return f"{value:.4g} {unit}".rstrip()
    return f"{value:.3f} x"
