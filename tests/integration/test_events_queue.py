"""Events by queue: what the function `events` makes of messages."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from azure.functions.queue import QueueMessage
from azure.storage.queue import QueueClient

from devtools.azurite import ACCOUNT_KEY
from devtools.events import event_of, packed, send
from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, BlobWriter, Nic
from devtools.functions_host import FunctionsHost
from devtools.host_index import index_app
from devtools.http_server import Fault, Response, serve
from devtools.meter import metered
from nsgflow_core.config import from_env
from nsgflow_core.errors import NsgflowError
from nsgflow_core.service import Service
from tests.functional.logs import records
from tests.integration.conftest import ROOT, Deployment

APP = ROOT / "function_app.py"


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
        meter.reset()
        service.receive(packed(second).encode(), again=True)
        assert meter.requests == {"GET entity": 1, "GET blocklist": 1}

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


@pytest.mark.parametrize(
    "url",
    [
        "https://StFlow.blob.core.windows.net",
        "https://stflow.privatelink.blob.core.windows.net/",
        "https://stflow.z7.blob.storage.azure.net",
    ],
)
def test_the_connection_of_an_account_however_it_is_reached(
    deployment: Deployment, url: str
) -> None:
    """By the account's name, which is the same in each."""
    by_identity = {"FlowLogs": "", "FlowLogs__blobServiceUri": url}
    settings = {**deployment.environment, **by_identity, "NSGFLOW_TRIGGER_SOURCE": "Queue"}
    service = Service(from_env(settings))

    assert service._connection(("other", "stflow")) == "FlowLogs"
    assert service._connection(("other",)) == ""


@pytest.fixture
def by_queue(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionsHost]:
    """The app in the small host, with events by a queue in Azurite."""
    monkeypatch.setenv("NSGFLOW_TRIGGER_SOURCE", "Queue")
    with FunctionsHost(APP, ROOT / "host.json") as host:
        yield host


def test_the_functions_of_the_contract(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One function in the place of the blob triggers, over the queue that is set."""
    monkeypatch.setenv("NSGFLOW_TRIGGER_SOURCE", "Queue")
    monkeypatch.setenv("NSGFLOW_EVENTS_QUEUE", "other-events")
    found = index_app(APP)
    (function,) = found.queues

    assert found.blobs == []
    assert [timer.name for timer in found.timers] == ["sweep"]
    assert (function.name, function.queue, function.connection) == (
        "events",
        "other-events",
        "AzureWebJobsStorage",
    )


def test_indexing_imports_no_client_of_storage() -> None:
    """With events by queue the host has less to import than with blob triggers."""
    code = (
        "import sys, function_app; function_app.app.get_functions();"
        "print([m for m in ('azure.storage.blob', 'azure.storage.queue', 'azure.data.tables')"
        " if m in sys.modules])"
    )
    development = dict.fromkeys(("FlowLogs", "AzureWebJobsStorage"), "UseDevelopmentStorage=true")
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **development, "NSGFLOW_TRIGGER_SOURCE": "Queue"},
    )
    assert answer.stdout.strip() == "[]"


def test_a_message_that_comes_again_looks_at_its_blob(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who took it first may have died before its last listing; the host's count tells."""
    monkeypatch.setenv("NSGFLOW_TRIGGER_SOURCE", "Queue")
    told: list[bool] = []
    monkeypatch.setattr(Service, "receive", lambda self, body, *, again: told.append(again))
    (function,) = index_app(APP).queues
    message: Any = QueueMessage  # which has no types
    for count in (None, 1, 2, 9):
        function.call(message=message(body="{}", dequeue_count=count))

    assert told == [False, False, True, True]


def test_messages_become_rows_and_alerts(deployment: Deployment, by_queue: FunctionsHost) -> None:
    """Several updates and blobs, events of one blob at once: every flow once, nothing left."""
    logs = [deployment.nsg_log(Nic(mac=f"000D3A00000{number}")) for number in range(3)]
    for seed in range(4):
        for writer in logs:
            writer.append(*records(2, seed=seed))
            by_queue.blob_created(NSG_CONTAINER, writer.path)
    by_queue.drain()

    assert by_queue.failures == []
    assert deployment.rows().total() == deployment.denied(*logs).total()
    assert by_queue.queue_triggers[0].left() == 0
    assert {run.function for run in by_queue.invocations} == {"events"}


def test_rubbish_never_becomes_poison(deployment: Deployment, by_queue: FunctionsHost) -> None:
    """Whatever the message's text, the host hands it over and it is done with."""
    trigger = by_queue.queue_triggers[0]
    send(trigger.queue, {"eventType": "Microsoft.Storage.BlobDeleted"})
    for text in ("rubbish!", "{", "AAAA", "[]"):
        trigger.queue.send_message(text)
    by_queue.drain()

    assert by_queue.failures == []
    assert len(by_queue.invocations) == 5
    assert trigger.given_up == []


def test_an_event_whose_sink_was_down_is_delivered_by_its_message(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It fails, is seen again after its time, and delivers what was left."""
    monkeypatch.setenv("NSGFLOW_TRIGGER_SOURCE", "Queue")
    settings = json.loads((ROOT / "host.json").read_text())
    settings["extensions"]["queues"]["visibilityTimeout"] = "00:00:03"
    (tmp_path / "host.json").write_text(json.dumps(settings))
    deployment.webhook.faults = lambda _: Fault(status=401)
    writer = deployment.nsg_log()
    writer.append(*records(2))
    with FunctionsHost(APP, tmp_path / "host.json") as host:
        host.blob_created(NSG_CONTAINER, writer.path)
        while not host.failures:
            time.sleep(0.05)
        deployment.webhook.faults = None
        host.drain()

    assert host.queue_triggers[0].given_up == []
    assert sum(alert["data"]["flows"] for alert in deployment.webhook.unique) == (
        deployment.denied(writer).total()
    )


def test_changing_over_loses_and_leaves_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From blob triggers to the queue and back, with events on either side that nobody takes."""
    logs = [deployment.nsg_log(Nic(mac=f"000D3A00000{number}")) for number in range(4)]
    for number, source in enumerate(("EventGrid", "Queue", "EventGrid")):
        monkeypatch.setenv("NSGFLOW_TRIGGER_SOURCE", source)
        with FunctionsHost(APP, ROOT / "host.json") as host:
            for writer in logs:
                writer.append(*records(1, seed=number))
            host.blob_created(NSG_CONTAINER, logs[0].path)
            host.drain()
        # It is stopped here: these come to what will not be asked any more.
        logs[1].append(*records(1, seed=10 + number))
        with QueueClient.from_connection_string(
            deployment.storage.connection_string, "nsgflow-events"
        ) as queue:
            send(queue, event(deployment, logs[1]))
    with FunctionsHost(APP, ROOT / "host.json") as host:
        assert host.fire_timer("sweep").error == ""

    assert len({row["FlowId"] for row in deployment.table.rows}) == len(deployment.table.rows)
    assert len(deployment.table.rows) == deployment.denied(*logs).total()
