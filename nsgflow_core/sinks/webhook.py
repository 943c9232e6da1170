"""The webhook: one CloudEvent for each record with denied flows, signed when a secret is set.

https://github.com/cloudevents/spec/blob/main/cloudevents/spec.md has the envelope,
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md the
signature.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

import msgspec
import requests
import urllib3

from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import BlobRef, Flow, Position, Record, flow_time
from nsgflow_core.sinks import rows
from nsgflow_core.sinks.answers import status_error, with_retries
from nsgflow_core.sinks.guarded import GuardedAdapter
from nsgflow_core.sinks.in_order import deliver_in_order
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import AsRead, Delivery, Item
from nsgflow_core.turns import HEAVY_FLOWS, in_turns, turn
from nsgflow_core.web import Session, time_limit
from nsgflow_core.webhooks import WebhookSettings

MAX_ALERT = 64 * 1024
"""Largest alert in bytes; what intermediaries of CloudEvents must be able to forward."""

_MAX_ANSWER = 4096


class WebhookSink:
    """Alerts to one URL."""

    def __init__(self, settings: WebhookSettings) -> None:
        self.name = settings.name
        self.filter = settings.filter
        self._settings = settings
        self._session = new_session()

    def gather(self) -> AsRead:
        """See `Sink.gather`."""
        return AsRead()

    def deliver(
        self,
        ref: BlobRef,
        flows: Sequence[Columns],
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        """Post the alerts one by one; see `Sink.deliver`."""
        with turn(heavy=sum(map(len, flows)) > HEAVY_FLOWS):
            alone = list(chain.from_iterable(flows))
        young = young_enough(alone, self._settings)
        alerts = in_turns(_alerts(ref, young), heavy=len(young) > HEAVY_FLOWS)
        delivery = self._send(alerts, start, end, patience)
        return msgspec.structs.replace(delivery, too_old=len(alone) - len(young))

    def young(self, flows: Sequence[Flow]) -> Sequence[Flow]:
        """Those that are not too old to alert."""
        return young_enough(flows, self._settings)

    def resend(self, items: Sequence[Item], seconds: float) -> Delivery:
        """Post alerts of dead letters again, as they are and with their ids."""
        end = items[-1].after
        return self._send(([item] for item in items), end, end, Patience(seconds, seconds))

    def _send(
        self, alerts: Iterable[Sequence[Item]], start: Position, end: Position, patience: Patience
    ) -> Delivery:
        if missing := self._settings.what_is_missing:
            return Delivery(start, error=RefusedError(missing))
        waits: list[float] = []

        def post(alert: Sequence[Item]) -> None:
            (item,) = alert
            with_retries(lambda left: self._post(item, left), patience, waits)

        delivery = deliver_in_order(alerts, post, start, end, patience)
        return msgspec.structs.replace(delivery, retries=len(waits))

    def _post(self, alert: Item, seconds: float) -> None:
        headers = {**self._settings.headers, "Content-Type": self._settings.content_type}
        if self._settings.secret:
            headers |= signature(self._settings.secret, alert.id, alert.payload)
        send(self._session, self._settings.url, alert.payload, headers, seconds)


def young_enough(flows: Sequence[Flow], settings: WebhookSettings) -> Sequence[Flow]:
    """The flows that are not too old to alert."""
    if settings.max_age_minutes is None:
        return flows
    oldest = (time.time() - settings.max_age_minutes * 60) * 1000
    return [flow for flow in flows if flow.time_ms >= oldest]


def new_session() -> requests.Session:
    """A session for posts to a webhook, for the life of the process."""
    return Session(GuardedAdapter())


def send(
    session: requests.Session, url: str, payload: bytes, headers: dict[str, str], seconds: float
) -> None:
    """Post to a webhook and wait for the answer, `seconds` at most.

    Raises:
        TransientError, RefusedError: it did not accept; neither tells the URL.
    """
    try:
        with time_limit(seconds, "the webhook"):
            response = session.post(
                url,
                data=payload,
                headers=headers,
                timeout=(min(seconds, 5), seconds),
                allow_redirects=False,
                stream=True,
            )
            _finish(response)
    except requests.exceptions.SSLError as exc:
        if "EOF occurred" in str(exc):  # it broke off, and said nothing of trust
            raise TransientError("the webhook: TLS broke off") from exc
        raise RefusedError("the webhook's certificate is not trusted") from exc
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as exc:
        raise RefusedError("the webhook's URL cannot be used") from exc
    except (requests.exceptions.RequestException, OSError) as exc:
        # Its text may hold the URL, and that is a secret: name the kind only.
        raise TransientError(f"the webhook: {type(exc).__name__}") from exc
    error = status_error(response.status_code, response.headers.get("Retry-After"), "the webhook")
    if error is not None:
        raise error


def _finish(response: requests.Response) -> None:
    """Read a short answer, so that the connection can be used again, and drop any other."""
    with response:
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) <= _MAX_ANSWER:
            try:
                response.raw.read(_MAX_ANSWER)
            except (urllib3.exceptions.HTTPError, OSError):
                response.raw.close()  # the status line has said all that matters


def signature(secret: bytes, name: str, payload: bytes) -> dict[str, str]:
    """The headers that sign a message per Standard Webhooks; `name` is its id."""
    stamp = str(int(time.time()))
    signed = b"%b.%b.%b" % (name.encode(), stamp.encode(), payload)
    digest = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
    return {
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{digest}",
    }


def _alerts(ref: BlobRef, flows: Sequence[Flow]) -> Iterator[list[Item]]:
    for record, of_record in groupby(flows, key=lambda flow: flow.group.record):
        alert = list(of_record)
        payload = encode_alert(ref, record, alert)
        yield [Item(payload, Position(record.end), len(alert), alert_id(ref, record))]


def alert_id(ref: BlobRef, record: Record) -> str:
    """32 hex digits, the same at every delivery of the record's alert."""
    place = "\0".join((ref.account, ref.container, ref.path, str(record.offset)))
    return hashlib.blake2b(place.encode(), digest_size=16, person=b"nsgflow.alert").hexdigest()


def encode_alert(ref: BlobRef, record: Record, flows: Sequence[Flow]) -> bytes:
    """The CloudEvent of one record, without the groups for which there is no room."""
    envelope = {
        "specversion": "1.0",
        "type": "nsgflow.flows.denied",
        "source": str(ref),
        "id": alert_id(ref, record),
        "time": rows.record_time(record.time) or flow_time(flows[-1].time_ms),
        "datacontenttype": "application/json",
        "data": {"flows": len(flows), "truncated": len(flows), "groups": []},
    }
    room = MAX_ALERT - len(msgspec.json.encode(envelope))
    kept, truncated = [], 0
    for group in _groups(flows):
        size = len(msgspec.json.encode(group)) + 1
        if size > room:  # a huge one leaves room to those behind it
            truncated += group["flows"]
            continue
        room -= size
        kept.append(group)
    data = {"flows": len(flows), "truncated": truncated, "groups": kept}
    return msgspec.json.encode(envelope | {"data": data})


def _groups(flows: Sequence[Flow]) -> list[dict[str, Any]]:
    """Flows merged by rule, direction, protocol, addresses and port, the busiest first."""
    merged: dict[tuple[Any, ...], list[int]] = {}
    for flow in flows:
        key = (
            flow.group.acl_group,
            flow.group.acl_name,
            flow.group.rule,
            "Inbound" if flow.inbound else "Outbound",
            flow.protocol,
            flow.src,
            flow.dst,
            flow.dst_port,
        )
        merged.setdefault(key, []).append(flow.time_ms)
    names = (
        "aclGroup",
        "aclName",
        "aclRule",
        "direction",
        "protocol",
        "srcIp",
        "destIp",
        "destPort",
    )
    ordered = sorted(
        merged.items(),
        key=lambda entry: (
            -len(entry[1]),
            *entry[0][:7],
            -1 if entry[0][7] is None else entry[0][7],
        ),
    )
    return [
        dict(zip(names, key, strict=True))
        | {
            "flows": len(times),
            "firstSeen": flow_time(min(times)),
            "lastSeen": flow_time(max(times)),
        }
        for key, times in ordered
    ]
