"""What flows.read says about where flows hang: record, NSG, rule, MAC and target."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nsgflow_core.logs import flows
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import Bad, Flow, Record
from tests.made import outcome_of

NSG_ID = "/SUBSCRIPTIONS/S1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB"
VNET_ID = "/subscriptions/S1/resourceGroups/Rg/providers/Microsoft.Network/virtualNetworks/Shop"
HOUR = datetime(2018, 11, 13, 12, tzinfo=UTC)
NSG_LOG = LogPath("nsg", NSG_ID, HOUR, "00AA00AA00AA")
VNET_LOG = LogPath("vnet", "/S1_NETWORKWATCHERRG/NETWORKWATCHER_X_Y", HOUR, "00AA00AA00AA")
V2 = "1542110402,192.0.2.190,10.5.16.4,28746,443,U,I,D,B,,,,"
V4 = "1663145998065,101.33.218.153,10.0.0.6,55188,22,6,I,D,NX,0,0,0,0"


def nsg(*, mac: Any = "000D3AF87856", rule: str = "UserRule_x", **more: Any) -> dict[str, Any]:
    """An NSG record of one denied flow."""
    flow = {"mac": mac, "flowTuples": [V2]}
    if mac is None:
        del flow["mac"]
    return {
        "time": "2018-11-13T12:00:35.3899262Z",
        "resourceId": NSG_ID,
        "properties": {"Version": 2, "flows": [{"rule": rule, "flows": [flow]}]},
    } | more


def vnet(*, acl: str = "unspecified", rule: str = "unspecified", **more: Any) -> dict[str, Any]:
    """A VNet record of one denied flow."""
    return {
        "time": "2022-09-14T09:00:52.5625085Z",
        "flowLogVersion": 4,
        "macAddress": "00224871C205",
        "targetResourceID": VNET_ID,
        "flowRecords": {
            "flows": [{"aclID": acl, "flowGroups": [{"rule": rule, "flowTuples": [V4]}]}]
        },
    } | more


def one(document: dict[str, Any] | bytes, log: LogPath | None = None) -> Flow:
    """The only flow of a record that holds nothing bad."""
    bad: list[Bad] = []
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    log = log or (VNET_LOG if b"flowRecords" in data else NSG_LOG)
    (flow,) = flows.read(RawRecord(12, data), log, bad, denied_only=True)
    assert bad == []
    return flow


def test_record_of_an_nsg_log() -> None:
    """Offset, end, time as written, version, and the NSG in lower case as the target."""
    data = json.dumps(nsg()).encode()

    assert one(data).group.record == Record(
        12, 12 + len(data), "2018-11-13T12:00:35.3899262Z", 2, NSG_ID.lower()
    )


def test_record_of_a_vnet_log() -> None:
    """The target of a v4 record is its targetResourceID in lower case, not the path."""
    data = json.dumps(vnet()).encode()

    assert one(data).group.record == Record(
        12,
        12 + len(data),
        "2022-09-14T09:00:52.5625085Z",
        4,
        "/subscriptions/s1/resourcegroups/rg/providers/microsoft.network/virtualnetworks/shop",
    )


@pytest.mark.parametrize("kind", ["virtualNetworks/v/subnets/S", "networkInterfaces/NIC-1"])
def test_targets_of_every_kind(kind: str) -> None:
    """Subnets and interfaces are targets as networks are."""
    target = f"/subscriptions/S1/resourceGroups/Rg/providers/Microsoft.Network/{kind}"

    assert one(vnet(targetResourceID=target)).group.record.target == target.lower()


def test_nsg_group() -> None:
    """For NSG logs the group is the NSG: id in lower case, name as written."""
    group = one(nsg()).group

    assert (group.acl_group, group.acl_name, group.rule) == (NSG_ID.lower(), "WEB", "UserRule_x")


def test_nsg_group_from_the_path() -> None:
    """A record without resourceId belongs to the NSG that the path names."""
    document = nsg()
    del document["resourceId"]
    group = one(document).group

    assert (group.acl_group, group.acl_name) == (NSG_ID.lower(), "WEB")
    assert group.record.target == NSG_ID.lower()


@pytest.mark.parametrize(
    ("acl", "group", "name"),
    [
        (
            "/subscriptions/S1/resourceGroups/R/providers/Microsoft.Network/networkSecurityGroups/Db",
            "/subscriptions/s1/resourcegroups/r/providers/microsoft.network/networksecuritygroups/db",
            "Db",
        ),
        ("00000000-1234-ABCD-ef00-c1c2c3c4c5c6", "00000000-1234-ABCD-ef00-c1c2c3c4c5c6", ""),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000", ""),
        ("unspecified", "unspecified", ""),
        ("", "", ""),
    ],
)
def test_acl_ids_of_v4(acl: str, group: str, name: str) -> None:
    """An NSG's id is folded and names it; a GUID, zeros or `unspecified` stay as given."""
    found = one(vnet(acl=acl)).group

    assert (found.acl_group, found.acl_name) == (group, name)


@pytest.mark.parametrize(
    "rule",
    [
        "DefaultRule_DenyAllInBound",
        "UserRule_MicrosoftDefenderForCloud-JITRule_123_ABC",
        "DefaultRule",
        "PlatformRule",
        "BlockHighRiskTCPPortsFromInternet",
        "unspecified",
        'with "quotes", commas,D and \\ back\u0000slash \u00e4\U0001f600',
        "",
    ],
)
def test_rules_as_given(rule: str) -> None:
    """Rule names are kept as written, whatever is in them."""
    assert one(nsg(rule=rule)).group.rule == rule
    assert one(vnet(rule=rule)).group.rule == rule


def test_rule_of_a_megabyte() -> None:
    """A rule name of any length is read."""
    assert one(nsg(rule="r" * 1_000_000)).group.rule == "r" * 1_000_000


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("000D3AF87856", "111111111111", "000D3AF87856"),
        ("00-0d-3a-f8-78-56", None, "000D3AF87856"),
        ("00:0d:3a:f8:78:56", None, "000D3AF87856"),
        ("", "00224871c205", "00224871C205"),
        (None, "00224871C205", "00224871C205"),
        ("no mac", "none either", "00AA00AA00AA"),
        ("", None, "00AA00AA00AA"),
        (None, None, "00AA00AA00AA"),
    ],
)
def test_mac_of_an_nsg_log(inner: str | None, outer: str | None, expected: str) -> None:
    """The MAC beside the tuples, else the record's, else the path's; 12 upper-case digits."""
    document = nsg(mac=inner) | ({} if outer is None else {"macAddress": outer})

    assert one(document).group.mac == expected


def test_mac_of_a_vnet_log() -> None:
    """v4 has the MAC in the record; where it is missing the path has it."""
    without = vnet()
    del without["macAddress"]

    assert one(vnet()).group.mac == "00224871C205"
    assert one(without).group.mac == "00AA00AA00AA"


def test_two_macs_in_a_record() -> None:
    """Flows of two interfaces in one record are groups of their own."""
    inner = [{"mac": mac, "flowTuples": [V2]} for mac in ("0000000000AA", "0000000000BB")]
    data = json.dumps(nsg(properties={"Version": 2, "flows": [{"rule": "r", "flows": inner}]}))
    found = flows.read(RawRecord(0, data.encode()), NSG_LOG, [], denied_only=True)

    assert [flow.group.mac for flow in found] == ["0000000000AA", "0000000000BB"]


@pytest.mark.parametrize("document", [nsg(), vnet()], ids=["nsg", "vnet"])
def test_key_order_makes_no_difference(document: dict[str, Any]) -> None:
    """Alphabetical keys (`flowTuples` before `rule`, `time` last) give the same flow."""
    data = json.dumps(document, sort_keys=True).encode()

    assert one(data) == one(document)


def test_white_space_makes_no_difference() -> None:
    """A pretty-printed record gives the same flow, but for its end."""
    plain, pretty = one(nsg()), one(json.dumps(nsg(), indent=4).encode())

    assert (pretty.text, pretty.time_ms, outcome_of(pretty)) == (
        plain.text,
        plain.time_ms,
        outcome_of(plain),
    )
    assert pretty.group.rule == plain.group.rule


def test_unknown_keys_are_ignored() -> None:
    """Fields that are not known, of any type, are passed over."""
    document = vnet(resourceId=None, extra={"flows": [1, {"rule": 2}]}, flowLogGUID=5)

    assert one(document).text == V4


def test_last_of_duplicate_keys_holds() -> None:
    """Of a key written twice the last holds, as JSON readers have it."""
    data = json.dumps(nsg()).encode().replace(b'{"time"', b'{"time":"2000-01-01T00:00:00Z","time"')

    assert one(data).group.record.time == "2018-11-13T12:00:35.3899262Z"


def test_missing_time_is_empty() -> None:
    """A record without a time still gives its flows."""
    document = nsg()
    del document["time"]

    assert one(document).group.record.time == ""
