"""Dead letters: what could not be read, or was refused for good, kept with its source.

One blob per stretch of a flow log, in the state container, named by where the stretch lies: the
same dead letter written again lands on itself.
"""

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from nsgflow_core.model import Bad, BlobRef
from nsgflow_core.sinks import Refusal
from nsgflow_core.storage import error_code, errors_of

PREFIX = "deadletter/"
_MAX_ENTRIES = 1000
_MAX_DATA = 64 * 1024
_MAX_TOTAL = 4 * 1024 * 1024


class DeadLetters:
    """The dead letters in the state container, which is made if it is missing."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def put_bad(self, ref: BlobRef, bad: Sequence[Bad]) -> None:
        """Keep what could not be read in a stretch of a blob."""
        entries = [_entry(item.data, offset=item.offset, reason=_clip(item.reason)) for item in bad]
        self._put(ref, bad[0].offset, "input", entries)

    def put_refused(self, ref: BlobRef, sink: str, refused: Sequence[Refusal]) -> None:
        """Keep what a sink refused in a stretch of a blob."""
        entries = [
            _entry(
                refusal.item.payload,
                offset=refusal.item.after.offset,
                ordinal=refusal.item.after.ordinal,
                id=refusal.item.id,
                reason=_clip(refusal.reason),
            )
            for refusal in refused
        ]
        after = refused[0].item.after
        self._put(ref, after.offset, f"{after.ordinal}-{sink}", entries)

    def _put(self, ref: BlobRef, offset: int, kind: str, entries: list[dict[str, Any]]) -> None:
        kept: list[dict[str, Any]] = []
        room = _MAX_TOTAL
        for entry in entries[:_MAX_ENTRIES]:
            room -= len(entry["data"])
            if room < 0:
                break
            kept.append(entry)
        letter = {
            "account": ref.account,
            "container": ref.container,
            "path": ref.path,
            "kind": kind.rpartition("-")[2],
            "entries": kept,
            "omitted": len(entries) - len(kept),
        }
        name = f"{PREFIX}{ref}/{offset:012d}-{kind}.json"
        content = msgspec.json.encode(letter)
        with errors_of("write a dead letter"):
            try:
                self._container.upload_blob(name, content, overwrite=True)
            except ResourceNotFoundError as exc:
                if error_code(exc) != "ContainerNotFound":
                    raise
                with suppress(ResourceExistsError):  # another worker was as early
                    self._container.create_container()
                self._container.upload_blob(name, content, overwrite=True)


def _clip(text: str) -> str:
    return text[:1000]


def _entry(data: bytes, **about: Any) -> dict[str, Any]:
    """One entry: as text where the bytes are UTF-8, in base64 where not; clipped if huge."""
    clipped = data[:_MAX_DATA]
    try:
        content, encoding = clipped.decode(), "utf-8"
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(clipped).decode(), "base64"
    return about | {"bytes": len(data), "encoding": encoding, "data": content}
