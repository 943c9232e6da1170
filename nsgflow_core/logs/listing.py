"""Which flow logs exist: the resources of a container, and the blobs of one of their hours.

A listing costs as much as a write, and a container holds years. So names are walked level by
level down to each resource, and from there straight to an hour: the requests follow the number
of resources and hours asked for, never the container's history.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobPrefix, BlobProperties, ContainerClient

from nsgflow_core.logs.path import hour_prefix, is_flow_log, possible
from nsgflow_core.storage import errors_of

_LEVEL = "/"
_ROOTS = ("resourceid=/", "flowlogresourceid=/")
_RESOURCE = re.compile(
    r"resourceId=/SUBSCRIPTIONS/[^/]+/RESOURCEGROUPS/[^/]+/PROVIDERS/MICROSOFT\.NETWORK"
    r"/NETWORKSECURITYGROUPS/[^/]+/"
    r"|flowLogResourceID=/SUBSCRIPTIONS/[^/]+/RESOURCEGROUPS/[^/]+/PROVIDERS/MICROSOFT\.NETWORK"
    r"/NETWORKWATCHERS/[^/]+/FLOWLOGS/[^/]+/"
    r"|flowLogResourceID=/[^/]+_[^/]+/NETWORKWATCHER_[^/]+/",
    re.IGNORECASE,
)
"""The forms of a resource's prefix: what has one is not listed to see what stands below it."""

_YEAR = re.compile(r"y=\d{4}/", re.IGNORECASE)
_DEEPEST = 11  # levels of the longest form
_HOUR = re.compile(r"y=(\d{4})/m=(\d\d)/d=(\d\d)/h=(\d\d)/")


class ListedBlob(msgspec.Struct, frozen=True):
    """A blob as a listing shows it; size in bytes, ETag as a response header has it."""

    path: str
    size: int
    etag: str


def resources(container: ContainerClient) -> Iterator[str]:
    """The prefix of each resource with flow logs in a container, ending in "/".

    A resource is known by the form of its id or, where Azure has thought of another one, by the
    years that stand below it. A container that does not exist has none.
    """
    for root in below(container, ""):
        if root.lower() in _ROOTS:
            yield from _resources(container, root)


def _resources(container: ContainerClient, prefix: str) -> Iterator[str]:
    names = below(container, prefix)
    if any(_YEAR.fullmatch(name, len(prefix)) for name in names):
        yield prefix
    for name in names:
        if _RESOURCE.fullmatch(name):
            yield name
        elif name.count(_LEVEL) <= _DEEPEST and not _YEAR.fullmatch(name, len(prefix)):
            yield from _resources(container, name)


def below(container: ContainerClient, prefix: str) -> list[str]:
    """The names one level below a prefix that go on."""
    with errors_of(f"list {container.container_name}"), suppress(ResourceNotFoundError):
        return [
            item.name
            for item in container.walk_blobs(prefix, delimiter=_LEVEL)
            if isinstance(item, BlobPrefix)
        ]
    return []


def hour_blobs(container: ContainerClient, resource: str, hour: datetime) -> list[ListedBlob]:
    """The flow logs of one resource and hour: one request for up to 5,000 NICs."""
    return blobs_below(container, hour_prefix(resource, hour))


def blobs_below(container: ContainerClient, prefix: str) -> list[ListedBlob]:
    """The flow logs below a prefix, on however many pages."""
    with errors_of(f"list {container.container_name}"):
        try:
            return [
                listed(blob)
                for blob in container.list_blobs(name_starts_with=prefix)
                if is_flow_log(blob.name)
            ]
        except ResourceNotFoundError:
            return []


def listed(blob: BlobProperties) -> ListedBlob:
    """A blob of a listing."""
    return ListedBlob(blob.name, blob.size, f'"{blob.etag.strip(chr(34))}"')


def newest_hours(container: ContainerClient, resource: str) -> Iterator[datetime]:
    """The hours that a resource has flow logs of, the newest first.

    Lazy: the first hour costs four requests, each further one of the same day none.
    """

    def down(prefix: str, depth: int) -> Iterator[str]:
        for name in sorted(below(container, prefix), reverse=True):
            if depth == 1:
                yield name
            else:
                yield from down(name, depth - 1)

    now = datetime.now(UTC)
    for name in down(resource, 4):
        if found := _HOUR.fullmatch(name[len(resource) :]):
            year, month, day, of_day = map(int, found.groups())
            with suppress(ValueError):  # some other blob's prefix
                hour = datetime(year, month, day, of_day, tzinfo=UTC)
                if possible(hour, now):
                    yield hour


def exists(container: ContainerClient) -> bool:
    """Whether a container exists."""
    with errors_of(f"look for {container.container_name}"):
        return container.exists()
