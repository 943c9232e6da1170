"""Listings and checkpoints on real storage."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import TableClient, UpdateMode
from azure.storage.blob import BlobServiceClient
from msgspec.structs import replace

from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, BlobWriter, Nic, nsg_path, vnet_path
from devtools.meter import metered
from nsgflow_core.delivery.checkpoint import Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.dead_letters import DeadLetters
from nsgflow_core.delivery.ledgers import Ledgers
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.delivery.sweep import Account, Window, sweep
from nsgflow_core.delivery.swept import SweepState
from nsgflow_core.digests.reach import Swept
from nsgflow_core.errors import RefusedError
from nsgflow_core.logs import listing
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.source import BlobChangedError, BlobGoneError
from nsgflow_core.model import Bad, BlobRef, Block, Storage
from nsgflow_core.storage import blob_service, table
from tests.functional.logs import records
from tests.integration.conftest import HOUR, Deployment


@pytest.fixture
def checkpoints(deployment: Deployment) -> Checkpoints:
    """A table that does not exist yet."""
    return Checkpoints(table(Storage(deployment.storage.connection_string), "checks"))


def test_resources_of_all_path_forms(deployment: Deployment) -> None:
    """NSG logs and both forms of VNet logs are found, each resource once."""
    for hour in (HOUR, HOUR - timedelta(days=40)):
        for nsg in ("WEB", "DB"):
            nic = Nic(nsg=nsg)
            deployment.nsg_log(nic, hour).append(*records(1))
            for form in ("id", "short"):
                path = vnet_path(nic, hour, form)
                BlobWriter(deployment.container(VNET_CONTAINER), path).append(*records(1))

    nsgs = list(listing.resources(deployment.container(NSG_CONTAINER)))
    vnets = list(listing.resources(deployment.container(VNET_CONTAINER)))
    assert [name.split("/")[-2] for name in nsgs] == ["DB", "WEB"]
    assert len(vnets) == len(set(vnets)) == 2
    (blob,) = listing.hour_blobs(deployment.container(), nsgs[1], HOUR)
    assert blob.path == nsg_path(Nic(nsg="WEB"), HOUR)


def test_resources_in_groups_of_any_name_and_of_forms_unknown(deployment: Deployment) -> None:
    """A group may be called as what stands below it; an unknown form costs nothing per hour."""
    end = "y=2026/m=11/d=23/h=08/m=00/macAddress=000D3AF87856/PT1H.json"
    nsgs = "NETWORKSECURITYGROUPS"
    watcher = "PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/W/FLOWLOGS/FL1"
    prefixes = {
        NSG_CONTAINER: [
            (
                f"resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/{nsgs}/PROVIDERS/MICROSOFT.NETWORK"
                f"/{nsgs}/HIDDEN/"
            ),
            (
                "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK"
                "/VIRTUALNETWORKS/VNET/"
            ),
        ],
        VNET_CONTAINER: [
            f"flowLogResourceID=/SUBSCRIPTIONS/S/RESOURCEGROUPS/FLOWLOGS/{watcher}/",
            "flowLogResourceID=/S_FLOWLOGS/NETWORKWATCHER_W_FL1/",
        ],
    }
    for name, expected in prefixes.items():
        container = deployment.container(name)
        for prefix in expected:
            container.upload_blob(prefix + end, b"{}")
        container.upload_blob(f"copied/{expected[0]}{end}", b"{}")
        assert set(listing.resources(container)) == set(expected)
    unknown = prefixes[NSG_CONTAINER][1]
    for day in range(1, 4):
        for hour in range(24):
            path = end.replace("d=23/h=08", f"d={day:02}/h={hour:02}")
            deployment.container().upload_blob(unknown + path, b"{}")
    with metered(deployment.storage) as meter:
        service = blob_service(Storage(meter.connection_string))
        found = list(listing.resources(service.get_container_client(NSG_CONTAINER)))
        assert meter.requests.total() <= 14
    assert set(found) == set(prefixes[NSG_CONTAINER])


def test_listings_follow_resources_and_hours_not_history(deployment: Deployment) -> None:
    """A hundred hours of history cost no request more than one."""
    counts = []
    for hours in (1, 100):
        for age in range(hours):
            deployment.container().get_blob_client(
                nsg_path(Nic(), HOUR - timedelta(hours=age))
            ).upload_blob(b"{}", overwrite=True)
        with metered(deployment.storage) as meter:
            service = blob_service(Storage(meter.connection_string))
            container = service.get_container_client(NSG_CONTAINER)
            for resource in listing.resources(container):
                listing.hour_blobs(container, resource, HOUR)
            counts.append(meter.requests.total())

    assert counts[0] == counts[1] <= 12


def test_a_listing_has_the_etag_that_a_block_list_has(deployment: Deployment) -> None:
    """So that the sweep can compare a listing with a checkpoint."""
    writer = deployment.nsg_log()
    writer.append(*records(1))
    (resource,) = listing.resources(deployment.container())
    (blob,) = listing.hour_blobs(deployment.container(), resource, HOUR)
    service = blob_service(Storage(deployment.storage.connection_string))
    account = str(service.account_name)
    ref = BlobRef(account, NSG_CONTAINER, writer.path)
    blocks = FlowLogs({account: service}).list_blocks(ref)

    assert blob.etag == blocks.etag
    assert blob.size == blocks.size


def test_blocks_reads_and_changes(deployment: Deployment) -> None:
    """Blocks have offsets; a read of a blob that has changed says so; so does one that is gone."""
    writer = deployment.nsg_log()
    (record,) = records(1)
    (offset,) = writer.append(record)
    service = blob_service(Storage(deployment.storage.connection_string))
    account = str(service.account_name)
    logs = FlowLogs({account: service})
    ref = BlobRef(account, NSG_CONTAINER, writer.path)
    blocks = logs.list_blocks(ref)

    assert [(at.offset, at.size) for at in blocks.blocks] == [
        (0, 12),
        (12, len(record)),
        (12 + len(record), 2),
    ]
    assert logs.read(ref, offset, offset + len(record), blocks.etag) == record
    writer.append(record)
    with pytest.raises(BlobChangedError):
        logs.read(ref, 0, 12, blocks.etag)
    deployment.container().delete_blob(writer.path)
    with pytest.raises(BlobGoneError):
        logs.list_blocks(ref)
    # The emulator checks the condition first; whoever then lists learns that it is gone.
    with pytest.raises((BlobGoneError, BlobChangedError)):
        logs.read(ref, 0, 12, blocks.etag)


def test_a_look_tells_whether_a_blob_is_as_it_was_listed(deployment: Deployment) -> None:
    """By a condition on the ETag, in one request for its properties."""
    writer = deployment.nsg_log()
    writer.append(*records(1))
    with metered(deployment.storage) as meter:
        service = blob_service(Storage(meter.connection_string))
        account = str(service.account_name)
        logs = FlowLogs({account: service})
        ref = BlobRef(account, NSG_CONTAINER, writer.path)
        listed = logs.list_blocks(ref)
        meter.reset()

        assert not logs.changed(ref, listed.etag)
        assert meter.requests == {"HEAD blob": 1}
        writer.append(*records(1, seed=1))
        assert logs.changed(ref, listed.etag)
        assert not logs.changed(ref, logs.list_blocks(ref).etag)
        deployment.container().delete_blob(writer.path)
        with pytest.raises(BlobGoneError):
            logs.changed(ref, listed.etag)


def test_a_look_that_is_refused_is_a_refusal(deployment: Deployment) -> None:
    """And does not pass for a blob that is as it was."""
    client = BlobServiceClient(
        f"http://127.0.0.1:{deployment.storage.blob_port}/devstoreaccount1",
        AzureNamedKeyCredential("devstoreaccount1", "d3Jvbmc="),
    )
    ref = BlobRef("devstoreaccount1", NSG_CONTAINER, "x")
    with pytest.raises(RefusedError, match=r"look at .*403"):
        FlowLogs({"devstoreaccount1": client}).changed(ref, '"0x1"')


def test_a_blob_uploaded_in_one_piece_has_a_size_and_no_blocks(deployment: Deployment) -> None:
    """The block list is empty; the size comes with it all the same."""
    deployment.container().upload_blob("x", b"{}" * 10)
    service = blob_service(Storage(deployment.storage.connection_string))
    account = str(service.account_name)
    blocks = FlowLogs({account: service}).list_blocks(BlobRef(account, NSG_CONTAINER, "x"))

    assert (blocks.blocks, blocks.size) == ((), 20)


def test_an_append_blob_has_a_size_and_no_blocks(deployment: Deployment) -> None:
    """Azure answers 409 to who asks for its list; it is read all the same."""
    client = deployment.container().get_blob_client("x")
    client.create_append_blob()
    client.append_block(b"{}" * 10)
    service = blob_service(Storage(deployment.storage.connection_string))
    account = str(service.account_name)
    logs, ref = FlowLogs({account: service}), BlobRef(account, NSG_CONTAINER, "x")
    blocks = logs.list_blocks(ref)

    assert (blocks.blocks, blocks.size) == ((), 20)
    assert logs.read(ref, 18, 20, blocks.etag) == b"{}"
    assert not logs.changed(ref, blocks.etag)


def test_a_wrong_key_is_a_refusal_that_names_what_was_tried(deployment: Deployment) -> None:
    """401 and 403 never pass by waiting."""
    client = BlobServiceClient(
        f"http://127.0.0.1:{deployment.storage.blob_port}/devstoreaccount1",
        AzureNamedKeyCredential("devstoreaccount1", "d3Jvbmc="),
    )
    ref = BlobRef("devstoreaccount1", NSG_CONTAINER, "x")
    with pytest.raises(RefusedError, match=r"list the blocks .*403"):
        FlowLogs({"devstoreaccount1": client}).list_blocks(ref)


def test_a_checkpoint_is_written_and_read_back(checkpoints: Checkpoints) -> None:
    """Every field survives, in a table that is made on the way."""
    ref = BlobRef("a", "c", "p/ä#?")
    empty = checkpoints.read(ref, HOUR)
    cursor = Cursor(
        12, 3, 99, '"0x1"', 2, Block("id", 0, 12), "ab", 7, 4, 1_763_800_000.5, 1_763_800_001.25
    )
    written = checkpoints.write(
        replace(empty, cursors={"table": cursor}, owner="me", until=1.5, pending=True)
    )

    assert empty.etag == ""
    assert checkpoints.read(ref, HOUR) == written
    assert [at.cursors for at in checkpoints.in_hour(HOUR)] == [{"table": cursor}]
    assert not list(checkpoints.in_hour(HOUR + timedelta(hours=1)))


def test_a_stale_checkpoint_is_not_written(checkpoints: Checkpoints) -> None:
    """Neither over a row that changed, nor as a row that has come to be, nor one deleted."""
    ref = BlobRef("a", "c", "p")
    empty = checkpoints.read(ref, HOUR)
    first = checkpoints.write(empty)
    with pytest.raises(ClaimLostError):
        checkpoints.write(empty)
    checkpoints.write(replace(first, owner="b"))
    with pytest.raises(ClaimLostError):
        checkpoints.write(first)
    latest = checkpoints.read(ref, HOUR)
    assert checkpoints.delete_before(HOUR + timedelta(hours=1)) == 1
    with pytest.raises(ClaimLostError):
        checkpoints.write(latest)


def test_old_checkpoints_are_deleted_in_batches(checkpoints: Checkpoints) -> None:
    """More than one transaction holds, of more than one hour; the sweep's own rows stay."""
    for number in range(130):
        hour = HOUR - timedelta(hours=number % 2)
        checkpoints.write(checkpoints.read(BlobRef("a", "c", str(number)), hour))
    checkpoints.write_sweep("FlowLogs", SweepState(HOUR))
    checkpoints.ask_sweep("FlowLogs", [HOUR - timedelta(days=2)])

    assert checkpoints.delete_before(HOUR - timedelta(hours=1)) == 0
    assert checkpoints.delete_before(HOUR + timedelta(hours=1), lambda: True) == 0
    assert checkpoints.delete_before(HOUR) == 65
    assert checkpoints.delete_before(HOUR + timedelta(hours=1)) == 65
    assert checkpoints.read_sweep("FlowLogs") == SweepState(HOUR)
    assert len(list(checkpoints.asked("FlowLogs"))) == 1


def test_an_hour_asked_for_during_a_sweep_is_for_the_next(checkpoints: Checkpoints) -> None:
    """The sweep forgets what it was asked for before it began, and nothing later."""
    old = HOUR - timedelta(days=2)
    checkpoints.ask_sweep("FlowLogs", [old])
    asked: list[datetime] = []

    def meanwhile() -> bool:
        if not asked:
            asked.append(old)
            checkpoints.ask_sweep("FlowLogs", asked)
        return False

    def swept(out_of_time: Callable[[], bool]) -> int:
        window = Window(HOUR, 3, 30, out_of_time)
        account = Account("FlowLogs", "account", ())
        return sweep(account, checkpoints, _no_run, window, {}).hours

    assert swept(meanwhile) == 3
    assert [(at.hour, at.listing) for at in checkpoints.asked("FlowLogs")] == [(old, True)]
    assert swept(lambda: False) == 3
    assert not list(checkpoints.asked("FlowLogs"))


def _no_run(ref: BlobRef) -> Report:
    raise AssertionError(ref)


def test_a_year_of_hours_can_be_asked_for(checkpoints: Checkpoints) -> None:
    """Each is a row of its own: no property holds them all."""
    hours = [HOUR - timedelta(hours=age) for age in range(365 * 24)]
    checkpoints.ask_sweep("FlowLogs", hours)

    assert {at.hour for at in checkpoints.asked("FlowLogs")} == set(hours)
    checkpoints.ask_sweep("FlowLogs", hours[:150])
    assert not list(checkpoints.asked("Other"))


def test_an_hour_that_stays_open_is_not_listed_again(checkpoints: Checkpoints) -> None:
    """Unless somebody asked for that meanwhile."""
    checkpoints.ask_sweep("FlowLogs", [HOUR])
    (asked,) = checkpoints.asked("FlowLogs")
    checkpoints.answered("FlowLogs", asked, still_open=True)
    (kept,) = checkpoints.asked("FlowLogs")
    assert not kept.listing
    checkpoints.ask_sweep("FlowLogs", [HOUR])
    checkpoints.keep_open("FlowLogs", HOUR)
    checkpoints.answered("FlowLogs", kept, still_open=False)

    (again,) = checkpoints.asked("FlowLogs")
    assert again.listing


def test_rows_that_cannot_be_read_stop_nobody(deployment: Deployment) -> None:
    """What somebody or another version left in the table is passed over, or taken for nothing."""
    client = table(Storage(deployment.storage.connection_string), "checks")
    checkpoints = Checkpoints(client)
    ref = BlobRef("a", "c", "p")
    good = checkpoints.write(checkpoints.read(BlobRef("a", "c", "good"), HOUR))
    written = checkpoints.write(checkpoints.read(ref, HOUR))
    row = dict(client.get_entity(f"{HOUR:%Y-%m-%dT%H}", _key(client, ref)))
    client.upsert_entity(row | {"Cursors": "{", "Alerts": "{"}, mode=UpdateMode.REPLACE)
    client.upsert_entity({"PartitionKey": row["PartitionKey"], "RowKey": "x"})
    for partition in ("~watched", "~asked.FlowLogs", "~away.FlowLogs", "~sweep"):
        client.upsert_entity({"PartitionKey": partition, "RowKey": "1-01-01T00", "State": "{"})
    client.upsert_entity({"PartitionKey": "~sweep", "RowKey": "FlowLogs", "State": "{"})

    damaged = checkpoints.read(ref, HOUR)
    assert (damaged.cursors, damaged.damaged, damaged.pending) == ({}, True, True)
    assert {at.ref for at in checkpoints.in_hour(HOUR)} == {good.ref, ref}
    assert checkpoints.write(replace(damaged, damaged=False)).etag != written.etag
    assert not list(Ledgers(client).rows(HOUR))
    assert {row.log for row in Ledgers(client).rows(HOUR, everything=True)} == {""}
    assert Ledgers(client, connections=["FlowLogs"]).marks().swept == Swept(0.0)
    assert not [*Ledgers(client).marks().watched, *checkpoints.asked("FlowLogs")]
    assert not list(checkpoints.away("FlowLogs"))
    assert checkpoints.read_sweep("FlowLogs").completed is not None


def _key(client: TableClient, ref: BlobRef) -> str:
    (row,) = client.query_entities("Path eq @path", parameters={"path": ref.path})
    return str(row["RowKey"])


def test_a_dead_letter_is_written_over_by_itself_alone(deployment: Deployment) -> None:
    """Of two stretches that share a piece each keeps its own; entries are in the blob's order."""
    letters = DeadLetters(deployment.container("nsgflow-state"))
    ref = BlobRef("logs", "c", "resourceId=/x/y=2026/m=01/d=02/h=03/m=00/macAddress=A/PT1H.json")
    record, garbage = Bad(100, "tuple 3", b"1,2"), Bad(200, "not JSON", b"<")
    for _ in range(2):
        letters.put_bad(ref, [garbage, record], 0)
        letters.put_bad(ref, [garbage], 150)
        letters.put_bad(ref, [record], 20)

    found = [letters.read(listed) for listed in letters.list()]
    assert [[entry.offset for entry in letter.entries] for letter in found] == [
        [100, 200],
        [100],
        [200],
    ]
