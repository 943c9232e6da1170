"""The Logs Ingestion API, stricter than Azure: what Azure would null or drop silently is refused.

https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview
https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#logs-ingestion-api
"""

import contextlib
import dataclasses
import datetime as dt
import gzip
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from devtools.http_server import Request, Response, Server, StandIn, serve
from devtools.identity import Identity
from devtools.tls import Certificate

RESOURCE = "https://monitor.azure.com"
API_VERSION = "2023-01-01"
RULE_ID = "dcr-00000000000000000000000000000001"

# "Maximum size of API call: 1 MB, for both compressed and uncompressed data."
MAX_BYTES = 1_048_576
# "Maximum size for field values: 64 KB"; Azure cuts longer ones.
MAX_FIELD_BYTES = 65_536

_PATH = re.compile(r"/dataCollectionRules/([^/]+)/streams/([^/]+)")
_TYPES: dict[str, Any] = {
    "string": Annotated[str, msgspec.Meta(max_length=MAX_FIELD_BYTES)],
    "int": Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    "long": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "datetime": Annotated[dt.datetime, msgspec.Meta(tz=True)],
}

Row = dict[str, Any]


@dataclasses.dataclass
class Ingestion(StandIn):
    """A running endpoint and what it accepted.

    Attributes:
        stream: the one stream that its rule knows.
        rows: accepted rows in order, as parsed from JSON; empty when only ids are kept.
        flow_ids: how often each FlowId was accepted.
        times: time.monotonic() of acceptance of each row, in the same order.
        records: time.monotonic() when the first row of each record was accepted, by its
            SourceBlob and RecordTime.
        batches: (rows, uncompressed bytes, compressed bytes) of each accepted request.
        refusals: the answers of refused requests: (status, code, message).
        refuse_row: a request with a row for which this holds gets 400.
        server: url, count of requests, faults.
    """

    stream: str
    row_type: type[msgspec.Struct]
    identity: Identity
    keep_rows: bool
    rule_id: str = RULE_ID
    rows: list[Row] = dataclasses.field(default_factory=list)
    flow_ids: dict[str, int] = dataclasses.field(default_factory=dict)
    times: list[float] = dataclasses.field(default_factory=list)
    records: dict[tuple[Any, Any], float] = dataclasses.field(default_factory=dict)
    batches: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)
    refusals: list[tuple[int, str, str]] = dataclasses.field(default_factory=list)
    refuse_row: Callable[[Row], bool] | None = None
    server: Server = dataclasses.field(init=False)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        """Value of NSGFLOW_LOGS_ENDPOINT."""
        return self.server.url

    @property
    def accepted(self) -> int:
        """Rows accepted so far, duplicates included."""
        return len(self.times)

    @property
    def duplicates(self) -> int:
        """Rows accepted whose FlowId had been accepted before."""
        return len(self.times) - len(self.flow_ids)

    def answer(self, request: Request) -> Response:
        """Accept the rows, or refuse all of them as the API does."""
        try:
            rows = self._checked(request)
        except _RefusedError as refused:
            self.refusals.append((refused.status, refused.code, refused.message))
            body = {"error": {"code": refused.code, "message": refused.message}}
            headers = {"Content-Type": "application/json; charset=utf-8"}
            return Response(refused.status, json.dumps(body).encode(), headers)
        now = time.monotonic()
        with self._lock:
            for row in rows:
                flow_id = row["FlowId"]
                self.flow_ids[flow_id] = self.flow_ids.get(flow_id, 0) + 1
                self.records.setdefault((row.get("SourceBlob"), row.get("RecordTime")), now)
            self.times += [now] * len(rows)
            if self.keep_rows:
                self.rows += rows
        return Response(204)

    def _checked(self, request: Request) -> list[Row]:
        self._check_address(request)
        body = _plain_body(request)
        try:
            typed = msgspec.json.decode(body, type=list[self.row_type])  # type: ignore[name-defined]  # made at run time from the schema
        except msgspec.ValidationError as error:
            # Azure accepts these rows, leaves unknown columns out and nulls wrong values.
            raise _RefusedError(400, "InvalidRow", str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _RefusedError(400, "InvalidPayload", f"not JSON: {error}") from None
        if not typed:
            raise _RefusedError(400, "InvalidPayload", "the array is empty")
        rows: list[Row] = msgspec.json.decode(body)
        if self.refuse_row is not None and any(map(self.refuse_row, rows)):
            raise _RefusedError(400, "RefusedRow", "a row of the request was refused")
        self.batches.append((len(rows), len(body), len(request.body)))
        return rows

    def _check_address(self, request: Request) -> None:
        match = _PATH.fullmatch(request.path)
        if match is None or request.method != "POST":
            raise _RefusedError(404, "NotFound", f"no {request.method} {request.path} here")
        if not self.identity.accepts(request.headers.get("Authorization"), RESOURCE):
            raise _RefusedError(401, "InvalidToken", f"no live bearer token for {RESOURCE}")
        rule_id, stream = match.groups()
        if request.query.get("api-version") != API_VERSION:
            raise _RefusedError(400, "InvalidApiVersion", f"api-version {API_VERSION} is expected")
        if rule_id != self.rule_id:
            text = f"Data collection rule with immutable Id '{rule_id}' not found."
            raise _RefusedError(404, "NotFound", text)
        if stream != self.stream:
            text = f"Stream: {stream} was not found on data collection rule {rule_id}."
            raise _RefusedError(400, "InvalidStream", text)


@contextlib.contextmanager
def ingestion(
    schema: Path,
    identity: Identity,
    certificate: Certificate,
    *,
    keep_rows: bool = True,
    exact: bool = True,
) -> Iterator[Ingestion]:
    """Serve the API over TLS while the context lasts.

    Args:
        schema: file with "stream" and "columns" (name, type), the product's source of truth.
        identity: whose tokens for https://monitor.azure.com it accepts.
        certificate: to speak TLS with.
        keep_rows: False keeps only FlowIds and times, for a great many rows.
        exact: every row must have every column (null is allowed but for TimeGenerated); False
            lets columns be absent, as Azure does.
    """
    description = json.loads(schema.read_text())
    running = Ingestion(
        description["stream"], _row_type(description["columns"], exact=exact), identity, keep_rows
    )
    with serve(running.answer, certificate.server_context()) as running.server:
        yield running


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def _row_type(columns: list[Mapping[str, str]], *, exact: bool) -> type[msgspec.Struct]:
    """A type that takes a row of exactly these columns."""
    fields: list[Any] = []
    for column in columns:
        kind = _TYPES[column["type"]]
        if column["name"] in {"TimeGenerated", "FlowId"}:
            # The platform needs the one; to count deliveries we need the other.
            fields.append((column["name"], kind))
        elif exact:
            fields.append((column["name"], kind | None))
        else:
            fields.append((column["name"], kind | None, None))
    return msgspec.defstruct("Row", fields, forbid_unknown_fields=True, kw_only=True)


def _plain_body(request: Request) -> bytes:
    """The uncompressed body, once headers and sizes are as they must be."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise _RefusedError(415, "UnsupportedMediaType", f"Content-Type is {content_type!r}")
    _check_size(len(request.body))
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return request.body
    if encoding != "gzip":
        raise _RefusedError(415, "UnsupportedMediaType", f"Content-Encoding is {encoding!r}")
    try:
        body = gzip.decompress(request.body)
    except (OSError, EOFError, zlib.error) as error:
        raise _RefusedError(400, "InvalidPayload", f"not gzip: {error}") from None
    _check_size(len(body))
    return body


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        text = f"Maximum allowed content length: {MAX_BYTES} bytes (1 MB). Provided: {size} bytes."
        raise _RefusedError(413, "ContentLengthLimitExceeded", text)
