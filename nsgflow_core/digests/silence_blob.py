"""Where silences are: one blob in the state container, for all webhooks that send digests."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient

from nsgflow_core.digests.silences import Silence
from nsgflow_core.errors import TransientError
from nsgflow_core.storage import error_code, errors_of

NAME = "digest/silences.json"
_TRIES = 5
_NOT_MODIFIED = 304
_SILENCES = msgspec.json.Decoder(tuple[Silence, ...])


class Silences:
    """The blob with the silences; what was read last is asked for again only if it changed."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container
        self._etag = ""
        self._known: tuple[Silence, ...] = ()

    def read(self) -> Sequence[Silence]:
        """All of them, the expired ones too.

        Raises:
            TransientError, RefusedError: the storage failed.
        """
        condition: dict[str, Any] = {}
        if self._etag:
            condition = {"etag": self._etag, "match_condition": MatchConditions.IfModified}
        with errors_of("read the silences"):
            try:
                download = self._container.download_blob(NAME, **condition)
                self._known = _SILENCES.decode(download.readall())
                self._etag = str(download.properties.etag)
            except ResourceNotFoundError:
                self._known, self._etag = (), ""
            except HttpResponseError as exc:
                if exc.status_code != _NOT_MODIFIED:
                    raise
        return self._known

    def change(self, change: Callable[[Sequence[Silence]], Sequence[Silence]]) -> None:
        """Write what becomes of them, over what was read.

        Raises:
            TransientError, RefusedError: the storage failed, or others kept changing them.
        """
        for _ in range(_TRIES):
            content = msgspec.json.encode(change(self.read()))
            with errors_of("write the silences"):
                try:
                    self._upload(content)
                except (ResourceModifiedError, ResourceExistsError):
                    continue
                except ResourceNotFoundError as exc:
                    if error_code(exc) == "ContainerNotFound":
                        self._container.create_container()
                    continue
            self._etag = ""
            return
        raise TransientError("the silences are being changed by others: try again")

    def _upload(self, content: bytes) -> None:
        condition: dict[str, Any] = {"overwrite": False}
        if self._etag:
            condition = {
                "overwrite": True,
                "etag": self._etag,
                "match_condition": MatchConditions.IfNotModified,
            }
        self._container.get_blob_client(NAME).upload_blob(content, **condition)
