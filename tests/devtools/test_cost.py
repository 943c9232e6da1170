"""The sums of docs/deployment.md, and what they rest on."""

from typing import Literal

import pytest

from benchmarks.billing import billed
from devtools import cost


@pytest.mark.parametrize("version", [2, 4])
def test_a_row_is_billed_as_the_docs_say(version: Literal[2, 4]) -> None:
    """The text of a row's values as sent by default; the two kinds of logs lie around the mean."""
    assert billed(version, frozenset(("SourceBlob",))) == pytest.approx(cost.ROW_BYTES, rel=0.15)


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
