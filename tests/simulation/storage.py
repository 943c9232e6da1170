"""The Azure SDK's clients over accounts in memory: what the product's own storage code talks to.

Every call is a step of the scheduler. Before it the service may be out of reach, or refuse; after
a write its answer may be lost: then the client gives up, or repeats the write by itself and gets
what the service says to a write that it has made already. ETags, conditions and the size of a
property hold as Azure has them.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobPrefix

ACCOUNT = "devstoreaccount1"
_LONGEST_PROPERTY = 32 * 1024  # letters, of two bytes each
Written = TypeVar("Written")
Key = tuple[str, str]
"""Container and path of a blob; partition and row of an entity."""


@dataclass
class Wire:
    """Between a client and its service: `step` lets others run, faults come by `draw`."""

    step: Callable[[], None]
    draw: Callable[[str], bool] = lambda _: False
    requests: int = 0

    def request(self) -> None:
        """Send a request; it may not arrive."""
        self.requests += 1
        self.step()
        if self.draw("unreachable"):
            raise ServiceRequestError("out of reach")

    def write(self, apply: Callable[[], Written]) -> Written:
        """Send a write and take its answer; it may be lost, and the write repeated for it."""
        self.request()
        answer = apply()
        if self.draw("answer lost"):
            raise ServiceResponseError("the answer was lost")
        if self.draw("repeated"):
            self.step()
            answer = apply()
        return answer


@dataclass
class Blobs:
    """A blob service: the committed blocks of each blob."""

    wire: Wire
    refuses: Callable[[str], bool] = lambda _: False
    blocks: dict[Key, list[tuple[str, bytes]]] = field(default_factory=dict)
    etags: dict[Key, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def write(self, key: Key, blocks: list[tuple[str, bytes]]) -> None:
        """Commit these blocks (id, bytes) at once."""
        self.blocks[key] = blocks
        self.etags[key] = f'"{next(self._numbers)}"'

    def request(self, container: str) -> None:
        """Send a request about a container; it may not arrive, or be refused."""
        self.wire.request()
        if self.refuses(container):
            refusal = HttpResponseError("no role")
            refusal.status_code = 403
            raise refusal

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
        self.blobs.request(self.key[0])
        self._find()
        blocks = self.blobs.blocks[self.key]
        size = sum(len(data) for _, data in blocks)
        headers = {"x-ms-blob-content-length": str(size), "ETag": self.blobs.etags[self.key]}
        raw_response_hook(SimpleNamespace(http_response=SimpleNamespace(headers=headers)))
        return [SimpleNamespace(id=name, size=len(data)) for name, data in blocks], []

    def get_blob_properties(self, etag: str, match_condition: object) -> None:
        """A look at the blob, unless it still has this ETag."""
        self.blobs.request(self.key[0])
        self._find()
        if self.blobs.etags[self.key] == etag:
            unchanged = ResourceModifiedError("not modified")  # so the SDK calls 304, too
            unchanged.status_code = 304
            raise unchanged

    def download_blob(self, offset: int, length: int, etag: str, match_condition: object) -> Any:
        """A range of the blob as it was when it had this ETag."""
        self.blobs.request(self.key[0])
        self._find()
        if self.blobs.etags[self.key] != etag:
            raise ResourceModifiedError("another ETag")
        content = b"".join(data for _, data in self.blobs.blocks[self.key])
        return SimpleNamespace(readall=lambda: content[offset : offset + length])

    def _find(self) -> None:
        if self.key not in self.blobs.blocks:
            raise ResourceNotFoundError("no such blob")


class Listing(list[Any]):
    """What a listing found, all on one page."""

    continuation_token = None

    def by_page(self) -> "Listing":
        """The pages."""
        return self

    def __next__(self) -> "Listing":
        return self


@dataclass(frozen=True)
class ContainerClient:
    """Lists and uploads."""

    blobs: Blobs
    container_name: str

    def walk_blobs(self, prefix: str, delimiter: str) -> list[Any]:
        """One level of names; a whole walk is one step, since none of its answers changes."""
        if not prefix:
            self.blobs.request(self.container_name)
        rests = [path[len(prefix) :] for path in self._paths(prefix)]
        below = {rest.partition(delimiter)[0] for rest in rests}
        return [BlobPrefix(prefix=f"{prefix}{name}{delimiter}") for name in sorted(below)]

    def list_blobs(self, name_starts_with: str) -> "Listing":
        """The blobs below a prefix."""
        self.blobs.request(self.container_name)
        return Listing(
            SimpleNamespace(
                name=path,
                size=sum(len(data) for _, data in self.blobs.blocks[self.container_name, path]),
                etag=self.blobs.etags[self.container_name, path],
            )
            for path in self._paths(name_starts_with)
        )

    def upload_blob(self, name: str, content: bytes, *, overwrite: bool) -> None:
        """Write a blob in one piece."""
        key = (self.container_name, name)
        self.blobs.wire.write(lambda: self.blobs.write(key, [("", content)]))

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

        def apply() -> dict[str, Any]:
            if _key(entity) in self.rows:
                raise ResourceExistsError("the row exists")
            return self._put(entity)

        return self.wire.write(apply)

    def update_entity(
        self, entity: dict[str, Any], mode: object, etag: str, match_condition: object
    ) -> dict[str, Any]:
        """Replace a row that still has this ETag."""

        def apply() -> dict[str, Any]:
            self._check(_key(entity), etag)
            return self._put(entity)

        return self.wire.write(apply)

    def upsert_entity(self, entity: dict[str, Any], mode: object) -> dict[str, Any]:
        """Write a row, whatever is there."""
        return self.wire.write(lambda: self._put(entity))

    def delete_entity(
        self, partition: str, row: str, etag: str = "", match_condition: object = None
    ) -> None:
        """Delete a row; with an ETag only if it still has that."""

        def apply() -> None:
            self._check((partition, row), etag)
            del self.rows[partition, row]

        self.wire.write(apply)

    def query_entities(
        self, where: str, parameters: dict[str, str], **options: Any
    ) -> Iterator[Entity]:
        """The rows of one partition, or of all before it."""
        self.wire.request()
        (partition,) = parameters.values()
        exact = " eq " in where
        for key in sorted(self.rows):
            if key[0] == partition if exact else key[0] < partition:
                yield self._entity(key)

    def submit_transaction(self, operations: list[tuple[Any, ...]]) -> None:
        """Write or delete rows of one partition."""
        assert len({operation[1]["PartitionKey"] for operation in operations}) == 1
        assert len(operations) <= 100

        def apply() -> None:
            for kind, entity, *_ in operations:
                if kind == "delete":
                    del self.rows[_key(entity)]
                else:
                    self._put(entity)

        self.wire.write(apply)

    def _check(self, key: Key, etag: str) -> None:
        if key not in self.rows:
            raise ResourceNotFoundError("no such row")
        if etag and self.rows[key][1] != etag:
            raise ResourceModifiedError("another ETag")

    def _entity(self, key: Key) -> Entity:
        entity, etag = self.rows[key]
        found = Entity(entity)
        found.metadata = {"etag": etag}
        return found

    def _put(self, entity: dict[str, Any]) -> dict[str, Any]:
        for value in entity.values():
            if isinstance(value, str) and len(value) > _LONGEST_PROPERTY:
                refusal = HttpResponseError("PropertyValueTooLarge")
                refusal.status_code = 400
                raise refusal
        before = self.rows.get(_key(entity))
        etag = str(next(self._numbers))
        self.rows[_key(entity)] = (dict(entity), etag)
        self.watch(before[0] if before else None, entity)
        return {"etag": etag}


def _key(entity: Mapping[str, Any]) -> Key:
    return entity["PartitionKey"], entity["RowKey"]
