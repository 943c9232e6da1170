"""Workers killed at random points of a day, with everything around them failing on and off.

Set TEST_KILLS=200 for the long run, with 20 NICs.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, BlobWriter, Nic, random_record
from devtools.http_server import Fault, Faults, Request, Server
from devtools.meter import Meter, metered
from devtools.truth import FlowKey, compare, compare_alerts, flow_key
from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.errors import NsgflowError
from nsgflow_core.model import BlobRef
from nsgflow_core.service import DEADLINE_SECONDS
from tests.integration.conftest import HOUR, ROOT, Deployment

KILLS = int(os.environ.get("TEST_KILLS", "20"))
NICS = 6 if KILLS <= 20 else 20
HOURS = 24
ROUND_SECONDS = 1.2
BEFORE = HOUR - timedelta(days=2)
"""The day begins here; its logs are of the past, where the test's clock stands as well."""


class Worker:
    """The app in a Functions host of its own process."""

    def __init__(self) -> None:
        app = ROOT / "tests" / "integration" / "clocked_app.py"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "devtools.functions_host"),
                *("--app", str(app), "--host-json", str(ROOT / "host.json")),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.sent: Counter[tuple[str, str]] = Counter()
        self.invocations = 0
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._ready.wait(30)  # a worker that is killed before it has begun shows nothing

    def blob(self, container: str, path: str) -> None:
        """Deliver an event."""
        self.sent[container, path] += 1
        self._order({"blob": {"container": container, "name": path}})

    def sweep(self) -> None:
        """Fire the timer."""
        self._order({"timer": "sweep"})

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def close(self) -> None:
        """Kill it and wait for what reads its output."""
        self.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # orders that it did not live to read
                    stream.close()

    def _order(self, order: dict[str, Any]) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError, ValueError):
                self._process.stdin.write(json.dumps(order) + "\n")
                self._process.stdin.flush()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            said = json.loads(line)
            if "ready" in said:
                self._ready.set()
            if invocation := said.get("invocation"):
                assert not invocation["error"].startswith("TypeError"), invocation["error"]
                self.invocations += not invocation["error"]
                self.sent[invocation["container"], invocation["name"]] -= not invocation["error"]


@dataclass
class Mishaps:
    """What fails at which server, and the moment at which the worker is killed."""

    rng: random.Random
    servers: dict[str, Server]
    sick: set[str] = field(default_factory=set)
    victim: Worker | None = None
    fatal: str = ""
    countdown: int = 0

    def __post_init__(self) -> None:
        for name, server in self.servers.items():
            server.faults = self._faults(name)

    def arm(self, victim: Worker) -> None:
        """Kill the worker at one of its next requests to one of the servers."""
        self.fatal = self.rng.choice(sorted(self.servers))
        self.countdown = round(60 ** self.rng.random())  # early and late alike
        self.victim = victim

    def _faults(self, name: str) -> Faults:
        def fault(_: Request) -> Fault | None:
            if self.victim is not None and name == self.fatal:
                self.countdown -= 1
                if self.countdown <= 0:
                    self.victim.kill()
                    self.victim = None
            if name not in self.sick:
                return None
            if name in ("blobs", "tables"):
                return Fault(reset=True)
            answers = (Fault(status=503), Fault(status=403), Fault(accept_then_reset=True), None)
            return self.rng.choice(answers)

        return fault


@dataclass
class Day:
    """A day of a few NICs: what was written, and the worker of the moment with its successor."""

    deployment: Deployment
    meter: Meter
    moved: Path
    rng: random.Random
    denied: list[FlowKey] = field(default_factory=list)
    written: int = 0
    killed: int = 0
    runs: int = 0
    writers: dict[tuple[int, int], BlobWriter] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.worker, self.successor = Worker(), Worker()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.close()
        self.successor.close()

    def now(self) -> datetime:
        """The time of the test."""
        return datetime.now(UTC) + timedelta(seconds=float(self.moved.read_text()))

    def move_to(self, now: datetime) -> None:
        """Move the clock of all workers, each of which reads the file at every look at it."""
        fresh = self.moved.with_suffix(".new")
        fresh.write_text(str((now - datetime.now(UTC)).total_seconds()))
        fresh.replace(self.moved)

    def write(self, number: int, hour: int) -> None:
        """One update of one NIC's log, with its event unless that is withheld."""
        container = VNET_CONTAINER if number % 3 == 2 else NSG_CONTAINER
        nic, begin = Nic(mac=f"000D3A{number:06X}"), BEFORE + timedelta(hours=hour)
        if (number, hour) not in self.writers:
            make = self.deployment.nsg_log if number % 3 != 2 else self.deployment.vnet_log
            self.writers[number, hour] = make(nic, begin)
        writer = self.writers[number, hour]
        record = random_record(
            nic,
            begin + timedelta(minutes=writer.updates + 1, seconds=self.rng.randrange(60)),
            self.rng,
            version=4 if number % 3 == 2 else 2,
            tuples=12,
            denied_share=0.4,
        )
        writer.append(record.data)
        self.written += 1
        source = f"{container}/{writer.path}"
        self.denied += [flow_key(flow, source) for flow in record.flows if flow.denied]
        if self.rng.random() < 0.85:
            self.worker.blob(container, writer.path)

    def bury(self) -> None:
        """The worker is dead or dies now: the next takes over most of the events it had."""
        self.worker.close()
        self.killed += 1
        left = self.worker.sent
        self.runs += self.worker.invocations
        self.worker, self.successor = self.successor, Worker()
        for (container, path), count in left.items():
            if container and count > 0 and self.rng.random() < 0.7:
                self.worker.blob(container, path)


@pytest.mark.timeout(60 + 4 * KILLS)
def test_a_day_of_kills_loses_nothing(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at random requests, both sinks and the account failing on and off: lost 0."""
    rng = random.Random(6)
    moved = tmp_path / "clock"
    moved.write_text("0")
    monkeypatch.setenv("NSGFLOW_TEST_CLOCK", str(moved))
    deployment.clock.now = BEFORE
    deployment.service().sweep()  # the first one has no past
    with metered(deployment.storage) as meter:
        for name in ("FlowLogs", "AzureWebJobsStorage"):
            monkeypatch.setenv(name, meter.connection_string)
        servers = {
            "table": deployment.table.server,
            "webhook": deployment.webhook.server,
            "blobs": meter.blobs,
            "tables": meter.tables,
        }
        mishaps = Mishaps(rng, servers)
        day = Day(deployment, meter, moved, rng)
        day.move_to(BEFORE)
        with day:
            _live(day, mishaps)
        for server in servers.values():
            server.faults = None
    _heal(deployment, day)

    rows = compare(day.denied, deployment.table.rows)
    alerts = compare_alerts(day.denied, deployment.webhook.alerts)
    assert day.killed == KILLS
    assert day.runs > KILLS, "the workers died too young to do anything"
    assert day.written >= NICS * (KILLS + 4)
    assert (rows.lost, rows.foreign, alerts.lost, alerts.foreign) == (0, 0, 0, 0)
    assert rows.delivered == len(day.denied) == alerts.delivered


def _live(day: Day, mishaps: Mishaps) -> None:
    """Rounds of updates, in each of which the worker is killed, but for the last few."""
    rounds = KILLS + 4
    away = {rounds // 3, rounds // 3 + 1}
    for number in range(rounds):
        hour = number * HOURS // rounds
        day.move_to(BEFORE + timedelta(hours=hour, minutes=59 * (number % 2)))
        begun = time.monotonic()
        mishaps.sick = {name for name in ("table", "webhook") if day.rng.random() < 0.35}
        if number in away:
            mishaps.sick |= {"blobs", "tables"}
        if number < KILLS:
            mishaps.arm(day.worker)
        for nic in range(NICS):
            day.write(nic, hour)
        day.worker.sweep()
        time.sleep(max(ROUND_SECONDS - (time.monotonic() - begun), 0))
        mishaps.victim = None
        if number < KILLS:
            day.bury()


def _heal(deployment: Deployment, day: Day) -> None:
    """Nothing fails any more, and the timer fires."""
    deployment.clock.now = day.now()
    service = deployment.service()
    for _ in range(6):
        deployment.clock.move(minutes=11)
        with suppress(NsgflowError):
            service.sweep()
        if not any(row.pending for row in _checkpoints(deployment)):
            return


def _checkpoints(deployment: Deployment) -> Iterator[Checkpoint]:
    checkpoints = deployment.service()._checkpoints
    for hour in range(HOURS):
        yield from checkpoints.in_hour(BEFORE + timedelta(hours=hour))


def test_the_time_out_in_a_large_backlog(deployment: Deployment) -> None:
    """Time runs out at every accepted batch: each run makes progress, commits and lets go."""
    writer, rng = deployment.nsg_log(), random.Random(7)
    for number in range(24):
        when = HOUR + timedelta(minutes=number + 1)
        writer.append(random_record(Nic(), when, rng, tuples=9000, denied_share=0.02).data)
    service = deployment.service()
    accept = deployment.table.server.handler

    def slowly(request: Request) -> Any:
        deployment.clock.move(minutes=9)
        return accept(request)

    deployment.table.server.handler = slowly
    ref = BlobRef("devstoreaccount1", NSG_CONTAINER, writer.path)
    reached = [0]
    for _ in range(20):
        report = service._pipeline.run(ref, deployment.clock() + DEADLINE_SECONDS)
        (row,) = service._checkpoints.in_hour(HOUR)
        reached.append(min(cursor.offset for cursor in row.cursors.values()))
        assert reached[-1] > reached[-2], "progress"
        assert not row.owner, "the claim is given back"
        assert row.pending == report.out_of_time == bool(report.lagging)
        if not report.out_of_time:
            break

    assert len(reached) > 2
    assert reached[-1] == writer.size - 2
    assert len(deployment.table.rows) == deployment.denied(writer).total()
    assert not deployment.table.duplicates
    assert not deployment.webhook.duplicates
