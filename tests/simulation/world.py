"""One schedule: the product's own service over simulated storage, sinks, clock and threads."""

import contextlib
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from types import SimpleNamespace
from typing import Any
from unittest import mock

from devtools.flowlogs import CLOSER, HEAD
from devtools.truth import flows_of_log
from nsgflow_core import service, telemetry
from nsgflow_core.config import from_env
from nsgflow_core.delivery import pipeline, reading, remembered, replay, sweep
from nsgflow_core.delivery.checkpoint import Checkpoints
from nsgflow_core.errors import NsgflowError, RefusedError, TransientError
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs import blocks
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.events import Announced
from nsgflow_core.logs.path import (
    NSG_CONTAINER,
    VNET_CONTAINER,
    hour_named,
    hour_prefix,
    parse_path,
)
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.service import Service
from nsgflow_core.sinks import answers, lane, patience
from nsgflow_core.sinks.answers import with_retries
from nsgflow_core.sinks.in_order import deliver_in_order
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import AsRead, Delivery, Item
from tests.functional.logs import records
from tests.simulation.host import DELIVERIES, Message, Queue
from tests.simulation.judge import CURSORS, Acceptance, BrokenPromiseError, Judge
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Killed, Process, Scheduler, SimulatedExecutor, Task
from tests.simulation.storage import ACCOUNT, Blobs, Table, Wire

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
SINKS = ("table", "webhook")
HERE = "UseDevelopmentStorage=true"
SETTINGS = from_env({"FlowLogs": HERE, "AzureWebJobsStorage": HERE})
HEAL_SWEEPS = 4
"""A blob that so many sweeps have left behind is stuck; the longest wait takes two of them."""
REFUSED_SWEEPS = 14
"""The same where a container refused to be read: it is left alone for up to an hour."""
REPLAYS = 10_000
"""Processes with higher numbers are replays, one each."""


@cache
def texts(version: int) -> list[tuple[bytes, list[tuple[int, str]]]]:
    """Records, each with the ordinal and text of its denied tuples by an independent reader."""
    made = [text for seed in range(6) for text in records(2, seed, 2 + seed % 3, 0.5, version)]  # type: ignore[arg-type]  # 2 and 4 are versions
    return [
        (text, [(flow.ordinal, flow.text) for flow in flows_of_log(text) if flow.denied])
        for text in made
    ]


def blob_ref(number: int, hour: datetime) -> BlobRef:
    """A blob of an hour: NSG and VNet logs in turn."""
    end = hour_prefix("", hour) + f"m=00/macAddress={number:012X}/PT1H.json"
    if number % 2:
        return BlobRef(ACCOUNT, VNET_CONTAINER, f"flowLogResourceID=/S_G/NETWORKWATCHER_W_F/{end}")
    nsg = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/N"
    return BlobRef(ACCOUNT, NSG_CONTAINER, f"resourceId={nsg}/{end}")


@dataclass
class SimulatedSink:
    """A sink that accepts, fails, hangs or loses its answers as the world draws."""

    name: str
    world: "World"
    batch: int

    def __post_init__(self) -> None:
        self.filter = compile_terms("action=denied")

    def gather(self) -> AsRead:
        """Flows as they were read."""
        return AsRead()

    def deliver(
        self,
        ref: BlobRef,
        flows: Sequence[Columns],
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        """As the real ones, through the product's own retries and accounting."""
        world, scheduler = self.world, self.world.scheduler
        task = scheduler.current
        run = task.parent if task else None
        tenure = world.judge.current(ref, run)
        future = task.about.get("future") if task else None

        def attempt(posted: list[tuple[Position, str]]) -> None:
            scheduler.step()
            fault = world.sink_fault(self.name)
            if fault == "hang":
                scheduler.sleep(40)
            elif isinstance(fault, NsgflowError):
                world.judge.disturbed.add(ref)
                raise fault
            lost = fault in ("lost", "hang")
            one = Acceptance(tenure, world.judge.replays.get(ref, 0), future, lost)
            world.judge.accept(self.name, ref, posted, one)
            if lost:
                world.judge.disturbed.add(ref)
                raise TransientError("the answer was lost")

        def post(batch: Sequence[Item]) -> None:
            posted = [(flow.position, flow.text) for flow in (by_item[item.id] for item in batch)]
            with_retries(lambda _: attempt(posted), patience)

        by_item = {str(number): flow for number, flow in enumerate(chain(*flows))}
        items = [
            Item(b"", Position(flow.group.record.offset, flow.ordinal + 1), 1, number)
            for number, flow in by_item.items()
        ]
        batches = [items[at : at + self.batch] for at in range(0, len(items), self.batch)]
        return deliver_in_order(batches, post, start, end, patience)


@dataclass
class World:
    """Storage, processes and sinks of one schedule, and what happens to them."""

    plan: Plan
    rng: random.Random
    kills: int = 0
    made: int = 0
    healing: bool = False
    events: int = 0
    blobs: Blobs = field(init=False)
    table: Table = field(init=False)
    judge: Judge = field(init=False)
    scheduler: Scheduler = field(init=False)
    processes: list[Process] = field(default_factory=list)
    services: dict[int, Service] = field(default_factory=dict)
    making: Process = field(init=False)
    queue: Queue = field(init=False)
    asked: dict[datetime, bool] = field(init=False)
    left_marked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.rng, START.timestamp() + 60 * self.plan.starts)
        self.queue = Queue(self.scheduler)
        self.asked = {}
        self.scheduler.before_step = self.fate
        self.blobs = Blobs(Wire(self.scheduler.step, self.storage_fault), self.refuses)
        self.table = Table(self.blobs.wire, self.watch)
        self.judge = Judge(SINKS)
        self.processes = [self.process() for _ in range(self.plan.processes)]

    def process(self) -> Process:
        """A fresh process with a clock of its own."""
        skew = self.rng.uniform(-self.plan.skew, self.plan.skew)
        self.made += 1
        odd = self.plan.odd and not self.healing and self.made % 3 == 1
        return Process(self.made, skew, sinks=SINKS[:1] if odd else SINKS)

    def service(self, process: Process) -> Service:
        """The product in a process."""
        if process.number not in self.services:
            self.making = process
            self.services[process.number] = Service(
                SETTINGS, lambda: self.scheduler.now + process.skew
            )
        return self.services[process.number]

    def checkpoints(self) -> Checkpoints:
        """The product's table of checkpoints."""
        return Checkpoints(self.table)  # type: ignore[arg-type]  # has what is used of it

    def anyone(self) -> Process:
        """A living process; one that died is started anew."""
        index = self.rng.randrange(len(self.processes))
        if not self.processes[index].alive:
            self.processes[index] = self.process()
        return self.processes[index]

    def fate(self, task: Task) -> None:
        """Before a step: nothing, a pause, or the death of the process."""
        if self.healing or task.process.number < 0:
            return
        draw = self.rng.random()
        if draw < self.plan.stall:
            self.scheduler.sleep(self.rng.choice((5.0, 20.0, 61.0, 130.0)))
        elif draw < self.plan.stall + self.plan.death and self.kills < self.plan.deaths:
            self.kills += 1
            self.judge.died(task.process)
            self.scheduler.kill(task.process)

    def storage_fault(self, kind: str) -> bool:
        """Whether the storage fails here; a write that is repeated is no failure to the caller."""
        if kind == "repeated":
            return not self.healing and self.rng.random() < self.plan.repeated
        if self.healing or self.rng.random() >= self.plan.storage_fault:
            return False
        if self.scheduler.current is not None:
            self.judge.failed(self.scheduler.current)
        return True

    def refuses(self, container: str) -> bool:
        """Whether a container lets nobody read it."""
        return container == self.plan.refused and not self.healing

    def sink_fault(self, sink: str) -> NsgflowError | str | None:
        """What a sink does to a post: None accepts it."""
        if sink == self.plan.sick:
            return RefusedError("403")
        if self.healing or self.rng.random() >= self.plan.sink_fault:
            return None
        after = self.rng.choice((0.0, 1.0, 90.0))
        busy = TransientError("429", retry_after=after)
        return self.rng.choice((busy, busy, RefusedError("401"), "lost", "hang"))

    def watch(self, before: Any, after: Any) -> None:
        """A row was written."""
        task = self.scheduler.current
        if after["PartitionKey"].startswith("~asked") and after["Listing"]:
            self.asked[hour_named(after["RowKey"])] = True
        if "Cursors" in after and task is not None:
            now = self.scheduler.now + task.process.skew
            if task.process.number >= REPLAYS:
                self.judge.replayed(BlobRef(after["Account"], after["Container"], after["Path"]))
            self.judge.checkpoint(before, after, task, now)

    def grow(self, ref: BlobRef, count: int) -> None:
        """Azure appends records to a blob, each in a block of its own, before the closer."""
        key = (ref.container, ref.path)
        blocks = self.blobs.blocks.get(key) or [("head", HEAD), ("tail", CLOSER)]
        version = 4 if ref.container == VNET_CONTAINER else 2
        flows: list[tuple[Position, str]] = []
        for _ in range(count):
            text, denied = self.rng.choice(texts(version))
            comma = b"," * (len(blocks) > 2)
            offset = sum(len(data) for _, data in blocks) - len(CLOSER) + len(comma)
            blocks = [*blocks[:-1], (f"d{len(blocks)}", comma + text), blocks[-1]]
            flows += [(Position(offset, ordinal), written) for ordinal, written in denied]
        if self.rng.random() < self.plan.reblock:
            content = b"".join(data for _, data in blocks)
            blocks = [(f"r{self.rng.random()}", content[:-2]), ("tail", content[-2:])]
        self.judge.wrote(ref, flows)
        self.blobs.write(key, blocks)

    def announced(self, ref: BlobRef) -> Announced | None:
        """What the event of a blob says, where it comes by a queue: every other one does."""
        self.events += 1
        key = (ref.container, ref.path)
        if self.events % 2 or key not in self.blobs.blocks:
            return None
        size = sum(len(data) for _, data in self.blobs.blocks[key])
        return Announced(size, self.blobs.etags[key].strip('"'), self.scheduler.now)

    def event(self, ref: BlobRef, after: float = 0.0, message: Message | None = None) -> None:
        """The host hands out an event, up to five times, and then gives it up.

        Its own look at the blob may be refused, and ends the whole instance.
        """
        process = self.anyone()
        message = message or Message(self.announced(ref))

        def call() -> None:
            while message.deliveries < DELIVERIES:
                message.deliveries += 1
                if not self.healing and self.rng.random() < self.plan.look:
                    self.judge.died(process)
                    self.scheduler.kill(process)
                    self.scheduler.step()
                told = message.announced if message.deliveries == 1 else None
                try:
                    self.service(process).deliver("FlowLogs", ref.container, ref.path, told)
                except NsgflowError:
                    self.judge.disturbed.add(ref)
                    self.scheduler.sleep(self.rng.choice((0.1, 0.6)))
                else:
                    return
            self.given_up(ref)

        def in_turn() -> None:
            try:
                self.queue.run(process, message, call)
            except Killed:
                self.judge.disturbed.add(ref)
                if message.deliveries < DELIVERIES:
                    self.event(ref, self.rng.choice((1.0, 30.0, 90.0, 600.0)), message)
                else:
                    self.given_up(ref)
                raise

        self.scheduler.spawn(process, in_turn, after)

    def given_up(self, ref: BlobRef) -> None:
        """An event is in the poison queue: of an old hour that nobody was asked for, people act."""
        hour = parse_path(ref.path).hour
        if not self.asked.get(hour):
            self.replay(ref, hour)

    def sweep(self) -> None:
        """The timer fires."""
        process = self.anyone()

        def call() -> None:
            with contextlib.suppress(NsgflowError):
                self.service(process).sweep()

        self.scheduler.spawn(process, call)

    def replay(self, ref: BlobRef, hour: datetime) -> None:
        """Somebody puts a blob's cursors back, and asks the sweep for its hour; they may die."""
        process = Process(REPLAYS + self.made)

        def left() -> bool:
            with contextlib.suppress(NsgflowError):
                at = replay.Hour("FlowLogs", hour)
                return bool(replay.move_back(self.checkpoints(), at, [ref], lambda r: r.cursors))
            return True

        def until_done() -> None:
            try:
                while left():
                    self.scheduler.sleep(5)
            except Killed:
                self.left_marked.add(ref.path)
                raise

        self.scheduler.spawn(process, until_done)

    def heal(self) -> None:
        """Let everything be well from now on, and only the timer fire."""
        self.healing = True
        service.DEADLINE_SECONDS = 480.0
        self.processes = [self.process() for _ in self.processes]
        for _ in range(REFUSED_SWEEPS if self.plan.refused else HEAL_SWEEPS):
            self.scheduler.now += 300
            self.sweep()
            self.scheduler.run()
            if self.settled():
                return
        self.settled(explain=True)

    def settled(self, *, explain: bool = False) -> bool:
        """Whether each healthy sink has everything and no checkpoint is left marked."""
        healthy = [sink for sink in SINKS if sink != self.plan.sick]
        missing = [(sink, at) for sink in healthy for at in self.judge.missing(sink)]
        marked = [
            entity["Path"]
            for entity, _ in self.table.rows.values()
            if "Cursors" in entity
            and (entity["Pending"] or entity["Owner"])
            and not self._only_marked(entity)
        ]
        stuck = marked if self.plan.sick is None else []
        if explain and not self.judge.broken:
            raise BrokenPromiseError(f"stuck: missing {missing}, marked {stuck}")
        return not missing and not stuck

    def _only_marked(self, entity: Mapping[str, Any]) -> bool:
        """Whether a replay died behind the mark and before it asked: nothing is owed there."""
        if entity["Path"] not in self.left_marked or entity["Owner"]:
            return False
        size = sum(len(data) for _, data in self.blobs.blocks[entity["Container"], entity["Path"]])
        cursors = CURSORS.decode(entity["Cursors"])
        return bool(cursors) and all(at.seen == size for at in cursors.values())


@contextlib.contextmanager
def simulated() -> Iterator[Callable[[World], contextlib.AbstractContextManager[None]]]:
    """Put simulated storage, sinks, threads and time under the product; enter a world to use it."""
    here: dict[str, World] = {}

    def scheduler() -> Scheduler:
        return here["world"].scheduler

    def executor(workers: int, **_: Any) -> SimulatedExecutor:
        return SimulatedExecutor(
            scheduler(),
            lambda fn: fn not in (lane.deliver, sweep._run_in_time),
            min(workers, here["world"].plan.threads),
        )

    def beside(work: Callable[[], None]) -> None:
        running = scheduler().current
        assert running is not None
        scheduler().spawn(running.process, work)

    clock = SimpleNamespace(
        monotonic=lambda: scheduler().now,
        time=lambda: scheduler().now,
        sleep=lambda seconds: scheduler().sleep(seconds),
    )

    def made_sinks(*_: Any) -> list[SimulatedSink]:
        world = here["world"]
        return [
            SimulatedSink(name, world, batch)
            for name, batch in zip(SINKS, (world.plan.batch, 1), strict=True)
            if name in world.making.sinks
        ]

    @contextlib.contextmanager
    def enter(world: World) -> Iterator[None]:
        here["world"] = world
        with (
            mock.patch.object(reading, "WINDOW", world.plan.window),
            mock.patch.object(service, "DEADLINE_SECONDS", world.plan.deadline),
            mock.patch.object(service, "EVENT_SECONDS", min(30.0, world.plan.deadline)),
            mock.patch.object(service, "EVENT_BYTES", world.plan.event_bytes),
            mock.patch.object(remembered, "DOUBT_SECONDS", world.plan.doubts),
        ):
            yield

    with contextlib.ExitStack() as stack:
        for module in (blocks, pipeline, replay, answers, patience, sweep, telemetry):
            stack.enter_context(mock.patch.object(module, "time", clock))

        def uniform(low: float, high: float) -> float:
            return here["world"].rng.uniform(low, high)

        jitter = SimpleNamespace(uniform=uniform)
        stack.enter_context(mock.patch.object(answers, "random", jitter))
        for module, name, thing in (
            (service, "blob_service", lambda _: here["world"].blobs),
            (service, "table", lambda *_: here["world"].table),
            (service, "_sinks", made_sinks),
            (service, "ThreadPoolExecutor", executor),
            (service, "_beside", beside),
            (sweep, "ThreadPoolExecutor", executor),
        ):
            stack.enter_context(mock.patch.object(module, name, thing))
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, logging.NOTSET)
        yield enter
