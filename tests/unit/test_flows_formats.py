"""flows.read on well-formed records of versions 1, 2 and 4, in every form seen in the wild."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nsgflow_core.logs import flows
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import Bad, Flow, Position
from tests.made import Outcome, outcome_of

NSG_ID = "/SUBSCRIPTIONS/S1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB"
VNET_ID = "/subscriptions/S1/resourceGroups/Rg/providers/Microsoft.Network/virtualNetworks/Shop"
GUID = "00000000-1234-ABCD-ef00-c1c2c3c4c5c6"
pytestmark = pytest.mark.usefixtures("picked_or_judged")
HOUR = datetime(2018, 11, 13, 12, tzinfo=UTC)
NSG_LOG = LogPath("nsg", NSG_ID, HOUR, "00AA00AA00AA")
VNET_LOG = LogPath("vnet", "/S1_NETWORKWATCHERRG/NETWORKWATCHER_X_Y", HOUR, "00AA00AA00AA")

V1_DENIED = "1487282421,192.0.2.95,10.1.0.4,51529,5358,T,I,D"
V2_DENIED = "1542110402,192.0.2.190,10.5.16.4,28746,443,U,I,D,B,,,,"
V2_ALLOWED = "1542110379,10.5.16.4,203.0.113.117,59932,443,T,O,A,E,1,66,2,132"
V4_DENIED = "1663145998065,101.33.218.153,10.0.0.6,55188,22,6,I,D,NX,0,0,0,0"
V4_ALLOWED = "1663146003606,10.0.0.6,52.239.184.180,23956,443,6,O,E,NX,3,767,2,1580"


def nsg(*tuples: Any, version: Any = 2, rule: str = "UserRule_x", **more: Any) -> dict[str, Any]:
    """An NSG record of one rule."""
    inner = [{"mac": "000D3AF87856", "flowTuples": list(tuples)}]
    properties = {"Version": version, "flows": [{"rule": rule, "flows": inner}]}
    time = "2018-11-13T12:00:35.3899262Z"
    return {"time": time, "resourceId": NSG_ID, "properties": properties} | more


def vnet(*tuples: Any, acl: str = GUID, rule: str = "UserRule_x", **more: Any) -> dict[str, Any]:
    """A VNet record of one rule."""
    groups = [{"rule": rule, "flowTuples": list(tuples)}]
    return {
        "time": "2022-09-14T09:00:52.5625085Z",
        "flowLogVersion": 4,
        "macAddress": "00224871C205",
        "targetResourceID": VNET_ID,
        "flowRecords": {"flows": [{"aclID": acl, "flowGroups": groups}]},
    } | more


def read(document: object, *, denied_only: bool = False, offset: int = 12) -> list[Flow]:
    """The flows of a record that must hold nothing bad."""
    bad: list[Bad] = []
    log = VNET_LOG if isinstance(document, dict) and "flowRecords" in document else NSG_LOG
    raw = RawRecord(offset, json.dumps(document).encode())
    found = flows.read(raw, log, bad, denied_only=denied_only)
    assert bad == []
    return found


def test_v1_tuple() -> None:
    """Eight fields: seconds, addresses, ports, T or U, I or O, A or D; no state, no counters."""
    (flow,) = read(nsg(V1_DENIED, version=1))

    assert flow.text == V1_DENIED
    assert (flow.time_ms, flow.src, flow.dst, flow.src_port, flow.ordinal) == (
        1487282421000,
        "192.0.2.95",
        "10.1.0.4",
        51529,
        0,
    )
    assert outcome_of(flow) == Outcome(5358, "TCP", True, True, "", "", None, None, None, None)  # noqa: FBT003


def test_v2_denied_tuple() -> None:
    """A denied v2 flow has decision D, state B and empty counters, which are None and not 0."""
    (flow,) = read(nsg(V2_DENIED))

    assert flow.time_ms == 1542110402000
    assert outcome_of(flow) == Outcome(443, "UDP", True, True, "B", "", None, None, None, None)  # noqa: FBT003


def test_v2_ended_tuple() -> None:
    """Counters of v2 come in the order packets, bytes out, then packets, bytes back."""
    (flow,) = read(nsg(V2_ALLOWED))

    assert outcome_of(flow) == Outcome(443, "TCP", False, False, "E", "", 1, 66, 2, 132)  # noqa: FBT003


def test_v4_denied_tuple() -> None:
    """A denied v4 flow has state D; milliseconds, IANA protocol, encryption, zero counters."""
    (flow,) = read(vnet(V4_DENIED))

    assert flow.time_ms == 1663145998065
    assert outcome_of(flow) == Outcome(22, "TCP", True, True, "D", "NX", 0, 0, 0, 0)  # noqa: FBT003


def test_v4_ended_tuple() -> None:
    """v4's states B, C and E are allowed flows."""
    (flow,) = read(vnet(V4_ALLOWED))

    assert outcome_of(flow) == Outcome(443, "TCP", False, False, "E", "NX", 3, 767, 2, 1580)  # noqa: FBT003


@pytest.mark.parametrize(
    ("field", "expected"),
    [("6", "TCP"), ("17", "UDP"), ("1", "ICMP"), ("58", "58"), ("47", "47"), ("0", "0")],
)
def test_v4_protocols(field: str, expected: str) -> None:
    """IANA numbers: three have names, the others stay numbers."""
    (flow,) = read(vnet(f"1663145998065,10.0.0.1,10.0.0.2,1,2,{field},I,D,NX,0,0,0,0"))

    assert flow.protocol == expected


@pytest.mark.parametrize(("field", "expected"), [("T", "TCP"), ("U", "UDP"), ("I", "ICMP")])
def test_nsg_protocols(field: str, expected: str) -> None:
    """NSG logs write letters."""
    (flow,) = read(nsg(f"1542110402,10.0.0.1,10.0.0.2,1,2,{field},I,D,B,,,,"))

    assert flow.protocol == expected


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1663145998", 1663145998000),
        ("1663145998065", 1663145998065),
        ("99999999999", 99999999999000),
        ("100000000000", 100000000000),
    ],
)
def test_v4_seconds_or_milliseconds(stamp: str, expected: int) -> None:
    """Times below 1e11 are seconds (the docs have them in v4), others milliseconds."""
    (flow,) = read(vnet(f"{stamp},10.0.0.1,10.0.0.2,1,2,6,I,D,NX,0,0,0,0"))

    assert flow.time_ms == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0,0,0,0", (0, 0, 0, 0)),
        (",,,", (None, None, None, None)),
        ("1,,2,", (1, None, 2, None)),
        ("9223372036854775807,0,0,1", (9223372036854775807, 0, 0, 1)),
    ],
)
@pytest.mark.parametrize("version", [2, 4])
def test_counters(written: str, expected: tuple[int | None, ...], version: int) -> None:
    """Empty counters are None, zeros are 0, and 64 bits are held."""
    ends = "1663145998,10.0.0.1,10.0.0.2,1,2"
    document = (
        nsg(f"{ends},T,O,A,C,{written}") if version == 2 else vnet(f"{ends},6,O,C,NX,{written}")
    )
    (flow,) = read(document)
    seen = flow

    assert (
        seen.packets_sent,
        seen.bytes_sent,
        seen.packets_received,
        seen.bytes_received,
    ) == expected


@pytest.mark.parametrize("code", ["X", "NX", "NX_HW_NOT_SUPPORTED", "NX_NOT_ACCEPTED", ""])
def test_encryption_as_given(code: str) -> None:
    """v4's encryption code is kept as written."""
    (flow,) = read(vnet(f"1663145998065,10.0.0.1,10.0.0.2,1,2,6,I,B,{code},0,0,0,0"))

    assert (flow.encryption, flow.denied) == (code, False)


@pytest.mark.parametrize("denied_only", [False, True])
@pytest.mark.parametrize(
    ("document", "counters"),
    [
        (nsg("1542110402,10.0.0.1,10.0.0.2,1,2,U,I,D,B,,,,,"), None),
        (vnet("1663145998065,10.0.0.1,10.0.0.2,1,2,6,I,D,NX,0,0,0,0,x"), 0),
    ],
)
def test_fourteen_fields(document: object, counters: int | None, denied_only: bool) -> None:
    """A field more than is known is ignored, not bad (14-field tuples have been seen)."""
    (flow,) = read(document, denied_only=denied_only)

    assert (flow.denied, flow.packets_sent) == (True, counters)


def test_fourteen_fields_of_an_allowed_flow_are_no_dead_letter() -> None:
    """Leaving allowed flows out does not make bad what is good when they are read."""
    allowed = "1542110402,10.0.0.1,10.0.0.2,1,2,U,I,A,B,,,,,"

    assert len(read(nsg(allowed, V2_DENIED))) == 2
    assert [flow.text for flow in read(nsg(allowed, V2_DENIED), denied_only=True)] == [V2_DENIED]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:0db8:0:0:1::1]", "2001:db8::1:0:0:1"),
        ("::", "::"),
    ],
)
def test_ipv6_is_normalised(written: str, canonical: str) -> None:
    """Compressed, expanded and bracketed forms of one address are one address."""
    (flow,) = read(vnet(f"1663145998065,{written},fe80::1,1,2,6,I,D,NX,0,0,0,0"))

    assert (flow.src, flow.dst) == (canonical, "fe80::1")
    assert written in flow.text


def test_ports_may_be_absent() -> None:
    """Empty ports, as a protocol without ports may have them, are None."""
    (flow,) = read(vnet("1663145998065,10.0.0.1,10.0.0.2,,,1,I,D,NX,0,0,0,0"))

    assert (flow.src_port, flow.dst_port, flow.protocol) == (None, None, "ICMP")


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_port_limits(port: int) -> None:
    """Every port from 0 to 65535 is possible."""
    (flow,) = read(nsg(f"1542110402,10.0.0.1,10.0.0.2,{port},{port},T,I,D,B,,,,"))

    assert (flow.src_port, flow.dst_port) == (port, port)


def test_identical_tuples_are_all_kept() -> None:
    """The same tuple three times in a record is three flows with ordinals of their own."""
    found = read(vnet(V4_DENIED, V4_DENIED, V4_DENIED), denied_only=True)

    assert [(flow.ordinal, flow.text) for flow in found] == [
        (0, V4_DENIED),
        (1, V4_DENIED),
        (2, V4_DENIED),
    ]


def test_end_before_begin_stays_in_order() -> None:
    """Tuples come in the order written, E before B of the same millisecond included."""
    begin = "1663146003606,10.0.0.6,52.239.184.180,23956,443,6,O,B,NX,0,0,0,0"

    assert [flow.state for flow in read(vnet(V4_ALLOWED, begin))] == ["E", "B"]


def test_ordinals_count_every_tuple_of_the_record() -> None:
    """Ordinals run through all rules and NICs of a record, allowed flows and all."""
    properties = {
        "Version": 2,
        "flows": [
            {"rule": "a", "flows": [{"mac": "", "flowTuples": [V2_ALLOWED, V2_DENIED]}]},
            {"rule": "b", "flows": []},
            {"rule": "c", "flows": [{"mac": "", "flowTuples": [V2_ALLOWED] * 3}]},
            {
                "rule": "d",
                "flows": [
                    {"mac": "", "flowTuples": []},
                    {"mac": "", "flowTuples": [V2_DENIED]},
                ],
            },
        ],
    }
    document = nsg(properties=properties)
    everything = [(flow.ordinal, flow.group.rule) for flow in read(document)]

    assert everything == [(0, "a"), (1, "a"), (2, "c"), (3, "c"), (4, "c"), (5, "d")]
    denied = [(flow.ordinal, flow.group.rule) for flow in read(document, denied_only=True)]
    assert denied == [(1, "a"), (5, "d")]


def test_position_of_a_flow() -> None:
    """A flow's place is its record's offset and its ordinal there."""
    assert read(nsg(V2_ALLOWED, V2_DENIED), offset=4711)[1].position == Position(4711, 1)


def test_empty_record_is_neither_flow_nor_bad() -> None:
    """`"flows":[]`, at either level, is a minute without traffic."""
    assert read(nsg(properties={"Version": 2, "flows": []})) == []
    assert read(nsg(properties={"Version": 2, "flows": [{"rule": "a", "flows": []}]})) == []
    assert read(vnet(flowRecords={"flows": []})) == []
    assert read(vnet()) == []
    assert read(nsg()) == []
