"""Events by queue: what the function `events` makes of messages."""

import json
import logging
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest

from devtools.azurite import ACCOUNT_KEY
from devtools.events import event_of, packed
from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, BlobWriter
from devtools.http_server import Response, serve
from devtools.meter import metered
from nsgflow_core.config import from_env
from nsgflow_core.errors import NsgflowError
from nsgflow_core.service import Service
from tests.functional.logs import records
from tests.integration.conftest import Deployment


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The lines that nsgflow wrote of a kind."""
    said = [json.loads(at.getMessage()) for at in caplog.records if at.name == "nsgflow"]
    return [line for line in said if line["event"] == event]


def event(deployment: Deployment, writer: BlobWriter, container: str = NSG_CONTAINER) -> Any:
    """The event of a log as it is now."""
    return event_of(deployment.container(container).get_blob_client(writer.path))


def test_both_schemas_and_both_kinds_of_log(deployment: Deployment) -> None:
    """A message with one event, and one with several."""
    nsg, vnet = deployment.nsg_log(), deployment.vnet_log()
    nsg.append(*records(2))
    vnet.append(*records(2, version=4))
    service = deployment.service()
    service.receive(packed(event(deployment, nsg)).encode())
    client = deployment.container(VNET_CONTAINER).get_blob_client(vnet.path)
    service.receive(json.dumps([event_of(client, cloud=True), {"type": "x"}]).encode())

    denied = deployment.denied(nsg) + deployment.denied(vnet, container=VNET_CONTAINER)
    assert deployment.rows().total() == denied.total()
    assert set(deployment.rows().values()) == {1}


def test_nothing_new_asks_nothing_of_the_flow_log_account(deployment: Deployment) -> None:
    """One read of the checkpoint, and no request for the blob."""
    writer = deployment.nsg_log()
    writer.append(*records(1))
    first = event(deployment, writer)
    writer.append(*records(1, seed=1))
    second = event(deployment, writer)
    with metered(deployment.storage) as meter:
        through = dict.fromkeys(("FlowLogs", "AzureWebJobsStorage"), meter.connection_string)
        service = Service(from_env(deployment.environment | through))
        service.receive(packed(first).encode())
        meter.reset()
        for each in (first, second, second):
            service.receive(packed(each).encode())
        assert meter.requests == {"GET entity": 3}

        deployment.container().get_blob_client(writer.path).upload_blob(
            b'{"records":[]}', overwrite=True
        )
        meter.reset()
        service.receive(packed(event(deployment, writer)).encode())
        assert meter.requests["GET blocklist"] > 0, "a blob written anew was passed over"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda event: event | {"eventType": "Microsoft.Storage.BlobDeleted"}, "BlobDeleted"),
        (lambda event: event | {"subject": event["subject"] + ".bak"}, "path of a flow log"),
        (
            lambda event: json.loads(json.dumps(event).replace(NSG_CONTAINER, "backups")),
            "no flow log",
        ),
        (
            lambda event: json.loads(json.dumps(event).replace("devstoreaccount1", "other")),
            "the account other, which is no connection",
        ),
        (lambda _: "rubbish", "no event"),
    ],
)
def test_what_is_not_ours_is_told_once_and_done_with(
    deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Any], Any],
    told: str,
) -> None:
    """One warning, no error, and nothing that would come again."""
    writer = deployment.nsg_log()
    writer.append(*records(1))
    caplog.set_level(logging.INFO, "nsgflow")
    deployment.service().receive(packed(spoil(event(deployment, writer))).encode())

    (warning,) = lines(caplog, "nsgflow.warning")
    assert told in warning["message"]
    assert not deployment.table.rows


def test_a_flood_of_what_is_not_ours_is_told_a_few_times(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """A subscription without filters must not fill the log."""
    service = deployment.service()
    for _ in range(50):
        service.receive(b"rubbish")

    assert len(lines(caplog, "nsgflow.warning")) == 10


def test_an_account_that_refuses_fails_its_own_events_only(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told by our own line, its message comes again, and the other account goes on."""
    caplog.set_level(logging.INFO, "nsgflow")
    writer = deployment.nsg_log()
    writer.append(*records(1))
    good = event(deployment, writer)
    bad = json.loads(json.dumps(good).replace("devstoreaccount1", "west"))
    with serve(lambda _: Response(403, b"", {"x-ms-error-code": "AuthorizationFailure"})) as west:
        service = Service(
            from_env(
                deployment.environment
                | {
                    "NSGFLOW_CONNECTIONS": "FlowLogs,West",
                    "West": f"AccountName=west;AccountKey={ACCOUNT_KEY};"
                    f"BlobEndpoint=http://127.0.0.1:{west.port}/west",
                }
            )
        )
        with pytest.raises(NsgflowError, match="403 AuthorizationFailure"):
            service.receive(json.dumps([bad, good]).encode())

    assert deployment.rows().total() == deployment.denied(writer).total()
    failed, delivered = lines(caplog, "nsgflow.delivery")
    assert failed["blob"].startswith("west/")
    assert "403 AuthorizationFailure" in failed["errors"]["storage"]
    assert delivered["errors"] == {}


def test_the_message_as_the_host_hands_it_over() -> None:
    """Text or bytes."""
    for body in ("text", b"text"):
        assert func.QueueMessage(body=body).get_body() == b"text"
