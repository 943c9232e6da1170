"""The state of a sink's digests: one blob in the state container, written only as it was read."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient

from nsgflow_core.digests.memory import State, StateChangedError
from nsgflow_core.storage import error_code, errors_of
from nsgflow_core.webhooks import NAMES

_STATE = msgspec.json.Decoder(State)
_FOLDER = "digest/"
_TRIES = 10


def blob_name(sink: str) -> str:
    """The state's blob; that of the first webhook has the name that it always had."""
    return f"{_FOLDER}{'state' if sink == NAMES[0] else sink}.json"


class DigestState:
    """The blob with the state; the container is made if it is missing."""

    def __init__(self, container: ContainerClient, sink: str = NAMES[0]) -> None:
        self._container = container
        self.name = blob_name(sink)

    def read(self) -> tuple[State, str]:
        """The state and its ETag; where there is none, what people told the others, and ""."""
        with errors_of("read the state of the digests"):
            try:
                download = self._container.download_blob(self.name)
                return _STATE.decode(download.readall()), str(download.properties.etag)
            except ResourceNotFoundError:
                pass
        others = [at.read()[0] for at in states(self._container) if at.name != self.name]
        silences = {at.id: at for other in others for at in other.silences}
        marks = {mark for other in others for mark in other.marks}
        ordered = sorted(marks, key=lambda mark: (mark.at, mark.text))
        return State(silences=tuple(silences.values()), marks=tuple(ordered)), ""

    def change(self, change: Callable[[State], State]) -> None:
        """Write what becomes of the state, whoever else writes meanwhile.

        Raises:
            StateChangedError: others kept changing it.
            TransientError, RefusedError: the storage failed.
        """
        for left in reversed(range(_TRIES)):
            read, etag = self.read()
            try:
                self.write(change(read), etag)
            except StateChangedError:  # by the function, which has more to say
                if not left:
                    raise
            else:
                return

    def write(self, state: State, etag: str) -> str:
        """Write the state over the one that was read, or as the first; its new ETag.

        Raises:
            StateChangedError: it is not as it was read.
        """
        content = msgspec.json.encode(state)
        with errors_of("write the state of the digests"):
            try:
                return self._upload(content, etag)
            except (ResourceModifiedError, ResourceExistsError) as exc:
                raise StateChangedError("the state of the digests has changed") from exc
            except ResourceNotFoundError as exc:
                if etag or error_code(exc) != "ContainerNotFound":
                    raise StateChangedError("the state of the digests is gone") from exc
            with suppress(ResourceExistsError):  # another worker was as early
                self._container.create_container()
            try:
                return self._upload(content, etag)
            except ResourceExistsError as exc:
                raise StateChangedError("the state of the digests has changed") from exc

    def _upload(self, content: bytes, etag: str) -> str:
        condition: dict[str, Any] = {"overwrite": False}
        if etag:
            condition = {
                "overwrite": True,
                "etag": etag,
                "match_condition": MatchConditions.IfNotModified,
            }
        blob = self._container.get_blob_client(self.name)
        return str(blob.upload_blob(content, **condition)["etag"])


def states(container: ContainerClient, sinks: Iterable[str] = ()) -> list[DigestState]:
    """The states of these webhooks, and of all that have one.

    Raises:
        TransientError, RefusedError: the storage failed.
    """
    known = set(map(blob_name, sinks))
    with errors_of("list the states of the digests"), suppress(ResourceNotFoundError):
        known |= set(container.list_blob_names(name_starts_with=_FOLDER))
    return [DigestState(container, sink) for sink in NAMES if blob_name(sink) in known]
