"""What people did, marked by themselves with `nsgflow mark`, beside what changed. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from nsgflow_core.digests.memory import Mark

MAX_TEXT = 200
MAX_MARKS = 50
KEPT_SECONDS = 14 * 86_400.0
"""As long as Azure keeps what changed."""

_NEAR_SECONDS = 86_400.0
"""What was marked longer before a group began is not told with it."""


def with_mark(marks: Sequence[Mark], mark: Mark, now: float) -> tuple[Mark, ...]:
    """Marks with one more, in the order of their times, without those that are too old or many."""
    kept = [each for each in marks if each.at >= now - KEPT_SECONDS and each != mark]
    return tuple(sorted([*kept, mark], key=lambda each: each.at)[-MAX_MARKS:])


def before_groups(
    begun: Mapping[str, int], changed: Mapping[str, str], marks: Sequence[Mark]
) -> dict[str, tuple[str, ...]]:
    """What was done before each group that has just begun: the last change, and the last mark.

    `begun` has the times of their first flows, in milliseconds since the epoch. Nothing that came
    later is told.
    """
    found = {}
    for name, first in begun.items():
        lines = [changed[name]] if name in changed else []
        if (mark := _last(marks, first / 1000)) is not None:
            at = f"{datetime.fromtimestamp(mark.at, UTC):%H:%M:%S}"
            lines.append(f"{ago(first / 1000 - mark.at)} before, at {at} UTC: {mark.text}")
        if lines:
            found[name] = tuple(lines)
    return found


def _last(marks: Sequence[Mark], first: float) -> Mark | None:
    near = (mark for mark in marks if first - _NEAR_SECONDS <= mark.at <= first)
    return max(near, key=lambda mark: mark.at, default=None)


def ago(seconds: float) -> str:
    """A span of time in its largest whole unit."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
