"""flows.read_stretch finds what records.split and flows.read find, whatever the bytes."""

import json
import random
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devtools.flowlogs import large_log
from nsgflow_core.logs import flows, groups, records
from nsgflow_core.logs.flows import Reading
from nsgflow_core.logs.groups import Groups
from nsgflow_core.logs.lenient import clean
from nsgflow_core.logs.log_record import RECORD, RECORD_OF_TEXTS, UnreadableError
from nsgflow_core.logs.path import LogPath
from nsgflow_core.model import Bad, BlobRef, Flow

pytestmark = pytest.mark.usefixtures("picked_or_judged")
REF = BlobRef("account", "container", "path")
LOG = LogPath(
    "nsg", "/SUBSCRIPTIONS/S/NETWORKSECURITYGROUPS/WEB", datetime(2026, 1, 1, tzinfo=UTC), "00"
)
HEAD = b'{"records":['
CLOSER = b"]}"
ALLOWED = "1542110402,192.0.2.1,10.5.16.4,1024,22,T,I,A,B,,,,"
LARGE = 8
"""So many tuples more often than not are most of a record."""


GOOD = (
    b'{"time":"2026-01-01T00:00:02Z","properties":{"Version":2,"flows":[{"rule":"r","flows":'
    b'[{"flowTuples":["1542110402,192.0.2.1,10.5.16.4,1024,22,T,I,D,B,,,,"]}]}]}}'
)
OTHER = GOOD.replace(b'{"time"', b'{"category":"","time"')
INSIDE = GOOD[:-1] + b',"inside":' + GOOD + b"}"
BEHIND = GOOD[:-1] + b',"inside":[{},' + GOOD + b"]}"
"""With a beginning of a record behind an object and a comma, as one stands between two records."""
SPACES = b" " * 20


def general(data: bytes, at: int, *, last: bool, denied_only: bool) -> Reading[Flow]:
    """The slow way alone."""
    stretch = records.split(data, at, last=last)
    bad: list[Bad] = []
    found = [
        flow
        for raw in stretch.records
        for flow in flows.read(raw, LOG, bad, denied_only=denied_only)
    ]
    bad = sorted(stretch.bad + bad, key=lambda piece: piece.offset)
    last_record = bytes(stretch.records[-1].data) if stretch.records else b""
    read_to = flows.written_ms(last_record, LOG.hour)
    newest = time_of(stretch.records[-1]) if stretch.records else ""
    return Reading(found, bad, len(stretch.records), stretch.end, read_to, newest)


def time_of(raw: records.RawRecord) -> str:
    """The time of a record as written, "" where it has none."""
    try:
        doc = json.loads(bytes(raw.data).decode(errors="replace"))
    except (ValueError, RecursionError):
        return ""
    return clean(time) if isinstance(time := doc.get("time"), str) else ""


nsg_tuples = st.builds(
    "{},192.0.2.{},10.5.16.4,{},22,T,{},{},{}".format,
    st.sampled_from((1542110402, 1542110402001, "x", 10**13)),
    st.integers(1, 300),  # not all are addresses
    st.sampled_from((1024, "", 70000)),
    st.sampled_from("IO"),
    st.sampled_from("AAD"),
    st.sampled_from(("B,,,,", "E,1,66,1,66", "D")),
)
v4_tuples = st.builds(
    "1663145998065,192.0.2.{},10.5.16.4,1024,22,{},I,{},NX,0,0,0,0".format,
    st.integers(1, 3),
    st.sampled_from((6, 17)),
    st.sampled_from("BCED"),
)
odd = st.one_of(
    st.none(),
    st.integers(),
    st.sampled_from(("D", ",D", "\\", '"', '{"time":', "\u00e4,D,", [], {"time": 1}, [{"D": {}}])),
    st.text(max_size=12),
)
hidden = st.sampled_from(
    (None, 1, {"time": "2026-01-01T00:00:00Z"}, [{"time": "2026-01-01T00:00:00Z", "a": []}, {}])
)
"""Objects that begin as records do, where no record is."""


@st.composite
def tuple_lists(draw: st.DrawFn) -> Any:
    """A list of tuples: as Azure writes them, large, amid others, or none at all."""
    made: list[Any] = draw(st.lists(st.one_of(nsg_tuples, v4_tuples), max_size=4))
    kind = draw(st.sampled_from(("usual", "usual", "usual", "large", "odd", "none")))
    if kind == "large":
        made = [ALLOWED] * LARGE + made
    elif kind == "odd":
        made += draw(st.lists(odd, max_size=3))
    elif kind == "none":
        return draw(odd)
    return made


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """The JSON of a record of some version, in some order and spelling, with odd fields or not."""
    version = draw(st.sampled_from((1, 2, 2, 2, 4, 4, 4, 3, "2", None)))
    groups = draw(st.lists(tuple_lists(), max_size=3))
    time = draw(st.sampled_from(("2026-01-01T00:00:02Z", "2026-01-02T00:00:02Z", "", 5)))
    made: dict[str, Any] = {"time": time}
    if version in (1, 2, "2"):
        rules = [
            {"rule": f"D,D{n}", "flows": [{"mac": "0" * 12, "flowTuples": g}]}
            for n, g in enumerate(groups)
        ]
        made |= {"resourceId": "/A/NETWORKSECURITYGROUPS/B"}
        made |= {"properties": {"Version": version, "flows": rules}}
    else:
        lists = [{"rule": f"D,D{n}", "flowTuples": g} for n, g in enumerate(groups)]
        flow_records = {"flows": [{"aclID": "/a", "flowGroups": lists}]}
        made |= {"flowLogVersion": version, "flowRecords": flow_records}
    if draw(st.integers(0, 4)) == 0:
        made |= {draw(st.sampled_from(("extra", "records", "category"))): draw(hidden)}
    if draw(st.integers(0, 4)) == 0:
        made = {key: made[key] for key in draw(st.permutations(list(made)))}
    indent = draw(st.sampled_from((None, None, None, 1)))
    separators = draw(st.sampled_from(((",", ":"), (",", ":"), (", ", ": "))))
    text = json.dumps(made, indent=indent, separators=separators, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 6)) == 0:  # a second value of the same key hides the first
        text = text[:-1] + ',"flowRecords":' + json.dumps(draw(hidden)) + "}"
    return text.encode(errors="replace")


@st.composite
def elements(draw: st.DrawFn) -> bytes:
    """A record, or something that stands in its place."""
    whole = draw(documents())
    kind = draw(st.sampled_from(("whole",) * 8 + ("cut", "wrapped", "garbage", "number")))
    if kind == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    if kind == "wrapped":
        return HEAD + b",".join([whole, *draw(st.lists(documents(), max_size=2))]) + CLOSER
    if kind == "garbage":
        return draw(
            st.one_of(st.sampled_from((b"\xff", b"!", b"]}", b"[[", b"{")), st.binary(max_size=9))
        )
    if kind == "number":
        return b"17"
    return whole


separators = st.sampled_from((b",",) * 6 + (b"", b"\n,\n", b",,", b" ", b"\x0b"))


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Elements of a log, joined by what may stand between them, with head and closer or not."""
    first, *others = draw(st.lists(elements(), min_size=1, max_size=6))
    data = first + b"".join(draw(separators) + element for element in others)
    data = draw(st.sampled_from((HEAD, b",", b"", b" \n"))) + data
    return data + draw(st.sampled_from((CLOSER, CLOSER, b"", b",", b"\n]\n}\n")))


def stretch(data: bytes, at: int, *, last: bool, denied_only: bool) -> Reading[Flow]:
    """What is read at once, its flows made."""
    found = flows.read_stretch(data, at, REF, LOG, last=last, denied_only=denied_only)
    assert {place.ref for part in found.flows for place in part.places} <= {REF}
    made = list(chain(*found.flows))
    return Reading(made, found.bad, found.records, found.end, found.read_to, found.newest)


@given(logs(), st.booleans())
@settings(deadline=None, max_examples=100)
def test_who_takes_flows_sees_them_all(data: bytes, denied_only: bool) -> None:
    """Each once and in order, whether they are kept or not."""
    kept = stretch(data, 0, last=True, denied_only=denied_only)
    taken: list[Flow] = []
    found = flows.read_stretch(
        data,
        0,
        REF,
        LOG,
        last=True,
        denied_only=denied_only,
        take=taken.extend,
    )

    assert taken == kept.flows
    assert (found.flows, found.bad, found.end) == ([], kept.bad, kept.end)


@given(logs(), st.integers(0, 2**40), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=600)
@example(HEAD + GOOD + b" " + GOOD + b"\n" + CLOSER, 0, True, True)  # noqa: FBT003
@example(b"," + GOOD + b"\n,\n" + GOOD + b" \n", 5, False, True)  # noqa: FBT003
@example(HEAD + GOOD + b"," + OTHER + b"," + GOOD + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + INSIDE + b"," + OTHER + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + GOOD + b"," + INSIDE + b"," + OTHER + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + BEHIND + b"," + OTHER + b"," + GOOD + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + GOOD + b"," + BEHIND + b"," + OTHER + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + INSIDE + b"\n" + GOOD + OTHER + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + INSIDE.replace(b":{", b": \n{") + OTHER + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + (GOOD + b",") * 99 + INSIDE + OTHER + b"," + GOOD, 0, False, True)  # noqa: FBT003
@example(HEAD + (GOOD + b",") * 999 + GOOD[:-9], 0, False, True)  # noqa: FBT003
@example(
    b'{"records":' + SPACES + b'5},{"records":' + SPACES + b"[" + GOOD + CLOSER + CLOSER,
    0,
    True,  # noqa: FBT003
    True,  # noqa: FBT003
)
@example(HEAD + GOOD + b"," + HEAD + GOOD + CLOSER + b"," + GOOD + CLOSER, 0, True, True)  # noqa: FBT003
@example(HEAD + GOOD + GOOD + b"," + HEAD + GOOD + CLOSER + CLOSER, 0, True, True)  # noqa: FBT003
def test_finds_what_the_slow_way_finds(data: bytes, at: int, last: bool, denied_only: bool) -> None:
    """Flows with their places and texts, bad pieces, the count and the end: all are the same."""
    found = stretch(data, at, last=last, denied_only=denied_only)
    expected = general(data, at, last=last, denied_only=denied_only)

    if b'"records"' in data[len(HEAD) :] and found.end != expected.end:
        # Before the closing of a wrapper or behind it: reading goes on at the same byte.
        ends = [records.behind_nothing(data, each.end - at) for each in (found, expected)]
        assert ends[0] == ends[1]
        found = msgspec.structs.replace(found, end=expected.end)
    assert found == expected


@given(documents())
@settings(deadline=None, max_examples=300)
def test_texts_and_bytes_of_a_record_give_the_same(data: bytes) -> None:
    """Whether tuples become texts at once or stay bytes changes nothing that is found."""
    found: list[Any] = []
    for decode in (RECORD.decode, RECORD_OF_TEXTS.decode):
        try:
            with patch.object(groups, "JUDGED", 0):
                read = Groups(LOG, None, denied_only=True)
            lists = read.lists(decode(data), 7, 9)
            found.append([(each.group, list(each.ordinals), list(each.texts)) for each in lists])
        except msgspec.ValidationError:  # not all are texts
            return
        except UnreadableError as exc:
            found.append(str(exc))

    assert found[0] == found[1]


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_records_of_any_length(draws: st.DataObject) -> None:
    """Long records between short ones, cut anywhere: none is missed, and all lie where they say."""
    lengths = draws.draw(st.lists(st.sampled_from((0, 1, 2, 3, 50)), min_size=1, max_size=9))
    made = [
        {
            "time": "2026-01-01T00:00:02Z",
            "properties": {
                "Version": 2,
                "flows": [{"rule": "r", "flows": [{"flowTuples": [ALLOWED] * length}]}],
            },
        }
        for length in lengths
    ]
    data = HEAD + b",".join(json.dumps(record).encode() for record in made) + CLOSER
    data = data[: draws.draw(st.integers(0, len(data)))]

    for last in (False, True):
        found = stretch(data, 7, last=last, denied_only=False)
        assert found == general(data, 7, last=last, denied_only=False)


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("tuples", [1, 40, 2000])
def test_logs_as_azure_writes_them_are_read_once(version: Any, tuples: int) -> None:
    """The fast way reads all of them: the slow one has nothing left to do."""
    data = large_log(20, tuples, 0.2, version, seed=random.Random(1).randrange(9))
    expected = general(data, 0, last=True, denied_only=True)
    assert expected.records == 20

    with patch.object(flows, "_lists_of", side_effect=AssertionError):
        assert stretch(data, 0, last=True, denied_only=True) == expected
