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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from nsgflow_core.digests.gathering import Gathered, Gathering
from nsgflow_core.digests.groups import Tally, rank, shown
from nsgflow_core.digests.life import (
    MAX_LIVES,
    Life,
    end_of,
    ended,
    grown,
    is_due,
    is_quiet,
    late,
    over_until,
)
from nsgflow_core.digests.marks import before_groups
from nsgflow_core.digests.memory import Ledgers, State, StateChangedError, StateStore
from nsgflow_core.digests.message import Digest, Ended
from nsgflow_core.digests.quieting import by_id, hold_back, inhibited
from nsgflow_core.digests.scans import fold
from nsgflow_core.digests.silences import Held, Silence, active, silencing
from nsgflow_core.errors import DataRefusedError, NsgflowError, TransientError

MAX_SHOWN = 25
"""The most groups that a digest names; a format shows fewer where they do not fit."""

_MAX_TOLD = 20_000
_LOOK_SECONDS = 120.0
"""How often, at most, all rows are read, and not only those in which something was counted."""
_LONGEST_LOOK = 600.0
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


@dataclass(slots=True)
class Looks:
    """When this process last found out how far logs were read, in seconds since the epoch."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Due:
    """What a digest is to tell, and what it leaves.

    `groups` are told, the first in front; `ended` are over, and `lates` came late of what was.
    `behind` waits until what matters more is over, and is among what is `held` for a later
    digest. `lives` are those that go on, and `told` when each group was told lately.
    """

    groups: Sequence[Tally]
    ended: Sequence[Ended]
    lates: Sequence[Tally]
    behind: Sequence[Tally]
    held: tuple[Tally, ...]
    lives: Mapping[str, Life]
    told: dict[str, float]


@dataclass(frozen=True, slots=True)
class Digests:
    """Makes digests and posts them; times in seconds, `now` since the epoch.

    `turned` gives what the rules say of a group if they let it pass by now, else "". `changed`
    gives the last change on the path of groups that have just begun, by their ids; it is asked
    once a digest at most, with the times of their first flows. `scope` tells these digests from
    others that may tell of the same groups: each ends only what it began. `look` is as in `Digest`.
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
    changed: Changed = field(default=lambda _begun, _groups: {})
    looks: Looks = field(default_factory=Looks)
    scope: str = ""
    look: tuple[str, ...] = ()

    def run(self) -> DigestReport:
        """Read what is new, and post the digest that is due, if one is.

        What the receiver answers is in the report.

        Raises:
            TransientError, RefusedError: the storage failed; the next run begins where this did.
        """
        read, etag = self.store.read()
        gathering = Gathering(self.ledgers, read, self.now(), self.state_days)
        gathered = gathering.whole(self._quiet(read), self.quiet)
        state = gathered.state
        wait = state.attempted + self.interval - self.now()
        if 0 < wait <= _SHORT_WAIT and (state.pending or state.waiting or state.others):
            # A timer that fires a little early must not leave out a whole interval.
            self.sleep(wait)
        now = self.now()
        free = self._is_free(state, now)
        if free and state.pending is None:
            state = self._tell(state, now, gathered)
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

    def _quiet(self, state: State) -> dict[str, Mapping[str, int]]:
        """The groups that may be over, if it is time to find out: when their logs had each last."""
        now = self.now()
        waiting = {tally.key.id: tally for tally in state.waiting}
        lives = {name: life.with_more(waiting.get(name)) for name, life in state.lives.items()}
        quiet = {name: life for name, life in lives.items() if is_quiet(life, self.quiet, now)}
        if not quiet or state.pending is not None or not self._is_free(state, now):
            return {}
        # The longer a log has stopped, the less often it is asked for.
        newest = now - max(life.last for life in quiet.values()) / 1000 - self.quiet
        if now < self.looks.at + max(_LOOK_SECONDS, min(newest / 2, _LONGEST_LOOK)):
            return {}
        self.looks.at = now
        return {name: life.logs for name, life in quiet.items()}

    def _tell(self, state: State, now: float, gathered: Gathered) -> State:
        """The state with the digest that is due; what silences match is held back."""
        silences = active(state.silences, now)
        kept = hold_back(state, silences)
        over = {name: held for name, held in kept.held.items() if name not in by_id(silences)}
        still = {name: held for name, held in kept.held.items() if name not in over}
        return self._make(replace(kept, held=still), now, gathered, silences, tuple(over.values()))

    def _make(
        self,
        state: State,
        now: float,
        gathered: Gathered,
        silences: Sequence[Silence],
        silenced: tuple[Held, ...],
    ) -> State:
        """The state with a digest of all groups that are due or over, if there are any.

        What `silences` match is told in none; `silenced` was held back by some that are over.
        """
        due = self._due(state, now, gathered, silences)
        others = state.others if _OTHERS not in due.told else 0
        if not (due.groups or due.ended or due.lates or silenced or others):
            return state if due.told == state.told else replace(state, told=due.told)
        behind = {at.key.id for at in due.behind}
        repeated = [at for at in due.held if at.key.id not in behind]
        digest = Digest(
            self.new_id(),
            now,
            tuple(map(shown, due.groups)),
            others=state.others,
            held_groups=len(repeated),
            held_flows=sum(at.flows for at in repeated),
            ended=(*due.ended, *map(late, due.lates)),
            silenced=silenced,
            behind_groups=len(behind),
            behind_flows=sum(at.flows for at in due.behind),
            look=self.look,
        )
        telling = [at.key.id for at in due.groups]
        lives = dict(due.lives) | grown(
            due.groups, due.lives, state.over, digest.id, now, self.scope
        )
        about = {name: lives[name].about for name in telling if name in lives}
        begun = {name: at.began for name, at in about.items() if not at.times}
        changed = self.changed(begun, due.groups) if begun else {}
        before = before_groups(begun, changed, state.marks)
        over = {name: at for name, at in state.over.items() if now - at / 1000 < _RECENT}
        return replace(
            state,
            waiting=due.held,
            others=0,
            told=due.told,
            pending=replace(digest, about=about, before=before).cut(MAX_SHOWN),
            telling=(*telling, *([_OTHERS] if state.others else [])),
            lives=lives,
            over=over | {at.key.id: over_until(at, self.quiet) for at in due.ended[:MAX_LIVES]},
        )

    def _due(
        self, state: State, now: float, gathered: Gathered, silences: Sequence[Silence]
    ) -> "_Due":
        """What is to be told now of what waits and of what is followed."""
        told = {group: at for group, at in state.told.items() if now - at < self.repeat}
        waiting = {tally.key.id: tally for tally in fold(state.waiting, state.lives)}
        ended = [
            at
            for at in self._ended(state, waiting, gathered, now)
            if not (silences and silencing(state.lives[at.key.id].as_tally, silences))
        ]
        gone = {at.key.id for at in ended}
        lives = {name: life for name, life in state.lives.items() if name not in gone}
        left = {name: tally for name, tally in waiting.items() if name not in gone}
        lates = {
            name: tally
            for name, tally in left.items()
            if name not in lives and tally.last < state.over.get(name, 0)
        }
        left = {name: tally for name, tally in left.items() if name not in lates}
        due = [at for name, at in left.items() if self._is_due(name, lives, told, now)]
        behind = inhibited(due, lives)
        apart = {at.key.id for at in behind}
        groups = sorted((at for at in due if at.key.id not in apart), key=rank)
        telling = {at.key.id for at in groups}
        held = tuple(at for name, at in left.items() if name not in telling)
        return _Due(groups, ended, list(lates.values()), behind, held, lives, told)

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
        gathered: Gathered,
        now: float,
    ) -> list[Ended]:
        """The groups that are followed no longer, each with the flows that were not told yet."""
        found: dict[str, Ended] = {}
        for name, told in state.lives.items():
            tally = waiting.get(name)
            life = told.with_more(tally)
            turned = self.turned(life) if life.denied else ""
            passed = gathered.passed(life)
            because, said = end_of(life, gathered.went_on, passed, turned, self.quiet, now)
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
