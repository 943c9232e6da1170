"""Tens of thousands of schedules of the life of alerts, each checked at every message."""

import os
from collections import Counter

import pytest

from tests.simulation.alerts import run
from tests.simulation.judge import BrokenPromiseError

SCHEDULES = int(os.environ.get("TEST_SCHEDULES", "12000"))
PARTS = 4


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_alerts_keep_their_promises(part: int) -> None:
    """No end without evidence, all told once and in time, one page a fault, repeats identical."""
    counts: Counter[str] = Counter()
    seeds = range(part, SCHEDULES, PARTS)
    for seed in seeds:
        try:
            world = run(seed)
        except BrokenPromiseError as exc:
            raise BrokenPromiseError(f"seed {seed}: {exc}") from exc
        counts += world.judge.counts
        counts["deaths"] += world.deaths

    assert counts["flows"] > len(seeds)
    kinds = (
        "pages",
        "quiet",
        "turned",
        "allowed",
        "unknown",
        "repeats",
        "deaths",
        "silences",
        "behind",
    )
    assert min(counts[what] for what in kinds) > len(seeds) / 20
