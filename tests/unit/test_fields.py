"""Tuples taken apart at once hold what each holds that is read alone."""

from collections.abc import Sequence
from ipaddress import ip_address
from itertools import product
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nsgflow_core.logs import columns, fields
from nsgflow_core.logs.columns import read_flows
from nsgflow_core.logs.fields import TOGETHER, fields_of, numbers_of
from nsgflow_core.logs.tuples import TupleList
from nsgflow_core.model import Bad, Flow, Group, Record

GOOD = {
    1: "1542110402,192.0.2.1,10.5.16.4,1024,22,T,I,D",
    2: "1542110402,192.0.2.1,10.5.16.4,1024,22,U,O,A,E,5,500,4,4000",
    4: "1542110402000,192.0.2.1,10.5.16.4,1024,22,6,I,B,NX,0,0,18446744073709551,1",
}
ODD = [
    "0", "00", "07", "-0", "-1", "+1", " 1", "1 ", "1\t", "\n1", "1.0", "1e3", "1E3", "0x10", "1_0",
    "65535", "65536", "9223372036854775807", "9223372036854775808", "9" * 30, "253402300799999",
    "253402300800000", "1542110402", "99999999999", "100000000000", "253402300800",
    "192.0.2.1", "192.0.2.256", "192.0.02.1", "1..2.3", "1.2.3",
    "1.2.3.4.5", "2001:DB8::1", "2001:db8::1", "::", "::ffff:1.2.3.4", "[::1]", "fe80::1%eth0",
    "T", "U", "6", "06", "17", "255", "256", "I", "O", "A", "B", "C", "D", "E", "X", "NX", "d", "",
    "\u0661", "\u00e4", "\0", "\0,", ",\0,", "\x00,D", '"', '\\"', "\\", "]", "[", "],[", "{}",
    "1]", "[1", "null", "true", "NaN", "Infinity", "1,2", ",", ",,", ",D,", "\ufffd", "\u2028",
]  # fmt: skip


@st.composite
def texts(draw: st.DrawFn, version: int) -> str:
    """A tuple with some of its fields exchanged, left out, or added."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(st.text(max_size=9), st.sampled_from(ODD)))
    fields = GOOD[2 if version == 1 and draw(st.booleans()) else version].split(",")
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        at = draw(st.integers(0, len(fields)))
        fields[at : at + draw(st.integers(0, 1))] = [draw(st.sampled_from(ODD))]
    return ",".join(fields[: draw(st.sampled_from((14, 14, 14, 13, 13, 12, 9, 8, 7)))])


@st.composite
def lists(draw: st.DrawFn) -> list[TupleList]:
    """Lists of tuples, of one version or several."""
    found: list[TupleList] = []
    versions = draw(st.sampled_from(((1,), (2,), (4,), (1, 2), (4, 4), (2, 4))))
    for number, version in enumerate(versions):
        made = draw(st.lists(texts(version), min_size=1, max_size=5))
        group = Group(Record(7, 9, "T", version, "target"), "acl", "WEB", f"rule{number}", "mac")
        found.append(TupleList(group, range(3, 3 + len(made)), made))
    return found


def alone(found: Sequence[TupleList], bad: list[Bad]) -> list[Flow]:
    """The flows of lists, each tuple read alone."""
    with patch.object(columns, "fields_of", return_value=None):
        return read_flows(found, bad, denied_only=False)


def of_v4(*made: str) -> list[TupleList]:
    """A list of a VNet log."""
    return [TupleList(Group(Record(0, 1, "", 4, ""), "", "", "", ""), range(len(made)), made)]


FIRST_EIGHT = ",".join(GOOD[4].split(",")[:8])
LAST_FOUR = ",".join(GOOD[4].split(",")[9:])


@given(lists())
@settings(deadline=None, max_examples=1500)
@example(of_v4(FIRST_EIGHT, f"{LAST_FOUR},\0,{GOOD[4]}"))  # two that fit where three would
@example(of_v4(FIRST_EIGHT, f"{LAST_FOUR},x,{GOOD[4]}"))
@example(of_v4(f"{GOOD[4]},\0,{GOOD[4]}"))
@example(of_v4(GOOD[4].replace("NX", "\0"), GOOD[4]))
@example(of_v4(GOOD[4].replace(",22,", ",null,")))
@example(of_v4(GOOD[4].replace("1542110402000", "")))
@example(of_v4(FIRST_EIGHT, FIRST_EIGHT))
@example(of_v4(GOOD[4].removesuffix(",1"), GOOD[4], GOOD[4] + ",1"))  # as many fields in all
def test_the_same_flows_and_the_same_bad_pieces(found: list[TupleList]) -> None:
    """What is read at once is what is read one by one, whatever stands in the fields."""
    expected_bad: list[Bad] = []
    bad: list[Bad] = []

    assert read_flows(found, bad, denied_only=False) == alone(found, expected_bad)
    assert bad == expected_bad


@pytest.mark.parametrize("version", [1, 2, 4])
def test_any_odd_value_in_any_field(version: int) -> None:
    """Each field exchanged for each odd value, amid good tuples."""
    group = Group(Record(7, 9, "T", version, "target"), "acl", "WEB", "rule", "mac")
    good = GOOD[version]
    fields = good.split(",")
    for at, value in product(range(len(fields)), ODD):
        broken = ",".join([*fields[:at], value, *fields[at + 1 :]])
        each = TupleList(group, range(3), (good, broken, good))
        expected_bad: list[Bad] = []
        bad: list[Bad] = []

        assert read_flows([each], bad, denied_only=False) == alone([each], expected_bad), broken
        assert bad == expected_bad, broken


@pytest.mark.parametrize("version", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 2, TOGETHER, 2 * TOGETHER + 1])
def test_usual_tuples_are_read_at_once(version: int, count: int) -> None:
    """As Azure writes them, none is read alone; each has its place and its text."""
    group = Group(Record(7, 9, "T", version, "target"), "acl", "WEB", "rule", "mac")
    each = TupleList(group, range(3, 3 + count), [GOOD[version]] * count)
    with patch.object(columns, "_one_by_one", side_effect=AssertionError):
        found = read_flows([each], [], denied_only=False)

    assert [(flow.group, flow.ordinal, flow.text) for flow in found] == [
        (group, ordinal, GOOD[version]) for ordinal in each.ordinals
    ]
    assert found == alone([each], [])


def test_numbers_are_there_as_written() -> None:
    """Those that are missing are empty, and None in a flow."""
    v1, v2 = GOOD[1], GOOD[2]
    found = fields_of([v1, v2], vnet=False)

    assert found is not None
    assert list(found.numbers[3]) == ["", "500"]
    assert numbers_of(found.numbers[3]) == [None, 500]
    assert numbers_of(found.numbers[0]) == [1024, 1024]
    assert list(found.detail) == ["", "E"]


def sources(ends: Sequence[str]) -> list[str]:
    """The sources of flows from some ends."""
    found = fields_of([GOOD[4].replace("192.0.2.1", end) for end in ends], vnet=True)
    assert found is not None
    return list(found.src)


@pytest.mark.parametrize("form", ["192.0.2.{}", "2001:DB8::{}", "::ffff:192.0.2.{}"])
def test_addresses_that_come_again_are_the_same_texts(form: str) -> None:
    """In canonical form, known or not."""
    ends = [form.format(number) for number in range(200)] + ["192.0.2.1"]
    with patch.object(fields, "_KNOWN", {}):
        for _ in range(2 * fields._SAMPLED):
            found = sources(ends)
            assert found == [ip_address(end).compressed for end in ends]

        assert list(map(id, sources(ends))) == list(map(id, found))


def test_a_limited_number_of_addresses_is_remembered() -> None:
    """However many there are."""
    known: dict[str, str] = {}
    with patch.object(fields, "_KNOWN", known), patch.object(fields, "_MOST_KNOWN", 500):
        for number in range(2000):
            sources([f"10.0.{number // 256}.{number % 256}"] * 2 + ["192.0.2.1"] * 60)
        assert 0 < len(known) < 600
