"""Invariants of records.split over any log, any damage and any cut into reads."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.logs import records

HEAD = b'{"records":['
CLOSER = b"]}"
TUPLE = "1542110402,192.0.2.190,10.5.16.4,28746,443,U,I,D,B,,,,"

spaces = st.text(" \t\r\n", max_size=3)
names = st.text(max_size=8)


def _nsg(rule: str) -> dict[str, Any]:
    flows = [{"mac": "000D3AF87856", "flowTuples": [TUPLE]}]
    return {
        "time": "2018-11-13T12:00:35.3899262Z",
        "systemId": "s",
        "resourceId": "/A",
        "properties": {"Version": 2, "flows": [{"rule": rule, "flows": flows}]},
    }


def _vnet(rule: str) -> dict[str, Any]:
    groups = [{"rule": rule, "flowTuples": [TUPLE]}]
    return {
        "time": "2022-09-14T09:00:52.5625085Z",
        "flowLogVersion": 4,
        "macAddress": "00224871C205",
        "flowRecords": {"flows": [{"aclID": "a", "flowGroups": groups}]},
    }


@st.composite
def record_texts(draw: st.DrawFn) -> bytes:
    """The JSON of one record: either kind, keys in any order, any white space, any rule name."""
    document = draw(st.sampled_from((_nsg, _vnet)))(draw(names))
    ordered = {key: document[key] for key in draw(st.permutations(list(document)))}
    gap = draw(spaces)
    indent = draw(st.sampled_from((None, 2)))
    separators = (f"{gap},", f":{gap}")
    escaped = draw(st.booleans())
    return json.dumps(ordered, indent=indent, separators=separators, ensure_ascii=escaped).encode(
        errors="replace"
    )


@st.composite
def damage(draw: st.DrawFn) -> bytes:
    """Something between records that is none: never the first half of a text or of a record key."""
    whole = draw(record_texts())
    return draw(
        st.one_of(
            st.integers(1, len(whole) - 1).map(lambda cut: whole[:cut]),
            st.sampled_from((b"\x00\x01\xff", b"}]}", b"nul", b"[[", b"\xc3\x28", b"!")),
            st.binary(min_size=1, max_size=20).filter(lambda data: not set(data) & set(b'{}[]"')),
        )
    )


@given(st.lists(record_texts(), max_size=6), spaces, spaces, st.booleans(), st.integers(0, 2**40))
@settings(deadline=None)
def test_good_records_come_back_whole(
    whole: list[bytes],
    before: str,
    after: str,
    wrapped: bool,
    at: int,
) -> None:
    """Any log gives its records in order, each text exactly where its offsets say."""
    joined = f"{before},{after}".encode().join(whole)
    data = HEAD + before.encode() + joined + after.encode() + CLOSER if wrapped else joined
    found = records.split(data, at, last=True)

    assert [bytes(record.data) for record in found.records] == whole
    assert [data[record.offset - at : record.end - at] for record in found.records] == whole
    assert found.bad == []
    assert found.end == (found.records[-1].end if whole else at)


@given(st.lists(record_texts(), min_size=1, max_size=5), st.data())
@settings(deadline=None)
def test_two_reads_find_what_one_finds(whole: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere, the first read and one that goes on at its end find the same records."""
    blob = HEAD + b",".join(whole) + CLOSER
    cut = data.draw(st.integers(0, len(blob)))
    one = records.split(blob, 0, last=True)
    first = records.split(blob[:cut], 0, last=False)
    second = records.split(blob[first.end :], first.end, last=True)

    def places(*stretches: records.Stretch) -> list[tuple[int, bytes]]:
        return [(record.offset, bytes(record.data)) for s in stretches for record in s.records]

    assert first.end <= cut
    assert places(first, second) == places(one)
    assert first.bad + second.bad == []


@given(st.lists(record_texts(), min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_an_open_tail_is_never_passed(whole: list[bytes], data: st.DataObject) -> None:
    """`end` is behind the last whole record and never past the `{` of an unfinished one."""
    before = HEAD + b"".join(text + b"," for text in whole[:-1])
    cut = data.draw(st.integers(1, len(whole[-1]) - 1))
    found = records.split(before + whole[-1][:cut], 0, last=False)

    assert [bytes(record.data) for record in found.records] == whole[:-1]
    assert found.bad == []
    assert found.end <= len(before)


@given(st.lists(st.tuples(record_texts(), st.lists(damage(), max_size=2)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=200)
def test_damage_between_records_costs_none(parts: list[tuple[bytes, list[bytes]]]) -> None:
    """Truncated records and binary between good ones lose no good one; `end` is the closer's."""
    elements = [piece for whole, pieces in parts for piece in (*pieces, whole)]
    whole = [text for text, _ in parts]
    blob = HEAD + b",".join(elements) + CLOSER
    found = records.split(blob, 0, last=True)

    texts = [bytes(record.data) for record in found.records]
    assert [text for text in texts if text in whole] == whole
    assert [blob[record.offset : record.end] for record in found.records] == texts
    assert found.end == len(blob) - len(CLOSER)
    assert all(blob[bad.offset :].startswith(bad.data) for bad in found.bad)


@given(st.lists(record_texts(), min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_nested_wrapper_anywhere(whole: list[bytes], data: st.DataObject) -> None:
    """A stretch of the records wrapped once more gives the same records, in place."""
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, len(whole)))
    inner = HEAD + b",".join(whole[first:last]) + CLOSER
    blob = HEAD + b",".join([*whole[:first], inner, *whole[last:]]) + CLOSER
    found = records.split(blob, 0, last=True)

    assert [bytes(record.data) for record in found.records] == whole
    assert [blob[record.offset : record.end] for record in found.records] == whole
    assert found.bad == []


@given(st.binary(max_size=300), st.booleans())
@settings(deadline=None)
def test_any_bytes_are_no_crash(data: bytes, last: bool) -> None:
    """No bytes whatever make it raise, and `end` lies within what was read."""
    found = records.split(data, 1000, last=last)

    assert 1000 <= found.end <= 1000 + len(data)
