"""Tens of thousands of schedules of the product's own code, each checked at every step."""

import os

import pytest

from tests.simulation.schedules import run_all
from tests.simulation.world import simulated

SCHEDULES = int(os.environ.get("TEST_SCHEDULES", "12000"))
PARTS = 16


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_breaks_a_promise(part: int) -> None:
    """Nothing lost, no unexplained repeat, no cursor ahead, order kept, no blob stuck."""
    with simulated() as enter:
        tally = run_all(enter, range(part, SCHEDULES, PARTS))

    assert tally.schedules == len(range(part, SCHEDULES, PARTS))
    assert tally.flows > tally.schedules
    assert min(tally.deaths, tally.repeats) > tally.schedules / 100
