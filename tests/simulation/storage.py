"""The Azure SDK's clients over accounts in memory: what the product's own storage code talks to.

Every call is a step of the scheduler. Before it the service may be out of reach; after a write
its answer may be lost. ETags and conditions hold as Azure has them.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobPrefix

ACCOUNT = "logs"
Key = tuple[str, str]
"""Container and path of a blob; partition and row of an entity."""


@dataclass
class Wire:
    """Between a client and its service: `step` lets others run, faults come by `draw`."""

    step: Callable[[], None]
    draw: Callable[[str], bool] = lambda _: False

    def request(self) -> None:
        """Send a request; it may not arrive."""
        self.step()
        if self.draw("unreachable"):
            raise ServiceRequestError("out of reach")

    def answer(self) -> None:
        """Take the answer to a write; it may be lost."""
        if self.draw("answer lost"):
            raise ServiceResponseError("the answer was lost")


@dataclass
class Blobs:
    """A blob service: the committed blocks of each blob."""

    wire: Wire
    blocks: dict[Key, list[tuple[str, bytes]]] = field(default_factory=dict)
    etags: dict[Key, str] = field(default_factory=dict)
    account_name: str = ACCOUNT
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def write(self, key: Key, blocks: list[tuple[str, bytes]]) -> None:
        """Commit these blocks (id, bytes) at once."""
        self.blocks[key] = blocks
        self.etags[key] = f'"{next(self._numbers)}"'

    def get_blob_client(self, container: str, path: str) -> "BlobClient":
        """A client of one blob."""
        return BlobClient(self, (container, path))

    def get_container_client(self, name: str) -> "ContainerClient":
        """A client of one container."""
        return ContainerClient(self, name)


@dataclass(frozen=True)
class BlobClient:
    """Lists blocks and reads ranges."""

    blobs: Blobs
    key: Key

    def get_block_list(self, kind: str, raw_response_hook: Callable[[Any], None]) -> Any:
        """The committed blocks."""
        self.blobs.wire.request()
        self._find()
        blocks = self.blobs.blocks[self.key]
        size = sum(len(data) for _, data in blocks)
        headers = {"x-ms-blob-content-length": str(size), "ETag": self.blobs.etags[self.key]}
        raw_response_hook(SimpleNamespace(http_response=SimpleNamespace(headers=headers)))
        return [SimpleNamespace(id=name, size=len(data)) for name, data in blocks], []

    def download_blob(self, offset: int, length: int, etag: str, match_condition: object) -> Any:
        """A range of the blob as it was when it had this ETag."""
        self.blobs.wire.request()
        self._find()
        if self.blobs.etags[self.key] != etag:
            raise ResourceModifiedError("another ETag")
        content = b"".join(data for _, data in self.blobs.blocks[self.key])
        return SimpleNamespace(readall=lambda: content[offset : offset + length])

    def _find(self) -> None:
        if self.key not in self.blobs.blocks:
            raise ResourceNotFoundError("no such blob")


@dataclass(frozen=True)
class ContainerClient:
    """Lists and uploads."""

    blobs: Blobs
    container_name: str

    def walk_blobs(self, prefix: str, delimiter: str) -> list[Any]:
        """One level of names; a whole walk is one step, since none of its answers changes."""
        if not prefix:
            self.blobs.wire.request()
        rests = [path[len(prefix) :] for path in self._paths(prefix)]
        below = {rest.partition(delimiter)[0] for rest in rests}
        return [BlobPrefix(prefix=f"{prefix}{name}{delimiter}") for name in sorted(below)]

    def list_blobs(self, name_starts_with: str) -> list[Any]:
        """The blobs below a prefix."""
        self.blobs.wire.request()
        return [
            SimpleNamespace(
                name=path,
                size=sum(len(data) for _, data in self.blobs.blocks[self.container_name, path]),
                etag=self.blobs.etags[self.container_name, path],
            )
            for path in self._paths(name_starts_with)
        ]

    def upload_blob(self, name: str, content: bytes, *, overwrite: bool) -> None:
        """Write a blob in one piece."""
        self.blobs.wire.request()
        self.blobs.write((self.container_name, name), [("", content)])
        self.blobs.wire.answer()

    def _paths(self, prefix: str) -> list[str]:
        return sorted(
            path
            for container, path in self.blobs.blocks
            if container == self.container_name and path.startswith(prefix)
        )


class Entity(dict[str, Any]):
    """A row as the SDK hands it out."""

    metadata: Mapping[str, Any]


@dataclass
class Table:
    """A table; `watch` is told of every write: the row before, the row after."""

    wire: Wire
    watch: Callable[[Mapping[str, Any] | None, Mapping[str, Any]], None]
    rows: dict[Key, tuple[dict[str, Any], str]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def get_entity(self, partition: str, row: str) -> Entity:
        """Read a row."""
        self.wire.request()
        if (partition, row) not in self.rows:
            raise ResourceNotFoundError("no such row")
        return self._entity((partition, row))

    def create_entity(self, entity: dict[str, Any]) -> dict[str, Any]:
        """Write a row that is not there."""
        self.wire.request()
        if (entity["PartitionKey"], entity["RowKey"]) in self.rows:
            raise ResourceExistsError("the row exists")
        return self._put(entity)

    def update_entity(
        self, entity: dict[str, Any], mode: object, etag: str, match_condition: object
    ) -> dict[str, Any]:
        """Replace a row that still has this ETag."""
        self.wire.request()
        key = (entity["PartitionKey"], entity["RowKey"])
        if key not in self.rows:
            raise ResourceNotFoundError("no such row")
        if self.rows[key][1] != etag:
            raise ResourceModifiedError("another ETag")
        return self._put(entity)

    def query_entities(
        self, where: str, parameters: dict[str, str], **options: Any
    ) -> Iterator[Entity]:
        """The rows of one partition, or of all before it."""
        self.wire.request()
        hour = parameters["hour"]
        exact = where == "PartitionKey eq @hour"
        for key in sorted(self.rows):
            if key[0] == hour if exact else key[0] < hour:
                yield self._entity(key)

    def submit_transaction(self, operations: list[tuple[str, Entity]]) -> None:
        """Delete rows."""
        self.wire.request()
        for _, entity in operations:
            del self.rows[entity["PartitionKey"], entity["RowKey"]]

    def _entity(self, key: Key) -> Entity:
        entity, etag = self.rows[key]
        found = Entity(entity)
        found.metadata = {"etag": etag}
        return found

    def _put(self, entity: dict[str, Any]) -> dict[str, Any]:
        key = (entity["PartitionKey"], entity["RowKey"])
        before = self.rows.get(key)
        etag = str(next(self._numbers))
        self.rows[key] = (dict(entity), etag)
        self.watch(before[0] if before else None, entity)
        self.wire.answer()
        return {"etag": etag}
