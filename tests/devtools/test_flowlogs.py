"""The generator of flow logs and the plain reader that it is checked with."""

import datetime as dt
import random
from typing import Literal

import pytest
from azure.storage.blob import BlobServiceClient

from devtools.azurite import Azurite
from devtools.flowlogs import (
    BlobWriter,
    Group,
    Nic,
    Record,
    large_log,
    nsg_path,
    random_record,
    vnet_path,
    vnet_record,
)
from devtools.truth import compare, flow_key, flows_of_log

HOUR = dt.datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=dt.UTC)


def made(version: Literal[1, 2, 4], count: int) -> list[Record]:
    """Records of 20 tuples, 4 of them denied."""
    rng = random.Random(version)
    return [
        random_record(Nic(), HOUR, rng, version=version, tuples=20, denied_share=0.2, index=index)
        for index in range(count)
    ]


@pytest.mark.parametrize("version", [1, 2, 4])
def test_ground_truth_is_what_the_document_says(version: Literal[1, 2, 4]) -> None:
    """What a record says of itself is what a plain walk over its JSON finds, denied or not."""
    records = made(version, 3)
    document = b'{"records":[' + b",".join(record.data for record in records) + b"]}"
    assert flows_of_log(document) == [flow for record in records for flow in record.flows]
    assert [len(record.denied) for record in records] == [4, 4, 4]


def test_groups_of_one_acl_are_told_in_written_order() -> None:
    """Tuples are counted in the order in which they are written, whatever order they came in."""
    groups = [
        Group(rule, (f"1663146003599,10.0.0.6,192.0.2.1,{port},443,6,O,B,NX,0,0,0,0",), acl)
        for port, (rule, acl) in enumerate([("r1", "a"), ("r2", "b"), ("r3", "a")], start=1)
    ]
    record = vnet_record(Nic(), HOUR, groups)
    assert tuple(flows_of_log(record.data)) == record.flows
    assert [flow.rule for flow in record.flows] == ["r1", "r3", "r2"]


@pytest.mark.parametrize("ids", ["random", "lettered"])
def test_blobs_are_written_as_azure_writes_them(
    storage: Azurite, ids: Literal["random", "lettered"]
) -> None:
    """12-byte head, 2-byte closer, one block an update before it; offsets point at records."""
    service = BlobServiceClient.from_connection_string(storage.connection_string)
    with service, service.create_container(f"written-{ids}") as container:
        writer = BlobWriter(container, nsg_path(Nic(), HOUR), ids=ids)
        records = made(2, 4)
        offsets = writer.append(records[0].data)
        offsets += writer.append(records[1].data, records[2].data)
        offsets += writer.append(records[3].data)
        blob = container.get_blob_client(writer.path)
        content = blob.download_blob().readall()
        blocks, _ = blob.get_block_list("committed")
    assert [content[offset:].startswith(r.data) for offset, r in zip(offsets, records, strict=True)]
    assert flows_of_log(content) == [flow for record in records for flow in record.flows]
    assert [block.size for block in blocks] == [size for _, size in writer.blocks]
    assert (blocks[0].size, blocks[-1].size, len(blocks)) == (12, 2, 5)
    assert (writer.size, writer.updates) == (len(content), 3)


def test_a_large_log_is_the_same_every_time() -> None:
    """Benchmarks compare runs, so the same seed makes the same bytes, mixed or not."""
    log = large_log(5, 40, 0.05, 4, seed=9)
    assert log == large_log(5, 40, 0.05, 4, seed=9)
    for document in (log, large_log(5, 40, 0.05, 2, seed=9, mixed=True)):
        flows = flows_of_log(document)
        assert (len(flows), sum(flow.denied for flow in flows)) == (200, 10)


def test_paths_have_both_forms() -> None:
    """VNet logs are found under a resource id and under joined names; NSG logs under an id."""
    end = "/y=2026/m=03/d=04/h=05/m=00/macAddress=000D3AF87856/PT1H.json"
    assert nsg_path(Nic(), HOUR).endswith(f"/NETWORKSECURITYGROUPS/PROD-WEB-NSG{end}")
    assert vnet_path(Nic(), HOUR).endswith(f"/FLOWLOGS/SHOP-FLOWLOG{end}")
    short = vnet_path(Nic(), HOUR, "short")
    assert short.startswith("flowLogResourceID=/0B1F6471-1BF0-4DDA-AEC3-111122223333_NETWORK")
    assert short.endswith(f"/NETWORKWATCHER_WESTEUROPE_SHOP-FLOWLOG{end}")


def test_comparison_tells_lost_from_repeated() -> None:
    """A row with a FlowId seen before is a duplicate, a flow without row is lost."""
    flow = made(2, 1)[0].denied[0]
    row = {
        "FlowId": "1",
        "SourceBlob": "c/p",
        "RecordTime": flow.record_time,
        "FlowTime": flow.time.isoformat(),
        "FlowStatus": "Denied",
        "FlowDirection": flow.direction,
        "L4Protocol": flow.protocol,
        "SrcIp": flow.source,
        "SrcPort": flow.source_port,
        "DestIp": flow.target,
        "DestPort": flow.port,
        "AclRule": flow.rule,
        "AclGroup": flow.acl.lower(),
    }
    key = flow_key(flow, "c/p")
    assert compare([key], [row]).exact
    assert compare([key], [row, row]).duplicated == 1
    assert compare([key, key], [row]).lost == 1
    assert compare([], [row]).foreign == 1
