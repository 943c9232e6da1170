"""Memory over an hour's updates and more: flat once the caches are full, or something leaks.

One process delivers updates of 3 KB of thirty interfaces, every one with addresses and ports of
its own, so that each cache meets new keys for as long as it has room. The logs are written by a
process of their own. What is held is read at every tenth, after a collection.
"""

import contextlib
import datetime as dt
import gc
import multiprocessing
import os
import random
import statistics
from collections.abc import Iterator
from multiprocessing.connection import Connection

from azure.storage.blob import BlobServiceClient

from benchmarks.figures import Figure, memory
from benchmarks.local_azure import CONNECTION, ROOT, container_name, local_azure
from devtools.flowlogs import BlobWriter, Nic, nsg_path, random_record
from devtools.functions_host import FunctionsHost
from nsgflow_core.telemetry import quiet_sdks

_UPDATES = int(os.environ.get("BENCH_SOAK", "60000"))
_NICS = 30
_AN_HOUR = 60
"""Updates of one blob; then the next hour begins, as it does on Azure."""
_TENTHS = 10
_IN_FLIGHT = 16
_FIRST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_KIB = 1024


def measure() -> list[Figure]:
    """Resident memory at each tenth, and what an update keeps in the second half."""
    quiet_sdks()
    held: list[int] = []
    with local_azure() as local, _writer(local.storage.connection_string) as written:
        with FunctionsHost(ROOT / "function_app.py", ROOT / "host.json") as host:
            for number in range(_UPDATES):
                host.blob_created(container_name(2), written.recv(), CONNECTION)
                if number % _IN_FLIGHT == 0:
                    host.drain(120)
                    host.invocations.clear()  # the host's own memory is not what is measured
                if (number + 1) % (_UPDATES // _TENTHS) == 0:
                    host.drain(120)
                    gc.collect()
                    held.append(memory("VmRSS"))
            if host.failures:
                raise RuntimeError(host.failures[0].error)
        local.accepted()
    half = held[_TENTHS // 2 - 1 :]
    slope = statistics.linear_regression(range(len(half)), half).slope / (_UPDATES / _TENTHS)
    name = f"soak of {_UPDATES} updates"
    shown = ", ".join(f"{each / _KIB / _KIB:.0f}" for each in held)
    return [
        Figure(f"{name}: held", held[-1] / _KIB / _KIB, f"at each tenth {shown}", unit="MiB"),
        Figure(f"{name}: kept", slope / _KIB, "an update of the second half", 0.1, unit="KiB"),
    ]


@contextlib.contextmanager
def _writer(connection_string: str) -> Iterator[Connection]:
    """A process that writes updates, and tells the path of each."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_write, args=(connection_string, theirs))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()  # it ends at that
        process.terminate()
        process.join()


def _write(connection_string: str, paths: Connection) -> None:
    service = BlobServiceClient.from_connection_string(connection_string)
    container = service.get_container_client(container_name(2))
    rng = random.Random(3)
    nics = [Nic(mac=f"000D3A{number:06X}", nsg=f"NSG-{number % 10}") for number in range(_NICS)]
    hour = _FIRST
    for _ in range(0, _UPDATES, _NICS * _AN_HOUR):
        writers = [(nic, BlobWriter(container, nsg_path(nic, hour))) for nic in nics]
        for minute in range(_AN_HOUR):
            for nic, writer in writers:
                when = hour + dt.timedelta(minutes=minute + 1)
                made = random_record(nic, when, rng, tuples=34, denied_share=0.2)
                writer.append(made.data)
                with contextlib.suppress(BrokenPipeError):
                    paths.send(writer.path)
        hour += dt.timedelta(hours=1)
