"""The paths of flow logs: what they say, in all three forms."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.logs.path import (
    NSG_CONTAINER,
    VNET_CONTAINER,
    hour_name,
    hour_named,
    hour_prefix,
    is_flow_log,
    parse_path,
    possible,
    resource_prefix,
    written_by,
)

NSG_ID = "/SUBSCRIPTIONS/S1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB"
FLOW_LOG_ID = (
    "/SUBSCRIPTIONS/S1/RESOURCEGROUPS/NETWORKWATCHERRG/PROVIDERS/MICROSOFT.NETWORK"
    "/NETWORKWATCHERS/NETWORKWATCHER_WESTEUROPE/FLOWLOGS/SHOP"
)
SHORT = "/S1_NETWORKWATCHERRG/NETWORKWATCHER_WESTEUROPE_SHOP"
TAIL = "/y=2024/m=03/d=09/h=23/m=00/macAddress=000D3AF87856/PT1H.json"
HOUR = datetime(2024, 3, 9, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "kind", "resource"),
    [
        (f"resourceId={NSG_ID}{TAIL}", "nsg", NSG_ID),
        (f"flowLogResourceID={FLOW_LOG_ID}{TAIL}", "vnet", FLOW_LOG_ID),
        (f"flowLogResourceID={SHORT}{TAIL}", "vnet", SHORT),
    ],
    ids=["nsg", "vnet by id", "vnet by names"],
)
def test_forms(path: str, kind: str, resource: str) -> None:
    """One NSG form and both VNet forms give kind, resource, UTC hour and MAC."""
    found = parse_path(path)

    assert is_flow_log(path)
    assert (found.kind, found.resource, found.hour, found.mac) == (
        kind,
        resource,
        HOUR,
        "000D3AF87856",
    )


def test_month_is_the_first_m() -> None:
    """`m=` comes twice: the month before the day, the minute behind the hour."""
    path = f"resourceId={NSG_ID}/y=2024/m=11/d=05/h=07/m=30/macAddress=000D3AF87856/PT1H.json"

    assert parse_path(path).hour == datetime(2024, 11, 5, 7, tzinfo=UTC)


def test_single_digits() -> None:
    """Months, days and hours without padding are read."""
    path = f"resourceId={NSG_ID}/y=2024/m=1/d=5/h=7/m=0/macAddress=000D3AF87856/PT1H.json"

    assert parse_path(path).hour == datetime(2024, 1, 5, 7, tzinfo=UTC)


def test_case_of_keys_is_folded_and_of_resources_kept() -> None:
    """Keys match in any case; the resource stays as written."""
    found = parse_path(f"RESOURCEID={NSG_ID.lower()}{TAIL}")

    assert (found.kind, found.resource) == ("nsg", NSG_ID.lower())


@pytest.mark.parametrize("hour", [0, 9, 23])
def test_hours_of_the_day(hour: int) -> None:
    """Every hour from 0 to 23 is one."""
    path = f"resourceId={NSG_ID}{TAIL}".replace("h=23", f"h={hour:02d}")

    assert parse_path(path).hour == datetime(2024, 3, 9, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "PT1H.json",
        f"resourceId={NSG_ID}/PT1H.json",
        f"resourceId={NSG_ID}{TAIL}.bak",
        f"resourceId={NSG_ID}{TAIL}".replace("PT1H", "PT5M"),
        f"resourceId={NSG_ID}{TAIL}".replace("/macAddress=000D3AF87856", ""),
        f"other={NSG_ID}{TAIL}",
        f"x/resourceId={NSG_ID}{TAIL}",
        f"resourceId={TAIL}",
    ],
)
def test_not_a_flow_log(path: str) -> None:
    """A path of any other form is refused, and the error names it."""
    assert not is_flow_log(path)
    with pytest.raises(BadInputError, match="not the path of a flow log") as caught:
        parse_path(path)
    assert path in str(caught.value)


@pytest.mark.parametrize(("old", "new"), [("m=03", "m=13"), ("d=09", "d=31"), ("h=23", "h=24")])
def test_no_such_hour(old: str, new: str) -> None:
    """A month, day or hour that does not exist is bad input, not a crash."""
    path = f"resourceId={NSG_ID}{TAIL}".replace(old, new).replace("m=03/d=31", "m=02/d=31")

    with pytest.raises(BadInputError, match="no such hour"):
        parse_path(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("000D3AF87856", "000D3AF87856"),
        ("000d3af87856", "000D3AF87856"),
        ("00-0D-3A-F8-78-56", "000D3AF87856"),
        ("00:0d:3a:f8:78:56", "000D3AF87856"),
        ("000D3AF8785", ""),
        ("000D3AF878566", ""),
        ("000D3AF8785G", ""),
        ("", ""),
    ],
)
def test_mac(text: str, expected: str) -> None:
    """A MAC in any spelling is 12 upper-case digits; anything else is none."""
    assert canonical_mac(text) == expected


def test_unreadable_mac_in_a_path() -> None:
    """A path whose MAC is none is still the path of a flow log."""
    path = f"resourceId={NSG_ID}{TAIL}".replace("000D3AF87856", "unknown")

    assert parse_path(path).mac == ""


def test_hour_prefix() -> None:
    """The prefix of an hour's blobs is padded as Azure pads it."""
    prefix = hour_prefix(f"resourceId={NSG_ID}/", datetime(2024, 3, 9, 5, tzinfo=UTC))

    assert prefix == f"resourceId={NSG_ID}/y=2024/m=03/d=09/h=05/"


def test_containers() -> None:
    """The containers are the two that Azure writes flow logs to."""
    assert NSG_CONTAINER == "insights-logs-networksecuritygroupflowevent"
    assert VNET_CONTAINER == "insights-logs-flowlogflowevent"


@pytest.mark.parametrize("year", ["0001", "0999", "1999"])
def test_years_long_before_flow_logs_are_refused(year: str) -> None:
    """Somebody else's file, or somebody's try to stop us."""
    with pytest.raises(BadInputError, match="long before"):
        parse_path(f"resourceId={NSG_ID}/y={year}/m=01/d=01/h=00/m=00/macAddress=x/PT1H.json")


@pytest.mark.parametrize(("year", "days"), [("9999", 0), ("2024", -2)])
def test_hours_still_to_come_are_refused(year: str, days: int) -> None:
    """Clocks differ, by less than a day."""
    path = f"resourceId={NSG_ID}{TAIL}".replace("y=2024", f"y={year}")
    with pytest.raises(BadInputError, match="still to come"):
        written_by(HOUR + timedelta(days=days), path)
    assert written_by(HOUR - timedelta(hours=20), f"resourceId={NSG_ID}{TAIL}").hour == HOUR


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_hours_name_is_read_back(when: datetime) -> None:
    """Of any year: names sort as hours do, and partitions with them."""
    hour = when.replace(minute=0, second=0, microsecond=0)

    assert hour_named(hour_name(hour)) == hour
    assert len(hour_name(hour)) == len("2026-11-23T08")
    assert f"y={hour.year:04}/" in hour_prefix("", hour)


def test_the_resource_of_a_path() -> None:
    """Its prefix, as listings give it."""
    assert resource_prefix(f"resourceId={NSG_ID}{TAIL}") == f"resourceId={NSG_ID}/"
    assert resource_prefix("x") == ""


def test_hours_that_there_can_be_logs_of() -> None:
    """From the year 2000 on to a day ahead, for clocks that differ."""
    now = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    assert possible(datetime(2000, 1, 1, tzinfo=UTC), now)
    assert not possible(datetime(1999, 12, 31, 23, tzinfo=UTC), now)
    assert possible(now + timedelta(days=1), now)
    assert not possible(now + timedelta(days=1, microseconds=1), now)
