"""Receivers of other makers, by their documented ways: who takes an alert, and with which settings.

n8n: the webhook node with header auth answers 403 without the header, and reads the body as JSON
where that is its type (https://docs.n8n.io/integrations/builtin/core-nodes/n8n-nodes-base.webhook/).
Grafana OnCall: any JSON at a URL that is the secret
(https://grafana.com/docs/oncall/latest/configure/integrations/references/webhook/).
ServiceNow: a REST resource that takes application/json and answers 401 without credentials and 415
to another type (https://www.servicenow.com/docs/, "Scripted REST APIs").
Opsgenie: 202 to an alert with a `message` of at most 130 characters, 422 to any other
(https://docs.opsgenie.com/docs/alert-api#create-alert).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from devtools.flowlogs import NSG_CONTAINER
from devtools.http_server import Request, Response, StandIn, serve
from nsgflow_core.errors import NsgflowError
from tests.functional.logs import records
from tests.integration.conftest import Deployment

TAKEN = Response(200, b"{}", {"Content-Type": "application/json"})


@dataclass
class Receiver(StandIn):
    """Answers as it is told to, and keeps what it took."""

    says: Callable[[Request], Response]
    url: str = ""
    bodies: list[Any] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        """What the maker's documentation says."""
        said = self.says(request)
        if said.status < 300:
            self.bodies.append(json.loads(request.body))
        return said


@contextmanager
def receiver(says: Callable[[Request], Response], path: str) -> Iterator[Receiver]:
    """A receiver on this machine."""
    made = Receiver(says)
    with serve(made.answer) as server:
        made.url = server.url + path
        yield made


def is_json(request: Request) -> bool:
    """Whether a body is announced as plain JSON."""
    return request.headers.get("Content-Type", "").partition(";")[0] == "application/json"


def n8n(request: Request) -> Response:
    """The webhook node with header auth."""
    if request.headers.get("X-Api-Key") != "key of n8n":
        return Response(403, b"Authorization data is wrong!")
    return TAKEN if is_json(request) else Response(400, b"no JSON")


def oncall(request: Request) -> Response:
    """A Webhook integration."""
    assert request.path == "/integrations/v1/webhook/abcdef/"
    return TAKEN if is_json(request) else Response(400, b"no JSON")


def servicenow(request: Request) -> Response:
    """An inbound event of event management."""
    if request.headers.get("Authorization") != "Basic bnNnZmxvdzpzZWNyZXQ=":
        return Response(401, b'{"error": {"message": "User Not Authenticated"}}')
    return TAKEN if is_json(request) else Response(415, b"Unsupported media type")


def opsgenie(request: Request) -> Response:
    """The alert API."""
    if request.headers.get("Authorization") != "GenieKey 0123":
        return Response(401, b'{"message": "Could not authenticate"}')
    message = json.loads(request.body).get("message", "")
    return Response(202 if 0 < len(message) <= 130 else 422, b"{}")


Says = Callable[[Request], Response]
PATHS: dict[Says, str] = {
    n8n: "/webhook/7f1c",
    oncall: "/integrations/v1/webhook/abcdef/",
    servicenow: "/api/sn_em_connector/em/inbound_event?source=nsgflow",
    opsgenie: "/v2/alerts",
}
HEADERS: dict[Says, dict[str, str]] = {
    n8n: {"X-Api-Key": "key of n8n"},
    oncall: {},
    servicenow: {"Authorization": "Basic bnNnZmxvdzpzZWNyZXQ="},
    opsgenie: {"Authorization": "GenieKey 0123"},
}


def configure(deployment: Deployment, url: str, headers: dict[str, str], content_type: str) -> None:
    """Point the webhook at a receiver."""
    deployment.environment |= {
        "NSGFLOW_WEBHOOK_URL": url,
        "NSGFLOW_WEBHOOK_SECRET": "",
        "NSGFLOW_WEBHOOK_HEADERS": json.dumps(headers) if headers else "",
        "NSGFLOW_WEBHOOK_CONTENT_TYPE": content_type,
    }


@pytest.mark.parametrize("says", [n8n, oncall, servicenow])
def test_they_take_alerts(deployment: Deployment, says: Says) -> None:
    """With the header and the type that their documentation asks for."""
    with receiver(says, PATHS[says]) as other:
        configure(deployment, other.url, HEADERS[says], "application/json")
        log = deployment.nsg_log()
        log.append(*records(3))
        deployment.service().deliver("FlowLogs", NSG_CONTAINER, log.path)
        told = sum(alert["data"]["flows"] for alert in other.bodies)
        assert 0 < told == deployment.denied(log).total()


@pytest.mark.parametrize("says", [n8n, servicenow])
def test_without_their_key_they_refuse(deployment: Deployment, says: Says) -> None:
    """The flows wait for the right one; the secret is in no error."""
    with receiver(says, PATHS[says]) as other:
        wrong = dict.fromkeys(HEADERS[says], "wrong")
        configure(deployment, other.url, wrong, "application/json")
        log = deployment.nsg_log()
        log.append(*records(3))
        with pytest.raises(NsgflowError) as raised:
            deployment.service().deliver("FlowLogs", NSG_CONTAINER, log.path)
        assert "wrong" not in str(raised.value)
        assert not other.bodies
        configure(deployment, other.url, HEADERS[says], "application/json")
        deployment.clock.move(minutes=20)
        deployment.service().sweep()
        told = sum(alert["data"]["flows"] for alert in other.bodies)
        assert told == deployment.denied(log).total()


def test_opsgenie_takes_only_its_own_fields(deployment: Deployment) -> None:
    """What it refuses waits, as the docs say, and holds up nothing else."""
    with receiver(opsgenie, PATHS[opsgenie]) as other:
        configure(deployment, other.url, HEADERS[opsgenie], "application/json")
        log = deployment.nsg_log()
        log.append(*records(3))
        with pytest.raises(NsgflowError, match="422"):
            deployment.service().deliver("FlowLogs", NSG_CONTAINER, log.path)
        assert not other.bodies
        assert sum(deployment.rows().values()) == deployment.denied(log).total()
