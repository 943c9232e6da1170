"""The table in Log Analytics, through the Logs Ingestion API.

Limits: 1 MB a call, of the body as sent and as unpacked
(https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#logs-ingestion-api).
The SDK's own batching overshoots that, since it does not count separators, and encodes each row
twice; so batches are made here and handed over as streams, which it sends as they are.
"""

import io
import time
import zlib
from collections.abc import Iterator, Sequence

from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.monitor.ingestion import LogsIngestionClient

from nsgflow_core import rows
from nsgflow_core.config import LogsSettings
from nsgflow_core.errors import BadInputError, RefusedError, TransientError
from nsgflow_core.knowledge import NOTHING, Knowing, Knowledge, nothing
from nsgflow_core.model import BlobRef, Flow, Position
from nsgflow_core.sinks import Delivery, Item, deliver_in_order, status_error, with_retries

MAX_BODY = 1_000_000
"""Largest body in bytes before compression: under 1 MB whether mega means 1000 or 1024."""

_GZIP = 16 + zlib.MAX_WBITS
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
        # Retries are counted against the time of the whole delivery, so they are made here.
        self._client = LogsIngestionClient(
            settings.endpoint,
            credential,
            credential_scopes=[_scope(settings.endpoint)],
            retry_total=0,
            permit_redirects=False,
        )

    def deliver(
        self, ref: BlobRef, flows: Sequence[Flow], start: Position, end: Position, seconds: float
    ) -> Delivery:
        """Send the rows in batches; see `Sink.deliver`."""
        deadline = time.monotonic() + seconds
        batches = _batches(ref, flows, self._knowledge())

        def post(batch: Sequence[Item]) -> None:
            body = _gzip(batch)
            with_retries(lambda left: self._upload(body, left), deadline)

        return deliver_in_order(batches, post, start, end, deadline)

    def _upload(self, body: bytes, seconds: float) -> None:
        try:
            self._client.upload(
                self._settings.rule_id,
                self._settings.stream,
                io.BytesIO(body),
                connection_timeout=min(seconds, 5),
                read_timeout=seconds,
            )
        except HttpResponseError as exc:
            if exc.response is None or exc.status_code is None:  # no token could be had
                raise RefusedError(f"no token for Logs Ingestion: {exc.message}") from exc
            retry_after = exc.response.headers.get("Retry-After")  # type: ignore[attr-defined]  # its base class lacks what every transport has
            error = status_error(exc.status_code, retry_after, "Logs Ingestion")
            raise error or RefusedError(
                f"Logs Ingestion answered {exc.status_code}, not 204"
            ) from exc
        except (ServiceRequestError, ServiceResponseError) as exc:
            raise TransientError(f"Logs Ingestion: {exc.message}") from exc
        except AzureError as exc:
            raise RefusedError(f"Logs Ingestion: {exc.message}") from exc


def _scope(endpoint: str) -> str:
    """The token scope of the cloud that the endpoint is in."""
    for suffix in ("us", "cn"):
        if endpoint.lower().rstrip("/").endswith(f".azure.{suffix}"):
            return f"https://monitor.azure.{suffix}/.default"
    return "https://monitor.azure.com/.default"


def _batches(
    ref: BlobRef, flows: Sequence[Flow], knowledge: Knowledge = NOTHING
) -> Iterator[list[Item]]:
    encode = rows.encoder(ref, knowledge)
    batch: list[Item] = []
    size = 1  # of the body: brackets, and a comma behind every row but the last
    for flow in flows:
        row = encode(flow)
        if batch and size + len(row) + 1 > MAX_BODY:
            yield batch
            batch, size = [], 1
        batch.append(Item(row, Position(flow.group.record.offset, flow.ordinal + 1)))
        size += len(row) + 1
    if batch:
        yield batch


def _gzip(batch: Sequence[Item]) -> bytes:
    body = b"[%b]" % b",".join([item.payload for item in batch])
    if len(body) > MAX_BODY:
        raise BadInputError(f"a row of {len(body)} bytes is more than one call may carry")
    packer = zlib.compressobj(_FAST, wbits=_GZIP)
    return packer.compress(body) + packer.flush()
