"""The meter in front of the storage emulator counts what clients read."""

from azure.data.tables import TableClient
from azure.storage.blob import BlobServiceClient

from devtools.azurite import Azurite
from devtools.meter import metered


def test_it_counts_content_and_operations_and_changes_nothing(storage: Azurite) -> None:
    """Bytes of ranged reads are counted by blob, requests by operation; clients notice nothing."""
    with metered(storage) as meter:
        with BlobServiceClient.from_connection_string(meter.connection_string) as service:
            container = service.create_container("metered")
            blob = container.upload_blob("a/b=1", b"0123456789")
            assert blob.download_blob(offset=2, length=3).readall() == b"234"
            assert blob.download_blob(offset=5, length=2).readall() == b"56"
            assert blob.get_blob_properties().size == 10
            blob.get_block_list("committed")
        with TableClient.from_connection_string(meter.connection_string, "metered") as table:
            table.create_table()
            table.upsert_entity({"PartitionKey": "p", "RowKey": "r"})
            assert table.get_entity("p", "r")["RowKey"] == "r"
        assert meter.downloaded == {"metered/a/b=1": 5}
        assert meter.requests == {
            "PUT container": 1,
            "PUT blob": 1,
            "GET blob": 2,
            "HEAD blob": 1,
            "GET blocklist": 1,
            "POST table": 1,
            "PATCH entity": 1,
            "GET entity": 1,
        }
