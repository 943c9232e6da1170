"""The command line: what it lists, what a query costs, how soon it answers."""

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import orjson
from azure.storage.blob import BlobServiceClient, ContainerClient

from benchmarks.figures import Figure, ratio
from benchmarks.local_azure import ROOT
from devtools.azurite import ACCOUNT, Azurite, azurite
from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from devtools.meter import Meter, metered
from devtools.nic import NSG_CONTAINER
from nsgflow_core.cli.download import Download
from nsgflow_core.cli.options import Wanted
from nsgflow_core.cli.query import Defaults, Query
from nsgflow_core.cli.read import DOWNLOADS, Log, Reader, windows
from nsgflow_core.cli.text import lines
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.path import parse_path
from nsgflow_core.logs.source import BlockList, Source
from nsgflow_core.model import BlobRef

_NSGS = 20
_DAYS = (0, 1, 10, 100)
_EVERY = 4
"""Every so many hours have logs: Azurite takes ever longer for each blob it holds already."""
_HOURS_ASKED = 2
_LOG = b'{"records":[]}'
_UPLOADS = 16
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_RECORDS, _TUPLES, _DENIED_SHARE = 300, 400, 0.05
_ROUNDS = 7
_ROUND_TRIP = 0.04
_START_ROUNDS = 15
_MEASURED = """
import sys
from nsgflow_core.__main__ import main
try:
    main()
except SystemExit as exit:
    if exit.code:
        raise
print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
"""
"""Runs the command line and tells its peak memory; a parent's rusage would count its own."""
_DENIED = Query(Wanted(), Defaults(probes=True)).filter


def measure() -> list[Figure]:
    """Listings, query, overlap, memory and start-up."""
    with azurite() as storage, metered(storage) as meter:
        return [
            *_listings(storage, meter),
            *_queries(),
            _overlap(storage),
            _memory(storage),
            *_start_up(),
        ]


def _listings(storage: Azurite, meter: Meter) -> list[Figure]:
    """Requests of one query while the history of 20 NSGs grows from a day to a hundred."""
    container = _container(storage, NSG_CONTAINER)
    nics = [Nic(nsg=f"NSG{n:02d}", mac=f"000D3A0000{n:02X}") for n in range(_NSGS)]
    last = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) - _hours(2)
    span = f"--since={last - _hours(1):%Y-%m-%dT%H:30} --until={last:%Y-%m-%dT%H:30}"
    commands = {
        "flows --display-hours 2": ["flows", f"--display-hours={_HOURS_ASKED}"],
        "denied of one hour by --since": ["denied", *span.split()],
    }
    figures: list[Figure] = []
    first: dict[str, int] = {}
    for earlier, days in pairwise(_DAYS):
        hours = range(earlier * 24, days * 24, _EVERY)
        paths = [nsg_path(nic, last - _hours(back)) for nic in nics for back in hours]
        with ThreadPoolExecutor(_UPLOADS) as pool:
            for uploaded in [pool.submit(_upload, container, path) for path in paths]:
                uploaded.result()
        for name, command in commands.items():
            meter.reset()
            _run(command, meter.connection_string)
            requests = meter.requests["GET list"]
            first.setdefault(name, requests)
            figures.append(
                Figure(
                    f"list requests of `{name}`, {_NSGS} NSGs, {days} days of history",
                    requests,
                    f"{days * 24 // _EVERY * _NSGS} logs",
                    first[name],
                    unit="requests",
                )
            )
    container.delete_container()
    return figures


def _upload(container: ContainerClient, path: str) -> None:
    container.upload_blob(path, _LOG)


@dataclass(frozen=True)
class _Downloaded:
    """Logs that are in memory already, by their path."""

    logs: dict[str, bytes]

    def list_blocks(self, ref: BlobRef) -> BlockList:
        """A log in one piece."""
        return BlockList((), len(self.logs[ref.path]), "")

    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes:  # noqa: ARG002 - as blocks.FlowLogs has it
        """Some of its bytes."""
        return self.logs[ref.path][start:end]


def _queries() -> list[Figure]:
    """Denied flows of a downloaded log as lines, against decoding its bytes."""
    versions: tuple[Literal[2], Literal[4]] = (2, 4)
    figures = []
    for version in versions:
        path = vnet_path(Nic(), _HOUR) if version == 4 else nsg_path(Nic(), _HOUR)
        data = large_log(_RECORDS, _TUPLES, _DENIED_SHARE, version, 0)
        source, logs = _Downloaded({path: data}), [_log(path, data)]
        expected = round(_RECORDS * _TUPLES * _DENIED_SHARE)
        if _query(source, [logs]) != expected:
            raise RuntimeError(f"not the {expected} denied flows of the log")
        measured = ratio(
            _ROUNDS,
            lambda _, source=source, logs=logs: _query(source, [logs]),  # type: ignore[misc]
            lambda _, data=data: orjson.loads(data),  # type: ignore[misc]
        )
        name = f"denied-only query over a downloaded v{version} log, {_DENIED_SHARE:.0%} denied"
        figures.append(Figure(f"{name} (CPU)", measured, "orjson.loads", 3.0))
    return figures


@dataclass(frozen=True)
class _Distant:
    """Logs that are as far away as another region is, and not on this machine."""

    near: FlowLogs

    def list_blocks(self, ref: BlobRef) -> BlockList:
        """As they are."""
        return self.near.list_blocks(ref)

    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes:
        """Some bytes, after a round trip."""
        time.sleep(_ROUND_TRIP)
        return self.near.read(ref, start, end, etag)


def _windows(source: _Distant, pool: ThreadPoolExecutor, log: Log, logs: int) -> Iterator[int]:
    """Download one of so many logs as a query does, and leave it at that; sizes of its windows."""
    download = Download(source, pool, log.ref, log.size, log.etag, *windows(logs))
    return (len(piece) for piece, _ in download.pieces())


def _query(source: Source, hours: Iterable[Sequence[Log]]) -> int:
    """Read flows as the command line does, and make their lines; how many they are."""
    with Reader(source, _DENIED, lambda _: None) as reader:
        made = [line for flows in reader.columns(hours) for line in lines(flows)]
    if reader.tally.failures:
        raise RuntimeError(reader.tally.failures[0])
    return len(made)


def _overlap(storage: Azurite) -> Figure:
    """Wall time of download and parsing together, against one after the other."""
    container = _container(storage, NSG_CONTAINER)
    data = large_log(_RECORDS * 4, _TUPLES, _DENIED_SHARE, 2, 0)
    logs = []
    for number in range(2):
        path = nsg_path(Nic(nsg=f"NSG{number}"), _HOUR)
        etag = container.upload_blob(path, data).get_blob_properties().etag
        logs.append(_log(path, data, etag))
    service = BlobServiceClient.from_connection_string(storage.connection_string)
    remote = _Distant(FlowLogs({ACCOUNT: service}))
    local = _Downloaded({log.ref.path: data for log in logs})

    def download() -> None:
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            downloads = [_windows(remote, pool, log, len(logs)) for log in logs]
            for sizes in zip(*downloads, strict=True):
                del sizes

    together, apart = [], []
    for _ in range(_ROUNDS):
        together.append(_seconds(lambda: _query(remote, [logs])))
        apart.append(_seconds(download) + _seconds(lambda: _query(local, [logs])))
    container.delete_container()
    return Figure(
        f"download and parse {2 * len(data) / 2**20:.0f} MiB of two logs (wall time)",
        min(together) / min(apart),
        "the same requests, then the parse",
        0.85,
    )


def _memory(storage: Azurite) -> Figure:
    """Peak memory of a query over eight hours, against one over one hour of the same size."""
    container = _container(storage, NSG_CONTAINER)
    data = large_log(_RECORDS, _TUPLES, _DENIED_SHARE, 2, 0)
    for back in range(8):
        container.upload_blob(nsg_path(Nic(), _HOUR - _hours(back)), data)
    flags = ["--display-allowed", "--display-direction=both", "--output=json"]
    peaks = [
        _run(["flows", f"--display-hours={hours}", *flags], storage.connection_string)
        for hours in (8, 1)
    ]
    container.delete_container()
    return Figure("peak memory of 8 hours of logs as JSON", peaks[0] / peaks[1], "one hour", 1.5)


def _start_up() -> list[Figure]:
    """Wall time of `nsgflow --help` and `--version`, against importing typer."""
    asked = {"--help": list[float](), "--version": list[float]()}
    baseline = []
    for _ in range(_START_ROUNDS):
        for flag, seconds in asked.items():
            seconds.append(_seconds(lambda flag=flag: _python("-m", "nsgflow_core", flag)))  # type: ignore[misc]
        baseline.append(_seconds(lambda: _python("-c", "import typer")))
    return [
        Figure(f"nsgflow {flag} (wall time)", min(ours) / min(baseline), "import typer", 1.2)
        for flag, ours in asked.items()
    ]


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def _run(command: Sequence[str], connection_string: str) -> int:
    """Run the command line to its end; the most memory it held, in KiB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command],
        env=os.environ | {"AZURE_STORAGE_CONNECTION_STRING": connection_string},
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return int(done.stderr.split()[-2])


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _hours(count: int) -> dt.timedelta:
    return dt.timedelta(hours=count)


def _container(storage: Azurite, name: str) -> ContainerClient:
    service = BlobServiceClient.from_connection_string(
        storage.connection_string, max_single_put_size=256 * 1024 * 1024
    )
    return service.create_container(name)


def _log(path: str, data: bytes, etag: str = "") -> Log:
    return Log(BlobRef(ACCOUNT, NSG_CONTAINER, path), parse_path(path), len(data), etag)


if __name__ == "__main__":
    from benchmarks.figures import table

    print(table(measure()))
