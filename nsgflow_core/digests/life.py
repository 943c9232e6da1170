"""The life of a group that was told: it goes on, and it ends, but only on evidence. Pure.

That a flow is not tried again does not say that it would pass. So a group is over when nothing
came of it for a while in which each log that had it went on, when the rules let pass by now all
that was denied, or when all of it was seen let through again. Of a log that has stopped nobody
knows.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests.groups import MANY_LOGS, Key, Tally, few, interfaces_of, newest
from nsgflow_core.digests.message import ALLOWED, LATE, QUIET, TURNED, UNKNOWN, About, Ended
from nsgflow_core.digests.reach import WentOn
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.sought import TICK

MAX_LIVES = 2000
"""The most groups that are followed; of more nobody says that they are over."""

MAX_ALL_LOGS = 20_000
"""The most logs of all groups together that are remembered by name."""

MAX_INCIDENTS = 20
"""The most incidents that one digest begins; what is more is one incident."""

LONGEST_DISTANCE = 86_400.0
"""However long it goes on, a group is told again after so many seconds."""

LOST_SECONDS = 86_400.0
"""What is neither told nor over for so long, beyond the time to be quiet, is followed no longer."""

_SETTLED = 300.0
"""Seconds without a flow after which changed rules, and flows that pass, are taken for its end:
flows come late."""


class Life(msgspec.Struct, frozen=True, array_like=True):
    """A group that was told and is not over.

    `began` and `last` are the times of its first and its last flow, in milliseconds since the
    epoch, `flows` those told so far. It was told `times` times, at last at `told`, in seconds
    since the epoch. `logs` says when each log had it last. `source` is the one host that all its
    flows came from, "" where there are more. `denied` says that the rules, as far as they were
    known when it began, deny it; `examples` are flows to ask them of again. `incident` is what it
    was told as, where messages are incidents. No flow that was told of it is older than `since`,
    in milliseconds.
    """

    key: Key
    name: str
    began: int
    last: int
    flows: int
    times: int
    told: float
    logs: dict[str, int]
    source: str
    denied: bool
    examples: Sample
    incident: str
    since: int = 0

    def with_more(self, tally: Tally | None) -> "Life":
        """The same with flows that wait to be told."""
        if tally is None:
            return self
        return replace(
            self,
            last=max(self.last, tally.last),
            flows=self.flows + tally.flows,
            logs=newest(self.logs, tally.seen_in),
            source=self.source if self.source == only_source(tally) else "",
            examples=few(self.examples, tally.examples),
            since=min(self.since, tally.first),
        )

    @property
    def about(self) -> About:
        """What a digest says of it."""
        return About(self.times - 1, self.began, self.flows, self.incident)

    @property
    def as_tally(self) -> Tally:
        """The same as a group, for who asks what it is."""
        one_host = Sample((self.source,)) if self.source else Sample((), complete=False)
        return Tally(
            self.key,
            self.flows,
            self.began,
            self.last,
            sources=one_host,
            name=self.name,
            examples=self.examples,
        )

    @property
    def interfaces(self) -> int:
        """How many network interfaces had it, as far as that is known."""
        return interfaces_of(self.logs)


def begun(tally: Tally, after: int) -> Life:
    """The life of a group that is told for the first time.

    It may have been told before, and been over: then its last flow until then was at `after`, and
    what its first flow is now is not known of every group.
    """
    began = tally.first if tally.first > after else tally.last
    return Life(
        tally.key,
        tally.name,
        began,
        tally.last,
        tally.flows,
        0,
        0.0,
        tally.seen_in or {MANY_LOGS: tally.last},
        only_source(tally),
        tally.now.startswith("now denied"),
        tally.examples,
        tally.key.id,
        tally.first,
    )


def grown(
    due: Sequence[Tally],
    lives: Mapping[str, Life],
    over: Mapping[str, int],
    digest: str,
    now: float,
    scope: str = "",
) -> dict[str, Life]:
    """The lives of groups that a digest tells, as far as there is room; `over` as in `begun`.

    The first ones are incidents of their own, the others are one, by the id of the digest. What
    has another `scope` tells of the same group as an incident of its own.
    """
    made: dict[str, Life] = {}
    room = MAX_ALL_LOGS - sum(len(life.logs) for life in lives.values())
    for place, tally in enumerate(due):
        name = tally.key.id
        known = lives.get(name)
        if known is None and len(lives) + len(made) >= MAX_LIVES:
            continue
        life = known.with_more(tally) if known else begun(tally, over.get(name, 0))
        if known is None:
            own = incident_of(name, scope)
            life = replace(life, incident=own if place < MAX_INCIDENTS else digest)
        room -= len(life.logs) - (len(known.logs) if known else 0)
        if room < 0:
            life = replace(life, logs={MANY_LOGS: life.last})
        made[name] = replace(life, times=life.times + 1, told=now)
    return made


def incident_of(name: str, scope: str) -> str:
    """What a group is told as by who has this scope."""
    if not scope:
        return name
    return hashlib.blake2b(f"{scope}\0{name}".encode(), digest_size=16).hexdigest()


def only_source(tally: Tally) -> str:
    """The one host that all flows of a group came from; "" where there are more."""
    sources = tally.sources
    return sources.values[0] if sources.complete and len(sources.values) == 1 else ""


def is_due(life: Life, repeat: float, now: float) -> bool:
    """Whether a group that went on is told again: each time after twice as long, up to a day."""
    doubled: float = repeat * 2 ** min(life.times - 1, 20)
    return now - life.told >= min(doubled, max(repeat, LONGEST_DISTANCE))


def is_quiet(life: Life, quiet: float, now: float) -> bool:
    """Whether nothing came of a group for so many seconds by the clock."""
    return now - life.last / 1000 >= quiet


def end_of(
    life: Life, went_on: WentOn, passed: str, turned: str, quiet: float, now: float
) -> tuple[str, str]:
    """Why a group is followed no longer, and how that is known; "" while it is.

    `went_on` says which logs did, and was known before what was counted in them was read. `passed`
    is what logs say if all of it was seen let through since its last flow, and `turned` what the
    rules say if they let it pass by now.
    """
    if passed and is_quiet(life, _SETTLED, now):
        return ALLOWED, passed
    if turned and is_quiet(life, _SETTLED, now):
        return TURNED, turned
    if is_quiet(life, quiet, now) and all(
        went_on(name, last, last + round(quiet * 1000)) for name, last in life.logs.items()
    ):
        return QUIET, f"nothing of it for {quiet / 60:g} minutes while its logs went on"
    if now - max(life.last / 1000, life.told) >= LOST_SECONDS + quiet:
        return UNKNOWN, "nothing of it for a long time, and not all of its logs went on"
    return "", ""


def over_until(at: Ended, quiet: float) -> int:
    """Until when nothing more can begin of a group that is over: it would be of what is over.

    That its logs went on without it for a while says so of that while. Rules may turn again, also
    those by which it was seen let through; then it is what is of the same second, since NSG logs
    write no less.
    """
    return at.last + (round(quiet * 1000) if at.because == QUIET else TICK)


def late(tally: Tally) -> Ended:
    """What is known only now of a group that is over."""
    return ended(begun(tally, 0), tally.flows, LATE, "its log came late, and it was over by then")


def ended(life: Life, fresh: int, because: str, said: str) -> Ended:
    """The end of a group as it is told."""
    return Ended(
        life.key,
        life.name,
        because,
        life.began,
        life.last,
        life.flows,
        fresh,
        life.interfaces,
        "" if because in (UNKNOWN, LATE) else life.incident,
        said,
    )
