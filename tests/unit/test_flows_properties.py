"""Invariants of flows.read, and of the FlowId, over any record."""

import json
import random
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devtools import flowlogs
from devtools.nic import Nic
from nsgflow_core.logs import flows
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import Bad, BlobRef, Flow
from nsgflow_core.sinks import rows

pytestmark = pytest.mark.usefixtures("picked_or_judged")
HOUR = datetime(2018, 11, 13, 12, tzinfo=UTC)
LOG = LogPath("nsg", "/SUBSCRIPTIONS/S/NETWORKSECURITYGROUPS/WEB", HOUR, "00AA00AA00AA")
REF = BlobRef("acct", "container", "path/PT1H.json")
LARGE = 400
"""So many tuples are more than are judged whole."""

nsg_tuples = st.builds(
    "{},192.0.2.{},10.5.16.4,{},{},{},{},{},{}".format,
    st.integers(1542110402, 1542110405),
    st.integers(1, 3),
    st.integers(1024, 1026),
    st.sampled_from((22, 443)),
    st.sampled_from("TU"),
    st.sampled_from("IO"),
    st.sampled_from("AAD"),
    st.sampled_from(("B,,,,", "E,1,66,1,66")),
)
v4_tuples = st.builds(
    "{},192.0.2.{},10.5.16.4,{},{},{},{},{},{},0,0,0,0".format,
    st.integers(1663145998065, 1663145998067),
    st.integers(1, 3),
    st.integers(1024, 1026),
    st.sampled_from((22, 443)),
    st.sampled_from((6, 17)),
    st.sampled_from("IO"),
    st.sampled_from("BCED"),
    st.sampled_from(("NX", "X", "NX_LOCAL_DST")),
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[list[str]], dict[str, Any]]:
    """Groups of tuples, small or large, mixed or not, and the record that holds them."""
    version = draw(st.sampled_from((2, 4)))
    tuples = nsg_tuples if version == 2 else v4_tuples
    groups: list[list[str]] = []
    for _ in range(draw(st.integers(0, 4))):
        group = draw(st.lists(tuples, max_size=6))
        large = draw(st.booleans())
        if group and large:
            filler = draw(tuples)
            at = draw(st.integers(0, len(group)))
            group = [*group[:at], *[filler] * LARGE, *group[at:]]
        groups.append(group)
    if version == 2:
        lists = [{"rule": f"D,D{n}", "flows": [{"flowTuples": g}]} for n, g in enumerate(groups)]
        return groups, {"properties": {"Version": 2, "flows": lists}}
    rules = [{"flowTuples": g, "rule": f"D,D{n}"} for n, g in enumerate(groups)]
    records = {"flows": [{"aclID": "a", "flowGroups": rules}]}
    return groups, {"flowLogVersion": 4, "flowRecords": records}


def escaped(data: bytes, rng: random.Random, characters: str) -> bytes:
    """The JSON with some characters of the tuples, which begin with a digit, spelt as escapes."""

    def spell(found: re.Match[str]) -> str:
        return "".join(
            f"\\u{ord(char):04x}" if char in characters and rng.random() < 0.2 else char
            for char in found[0]
        )

    return re.sub(r'(?<=")\d[^"]*(?=")', spell, data.decode()).encode()


def read(data: bytes, *, denied_only: bool, offset: int = 12) -> list[Flow]:
    """The flows of a record that must hold nothing bad."""
    bad: list[Bad] = []
    found = flows.read(RawRecord(offset, data), LOG, bad, denied_only=denied_only)
    assert bad == []
    return found


@given(documents(), st.sampled_from((None, 1)))
@settings(deadline=None, max_examples=150)
def test_all_tuples_are_read_in_order(
    made: tuple[list[list[str]], dict[str, Any]], indent: int | None
) -> None:
    """Every tuple of a record is a flow, in order, with its ordinal, text and decision."""
    groups, document = made
    found = read(json.dumps(document, indent=indent).encode(), denied_only=False)

    written = [text for group in groups for text in group]
    assert [(flow.ordinal, flow.text) for flow in found] == list(enumerate(written))
    assert [flow.denied for flow in found] == [text.split(",")[7] == "D" for text in written]


@given(documents(), st.sampled_from((None, 1)))
@settings(deadline=None, max_examples=200)
def test_denied_only_is_a_filter_and_no_more(
    made: tuple[list[list[str]], dict[str, Any]], indent: int | None
) -> None:
    """Leaving allowed flows out changes nothing about the denied ones."""
    _, document = made
    data = json.dumps(document, indent=indent).encode()

    everything = read(data, denied_only=False)
    assert read(data, denied_only=True) == [flow for flow in everything if flow.denied]


@given(documents(), st.randoms(use_true_random=False), st.sampled_from(("012345,", "BAIO", "D")))
@settings(deadline=None, max_examples=150)
def test_escapes_change_nothing(
    made: tuple[list[list[str]], dict[str, Any]], rng: random.Random, characters: str
) -> None:
    """JSON may spell any character as an escape, the D of a denied flow too."""
    plain = json.dumps(made[1]).encode()
    spelt = escaped(plain, rng, characters)
    expected = [(flow.ordinal, flow.text) for flow in read(plain, denied_only=False)]
    denied = [(number, text) for number, text in expected if text.split(",")[7] == "D"]

    for data in (plain, spelt):
        whole = read(data, denied_only=False)
        assert [(flow.ordinal, flow.text) for flow in whole] == expected
        only = read(data, denied_only=True)
        assert [(flow.ordinal, flow.text) for flow in only] == denied


@pytest.mark.parametrize("count", [1, LARGE])
def test_escaped_decision_is_seen(count: int) -> None:
    r"""A denied flow whose D is written `\u0044` is a denied flow."""
    text = "1542110402,192.0.2.190,10.5.16.4,28746,443,U,I,{},B,,,,"
    tuples = [text.format("A")] * count + [text.format("D")]
    inner = [{"rule": "r", "flows": [{"flowTuples": tuples}]}]
    document = {"properties": {"Version": 2, "flows": inner}}
    data = json.dumps(document).encode().replace(b",D,", b",\\u0044,")

    found = read(data, denied_only=True)
    assert [(flow.ordinal, flow.text) for flow in found] == [(count, text.format("D"))]


@given(
    st.lists(
        st.one_of(nsg_tuples, st.none(), st.integers(), st.just([]), st.text(max_size=20)),
        max_size=8,
    ),
    st.booleans(),
)
@example([None, "1542110402,192.0.2.1,10.5.16.4,1024,22,T,I,D,B,,,,"], True)  # noqa: FBT003
@settings(deadline=None, max_examples=200)
def test_bad_neighbours_change_no_denied_flow(items: list[object], large: bool) -> None:
    """Amid tuples of other types and nonsense the denied flows stay the same either way."""
    filler = ["1542110402,192.0.2.1,10.5.16.4,1024,22,T,I,A,B,,,,"] * (LARGE if large else 0)
    lists = [
        {"rule": "a", "flows": [{"flowTuples": [*filler, *items]}]},
        {"rule": "b", "flows": [{"flowTuples": [item for item in items if "D" not in str(item)]}]},
        {"rule": "c", "flows": [{"flowTuples": items}]},
    ]
    data = json.dumps({"properties": {"Version": 2, "flows": lists}}).encode()
    everything = flows.read(RawRecord(0, data), LOG, [], denied_only=False)
    denied = flows.read(RawRecord(0, data), LOG, [], denied_only=True)

    assert denied == [flow for flow in everything if flow.denied]


@given(st.lists(documents(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=60)
def test_flow_ids_are_unique_and_the_same_again(
    made: list[tuple[list[list[str]], dict[str, Any]]],
) -> None:
    """No two tuples of a blob share a FlowId, not even identical ones; a second read agrees."""

    def ids() -> list[str]:
        offset, found = 12, []
        for _, document in made:
            data = json.dumps(document).encode()
            found += [
                rows.flow_id(REF, flow) for flow in read(data, denied_only=False, offset=offset)
            ]
            offset += len(data) + 1
        return found

    first = ids()
    assert len(set(first)) == len(first)
    assert ids() == first


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("version", [1, 2, 4])
@pytest.mark.parametrize("tuples", [1, 50, 2000])
def test_generated_logs_agree_with_their_truth(version: Any, tuples: int, mixed: bool) -> None:
    """Records of the generator give the denied flows that were put into them."""
    made = flowlogs.random_record(
        Nic(), HOUR, random.Random(tuples), version=version, tuples=tuples, mixed=mixed
    )
    found = read(made.data, denied_only=True)

    assert [(flow.ordinal, flow.text, flow.group.rule, flow.dst_port) for flow in found] == [
        (flow.ordinal, flow.text, flow.rule, flow.port) for flow in made.denied
    ]
    assert read(made.data, denied_only=False)[-1].ordinal == tuples - 1
