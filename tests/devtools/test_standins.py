"""The local services refuse what the real ones refuse."""

import base64
import gzip
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential

from devtools.http_server import Fault
from devtools.identity import Identity
from devtools.ingestion import MAX_BYTES, RESOURCE, Ingestion, ingestion
from devtools.tls import Certificate
from devtools.webhook import webhook

ROW = {"TimeGenerated": "2026-03-04T05:06:07.890Z", "FlowId": "a", "DestPort": 443, "Bytes": None}
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture
def logs(schema: Path, managed_identity: Identity, certificate: Certificate) -> Iterator[Ingestion]:
    """An ingestion endpoint of four columns."""
    with ingestion(schema, managed_identity, certificate) as running:
        yield running


class Client:
    """Posts to the ingestion endpoint with a token of the identity endpoint."""

    def __init__(self, logs: Ingestion, certificate: Certificate) -> None:
        self.logs = logs
        self.verify = str(certificate.bundle)
        answer = requests.get(
            logs.identity.endpoint,
            params={"api-version": "2019-08-01", "resource": RESOURCE},
            headers={"X-IDENTITY-HEADER": logs.identity.header},
            timeout=10,
        )
        self.token = answer.json()["access_token"]

    def post(
        self,
        body: bytes,
        *,
        rule: str | None = None,
        stream: str | None = None,
        **headers: str,
    ) -> requests.Response:
        """Post a body with the right address and headers, but for those given."""
        address = (
            f"{self.logs.endpoint}/dataCollectionRules/{rule or self.logs.rule_id}"
            f"/streams/{stream or self.logs.stream}?api-version=2023-01-01"
        )
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(address, data=body, headers=given, verify=self.verify, timeout=10)


@pytest.fixture
def client(logs: Ingestion, certificate: Certificate) -> Client:
    """A client with a good token."""
    return Client(logs, certificate)


def test_rows_are_accepted_and_counted_by_id(client: Client) -> None:
    """Plain and gzipped arrays are accepted with 204; a FlowId that comes again is a duplicate."""
    body = json.dumps([ROW]).encode()
    assert client.post(body).status_code == 204
    assert client.post(gzip.compress(body), Content_Encoding="gzip").status_code == 204
    assert (client.logs.accepted, client.logs.duplicates, client.logs.rows) == (2, 1, [ROW, ROW])
    place = (ROW.get("SourceBlob"), ROW.get("RecordTime"))
    assert client.logs.records == {place: client.logs.times[0]}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ROW | {"Other": 1}, "unknown field `Other`"),
        ({"FlowId": "a", "DestPort": 1, "Bytes": 1}, "missing required field `TimeGenerated`"),
        (ROW | {"TimeGenerated": None}, "Expected `datetime`"),
        (ROW | {"TimeGenerated": "2026-03-04T05:06:07"}, "timezone"),
        (ROW | {"DestPort": "443"}, "Expected `int | null`"),
        (ROW | {"DestPort": 2**31}, "Expected `int`"),
        (ROW | {"Bytes": 1.5}, "Expected `int | null`"),
        ({"TimeGenerated": ROW["TimeGenerated"], "FlowId": "a", "Bytes": 1}, "`DestPort`"),
        (ROW | {"FlowId": "x" * 65_537}, "length"),
    ],
)
def test_rows_that_do_not_fit_the_columns_are_refused(
    client: Client, row: dict[str, Any], why: str
) -> None:
    """One row that the table's columns do not take refuses the request, with nothing accepted."""
    answer = client.post(json.dumps([ROW, row]).encode())
    assert (answer.status_code, client.logs.accepted) == (400, 0)
    assert why in answer.json()["error"]["message"]


def test_requests_that_the_api_refuses_are_refused(client: Client) -> None:
    """Token, rule, stream, media type, JSON array and gzip are checked, each with its status."""
    good = json.dumps([ROW]).encode()
    assert client.post(good, Authorization="Bearer other").status_code == 401
    assert client.post(good, rule="dcr-other").status_code == 404
    assert client.post(good, stream="Custom-Other").json()["error"]["code"] == "InvalidStream"
    assert client.post(good, Content_Type="text/plain").status_code == 415
    assert client.post(good[1:-1]).status_code == 400
    assert client.post(b"[").status_code == 400
    assert client.post(good, Content_Encoding="gzip").status_code == 400
    assert client.logs.accepted == 0


def test_one_mebibyte_is_the_limit_both_ways(client: Client) -> None:
    """1,048,576 bytes pass; one more is 413, also when gzip makes it small."""
    good = json.dumps([ROW]).encode()
    full = good[:-1] + b" " * (MAX_BYTES - len(good)) + b"]"
    assert client.post(full).status_code == 204
    assert client.post(full + b" ").status_code == 413
    packed = gzip.compress(full + b" ")
    assert client.post(packed, Content_Encoding="gzip").status_code == 413


def test_faults_are_taken_one_a_request(client: Client) -> None:
    """Statuses, resets and hangs accept nothing; a lost acknowledgement has accepted."""
    good = json.dumps([ROW]).encode()
    client.logs.faults = deque(
        [
            Fault(status=429, headers={"Retry-After": "1"}),
            Fault(reset=True),
            Fault(hang=0.05),
            Fault(accept_then_reset=True),
            None,
        ]
    )
    assert client.post(good).headers["Retry-After"] == "1"
    for accepted in (0, 0, 1):
        with pytest.raises(requests.ConnectionError):
            client.post(good)
        assert client.logs.accepted == accepted
    assert client.post(good).status_code == 204
    client.logs.refuse_row = lambda row: row["FlowId"] == "a"
    assert client.post(good).status_code == 400


def test_identity_gives_tokens_to_azure_identity(
    managed_identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own credential gets a token that is good for the resource it asked for only."""
    for name, value in managed_identity.environment().items():
        monkeypatch.setenv(name, value)
    with ManagedIdentityCredential() as credential:
        token = credential.get_token(f"{RESOURCE}/.default").token
    assert managed_identity.accepts(f"Bearer {token}", RESOURCE)
    assert not managed_identity.accepts(f"Bearer {token}", "https://storage.azure.com")
    assert managed_identity.requests == 1


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        ("wrong", {"api-version": "2019-08-01", "resource": RESOURCE}, 401),
        (None, {"api-version": "2017-09-01", "resource": RESOURCE}, 400),
        (None, {"api-version": "2019-08-01"}, 400),
        (None, {"api-version": "2019-08-01", "resource": RESOURCE, "client_id": "x"}, 400),
    ],
)
def test_identity_refuses(
    managed_identity: Identity, header: str | None, query: dict[str, str], status: int
) -> None:
    """A wrong secret header, version or identity, or no resource, gets no token."""
    answer = requests.get(
        managed_identity.endpoint,
        params=query,
        headers={"X-IDENTITY-HEADER": header or managed_identity.header},
        timeout=10,
    )
    assert answer.status_code == status


def signed(body: bytes, identifier: str = "1", timestamp: float | None = None) -> dict[str, str]:
    """The headers of Standard Webhooks, made apart from the product."""
    when = str(int(timestamp if timestamp is not None else time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identifier}.{when}.".encode() + body, hashlib.sha256)
    return {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": identifier,
        "webhook-timestamp": when,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def test_webhook_takes_signed_events_only() -> None:
    """Signature, age, id, media type, size and the required attributes are checked."""
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "data": {}}
    body = json.dumps(event).encode()
    other = json.dumps(event | {"source": ""}).encode()
    large = json.dumps(event | {"data": "x" * 65_536}).encode()
    with webhook(SECRET) as hook, requests.Session() as session:

        def post(body: bytes, headers: dict[str, str]) -> int:
            return session.post(hook.url, data=body, headers=headers, timeout=10).status_code

        assert post(body, signed(body)) == 204
        assert post(body, signed(other)) == 401
        assert post(body, signed(body, timestamp=time.time() - 3600)) == 401
        assert post(body, signed(body, identifier="2")) == 400
        assert post(other, signed(other)) == 400
        assert post(large, signed(large)) == 413
        assert post(body, signed(body) | {"Content-Type": "application/json"}) == 415
        assert post(body, signed(body)) == 204
        assert (hook.alerts, hook.duplicates) == ([event, event], 1)
