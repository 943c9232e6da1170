"""Looks on while alerts are told, and knows what must never be."""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from nsgflow_core.digests.groups import Key, Tally, example_of
from nsgflow_core.digests.message import ALLOWED, LATE, QUIET, TURNED, UNKNOWN, Digest, Ended
from nsgflow_core.digests.silences import Silence
from nsgflow_core.estate.scope import INSIDE, INTERNET
from nsgflow_core.model import Flow
from tests.simulation.judge import BrokenPromiseError

_DAY = 86_400.0
_SETTLED = 300.0


@dataclass
class AlertsJudge:
    """What was delivered, and what became of it.

    `flows` are the times of flows by group and log, `read_to` how far each log was read, both in
    milliseconds. `denied` are the same flows, each with its group, log and time, in the order in
    which they were delivered, and `passed` says when each was let through last; `reading` has how
    many were delivered when a timer began, and `lived` how many were when a group was over. `open`
    has the open incidents, `told` when each group was told, in the life that it has.
    """

    quiet: float
    repeat: float
    flows: dict[Key, dict[str, list[int]]] = field(default_factory=dict)
    read_to: dict[str, int] = field(default_factory=dict)
    denied: list[tuple[Key, str, str, int]] = field(default_factory=list)
    passed: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    reading: list[int] = field(default_factory=list)
    lived: dict[Key, int] = field(default_factory=dict)
    digests: dict[str, Digest] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    open: dict[str, set[str]] = field(default_factory=dict)
    told: dict[str, list[float]] = field(default_factory=dict)
    pages: Counter[Key] = field(default_factory=Counter)
    ends: Counter[Key] = field(default_factory=Counter)
    lost: Counter[Key] = field(default_factory=Counter)
    last: dict[Key, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    silences: list[Silence] = field(default_factory=list)
    silenced: set[str] = field(default_factory=set)

    def delivered(self, log: str, counted: Iterable[Tally], read_to: int) -> None:
        """A log was read so far, with these flows."""
        for tally in counted:
            self.flows.setdefault(tally.key, {}).setdefault(log, []).append(tally.last)
            (example,) = tally.examples.values
            self.denied.append((tally.key, log, example, tally.last))
        self.read_to[log] = max(self.read_to.get(log, 0), read_to)

    def let_through(self, log: str, allowed: Iterable[Flow]) -> None:
        """A log that was read has these flows, of groups that were denied."""
        for flow in allowed:
            name = flow.group.acl_group, example_of(flow), flow.direction_code, log
            self.passed[name] = max(self.passed.get(name, 0), flow.time_ms)

    def reads(self) -> None:
        """A timer begins to read; what is delivered from here on it may miss."""
        self.reading.append(len(self.denied))

    def has_read(self) -> None:
        """It is done."""
        self.reading.pop()

    def stored(self, digest: Digest, world: Any) -> None:
        """A digest was stored before it is posted: what it claims must be so by now."""
        known = self.digests.setdefault(digest.id, digest)
        _hold(known == digest, f"{digest.id} has changed")
        if known is digest:
            for at in digest.ended:
                self._check_end(at, digest.made, world)
                if at.because != LATE:
                    self.lived[at.key] = len(self.denied)
            for tally in digest.groups:
                self._check_distance(tally.key.id, digest)
                over = {at.key for at in digest.ended}
                behind = self._is_behind(tally.key, over)
                _hold(not behind, f"{tally.key.rule} is noise behind a fault")
            told: list[Tally | Ended] = [*digest.groups, *digest.ended]
            for key in [each.key for each in told]:
                self._check_silence(key, digest.made)
            self.counts["behind"] += digest.behind_groups
            self.counts["silences"] += len(digest.silenced)

    def _is_behind(self, key: Key, over: AbstractSet[Key] = frozenset()) -> bool:
        """Whether a scan is of an NSG at which something inside is denied, and was told."""
        told = (at for at in self.flows if at.id in self.open and at not in over)
        return key.scope == INTERNET and any(
            at.scope == INSIDE and at.acl == key.acl for at in told
        )

    def _check_silence(self, key: Key, made: float) -> None:
        for at in self.silences:
            of_it = at.terms == f"rule={key.rule}"
            _hold(not (of_it and at.made <= made < at.until), f"{key.rule} is silent")

    def hushed(self, silence: Silence) -> None:
        """Somebody made a silence, or ended one."""
        self.silenced.add(silence.terms)
        self.silences = [at for at in self.silences if at.id != silence.id] + [silence]

    def _check_end(self, at: Ended, made: float, world: Any) -> None:
        if at.because == TURNED:
            _hold(bool(world.turned(at)), f"{at.key.rule} is over, and no rule has changed")
        if at.because == ALLOWED:
            self._check_passed(at, made)
        if at.because == UNKNOWN:
            _hold(
                not at.incident, f"{at.key.rule} is resolved, and nobody knows whether it is over"
            )
            known = max(at.last / 1000, *self.told[at.key.id])
            _hold(made >= known + _DAY + self.quiet, f"{at.key.rule} is given up too soon")
        if at.because != QUIET:
            return
        of_life: dict[str, list[int]] = {}
        for log, _, time in self._of_life(at, len(self.denied)):
            of_life.setdefault(log, []).append(time)
        for log, before in of_life.items():
            until = max(before) + round(self.quiet * 1000)
            _hold(self.read_to[log] >= until, f"{at.key.rule} is over, and {log} did not go on")
            # What comes late of a fault that is over may be told when later flows long were.
            after = world.written(at.key, log, max(*before, self.last.get(at.key, 0)), until)
            _hold(not after, f"{at.key.rule} is over, and went on")

    def _of_life(self, at: Ended, known: int) -> list[tuple[str, str, int]]:
        """Log, flow and time of what was denied in the life of a group that is over.

        What a silence held back is told by itself, and begins no life. So many of all flows were
        delivered when that was found out.
        """
        mine = [silence for silence in self.silences if silence.terms == f"rule={at.key.rule}"]
        since = max([at.began, *(1000 * silence.until for silence in mine)])
        return [
            (log, example, time)
            for key, log, example, time in self.denied[self.lived.get(at.key, 0) : known]
            if key == at.key and since <= time <= at.last
        ]

    def _check_passed(self, at: Ended, made: float) -> None:
        """Each of its flows was let through later, in each log that had it denied."""
        _hold(made >= at.last / 1000 + _SETTLED, f"{at.key.rule} is over, and may have gone on")
        for log, example, _ in self._of_life(at, self.reading[-1]):
            seen = self.passed.get((at.key.acl, example, "I", log), 0)
            _hold(seen > at.last, f"{at.key.rule} is over, and {example} was not let through since")

    def _check_distance(self, name: str, digest: Digest) -> None:
        times = self.told.get(name, [])
        if name in digest.about and digest.about[name].times and times:
            least = min(self.repeat * 2 ** (len(times) - 1), _DAY)
            _hold(digest.made >= times[-1] + least, f"{name} is told again too soon")

    def accepted(self, digest: Digest, now: float) -> None:
        """A receiver took a digest."""
        _hold(self.digests.get(digest.id) == digest, f"{digest.id} was posted and not stored")
        self.counts["repeats"] += digest.id in self.taken
        if digest.id in self.taken:
            for tally in digest.groups:
                self.told[tally.key.id][-1] = now
            return
        self.taken[digest.id] = now
        for tally in digest.groups:
            name = tally.key.id
            _hold(name in digest.about, f"{tally.key.rule} is told, and nobody follows it")
            about = digest.about[name]
            if not about.times:
                _hold(name not in self.open, f"{name} is new, and was told")
                self.told[name] = []
                self.pages[tally.key] += 1
            self.open.setdefault(name, set()).add(about.incident)
            self.told[name].append(now)
        for at in digest.ended:
            if at.because == LATE:
                self.counts["late"] += 1
                continue
            _hold(at.key.id in self.open, f"{at.key.rule} is over, and nobody was told of it")
            del self.open[at.key.id]
            self.ends[at.key] += 1
            self.last[at.key] = max(at.last, self.last.get(at.key, 0))
            self.lost[at.key] += at.because == UNKNOWN
            self.counts[at.because] += 1

    def finish(self, world: Any) -> None:
        """Everything healed: all was told, and what can be known to be over is."""
        delivered = sum(len(times) for logs in self.flows.values() for times in logs.values())
        told = sum(self.digests[name].flows for name in self.taken)
        told += sum(at.flows for at in world.state.waiting if self._is_behind(at.key))
        _hold(not world.state.held, "a silence is over, and nobody says so")
        _hold(told == delivered, f"{delivered} flows were delivered, {told} told")
        for key, logs in self.flows.items():
            quiet = f"rule={key.rule}" in self.silenced or self._is_behind(key)
            _hold(self.pages[key] >= 1 or quiet, f"{key.rule} was never told")
            _hold(self.pages[key] <= self.ends[key] + 1, f"{key.rule} was told as new twice")
            of_it = [fault for fault in world.faults if fault.key == key]
            # What a silence held back of it may leave a gap in what was told.
            held = f"rule={key.rule}" in self.silenced
            if not held and not any(
                at.mended or at.through or at.flaps or at.narrow for at in of_it
            ):
                pages = self._times_it_began(logs)
                _hold(self.pages[key] <= pages, f"{key.rule} is {pages} faults and more pages")
            alive = all(
                self.read_to[log] >= max(at) + self.quiet * 1000 for log, at in logs.items()
            )
            _hold(key.id not in self.open, f"{key.rule} is followed for ever")
            _hold(not alive or not self.lost[key], f"{key.rule} is over, and nobody says so")
        self.counts["flows"] += delivered
        self.counts["pages"] += sum(self.pages.values())

    def _times_it_began(self, logs: Mapping[str, Iterable[int]]) -> int:
        """How often flows of a group came after so long without one that it was over."""
        times = sorted({time for of_log in logs.values() for time in of_log})
        return 1 + sum(after - time >= self.quiet * 1000 for time, after in pairwise(times))


def _hold(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenPromiseError(what)
