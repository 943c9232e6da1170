"""The sums of docs/deployment.md, and what they rest on."""

import datetime as dt
from typing import Literal

import msgspec
import pytest

from benchmarks.local_azure import container_name
from benchmarks.parsing import denied_flows
from devtools import cost
from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks import rows

HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("version", [2, 4])
def test_a_row_is_billed_as_the_docs_say(version: Literal[2, 4]) -> None:
    """The text of a row's values, of both kinds of logs."""
    path = vnet_path(Nic(), HOUR) if version == 4 else nsg_path(Nic(), HOUR)
    ref = BlobRef("flowlogs", container_name(version), path)
    encode = rows.encoder(ref)
    found = denied_flows(large_log(10, 50, 1.0, version, seed=version), parse_path(path))
    made = [msgspec.json.decode(encode(flow)) for flow in found]
    billed = sum(len(str(value)) for row in made for value in row.values() if value is not None)

    assert billed / len(made) == pytest.approx(cost.ROW_BYTES, rel=0.1)


def test_requests_for_a_million_updates() -> None:
    """Six reads, three by queue: $2.64 and $1.32."""
    million = 1e6 / cost.Cost(100).updates
    reads = "reads of flow-log blobs"

    assert cost.Cost(100).lines()[reads] * million == pytest.approx(2.64)
    assert cost.Cost(100, queue=True).lines()[reads] * million == pytest.approx(1.32)


@pytest.mark.parametrize(("nics", "dollars"), [(10, 3), (100, 23), (1_000, 190)])
def test_storage_requests(nics: int, dollars: float) -> None:
    """Against the sums that were measured on the real trigger and worked out by hand."""
    lines = cost.Cost(nics).lines()
    requests = sum(lines[name] for name in ("reads of flow-log blobs", "queue", "checkpoints"))

    assert requests == pytest.approx(dollars, rel=0.02)


def test_the_queue_is_cheaper_and_more_nics_cost_more() -> None:
    """At every size."""
    sums = [cost.Cost(nics).total for nics in cost.SIZES]

    assert sums == sorted(sums)
    assert all(cost.Cost(nics, queue=True).total < cost.Cost(nics).total for nics in cost.SIZES)
    assert [cost.Cost(nics).instances for nics in cost.SIZES] == [1, 1, 2, 12]
