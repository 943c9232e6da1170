"""`nsgflow run` and `nsgflow check`, with both sinks on stand-ins of Azure's services."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import get_args

import pytest
from azure.storage.queue import QueueClient

from devtools.chat import Kind, chat
from devtools.flowlogs import BlobWriter, Group, Nic, nsg_path, nsg_record
from devtools.http_server import Fault
from devtools.identity import identity
from devtools.ingestion import Ingestion, ingestion
from devtools.meter import metered
from devtools.nic import NSG_CONTAINER, VNET_CONTAINER
from devtools.tls import make_certificate
from devtools.webhook import Webhook, webhook
from nsgflow_core.cli import findings as findings_module
from nsgflow_core.cli.finding import Finding
from nsgflow_core.model import Storage
from tests.cli.conftest import ROOT, Store, heeds_interrupts

WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass(frozen=True)
class Services:
    """What nsgflow talks to; `environ` are the settings that lead there."""

    store: Store
    table: Ingestion
    alerts: Webhook
    environ: dict[str, str]


@pytest.fixture
def services(store: Store, tmp_path: Path) -> Iterator[Services]:
    """Both sinks and an identity; storage by AZURE_STORAGE_CONNECTION_STRING alone."""
    certificate = make_certificate(tmp_path)
    schema = ROOT / "nsgflow_core" / "schema.json"
    with (
        identity() as signed_in,
        ingestion(schema, signed_in, certificate) as table,
        webhook(SECRET) as alerts,
    ):
        environ = store.environ(
            NSGFLOW_LOGS_ENDPOINT=table.endpoint,
            NSGFLOW_LOGS_RULE_ID=table.rule_id,
            NSGFLOW_LOGS_OMIT="none",
            NSGFLOW_WEBHOOK_URL=alerts.url,
            NSGFLOW_WEBHOOK_SECRET=SECRET,
            NSGFLOW_STATE_TABLE=f"t{time.time_ns()}",
            REQUESTS_CA_BUNDLE=str(certificate.bundle),
            NO_PROXY="127.0.0.1",
            **signed_in.environment(),
        )
        yield Services(store, table, alerts, environ)


def writer(store: Store, hour: datetime, nic: Nic = WEB) -> BlobWriter:
    """A writer of one log."""
    container = store.service.get_container_client(NSG_CONTAINER)
    if not container.exists():
        container.create_container()
    return BlobWriter(container, nsg_path(nic, hour))


def record(moment: datetime, port: int) -> bytes:
    """A record of one denied flow."""
    text = f"{int(moment.timestamp())},192.0.2.1,10.5.16.4,{port},22,T,I,D,B,,,,"
    return nsg_record(WEB, moment, [Group("UserRule_Deny", (text,))]).data


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until it holds; the test's own timeout bounds the wait."""
    while not condition():
        time.sleep(0.05)


def running(environ: dict[str, str]) -> subprocess.Popen[str]:
    """`nsgflow run` with a sweep a second."""
    return subprocess.Popen(
        [sys.executable, "-m", "nsgflow_core", "run", "--interval", "1"],
        env=environ, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=heeds_interrupts,  # noqa: PLW1509
    )  # fmt: skip


def test_run_delivers_what_is_written_until_sigterm(services: Services) -> None:
    """Old and new flows of this hour reach both sinks once; SIGTERM ends it with status 0."""
    now = datetime.now(UTC)
    log = writer(services.store, now)
    log.append(record(now, 1))
    process = running(services.environ)
    wait_for(lambda: services.table.accepted == 1 and len(services.alerts.alerts) == 1)
    log.append(record(now, 2))
    wait_for(lambda: services.table.accepted == 2 and len(services.alerts.alerts) == 2)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert errors.splitlines()[-1] == "nsgflow: stopped"
    assert "nsgflow.delivery" in errors

    log.append(record(now, 3))
    process = running(services.environ)  # goes on where the first one stopped
    wait_for(lambda: services.table.accepted >= 3 and len(services.alerts.alerts) >= 3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert (services.table.accepted, services.table.duplicates) == (3, 0)


def test_run_survives_a_sink_that_fails(services: Services) -> None:
    """A failed sweep is told, and the next ones deliver what it could not."""
    now = datetime.now(UTC)
    services.alerts.faults = lambda _: Fault(status=403)
    writer(services.store, now).append(record(now, 1))
    process = running(services.environ)
    assert process.stderr is not None
    while "; trying again" not in process.stderr.readline():
        pass
    assert (services.table.accepted, services.alerts.alerts) == (1, [])
    services.alerts.faults = None
    wait_for(lambda: services.alerts.alerts)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert services.table.accepted == 1


def test_run_needs_a_sink(store: Store) -> None:
    """Without anywhere to deliver to it does not start."""
    done = store.nsgflow("run")
    assert done.returncode == 2
    assert "there is nothing to deliver to" in done.stderr


def findings(services: Services, flags: str = "", **more: str) -> tuple[int, list[str]]:
    """Exit status and lines of `nsgflow check`."""
    done = services.store.nsgflow(f"check {flags}", services.environ | more)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_check_of_what_works(services: Services) -> None:
    """A line for each thing, status 0, and nothing sent."""
    now = datetime.now(UTC)
    writer(services.store, now).append(record(now, 1))
    table = services.environ["NSGFLOW_STATE_TABLE"]
    account = "devstoreaccount1"
    assert findings(services) == (
        0,
        [
            "ok      settings",
            f"ok      FlowLogs: list {account}/{NSG_CONTAINER}",
            (
                f"ok      FlowLogs: list {account}/{VNET_CONTAINER} "
                "(there is none, which may be right)"
            ),
            f"ok      FlowLogs: read {account}/{NSG_CONTAINER}",
            f"ok      FlowLogs: newest log of {account}, {now:%Y-%m-%dT%H:00Z}",
            f"ok      state: write table {table}",
            "ok      state: write container nsgflow-state",
            "ok      table: token for Logs Ingestion",
            "ok      table: reach 127.0.0.1",
            "ok      webhook: reach 127.0.0.1",
        ],
    )
    assert (services.table.requests, services.alerts.requests) == (0, 0)
    state = services.store.service.get_container_client("nsgflow-state")
    assert list(state.list_blobs()) == []


def test_send_test_sends_one_marked_row_and_alert(services: Services) -> None:
    """--send-test sends what anyone can tell for a test, and says whether it was accepted."""
    writer(services.store, datetime.now(UTC)).open()
    status, lines = findings(services, "--send-test")
    assert status == 0
    assert "ok      table: test row" in lines
    assert "ok      webhook: test alert" in lines
    (row,), (alert,) = services.table.rows, services.alerts.alerts
    assert row["AclRule"] == "nsgflow check --send-test"
    assert alert["data"]["groups"][0]["aclRule"] == "nsgflow check --send-test"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_send_test_sends_a_digest_where_people_read(services: Services, kind: Kind) -> None:
    """In the format that is set, marked by its rule."""
    writer(services.store, datetime.now(UTC)).open()
    secret = "0123456789abcdef" * 2 if kind == "pagerduty" else ""
    with chat(kind) as receiver:
        status, lines = findings(
            services,
            "--send-test",
            NSGFLOW_WEBHOOK_URL=receiver.url,
            NSGFLOW_WEBHOOK_FORMAT=kind,
            NSGFLOW_WEBHOOK_SECRET=secret,
        )
    assert status == 0
    assert "ok      webhook: test alert" in lines
    (message,) = receiver.messages
    assert "nsgflow check --send-test" in json.dumps(message)


def test_check_names_each_mend(services: Services) -> None:
    """What is missing is a line with its mend, the rest is looked at all the same; status 1."""
    with metered(services.store.azurite) as meter:
        denied = {"x-ms-error-code": "AuthorizationPermissionMismatch"}
        meter.blobs.faults = meter.tables.faults = lambda _: Fault(status=403, headers=denied)
        status, lines = findings(
            services,
            "--send-test",
            AZURE_STORAGE_CONNECTION_STRING=meter.connection_string,
            NSGFLOW_LOGS_RULE_ID="dcr-other",
            NSGFLOW_WEBHOOK_URL="http://127.0.0.1:1/x-secret-x",
            NSGFLOW_LOG_ENDPOINT="https://x",
        )
    assert status == 1
    missing = [line for line in lines if not line.startswith("ok ")]
    assert [line.partition(": ")[0] for line in missing] == [
        "WRONG   setting NSGFLOW_LOG_ENDPOINT",
        "MISSING FlowLogs",
        "MISSING state",
        "MISSING state",
        "MISSING table",
        "MISSING webhook",
        "MISSING webhook",
    ]
    text = "\n".join(missing)
    for mend in (
        "role Storage Blob Data Reader on devstoreaccount1",
        "role Storage Table Data Contributor on devstoreaccount1",
        "role Storage Blob Data Owner on devstoreaccount1",
        "role Monitoring Metrics Publisher on the data collection rule",
        "correct NSGFLOW_WEBHOOK_URL",
        "did you mean NSGFLOW_LOGS_ENDPOINT?",
    ):
        assert mend in text
    assert "secret" not in text


def by_queue(
    services: Services, name: str, storage: str = "", **more: str
) -> tuple[int, list[str]]:
    """Exit status of `nsgflow check` with events by a queue, and the lines about it."""
    status, lines = findings(
        services,
        NSGFLOW_TRIGGER_SOURCE="Queue",
        NSGFLOW_EVENTS_QUEUE=name,
        AZURE_STORAGE_CONNECTION_STRING=storage or services.store.azurite.connection_string,
        **more,
    )
    return status, [line for line in lines if " events: " in line]


def test_check_looks_at_the_queue_of_events(services: Services) -> None:
    """It is there, with what waits; events that were given up are said, with what to do."""
    writer(services.store, datetime.now(UTC)).append(record(datetime.now(UTC), 1))
    storage, name = services.store.azurite.connection_string, f"q{time.time_ns()}"
    with (
        QueueClient.from_connection_string(storage, name) as events,
        QueueClient.from_connection_string(storage, f"{name}-poison") as poison,
    ):
        status, (line,) = by_queue(services, name)
        assert status == 1
        assert line.startswith(f"MISSING events: queue {name} on devstoreaccount1: there is none")

        events.create_queue()
        assert by_queue(services, name) == (
            0,
            [f"ok      events: queue {name} on devstoreaccount1 (0 waiting)"],
        )
        poison.create_queue()
        for text in ("a", "b"):
            events.send_message(text)
            poison.send_message(text)
        status, (line, given_up) = by_queue(services, name)

        assert (status, line) == (
            1,
            f"ok      events: queue {name} on devstoreaccount1 (2 waiting)",
        )
        assert given_up.startswith(f"WRONG   events: queue {name}-poison: 2 were given up")
        assert f"--queue-name {name}-poison" in given_up
        assert [at.content for at in events.receive_messages()] == ["a", "b"]  # none was taken


def test_check_sees_that_events_wait_for_long(services: Services) -> None:
    """The app does not take them; and who may not look at the queue gets the role's name."""
    storage, name = services.store.azurite, f"q{time.time_ns()}"
    with QueueClient.from_connection_string(storage.connection_string, name) as events:
        events.create_queue()
    hour_ago = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    message = (
        f"<QueueMessagesList><QueueMessage><MessageId>1</MessageId><InsertionTime>{hour_ago}"
        f"</InsertionTime><ExpirationTime>{hour_ago}</ExpirationTime><DequeueCount>0</DequeueCount>"
        "<MessageText>a</MessageText></QueueMessage></QueueMessagesList>"
    ).encode()
    with metered(storage) as meter:
        meter.queues.faults = lambda request: (
            Fault(status=200, body=message, headers={"Content-Type": "application/xml"})
            if "peekonly" in request.target
            else None
        )
        status, (_, late) = by_queue(services, name, meter.connection_string)
        assert status == 1
        assert late.startswith(f"WRONG   events: first in {name}: it has been waiting for 60 min")

        meter.queues.faults = lambda _: Fault(
            status=403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"}
        )
        status, (line,) = by_queue(services, name, meter.connection_string)
        assert status == 1
        assert "403 AuthorizationPermissionMismatch" in line
        assert "role Storage Queue Data Contributor on devstoreaccount1" in line


def test_check_lists_every_problem_of_the_settings(store: Store) -> None:
    """Wrong settings are a line each, and there is nothing more to look at."""
    done = store.nsgflow("check", {"PATH": os.environ["PATH"], "NSGFLOW_STATE_DAYS": "x"})
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert "WRONG   settings: NSGFLOW_STATE_DAYS: 'x' is not a whole number from 1 to 3650" in lines
    assert [line[:18] for line in lines].count("MISSING settings: ") == 2


def test_check_sees_misspelt_settings_beside_wrong_ones(store: Store) -> None:
    """Each with the nearest setting that there is; other programs' variables are their own."""
    environ = store.environ(
        NSGFLOW_WEBHOK_URL="https://x",
        AzureWebJobStorage="x",
        FlowLogs__blobServicesUri="https://x",
        NSGFLOW_SWEEP_HOURS="0",
        AZURE_CONFIG_DIR="/x",
        NSGFLOW_COLOUR="red",
    )
    lines = store.nsgflow("check", environ).stdout.splitlines()
    begin, there_is_none = "WRONG   setting ", "there is no such setting"
    assert [line.removeprefix(begin) for line in lines if line.startswith(begin)] == [
        f"AzureWebJobStorage: {there_is_none}: did you mean AzureWebJobsStorage?",
        f"FlowLogs__blobServicesUri: {there_is_none}: did you mean FlowLogs__blobServiceUri?",
        f"NSGFLOW_COLOUR: {there_is_none}: correct or remove it",
        f"NSGFLOW_WEBHOK_URL: {there_is_none}: did you mean NSGFLOW_WEBHOOK_URL?",
    ]


def test_check_sees_that_no_log_is_new(services: Services) -> None:
    """Logs that ended hours ago are told, with how to look for the reason."""
    writer(services.store, datetime.now(UTC) - timedelta(hours=9)).open()
    status, lines = findings(services)
    assert status == 1
    (stale,) = [line for line in lines if not line.startswith("ok ")]
    assert stale.startswith("WRONG   FlowLogs: newest log of devstoreaccount1: it is of ")
    assert "9 hours ago: see that the flow logs are enabled" in stale


def test_check_names_what_has_written_nothing_for_a_day(services: Services) -> None:
    """Beside logs that are new: it may be no fault, so it is a word and no more."""
    now = datetime.now(UTC)
    for nsg, hours in (("NEW-NSG", 0), ("QUIET-NSG", 30), ("EVENING-NSG", 20)):
        writer(services.store, now - timedelta(hours=hours), Nic(nsg=nsg)).open()
    status, lines = findings(services)
    assert status == 0
    assert (
        f"ok      FlowLogs: newest log of devstoreaccount1, {now:%Y-%m-%dT%H:00Z}; nothing for a "
        f"day from QUIET-NSG ({now - timedelta(hours=30):%Y-%m-%dT%H:00Z})"
    ) in lines


def test_check_looks_at_accounts_side_by_side(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other here, so that one behind the other would never end."""
    both = threading.Barrier(2)

    def looked(connection: str, storage: Storage) -> list[Finding]:
        both.wait(20)
        return [Finding(f"{connection}: {storage.account}")]

    monkeypatch.setattr("nsgflow_core.cli.findings._looked", looked)
    environ = services.environ | {"NSGFLOW_CONNECTIONS": "FlowLogs,Other"}
    environ["Other"] = environ["AZURE_STORAGE_CONNECTION_STRING"].replace("devstore", "other")
    found = list(findings_module.findings(environ, send_test=False))
    names = [one.what for one in found if one.what.startswith(("FlowLogs", "Other"))]
    assert names == ["FlowLogs: devstoreaccount1", "Other: otheraccount1"]


def test_check_finds_flow_logs_missing_and_nothing_to_deliver_to(store: Store) -> None:
    """An account without logs, and an app without sinks, are told."""
    done = store.nsgflow("check")
    missing = [line for line in done.stdout.splitlines() if line.startswith("MISSING")]
    assert done.returncode == 1
    assert missing == [
        "MISSING FlowLogs: flow logs: no flow logs are sent to devstoreaccount1: make one that is",
        "MISSING sinks: nothing is delivered: set NSGFLOW_LOGS_ENDPOINT or NSGFLOW_WEBHOOK_URL",
    ]
