"""From flows to bodies for the Logs Ingestion API, against the SDK's own way from dicts."""

import datetime as dt
from typing import Any, Literal

import msgspec
from azure.monitor.ingestion._helpers import _create_gzip_requests

from benchmarks.figures import Figure, ratio
from benchmarks.local_azure import container_name
from benchmarks.parsing import denied_flows
from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks import rows
from nsgflow_core.sinks.log_analytics import Bodies

_ROWS = 10_000
_ROUNDS = 5
_RECORD = 100
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def measure() -> list[Figure]:
    """Both versions; rows a second."""
    versions: tuple[Literal[2], Literal[4]] = (2, 4)
    return [_figure(version) for version in versions]


def _figure(version: Literal[2, 4]) -> Figure:
    path = vnet_path(Nic(), _HOUR) if version == 4 else nsg_path(Nic(), _HOUR)
    ref = BlobRef("account", container_name(version), path)
    data = large_log(_ROWS // _RECORD, _RECORD, 1.0, version, seed=version)
    found = denied_flows(data, ref, parse_path(path))
    encode = rows.encoder(ref)
    as_dicts: list[Any] = [msgspec.json.decode(encode(flow)) for part in found for flow in part]
    if len(as_dicts) != _ROWS:
        raise RuntimeError(f"{len(as_dicts)} rows, not {_ROWS}")
    ours_per_theirs = ratio(
        _ROUNDS, lambda _: _bodies(found), lambda _: list(_create_gzip_requests(as_dicts))
    )
    name = f"rows/s encoded, chunked and packed, v{version}"
    return Figure(name, 1 / ours_per_theirs, "the SDK's chunk-and-gzip", 4.0, at_least=True)


def _bodies(found: list[Columns]) -> list[bytes]:
    bodies = Bodies(rows.lines_of())
    for part in found:
        bodies.add(part)
    return [batch.body for batch in bodies.batches()]
