"""Checkpoints as this process left them, so that the next event need not read them.

Nothing is taken on trust: a row's ETag goes with it, and a write over a row that somebody else
has moved is refused, whoever it was. So a memory that is old can cost requests and nothing else.
It does so where several processes take turns at the blobs; then it is of no use, and a process
that finds that out reads for a while.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.model import BlobRef

MOST_BYTES = 8 * 1024 * 1024
"""What is remembered at most: about 8,000 blobs, more than an instance delivers in a minute."""

DOUBT_SECONDS = 300.0
"""How long a process reads after it has found that another one moved what it remembered."""

_ENTRY_BYTES = 512  # of the key, and of what holds an entry

_DECODER = msgspec.msgpack.Decoder(Checkpoint)


class Remembered:
    """The checkpoints used last, within `most` bytes."""

    def __init__(self, now: Callable[[], float], most: int = MOST_BYTES) -> None:
        self._now = now
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[BlobRef, bytes] = OrderedDict()
        self._size = 0
        self._doubts_until = float("-inf")

    def take(self, ref: BlobRef) -> Checkpoint | None:
        """What is remembered of a blob; it is forgotten by that.

        So whoever comes meanwhile reads the row, and sees who has claimed the blob.
        """
        with self._lock:
            packed = self._kept.pop(ref, None)
            if packed is None:
                return None
            self._size -= _cost(ref, packed)
        return _DECODER.decode(packed)

    def keep(self, row: Checkpoint) -> None:
        """Remember a row as it was read or written, if nobody has it and nothing is left to do."""
        if not row.etag or row.owner or row.pending or self._now() < self._doubts_until:
            return
        packed = msgspec.msgpack.encode(row)
        with self._lock:
            if (before := self._kept.pop(row.ref, None)) is not None:
                self._size -= _cost(row.ref, before)
            self._kept[row.ref] = packed
            self._size += _cost(row.ref, packed)
            while self._size > self._most:
                self._size -= _cost(*self._kept.popitem(last=False))

    def doubt(self) -> None:
        """Another process has moved a row: forget all, and remember nothing for a while."""
        with self._lock:
            self._kept.clear()
            self._size = 0
            self._doubts_until = self._now() + DOUBT_SECONDS


def _cost(ref: BlobRef, packed: bytes) -> int:
    return _ENTRY_BYTES + len(ref.path) + len(packed)
