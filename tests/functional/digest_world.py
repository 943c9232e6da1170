"""Many network interfaces, one app with digests, and a receiver, all in memory."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from devtools.flowlogs import CLOSER, HEAD, Nic, nsg_path, random_record
from devtools.truth import flows_of_log
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.pipeline import Pipeline
from nsgflow_core.digests import ledger as ledgers
from nsgflow_core.digests.digest import DigestReport, Digests
from nsgflow_core.digests.memory import State, StateChangedError
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.reach import Swept
from nsgflow_core.digests.rows import Marks, Row, Watched
from nsgflow_core.errors import NsgflowError
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.path import log_name, parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks.digest import DigestSink
from nsgflow_core.sinks.lane import Lane
from nsgflow_core.sinks.sink import Sink
from nsgflow_core.webhooks import WebhookSettings
from tests.functional.world import Blobs, Clock, Fate, Inline, Killed, Letters, Table

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
INTERVAL = 30
REPEAT = 15 * 60
CONTAINER = "insights-logs-networksecuritygroupflowevent"
SETTINGS = WebhookSettings("", b"", compile_terms("action=denied"), None, "slack")


@dataclass
class Rows(Table):
    """Checkpoints whose ledgers can be read by hour."""

    marks: dict[datetime, Watched] = field(default_factory=dict)
    swept: Swept = field(default_factory=Swept)

    def rows_of(self, hour: datetime) -> Iterator[Row]:
        """The rows of an hour."""
        for ref, row in list(self.rows.items()):
            if row.hour != hour:
                continue
            ledger, cursor = row.ledgers.get("webhook"), row.cursors.get("webhook", Cursor())
            kept = ledgers.decode(ledgers.encode(ledger)) if ledger else None
            name, whole = log_name(ref, parse_path(ref.path)), bool(cursor.listed) and not row.owner
            uncounted = max(cursor.uncounted, -cursor.read_to)
            yield Row(str(ref), kept, name, abs(cursor.read_to), whole, uncounted)

    def watch(self, hour: datetime, until: float) -> None:
        """As `Ledgers.watch`."""
        self.fate()
        self.marks[hour] = Watched(hour, until, str(next(self._numbers)))

    def unwatch(self, watched: Watched) -> None:
        """As `Ledgers.unwatch`."""
        self.fate()
        if self.marks.get(watched.hour) == watched:
            del self.marks[watched.hour]


@dataclass(frozen=True)
class Counted:
    """What was counted, as `Ledgers` has it."""

    table: Rows

    def rows(self, hour: datetime, *, everything: bool = False) -> Iterator[Row]:
        """As `Ledgers.rows`."""
        self.table.fate()
        self.table.requests["all rows" if everything else "query"] += 1
        for row in self.table.rows_of(hour):
            if everything:
                yield row
            elif row.ledger is not None:
                yield Row(row.key, row.ledger)

    def marks(self) -> Marks:
        """As `Ledgers.marks`."""
        self.table.fate()
        self.table.requests["marks"] += 1
        return Marks(tuple(self.table.marks.values()), self.table.swept)

    def unwatch(self, watched: Watched) -> None:
        """As `Ledgers.unwatch`."""
        self.table.unwatch(watched)


@dataclass
class Store:
    """The state of the digests."""

    state: State = field(default_factory=State)
    etag: str = ""
    reads: int = 0
    writes: int = 0
    fate: Fate = field(default_factory=Fate)

    def read(self) -> tuple[State, str]:
        """As `DigestState.read`."""
        self.fate()
        self.reads += 1
        return self.state, self.etag

    def write(self, state: State, etag: str) -> str:
        """As `DigestState.write`."""
        self.fate()
        if etag != self.etag:
            raise StateChangedError
        self.writes += 1
        self.state, self.etag = state, str(self.writes)
        self.fate()
        return self.etag


@dataclass
class Receiver:
    """Keeps what it accepted, with the time; `down` is raised in place of an answer."""

    clock: Clock
    accepted: list[tuple[float, Digest]] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)
    down: NsgflowError | None = None
    fate: Fate = field(default_factory=Fate)

    def __call__(self, digest: Digest) -> None:
        """One post."""
        self.fate()
        self.posts.append(self.clock())
        if self.down:
            raise self.down
        self.accepted.append((self.clock(), digest))
        self.fate()

    @property
    def digests(self) -> dict[str, Digest]:
        """What was accepted, without repeats; a repeat is identical."""
        found: dict[str, Digest] = {}
        for _, digest in self.accepted:
            assert found.setdefault(digest.id, digest) == digest
        return found


@dataclass
class App:
    """Interfaces that log, workers that deliver, the timer, and the receiver."""

    terms: str = "action=denied"
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    clock: Clock = field(default_factory=lambda: Clock((HOUR + timedelta(minutes=5)).timestamp()))
    blobs: Blobs = field(default_factory=Blobs)
    table: Rows = field(default_factory=Rows)
    store: Store = field(default_factory=Store)
    logs: dict[BlobRef, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.receiver = Receiver(self.clock)
        self.blobs.clock = self.clock
        settings = replace(SETTINGS, filter=compile_terms(self.terms))
        self.sink = DigestSink(settings)
        self.pipeline = self.pipeline_to(self.sink)

    def pipeline_to(self, *sinks: Sink) -> Pipeline:
        """The product's pipeline over this world, to some sinks."""
        lanes = [Lane(sink, Inline()) for sink in sinks]
        return Pipeline(Parts(self.blobs, self.table, Letters(), lanes, self.clock))

    def digests(self) -> Digests:
        """The product's digests over this world, as a new process has them."""
        return Digests(
            self.store,
            Counted(self.table),
            self.receiver,
            INTERVAL,
            REPEAT,
            30,
            self.clock,
            self.sleep,
            lambda: f"{self.rng.getrandbits(64):016x}",
        )

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.clock.seconds += seconds

    def fate(self, steps: int | None) -> None:
        """Let the process die after so many steps of I/O, or live."""
        fate = Fate(steps)
        self.blobs.fate = self.table.fate = self.store.fate = self.receiver.fate = fate

    def write(self, nic: Nic, *texts: bytes, hour: datetime = HOUR) -> BlobRef:
        """Azure appends records to the log of an interface."""
        ref = BlobRef("logs", CONTAINER, nsg_path(nic, hour))
        texts_of_log = self.logs.setdefault(ref, [])
        texts_of_log += texts
        data = [(f"d{n}", b"," * (n > 0) + text) for n, text in enumerate(texts_of_log)]
        self.blobs.write(ref, [("head", HEAD), *data, ("tail", CLOSER)])
        return ref

    def random(self, nic: Nic, hour: datetime = HOUR, tuples: int = 6) -> BlobRef:
        """Append a random record."""
        at = hour + timedelta(minutes=self.rng.randrange(1, 59))
        record = random_record(nic, at, self.rng, tuples=tuples, denied_share=0.5)
        return self.write(nic, record.data, hour=hour)

    def event(self, ref: BlobRef) -> None:
        """An event of a blob."""
        self.pipeline.run(ref, self.clock() + 480)

    def timer(self) -> DigestReport:
        """The timer fires."""
        return self.digests().run()

    def minutes(self, count: float) -> None:
        """Let time pass, with the timer."""
        for _ in range(round(count * 60 / INTERVAL)):
            self.clock.seconds += INTERVAL
            self.timer()

    def heal(self) -> None:
        """Everything works again, and time passes until all is told."""
        self.fate(None)
        self.receiver.down = None
        self.clock.seconds += 120
        for ref in self.logs:
            self.event(ref)
        for _ in range(200):
            self.clock.seconds += REPEAT
            self.timer()
            state = self.store.state
            if not state.waiting and not state.pending and not state.others:
                return
        raise AssertionError("something is never told")

    def denied(self) -> Counter[str]:
        """Every denied tuple of all logs."""
        found: Counter[str] = Counter()
        for texts in self.logs.values():
            whole = HEAD + b",".join(texts) + CLOSER
            found += Counter(flow.text for flow in flows_of_log(whole) if flow.denied)
        return found

    def groups(self) -> Counter[str]:
        """Flows of each group as the ledgers have them."""
        found: Counter[str] = Counter()
        for row in self.table.rows.values():
            for ledger in row.ledgers.values():
                for tally in ledger.groups:
                    found[tally.key.id] += tally.flows
        return found

    def told(self) -> Counter[str]:
        """Flows of each group as the digests have them."""
        found: Counter[str] = Counter()
        for digest in self.receiver.digests.values():
            for tally in digest.groups:
                found[tally.key.id] += tally.flows
            for at in digest.ended:
                if at.fresh:
                    found[at.key.id] += at.fresh
        return found


def nics(count: int, nsgs: int = 3) -> list[Nic]:
    """Interfaces behind a few NSGs."""
    return [
        Nic(mac=f"000D3A{n:06X}", ip=f"10.5.{n // 250}.{n % 250 + 1}", nsg=f"NSG-{n % nsgs}")
        for n in range(count)
    ]


def killed(steps: int, app: App, act: Sequence[BlobRef] | None) -> bool:
    """Deliver these blobs, or run the timer, in a process that dies after so many steps."""
    app.fate(steps)
    try:
        if act is None:
            app.timer()
        else:
            for ref in act:
                app.event(ref)
    except Killed:
        return True
    finally:
        app.fate(None)
    return False
