"""Dead letters: what could not be read, or was refused for good, kept with its source.

One blob per stretch of a flow log, in the state container, named by where the stretch begins and
where its first piece lies: the same dead letter written again lands on itself, and no other does.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient

from nsgflow_core.errors import BadInputError, TransientError
from nsgflow_core.model import Bad, BlobRef
from nsgflow_core.sinks.sink import Refusal
from nsgflow_core.storage import error_code, errors_of

PREFIX = "deadletter/"
INPUT = "input"
"""The kind of a letter with what could not be read; any other kind is the name of a sink."""
_MAX_ENTRIES = 1000
_MAX_DATA = 64 * 1024
_MAX_TOTAL = 4 * 1024 * 1024
_MAX_LETTER = 16 * 1024 * 1024
"""The largest letter that is read, in bytes; JSON escapes can make 4 MiB of text longer."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, rename={"size": "bytes"}):
    """One piece, row or alert: where it was, why it is here, and its first 64 KiB.

    `offset` and `ordinal` are the place of a piece, and the one behind a row or alert; `id` is
    the alert's; `size` counts all of its bytes.
    """

    offset: int
    reason: str
    size: int
    encoding: str
    data: str
    ordinal: int = 0
    id: str = ""

    @property
    def content(self) -> bytes:
        """What was kept of its bytes.

        Raises:
            BadInputError: it is not as nsgflow writes it.
        """
        try:
            if self.encoding == "base64":
                return base64.b64decode(self.data, validate=True)
            return self.data.encode()
        except (binascii.Error, UnicodeEncodeError) as exc:
            raise BadInputError("an entry of the dead letter is malformed") from exc


class Letter(msgspec.Struct, frozen=True):
    """The dead letter of one stretch; `omitted` entries more did not fit into it."""

    account: str
    container: str
    path: str
    kind: str
    entries: list[Entry]
    omitted: int = 0

    @property
    def ref(self) -> BlobRef:
        """The flow log that it came from."""
        return BlobRef(self.account, self.container, self.path)


class Listed(msgspec.Struct, frozen=True):
    """A dead letter as it is listed: the blob's name, size in bytes, time and ETag."""

    name: str
    size: int
    written: datetime
    etag: str


class DeadLetters:
    """The dead letters in the state container, which is made if it is missing."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def put_bad(self, ref: BlobRef, bad: Sequence[Bad], start: int) -> None:
        """Keep what could not be read in the stretch of a blob that begins at `start`."""
        ordered = sorted(bad, key=lambda piece: piece.offset)
        kind = f"{ordered[0].offset:012d}-{INPUT}"
        number = sum(piece.count for piece in ordered)
        self._put(ref, start, kind, list(map(entry_of, ordered[:_MAX_ENTRIES])), number)

    def put_refused(self, ref: BlobRef, sink: str, refused: Sequence[Refusal]) -> None:
        """Keep what a sink refused in a stretch of a blob."""
        entries = [
            _entry(
                refusal.item.payload,
                refusal.item.after.offset,
                refusal.reason,
                ordinal=refusal.item.after.ordinal,
                alert=refusal.item.id,
            )
            for refusal in refused
        ]
        after = refused[0].item.after
        self._put(ref, after.offset, f"{after.ordinal}-{sink}", entries, len(entries))

    def _put(self, ref: BlobRef, offset: int, kind: str, entries: list[Entry], number: int) -> None:
        """Write a letter with as many entries as have room in it; there are a `number` in all."""
        kept: list[Entry] = []
        room = _MAX_TOTAL
        for entry in entries[:_MAX_ENTRIES]:
            room -= len(entry.data)
            if room < 0:
                break
            kept.append(entry)
        letter = Letter(
            ref.account,
            ref.container,
            ref.path,
            kind.rpartition("-")[2],
            kept,
            number - len(kept),
        )
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

    def list(self) -> Iterator[Listed]:
        """Every dead letter, in the order of their names; none without the container.

        Raises:
            TransientError, RefusedError: as `errors_of` says.
        """
        with errors_of("list the dead letters"):
            try:
                for blob in self._container.list_blobs(name_starts_with=PREFIX):
                    yield Listed(blob.name, blob.size, blob.last_modified, blob.etag)
            except ResourceNotFoundError:
                return

    def read(self, listed: Listed) -> Letter:
        """Read a letter.

        Raises:
            BadInputError: it is not as nsgflow writes it, or is gone.
            TransientError, RefusedError: as `errors_of` says.
        """
        if listed.size > _MAX_LETTER:
            raise BadInputError(f"the dead letter has {listed.size} bytes, which none has")
        with errors_of("read a dead letter"):
            try:
                content = self._container.download_blob(
                    listed.name, offset=0, length=_MAX_LETTER
                ).readall()
            except ResourceNotFoundError as exc:
                raise BadInputError("the dead letter is gone") from exc
        try:
            letter = msgspec.json.decode(content, type=Letter)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise BadInputError(f"the dead letter cannot be read: {exc}") from exc
        if not listed.name.startswith(f"{PREFIX}{letter.ref}/"):
            raise BadInputError("the dead letter is of another flow log than its name says")
        return letter

    def settle(self, listed: Listed, letter: Letter, left: Sequence[Entry]) -> None:
        """Keep only what is left of a letter; delete it when nothing is.

        Raises:
            TransientError: it was written in the meantime, or as `errors_of` says.
            RefusedError: as `errors_of` says.
        """
        with errors_of("settle a dead letter"):
            try:
                if left or letter.omitted:
                    kept = msgspec.structs.replace(letter, entries=list(left))
                    self._container.upload_blob(
                        listed.name,
                        msgspec.json.encode(kept),
                        overwrite=True,
                        etag=listed.etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
                else:
                    self._container.delete_blob(
                        listed.name,
                        etag=listed.etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
            except ResourceModifiedError as exc:
                raise TransientError("the dead letter was written in the meantime") from exc


def entry_of(bad: Bad) -> Entry:
    """The entry of a piece that could not be read."""
    return _entry(bad.data, bad.offset, bad.reason)


def _entry(data: bytes, offset: int, reason: str, ordinal: int = 0, alert: str = "") -> Entry:
    """One entry: as text where the bytes are UTF-8, in base64 where not; clipped if huge."""
    clipped = data[:_MAX_DATA]
    try:
        content, encoding = clipped.decode(), "utf-8"
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(clipped).decode(), "base64"
    return Entry(offset, reason[:1000], len(data), encoding, content, ordinal, alert)
