"""What Event Grid tells of a blob that was written. Pure.

A message of the queue holds one event, or an array of them, in Event Grid's own schema or as
CloudEvents 1.0; Event Grid encodes messages as Base64.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage gives both forms, and
https://learn.microsoft.com/azure/event-grid/handler-storage-queues how they come to a queue.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import msgspec

from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path
from nsgflow_core.model import account_of

BLOB_CREATED = "Microsoft.Storage.BlobCreated"
"""The type of the events of interest: a blob was written or replaced, and is whole."""

_SUBJECT = re.compile(r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<path>.+)")
_URL_PATH = re.compile(
    rf"(?P<account>.*)/(?P<container>{NSG_CONTAINER}|{VNET_CONTAINER})/(?P<path>.+)"
)
_ACCOUNT = re.compile(
    r"/providers/Microsoft\.Storage/storageAccounts/(?P<name>[^/]+)", re.IGNORECASE
)
_SHOWN = 200


class Announced(msgspec.Struct, frozen=True):
    """A blob as it was when its event was made: size in bytes, ETag without quotes.

    `time` is when the event was made, in seconds since the epoch; the blob was written before.
    """

    size: int
    etag: str
    time: float


class BlobEvent(msgspec.Struct, frozen=True):
    """A flow-log blob was written.

    `accounts` are the names of its storage account, in lower case: by the resource that the event
    is of, then by the blob's URL where that differs.
    """

    accounts: tuple[str, ...]
    container: str
    path: str
    announced: Announced | None


class Message(msgspec.Struct, frozen=True):
    """What a message of the queue holds: events of flow logs, and what is wrong with the rest."""

    events: list[BlobEvent]
    problems: list[str]


class _Event(msgspec.Struct):
    """An event as written: the first line is Event Grid's own, the second CloudEvents'."""

    topic: str = ""
    eventType: str = ""  # noqa: N815 - as Event Grid spells it
    eventTime: str = ""  # noqa: N815
    source: str = ""
    type: str = ""
    time: str = ""
    subject: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Data(msgspec.Struct):
    """The data of `BlobCreated`."""

    url: str = ""
    eTag: str = ""  # noqa: N815 - as Event Grid spells it
    contentLength: int | None = None  # noqa: N815


_EVENT = msgspec.json.Decoder(_Event)
_DATA = msgspec.json.Decoder(_Data)
_SEVERAL = msgspec.json.Decoder(list[msgspec.Raw])


def read_message(body: bytes) -> Message:
    """Read a message of the queue; whatever it holds, this raises nothing."""
    events: list[BlobEvent] = []
    problems: list[str] = []
    try:
        texts = list(_events(body))
    except _UNREADABLE as exc:
        return Message([], [f"a message of {len(body)} bytes holds no event: {_short(exc)}"])
    for text in texts:
        try:
            events.append(_blob_event(_EVENT.decode(text)))
        except BadInputError as exc:
            problems.append(_short(exc))
        except _UNREADABLE as exc:
            problems.append(f"no event: {_short(exc)}")
    return Message(events, problems)


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadInputError)


def _events(body: bytes) -> Sequence[msgspec.Raw | bytes]:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text.startswith((b"{", b"[")):
        try:
            text = base64.b64decode(text, validate=True).removeprefix(b"\xef\xbb\xbf").strip()
        except binascii.Error as exc:
            raise BadInputError("neither JSON nor Base64") from exc
    return _SEVERAL.decode(text) if text.startswith(b"[") else [text]


def _blob_event(event: _Event) -> BlobEvent:
    kind = event.eventType or event.type
    if kind != BLOB_CREATED:
        raise BadInputError(f"an event of type {kind or 'none'} of {event.subject or 'nothing'}")
    data = _DATA.decode(event.data)
    try:
        url = urlsplit(data.url)
        _ = url.hostname
    except ValueError as exc:
        raise BadInputError(f"an event of a blob with an impossible URL: {exc}") from exc
    by_url = _URL_PATH.fullmatch(unquote(url.path))
    found = _SUBJECT.fullmatch(unquote(event.subject)) or by_url
    if found is None or found["container"] not in (NSG_CONTAINER, VNET_CONTAINER):
        raise BadInputError(f"an event of no flow log: {event.subject or url.path or 'no blob'}")
    parse_path(found["path"])
    resource = _ACCOUNT.search(event.topic or event.source)
    service = url._replace(path=by_url["account"] if by_url else "", query="").geturl()
    names = (resource["name"] if resource else "", account_of(service))
    return BlobEvent(
        tuple(dict.fromkeys(name.lower() for name in names if name)),
        found["container"],
        found["path"],
        _announced(data, event.eventTime or event.time),
    )


def _announced(data: _Data, time: str) -> Announced | None:
    """What the event says of the blob; None where it does not say it all."""
    if data.contentLength is None or not data.eTag:
        return None
    try:
        moment = msgspec.convert(time, datetime)
    except msgspec.ValidationError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Announced(data.contentLength, data.eTag.strip('"'), moment.timestamp())


def _short(what: object) -> str:
    return str(what)[:_SHOWN]
