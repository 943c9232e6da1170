"""The sums of docs/deployment.md, and what they rest on."""

import json
from pathlib import Path
from typing import Literal

import pytest

from benchmarks.billing import billed
from benchmarks.local_azure import ROOT
from devtools import cost


@pytest.mark.parametrize("version", [2, 4])
def test_a_row_is_billed_as_the_docs_say(version: Literal[2, 4]) -> None:
    """The text of a row's values as sent by default; the two kinds of logs lie around the mean."""
    assert billed(version, frozenset(("SourceBlob",))) == pytest.approx(cost.ROW_BYTES, rel=0.15)


@pytest.mark.parametrize(
    ("setting", "omitted"),
    [
        ("`NSGFLOW_LOGS_OMIT=none`", ()),
        ("by default", ("SourceBlob",)),
        ("`NSGFLOW_LOGS_OMIT=SourceBlob,TargetResourceId`", ("SourceBlob", "TargetResourceId")),
    ],
)
def test_the_docs_state_what_a_row_is_billed_as(setting: str, omitted: tuple[str, ...]) -> None:
    """By version, and what a million denied flows cost."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {setting} |"))
    nsg, vnet, dollars = (cell.strip() for cell in line.split("|")[2:5])
    low, high = map(float, dollars.strip("$").split("\u2013"))
    sizes = {version: billed(version, frozenset(omitted)) for version in (2, 4)}

    assert int(nsg) == pytest.approx(sizes[2], abs=1.5)
    assert int(vnet) == pytest.approx(sizes[4], abs=1.5)
    assert (low, high) == pytest.approx((sizes[4] * 2.30e-3, sizes[2] * 2.30e-3), abs=0.01)
    if setting == "by default":
        rows = (ROOT / "docs" / "deployment.md").read_text()
        assert f"{nsg} bytes in versions 1 and 2 (NSG) and {vnet} in version 4" in rows
        assert f"a million denied flows cost ${high:.2f} and ${low:.2f}" in rows


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


def queue_requests(nics: int, *, queue: bool) -> float:
    """Requests to the queue for an update."""
    at = cost.Cost(nics, queue=queue)
    return at.lines()["queue"] / at.updates / (0.004 / 10_000)


def test_an_idle_queue_of_events_is_asked_as_host_json_says() -> None:
    """After a message at 0.1, 0.3, 0.7 and 1.5 s, then every second, until the next in 6 s."""
    host = json.loads((Path(__file__).parents[2] / "host.json").read_text())

    assert host["extensions"]["queues"]["maxPollingInterval"] == "00:00:01"
    assert queue_requests(10, queue=True) == pytest.approx(3 + 4 + 4.5)
    assert queue_requests(10, queue=False) == pytest.approx(10)


@pytest.mark.parametrize("nics", cost.SIZES[1:])
def test_a_busy_queue_is_not_asked_in_vain(nics: int) -> None:
    """Where messages come within a second the two ways cost the same, as was measured."""
    assert queue_requests(nics, queue=True) == pytest.approx(queue_requests(nics, queue=False))
