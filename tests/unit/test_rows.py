"""The row of NSGFlow_CL: columns, types and values of the contract."""

import json
import re
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from devtools.estate import Estate
from nsgflow_core.columns import ALWAYS_SENT, columns
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.logs.columns import of_blob
from nsgflow_core.model import BlobRef, Flow, Group, Record, flow_time
from nsgflow_core.sinks import rows
from tests.made import Outcome, made, outcome_of
from tests.unit.test_inventory import Graph
from tests.unit.test_service_tags import load

REF = BlobRef("acct", "insights-logs-flowlogflowevent", "flowLogResourceID=/A/PT1H.json")
NSG_ID = "/subscriptions/s/resourcegroups/r/providers/microsoft.network/networksecuritygroups/web"
V1 = made(
    Group(
        Record(12, 500, "2017-02-16T22:00:32.8950000Z", 1, NSG_ID), NSG_ID, "WEB", "r1", "000D3A"
    ),
    0,
    "1487282421,192.0.2.95,10.1.0.4,51529,5358,T,I,D",
    1487282421000,
    "192.0.2.95",
    "10.1.0.4",
    51529,
    Outcome(5358, "TCP", True, True, "", "", None, None, None, None),  # noqa: FBT003
)
V2 = made(
    Group(
        Record(12, 500, "2018-11-13T12:00:35.3899262Z", 2, NSG_ID), NSG_ID, "WEB", "r2", "000D3A"
    ),
    7,
    "1542110379,10.5.16.4,203.0.113.117,59932,443,T,O,A,E,1,66,2,132",
    1542110379000,
    "10.5.16.4",
    "8.8.8.8",
    59932,
    Outcome(443, "TCP", False, False, "E", "", 1, 66, 2, 132),  # noqa: FBT003
)
V4 = made(
    Group(
        Record(900, 999, "2022-09-14T09:00:52.5625085Z", 4, "/vnet"), "GUID-1", "", "Internet", ""
    ),
    2,
    "1663145998065,2001:db8::1,10.0.0.6,,,58,I,D,NX,0,0,0,0",
    1663145998065,
    "2001:db8::1",
    "10.0.0.6",
    None,
    Outcome(None, "58", True, True, "D", "NX", 0, 0, 0, 0),  # noqa: FBT003
)
TYPES: dict[str, tuple[type, ...]] = {
    "datetime": (str,),
    "string": (str,),
    "int": (int,),
    "long": (int,),
}


def row(flow: Flow) -> dict[str, Any]:
    """The row of a flow, decoded."""
    decoded: dict[str, Any] = json.loads(rows.encoder(REF)(flow))
    return decoded


def with_group(flow: Flow, **changes: Any) -> Flow:
    """The flow with another record time, rule or the like in its group."""
    group = flow.group
    record = group.record
    time = changes.pop("time", record.time)
    record = Record(record.offset, record.end, time, record.version, record.target)
    fields = {"acl_group": group.acl_group, "acl_name": group.acl_name}
    fields |= {"rule": group.rule, "mac": group.mac} | changes
    changed = Group(record, **fields)
    return made(
        changed,
        flow.ordinal,
        flow.text,
        flow.time_ms,
        flow.src,
        flow.dst,
        flow.src_port,
        outcome_of(flow),
    )


def test_columns_of_the_contract() -> None:
    """schema.json has the columns and types of the contract, in its order."""
    assert columns() == {
        "TimeGenerated": "datetime",
        "FlowTime": "datetime",
        "FlowId": "string",
        "FlowLogVersion": "int",
        "FlowStatus": "string",
        "FlowDirection": "string",
        "FlowState": "string",
        "FlowEncryption": "string",
        "L4Protocol": "string",
        "SrcIp": "string",
        "DestIp": "string",
        "SrcPort": "int",
        "DestPort": "int",
        "AclGroup": "string",
        "AclName": "string",
        "AclRule": "string",
        "MacAddress": "string",
        "TargetResourceId": "string",
        "PacketsSrcToDest": "long",
        "BytesSrcToDest": "long",
        "PacketsDestToSrc": "long",
        "BytesDestToSrc": "long",
        "FlowType": "string",
        "L7Protocol": "string",
        "SrcVm": "string",
        "DestVm": "string",
        "SrcSubnet": "string",
        "DestSubnet": "string",
        "SrcServiceTags": "string",
        "DestServiceTags": "string",
        "RecordTime": "datetime",
        "SourceBlob": "string",
    }


def test_schema_names_table_and_stream() -> None:
    """The table and the stream are those of the contract, and each column is described."""
    schema = json.loads((Path(rows.__file__).parents[1] / "schema.json").read_text())

    assert (schema["table"], schema["stream"]) == ("NSGFlow_CL", "Custom-NSGFlow_CL")
    assert all(column["description"] for column in schema["columns"])


@pytest.mark.parametrize("flow", [V1, V2, V4], ids=["v1", "v2", "v4"])
def test_row_has_the_columns_and_types_of_the_schema(flow: Flow) -> None:
    """A row has each column once, of its type; only numbers and times may be null."""
    text = rows.encoder(REF)(flow)
    pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)

    assert sorted(name for name, _ in pairs) == sorted(columns())
    for name, value in pairs:
        kind = columns()[name]
        if value is None:
            assert kind != "string", name
        else:
            assert type(value) in TYPES[kind], name


def test_v1_row() -> None:
    """A denied v1 flow: no state, no counters, port without a service."""
    assert row(V1) == {
        "TimeGenerated": "2017-02-16T22:00:21.000Z",
        "FlowTime": "2017-02-16T22:00:21.000Z",
        "FlowId": rows.flow_id(REF, V1),
        "FlowLogVersion": 1,
        "FlowStatus": "Denied",
        "FlowDirection": "Inbound",
        "FlowState": "",
        "FlowEncryption": "",
        "L4Protocol": "TCP",
        "SrcIp": "192.0.2.95",
        "DestIp": "10.1.0.4",
        "SrcPort": 51529,
        "DestPort": 5358,
        "AclGroup": NSG_ID,
        "AclName": "WEB",
        "AclRule": "r1",
        "MacAddress": "000D3A",
        "TargetResourceId": NSG_ID,
        "PacketsSrcToDest": None,
        "BytesSrcToDest": None,
        "PacketsDestToSrc": None,
        "BytesDestToSrc": None,
        "FlowType": "Unknown",
        "L7Protocol": "wsdapi-s",
        "SrcVm": "",
        "DestVm": "",
        "SrcSubnet": "",
        "DestSubnet": "",
        "SrcServiceTags": "",
        "DestServiceTags": "",
        "RecordTime": "2017-02-16T22:00:32.8950000Z",
        "SourceBlob": "insights-logs-flowlogflowevent/flowLogResourceID=/A/PT1H.json",
    }


def test_v2_row() -> None:
    """An allowed v2 flow that ended: state and all four counters in their columns."""
    made = row(V2)

    assert (made["FlowStatus"], made["FlowDirection"], made["FlowState"]) == (
        "Allowed",
        "Outbound",
        "E",
    )
    assert (made["FlowLogVersion"], made["FlowEncryption"]) == (2, "")
    assert [made[name] for name in ("PacketsSrcToDest", "BytesSrcToDest")] == [1, 66]
    assert [made[name] for name in ("PacketsDestToSrc", "BytesDestToSrc")] == [2, 132]
    assert (made["L7Protocol"], made["FlowType"]) == ("https", "ExternalPublic")
    assert made["FlowTime"] == "2018-11-13T11:59:39.000Z"


def test_v4_row() -> None:
    """A denied v4 flow: milliseconds, encryption, zeros that stay zeros, absent ports null."""
    made = row(V4)

    assert (made["FlowLogVersion"], made["FlowState"], made["FlowEncryption"]) == (4, "D", "NX")
    assert made["TimeGenerated"] == made["FlowTime"] == "2022-09-14T08:59:58.065Z"
    assert [made[name] for name in ("PacketsSrcToDest", "BytesDestToSrc")] == [0, 0]
    assert (made["SrcPort"], made["DestPort"], made["L4Protocol"]) == (None, None, "58")
    assert (made["SrcIp"], made["L7Protocol"], made["MacAddress"]) == ("2001:db8::1", "", "")
    assert (made["AclGroup"], made["AclName"], made["TargetResourceId"]) == ("GUID-1", "", "/vnet")


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1709251199999, "2024-02-29T23:59:59.999Z"),
        (253402300799999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_flow_time(milliseconds: int, expected: str) -> None:
    """Times are UTC with exactly three decimals."""
    assert flow_time(milliseconds) == expected


@given(st.lists(st.sampled_from([0, 1, 999, 1000, 1_542_110_379_000]) | st.integers(0, 10**14)))
@settings(max_examples=50)
def test_times_of_many_flows_are_those_of_each(times: list[int]) -> None:
    """Whether they are whole seconds, as in NSG logs, or not, or some of each."""
    flows = of_blob(REF, [replace(V4, time_ms=time) for time in times])
    assert rows.times_of(flows) == list(map(flow_time, times))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-11-13T12:00:35.3899262Z", "2018-11-13T12:00:35.3899262Z"),
        ("2018-11-13T12:00:35Z", "2018-11-13T12:00:35Z"),
        ("2018-11-13T12:00:35", "2018-11-13T12:00:35Z"),
        ("2018-11-13T14:00:35+02:00", "2018-11-13T12:00:35Z"),
        ("", None),
        ("soon", None),
        ("2018-13-13T12:00:35Z", None),
        ("2018-11-13T25:00:35Z", None),
    ],
)
def test_record_time(text: str, expected: str | None) -> None:
    """The record's time as Azure wrote it, in UTC; null when it is no time."""
    assert rows.record_time(text) == expected


RECORD_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,7})?Z")


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        '2018-11-13"12:00:35Z',
        "2018-11-13",
        "2018-W46-2",
        "20181113T120035Z",
        "2018-11-13T12Z",
        "2018-11-13T12:00:35." + "1" * 70_000 + "Z",
        "2018-11-13T12:00:35\x00Z",
        "-2018-11-13T12:00:35Z",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_odd_record_time(text: str) -> None:
    """Whatever stands as a record's time, the column holds a plain UTC time or null."""
    made = row(with_group(V2, time=text))["RecordTime"]

    assert made is None or RECORD_TIME.fullmatch(made)


def test_acl_group_and_rule_as_the_flow_has_them() -> None:
    """Group and rule are what the reader of flows said, empty strings included."""
    made = row(with_group(V2, acl_group="", acl_name="", rule=""))

    assert (made["AclGroup"], made["AclName"], made["AclRule"]) == ("", "", "")


@given(st.text(), st.text(), st.text())
@settings(deadline=None, max_examples=200)
def test_hostile_names_stay_inside_their_strings(rule: str, group: str, name: str) -> None:
    """No rule, group or NSG name breaks the JSON of a row or adds to it."""
    made = row(with_group(V2, rule=rule, acl_group=group, acl_name=name))

    assert set(made) == set(columns())
    assert (made["AclRule"], made["AclGroup"], made["AclName"]) == (rule, group, name)


@pytest.mark.parametrize(
    "rule", ['","FlowStatus":"Allowed', "\\", "\x00\x1f\u2028", "r" * rows.MAX_FIELD]
)
def test_hostile_rules(rule: str) -> None:
    """Quotes, backslashes, control characters and a full field come through unchanged."""
    made = row(with_group(V2, rule=rule))

    assert (made["AclRule"], made["FlowStatus"]) == (rule, "Allowed")


@pytest.mark.parametrize("letter", ["r", "\u00e4", "\U0001f600"])
def test_a_field_over_the_limit_is_cut_and_marked(letter: str) -> None:
    """The table keeps 64 KiB of a text: we cut it between two letters, and say so."""
    made = row(with_group(V2, rule=letter * 1_000_000))["AclRule"]

    assert rows.MAX_FIELD - 4 < len(made.encode()) <= rows.MAX_FIELD
    assert made == letter * (len(made) - len(rows.CUT)) + rows.CUT


def test_row_is_one_line_of_utf8() -> None:
    """A row is UTF-8 JSON without raw line ends."""
    text = rows.encoder(REF)(with_group(V2, rule="\u00e4\n\U0001f600"))

    assert b"\n" not in text
    assert "\u00e4\\n\U0001f600" in text.decode()


def test_encoder_keeps_nothing_of_the_flow_before() -> None:
    """One encoder gives the same rows as a fresh one for each flow, in any order."""
    encode = rows.encoder(REF)
    order = [V1, V2, V1, V4, V4, V2, with_group(V2, rule="other"), V2]

    assert [encode(flow) for flow in order] == [rows.encoder(REF)(flow) for flow in order]


def test_row_carries_the_flow_id() -> None:
    """The FlowId of the row is the flow's: 32 lower-case hex digits."""
    assert row(V2)["FlowId"] == rows.flow_id(REF, V2)
    assert re.fullmatch(r"[0-9a-f]{32}", rows.flow_id(REF, V2))


def test_flow_id_depends_on_everything_that_tells_a_flow() -> None:
    """Account, container, path, offset, ordinal, rule and text each make another id."""
    record = Record(13, 500, "2018-11-13T12:00:35.3899262Z", 2, NSG_ID)
    moved = Group(record, NSG_ID, "WEB", "r2", "000D3A")
    own = (V2.text, V2.time_ms, V2.src, V2.dst, V2.src_port, outcome_of(V2))
    other_text = (V2.text + "0", *own[1:])
    ids = [
        rows.flow_id(REF, V2),
        rows.flow_id(BlobRef("acct2", REF.container, REF.path), V2),
        rows.flow_id(BlobRef(REF.account, "other", REF.path), V2),
        rows.flow_id(BlobRef(REF.account, REF.container, "x"), V2),
        rows.flow_id(REF, made(moved, 7, *own)),
        rows.flow_id(REF, made(V2.group, 8, *own)),
        rows.flow_id(REF, made(V2.group, 7, *other_text)),
        rows.flow_id(REF, with_group(V2, rule="r3")),
    ]

    assert len(set(ids)) == len(ids)


def test_flow_id_is_the_same_at_every_delivery() -> None:
    """What may be read anew or enriched otherwise does not change the id."""
    again = with_group(V2, time="", acl_group="x", acl_name="y", mac="z")

    assert rows.flow_id(REF, again) == rows.flow_id(REF, V2)


def test_flow_id_is_pinned() -> None:
    """The id of a flow never changes between releases."""
    assert datetime.fromisoformat("2018-11-13T11:59:39+00:00").timestamp() * 1000 == V2.time_ms
    assert rows.flow_id(REF, V2) == "1483ee792d3180000000000739a5b264"


def test_flow_id_does_not_depend_on_the_library_that_sums() -> None:
    """Where there is no isal zlib makes the same id: ordinal and check sum stand in it."""
    check = zlib.crc32(f"{V2.group.rule}\0{V2.text}".encode())

    assert rows.flow_id(REF, V2)[16:] == f"{V2.ordinal:08x}{check:08x}"


@given(st.sets(st.sampled_from(sorted(set(columns()) - ALWAYS_SENT))))
@settings(deadline=None, max_examples=60)
def test_omitted_columns_are_all_that_is_missing(omit: set[str]) -> None:
    """The rest of the row is as ever, whichever columns are left out."""
    for flow in (V1, V2, V4):
        whole = row(flow)
        kept = json.loads(rows.encoder(REF, omit=frozenset(omit))(flow))

        assert kept == {name: value for name, value in whole.items() if name not in omit}


@pytest.mark.parametrize("omit", [frozenset(), frozenset(["AclRule", "SrcPort"])])
@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 1300])
def test_many_rows_at_once_are_those_of_each(count: int, omit: frozenset[str]) -> None:
    """In their order, however the groups come and wherever a portion ends."""
    kinds = [V1, V2, V2, V4, with_group(V2, rule="other")]
    flows = [kinds[at % len(kinds) if at % 7 else 0] for at in range(count)]
    known = knowing_nothing()
    one = rows.encoder(REF, known, omit)
    found = rows.lines_of(known, omit)(of_blob(REF, flows)).encode().split(b"\n")[:-1]
    assert found == [one(flow) for flow in flows]


def knowing_nothing() -> Knowledge:
    """Knowledge that knows of nothing, and yet is asked."""
    return Knowledge(None, Inventory(read_inventory(Graph(Estate()))))


def test_both_ends_stand_in_the_row() -> None:
    """What the inventory and the service tags know of each, in the column of that end."""
    estate = Estate()
    vnet = estate.vnet("hub", web="20.1.0.0/24", db="20.5.16.0/24")
    estate.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-01", "20.1.0.4", vm="web1")
    estate.nic(f"{vnet}/subnets/db", "00-0D-3A-00-00-02", "20.5.16.4", vm="db1")
    tags = load({"Storage": ["20.5.0.0/16"], "Sql": ["20.1.0.0/16"]})
    known = Knowledge(tags, Inventory(read_inventory(Graph(estate))))
    flow = replace(
        V1, src="20.5.16.4", dst="20.1.0.4", group=with_group(V1, mac="000D3A000001").group
    )
    found = json.loads(rows.encoder(REF, known)(flow))
    told = {name: found[name] for name in found if name.startswith(("Src", "Dest", "FlowType"))}
    assert told == {
        "SrcIp": "20.5.16.4",
        "DestIp": "20.1.0.4",
        "SrcPort": 51529,
        "DestPort": 5358,
        "FlowType": "IntraVNet",
        "SrcVm": "prod/db1",
        "DestVm": "prod/web1",
        "SrcSubnet": "prod/hub/db",
        "DestSubnet": "prod/hub/web",
        "SrcServiceTags": "Storage",
        "DestServiceTags": "Sql",
    }
    assert set(found) == set(row(V1)) == set(columns())


def test_what_rows_share_is_made_once_and_not_kept_for_ever() -> None:
    """The next rows find what was made for these; where that was much, it is let go first."""
    asked: list[int] = []

    def make(key: int) -> str:
        asked.append(key)
        return str(key)

    kept = rows.Kept(make)

    assert kept.of([1, 2, 1]) == ["1", "2", "1"]
    assert kept.of([2, 3]) == ["2", "3"]
    assert asked == [1, 2, 3]
    many = range(10_000)
    assert kept.of(many) == list(map(str, many))
    assert kept.of([3]) == ["3"]
    assert len(kept) == 1
