"""What a process remembers of checkpoints: bounded, never of what is claimed or left undone."""

import sys
from datetime import UTC, datetime
from types import SimpleNamespace

from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.remembered import DOUBT_SECONDS, MOST_BYTES, Remembered
from nsgflow_core.digests.ledger import Ledger
from nsgflow_core.model import BlobRef, Block

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
BLOCK = Block("QUJDRA==", 12, 3000)


def row(number: int, path: str = "p" * 250) -> Checkpoint:
    """A checkpoint as a release leaves it."""
    cursor = Cursor(3012, 0, 3014, '"0x8DE"', 2, BLOCK, "ab" * 16, 3000, listed=1.5)
    ref = BlobRef("account", "container", f"{path}{number}")
    cursors = {"table": cursor, "webhook": cursor}
    return Checkpoint(
        ref, HOUR, cursors, etag=f'W/"{number}"', ledgers={"webhook": Ledger("l", others=3)}
    )


def test_what_is_kept_comes_back_once() -> None:
    """Every field of it; whoever comes next reads the row."""
    memory = Remembered(lambda: 0.0)
    memory.keep(row(1))

    assert memory.take(row(1).ref) == row(1)
    assert memory.take(row(1).ref) is None


def test_rows_with_something_left_to_do_are_read() -> None:
    """A claim, a mark, or no row at all."""
    memory = Remembered(lambda: 0.0)
    for change in ({"owner": "somebody"}, {"pending": True}, {"etag": ""}):
        memory.keep(replace(row(1), **change))
        assert memory.take(row(1).ref) is None


def test_the_last_used_are_kept_within_the_bytes() -> None:
    """Whatever the length of a path or a row; by what they really take."""
    memory = Remembered(lambda: 0.0)
    for path in ("p" * 250, "q" * 1000):
        for number in range(2 * MOST_BYTES // 1000):
            memory.keep(row(number, path))
            memory.keep(row(number, path))
    kept = memory._kept
    held = sum(
        sys.getsizeof(packed) + sys.getsizeof(ref) + sys.getsizeof(ref.path)
        for ref, packed in kept.items()
    )

    assert MOST_BYTES / 2 < held + sys.getsizeof(kept) <= MOST_BYTES
    assert memory._size <= MOST_BYTES
    assert memory.take(row(2 * MOST_BYTES // 1000 - 1, "q" * 1000).ref)
    assert memory.take(row(0).ref) is None


def test_a_process_that_doubts_remembers_nothing_for_a_while() -> None:
    """Others take turns at the blobs: reading is cheaper than to be refused."""
    clock = SimpleNamespace(now=0.0)
    memory = Remembered(lambda: clock.now)
    memory.keep(row(1))
    memory.doubt()
    memory.keep(row(2))
    assert memory.take(row(1).ref) is memory.take(row(2).ref) is None
    clock.now = DOUBT_SECONDS
    memory.keep(row(2))

    assert memory.take(row(2).ref) == row(2)
