"""One schedule of alerts: the product's own digests over logs, faults and receivers of the world.

Logs of a few network interfaces are written and delivered, late, out of their order or not at all;
faults begin and end in them; sweeps deliver what was missed, and die; timers read, and die between
any two requests, or meet each other at any of them; the receiver fails, and loses its answers.
What is known of the truth is kept for the judge.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from nsgflow_core.delivery.looking import Lately
from nsgflow_core.digests import ledger as ledgers
from nsgflow_core.digests import sought
from nsgflow_core.digests.digest import Digests
from nsgflow_core.digests.groups import Key
from nsgflow_core.digests.hours import watch_from
from nsgflow_core.digests.ledger import Ledger
from nsgflow_core.digests.life import LOST_SECONDS, Life
from nsgflow_core.digests.memory import State, StateChangedError
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.reach import Swept
from nsgflow_core.digests.rows import Marks, Row, Watched
from nsgflow_core.digests.silences import Silence, active
from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.estate.knowledge import NOTHING
from nsgflow_core.service import DEADLINE_SECONDS
from tests.functional.world import Killed
from tests.simulation.alerts_judge import AlertsJudge
from tests.simulation.faults import Allowed, Fault

START = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()
REPEAT, QUIET, INTERVAL = 900.0, 1800.0, 30.0
MINUTE = 60.0
_STATE = msgspec.json.Decoder(State)


@dataclass
class Checkpoint:
    """The checkpoint of one log's hour; the log is read until `read`."""

    read: float
    ledger: Ledger | None = None


@dataclass(frozen=True)
class Store:
    """The state of the digests."""

    world: "AlertsWorld"

    def read(self) -> tuple[State, str]:
        """As `DigestState.read`."""
        return self.world.read_state()

    def write(self, state: State, etag: str) -> str:
        """As `DigestState.write`."""
        return self.world.write_state(state, etag)


@dataclass
class AlertsWorld:
    """Everything of one schedule."""

    rng: random.Random
    now: float = START
    healing: bool = False
    nested: bool = False
    state: State = field(default_factory=State)
    etag: int = 0
    checkpoints: dict[float, dict[str, Checkpoint]] = field(default_factory=dict)
    stopped: dict[str, float] = field(default_factory=dict)
    watched: dict[datetime, Watched] = field(default_factory=dict)
    swept: Swept = field(default_factory=Swept)
    lately: Lately = field(default_factory=Lately)
    deaths: int = 0
    ids: int = 0

    def __post_init__(self) -> None:
        rng = self.rng
        self.now = START + MINUTE * rng.choice((5, 20, 40, 55))
        self.logs = [f"{n:012X}:a" for n in range(rng.randint(1, 3))]
        self.death, self.meeting = rng.choice((0.0, 0.02, 0.06)), rng.choice((0.0, 0.05, 0.15))
        self.hushing = rng.choice((0.0, 0.0, 0.2))
        self.failing = rng.choice((0.0, 0.0, 0.3))
        self.going_on = rng.random() < 0.6
        self.faults = [self._fault(number) for number in range(rng.randint(1, 3))]
        self.judge = AlertsJudge(QUIET, REPEAT)
        self.begun = self.now
        self.swept = Swept(self.now)
        for log in self.logs:
            if rng.random() < 0.2:
                self.stopped[log] = self.now + MINUTE * rng.randint(5, 120)

    def _fault(self, number: int) -> Fault:
        rng = self.rng
        scan = rng.random() < 0.2
        hosts = rng.choice((1, 1, 2, 2, 5))
        sources = tuple(f"{'8.8.4' if scan else '10.0.0'}.{n + 1}" for n in range(hosts))
        nsg = rng.choice("ab")
        logs = tuple(rng.sample(self.logs, rng.randint(1, len(self.logs))))
        begins = self.now + MINUTE * rng.choice((0, 10, 30))
        ends = begins + MINUTE * rng.choice((1, 15, 45, 100, 300))
        every = MINUTE * rng.choice((1, 5, 20, 29, 45))
        through = rng.choice((0, 0, hosts, hosts - 1))
        mended, flaps, blocks, one, narrow = (rng.random() < x for x in (0.3, 0.1, 0.3, 0.3, 0.2))
        kind = mended, through, flaps, blocks, one, narrow
        if not self.going_on:
            kind = mended, 0, False, blocks, one, False
        return Fault(number, nsg, sources, logs, begins, ends, every, *kind)

    def step(self) -> None:
        """A request: the process may die before it, or meet another that runs meanwhile."""
        if self.healing or self.nested:
            return
        draw = self.rng.random()
        if draw < self.death:
            self.deaths += 1
            raise Killed
        if draw < self.death + self.meeting:
            self.nested = True
            try:
                hush = self.hush if self.hushing else self.deliver
                self.rng.choice((self.timer, self.deliver, hush))()
            finally:
                self.nested = False

    def deliver(self) -> None:
        """Events of some logs: of this hour, and of the end of the one before; others are lost."""
        this = self.now - self.now % 3600
        for log in self.logs:
            for hour in (this - 3600, this):
                if self.rng.random() < 0.6:
                    self._read(log, hour)

    def sweep(self) -> None:
        """All that was written is read, the newest hours first, unless the process dies or stops.

        What it leaves unlisted it says.
        """
        since = self.now
        hours = [self.begun - self.begun % 3600]
        while hours[-1] + 3600 <= since:
            hours.append(hours[-1] + 3600)
        left: list[float] = []
        try:
            for hour in reversed(hours):
                if not self.healing and self.rng.random() < 0.1:
                    left.append(hour)
                    continue
                for log in self.logs:
                    self.step()
                    self._read(log, hour)
        except Killed:
            if self.nested:
                raise
            return
        self.swept = Swept(since, frozenset(datetime.fromtimestamp(at, UTC) for at in left))

    def _read(self, log: str, hour: float) -> None:
        """The blob of a log and hour is read as far as it was written, in one write."""
        end = min(self.now, self.stopped.get(log, self.now), hour + 3600)
        known = self.checkpoints.get(hour, {}).get(log)
        begin = known.read if known else max(hour, self.begun)
        if begin >= end:
            return
        of_hour = datetime.fromtimestamp(hour, UTC)
        if of_hour < watch_from(self.now):
            until = self.now + 2 * DEADLINE_SECONDS
            self.watched[of_hour] = Watched(of_hour, until, str(self.now))
        row = self.checkpoints.setdefault(hour, {}).setdefault(log, Checkpoint(begin))
        counted = [tally for at in self.faults for tally in at.denied(log, begin, end)]
        allowed = [flow for at in self.faults for flow in at.allowed(log, begin, end)]
        if counted:
            row.ledger = ledgers.add(row.ledger, counted, self.now, log)
        row.read = end
        self.judge.delivered(log, counted, int(end * 1000) - 1)
        self.judge.let_through(log, [flow for flow, same in allowed if same])
        self._look(row, log, of_hour, allowed)

    def _look(self, row: Checkpoint, log: str, hour: datetime, allowed: list[Allowed]) -> None:
        """Whoever reads a log looks for what was denied, and remembers the hour or does not."""
        before = self.lately.before(log, hour).get("webhook", ())
        wanted = sought.sought(
            row.ledger, before, int(row.read * 1000) - 1, 8, self.rng.randrange(9)
        )
        seen = [sought.passed(flow, one, NOTHING) for one in wanted for flow, _ in allowed]
        if passed := [one for one in seen if one is not None]:
            row.ledger = ledgers.noted(row.ledger, passed, log)
        if row.ledger is not None and self.rng.random() < 0.8:
            self.lately.keep(log, hour, {"webhook": row.ledger})

    def written(self, key: Key, log: str, after: int, until: int) -> int:
        """How many flows of a group were written to a log between two times in milliseconds."""
        stopped = self.stopped.get(log, self.now)
        end = min(self.now, stopped, until / 1000)
        return sum(
            after < tally.last <= until
            for at in self.faults
            if at.key == key
            for tally in at.denied(log, after / 1000, end)
        )

    def timer(self) -> None:
        """A timer fires, in a process that may die."""
        digests = Digests(
            Store(self),
            self,
            self.post,
            INTERVAL,
            REPEAT,
            30,
            lambda: self.now,
            self.sleep,
            self.new_id,
            QUIET,
            self.turned,
        )
        self.judge.reads()
        try:
            digests.run()
        except Killed:
            if self.nested:
                raise
        finally:
            self.judge.has_read()

    def new_id(self) -> str:
        """An id that no other digest has."""
        self.ids += 1
        return f"{self.ids:08x}"

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.now += seconds

    def turned(self, life: Life) -> str:
        """What the rules say of a group: those of a fault are mended when it has ended."""
        for fault in self.faults:
            if fault.key == life.key and fault.mended and self.now > fault.ends + 600:
                return "now allowed by every layer"
        return ""

    def hush(self) -> None:
        """Somebody silences a rule, or ends a silence."""
        known = active(self.state.silences, self.now)
        if known and self.rng.random() < 0.5:
            silence = replace(self.rng.choice(known), until=self.now)
        else:
            fault = self.rng.choice(self.faults)
            until = self.now + MINUTE * self.rng.choice((2, 20, 60))
            silence = Silence(self.new_id(), f"rule={fault.key.rule}", until, self.now)
        others = [at for at in known if at.id != silence.id]
        self.state = replace(self.state, silences=(*others, silence))
        self.etag += 1
        self.judge.hushed(silence)

    def read_state(self) -> tuple[State, str]:
        """As `DigestState.read`."""
        self.step()
        return self.state, str(self.etag)

    def write_state(self, state: State, etag: str) -> str:
        """As `DigestState.write`."""
        self.step()
        if etag != str(self.etag):
            raise StateChangedError("changed")
        self.etag += 1
        self.state = _STATE.decode(msgspec.json.encode(state))
        if state.pending is not None:
            self.judge.stored(state.pending, self)
        written = str(self.etag)
        self.step()
        return written

    def post(self, digest: Digest) -> None:
        """The receiver takes a digest, fails, or takes it and the answer is lost."""
        self.step()
        if not self.healing and self.rng.random() < self.failing:
            kind = self.rng.randrange(3)
            if kind == 0:
                self.judge.accepted(digest, self.now)
            raise RefusedError("403") if kind == 1 else TransientError("away")
        self.judge.accepted(digest, self.now)
        self.step()

    def rows(self, hour: datetime, *, everything: bool = False) -> Iterator[Row]:
        """As `Ledgers.rows`; now and then somebody is at work on a blob."""
        self.step()
        for log, row in list(self.checkpoints.get(hour.timestamp(), {}).items()):
            whole = self.healing or self.rng.random() < 0.9
            if everything:
                yield Row(log, row.ledger, log, int(row.read * 1000) - 1, whole)
            elif row.ledger is not None:
                yield Row(log, row.ledger)

    def marks(self) -> Marks:
        """As `Ledgers.marks`."""
        self.step()
        return Marks(tuple(self.watched.values()), self.swept)

    def unwatch(self, watched: Watched) -> None:
        """As `Ledgers.unwatch`."""
        self.step()
        if self.watched.get(watched.hour) == watched:
            del self.watched[watched.hour]

    def told(self) -> Counter[str]:
        """How often what happened, for the count of a whole run."""
        return self.judge.counts


def run(seed: int) -> AlertsWorld:
    """Run one schedule and let it heal."""
    rng = random.Random(seed)
    world = AlertsWorld(rng)
    world.healing = True  # the very first timer looks at no more than the hours about it
    world.timer()
    world.healing = False
    for _ in range(rng.randint(6, 14)):
        world.now += rng.choice((31.0, 120.0, 300.0, 600.0, 1200.0, 1200.0, 4200.0))
        if rng.random() < 0.7:
            world.deliver()
        if rng.random() < 0.5:
            world.sweep()
        if rng.random() < world.hushing:
            world.hush()
        if rng.random() < 0.9:
            world.timer()
    heal(world)
    world.judge.finish(world)
    return world


def heal(world: AlertsWorld) -> None:
    """All that was written is read, nothing fails, and time passes."""
    world.healing = True
    last = max(fault.ends for fault in world.faults)
    world.now = max(world.now, last)
    for _ in range(18 if world.state.silences else 13):
        world.now += 601
        world.sweep()
        world.timer()
    for _ in range(3):  # of logs that stopped nobody knows, and a day later that is said
        if world.judge.open:
            world.now += LOST_SECONDS + QUIET + 601
            world.timer()
