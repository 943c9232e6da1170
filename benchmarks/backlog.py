"""A blob of a million tuples in one go, from trigger to accepted rows: CPU time and memory."""

import datetime as dt
import gc
import os
import random
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from benchmarks.figures import Figure, cpu_seconds, memory
from benchmarks.fresh import in_fresh_process
from benchmarks.local_azure import CONNECTION, ROOT, LocalAzure, container_name, local_azure
from devtools.flowlogs import CLOSER, HEAD, BlobWriter, Nic, large_log, random_record, vnet_path
from devtools.functions_host import FunctionsHost
from nsgflow_core.config import from_env
from nsgflow_core.storage import table

_BLOCKS = 60
_RECORDS = 500
_TUPLES = 2000
_DENIED_SHARE = 0.05
_VERSION: Literal[4] = 4
_ROUNDS = 4
_DECODINGS = 3
"""So often a round decodes the bytes: the cost of fresh memory varies, and the least counts."""
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_MIB = 1024 * 1024


@dataclass(frozen=True)
class _Measured:
    """CPU time as a multiple of orjson's, and bytes of memory beyond those held before."""

    cpu: float
    memory: int


def measure() -> list[Figure]:
    """The same bytes block by block, as Azure writes them, and uploaded in one piece."""
    data = large_log(_RECORDS, _TUPLES, _DENIED_SHARE, _VERSION, seed=6)
    with tempfile.TemporaryDirectory() as folder, local_azure(alerts=False) as local:
        file = Path(folder) / "PT1H.json"
        file.write_bytes(data)
        container = local.container(_VERSION)
        tiny = vnet_path(Nic(mac="000D3A000000"), _HOUR)
        record = random_record(Nic(), _HOUR, random.Random(0), version=_VERSION)
        BlobWriter(container, tiny).append(record.data)
        in_blocks = vnet_path(Nic(mac="000D3A000001"), _HOUR)
        _write_blocks(BlobWriter(container, in_blocks), data)
        in_one = vnet_path(Nic(mac="000D3A000002"), _HOUR)
        container.upload_blob(in_one, data)
        size = f"{len(data) / 1e6:.0f} MB"
        figures: list[Figure] = []
        for shape, path in ((f"{_BLOCKS} blocks", in_blocks), ("one piece", in_one)):
            measured = _deliver(local, tiny, path, file)
            name = f"backlog of {size} in {shape}"
            figures += [
                Figure(f"{name}: CPU", measured.cpu, "orjson.loads", 4.0),
                Figure(
                    f"{name}: peak memory", measured.memory / _MIB, "over before", 128, unit="MiB"
                ),
            ]
    return figures


def _write_blocks(writer: BlobWriter, data: bytes) -> None:
    records = re.split(rb',(?=\{"time":)', data[len(HEAD) : -len(CLOSER)])
    share = len(records) // _BLOCKS
    for first in range(0, len(records), share):
        writer.append(*records[first : first + share])


def _deliver(local: LocalAzure, tiny: str, path: str, file: Path) -> _Measured:
    """Measure, and see that all denied flows arrived."""
    before = local.accepted().rows
    measured = in_fresh_process(_run, tiny, path, file)
    accepted = local.accepted().rows - before
    expected = _RECORDS * round(_TUPLES * _DENIED_SHARE) * _ROUNDS
    if not expected <= accepted <= expected + 20:  # of the tiny one
        raise RuntimeError(f"{accepted} rows accepted, {expected} flows denied")
    return measured


def _run(tiny: str, path: str, file: Path) -> _Measured:
    with FunctionsHost(ROOT / "function_app.py", ROOT / "host.json") as host:
        _trigger(host, tiny)
        gc.collect()
        before = memory("VmRSS")
        ours = [cpu_seconds(lambda: _trigger(host, path))]
        peak = memory("VmHWM") - before
        data = file.read_bytes()
        theirs: list[float] = []
        for _ in range(_ROUNDS - 1):
            theirs += [cpu_seconds(lambda: orjson.loads(data)) for _ in range(_DECODINGS)]
            _forget_checkpoints()
            ours.append(cpu_seconds(lambda: _trigger(host, path)))
    return _Measured(min(ours) / min(theirs), peak)


def _trigger(host: FunctionsHost, path: str) -> None:
    host.blob_created(container_name(_VERSION), path, CONNECTION)
    host.drain()
    host.app.service().wait(600.0)  # it is drained beside the events
    if host.failures:
        raise RuntimeError(host.failures[0].error)


def _forget_checkpoints() -> None:
    settings = from_env(os.environ)
    with table(settings.host_storage, settings.state_table) as checkpoints:
        for entity in checkpoints.list_entities():
            checkpoints.delete_entity(entity)
