"""The webhook's sink: signature, headers, what it refuses to do, and how it takes answers."""

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
import requests
import urllib3

from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.columns import of_blob
from nsgflow_core.model import BlobRef, Flow, Group, Position, Record
from nsgflow_core.sinks import webhook
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Delivery, Item
from nsgflow_core.sinks.webhook import WebhookSink
from nsgflow_core.webhooks import WebhookSettings
from tests.made import Outcome, made, outcome_of

REF = BlobRef("acct", "container", "path/PT1H.json")
URL = "https://hooks.example/T0SECRET"
END = Position(1_000_000)
SECRET = b"0123456789abcdef"


def flow(ordinal: int = 0, *, offset: int = 12, at: int = 1542110402000) -> Flow:
    """A denied flow of the record at the offset, which is 100 bytes long."""
    record = Record(offset, offset + 100, "2018-11-13T12:00:35Z", 2, "/n")
    outcome = Outcome(443, "TCP", True, True, "B", "", None, None, None, None)  # noqa: FBT003
    group = Group(record, "/n", "n", "r", "")
    return made(group, ordinal, "text", at, "10.0.0.1", "10.0.0.2", 5, outcome)


def text(value: object) -> str:
    """A header or body as text: it may be bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


class Receiver(requests.adapters.BaseAdapter):
    """Stands where the network is: keeps requests, gives the answers it is told, then 200."""

    def __init__(self, *answers: int | Exception, **headers: str) -> None:
        super().__init__()
        self.answers = list(answers)
        self.headers = headers
        self.requests: list[requests.PreparedRequest] = []
        self.verify: list[bool | str] = []

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT002 - the signature of its base
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,  # noqa: FBT002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer a request."""
        self.requests.append(request)
        self.verify.append(verify)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code = answer
        response.headers.update(self.headers)
        response.url = str(request.url)
        response.request = request
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(b"{}"), headers=self.headers, status=answer, preload_content=False
        )
        return response

    def close(self) -> None:
        """Nothing to close."""

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The alerts received."""
        return [json.loads(text(request.body)) for request in self.requests]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries take no time."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def deliver(
    receiver: Receiver,
    *flows: Flow,
    secret: bytes = b"",
    max_age: int | None = None,
    seconds: float = 60,
) -> Delivery:
    """Deliver the flows to the receiver."""
    sink = WebhookSink(WebhookSettings(URL, secret, compile_terms("action=denied"), max_age))
    sink._session.mount("https://", receiver)
    wanted = [of_blob(REF, flows)]
    return sink.deliver(REF, wanted, Position(0), END, Patience(seconds, seconds))


def test_one_alert_for_each_record() -> None:
    """Flows of one record are one POST, with the content type of structured CloudEvents."""
    receiver = Receiver()
    done = deliver(receiver, flow(0), flow(1), flow(0, offset=500))

    assert [(body["data"]["flows"], body["id"]) for body in receiver.bodies] == [
        (2, webhook.alert_id(REF, flow().group.record)),
        (1, webhook.alert_id(REF, flow(offset=500).group.record)),
    ]
    assert (done.reached, done.accepted, done.error) == (END, 3, None)
    request = receiver.requests[0]
    assert (request.method, request.url) == ("POST", URL)
    assert text(request.headers["Content-Type"]).split(";")[0] == "application/cloudevents+json"


def test_groups_of_one_record_are_one_alert() -> None:
    """Two rules of a record are two groups of one alert."""
    other = Group(flow().group.record, "/n", "n", "other", "")
    second = made(other, 1, "t", 1542110402000, "10.0.0.1", "10.0.0.2", 5, outcome_of(flow()))
    receiver = Receiver()
    deliver(receiver, flow(), second)

    assert [len(body["data"]["groups"]) for body in receiver.bodies] == [2]


def test_no_flows_make_no_post() -> None:
    """Nothing wanted, nothing sent."""
    receiver = Receiver()

    assert (deliver(receiver).reached, receiver.requests) == (END, [])


def test_signature_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is that of the Standard Webhooks specification's own example."""
    monkeypatch.setattr(time, "time", lambda: 1614265330.9)
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    alert = Item(b'{"test": 2432232314}', END, 1, "msg_p5jXN8AQM9LWM0D4loKWxJek")

    assert webhook.signature(secret, alert.id, alert.payload) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_every_try_is_signed_under_the_alerts_id() -> None:
    """The id is the alert's at every try, and the signature is over what was sent."""
    receiver = Receiver(500, 500)
    deliver(receiver, flow(), secret=SECRET)

    assert len(receiver.requests) == 3
    for request in receiver.requests:
        headers = {name: text(value) for name, value in request.headers.items()}
        body = text(request.body).encode()
        assert headers["webhook-id"] == webhook.alert_id(REF, flow().group.record)
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"


def test_without_a_secret_nothing_is_signed() -> None:
    """No secret, no signature headers."""
    receiver = Receiver()
    deliver(receiver, flow())

    assert not [name for name in receiver.requests[0].headers if name.startswith("webhook-")]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_accepts(status: int) -> None:
    """2xx accepts."""
    assert deliver(Receiver(status), flow()).error is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    """A redirect is a refusal: alerts go where the settings say and nowhere else."""
    receiver = Receiver(status, Location="https://elsewhere.example/")
    done = deliver(receiver, flow())

    assert type(done.error) is RefusedError
    assert (done.reached, len(receiver.requests)) == (Position(0), 1)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient_answers_are_tried_again(status: int) -> None:
    """A receiver that is busy or away gets the same alert again."""
    receiver = Receiver(status)
    done = deliver(receiver, flow())

    assert (done.accepted, done.error) == (1, None)
    assert receiver.bodies[0] == receiver.bodies[1]


def test_retry_after_is_handed_on() -> None:
    """A wait longer than the delivery has ends it, with the wait."""
    receiver = Receiver(429, **{"Retry-After": "120"})
    done = deliver(receiver, flow(), seconds=10)

    assert isinstance(done.error, TransientError)
    assert (done.error.retry_after, len(receiver.requests)) == (120, 1)


@pytest.mark.parametrize("header", ["nan", "inf", "1e400", "-1", "\u0663"])
def test_hostile_retry_after_is_no_crash(header: str) -> None:
    """A receiver cannot crash the delivery by what it asks for."""
    receiver = Receiver(429, **{"Retry-After": header})

    assert isinstance(deliver(receiver, flow(), seconds=10), Delivery)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 415])
def test_refusals_move_nothing(status: int) -> None:
    """Refusals wait for a person, and the place stays."""
    receiver = Receiver(status)
    done = deliver(receiver, flow(), flow(offset=500))

    assert type(done.error) is RefusedError
    assert (done.reached, len(receiver.requests)) == (Position(0), 1)


def test_one_alert_refused_among_others_is_a_dead_letter() -> None:
    """An alert refused for its content, others being accepted, is passed."""
    done = deliver(Receiver(200, 400, 200), *[flow(offset=offset) for offset in (0, 200, 400)])

    assert (done.reached, done.accepted, done.error) == (END, 2, None)
    assert [one.item.after for one in done.refused] == [Position(300)]


def test_failure_in_the_middle_keeps_the_prefix() -> None:
    """Alerts accepted before a failure are passed to the end of their record."""
    receiver = Receiver(200, 403)
    done = deliver(receiver, flow(0), flow(5), flow(offset=500))

    assert (done.reached, done.accepted) == (Position(112), 2)


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ConnectionError(f"cannot reach {URL}"),
        requests.exceptions.ReadTimeout(URL),
        requests.exceptions.ChunkedEncodingError(URL),
        OSError(URL),
    ],
)
def test_broken_connections_are_transient_and_tell_no_url(error: Exception) -> None:
    """What the network does is transient; the URL is a secret and in no message."""
    done = deliver(Receiver(*[error] * 9), flow())

    assert isinstance(done.error, TransientError)
    assert "T0SECRET" not in str(done.error)


def test_untrusted_certificate_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is not trusted needs a person, and is never let pass."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    receiver = Receiver(requests.exceptions.SSLError(URL))
    done = deliver(receiver, flow())

    assert type(done.error) is RefusedError
    assert "T0SECRET" not in str(done.error)
    assert receiver.verify == [True]


def test_cookies_and_netrc_are_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither what the receiver set before nor what ~/.netrc holds goes along."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine hooks.example login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    receiver = Receiver(**{"Set-Cookie": "a=b"})
    deliver(receiver, flow(), flow(offset=500))

    assert len(receiver.requests) == 2
    assert not {"Authorization", "Cookie"} & {
        name for request in receiver.requests for name in request.headers
    }


def test_old_flows_are_not_alerted() -> None:
    """Flows older than the setting are counted and left out; the place passes them."""
    now = int(time.time() * 1000)
    receiver = Receiver()
    flows = [flow(0, at=now - 11 * 60_000), flow(1, at=now - 9 * 60_000), flow(2, at=now)]
    done = deliver(receiver, *flows, max_age=10)

    assert [body["data"]["flows"] for body in receiver.bodies] == [2]
    assert (done.reached, done.accepted, done.too_old) == (END, 2, 1)


def test_only_old_flows() -> None:
    """When all are too old nothing is posted, and the stretch is done."""
    receiver = Receiver()
    done = deliver(receiver, flow(), max_age=10)

    assert (done.reached, done.error, receiver.requests) == (END, None, [])
