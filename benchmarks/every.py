"""Every flow kept, allowed ones too, where no tuple is like another: from bytes to accepted rows.

The baselines are a plain loop of orjson, a split and a dict a tuple, as most readers of flow logs
are written, and decoding the same bytes as JSON.
"""

import datetime as dt
import gc
import os
from typing import Any, Literal

import orjson

from benchmarks.distinct import distinct_log
from benchmarks.figures import Figure, cpu_seconds, memory, ratio
from benchmarks.fresh import in_fresh_process
from benchmarks.local_azure import CONNECTION, LocalAzure, container_name, local_azure
from devtools.flowlogs import Nic, nsg_path, vnet_path
from devtools.functions_host import FunctionsHost
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs import flows
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.path import LogPath, parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks import rows
from nsgflow_core.sinks.log_analytics import Bodies

_TUPLES = 2000
_RECORDS = 100
_ROUNDS = 6
_MIB = 1024 * 1024
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_OMIT = frozenset(("SourceBlob",))
_WHOLE_RECORDS = 500
"""Records of the log that is delivered: one million tuples."""


def measure() -> list[Figure]:
    """Reading and packing, both versions, then one million tuples from trigger to table."""
    versions: tuple[Literal[2], Literal[4]] = (2, 4)
    # First, as in `parsing`: the baseline is cheaper where packing has made the heap grow before.
    figures = [_denied_ratio(version) for version in versions]
    figures += [figure for version in versions for figure in _reading(version)]
    return figures + _delivering()


def _log(version: Literal[2, 4]) -> tuple[bytes, BlobRef, LogPath]:
    path = vnet_path(Nic(), _HOUR) if version == 4 else nsg_path(Nic(), _HOUR)
    ref = BlobRef("account", container_name(version), path)
    return distinct_log(_RECORDS, _TUPLES, 0.05, version), ref, parse_path(path)


def _denied_ratio(version: Literal[2, 4]) -> Figure:
    data, ref, log = _log(version)
    measured = ratio(_ROUNDS, lambda _: _denied(data, ref, log), lambda _: orjson.loads(data))
    return Figure(f"5% denied read, v{version}, all tuples differ", measured, "orjson.loads", 0.8)


def _reading(version: Literal[2, 4]) -> list[Figure]:
    data, ref, log = _log(version)
    if sum(map(len, _every_flow(data, ref, log))) != len(plain_loop(data)):
        raise RuntimeError("not every flow was read")
    read = ratio(_ROUNDS, lambda _: plain_loop(data), lambda _: _every_flow(data, ref, log))
    packed = ratio(
        _ROUNDS,
        lambda _: plain_loop(data),
        lambda _: _packed(data, ref, log),
    )
    name = f"v{version}, all tuples differ"
    return [
        Figure(f"every flow read, {name}", read, "the plain loop's rate", 1.5, at_least=True),
        Figure(
            f"every flow to packed bodies, {name}",
            packed,
            "the plain loop's rate",
            0.5,
            at_least=True,
        ),
    ]


def _every_flow(data: bytes, ref: BlobRef, log: LogPath) -> list[Columns]:
    return flows.read_stretch(data, 0, ref, log, last=True, denied_only=False).flows


def _packed(data: bytes, ref: BlobRef, log: LogPath) -> list[bytes]:
    """The bodies, packed as the flows are read, as in the function."""
    bodies = Bodies(rows.lines_of(omit=_OMIT))
    flows.read_stretch(data, 0, ref, log, last=True, denied_only=False, take=bodies.add)
    return [batch.body for batch in bodies.batches()]


def _denied(data: bytes, ref: BlobRef, log: LogPath) -> list[Columns]:
    reading = flows.read_stretch(data, 0, ref, log, last=True, denied_only=True)
    denied = compile_terms("action=denied")
    return [denied.wanted(part) for part in reading.flows]


def plain_loop(data: bytes) -> list[dict[str, Any]]:
    """Every tuple as a dict of its values, numbers made numbers: no check, no place, no id."""
    found: list[dict[str, Any]] = []
    for record in orjson.loads(data)["records"]:
        if "flowRecords" in record:
            groups = [
                (acl["aclID"], group["rule"], group["flowTuples"])
                for acl in record["flowRecords"]["flows"]
                for group in acl["flowGroups"]
            ]
        else:
            groups = [
                (record["resourceId"], rule["rule"], nic["flowTuples"])
                for rule in record["properties"]["flows"]
                for nic in rule["flows"]
            ]
        for acl, rule, tuples in groups:
            for text in tuples:
                fields = text.split(",")
                found.append(
                    {
                        "time": int(fields[0]),
                        "src": fields[1],
                        "dst": fields[2],
                        "srcPort": int(fields[3]),
                        "dstPort": int(fields[4]),
                        "protocol": fields[5],
                        "direction": fields[6],
                        "decision": fields[7],
                        "detail": fields[8],
                        "packetsSent": int(fields[9] or 0),
                        "bytesSent": int(fields[10] or 0),
                        "packetsReceived": int(fields[11] or 0),
                        "bytesReceived": int(fields[12] or 0),
                        "acl": acl,
                        "rule": rule,
                        "mac": record["macAddress"],
                    }
                )
    return found


def _delivering() -> list[Figure]:
    data = distinct_log(_WHOLE_RECORDS, _TUPLES, 0.05, 4)
    with local_azure(alerts=False) as local:
        os.environ |= {"NSGFLOW_LOGS_FILTER": "action=allowed,denied", "NSGFLOW_LOGS_OMIT": ""}
        container = local.container(4)
        tiny = vnet_path(Nic(mac="000D3A000000"), _HOUR)
        container.upload_blob(tiny, distinct_log(1, 20, 1.0, 4))
        path = vnet_path(Nic(mac="000D3A000001"), _HOUR)
        container.upload_blob(path, data)
        cpu, peak = _delivered(local, tiny, path)
    theirs = min(cpu_seconds(lambda: orjson.loads(data)) for _ in range(5))
    name = "one million tuples, all wanted, all different"
    return [
        Figure(f"{name}: CPU, trigger to accepted", cpu / theirs, "orjson.loads", 25.0),
        Figure(f"{name}: peak memory", peak / _MIB, "over before", 128, unit="MiB"),
    ]


def _delivered(local: LocalAzure, tiny: str, path: str) -> tuple[float, int]:
    before = local.accepted().rows
    measured = in_fresh_process(_run, tiny, path)
    accepted = local.accepted().rows - before
    if accepted != _WHOLE_RECORDS * _TUPLES + 20:
        raise RuntimeError(f"{accepted} rows accepted")
    return measured


def _run(tiny: str, path: str) -> tuple[float, int]:
    from benchmarks.local_azure import ROOT  # noqa: PLC0415 - in the fresh process

    with FunctionsHost(ROOT / "function_app.py", ROOT / "host.json") as host:
        host.blob_created(container_name(4), tiny, CONNECTION)
        host.drain()
        gc.collect()
        before = memory("VmRSS")

        def deliver() -> None:
            host.blob_created(container_name(4), path, CONNECTION)
            host.drain()
            host.app.service().wait(600.0)  # it is drained beside the events

        seconds = cpu_seconds(deliver)
        if host.failures:
            raise RuntimeError(host.failures[0].error)
        return seconds, memory("VmHWM") - before
