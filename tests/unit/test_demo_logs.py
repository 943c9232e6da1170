"""`make demo LOG=file`: what it takes for a flow log, and what it says of what is none."""

import json

import pytest

from devtools.demo_logs import NoFlowLogError, read_records
from devtools.flowlogs import Group, Nic, nsg_record
from tests.cli.conftest import at

HOUR = at("2026-03-04T05:00")
RECORD = nsg_record(Nic(), HOUR, [Group("R", ("1772600400,10.0.0.1,10.0.0.2,1,22,T,I,D,B,,,,",))])


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b'{"records":[' + RECORD.data + b"," + RECORD.data + b"]}", 2),
        (RECORD.data, 1),
        (RECORD.data + b"\n" + RECORD.data + b"\n", 2),
        (b"\xef\xbb\xbf" + RECORD.data, 1),
        (b'{"records":[' + RECORD.data + b"]}\n" + RECORD.data, 2),
    ],
)
def test_what_the_product_reads_is_taken(content: bytes, count: int) -> None:
    """Wrapped, alone, and one record a line."""
    assert read_records(content) == [json.loads(RECORD.data)] * count


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b'{"records":[{"time":"x","category":"AppServiceAppLogs"}]}',
            "category AppServiceAppLogs",
        ),
        (b'{"records":[]}', "there are no records in it"),
        (b"<html></html>", "it is not JSON"),
        (b"[1,2]", "record 1 is no JSON object"),
        (b'{"time":"x","properties":{"Version":2,"flows":[]}}', "record 1 has no resourceId"),
        (b'{"a":1}', "it has neither flows nor flowRecords"),
    ],
)
def test_what_is_no_flow_log_is_named(content: bytes, said: str) -> None:
    """In words, and by its category where it has one."""
    with pytest.raises(NoFlowLogError, match=f"no flow log: .*{said}"):
        read_records(content)
