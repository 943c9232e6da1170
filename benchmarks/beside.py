"""Small events beside eight backlogs: how late they are, and what the backlogs cost together.

Eight long runs at once stop the real host's intake, and so does this one's: what is measured
includes that. The CPU time of the eight is compared with eight times that of one alone, in the
same process, so that neither waiting for each other nor the events beside them come for free.
"""

import datetime as dt
import random
import time
from dataclasses import dataclass

from benchmarks.figures import Figure, memory, percentile
from benchmarks.local_azure import CONNECTION, ROOT, LocalAzure, container_name, local_azure
from devtools.flowlogs import BlobWriter, Nic, large_log, nsg_path, random_record, seven_digits
from devtools.functions_host import FunctionsHost
from nsgflow_core.telemetry import quiet_sdks

_BACKLOGS = 8
_RECORDS = 360
_TUPLES = 2000
_DENIED_SHARE = 0.4
_SMALL_NICS = 20
_EVERY = 0.25
_PATIENCE = 1800.0
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_MIB = 1024 * 1024


@dataclass(frozen=True)
class _Measured:
    """CPU and wall seconds of the backlogs, delays of the events beside them in seconds."""

    cpu: float
    seconds: float
    delays: list[float]


def measure() -> list[Figure]:
    """One backlog alone, then eight with small events beside them."""
    quiet_sdks()
    data = large_log(_RECORDS, _TUPLES, _DENIED_SHARE, 2, seed=6)
    denied = _RECORDS * round(_TUPLES * _DENIED_SHARE)
    with (
        local_azure() as local,
        FunctionsHost(ROOT / "function_app.py", ROOT / "host.json") as host,
    ):
        small = _SmallEvents(local)
        small.one(host)
        _all_arrived(local, small.denied)
        paths = [nsg_path(Nic(mac=f"000D3B{n:06X}"), _HOUR) for n in range(_BACKLOGS + 1)]
        for path in paths:
            local.container(2).upload_blob(path, data)
        alone = _deliver(local, host, paths[:1], denied, None)
        together = _deliver(local, host, paths[1:], denied * _BACKLOGS, small)
        peak = memory("VmHWM")
        if host.failures:
            raise RuntimeError(host.failures[0].error)
    name = f"{_BACKLOGS} backlogs of {len(data) / 1e6:.0f} MB"
    ratio = together.cpu / (_BACKLOGS * alone.cpu)
    return [
        Figure(f"{name}: CPU", ratio, "each alone", 1.3),
        Figure(f"{name}: CPU of one alone", alone.cpu, "of ours", unit="s"),
        Figure(f"{name}: wall", together.seconds, "no sweep", unit="s"),
        Figure(f"{name}: peak memory", peak / _MIB, "of the process", unit="MiB"),
        Figure(
            f"events beside {name}: p95",
            percentile(together.delays, 95),
            f"to row, {len(together.delays)} events",
            2.0,
            unit="s",
        ),
        Figure(f"events beside {name}: p50", percentile(together.delays, 50), "to row", unit="s"),
        Figure(f"events beside {name}: most", max(together.delays), "to row", unit="s"),
    ]


class _SmallEvents:
    """Interfaces that log a little."""

    def __init__(self, local: LocalAzure) -> None:
        self._writers = [
            BlobWriter(local.container(2), nsg_path(Nic(mac=f"000D3A{n:06X}"), _HOUR))
            for n in range(_SMALL_NICS)
        ]
        self._record = random_record(Nic(), _HOUR, random.Random(1), tuples=34, denied_share=0.2)
        self.written: list[tuple[str, str, float]] = []
        self.denied = 0

    def one(self, host: FunctionsHost) -> None:
        """One update and its event."""
        writer = self._writers[len(self.written) % _SMALL_NICS]
        now = seven_digits(dt.datetime.now(dt.UTC))
        writer.append(self._record.data.replace(self._record.time.encode(), now.encode(), 1))
        self.written.append((writer.path, now, time.monotonic()))
        self.denied += len(self._record.denied)
        host.blob_created(container_name(2), writer.path, CONNECTION)


def _deliver(
    local: LocalAzure,
    host: FunctionsHost,
    paths: list[str],
    denied: int,
    small: _SmallEvents | None,
) -> _Measured:
    """Deliver the backlogs, with small events until all of their rows are there."""
    before = local.accepted().rows
    first = len(small.written) if small else 0
    at_first = small.denied if small else 0
    begun, cpu = time.monotonic(), time.process_time()
    for path in paths:
        host.blob_created(container_name(2), path, CONNECTION)
    looked = time.monotonic()
    while True:
        time.sleep(_EVERY)
        if small is not None:
            small.one(host)
        if time.monotonic() - looked < 2:
            continue
        looked = time.monotonic()
        expected = before + denied + (small.denied - at_first if small else 0)
        accepted = local.accepted().rows
        if accepted >= expected - _SMALL_NICS * 10:
            break
        if looked - begun > _PATIENCE:
            raise RuntimeError(f"{accepted - before} rows of {denied} after {looked - begun:.0f} s")
    expected = before + denied + (small.denied - at_first if small else 0)
    _all_arrived(local, expected)
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    host.drain()
    arrivals = local.arrivals()
    delays = [
        arrivals[f"{container_name(2)}/{path}", record_time] - committed
        for path, record_time, committed in (small.written[first:] if small else ())
    ]
    return _Measured(cpu, seconds, delays)


def _all_arrived(local: LocalAzure, expected: int) -> None:
    """Wait for so many rows, and see that there are no more."""
    for _ in range(600):
        accepted = local.accepted().rows
        if accepted >= expected:
            break
        time.sleep(0.1)
    if accepted != expected:
        raise RuntimeError(f"{accepted} rows accepted, {expected} flows denied")
