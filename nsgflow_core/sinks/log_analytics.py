"""The table in Log Analytics, through the Logs Ingestion API.

Limits: 1 MB a call, of the body as sent and as unpacked
(https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#logs-ingestion-api).
The SDK's own batching overshoots that, since it does not count separators, and encodes each row
twice; so batches are made here. One call is all that is left of the API then, and azure-core's own
pipeline makes it, as it does inside the SDK: a third of the time before a body is sent.
https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview#rest-api-call

Each row is encoded once, packed at once and forgotten: a batch that is accepted, as nearly all
are, needs no more than its packed body. A row is encoded again only where a refusal asks for the
bytes: for the halves of a batch, and for a dead letter.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import ClassVar, overload
from urllib.parse import quote

import msgspec
from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from azure.core.rest import HttpRequest, HttpResponse
from msgspec.structs import replace

from nsgflow_core.config import LogsSettings
from nsgflow_core.errors import BadInputError, RefusedError, TransientError
from nsgflow_core.estate.knowledge import Knowing, nothing
from nsgflow_core.logs.columns import Columns, Unread, joined
from nsgflow_core.model import BlobRef, Flow, Position
from nsgflow_core.sinks import rows
from nsgflow_core.sinks.answers import status_error, with_retries
from nsgflow_core.sinks.deflating import deflate
from nsgflow_core.sinks.in_order import deliver_in_order
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Delivery, Item, Sendable
from nsgflow_core.web import azure_transport, time_limit

MAX_BODY = 1_000_000
"""Largest body in bytes before compression: under 1 MB whether mega means 1000 or 1024."""

_ROWS_AGAIN = 15
"""Rows of dead letters, of up to 64 KiB each, that surely fit into one body."""

_VERSION = "2023-01-01"
_HEADERS = {
    "Accept": "application/json",
    "Content-Encoding": "gzip",
    "Content-Type": "application/json",
    "User-Agent": "nsgflow",
}

_GZIP = 16 + deflate.MAX_WBITS
_FAST = 1  # rows repeat so much that slower levels gain nothing worth their CPU


class LogAnalyticsSink:
    """Rows of `NSGFlow_CL` to one stream of one data collection rule."""

    name = "table"

    def __init__(
        self, settings: LogsSettings, credential: TokenCredential, knowledge: Knowing = nothing
    ) -> None:
        self.filter = settings.filter
        self._knowledge = knowledge
        self._settings = settings
        self._url = (
            f"{settings.endpoint.rstrip('/')}/dataCollectionRules/{quote(settings.rule_id, '')}"
            f"/streams/{quote(settings.stream, '')}?api-version={_VERSION}"
        )
        # Retries are counted against the time of the whole delivery, so they are made here.
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            settings.endpoint,
            policies=[BearerTokenCredentialPolicy(credential, token_scope(settings.endpoint))],
            transport=azure_transport(),
        )

    def gather(self) -> "Bodies":
        """See `Sink.gather`."""
        return Bodies(rows.lines_of(self._knowledge(), self._settings.omit))

    def deliver(
        self,
        ref: BlobRef,  # noqa: ARG002 - its flows tell
        flows: "Bodies",
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        """Send the rows in batches; see `Sink.deliver`."""
        return self._send(flows.batches(), start, end, patience)

    def young(self, flows: Sequence[Flow]) -> Sequence[Flow]:
        """All of them: a row is never too old."""
        return flows

    def resend(self, items: Sequence[Item], seconds: float) -> Delivery:
        """Send rows of dead letters again, as they are: few enough at once to fit a call."""
        batches = (items[at : at + _ROWS_AGAIN] for at in range(0, len(items), _ROWS_AGAIN))
        end = items[-1].after
        return self._send(batches, end, end, Patience(seconds, seconds))

    def _send(
        self,
        batches: Iterable[Sequence[Sendable]],
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        waits: list[float] = []

        def post(batch: Sequence[Sendable]) -> None:
            body = _gzip(batch)
            with_retries(lambda left: self._upload(body, left), patience, waits)

        delivery = deliver_in_order(batches, post, start, end, patience, len)
        return replace(delivery, retries=len(waits))

    def _upload(self, body: bytes, seconds: float) -> None:
        request = HttpRequest("POST", self._url, headers=_HEADERS, content=body)
        try:
            with time_limit(seconds, "Logs Ingestion"):
                response = self._client.send_request(
                    request, connection_timeout=min(seconds, 5), read_timeout=seconds
                )
        except ClientAuthenticationError as exc:
            raise RefusedError(f"no token for Logs Ingestion: {exc.message}") from exc
        except HttpResponseError as exc:
            raise TransientError(f"Logs Ingestion broke off: {exc.message}") from exc
        except (ServiceRequestError, ServiceResponseError) as exc:
            raise TransientError(f"Logs Ingestion: {exc.message}") from exc
        except AzureError as exc:
            raise RefusedError(f"Logs Ingestion: {exc.message}") from exc
        if response.status_code != HTTPStatus.NO_CONTENT:
            retry_after = response.headers.get("Retry-After")
            error = status_error(response.status_code, retry_after, "Logs Ingestion")
            raise error or RefusedError(f"Logs Ingestion answered {response.status_code}, not 204")


def token_scope(endpoint: str) -> str:
    """The token scope of the cloud that the endpoint is in."""
    for suffix in ("us", "cn"):
        if endpoint.lower().rstrip("/").endswith(f".azure.{suffix}"):
            return f"https://monitor.azure.{suffix}/.default"
    return "https://monitor.azure.com/.default"


class _Row(msgspec.Struct, frozen=True, gc=False):
    """The `Item` of one flow; its payload is encoded when it is asked for, which is rare."""

    flow: Unread
    lines: Callable[[Columns], str]

    flows: ClassVar[int] = 1
    id: ClassVar[str] = ""

    @property
    def payload(self) -> bytes:
        """The row as JSON."""
        return self.lines(self.flow.read())[:-1].encode()

    @property
    def after(self) -> Position:
        """The place behind the flow's tuple."""
        return Position(self.flow.places[0].group.record.offset, self.flow.ordinals[0] + 1)


class _Rows(Sequence[_Row]):
    """The rows of flows, none of them made."""

    def __init__(self, flows: Sequence[Unread], lines: Callable[[Columns], str]) -> None:
        self._flows = flows
        self._lines = lines
        self._count = sum(map(len, flows))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> _Row: ...
    @overload
    def __getitem__(self, at: slice) -> "_Rows": ...
    def __getitem__(self, at: int | slice) -> "_Row | _Rows":
        if isinstance(at, slice):
            return _Rows([joined(self._flows)[at]], self._lines)
        number = range(self._count)[at]
        for some in self._flows:
            if number < len(some):
                break
            number -= len(some)
        return _Row(some[number : number + 1], self._lines)


class _Batch(_Rows):
    """The rows of one call with their body, packed; parts of it are rows without one.

    `size` is the body's before it was packed.
    """

    body = b""
    size = 0


class _Packer:
    """A body in the making: takes rows as they come, so that none need be kept.

    `flows` are those of the rows, and `size` the body's before it is packed.
    """

    def __init__(self) -> None:
        self.flows: list[Unread] = []
        self.size = 1
        self._packed: list[bytes] = []
        self._deflate = deflate.compressobj(_FAST, wbits=_GZIP)

    def add(self, flows: Unread, lines: bytes) -> None:
        """Pack some rows, a line each."""
        rows = memoryview(lines.replace(b"\n", b","))[:-1]
        for piece in (b"," if self.flows else b"[", rows):
            self._packed.append(self._deflate.compress(piece))
        self.flows.append(flows)
        self.size += len(lines)

    def body(self) -> bytes:
        """The body of all rows added; the packer is used up."""
        return b"".join((*self._packed, self._deflate.compress(b"]"), self._deflate.flush()))


class Bodies:
    """The rows of a delivery, in bodies that are packed as the flows come; see `Gathered`."""

    looks = False

    def __init__(self, lines: Callable[[Columns], str]) -> None:
        self.total = 0
        self._lines = lines
        self._packer = _Packer()
        self._closed: list[_Batch] = []
        self._broken: Exception | None = None

    def add(self, flows: Columns) -> None:
        """Pack their rows. A fault of ours is raised by `batches`: other sinks have the flows."""
        self.total += len(flows)
        if self._broken is None:
            try:
                self._pack(flows.unread(), self._lines(flows).encode())
            except Exception as exc:  # noqa: BLE001 - raised where the delivery is waited for
                self._broken = exc

    def batches(self) -> Iterator["_Batch"]:
        """What a call takes, one after the other."""
        if self._broken is not None:
            raise self._broken
        yield from self._closed
        if self._packer.flows:
            yield self._close()

    def _pack(self, flows: Unread, lines: bytes) -> None:
        while self._packer.size + len(lines) > MAX_BODY:
            # What fits; a row that never does goes alone, so that it is refused alone.
            end = lines.rfind(b"\n", 0, MAX_BODY - self._packer.size) + 1
            if not end and not self._packer.flows:
                end = lines.find(b"\n") + 1
            if end:
                fitting = lines.count(b"\n", 0, end)
                self._packer.add(flows[:fitting], lines[:end])
                flows, lines = flows[fitting:], lines[end:]
            self._closed.append(self._close())
        if lines:
            self._packer.add(flows, lines)

    def _close(self) -> "_Batch":
        """The rows packed so far; the next ones begin another body."""
        batch = _Batch(self._packer.flows, self._lines)
        batch.body, batch.size = self._packer.body(), self._packer.size
        self._packer = _Packer()
        return batch


def _gzip(batch: Sequence[Sendable]) -> bytes:
    """The body of rows: as packed when the batch was made, or made now for a part of one."""
    if not isinstance(batch, _Batch):
        rows_alone = b",".join([row.payload for row in batch])
        return deflate.compress(b"[%b]" % rows_alone, _FAST, _GZIP)
    if batch.size > MAX_BODY:  # of a single row: no other was let in beside it
        raise BadInputError(f"a row of {batch.size} bytes is more than one call may carry")
    return batch.body
