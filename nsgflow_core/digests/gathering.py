"""What one run of the digests reads: what is new in the ledgers, and how far logs were read.

Rows of an hour are asked for once. Where it may be known that a group is over, all rows of the
hours that are read anyway are, and not only those in which something was counted: what an end
rests on costs no request of its own while logs go on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.ledger import Seen, read_to, unseen
from nsgflow_core.digests.life import Life
from nsgflow_core.digests.memory import Ledgers, State
from nsgflow_core.digests.reach import Reach, Read, WentOn, hours_behind, unknown
from nsgflow_core.digests.rows import Marks, Watched
from nsgflow_core.digests.through import Through, nothing
from nsgflow_core.digests.waiting import Waiting
from nsgflow_core.errors import NsgflowError
from nsgflow_core.logs.path import hour_name, hour_named

_LATE = timedelta(minutes=75)
"""How long behind the end of the hour after its own a log is read without being watched."""
_KEPT = timedelta(hours=24)
_SKEW = 600.0
"""Seconds between the time that a ledger bears and when it can be read, clocks that differ
included."""
_MARK_SECONDS = 1800.0
"""How often, at least, the state says how far ledgers were read. With the skew it is shorter than
the pause after which a ledger keeps what it had counted apart (`ledger.add`)."""

Quiet = Mapping[str, Mapping[str, int]]
"""Groups of which nothing came for a while: when each of their logs had them last."""


@dataclass(slots=True)
class Gathered:
    """The state with what is new, marks that are done with, and what could not be read.

    `went_on` says which logs did, where that was asked and all could be read. `passed` says what
    is known of a group if all of it was seen let through since.
    """

    state: State
    expired: list[Watched] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)
    went_on: WentOn = unknown
    passed: Callable[[Life], str] = nothing


class Gathering:
    """One reading of the ledgers; `begun` is now, in seconds since the epoch.

    An hour is read while its logs are written, from where the last run stopped, when it is marked
    as watched, and when it could not be read before. One that cannot be read keeps nobody else's
    flows back. Newer hours are read first: what is told of a log in one is then known before what
    was counted of it in those before.
    """

    def __init__(self, ledgers: Ledgers, state: State, begun: float, state_days: int) -> None:
        self._ledgers = ledgers
        self._state = state
        self._begun = begun
        self._oldest = datetime.fromtimestamp(begun, UTC) - timedelta(days=state_days)
        self._kept = hour_name(datetime.fromtimestamp(begun, UTC) - _KEPT)
        self._waiting = Waiting(state.waiting, state.others)
        self._read: dict[str, dict[str, Seen]] = {}
        self._failures: dict[str, Exception] = {}

    def whole(self, quiet: Quiet, quiet_seconds: float) -> Gathered:
        """Read all; with `quiet` groups, how far their logs were read too.

        Raises:
            TransientError, RefusedError: not one hour could be read.
        """
        marks = self._ledgers.marks()
        reach = Reach(marks.swept) if quiet else None
        recent = self._recent(self._state.completed)
        through = Through(self._state.lives, recent[0])
        for hour in reversed(recent):
            self._hour(hour, reach, through)
        others = self._others(marks)
        if reach is not None:
            others |= hours_behind(quiet.values(), reach.went_on, quiet_seconds, recent[0])
        for hour in sorted(others - set(recent), reverse=True):
            self._hour(hour, reach, through)
        for failure in self._failures.values():
            if not self._read and isinstance(failure, NsgflowError):
                raise failure  # nothing can be read: that is the storage, and no hour of its own
        went_on = reach.went_on if reach is not None and not self._failures else unknown
        passed = nothing if self._failures else through.of
        after, expired = self._after(recent[0]), self._expired(marks)
        return Gathered(after, expired, self._failures, went_on, passed)

    def _recent(self, completed: float) -> list[datetime]:
        """The hours whose logs may still be written, or were since ledgers were last read."""
        now = datetime.fromtimestamp(self._begun, UTC)
        since = datetime.fromtimestamp(completed, UTC) if completed else now
        first = max(min(since, now) - _LATE, self._oldest)
        hour = first.replace(minute=0, second=0, microsecond=0)
        return list(_hours(hour, now))

    def _others(self, marks: Marks) -> set[datetime]:
        oldest = hour_name(self._oldest)
        unread = {hour_named(name) for name in self._state.unread if name > oldest}
        return unread | {mark.hour for mark in marks.watched}

    def _hour(self, hour: datetime, reach: Reach | None, through: Through) -> None:
        """Take what is new in the ledgers of an hour, once all of it could be read."""
        name = hour_name(hour)
        forgotten = name < self._kept and name not in self._state.unread
        told = self._state.completed - _SKEW if forgotten else 0.0
        seen = dict(self._state.seen.get(name, {}))
        found: list[tuple[list[Tally], int]] = []
        logs: dict[str, Read] = {}
        try:
            for row in self._ledgers.rows(hour, everything=reach is not None):
                logs[row.log] = Read(row.read_to, row.whole, row.uncounted)
                if row.ledger is not None:
                    if row.ledger.is_full:  # that it has no flow of a group says nothing
                        logs[row.log] = Read(0, whole=False)
                    through.add(row.ledger)
                    if not (row.ledger.groups or row.ledger.others):
                        continue  # it says what was let through of the hour before
                    found.append(unseen(row.ledger, seen.get(row.key), told))
                    seen[row.key] = read_to(row.ledger)
        except (NsgflowError, ValueError, msgspec.MsgspecError) as exc:
            self._failures[name] = exc
            return
        for fresh, others in found:
            self._waiting.add(fresh, others)
        if reach is not None:
            reach.add(hour, logs)
        self._read[name] = seen

    def _after(self, first: datetime) -> State:
        """The state behind it.

        It is written when something has changed, and now and then for the time alone: when that
        makes the hours that are read fewer, or it would be too long ago.
        """
        state = self._state
        seen = {
            name: rows
            for name, rows in state.seen.items()
            if name >= self._kept or name in self._read or name in self._failures
        }
        gathered = replace(
            state,
            seen=seen | {name: rows for name, rows in self._read.items() if rows},
            waiting=self._waiting.groups,
            others=self._waiting.others,
            unread=tuple(sorted(self._failures)),
        )
        late = self._begun >= state.completed + _MARK_SECONDS
        if gathered != state or late or self._recent(self._begun)[0] > first:
            return replace(gathered, completed=self._begun)
        return gathered

    def _expired(self, marks: Marks) -> list[Watched]:
        return [
            mark
            for mark in marks.watched
            if mark.until < self._begun and hour_name(mark.hour) not in self._failures
        ]


def _hours(hour: datetime, until: datetime) -> Iterator[datetime]:
    while hour <= until:
        yield hour
        hour += timedelta(hours=1)
