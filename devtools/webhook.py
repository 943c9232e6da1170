"""A receiver of signed CloudEvents, as a webhook of somebody's would be.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from devtools.http_server import Request, Response, Server, StandIn, serve
from devtools.tls import Certificate

# What every intermediary must forward (CloudEvents 1.0, "Size Limits").
MAX_BYTES = 65_536
# How far the sender's clock may be off, in seconds; Standard Webhooks asks for some limit.
TOLERANCE = 300

Alert = dict[str, Any]


@dataclasses.dataclass
class Webhook(StandIn):
    """A running receiver and what it accepted.

    Attributes:
        secret: `whsec_` and base64; None accepts unsigned requests.
        alerts: accepted events in order, as parsed.
        times: time.monotonic() of acceptance of each.
        refusals: why requests were refused: (status, message).
        refuse: an event for which this holds gets 400.
        server: url, count of requests, faults.
    """

    secret: str | None
    alerts: list[Alert] = dataclasses.field(default_factory=list)
    times: list[float] = dataclasses.field(default_factory=list)
    refusals: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    refuse: Callable[[Alert], bool] | None = None
    server: Server = dataclasses.field(init=False)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Value of NSGFLOW_WEBHOOK_URL."""
        return f"{self.server.url}/alerts"

    @property
    def duplicates(self) -> int:
        """Alerts accepted whose id had been accepted before."""
        return len(self.alerts) - len(self.unique)

    @property
    def unique(self) -> list[Alert]:
        """The alerts without repeats, told by source and id."""
        with self._lock:
            return list({(alert["source"], alert["id"]): alert for alert in self.alerts}.values())

    def answer(self, request: Request) -> Response:
        """Accept one event, or say why not."""
        try:
            alert = self._checked(request)
        except _RefusedError as refused:
            self.refusals.append((refused.status, refused.message))
            return Response(
                refused.status, refused.message.encode(), {"Content-Type": "text/plain"}
            )
        with self._lock:
            self.alerts.append(alert)
            self.times.append(time.monotonic())
        return Response(204)

    def _checked(self, request: Request) -> Alert:
        if request.method != "POST" or request.path != "/alerts":
            raise _RefusedError(404, f"no {request.method} {request.path} here")
        if len(request.body) > MAX_BYTES:
            raise _RefusedError(413, f"{len(request.body)} bytes, {MAX_BYTES} allowed")
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type != "application/cloudevents+json":
            raise _RefusedError(415, f"Content-Type is {content_type!r}")
        if self.secret is not None:
            _check_signature(request, self.secret)
        alert = _event(request.body)
        if self.secret is not None and request.headers["webhook-id"] != alert["id"]:
            raise _RefusedError(400, "webhook-id is not the id of the event")
        if self.refuse is not None and self.refuse(alert):
            raise _RefusedError(400, "this event is refused")
        return alert


@contextlib.contextmanager
def webhook(secret: str | None = None, certificate: Certificate | None = None) -> Iterator[Webhook]:
    """Receive events while the context lasts, over TLS when a certificate is given."""
    running = Webhook(secret)
    context = None if certificate is None else certificate.server_context()
    with serve(running.answer, context) as running.server:
        yield running


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def _check_signature(request: Request, secret: str) -> None:
    identifier = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    if not identifier or not timestamp.isdigit():
        raise _RefusedError(401, "webhook-id or webhook-timestamp is missing or malformed")
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        raise _RefusedError(401, "webhook-timestamp is too far off")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identifier}.{timestamp}.".encode() + request.body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = request.headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(expected, signature) for signature in given):
        raise _RefusedError(401, "webhook-signature does not match")


def _event(body: bytes) -> Alert:
    try:
        event = json.loads(body)
    except ValueError as error:
        raise _RefusedError(400, f"not JSON: {error}") from None
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        raise _RefusedError(400, "not a CloudEvent of specversion 1.0")
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise _RefusedError(400, f"the required attribute {name} is missing")
    for name in event.keys() - {"data", "data_base64"}:
        # CloudEvents 1.0, "Attribute Naming Convention".
        if not (name.isascii() and name.isalnum() and name == name.lower()):
            raise _RefusedError(400, f"{name!r} is no attribute name")
    if "time" in event:
        try:
            time_zone = dt.datetime.fromisoformat(event["time"]).tzinfo
        except (TypeError, ValueError):
            time_zone = None
        if time_zone is None:
            raise _RefusedError(400, f"time is not RFC 3339: {event['time']!r}")
    return event
