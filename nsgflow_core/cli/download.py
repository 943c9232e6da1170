"""The bytes of a log as they come, window by window, a log that grows meanwhile included."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future

from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.source import LARGEST_RECORD, BlobChangedError, Source
from nsgflow_core.model import BlobRef

_CLOSING = 512
"""Bytes at the end that are fetched at once: half a closing would not fit a log that grew."""


class Download:
    """One log on its way: the next windows are fetched while the one before is parsed."""

    def __init__(
        self,
        source: Source,
        pool: Executor,
        ref: BlobRef,
        size: int,
        etag: str,
        window: int,
        ahead: int,
    ) -> None:
        """Begin to fetch the bytes of a blob, of so many and with this ETag as listed.

        So many windows `ahead` are fetched or waiting while one is parsed.
        """
        self._source = source
        self._pool = pool
        self._ref = ref
        self._window, self._windows_ahead = window, ahead
        self._size, self._etag = size, etag
        self._at = self._asked = 0
        self._ahead: deque[Future[bytes]] = deque()
        self._fetch()

    def _fetch(self) -> None:
        while self._asked < self._size and len(self._ahead) < self._windows_ahead:
            end = self._asked + self._window
            if end > self._size - _CLOSING:
                end = self._size
            read = self._source.read
            self._ahead.append(self._pool.submit(read, self._ref, self._asked, end, self._etag))
            self._asked = end

    def widen(self, *, unfinished: bool) -> None:
        """Fetch more at once when a window holds no whole record."""
        if unfinished:
            self._window = min(self._window * 4, LARGEST_RECORD)

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """The bytes in order, and whether they are the last.

        Raises:
            NsgflowError: the rest cannot be read.
        """
        while self._ahead:
            try:
                piece = self._ahead.popleft().result()
            except BlobChangedError:
                self._list_again()
                continue
            self._at += len(piece)
            self._fetch()
            yield piece, not self._ahead

    def _list_again(self) -> None:
        """The log has grown: what was read stands, since Azure inserts before the closer."""
        listed = self._source.list_blocks(self._ref)
        if listed.size < self._at:
            raise BadInputError(f"{self._ref} was rewritten while it was read")
        self._size, self._etag = listed.size, listed.etag
        self._ahead.clear()
        self._asked = self._at
        self._fetch()
