"""What reading a flow-log blob needs and finds: its block list, its bytes, and what goes wrong.

The accounts themselves are in `blocks`, with the SDK, which whoever reads files need not import.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import Protocol

import msgspec

from nsgflow_core.errors import NsgflowError, RefusedError
from nsgflow_core.model import BlobRef, Block

LARGEST_RECORD = 64 * 1024 * 1024
"""A record that does not end within this many bytes is given up as bad."""

_END = attrgetter("end")


class BlobGoneError(NsgflowError):
    """The blob, or its container, does not exist (any more)."""


class BlobChangedError(NsgflowError):
    """The blob was written between listing its blocks and reading them: list again."""


class LogRefusedError(RefusedError):
    """The account with the flow logs refused: a role, a key, a firewall."""


class BlockList(msgspec.Struct, frozen=True):
    """A blob at one moment: its committed blocks, its size in bytes and its ETag.

    `listed` is when it was asked for, in seconds since the epoch: all that was written before is
    in it. A blob uploaded in one piece has no blocks.
    """

    blocks: tuple[Block, ...]
    size: int
    etag: str
    listed: float = 0.0

    def holding(self, offset: int) -> Block | None:
        """The block that holds the byte at `offset`, None past the end or without blocks."""
        number = self.delivered(offset)
        if number == len(self.blocks) or offset < self.blocks[number].offset:
            return None
        return self.blocks[number]

    def delivered(self, offset: int) -> int:
        """How many blocks end at or before `offset`; a blob may have 50,000."""
        return bisect_right(self.blocks, offset, key=_END)

    def window_end(self, start: int, size: int) -> int:
        """Where a read of about `size` bytes from `start` ends: behind a block if it can."""
        limit = start + size
        if limit >= self.size:
            return self.size
        whole = self.delivered(limit)
        return limit if whole == self.delivered(start) else self.blocks[whole - 1].end


class Source(Protocol):
    """Where blobs are read; `blocks.FlowLogs` is the real one and documents the errors."""

    def list_blocks(self, ref: BlobRef) -> BlockList: ...  # noqa: D102
    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes: ...  # noqa: D102


class GrowingSource(Source, Protocol):
    """One whose blobs are written while they are read."""

    def changed(self, ref: BlobRef, etag: str) -> bool: ...  # noqa: D102
