"""records.split on the shapes that whole logs come in: as Azure writes them, and as others do."""

import json

import pytest

from nsgflow_core.logs import records
from nsgflow_core.logs.records import RawRecord, Stretch

HEAD = b'{"records":['
CLOSER = b"]}"
NSG = b'{"time":"2018-11-13T12:00:35.3899262Z","properties":{"Version":2,"flows":[]}}'
VNET = b'{"category":"FlowLogFlowEvent","flowLogVersion":4,"flowRecords":{"flows":[]},"time":"x"}'


def texts(stretch: Stretch) -> list[bytes]:
    """The JSON texts of the records found."""
    return [bytes(record.data) for record in stretch.records]


def offsets(stretch: Stretch) -> list[int]:
    """The offsets of the records found."""
    return [record.offset for record in stretch.records]


def test_whole_blob_as_azure_writes_it() -> None:
    """Head, records joined by commas and closer give each record with its exact place."""
    found = records.split(HEAD + NSG + b"," + VNET + CLOSER, 0, last=True)

    assert texts(found) == [NSG, VNET]
    assert offsets(found) == [12, 13 + len(NSG)]
    assert found.bad == []


def test_end_lies_behind_the_last_record_and_before_the_closing() -> None:
    """Reading goes on where Azure inserts next: behind the last record, before the closer."""
    blob = HEAD + NSG + CLOSER

    assert records.split(blob, 0, last=True).end == 12 + len(NSG)


def test_offset_of_the_stretch_is_added() -> None:
    """Offsets count from the start of the blob, not of the bytes read."""
    found = records.split(b"," + NSG + b"," + VNET + CLOSER, 5000, last=True)

    assert offsets(found) == [5001, 5002 + len(NSG)]
    assert found.end == 5002 + len(NSG) + len(VNET)


def test_record_knows_its_end() -> None:
    """The end of a record is the first byte behind its closing brace."""
    assert RawRecord(100, NSG).end == 100 + len(NSG)
    assert records.split(b"," + NSG, 99, last=False).records[0].end == 100 + len(NSG)


def test_several_records_in_a_block() -> None:
    """A block may hold any number of records."""
    found = records.split(b"," + b",".join([NSG, VNET, NSG, VNET, NSG]), 40, last=False)

    assert texts(found) == [NSG, VNET, NSG, VNET, NSG]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "blob", [b"", HEAD, HEAD + CLOSER, CLOSER, b'{ "records" : [\n]\n}\n', b","]
)
def test_head_and_closer_only_hold_nothing(blob: bytes, last: bool) -> None:
    """A blob of head and closer only is empty, not bad, and the place does not move."""
    found = records.split(blob, 70, last=last)

    assert (found.records, found.bad, found.end) == ([], [], 70)


def test_first_block_without_closer() -> None:
    """Head and first data block read without the closer give the record."""
    found = records.split(HEAD + NSG, 0, last=False)

    assert texts(found) == [NSG]
    assert found.end == 12 + len(NSG)


@pytest.mark.parametrize("record", [NSG, VNET])
def test_bare_record(record: bytes) -> None:
    """A blob that is one record with no wrapper is that record (a sample in the wild is)."""
    found = records.split(record, 0, last=True)

    assert (texts(found), offsets(found), found.bad) == ([record], [0], [])


def test_bare_record_that_ends_like_a_closing() -> None:
    """A bare record whose last member is a list ends in `]}` and is still a record."""
    record = b'{"time":"2018-11-13T12:00:35.3899262Z","zones":["1"]}'
    found = records.split(record, 0, last=True)

    assert (texts(found), found.end) == ([record], len(record))


def test_last_record_without_closer_that_ends_like_a_closing() -> None:
    """A record that ends in `]}` is whole even where the blob has no closer."""
    record = b'{"time":"t","properties":{"Version":2},"flows":[{"a":[1]}]}'
    found = records.split(HEAD + NSG + b"," + record, 0, last=True)

    assert texts(found) == [NSG, record]


def test_records_without_wrapper() -> None:
    """Records side by side with white space or commas between them are all read."""
    found = records.split(NSG + b"\r\n" + VNET + b"\n,\n" + NSG + b"\n", 0, last=True)

    assert texts(found) == [NSG, VNET, NSG]
    assert offsets(found) == [0, len(NSG) + 2, len(NSG) + 2 + len(VNET) + 3]
    assert found.bad == []


def test_pretty_printed() -> None:
    """White space anywhere that JSON allows it makes no difference to what is found."""
    pretty = json.dumps({"records": [json.loads(NSG), json.loads(VNET)]}, indent=4).encode() + b"\n"
    found = records.split(pretty, 0, last=True)

    assert [json.loads(text) for text in texts(found)] == [json.loads(NSG), json.loads(VNET)]
    assert [pretty[record.offset : record.end] for record in found.records] == texts(found)
    assert found.bad == []
    assert pretty[found.end :] == b"\n    ]\n}\n"


def test_nested_wrapper_among_records() -> None:
    """A `{"records":[…]}` where a record belongs gives the records inside, in order (v1 docs)."""
    inner = HEAD + VNET + b"," + NSG + CLOSER
    blob = HEAD + NSG + b"," + inner + b"," + VNET + CLOSER
    found = records.split(blob, 0, last=True)

    assert texts(found) == [NSG, VNET, NSG, VNET]
    assert [blob[record.offset : record.end] for record in found.records] == texts(found)
    assert found.bad == []


@pytest.mark.parametrize(
    "blob",
    [
        HEAD + HEAD + NSG + CLOSER + b"," + VNET + CLOSER,
        HEAD + NSG + b"," + HEAD + VNET + CLOSER + CLOSER,
        HEAD + NSG + CLOSER + HEAD + VNET + CLOSER,
        HEAD + NSG + CLOSER + b"\n" + VNET,
    ],
    ids=["nested first", "nested last", "two whole logs", "a record behind the closer"],
)
def test_wrappers_in_odd_places(blob: bytes) -> None:
    """Openings and closings may stand anywhere between records."""
    found = records.split(blob, 0, last=True)

    assert texts(found) == [NSG, VNET]
    assert [blob[record.offset : record.end] for record in found.records] == texts(found)
    assert found.bad == []


def test_wrapper_in_wrapper_in_wrapper_is_no_endless_recursion() -> None:
    """Wrappers nested deeper than is ever seen cost no neighbour and no crash."""
    deep = b'{"records":[0,' * 3 + NSG + b"]}" * 3
    found = records.split(HEAD + VNET + b"," + deep + b"," + VNET + CLOSER, 0, last=True)

    assert texts(found)[0] == VNET
    assert texts(found)[-1] == VNET


def test_empty_nested_wrapper() -> None:
    """An empty wrapper among records is nothing, and nothing bad."""
    found = records.split(HEAD + NSG + b"," + HEAD + CLOSER + b"," + VNET + CLOSER, 0, last=True)

    assert (texts(found), found.bad) == ([NSG, VNET], [])


def test_key_records_that_is_not_first_is_no_wrapper() -> None:
    """An object is told by how it begins; one that only has a key `records` is a record."""
    record = b'{"time":"t","records":[1]}'

    assert texts(records.split(HEAD + record + CLOSER, 0, last=True)) == [record]


@pytest.mark.parametrize("first_key", ["time", "properties", "category", "flowLogVersion", "x-new"])
def test_any_key_may_come_first(first_key: str) -> None:
    """A record is a record whichever of its keys comes first."""
    record = f'{{"{first_key}":1,"time":"t"}}'.encode()

    assert (
        texts(records.split(HEAD + record + b"," + record + CLOSER, 0, last=True)) == [record] * 2
    )


def test_duplicate_keys_are_no_concern_of_split() -> None:
    """A record that has a key twice is handed on as it is."""
    record = b'{"time":"a","time":"b"}'

    assert texts(records.split(b"," + record, 7, last=False)) == [record]


def test_a_record_may_have_records_as_its_first_key() -> None:
    """Only a list behind it makes it a wrapper."""
    record = b'{"records":5,"time":"x","properties":{}}'
    stretch = records.split(HEAD + record + b"," + record + CLOSER, 0, last=True)
    assert (texts(stretch), stretch.bad) == ([record, record], [])
