"""As many NICs, each with an update a minute, as one worker process sustains here.

Azurite, the stand-ins and whoever writes the logs run in processes of their own; the product runs
in this one, below the small Functions host, sixteen invocations at once as host.json says. First
the events never run out, which tells the rate and the CPU time of an update; then they come at a
part of that rate, which tells the delay. Azurite is one Node process, so it, and not the product,
may be what limits the rate: the shares of a core tell.
"""

import contextlib
import datetime as dt
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from benchmarks.figures import Figure, memory, percentile
from benchmarks.local_azure import CONNECTION, ROOT, LocalAzure, container_name, local_azure
from devtools.flowlogs import BlobWriter, Nic, nsg_path, random_record, seven_digits
from devtools.functions_host import FunctionsHost, Invocation
from nsgflow_core.telemetry import quiet_sdks

_NICS = 240
_TUPLES = 34
_DENIED_SHARE = 0.2
_WRITERS = 4
_IN_FLIGHT = 32
_SECONDS = 20.0
_PART = 0.6
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_MIB = 1024 * 1024


@dataclass(frozen=True)
class _Phase:
    """How the writer goes about it: for so long, at a rate or as fast as events are worked off."""

    seconds: float
    rate: float | None


@dataclass(frozen=True)
class _Written:
    """One update: when it was committed, and what its rows say of it."""

    path: str
    record_time: str
    committed: float
    denied: int


@dataclass(frozen=True)
class _Measured:
    """One phase: updates, seconds, CPU seconds of ours and of Azurite's, delays in seconds."""

    updates: int
    seconds: float
    cpu: float
    azurite_cpu: float
    delays: list[float]

    @property
    def rate(self) -> float:
        """Updates a second."""
        return self.updates / self.seconds


def measure() -> list[Figure]:
    """The rate, the CPU time, the delays and the memory, and what follows for one core."""
    quiet_sdks()
    with local_azure() as local, _writer(local) as orders:
        follower = _Follower(local, orders)
        with FunctionsHost(
            ROOT / "function_app.py", ROOT / "host.json", on_invocation=follower.acknowledge
        ) as host:
            follower.run(host, _Phase(3.0, None))  # each NIC has a blob, each pool its connections
            before = memory("VmRSS")
            full = follower.run(host, _Phase(_SECONDS, None))
            paced = follower.run(host, _Phase(_SECONDS, _PART * full.rate))
            after = memory("VmRSS")
            if host.failures:
                raise RuntimeError(host.failures[0].error)
        accepted = local.accepted()
    if accepted.rows != follower.denied:
        raise RuntimeError(f"{accepted.rows} rows accepted, {follower.denied} flows denied")
    update = full.cpu / full.updates
    name = "updates of 3 KB, both sinks, 16 at once"
    at = f"at {paced.rate:.0f} a second"
    return [
        Figure(f"{name}: sustained", full.rate, "a second, on this machine", unit=""),
        Figure(f"{name}: our CPU", full.cpu / full.seconds, "of a core", unit=""),
        Figure(f"{name}: Azurite's CPU", full.azurite_cpu / full.seconds, "of a core", unit=""),
        Figure(f"{name}: CPU", update * 1000, "an update", unit="ms"),
        Figure(f"{name}: of one core", 1 / update, "a second, were it all ours", unit=""),
        Figure(f"{name}: NICs on one core", 60 / update, "an update a minute each", unit=""),
        Figure(f"{name}: p50", percentile(paced.delays, 50) * 1000, f"to row, {at}", unit="ms"),
        Figure(f"{name}: p95", percentile(paced.delays, 95) * 1000, f"to row, {at}", unit="ms"),
        Figure(f"{name}: memory", after / _MIB, "held at the end", unit="MiB"),
        Figure(f"{name}: memory", (after - before) / _MIB, "more than after 3 s", 32, unit="MiB"),
        Figure(
            f"{name}: row", accepted.row_bytes / accepted.rows, "before compression", unit="bytes"
        ),
        Figure(
            f"{name}: requests to the table",
            accepted.row_requests / follower.updates,
            "an update",
            1,
            unit="",
        ),
    ]


class _Follower:
    """Hands the writer's events to the host, and its acknowledgements back."""

    def __init__(self, local: LocalAzure, orders: Connection) -> None:
        self._local = local
        self._orders = orders
        self._lock = threading.Lock()
        self.denied = 0
        self.updates = 0

    def acknowledge(self, _: Invocation) -> None:
        """One more event is worked off."""
        with self._lock:
            self._orders.send(None)

    def run(self, host: FunctionsHost, phase: _Phase) -> _Measured:
        """One phase, to its last row."""
        written: list[_Written] = []
        begun, cpu, azurite_cpu = time.monotonic(), time.process_time(), self._azurite_cpu()
        with self._lock:
            self._orders.send(phase)
        while (update := self._orders.recv()) is not None:
            written.append(update)
            host.blob_created(container_name(2), update.path, CONNECTION)
        host.drain()
        seconds = time.monotonic() - begun
        cpu = time.process_time() - cpu
        azurite_cpu = self._azurite_cpu() - azurite_cpu
        self.denied += sum(update.denied for update in written)
        self.updates += len(written)
        arrivals = self._local.arrivals()
        delays = [
            arrivals[f"{container_name(2)}/{update.path}", update.record_time] - update.committed
            for update in written
        ]
        return _Measured(len(written), seconds, cpu, azurite_cpu, delays)

    def _azurite_cpu(self) -> float:
        process = self._local.storage.process_id
        ticks = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _writer(local: LocalAzure) -> Iterator[Connection]:
    """A process that writes flow logs as it is told."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_write, args=(local.storage.connection_string, theirs))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()  # it ends at that
        process.join()


def _write(connection_string: str, orders: Connection) -> None:
    service = BlobServiceClient.from_connection_string(connection_string)
    container = service.get_container_client(container_name(2))
    nics = [Nic(mac=f"000D3A{number:06X}", nsg=f"NSG-{number % 20}") for number in range(_NICS)]
    turns = [
        _turns([BlobWriter(container, nsg_path(nic, _HOUR)) for nic in nics[number::_WRITERS]])
        for number in range(_WRITERS)
    ]
    room = threading.Semaphore(_IN_FLIGHT)
    lock = threading.Lock()

    def one_by_one(turn: Iterator[_Written], phase: _Phase) -> None:
        end = time.monotonic() + phase.seconds
        due = time.monotonic()
        while time.monotonic() < end:
            if phase.rate is None:
                room.acquire()
            else:
                due += _WRITERS / phase.rate
                time.sleep(max(due - time.monotonic(), 0.0))
            written = next(turn)
            with lock:
                orders.send(written)

    def all_of(phase: _Phase) -> None:
        with ThreadPoolExecutor(_WRITERS) as pool:
            for done in [pool.submit(one_by_one, turn, phase) for turn in turns]:
                done.result()
        with lock:
            orders.send(None)

    with ThreadPoolExecutor(1) as pool, contextlib.suppress(EOFError):
        while True:
            phase = orders.recv()
            if phase is None:
                room.release()
            else:
                room = threading.Semaphore(_IN_FLIGHT)
                pool.submit(all_of, phase)


def _turns(writers: list[BlobWriter]) -> Iterator[_Written]:
    """Updates of these logs in turn, for ever."""
    record = random_record(
        Nic(), _HOUR, random.Random(1), tuples=_TUPLES, denied_share=_DENIED_SHARE
    )
    while True:
        for writer in writers:
            now = seven_digits(dt.datetime.now(dt.UTC))
            writer.append(record.data.replace(record.time.encode(), now.encode(), 1))
            yield _Written(writer.path, now, time.monotonic(), len(record.denied))
