"""The state of a sink's digests: one blob in the state container, written only as it was read."""

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


def blob_name(sink: str) -> str:
    """The state's blob; that of the first webhook has the name that it always had."""
    return "digest/state.json" if sink == NAMES[0] else f"digest/{sink}.json"


class DigestState:
    """The blob with the state; the container is made if it is missing."""

    def __init__(self, container: ContainerClient, sink: str = NAMES[0]) -> None:
        self._container = container
        self._name = blob_name(sink)

    def read(self) -> tuple[State, str]:
        """The state and its ETag; an empty one and "" where there is none."""
        with errors_of("read the state of the digests"):
            try:
                download = self._container.download_blob(self._name)
                return _STATE.decode(download.readall()), str(download.properties.etag)
            except ResourceNotFoundError:
                return State(), ""

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
        blob = self._container.get_blob_client(self._name)
        return str(blob.upload_blob(content, **condition)["etag"])
