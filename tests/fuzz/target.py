"""What is fuzzed: the way from the bytes of a block to rows, with what must hold of its results."""

import json
import re
from typing import Any

from nsgflow_core.columns import columns
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.path import NSG_CONTAINER, parse_path
from nsgflow_core.model import Bad, BlobRef
from nsgflow_core.sinks import rows

REF = BlobRef(
    "logs",
    NSG_CONTAINER,
    "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK"
    "/NETWORKSECURITYGROUPS/WEB/y=2026/m=11/d=23/h=08/m=00/macAddress=000D3AF87856/PT1H.json",
)
LOG = parse_path(REF.path)
ROW_LIMIT = 64 * 1024
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_LIMITS = {"int": 2**31, "long": 2**63}


def run(data: bytes, *, last: bool, denied_only: bool, at: int = 12) -> list[dict[str, Any]]:
    """The rows of some bytes, each checked; anything raised is a finding."""
    stretch = records.split(data, at, last=last)
    assert at <= stretch.end <= at + len(data)
    bad: list[Bad] = list(stretch.bad)
    encode = rows.encoder(REF)
    made = []
    place = at - 1
    for raw in stretch.records:
        assert place < raw.offset < raw.end <= at + len(data)
        assert data[raw.offset - at : raw.offset - at + 1] == b"{"
        place = raw.offset
        for flow in flows.read(raw, LOG, bad, denied_only=denied_only):
            row = json.loads(encode(flow))
            check(row)
            assert row["FlowStatus"] == "Denied" or not denied_only
            made.append(row)
    for piece in bad:
        assert at <= piece.offset <= at + len(data)
        assert piece.reason
    assert len({row["FlowId"] for row in made}) == len(made)
    return made


def check(row: dict[str, Any]) -> None:
    """A row has every column, of its type and within the API's limits, and nothing else."""
    known = columns()
    assert row.keys() == known.keys()
    for name, kind in known.items():
        value = row[name]
        if kind == "string":
            assert isinstance(value, str)
            assert len(value.encode()) <= ROW_LIMIT
        elif kind == "datetime" and name != "RecordTime":
            assert _TIME.fullmatch(value)
        elif kind in _LIMITS and value is not None:
            assert 0 <= value < _LIMITS[kind]
