"""Digests: what was denied in the whole app, told to people, one message an interval at most.

    ledgers of all blobs ─▶ what is new ─▶ waiting ─▶ digest ─▶ stored ─▶ posted ─▶ forgotten

Ledgers only grow, so what is new in one is what it counts beyond what was read before. That, the
groups that wait, and a digest with its content and id are one state, written before the digest
is posted, and only over the state that was read. Whoever dies at any point leaves a state from
which the next run goes on: a digest that may have been posted is posted again as it was, and
nothing is counted twice or left out.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests.groups import Tally, rank
from nsgflow_core.digests.ledger import Ledger, Seen, read_to, unseen
from nsgflow_core.digests.waiting import Waiting
from nsgflow_core.errors import DataRefusedError, NsgflowError, TransientError
from nsgflow_core.logs.path import hour_name, hour_named

MAX_SHOWN = 25
"""The most groups that a digest names; a format shows fewer where they do not fit."""

_MAX_TOLD = 20_000
_LATE = timedelta(minutes=75)
"""How long behind the end of the hour after its own a log is read without being watched."""
_KEPT = timedelta(hours=24)
_SKEW = 600.0
"""Seconds between the time that a ledger bears and when it can be read, clocks that differ
included."""
_MARK_SECONDS = 600.0
_LONGEST_WAIT = 600.0
_SHORT_WAIT = 5.0
_TRIES = 5
_OTHERS = ""


class StateChangedError(NsgflowError):
    """Somebody else wrote the state: the digest is theirs to post."""


class Digest(msgspec.Struct, frozen=True):
    """One message: its groups, what matters first in front, and what it does not show.

    `made` is in seconds since the epoch. `more_groups` and `more_flows` were cut, `others` are
    flows of groups that no ledger had room for. `held_flows` of `held_groups` repeat what was
    told before; a later digest tells them.
    """

    id: str
    made: float
    groups: tuple[Tally, ...]
    more_groups: int = 0
    more_flows: int = 0
    others: int = 0
    held_groups: int = 0
    held_flows: int = 0

    @property
    def flows(self) -> int:
        """All flows that this digest tells of, shown or not."""
        return sum(tally.flows for tally in self.groups) + self.more_flows + self.others

    def cut(self, shown: int) -> "Digest":
        """The same with only its first groups shown."""
        cut = self.groups[shown:]
        return replace(
            self,
            groups=self.groups[:shown],
            more_groups=self.more_groups + len(cut),
            more_flows=self.more_flows + sum(tally.flows for tally in cut),
        )


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that one run tells the next; times are seconds since the epoch.

    `completed` is when ledgers were last read, and `seen` how far, by hour and row; the hours in
    `unread` could not be read. `waiting`
    and `others` are counted and in no digest yet. `told` says when each group was last told.
    `pending` is the digest that may not have been accepted yet, with the ids of all groups it
    tells in `telling`. `attempted` is when a digest was last posted; none is before `not_before`.
    `trusted` says that the receiver took something since it last refused everything; then a
    digest whose content it refuses is posted with only `shown` groups (-1 is all).
    """

    completed: float = 0.0
    seen: dict[str, dict[str, Seen]] = {}
    waiting: tuple[Tally, ...] = ()
    others: int = 0
    told: dict[str, float] = {}
    pending: Digest | None = None
    telling: tuple[str, ...] = ()
    attempted: float = 0.0
    not_before: float = 0.0
    trusted: bool = False
    shown: int = -1
    unread: tuple[str, ...] = ()

    @property
    def to_post(self) -> Digest | None:
        """The pending digest, as it is to be posted."""
        if self.pending is None or self.shown < 0:
            return self.pending
        return self.pending.cut(self.shown)


class Watched(msgspec.Struct, frozen=True):
    """An hour that digests look at until a time in seconds since the epoch."""

    hour: datetime
    until: float
    etag: str


class StateStore(Protocol):
    """Where the state is; `digest_state.DigestState` is the real one."""

    def read(self) -> tuple[State, str]:
        """The state and its ETag; an empty one and "" where there is none."""

    def write(self, state: State, etag: str) -> str:
        """Write the state over the one that was read; its new ETag.

        Raises:
            StateChangedError: it is not as it was read.
        """


class Ledgers(Protocol):
    """Where ledgers are; `ledgers.Ledgers` is the real one and documents the methods."""

    def ledgers(self, hour: datetime) -> Iterable[tuple[str, Ledger]]: ...  # noqa: D102
    def watched(self) -> Iterable[Watched]: ...  # noqa: D102
    def unwatch(self, watched: Watched) -> None: ...  # noqa: D102


@dataclass(slots=True)
class DigestReport:
    """What one run did; `busy` says that another was at it.

    `unread` are hours that could not be read, by the reason of the first.
    """

    digest: Digest | None = None
    posted: bool = False
    waiting: int = 0
    busy: bool = False
    error: NsgflowError | None = None
    unread: int = 0
    why_unread: str = ""


@dataclass(frozen=True, slots=True)
class _Gathered:
    """The state with what is new, marks that are done with, and what could not be read."""

    state: State
    expired: list[Watched]
    failures: dict[str, Exception]


@dataclass(frozen=True, slots=True)
class Digests:
    """Makes digests and posts them; times in seconds, `now` since the epoch."""

    store: StateStore
    ledgers: Ledgers
    post: Callable[[Digest], None]
    interval: float
    repeat: float
    state_days: int
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    new_id: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)

    def run(self) -> DigestReport:
        """Read what is new, and post the digest that is due, if one is.

        What the receiver answers is in the report.

        Raises:
            TransientError, RefusedError: the storage failed; the next run begins where this did.
        """
        read, etag = self.store.read()
        gathered = self._gather(read)
        state = gathered.state
        wait = state.attempted + self.interval - self.now()
        if 0 < wait <= _SHORT_WAIT and (state.pending or state.waiting or state.others):
            # A timer that fires a little early must not leave out a whole interval.
            self.sleep(wait)
        now = self.now()
        free = now >= max(state.attempted + self.interval, state.not_before)
        if free and state.pending is None:
            state = self._make(state, now)
        report = DigestReport(state.to_post, waiting=len(state.waiting))
        report.unread = len(gathered.failures)
        report.why_unread = "; ".join(map(str, [*gathered.failures.values()][:1]))
        if posting := free and state.pending is not None:
            state = replace(state, attempted=now)
        try:
            if state != read:
                etag = self.store.write(state, etag)
            for watched in gathered.expired:
                self.ledgers.unwatch(watched)
            if posting:
                self._post(state, etag, report)
        except StateChangedError:
            report.busy = True
        return report

    def _gather(self, state: State) -> _Gathered:
        """What is new in the ledgers of the hours that are looked at.

        An hour is read while its logs are written, from where the last run stopped, when it is
        marked as watched, and when it could not be read before. One that cannot be read keeps
        nobody else's flows back.

        Raises:
            TransientError, RefusedError: not one hour could be read.
        """
        begun = self.now()
        this = datetime.fromtimestamp(begun, UTC)
        marks = list(self.ledgers.watched())
        oldest = hour_name(this - timedelta(days=self.state_days))
        before = {name: hour_named(name) for name in state.unread if name > oldest}
        hours = {hour_name(hour): hour for hour in self._recent(state, this)} | before
        hours |= {hour_name(mark.hour): mark.hour for mark in marks}
        kept = hour_name(this - _KEPT)
        seen = {name: rows for name, rows in state.seen.items() if name >= kept or name in hours}
        waiting = Waiting(state.waiting, state.others)
        failures: dict[str, Exception] = {}
        for name in sorted(hours):
            forgotten = name < kept and name not in before
            told = state.completed - _SKEW if forgotten else 0.0
            try:
                rows = self._read_hour(hours[name], seen.get(name, {}), told, waiting)
            except (NsgflowError, ValueError, msgspec.MsgspecError) as exc:
                failures[name] = exc
                continue
            if rows:
                seen[name] = rows
        for failure in failures.values():
            if len(failures) == len(hours) and isinstance(failure, NsgflowError):
                raise failure  # nothing can be read: that is the storage, and no hour of its own
        gathered = replace(
            state,
            seen=seen,
            waiting=waiting.groups,
            others=waiting.others,
            unread=tuple(sorted(failures)),
        )
        # The state is written when something has changed, and now and then for the time alone.
        if gathered != state or begun >= state.completed + _MARK_SECONDS:
            gathered = replace(gathered, completed=begun)
        expired = [
            mark for mark in marks if mark.until < begun and hour_name(mark.hour) not in failures
        ]
        return _Gathered(gathered, expired, failures)

    def _read_hour(
        self, hour: datetime, seen: dict[str, Seen], told: float, waiting: Waiting
    ) -> dict[str, Seen]:
        """Take what is new in the ledgers of an hour; how far each was read then."""
        rows = dict(seen)
        found: list[tuple[list[Tally], int]] = []
        for row, ledger in self.ledgers.ledgers(hour):
            found.append(unseen(ledger, rows.get(row), told))
            rows[row] = read_to(ledger)
        for fresh, others in found:  # only once all of it could be read
            waiting.add(fresh, others)
        return rows

    def _recent(self, state: State, now: datetime) -> Iterator[datetime]:
        since = datetime.fromtimestamp(state.completed, UTC) if state.completed else now
        oldest = max(min(since, now) - _LATE, now - timedelta(days=self.state_days))
        hour = oldest.replace(minute=0, second=0, microsecond=0)
        while hour <= now:
            yield hour
            hour += timedelta(hours=1)

    def _make(self, state: State, now: float) -> State:
        """The state with a digest of all groups that are due, if there are any."""
        told = {group: at for group, at in state.told.items() if now - at < self.repeat}
        due = sorted((at for at in state.waiting if at.key.id not in told), key=rank)
        if not due and (not state.others or _OTHERS in told):
            return state if told == state.told else replace(state, told=told)
        held = tuple(at for at in state.waiting if at.key.id in told)
        whole = Digest(
            self.new_id(),
            now,
            tuple(due),
            others=state.others,
            held_groups=len(held),
            held_flows=sum(at.flows for at in held),
        )
        return replace(
            state,
            waiting=held,
            others=0,
            told=told,
            pending=whole.cut(MAX_SHOWN),
            telling=(*(at.key.id for at in due), *([_OTHERS] if state.others else [])),
        )

    def _post(self, state: State, etag: str, report: DigestReport) -> None:
        digest = state.to_post
        if digest is None:
            return
        try:
            self.post(digest)
        except NsgflowError as exc:
            report.error = exc
        report.posted = report.error is None
        # Another run may have read ledgers meanwhile, and that must not make this one repeat.
        for _ in range(_TRIES):
            after = _after(state, report.error, self.now())
            if after == state:
                return
            try:
                self.store.write(after, etag)
            except StateChangedError:
                state, etag = self.store.read()
                if state.to_post != digest:
                    return
            else:
                return


def _after(state: State, error: NsgflowError | None, now: float) -> State:
    """The state behind a post.

    A digest whose content was refused has been seen by nobody, so it may be tried with fewer
    groups. When even the totals are refused, the configuration is at fault: all of it waits.
    """
    if error is None:
        told = state.told | dict.fromkeys(state.telling, now)
        newest = sorted(told.items(), key=lambda entry: -entry[1])[:_MAX_TOLD]
        return replace(
            state,
            pending=None,
            telling=(),
            told=dict(newest),
            not_before=0.0,
            trusted=True,
            shown=-1,
        )
    if isinstance(error, DataRefusedError) and state.trusted and state.to_post:
        groups = len(state.to_post.groups)
        return replace(state, trusted=groups > 0, shown=groups // 2 if groups else -1)
    if isinstance(error, TransientError) and error.retry_after:
        return replace(state, not_before=now + min(error.retry_after, _LONGEST_WAIT))
    return state


def watch_from(now: float) -> datetime:
    """Logs of hours before this one must be marked as watched before they are delivered."""
    return datetime.fromtimestamp(now - 3600, UTC).replace(minute=0, second=0, microsecond=0)
