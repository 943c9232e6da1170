"""records.split amid unfinished, cut and hostile bytes: the good records still come back."""

import time
import tracemalloc

import pytest

from nsgflow_core.logs import records
from nsgflow_core.logs.records import Stretch

HEAD = b'{"records":['
CLOSER = b"]}"
NSG = b'{"time":"2018-11-13T12:00:35.3899262Z","properties":{"Version":2,"flows":[]}}'
VNET = b'{"time":"2022-09-14T09:00:52.5625085Z","flowLogVersion":4,"flowRecords":{"flows":[]}}'
CUT = b'{"time":"2018-11-13T12:01:35.3899262Z","properties":{"Version":2,"flows":[{"rul'


def texts(stretch: Stretch) -> list[bytes]:
    """The JSON texts of the records found."""
    return [bytes(record.data) for record in stretch.records]


def pieces(stretch: Stretch) -> list[tuple[int, bytes]]:
    """Offset and bytes of the bad pieces found."""
    return [(piece.offset, piece.data) for piece in stretch.bad]


@pytest.mark.parametrize("last", [False, True])
def test_unfinished_tail_waits(last: bool) -> None:
    """A record that is not whole yet is neither read nor bad, and the place stays before it."""
    found = records.split(b"," + NSG + b"," + CUT, 12, last=last)

    assert (texts(found), found.bad) == ([NSG], [])
    assert found.end <= 12 + 1 + len(NSG) + 1
    assert found.end >= 12 + 1 + len(NSG)


@pytest.mark.parametrize("last", [False, True])
def test_only_an_unfinished_record_waits(last: bool) -> None:
    """Nothing but an unfinished record is nothing yet; the place does not pass its `{`."""
    found = records.split(b"," + CUT, 500, last=last)

    assert (found.records, found.bad) == ([], [])
    assert 500 <= found.end <= 501


def test_unfinished_tail_is_whole_at_the_next_read() -> None:
    """What was unfinished is read from the place that was left, once the rest is there."""
    blob = HEAD + NSG + b"," + VNET + b"," + NSG + CLOSER
    for cut in range(len(blob)):
        first = records.split(blob[:cut], 0, last=False)
        second = records.split(blob[first.end :], first.end, last=True)
        assert texts(first) + texts(second) == [NSG, VNET, NSG], cut
        assert first.bad + second.bad == [], cut


def test_closed_unfinished_tail_is_bad() -> None:
    """A record cut short with the closer behind it never will be whole: bad, and passed."""
    cut = b'{"time":"2018-11-13T12:01:35.3899262Z","properties":{"Vers'
    found = records.split(HEAD + NSG + b"," + cut + CLOSER, 0, last=True)

    assert texts(found) == [NSG]
    assert pieces(found) == [(13 + len(NSG), cut)]
    assert found.end == 13 + len(NSG) + len(cut)


def test_closed_unfinished_record_alone_is_bad() -> None:
    """That holds when it is the only record of the blob, too."""
    cut = b'{"time":"2018-11-13T12:01:35.3899262Z","properties":{"Vers'
    found = records.split(HEAD + cut + CLOSER, 0, last=True)

    assert (texts(found), pieces(found)) == ([], [(12, cut)])
    assert found.end == 12 + len(cut)


def test_closed_tail_read_on_its_own_is_bad() -> None:
    """A cut record that an earlier read left is bad once the closer is seen behind it."""
    cut = b'{"time":"2018-11-13T12:01:35.3899262Z","prop'
    found = records.split(b"," + cut + CLOSER, 900, last=True)

    assert pieces(found) == [(901, cut)]
    assert found.end == 901 + len(cut)


def test_closing_in_the_middle_of_a_blob_closes_nothing() -> None:
    """Bytes that end in `]}` inside a record, read short of the blob's end, still wait."""
    unfinished = b'{"time":"t","properties":{"flows":[{"flows":[{"flowTuples":["a"]}'
    found = records.split(b"," + unfinished, 12, last=False)

    assert (found.records, found.bad) == ([], [])
    assert 12 <= found.end <= 13


@pytest.mark.parametrize(
    "garbage",
    [
        CUT,
        b"\x00\xff\xfe\x80binary\x1b",
        b"\x00" * 5000,
        b'{"time":',
        b"}}}]]]",
        b"nul",
        b"{" * 50,
        b"\xef\xbb\xbf",
        b"\\u0000",
    ],
    ids=lambda value: repr(value[:12]),
)
def test_garbage_between_records_costs_no_neighbour(garbage: bytes) -> None:
    """Whatever stands between two records, both are read, in place, and it is bad."""
    blob = HEAD + NSG + b"," + garbage + b"," + VNET + b"," + NSG + CLOSER
    found = records.split(blob, 0, last=True)

    assert texts(found) == [NSG, VNET, NSG]
    assert [blob[record.offset : record.end] for record in found.records] == [NSG, VNET, NSG]
    assert found.bad
    assert all(blob[bad.offset :].startswith(bad.data) for bad in found.bad)
    assert found.end == len(blob) - len(CLOSER)


@pytest.mark.parametrize("value", [b"0", b"null", b"true", b'"text"', b"[1,2]", b"-1.5e9"])
def test_value_that_is_no_object(value: bytes) -> None:
    """A JSON value where a record belongs is bad, with its place and bytes, and alone in it."""
    found = records.split(HEAD + NSG + b"," + value + b"," + VNET + CLOSER, 0, last=True)

    assert texts(found) == [NSG, VNET]
    assert pieces(found) == [(13 + len(NSG), value)]
    assert found.bad[0].reason.startswith(("not a JSON object", "a JSON array"))


def test_garbage_before_the_first_record() -> None:
    """Garbage at the very start is stepped over, and reported."""
    found = records.split(b"\xff\x00garbage" + NSG + CLOSER, 0, last=True)

    assert texts(found) == [NSG]
    assert pieces(found) == [(0, b"\xff\x00garbage")]


def test_mended_record_is_found_behind_a_cut_one() -> None:
    """A record cut short and followed by whole ones does not swallow them."""
    found = records.split(b"," + CUT + b"," + NSG + b"," + VNET, 12, last=False)

    assert texts(found) == [NSG, VNET]
    assert pieces(found) == [(13, CUT)]


def test_missing_comma_is_no_damage() -> None:
    """Two records with nothing between them are two records."""
    assert texts(records.split(HEAD + NSG + VNET + CLOSER, 0, last=True)) == [NSG, VNET]


def test_surplus_commas_are_no_damage() -> None:
    """`[,{` and `},,{`, as broken writers leave them, cost nothing (azureblob #223)."""
    found = records.split(HEAD + b"," + NSG + b",,\n," + VNET + b"," + CLOSER, 0, last=True)

    assert (texts(found), found.bad) == ([NSG, VNET], [])


def test_invalid_utf8_inside_a_string_is_left_to_the_reader_of_records() -> None:
    """Bytes that are no UTF-8 inside a record do not hide it or its neighbours."""
    broken = b'{"time":"t","rule":"\xff\xfe"}'

    assert texts(records.split(HEAD + broken + b"," + NSG + CLOSER, 0, last=True)) == [broken, NSG]


def test_raw_control_characters_cost_no_neighbour() -> None:
    """A raw NUL inside a string is no JSON; the neighbours are read all the same."""
    broken = b'{"time":"a\x00b"}'
    found = records.split(HEAD + NSG + b"," + broken + b"," + VNET + CLOSER, 0, last=True)

    assert [text for text in texts(found) if text != broken] == [NSG, VNET]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("hole", [b"[" * 100_000, b'{"a":' * 100_000, b'{"time":' * 50_000])
def test_deep_nesting_is_no_crash(hole: bytes) -> None:
    """A hundred thousand brackets neither overflow the stack nor hide a record behind them."""
    found = records.split(HEAD + NSG + b"," + hole, 0, last=False)

    assert texts(found) == [NSG]


def test_deep_nesting_closed_costs_no_neighbour() -> None:
    """A record nested too deep to read is stepped over."""
    deep = b'{"time":"t","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    found = records.split(HEAD + NSG + b"," + deep + b"," + VNET + CLOSER, 0, last=True)

    assert texts(found)[0] == NSG
    assert texts(found)[-1] == VNET


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'{"records":[5,{"records":[{"time":"t"}]}]}', "records nested too deep"),
        (b'{"records":[[1]]}', "a JSON array, not a record"),
        (b"[1]", "a JSON array, not a record"),
        (b"5", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
)
def test_what_stands_where_a_record_belongs_is_said(element: bytes, reason: str) -> None:
    """In words, with its bytes and its place; the records around it are read."""
    found = records.split(HEAD + NSG + b"," + element + b"," + VNET + CLOSER, 0, last=True)
    bad = found.bad[-1]
    assert bad.reason == reason
    assert bad.data in element
    assert element.find(bad.data) == bad.offset - len(HEAD + NSG + b",")
    assert texts(found) == [NSG, VNET]


@pytest.mark.parametrize("garbage", [b"!X", b"X!X", b'{"time":X'])
def test_garbage_is_kept_without_what_separates_it(garbage: bytes) -> None:
    """With its place, and in words what it is not."""
    begun = HEAD + NSG + b",\n"
    found = records.split(begun + garbage + b" ,\t\r\n" + VNET + CLOSER, 0, last=True)
    assert [(bad.reason, bad.data) for bad in found.bad] == [("not JSON, or cut short", garbage)]
    assert found.bad[0].offset == len(begun)
    assert texts(found) == [NSG, VNET]


def test_number_of_a_million_digits() -> None:
    """A huge number costs its bytes and no more, and is no reason to lose a record."""
    record = b'{"time":"t","x":' + b"9" * 1_000_000 + b"}"
    begun = time.monotonic()
    found = records.split(HEAD + record + b",!" + NSG + CLOSER, 0, last=True)

    assert texts(found) == [record, NSG]
    assert time.monotonic() - begun < 10


def test_search_for_the_next_record_is_bounded() -> None:
    """Many beginnings of records and no whole one among them end in seconds, not hours."""
    begun = time.monotonic()
    records.split(HEAD + b'{"time":[' * 100_000, 0, last=True)

    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    "between",
    [b"]}", b"]  }", b'{"records":[', b'{ "records" : [ ', b", ", b" " * 100 + b"]}"],
)
def test_what_stands_between_records_costs_its_bytes_and_no_more(between: bytes) -> None:
    """However much stands there, the records around it are found, in no time and little memory."""
    much = between * (1_000_000 // len(between))
    begun = time.monotonic()
    tracemalloc.start()
    try:
        found = records.split(HEAD + NSG + much + VNET, 0, last=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert texts(found) == [NSG, VNET]
    assert found.bad == []
    assert peak < 8 * len(much)
    assert time.monotonic() - begun < 10
