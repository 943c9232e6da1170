"""The values that move through the pipeline: names, ends and order."""

from nsgflow_core.model import BlobRef, Block, Position


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
