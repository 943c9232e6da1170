"""What a row is billed as: the text of its values, without names and quotes.

https://learn.microsoft.com/azure/azure-monitor/logs/cost-logs#data-size-calculation
"""

import datetime as dt
import random
from typing import Any, Literal

import msgspec

from benchmarks.figures import Figure
from benchmarks.local_azure import container_name
from devtools.flowlogs import Nic, nsg_path, random_record, vnet_path
from nsgflow_core.logs import flows
from nsgflow_core.logs.path import parse_path
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks import rows

_ROWS = 2000
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_SETS: dict[str, frozenset[str]] = {
    "by default": frozenset(("SourceBlob",)),
    "NSGFLOW_LOGS_OMIT=none": frozenset(),
    "without SourceBlob, TargetResourceId": frozenset(("SourceBlob", "TargetResourceId")),
}


def measure() -> list[Figure]:
    """Bytes of a denied row, by version and by what is omitted."""
    versions: tuple[Literal[1], Literal[2], Literal[4]] = (1, 2, 4)
    return [
        Figure(
            f"billed size of a denied row, v{version}, {name}",
            billed(version, omit),
            "a row",
            unit="bytes",
        )
        for version in versions
        for name, omit in _SETS.items()
    ]


def billed(version: Literal[1, 2, 4], omit: frozenset[str]) -> float:
    """The mean size in bytes of the values of denied rows."""
    path = vnet_path(Nic(), _HOUR) if version == 4 else nsg_path(Nic(), _HOUR)
    record = random_record(
        Nic(), _HOUR, random.Random(1), version=version, tuples=_ROWS, denied_share=1.0
    )
    found = flows.read(RawRecord(12, record.data), parse_path(path), [], denied_only=True)
    encode = rows.encoder(BlobRef("account", container_name(version), path), omit=omit)
    return sum(_size(msgspec.json.decode(encode(flow))) for flow in found) / len(found)


def _size(row: dict[str, Any]) -> int:
    return sum(len(str(value).encode()) for value in row.values() if value is not None)
