"""Flow-log blobs: committed blocks and ranged reads.

Reads only: a lease or a write on a flow-log blob would make Azure's own writes fail.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from itertools import accumulate
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobClient, BlobServiceClient

from nsgflow_core.errors import RefusedError
from nsgflow_core.logs.source import (
    BlobChangedError,
    BlobGoneError,
    BlockList,
    LogRefusedError,
)
from nsgflow_core.model import BlobRef, Block
from nsgflow_core.storage import error_code, errors_of

_CLIENTS = 32  # of blobs: more than are worked on at once


class FlowLogs:
    """The flow-log accounts, by account name."""

    def __init__(self, services: dict[str, BlobServiceClient]) -> None:
        self._services = services
        # One costs as much as a tenth of a request; a run over a blob makes three.
        self._blob = lru_cache(_CLIENTS)(self._new_blob)

    def _new_blob(self, ref: BlobRef) -> BlobClient:
        return self._services[ref.account].get_blob_client(ref.container, ref.path)

    def list_blocks(self, ref: BlobRef) -> BlockList:
        """List the committed blocks of a blob: one request.

        Append and page blobs, as a copying tool may make, have no list; their size and ETag cost
        a second request.

        Raises:
            BlobGoneError: there is no such blob.
            TransientError, LogRefusedError: as `errors_of` says.
        """
        headers: dict[str, str] = {}
        listed = time.time()

        def keep_headers(response: Any) -> None:
            headers.update(response.http_response.headers)

        client = self._blob(ref)
        with _errors_of(f"list the blocks of {ref}"):
            try:
                committed, _ = client.get_block_list("committed", raw_response_hook=keep_headers)
            except ResourceNotFoundError as exc:
                raise BlobGoneError(f"{ref} does not exist") from exc
            except HttpResponseError as exc:
                if error_code(exc) != "InvalidBlobType":
                    raise
                found = client.get_blob_properties()
                return BlockList((), found.size, found.etag, listed)
        ends = list(accumulate(block.size for block in committed))
        blocks = tuple(
            Block(block.id, end - block.size, block.size)
            for block, end in zip(committed, ends, strict=True)
        )
        named = {key.lower(): value for key, value in headers.items()}
        size = int(named.get("x-ms-blob-content-length") or (ends[-1] if ends else 0))
        return BlockList(blocks, size, named.get("etag", ""), listed)

    def changed(self, ref: BlobRef, etag: str) -> bool:
        """Whether a blob is no longer the version with this ETag: one request without a body.

        Get Block List knows no condition but a lease and tags, and Azure ignores others there
        (https://learn.microsoft.com/rest/api/storageservices/get-block-list,
        https://github.com/Azure/azure-sdk-for-net/issues/19770). Get Blob Properties answers 304:
        https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
        (not seen on Azure: docs/unverified.md).

        Raises:
            BlobGoneError: there is no such blob.
            TransientError, LogRefusedError: as `errors_of` says.
        """
        client = self._blob(ref)
        with _errors_of(f"look at {ref}"):
            try:
                client.get_blob_properties(etag=etag, match_condition=MatchConditions.IfModified)
            except ResourceNotFoundError as exc:
                raise BlobGoneError(f"{ref} does not exist") from exc
            except HttpResponseError as exc:
                if exc.status_code == HTTPStatus.NOT_MODIFIED:
                    return False
                raise
        return True

    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes:
        """Read the bytes from `start` to `end` of the blob as it was listed: one request.

        Raises:
            BlobChangedError: the blob no longer has this ETag.
            BlobGoneError: there is no such blob.
            TransientError, LogRefusedError: as `errors_of` says.
        """
        client = self._blob(ref)
        with _errors_of(f"read {ref} from byte {start} to {end}"):
            try:
                return client.download_blob(
                    offset=start,
                    length=end - start,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                ).readall()
            except ResourceModifiedError as exc:
                raise BlobChangedError(f"{ref} was written while it was read") from exc
            except ResourceNotFoundError as exc:
                raise BlobGoneError(f"{ref} does not exist") from exc


@contextmanager
def _errors_of(what: str) -> Iterator[None]:
    """As `errors_of`, so that a refusal by these accounts is told from one by the state."""
    try:
        with errors_of(what):
            yield
    except RefusedError as exc:
        raise LogRefusedError(str(exc)) from exc
