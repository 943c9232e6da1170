"""Columns of tuples hold what flows read one by one hold."""

import csv
import io
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.distinct import distinct_log
from nsgflow_core.cli import flow_csv
from nsgflow_core.cli.harmless import inert
from nsgflow_core.cli.text import lines, text_of
from nsgflow_core.logs import columns, flows
from nsgflow_core.logs.columns import Place, Placed
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.tuples import TupleList
from nsgflow_core.model import Bad, BlobRef, Flow, Group, Record, flow_time
from nsgflow_core.sinks import rows

REF = BlobRef("account", "container", "path")
LOG = LogPath("nsg", "/x/NETWORKSECURITYGROUPS/WEB", datetime(2026, 1, 1, tzinfo=UTC), "00")
PLACES = {
    version: Place(REF, Group(Record(7, 9, "T", version, "target"), "acl", "WEB", "rule", "mac"))
    for version in (1, 2, 4)
}
GOOD = {
    1: "1542110402,192.0.2.1,10.5.16.4,1024,22,T,I,D",
    2: "1542110402,192.0.2.1,10.5.16.4,1024,22,U,O,A,E,5,500,4,4000",
    4: "1542110402000,192.0.2.1,10.5.16.4,1024,22,6,I,B,NX,0,0,18446744073709551,1",
}
FIELDS = [
    "0", "00", "07", "7", "", "22", "65535", "65536", "9223372036854775807", "9223372036854775808",
    "1542110402", "1542110402000", "154211040", "01542110402", "253402300799999", "99999999999999",
    "192.0.2.1", "192.0.2.256", "192.0.02.1", "1..2.3", "1.2.3", "1.2.3.4.5", "2001:DB8::1", "::",
    "T", "U", "6", "06", "17", "255", "256", "I", "O", "A", "B", "C", "D", "E", "NX", "X_1", "-1",
    "+1", " 1", "1e3", "\u0661", "\x00", '"', "\\", "null", "1.0",
]  # fmt: skip


@st.composite
def texts(draw: st.DrawFn, version: int) -> str:
    """A tuple with some of its fields exchanged, left out, or added."""
    fields = GOOD[version].split(",")
    if version == 1 and draw(st.booleans()):
        fields = GOOD[2].split(",")
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        at = draw(st.integers(0, len(fields) - 1))
        fields[at : at + 1] = draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=1))
    return ",".join(fields[: draw(st.sampled_from((13, 13, 13, 12, 8)))])


@st.composite
def lists(draw: st.DrawFn) -> list[TupleList]:
    """Lists of tuples of any version."""
    found = []
    for version in draw(st.lists(st.sampled_from((1, 2, 4)), min_size=1, max_size=3)):
        made = draw(st.lists(texts(version), min_size=1, max_size=4))
        found.append(TupleList(PLACES[version].group, range(3, 3 + len(made)), made))
    return found


def placed(found: Sequence[TupleList], bad: list[Bad]) -> list[Placed]:
    """The tuples of lists, in their order."""
    return list(
        chain.from_iterable(
            columns.placed(each, PLACES[each.group.record.version], bad) for each in found
        )
    )


@given(lists())
@settings(deadline=None, max_examples=600)
@example([TupleList(PLACES[1].group, (0, 1), (GOOD[1], GOOD[2]))])
@example([TupleList(PLACES[2].group, (0,), (GOOD[2].replace("192.0.2.1", "::FFFF"),))])
@example([TupleList(PLACES[v].group, (0,), (GOOD[v],)) for v in (1, 2, 4)])
def test_finds_what_flows_read_alone_hold(found: list[TupleList]) -> None:
    """Fields, places and texts are the same, and so is what cannot be read."""
    expected_bad: list[Bad] = []
    expected = [
        flow
        for each in found
        for flow in columns.read_flows([each], expected_bad, denied_only=False)
    ]
    bad: list[Bad] = []
    items = placed(found, bad)
    made = columns.read(items, lambda _, piece: bad.append(piece)).flows() if items else []

    assert sorted(piece.data for piece in bad) == sorted(piece.data for piece in expected_bad)
    assert made == expected


@given(lists())
@settings(deadline=None, max_examples=300)
def test_what_was_read_is_read_once_more(found: list[TupleList]) -> None:
    """Flows whose fields were let go are the same again, whole and in part."""
    for part in columns.read_lists(found, partial(Place, REF), [], denied_only=False):
        again = part.unread()
        assert again.read().flows() == part.flows()
        assert columns.joined([again[:1], again[1:]]).read().flows() == part.flows()


@pytest.mark.parametrize("version", [2, 4])
def test_rows_and_lines_are_those_of_flows(version: Any) -> None:
    """From a whole log: what columns show is what each flow alone shows."""
    data = distinct_log(3, 300, 0.3, version)
    reading = flows.read_stretch(data, 0, REF, LOG, last=True, denied_only=False)
    read = list(chain(*reading.flows))
    places = {flow.group: Place(REF, flow.group) for flow in read}
    items = [(flow.time_ms, places[flow.group], flow.ordinal, flow.text) for flow in read]
    random.Random(1).shuffle(items)
    by_text = {flow.text: flow for flow in read}
    made = columns.read(items, lambda _, piece: pytest.fail(piece.reason))
    encode = rows.encoder(REF)

    ordered = [by_text[item[3]] for item in items]
    made_rows = rows.lines_of()(made).split("\n")[:-1]
    assert made_rows == [encode(flow).decode() for flow in ordered]
    assert lines(made) == lines(columns.of_flows(ordered, [places[flow.group] for flow in ordered]))
    assert [row["FlowId"] for row in map(decoded, made_rows)] == [
        rows.flow_id(REF, flow) for flow in ordered
    ]


def line(found: Flow, place: Place) -> str:
    """A line as the head of `text` describes it, of one flow alone."""
    record, group = place.group.record, place.group
    protocol = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp"}.get(found.protocol, found.protocol)
    sent, sent_bytes, received, received_bytes = (
        "" if counter is None else counter for counter in found.counters
    )
    words: list[object] = [record.time, place.nsg, group.rule, "D" if found.denied else "A"]
    words += [found.direction_code, found.src, protocol, found.src_port, found.dst, found.dst_port]
    words += [found.state, f"src2dst: {sent}/{sent_bytes}", f"dst2src: {received}/{received_bytes}"]
    if record.version == 1:
        words = [*words[:6], *words[7:10]]
    return " ".join("" if word is None else str(word) for word in words)


def row(found: Flow, place: Place) -> list[str]:
    """Some cells of a flow's row as CSV, and their order, of one flow alone."""
    numbers = (found.src_port, found.dst_port, *found.counters)
    texts = ["" if number is None else str(number) for number in numbers]
    return [flow_time(found.time_ms), rows.flow_id(place.ref, found), found.src, found.dst, *texts]


CELLS = (
    *("FlowTime", "FlowId", "SrcIp", "DestIp", "SrcPort", "DestPort"),
    *("PacketsSrcToDest", "BytesSrcToDest", "PacketsDestToSrc", "BytesDestToSrc"),
)


@given(lists(), st.randoms())
@settings(deadline=None)
@example([TupleList(PLACES[v].group, (0, 1), (GOOD[v], GOOD[v])) for v in (1, 2, 4)], Random(1))
def test_each_flow_is_written_as_it_would_be_alone(found: list[TupleList], rng: Random) -> None:
    """Lines, CSV and JSON of flows of all versions, in any order."""
    items = placed(found, [])
    rng.shuffle(items)
    if not items:
        return
    made = columns.read(items, lambda _, __: None)
    if not made.texts:
        return
    alone = list(zip(made.flows(), made.places, strict=True))

    assert lines(made) == [line(flow, place) for flow, place in alone]
    assert text_of(made) == "".join(f"{line(flow, place)}\n" for flow, place in alone)
    text = flow_csv.header() + flow_csv.writer()(made)
    shown = list(csv.DictReader(io.StringIO(text)))
    assert [[one[name] for name in CELLS] for one in shown] == [row(*one) for one in alone]
    encoded = [json.loads(one) for one in rows.lines_of()(made).split("\n")[:-1]]
    assert [[one[name] for name in CELLS[4:]] for one in encoded] == [
        [flow.src_port, flow.dst_port, *flow.counters] for flow, _ in alone
    ]
    for one, as_csv in zip(encoded, shown, strict=True):
        as_text = {key: "" if value is None else str(value) for key, value in one.items()}
        assert {key: inert(value) for key, value in as_text.items()} == as_csv


def decoded(row: str) -> dict[str, Any]:
    """A row as a mapping."""
    found: dict[str, Any] = json.loads(row)
    return found
