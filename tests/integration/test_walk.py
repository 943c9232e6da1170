"""Listing the logs of many hours: requests follow what exists, and none of that is missed."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import ContainerClient

from devtools.flowlogs import VNET_CONTAINER, Nic, nsg_path, vnet_path
from devtools.history import History, history, nsg_resources
from devtools.meter import Meter, metered
from nsgflow_core.logs import listing
from nsgflow_core.logs.walk import FEW_HOURS, Walk
from nsgflow_core.model import Storage
from nsgflow_core.storage import blob_service
from tests.integration.conftest import Deployment

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def hours(count: int, last: datetime = NOW) -> list[datetime]:
    """So many hours, the oldest first."""
    return [last - timedelta(hours=age) for age in reversed(range(count))]


@pytest.fixture
def counted(deployment: Deployment) -> Iterator[tuple[Meter, Callable[[str], ContainerClient]]]:
    """Containers whose requests are counted."""
    with metered(deployment.storage) as meter:
        service = blob_service(Storage(meter.connection_string))
        yield meter, service.get_container_client


@pytest.mark.parametrize("kind", ["nsg", "id", "short"])
def test_a_month_with_logs_in_three_hours_costs_a_handful(
    deployment: Deployment, counted: tuple[Meter, Callable[[str], ContainerClient]], kind: str
) -> None:
    """Of NSGs, and of VNet flow logs in both forms of their paths."""
    meter, client = counted
    there = [NOW, NOW - timedelta(days=9, hours=3), NOW - timedelta(days=29)]
    name = deployment.container().container_name if kind == "nsg" else VNET_CONTAINER
    for hour in (*there, NOW - timedelta(days=40), NOW - timedelta(days=400)):
        path = nsg_path(Nic(), hour) if kind == "nsg" else vnet_path(Nic(), hour, kind)  # type: ignore[arg-type]  # one of its forms
        deployment.container(name).upload_blob(path, b"{}")
    (resource,) = listing.resources(deployment.container(name))
    meter.reset()
    walk = Walk(client(name), resource, hours(30 * 24))
    found = [blob.path for hour in hours(30 * 24) for blob in walk.hour(hour)]

    assert [path.split("/y=")[1][:15] for path in found] == [
        f"{hour:%Y/m=%m/d=%d/h}"[:15] for hour in reversed(there)
    ]
    assert all(resource in path for path in found)
    assert meter.requests.total() <= 7


@pytest.mark.parametrize("count", range(1, FEW_HOURS + 1))
def test_few_hours_cost_a_request_each(
    deployment: Deployment, counted: tuple[Meter, Callable[[str], ContainerClient]], count: int
) -> None:
    """As many as without a walk."""
    meter, client = counted
    for hour in hours(count):
        deployment.container().upload_blob(nsg_path(Nic(), hour), b"{}")
    (resource,) = listing.resources(deployment.container())
    container = client(str(deployment.container().container_name))
    meter.reset()
    walk = Walk(container, resource, hours(count))

    assert all(len(walk.hour(hour)) == 1 for hour in hours(count))
    assert meter.requests.total() == count


def test_levels_in_other_letters_and_names_that_are_none(
    deployment: Deployment, counted: tuple[Meter, Callable[[str], ContainerClient]]
) -> None:
    """Case and leading zeros are as they come; what is no date, hour or log is passed over."""
    resource = nsg_path(Nic(), NOW).partition("y=")[0]
    good = [
        "y=2026/m=11/d=02/h=03/m=00/macAddress=000D3AF87856/PT1H.json",
        "Y=2026/M=11/D=2/H=3/m=00/macAddress=000D3AF87857/PT1H.json",
        "y=2026/m=11/d=2/h=4/m=0/macAddress=000D3AF87858/pt1h.json",
    ]
    bad = [
        "y=2026/m=13/d=02/h=03/m=00/macAddress=000D3AF87856/PT1H.json",
        "y=2026/m=11/d=31/h=03/m=00/macAddress=000D3AF87856/PT1H.json",
        "y=2026/m=11/d=02/h=29/m=00/macAddress=000D3AF87856/PT1H.json",
        "y=2026/m=11/d=02/h=03/other.json",
        "y=2026/m=11/notes/PT1H.json",
    ]
    for path in (*good, *bad):
        deployment.container().upload_blob(resource + path, b"{}")
    _, client = counted
    walk = Walk(client(str(deployment.container().container_name)), resource, hours(30 * 24))
    found = [blob for hour in hours(30 * 24) for blob in walk.hour(hour)]
    by_hour = listing.hour_blobs(
        deployment.container(), resource, datetime(2026, 11, 2, 3, tzinfo=UTC)
    )

    assert {blob.path for blob in found} == {resource + path for path in good}
    assert set(by_hour) <= set(found)


def test_a_container_that_does_not_exist_has_no_logs(
    counted: tuple[Meter, Callable[[str], ContainerClient]],
) -> None:
    """One request says so."""
    meter, client = counted
    walk = Walk(client("none"), "resourceId=/X/", hours(720))

    assert not [blob for hour in hours(720) for blob in walk.hour(hour)]
    assert meter.requests.total() == 1


@pytest.fixture(scope="module")
def crowd() -> Iterator[History]:
    """Two months of one NSG with 300 interfaces: a day of them takes two pages."""
    with history(nsg_resources(1, 1, 1), NOW, 60 * 24, 300) as logs:
        yield logs


def test_a_day_that_no_page_holds_is_listed_by_its_hours(crowd: History) -> None:
    """A page for the day, its hours' names, and a request for each."""
    (resource,) = crowd.resources
    before = crowd.server.requests
    walk = Walk(crowd.container(), resource, hours(40))
    for hour in hours(40):
        assert walk.hour(hour) == listing.hour_blobs(crowd.container(), resource, hour)

    assert crowd.server.requests - before - 40 <= 3 + 2 * 2 + 40


def test_more_interfaces_than_a_page_holds() -> None:
    """Pages are followed, in whole days and in single hours."""
    with history(nsg_resources(1, 1, 1), NOW, 30, 5001) as logs:
        (resource,) = logs.resources
        walk = Walk(logs.container(), resource, hours(6))

        assert [len(walk.hour(hour)) for hour in hours(6)] == [5001] * 6


def test_a_month_with_logs_in_every_hour_costs_a_request_a_day() -> None:
    """And shows what the hours show one by one."""
    with history(nsg_resources(1, 1, 1), NOW, 60 * 24, 20) as logs:
        (resource,) = logs.resources
        walk = Walk(logs.container(), resource, hours(30 * 24))
        found = [blob for hour in hours(30 * 24) for blob in walk.hour(hour)]

        assert logs.server.requests <= 31 + 4
        assert len(found) == 20 * 30 * 24
        noon = NOW - timedelta(days=7)
        assert {*listing.hour_blobs(logs.container(), resource, noon)} <= {*found}
