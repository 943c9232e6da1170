"""flows.read on what makes no sense: each piece is bad on its own, and the rest is read."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nsgflow_core.logs import flows
from nsgflow_core.logs.lenient import MAX_BAD
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import Bad, Flow

pytestmark = pytest.mark.usefixtures("picked_or_judged")
HOUR = datetime(2018, 11, 13, 12, tzinfo=UTC)
LOG = LogPath("nsg", "/SUBSCRIPTIONS/S/NETWORKSECURITYGROUPS/WEB", HOUR, "00AA00AA00AA")
V2 = "1542110402,192.0.2.190,10.5.16.4,28746,443,U,I,D,B,,,,"
V2_LATER = "1542110403,192.0.2.190,10.5.16.4,28746,443,U,I,D,B,,,,"
V4 = "1663145998065,101.33.218.153,10.0.0.6,55188,22,6,I,D,NX,0,0,0,0"


def nsg(tuples: Any, version: Any = 2) -> dict[str, Any]:
    """An NSG record of one rule with these tuples."""
    inner = [{"mac": "000D3AF87856", "flowTuples": tuples}]
    return {
        "time": "2018-11-13T12:00:35.3899262Z",
        "properties": {"Version": version, "flows": [{"rule": "r", "flows": inner}]},
    }


def vnet(tuples: Any, version: Any = 4) -> dict[str, Any]:
    """A VNet record of one rule with these tuples."""
    groups = [{"rule": "r", "flowTuples": tuples}]
    return {
        "time": "2022-09-14T09:00:52.5625085Z",
        "flowLogVersion": version,
        "flowRecords": {"flows": [{"aclID": "a", "flowGroups": groups}]},
    }


def read(document: object, *, denied_only: bool = False) -> tuple[list[Flow], list[Bad]]:
    """The flows and the bad pieces of a record at offset 12."""
    bad: list[Bad] = []
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return flows.read(RawRecord(12, data), LOG, bad, denied_only=denied_only), bad


NSG_FIELDS = V2.split(",")
V4_FIELDS = V4.split(",")
IMPOSSIBLE = {
    0: ["", "-1", "1e9", "soon", "1542110402.5", "9" * 18, "9" * 400, "\u0661\u0662", " 1"],
    1: ["", "10.0.0", "10.0.0.256", "010.0.0.1", "1.2.3.4.5", "::g", "host", "10.0.0.1/8", "\x00"],
    2: ["", "10.0.0.1 ", "[10.0.0.1]", "2001:db8:::1", "fe80::1%eth0", 'fe80::1%"x'],
    3: ["99999", "65536", "-1", "1.0", "0x10", "+1", "1_0", "http", " 22"],
    4: ["99999", "65536", "-1", "22 ", "\u0662\u0662"],
    5: ["", "X", "256", "-1", "TCP", "6.0", "99999999999"],
    6: ["", "X", "i", "IN", "IO"],
    7: ["", "X", "d", "Denied", "N"],
}
NAMES = ("impossible time", "", "", "impossible port", "impossible port", "", "", "")
CASES = [(index, value) for index, values in IMPOSSIBLE.items() for value in values]


@pytest.mark.parametrize(("index", "value"), CASES, ids=[f"{i}-{v[:9]!r}" for i, v in CASES])
@pytest.mark.parametrize("version", [2, 4])
def test_impossible_field(version: int, index: int, value: str) -> None:
    """A tuple with an impossible field is bad, with its text, and its neighbours are read."""
    fields, good = (NSG_FIELDS, V2) if version == 2 else (V4_FIELDS, V4)
    broken = ",".join([*fields[:index], value, *fields[index + 1 :]])
    document = nsg([good, broken, good]) if version == 2 else vnet([good, broken, good])
    found, bad = read(document)

    assert [(flow.ordinal, flow.text) for flow in found] == [(0, good), (2, good)]
    assert [(piece.offset, piece.data) for piece in bad] == [(12, broken.encode())]
    assert "tuple 1 of the record" in bad[0].reason
    assert NAMES[index] in bad[0].reason


@pytest.mark.parametrize(
    ("index", "value"), [(8, "X"), (8, "b"), (9, "x"), (10, "-1"), (12, "1.5")]
)
def test_impossible_state_and_counters_of_v2(index: int, value: str) -> None:
    """States other than B, C, E and counters that are no whole numbers are bad."""
    fields = [*NSG_FIELDS[:7], "A", "C", "1", "2", "3", "4"]
    fields[index] = value
    found, bad = read(nsg([",".join(fields), V2]))

    assert ([flow.text for flow in found], len(bad)) == ([V2], 1)


@pytest.mark.parametrize("value", ["-1", "x", "1.5", str(2**63), "9" * 1000, " 1"])
def test_impossible_counters_of_v4(value: str) -> None:
    """A counter is a whole number below 2^63, as the table's columns are."""
    found, bad = read(vnet([f"1663145998065,10.0.0.1,10.0.0.2,1,2,6,O,C,NX,0,{value},0,0", V4]))

    assert ([flow.text for flow in found], len(bad)) == ([V4], 1)


@pytest.mark.parametrize("text", ["", ",", "x", "1,2,3", V2[:30], ",".join("a" * 9), "," * 12])
@pytest.mark.parametrize("version", [2, 4])
def test_wrong_number_of_fields(version: int, text: str) -> None:
    """A tuple of too few fields is bad, and its neighbours are read."""
    good = V2 if version == 2 else V4
    document = nsg([good, text, good]) if version == 2 else vnet([good, text, good])
    found, bad = read(document)

    assert [flow.ordinal for flow in found] == [0, 2]
    assert [piece.data for piece in bad] == [text.encode()]


@pytest.mark.parametrize("length", [9, 10, 11, 12])
def test_nsg_tuple_cut_between_the_versions(length: int) -> None:
    """A tuple longer than v1's and shorter than v2's was cut short: bad."""
    found, bad = read(nsg([",".join(NSG_FIELDS[:length]), V2]))

    assert ([flow.ordinal for flow in found], len(bad)) == ([1], 1)


def test_bad_denied_tuple_is_bad_when_only_denied_are_read() -> None:
    """Reading denied flows only still reports denied tuples that make no sense."""
    broken = V2.replace("28746", "99999")
    found, bad = read(nsg([V2, broken, V2_LATER]), denied_only=True)

    assert [(flow.ordinal, flow.text) for flow in found] == [(0, V2), (2, V2_LATER)]
    assert [piece.data for piece in bad] == [broken.encode()]


@pytest.mark.parametrize("item", [None, 5, 1.5, True, ["x"], {"a": "b"}, []])
def test_tuple_that_is_no_text(item: object) -> None:
    """A tuple of another type is bad and counted; the others keep ordinals and texts."""
    found, bad = read(nsg([V2, item, V2_LATER]))

    assert [(flow.ordinal, flow.text) for flow in found] == [(0, V2), (2, V2_LATER)]
    assert [json.loads(piece.data) for piece in bad] == [item]


@pytest.mark.parametrize("item", [None, 5, ["a", "b"], {"a": "b"}])
def test_ordinals_do_not_depend_on_what_is_left_out(item: object) -> None:
    """Tuples that are no text count the same whether allowed flows are read or not."""
    first = {"mac": "", "flowTuples": [item, "1542110402,10.0.0.1,10.0.0.2,1,2,U,O,A,B,,,,"]}
    inner = [first, {"mac": "", "flowTuples": [V2]}]
    document = nsg([])
    document["properties"]["flows"][0]["flows"] = inner
    everything, _ = read(document)
    denied, _ = read(document, denied_only=True)

    assert [flow.ordinal for flow in everything] == [1, 2]
    assert [flow.ordinal for flow in denied] == [2]


@pytest.mark.parametrize("tuples", [None, 5, "text", {"a": 1}, True])
def test_tuples_that_are_no_list(tuples: object) -> None:
    """`flowTuples` that is no list is bad; the rule beside it is read."""
    document = nsg([V2])
    document["properties"]["flows"].insert(0, {"rule": "x", "flows": [{"flowTuples": tuples}]})
    found, bad = read(document)

    assert [flow.text for flow in found] == [V2]
    assert bad


@pytest.mark.parametrize("flows_value", [None, 5, "text", {"a": 1}, [None], [5], [["x"]], ["x"]])
@pytest.mark.parametrize("version", [2, 4])
def test_flows_of_wrong_type(version: int, flows_value: object) -> None:
    """`flows` of another type is no crash and no flow, and is told."""
    if version == 2:
        document = nsg([V2]) | {"properties": {"Version": 2, "flows": flows_value}}
    else:
        document = vnet([V4]) | {"flowRecords": {"flows": flows_value}}
    found, bad = read(document)

    assert found == []
    assert bad
    assert all(piece.offset == 12 for piece in bad)


def test_null_flows_of_one_rule_cost_no_other_rule() -> None:
    """A rule with `"flows":null` beside a good one loses nothing of the good one."""
    document = nsg([V2])
    document["properties"]["flows"].append({"rule": "x", "flows": None})
    document["properties"]["flows"].append("no rule")
    document["properties"]["flows"].append({"rule": 5, "flows": [{"flowTuples": [V2_LATER]}]})
    found, bad = read(document)

    assert [(flow.text, flow.group.rule) for flow in found] == [(V2, "r"), (V2_LATER, "")]
    assert [(piece.reason, json.loads(piece.data)) for piece in bad] == [
        ("flows is not a list", {"rule": "x", "flows": None}),
        ("not an object with flows", "no rule"),
    ]


def test_a_record_full_of_bad_pieces_is_cut_short_in_words() -> None:
    """So many are kept, then one that says how many more there were; what is good is read."""
    found, bad = read(nsg([*["x"] * (MAX_BAD + 50), V2]))

    assert [flow.text for flow in found] == [V2]
    assert len(bad) == MAX_BAD + 1
    assert [piece.data for piece in bad] == [b"x"] * MAX_BAD + [b""]
    assert bad[-1].offset == 12
    assert bad[-1].reason != bad[0].reason
    assert sum(piece.count for piece in bad) == MAX_BAD + 50


def test_a_record_that_is_read_leniently_keeps_whose_it_is() -> None:
    """One odd rule costs neither the NSG nor the interface of the others."""
    whose = {"resourceId": "/S/NETWORKSECURITYGROUPS/Other", "macAddress": "00-0d-3a-00-00-0a"}
    document = nsg([V2]) | whose
    document["properties"]["flows"].append("no rule")
    del document["properties"]["flows"][0]["flows"][0]["mac"]
    (flow,), _ = read(document)

    assert flow.group.acl_group == "/s/networksecuritygroups/other"
    assert flow.group.record.target == "/s/networksecuritygroups/other"
    assert flow.group.record.time == document["time"]
    assert flow.group.mac == "000D3A00000A"


@pytest.mark.parametrize("key", ["time", "macAddress", "resourceId"])
@pytest.mark.parametrize("value", [None, 5, ["x"], {"a": 1}, True])
def test_record_field_of_wrong_type_is_as_if_missing(key: str, value: object) -> None:
    """A field of another type than it should have costs the field, not the flows."""
    found, bad = read(nsg([V2]) | {key: value})

    assert [flow.text for flow in found] == [V2]
    assert bad == []


@pytest.mark.parametrize("version", [0, 3, 5, -2, 99, 10**30, None, "x", [2], 2.5, True])
def test_unknown_version_of_an_nsg_log(version: object) -> None:
    """A record of an unknown version is bad as a whole, not guessed at."""
    data = json.dumps(nsg([V2], version)).encode()
    found, bad = read(data)

    assert (found, [(piece.offset, piece.data) for piece in bad]) == ([], [(12, data)])
    assert "version" in bad[0].reason


@pytest.mark.parametrize("version", [1, 2, 3, 5, None, "four"])
def test_unknown_version_of_a_vnet_log(version: object) -> None:
    """VNet records are of version 4, and no other is read as if it were."""
    found, bad = read(vnet([V4], version))

    assert (found, len(bad)) == ([], 1)
    assert "version" in bad[0].reason


def test_version_4_of_an_nsg_log_is_unknown() -> None:
    """An NSG record that says version 4 is not read in the VNet format."""
    found, bad = read(nsg([V2], 4))

    assert (found, len(bad)) == ([], 1)


@pytest.mark.parametrize("document", [{}, {"time": "t"}, {"properties": None}, {"properties": 5}])
def test_record_without_flows(document: object) -> None:
    """An object that is no flow-log record is bad as a whole."""
    found, bad = read(document)

    assert (found, [piece.data for piece in bad]) == ([], [json.dumps(document).encode()])


def test_invalid_utf8_in_a_rule() -> None:
    """Bytes that are no UTF-8 are replaced; the flow is kept."""
    data = json.dumps(nsg([V2])).encode().replace(b'"rule": "r"', b'"rule": "a\xff\xfeb"')
    found, bad = read(data)

    assert [(flow.text, flow.group.rule) for flow in found] == [(V2, "a\ufffd\ufffdb")]
    assert bad == []


@pytest.mark.parametrize("denied_only", [False, True])
def test_invalid_utf8_in_a_tuple(denied_only: bool) -> None:
    """A tuple with bytes that are no UTF-8 is bad, and its neighbours are read."""
    broken = V2.replace("10.5.16.4", "??")
    data = json.dumps(nsg([V2, broken, V2_LATER])).encode().replace(b"??", b"\xff\xfe")
    found, bad = read(data, denied_only=denied_only)

    assert [(flow.ordinal, flow.text) for flow in found] == [(0, V2), (2, V2_LATER)]
    assert [piece.data.decode() for piece in bad] == [broken.replace("??", "\ufffd\ufffd")]


def test_lone_surrogates_in_a_rule() -> None:
    """A lone surrogate, which JSON can spell, is replaced, so that rows can be encoded."""
    data = json.dumps(nsg([V2])).encode().replace(b'"r"', b'"a\\ud800b"')
    ((flow,), bad) = read(data)

    flow.group.rule.encode()
    assert (flow.group.rule.replace("\ufffd", "?"), flow.text, bad) == ("a?b", V2, [])


@pytest.mark.parametrize("denied_only", [False, True])
def test_lone_surrogates_in_a_tuple(denied_only: bool) -> None:
    """A tuple with a lone surrogate is bad, and its neighbours are read."""
    broken = V2.replace("10.5.16.4", "\ud800")
    found, bad = read(nsg([V2, broken, V2_LATER]), denied_only=denied_only)

    assert [(flow.ordinal, flow.text) for flow in found] == [(0, V2), (2, V2_LATER)]
    assert len(bad) == 1


def test_nul_in_texts() -> None:
    """NULs are kept in rule names, and make an address impossible."""
    data = json.dumps(nsg([V2, V2.replace("10.5.16.4", "10.5.16.4\x00")])).encode()
    found, bad = read(data.replace(b'"r"', b'"a\\u0000b"'))

    assert ([flow.group.rule for flow in found], len(bad)) == (["a\x00b"], 1)


@pytest.mark.parametrize(
    "hole", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000]
)
def test_deep_nesting(hole: bytes) -> None:
    """A record nested too deep is no crash: it is read, or bad as a whole."""
    data = b'{"deep":' + hole + b"," + json.dumps(nsg([V2])).encode()[1:]
    found, bad = read(data)

    assert (len(found), len(bad)) in ((1, 0), (0, 1))


def test_number_of_many_digits() -> None:
    """A number too long to convert is no crash: the record is read, or bad as a whole."""
    data = json.dumps(nsg([V2])).encode()
    for broken in (
        data.replace(b'"Version": 2', b'"Version": ' + b"2" * 10_000),
        data.replace(b'{"time"', b'{"x":' + b"2" * 10_000 + b',"time"'),
    ):
        found, bad = read(broken)
        assert (len(found), len(bad)) in ((1, 0), (0, 1))


def test_huge_tuple_is_bad_not_slow() -> None:
    """A megabyte where a tuple belongs is bad, and its neighbours are read."""
    found, bad = read(nsg([V2, "9" * 1_000_000, "," * 1_000_000, V2_LATER]))

    assert ([flow.ordinal for flow in found], len(bad)) == ([0, 3], 2)


def test_reason_names_rule_and_tuple() -> None:
    """The reason says which tuple of which rule and what is wrong with it."""
    _, bad = read(nsg([V2.replace("443", "99999")]))

    assert bad[0].reason == "tuple 0 of the record, rule 'r': impossible port '99999'"


@pytest.mark.parametrize(("record", "denied"), [(nsg, V2), (vnet, V4)], ids=["v2", "v4"])
@pytest.mark.parametrize("odd", ["nonsense", "cut,short", "", "D", "a,b,c,d,e,f,g,h,i,j"])
@pytest.mark.parametrize("place", [0, 1, 2, 30, 60])
def test_what_makes_no_sense_beside_a_denied_flow_is_told(
    record: Any, denied: str, odd: str, place: int
) -> None:
    """Wherever it stands among allowed ones: it may have been a denied flow."""
    allowed = denied.replace(",D,B", ",A,B").replace(",I,D,NX", ",I,B,NX")
    for more in (0, 300):  # what is read of a usual update, and more
        tuples = [allowed] * 30 + [denied] + [allowed] * 30
        tuples.insert(place, odd)
        found, bad = read(record(tuples + [allowed] * more), denied_only=True)
        assert [flow.ordinal for flow in found] == [31 if place <= 30 else 30]
        assert [piece.data for piece in bad] == [odd.encode()]
