"""A container with years of flow logs, whose names are made when they are listed.

It answers List Blobs, with prefix, delimiter and pages of 5,000 names, and nothing else:
https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType

from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from devtools.http_server import Request, Response, Server, serve
from devtools.nic import NSG_CONTAINER, Nic, nsg_path

ACCOUNT = "history"
SIZE = 5000
"""Bytes of every blob."""
ETAG = "0x8DE2A5C3B1D4F60"
"""ETag of every blob, as a listing has it."""

_PAGE = 5000
_HOUR = dt.timedelta(hours=1)


@dataclasses.dataclass
class History:
    """NSG flow logs of some resources and hours, every NIC in every hour.

    Attributes:
        resources: prefixes, all of one depth, ending in "/".
        newest: the last hour; also `hours`, how many there are up to it.
        nics: NICs of each resource.
        server: counts the requests.
    """

    resources: Sequence[str]
    newest: dt.datetime
    hours: int
    nics: int
    server: Server = dataclasses.field(init=False)

    @property
    def blobs(self) -> int:
        """How many blobs the container has."""
        return len(self.resources) * self.hours * self.nics

    def below_resource(self) -> list[str]:
        """What the paths of the newest hour's blobs have behind their resource's prefix."""
        prefix = _hour("", self.newest)
        return [f"{prefix}m=00/macAddress={_mac(nic)}/PT1H.json" for nic in range(self.nics)]

    def container(self, name: str = NSG_CONTAINER) -> ContainerClient:
        """A client of the container, or of one that does not exist."""
        return history_container(self.server.url, name)

    def answer(self, request: Request) -> Response:
        """One page of a listing."""
        if request.path != f"/{ACCOUNT}/{NSG_CONTAINER}" or request.query.get("comp") != "list":
            code = "<Error><Code>ContainerNotFound</Code><Message>none</Message></Error>"
            return _xml(404, code, {"x-ms-error-code": "ContainerNotFound"})
        prefix = request.query.get("prefix", "")
        skip = int(request.query.get("marker") or 0)
        names = self._below(prefix, flat="delimiter" not in request.query)
        page = list(islice(names, skip, skip + _PAGE + 1))
        marker = str(skip + _PAGE) if len(page) > _PAGE else ""
        entries = "".join(
            _prefix(name) if name[-1] == "/" else _blob(name) for name in page[:_PAGE]
        )
        return _xml(
            200,
            f'<EnumerationResults ServiceEndpoint="{self.server.url}/{ACCOUNT}" '
            f'ContainerName="{NSG_CONTAINER}"><Prefix>{prefix}</Prefix>'
            f"<Blobs>{entries}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>",
        )

    def _below(self, prefix: str, *, flat: bool) -> Iterator[str]:
        """What lies below a prefix that ends in "/", level by level or all of it."""
        for name in self._children(prefix):
            if flat and name[-1] == "/":
                yield from self._below(name, flat=True)
            else:
                yield name

    def _children(self, prefix: str) -> Iterator[str]:
        depth = self.resources[0].count("/")
        levels = prefix.count("/")
        if levels < depth:
            yield from _next_level(self.resources, prefix)
        elif levels < depth + 4:
            resource = "/".join(prefix.split("/")[:depth]) + "/"
            ages = reversed(range(self.hours))
            yield from _next_level(
                (_hour(resource, self.newest - age * _HOUR) for age in ages), prefix
            )
        elif levels == depth + 4:
            if self._has(prefix):
                yield f"{prefix}m=00/"
        elif levels == depth + 5:
            yield from (f"{prefix}macAddress={_mac(nic)}/" for nic in range(self.nics))
        else:
            yield f"{prefix}PT1H.json"

    def _has(self, prefix: str) -> bool:
        """Whether the hour that a prefix ends in is one of ours."""
        text = "".join(prefix.split("/")[-5:-1]) + "+0000"
        hour = dt.datetime.strptime(text, "y=%Ym=%md=%dh=%H%z")
        return (self.newest - hour) // _HOUR in range(self.hours)


def history_container(url: str, name: str = NSG_CONTAINER) -> ContainerClient:
    """A client of the container served at this URL, or of one that does not exist."""
    credential = AzureNamedKeyCredential(ACCOUNT, "a2V5")  # whoever asks is answered
    return BlobServiceClient(f"{url}/{ACCOUNT}", credential).get_container_client(name)


def nsg_resources(subscriptions: int, groups: int, nsgs: int) -> list[str]:
    """Prefixes of NSGs: so many in each of so many resource groups of each subscription."""
    return [
        nsg_path(
            Nic(
                subscription=f"00000000-0000-0000-0000-{subscription:012}",
                resource_group=f"GROUP-{group:03}",
                nsg=f"NSG-{nsg:04}",
            ),
            dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        ).partition("y=")[0]
        for subscription in range(subscriptions)
        for group in range(groups)
        for nsg in range(nsgs)
    ]


@contextlib.contextmanager
def history(
    resources: Sequence[str], newest: dt.datetime, hours: int, nics: int
) -> Iterator[History]:
    """Serve such a container while the context lasts."""
    running = History(resources, newest, hours, nics)
    with serve(running.answer) as running.server:
        yield running


def _next_level(names: Iterable[str], prefix: str) -> Iterator[str]:
    """The names below a prefix, cut off behind its next level, each once."""
    levels = prefix.count("/") + 1
    below = (name.split("/", levels)[:levels] for name in names if name.startswith(prefix))
    yield from dict.fromkeys("/".join(parts) + "/" for parts in below)


def _mac(nic: int) -> str:
    return f"000D3A{nic:06X}"


def _hour(resource: str, hour: dt.datetime) -> str:
    return f"{resource}{hour:y=%Y/m=%m/d=%d/h=%H}/"


def _prefix(name: str) -> str:
    return f"<BlobPrefix><Name>{name}</Name></BlobPrefix>"


def _blob(name: str) -> str:
    return (
        f"<Blob><Name>{name}</Name><Properties><Etag>{ETAG}</Etag>"
        f"<Content-Length>{SIZE}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
    )


def _xml(status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode()
    return Response(status, body, {"Content-Type": "application/xml", **headers})
