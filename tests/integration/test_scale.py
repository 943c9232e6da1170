"""The sweep over more than anybody has: requests follow what it looks at, never history."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from azure.storage.blob import ContainerClient

from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER
from devtools.history import ACCOUNT, ETAG, SIZE, History, history, nsg_resources
from devtools.meter import metered
from nsgflow_core.delivery import checkpoint
from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.sweep import Account, Swept, Window, sweep
from nsgflow_core.delivery.swept import SweepState
from nsgflow_core.logs import listing
from nsgflow_core.model import BlobRef, Storage
from nsgflow_core.storage import table
from tests.integration.conftest import HOUR, Deployment

SUBSCRIPTIONS, GROUPS, NSGS = 2, 5, 20
RESOURCES = SUBSCRIPTIONS * GROUPS * NSGS
NICS = 5
WALK = 3 + SUBSCRIPTIONS * 2 + SUBSCRIPTIONS * GROUPS * 4
"""Requests down to the resources: each level once, of each subscription, of each group."""


def swept(
    logs: History, checkpoints: Checkpoints, runs: list[BlobRef], minutes: float = 30
) -> Swept:
    """One sweep of the NSG logs, and of VNet logs that nobody has turned on."""

    def run(ref: BlobRef) -> Report:
        runs.append(ref)
        return Report(ref)

    containers: Sequence[ContainerClient] = [
        logs.container(NSG_CONTAINER),
        logs.container(VNET_CONTAINER),
    ]
    window = Window(HOUR + timedelta(minutes=minutes), 3, 30, lambda: False)
    return sweep(Account("FlowLogs", ACCOUNT, containers), checkpoints, run, window, {})


@pytest.mark.parametrize("hours", [2, 5000], ids=["two hours", "5 million blobs"])
def test_requests_follow_resources_and_hours_not_history(
    deployment: Deployment, hours: int
) -> None:
    """A walk to each resource, one listing for each resource and hour, one for no container."""
    checkpoints = Checkpoints(table(Storage(deployment.storage.connection_string), "checks"))
    resources = nsg_resources(SUBSCRIPTIONS, GROUPS, NSGS)
    with history(resources, HOUR, hours, NICS) as logs:
        assert logs.blobs == RESOURCES * hours * NICS
        requests = []
        for minutes in (30, 35, 60):
            before = logs.server.requests
            runs: list[BlobRef] = []
            result = swept(logs, checkpoints, runs, minutes)
            requests.append((result.hours, logs.server.requests - before, len(set(runs))))
            assert not result.errors

    # The first sweep of all and any other look at two hours, the first one of an hour at four.
    there = min(hours, 3)
    assert requests == [
        (2, WALK + 2 * RESOURCES + 1, 2 * RESOURCES * NICS),
        (2, WALK + 2 * RESOURCES + 1, 2 * RESOURCES * NICS),
        (4, WALK + 4 * RESOURCES + 1, there * RESOURCES * NICS),
    ]


def test_a_stop_of_ten_days_is_caught_up_a_day_at_a_time(deployment: Deployment) -> None:
    """Older hours are listed with their day; those of the window one by one."""
    checkpoints = Checkpoints(table(Storage(deployment.storage.connection_string), "checks"))
    checkpoints.write_sweep("FlowLogs", SweepState(HOUR - timedelta(days=10)))
    with history(nsg_resources(1, 1, 2), HOUR, 24 * 20, NICS) as logs:
        runs: list[BlobRef] = []
        result = swept(logs, checkpoints, runs)

        assert (result.hours, result.errors) == (24 * 10 + 3, ())
        assert len(set(runs)) == len(runs) == 2 * (24 * 10 + 3) * NICS
        # Down to the resources and, of each, down to days, twelve of them, and the latest hours.
        assert logs.server.requests <= 10 + 2 * (3 + 12 + 4)


def test_an_hour_of_many_nics_is_listed_in_pages() -> None:
    """One request for each 5,000 NICs of a resource."""
    (resource,) = nsg_resources(1, 1, 1)
    with history([resource], HOUR, 5000, 5001) as logs:
        found = listing.hour_blobs(logs.container(), resource, HOUR - timedelta(hours=100))
        assert len({blob.path for blob in found}) == 5001
        assert logs.server.requests == 2
        assert not listing.hour_blobs(logs.container(), resource, HOUR - timedelta(hours=5000))


def test_an_hour_of_checkpoints_is_read_in_pages(deployment: Deployment) -> None:
    """A thousand at a time; blobs that are as their checkpoint says are not run.

    `python -m benchmarks sweeping` has 10,000 of them.
    """
    resources = nsg_resources(SUBSCRIPTIONS, GROUPS, NSGS)
    cursors = {"table": Cursor(SIZE, seen=SIZE, etag=f'"{ETAG}"')}
    direct = table(Storage(deployment.storage.connection_string), "checks")
    with direct, history(resources, HOUR, 1, 12) as logs, metered(deployment.storage) as meter:
        direct.create_table()
        found = [
            BlobRef(ACCOUNT, NSG_CONTAINER, f"{resource}{rest}")
            for resource in resources
            for rest in logs.below_resource()
        ]
        rows = [checkpoint._entity(Checkpoint(ref, HOUR, cursors)) for ref in found]
        for first in range(0, len(rows), 100):
            direct.submit_transaction([("create", row) for row in rows[first : first + 100]])
        runs: list[BlobRef] = []
        metered_table = table(Storage(meter.connection_string), "checks")
        result = swept(logs, Checkpoints(metered_table), runs)

    assert result.blobs == len(rows) == 2400
    assert not runs
    assert not result.errors
    # The state of the sweep and what was asked for, three pages of this hour, one of that before.
    assert meter.requests.pop("GET entity") == 3 + 3 + 1
