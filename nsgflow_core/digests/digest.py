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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests.groups import Tally, rank, shown
from nsgflow_core.digests.hours import HOUR_MS, hours_to_look
from nsgflow_core.digests.ledger import Seen, read_to, unseen
from nsgflow_core.digests.life import MAX_LIVES, Life, end_of, ended, grown, is_due, is_quiet
from nsgflow_core.digests.marks import before_groups
from nsgflow_core.digests.memory import Ledgers, State, StateChangedError, StateStore, Watched
from nsgflow_core.digests.message import Digest, Ended
from nsgflow_core.digests.quieting import by_id, hold_back, inhibited
from nsgflow_core.digests.scans import fold
from nsgflow_core.digests.silences import Held, Silence, active, silencing
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
_LOOK_SECONDS = 120.0
"""How often, at most, it is asked how far logs were read."""
_LONGEST_LOOK = 1800.0
_RECENT = 4 * 3600.0
_LONGEST_WAIT = 600.0
_SHORT_WAIT = 5.0
_TRIES = 5
_OTHERS = ""


Changed = Callable[[Mapping[str, int], Sequence[Tally]], Mapping[str, str]]


@dataclass(slots=True)
class DigestReport:
    """What one run did; `busy` says that another was at it.

    `unread` are hours that could not be read, by the reason of the first. `denied` says that there
    are groups which the rules may let pass one day.
    """

    digest: Digest | None = None
    posted: bool = False
    waiting: int = 0
    busy: bool = False
    error: NsgflowError | None = None
    unread: int = 0
    why_unread: str = ""
    denied: bool = False


@dataclass(frozen=True, slots=True)
class _Gathered:
    """The state with what is new, marks that are done with, and what could not be read."""

    state: State
    expired: list[Watched]
    failures: dict[str, Exception]


@dataclass(frozen=True, slots=True)
class Digests:
    """Makes digests and posts them; times in seconds, `now` since the epoch.

    `turned` gives what the rules say of a group if they let it pass by now, else "". `changed`
    gives the last change on the path of groups that have just begun, by their ids; it is asked
    once a digest at most, with the times of their first flows. `silences`
    reads all that there are.
    """

    store: StateStore
    ledgers: Ledgers
    post: Callable[[Digest], None]
    interval: float
    repeat: float
    state_days: int
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    new_id: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    quiet: float = 1800.0
    turned: Callable[[Life], str] = field(default=lambda _: "")
    silences: Callable[[], Sequence[Silence]] = field(default=tuple)
    changed: Changed = field(default=lambda _begun, _groups: {})

    def run(self) -> DigestReport:
        """Read what is new, and post the digest that is due, if one is.

        What the receiver answers is in the report.

        Raises:
            TransientError, RefusedError: the storage failed; the next run begins where this did.
        """
        read, etag = self.store.read()
        # Before the ledgers: all that was read until then is counted in them.
        looked, reached = self._look(read)
        gathered = self._gather(looked)
        state = gathered.state
        wait = state.attempted + self.interval - self.now()
        if 0 < wait <= _SHORT_WAIT and (state.pending or state.waiting or state.others):
            # A timer that fires a little early must not leave out a whole interval.
            self.sleep(wait)
        now = self.now()
        free = self._is_free(state, now)
        if free and state.pending is None:
            state = self._tell(state, now, {} if gathered.failures else reached)
        report = DigestReport(state.to_post, waiting=len(state.waiting))
        report.denied = any(life.denied for life in state.lives.values())
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

    def _is_free(self, state: State, now: float) -> bool:
        return now >= max(state.attempted + self.interval, state.not_before)

    def _look(self, state: State) -> tuple[State, dict[str, int]]:
        """How far each log was read in time, asked only where a group may be over by it.

        A log with an hour that is being read, or that may lack the end of the one before, says
        nothing.
        """
        now = self.now()
        waiting = {tally.key.id: tally for tally in state.waiting}
        lives = (life.with_more(waiting.get(name)) for name, life in state.lives.items())
        quiet = [life for life in lives if is_quiet(life, self.quiet, now)]
        if not quiet or state.pending is not None or not self._is_free(state, now):
            return state, {}
        # The longer a log has stopped, the less often it is asked for.
        newest = now - max(life.last for life in quiet) / 1000 - self.quiet
        if now < state.looked + max(_LOOK_SECONDS, min(newest / 2, _LONGEST_LOOK)):
            return state, {}
        reached: dict[str, int] = {}
        busy: set[str] = set()
        lasts = {last // HOUR_MS for life in quiet for last in life.logs.values()}
        for hour in hours_to_look(lasts, now):
            for name, at in self.ledgers.reached(hour):
                reached[name] = max(reached.get(name, 0), at)
                if not at:
                    busy.add(name)
        return replace(state, looked=now), reached | dict.fromkeys(busy, 0)

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
        looked = state.looked > state.completed
        if gathered != state or looked or begun >= state.completed + _MARK_SECONDS:
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

    def _tell(self, state: State, now: float, reached: Mapping[str, int]) -> State:
        """The state with the digest that is due; silences are asked for where there is one."""
        tried = self._make(state, now, reached, trying=True)
        if tried.pending is None and not state.held:
            return tried
        silences = active(self.silences(), now)
        kept = hold_back(state, silences)
        over = {name: held for name, held in kept.held.items() if name not in by_id(silences)}
        still = {name: held for name, held in kept.held.items() if name not in over}
        return self._make(replace(kept, held=still), now, reached, silences, tuple(over.values()))

    def _make(
        self,
        state: State,
        now: float,
        reached: Mapping[str, int],
        silences: Sequence[Silence] = (),
        silenced: tuple[Held, ...] = (),
        *,
        trying: bool = False,
    ) -> State:
        """The state with a digest of all groups that are due or over, if there are any.

        What `silences` match is told in none; `silenced` was held back by some that are over.
        Nobody is asked for anything where that is only `trying`.
        """
        told = {group: at for group, at in state.told.items() if now - at < self.repeat}
        waiting = {tally.key.id: tally for tally in fold(state.waiting, state.lives)}
        ended = [
            at
            for at in self._ended(state, waiting, reached, now)
            if not (silences and silencing(state.lives[at.key.id].as_tally, silences))
        ]
        gone = {at.key.id for at in ended}
        lives = {name: life for name, life in state.lives.items() if name not in gone}
        waiting = {name: tally for name, tally in waiting.items() if name not in gone}
        all_due = [at for name, at in waiting.items() if self._is_due(name, lives, told, now)]
        behind = set(map(id, inhibited(all_due, lives)))
        due = sorted((at for at in all_due if id(at) not in behind), key=rank)
        if not (due or ended or silenced) and (not state.others or _OTHERS in told):
            return state if told == state.told else replace(state, told=told)
        telling = dict.fromkeys(at.key.id for at in due)
        held = tuple(tally for name, tally in waiting.items() if name not in telling)
        digest = Digest(
            self.new_id(),
            now,
            tuple(shown(at) for at in due),
            others=state.others,
            held_groups=len(held) - len(behind),
            held_flows=sum(at.flows for at in held if id(at) not in behind),
            ended=tuple(ended),
            silenced=silenced,
            behind_groups=len(behind),
            behind_flows=sum(at.flows for at in held if id(at) in behind),
        )
        lives |= grown(due, lives, state.over, digest.id, now)
        about = {name: lives[name].about for name in telling if name in lives}
        begun = {name: at.began for name, at in about.items() if not at.times}
        changed = self.changed(begun, due) if begun and not trying else {}
        before = before_groups(begun, changed, state.marks)
        over = {name: last for name, last in state.over.items() if now - last / 1000 < _RECENT}
        return replace(
            state,
            waiting=held,
            others=0,
            told=told,
            pending=replace(digest, about=about, before=before).cut(MAX_SHOWN),
            telling=(*telling, *([_OTHERS] if state.others else [])),
            lives=lives,
            over=over | {at.key.id: at.last for at in ended[:MAX_LIVES]},
        )

    def _is_due(
        self, name: str, lives: Mapping[str, Life], told: Mapping[str, float], now: float
    ) -> bool:
        if (life := lives.get(name)) is not None:
            return is_due(life, self.repeat, now)
        return name not in told

    def _ended(
        self,
        state: State,
        waiting: Mapping[str, Tally],
        reached: Mapping[str, int],
        now: float,
    ) -> list[Ended]:
        """The groups that are followed no longer, each with the flows that were not told yet."""
        found: dict[str, Ended] = {}
        for name, told in state.lives.items():
            tally = waiting.get(name)
            life = told.with_more(tally)
            turned = self.turned(life) if life.denied else ""
            because, said = end_of(life, reached, turned, self.quiet, now)
            if because:
                found[name] = ended(life, tally.flows if tally else 0, because, said)
        open_ = {life.incident for name, life in state.lives.items() if name not in found}
        return [replace(at, incident="") if at.incident in open_ else at for at in found.values()]

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
        lives = {
            name: replace(state.lives[name], told=now)
            for name in state.telling
            if name in state.lives
        }
        newest = sorted(told.items(), key=lambda entry: -entry[1])[:_MAX_TOLD]
        return replace(
            state,
            pending=None,
            telling=(),
            told=dict(newest),
            lives=state.lives | lives,
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
