"""The values that move through the pipeline: names, ends and order."""

import pytest

from nsgflow_core.model import BlobRef, Block, Position, Storage


def test_blob_ref_names_the_blob() -> None:
    """Rows name a blob by container and path, logs and alerts by account as well."""
    ref = BlobRef("acct", "cont", "a/b/PT1H.json")

    assert ref.source == "cont/a/b/PT1H.json"
    assert str(ref) == "acct/cont/a/b/PT1H.json"


def test_block_knows_its_end() -> None:
    """The end of a block is the first byte behind it."""
    assert Block("id", 12, 100).end == 112


def test_positions_are_ordered_by_place() -> None:
    """A place is before another by record first, then by tuple."""
    places = [Position(12), Position(12, 1), Position(12, 300), Position(13), Position(500, 2)]
    backwards = places[::-1]

    assert sorted(backwards) == places
    assert Position(12) == Position(12, 0)


@pytest.mark.parametrize(
    ("storage", "name"),
    [
        (Storage("", "https://logs.blob.core.windows.net"), "logs"),
        (Storage("", "https://Logs.privatelink.blob.core.windows.net/"), "logs"),
        (Storage("", "https://logs.z01.blob.storage.azure.net"), "logs"),
        (Storage("", "https://Logs.example.com"), "logs"),
        (Storage("AccountName=Logs;AccountKey=a2V5"), "logs"),
        (Storage("AccountName=x;BlobEndpoint=https://logs.example.com/;AccountKey=a2V5"), "logs"),
        (Storage("UseDevelopmentStorage=true"), "devstoreaccount1"),
        (Storage("", "http://127.0.0.1:10000/devstoreaccount1"), "devstoreaccount1"),
        (Storage("BlobEndpoint=http://azurite:10000/Acc2;AccountName=Acc2"), "acc2"),
    ],
)
def test_an_account_has_one_name_however_it_is_reached(storage: Storage, name: str) -> None:
    """The spelling of an endpoint must change neither rows of state nor ids."""
    assert storage.account == name
