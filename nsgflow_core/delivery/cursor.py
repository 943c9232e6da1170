"""A cursor: how far one sink got in one blob, and how it moves. Pure."""

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from nsgflow_core.errors import NsgflowError
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.events import Announced
from nsgflow_core.logs.flows import Reading
from nsgflow_core.logs.source import BlockList
from nsgflow_core.model import Block, Position
from nsgflow_core.sinks.answers import wait_after
from nsgflow_core.sinks.sink import Delivery

ANCHOR_SIZE = 4096
"""How many bytes before a cursor are remembered, as a digest, to see whether they changed."""


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one sink got in one blob.

    Everything before byte `offset`, and `ordinal` tuples of the record that begins there, is
    delivered. `seen` is the size of the blob when its end was reached, and `etag` its ETag then;
    `listed` is when it was listed so, 0 where its end was not reached.
    `blocks` counts the blocks delivered whole; `block` is the one that holds the byte before
    `offset`, and `anchor` the digest of the last `anchor_size` bytes there. After a failure
    (`failures` in a row) the sink is left alone until `not_before`; `behind_since` says when it
    fell behind. Times are seconds since the epoch. `read_to` is the time of the last record before
    it, in milliseconds; 0 where that is not known, and less where the sink does not count for
    digests. What it passed until `uncounted`, in milliseconds, nobody counted.
    """

    offset: int = 0
    ordinal: int = 0
    seen: int = 0
    etag: str = ""
    blocks: int = 0
    block: Block | None = None
    anchor: str = ""
    anchor_size: int = 0
    failures: int = 0
    not_before: float = 0.0
    behind_since: float = 0.0
    listed: float = 0.0
    read_to: int = 0
    uncounted: int = 0

    @property
    def position(self) -> Position:
        """Where the sink's next flow stands."""
        return Position(self.offset, self.ordinal)


def beginning(known: Mapping[str, Cursor]) -> Cursor:
    """The cursor of a sink that is new to a checkpoint: where the furthest one stands."""
    furthest = max(known.values(), key=lambda cursor: cursor.position, default=Cursor())
    return replace(furthest, failures=0, not_before=0.0, behind_since=0.0)


def matches(cursor: Cursor, blocks: BlockList) -> bool:
    """Whether a listing shows the block that a cursor was left behind, where it was."""
    if cursor.offset == 0:
        return True
    if cursor.block is None and not blocks.blocks:
        return cursor.etag == blocks.etag
    return cursor.block is not None and cursor.block == blocks.holding(cursor.offset - 1)


def behind(cursor: Cursor, blocks: BlockList) -> bool:
    """Whether a blob has something that the sink has not got."""
    return cursor.seen != blocks.size or not matches(cursor, blocks)


def has(cursor: Cursor, announced: Announced) -> bool:
    """Whether the sink has all that the blob was when an event was made.

    A blob that only grows says so by its size. One that was written anew may be smaller than what
    the sink has seen, so it must also be the version that it has seen, or an older one: its event
    was made before the blob was listed. Where clocks differ and such a blob is passed over, the
    sweep finds that its size or ETag is another.
    """
    if not cursor.listed or announced.size > cursor.seen:
        return False
    return announced.etag == cursor.etag.strip('"') or announced.time < cursor.listed


def after(
    cursor: Cursor,
    delivery: Delivery,
    data: bytes,
    start: int,
    blocks: BlockList,
    reading: Reading[Columns],
    *,
    counts: bool,
) -> Cursor:
    """The cursor at the place that a delivery reached, with the bytes before it remembered.

    `counts` says that the sink counts for digests.
    """
    offset, ordinal = delivery.reached.offset, delivery.reached.ordinal
    whole = offset == reading.end and delivery.error is None
    read_to = max(abs(cursor.read_to), reading.read_to if whole else 0)
    cursor = replace(
        cursor,
        offset=offset,
        ordinal=ordinal,
        seen=offset,
        etag=blocks.etag,
        listed=0.0,
        failures=0,
        not_before=0.0,
        read_to=read_to if counts else -read_to,
        uncounted=max(cursor.uncounted, -cursor.read_to) if counts else 0,
    )
    if offset == start:
        return cursor
    block = blocks.holding(offset - 1)
    anchor_start = max(start, offset - ANCHOR_SIZE, block.offset if block else 0)
    return replace(
        cursor,
        blocks=blocks.delivered(offset),
        block=block,
        anchor=digest(data[anchor_start - start : offset - start]),
        anchor_size=offset - anchor_start,
    )


def put_off(cursor: Cursor, error: NsgflowError, failures: int, now: float) -> Cursor:
    """The cursor of a sink that failed so many times in a row: left alone for a while."""
    return replace(cursor, failures=failures, not_before=now + wait_after(failures, error))


def digest(data: bytes) -> str:
    """What a checkpoint remembers of the bytes before a cursor."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
