"""Several webhooks at one app: each its own filter, format, cursor and fate."""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from devtools.chat import Chat, chat
from devtools.flowlogs import NSG_CONTAINER, Nic
from devtools.host_index import index_app
from devtools.http_server import Fault
from devtools.webhook import Webhook, webhook
from nsgflow_core import storage
from nsgflow_core.config import from_env
from nsgflow_core.delivery.checkpoint import Checkpoints
from nsgflow_core.delivery.ledgers import Ledgers
from nsgflow_core.errors import NsgflowError
from tests.functional.logs import records
from tests.integration.conftest import HOUR, ROOT, Deployment

REFERENCE = "@Microsoft.KeyVault(SecretUri=https://vault.vault.azure.net/secrets/url/0123)"


@pytest.fixture
def second() -> Iterator[Webhook]:
    """Another receiver of CloudEvents, which asks for no signature."""
    with webhook() as running:
        yield running


def flows(receiver: Webhook) -> int:
    """Flows in the alerts that a receiver took."""
    return sum(alert["data"]["flows"] for alert in receiver.unique)


def test_each_has_its_own_filter_and_cursor(deployment: Deployment, second: Webhook) -> None:
    """One that is down keeps the others from nothing, and gets all once it is back."""
    deployment.environment |= {
        "NSGFLOW_WEBHOOK_2_URL": second.url,
        "NSGFLOW_WEBHOOK_2_FILTER": "direction=in",
    }
    service, log = deployment.service(), deployment.nsg_log()
    log.append(*records(4))
    second.server.faults = lambda _: Fault(status=503)
    with pytest.raises(NsgflowError):
        service.deliver("FlowLogs", NSG_CONTAINER, log.path)

    denied = deployment.denied(log)
    assert flows(deployment.webhook) == denied.total()
    assert sum(deployment.rows().values()) == denied.total()
    assert not second.alerts
    second.server.faults = None
    deployment.clock.move(minutes=20)
    deployment.service().sweep()

    inbound = sum(count for text, count in denied.items() if ",I,D" in text)
    assert 0 < flows(second) == inbound
    assert not deployment.webhook.duplicates
    rows = storage.table(from_env(deployment.environment).host_storage, "nsgflowcheckpoints")
    (row,) = Checkpoints(rows).in_hour(HOUR)
    assert set(row.cursors) == {"table", "webhook", "webhook_2"}
    assert len({cursor.position for cursor in row.cursors.values()}) == 1


def test_digests_of_several_webhooks(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tells what its own filter lets pass, in its own time, and remembers for itself."""
    with ExitStack() as running:
        all_of_it, port = (running.enter_context(chat("slack")) for _ in range(2))
        events = running.enter_context(chat("teams"))
        deployment.environment |= {
            "NSGFLOW_WEBHOOK_SECRET": "",
            "NSGFLOW_WEBHOOK_URL": all_of_it.url,
            "NSGFLOW_WEBHOOK_FORMAT": "slack",
            "NSGFLOW_WEBHOOK_2_URL": port.url,
            "NSGFLOW_WEBHOOK_2_FORMAT": "slack",
            "NSGFLOW_WEBHOOK_2_FILTER": "direction=in",
            "NSGFLOW_WEBHOOK_3_URL": events.url,
            "NSGFLOW_WEBHOOK_3_FORMAT": "teams",
            "NSGFLOW_WEBHOOK_3_INTERVAL_SECONDS": "120",
        }
        for name, value in deployment.environment.items():
            monkeypatch.setenv(name, value)
        _, timers, _ = index_app(ROOT / "function_app.py")
        assert {"digest", "digest_2", "digest_3"} <= {at.name for at in timers}
        service, log = deployment.service(), deployment.nsg_log()
        log.append(*records(6))
        service.deliver("FlowLogs", NSG_CONTAINER, log.path)
        for sink in ("webhook", "webhook_2"):
            service.digest(sink)
        denied = deployment.denied(log)
        inbound = sum(count for text, count in denied.items() if ",I,D" in text)
        assert said(all_of_it) == [denied.total()]
        assert said(port) == [inbound]
        assert not events.messages

        events.server.faults = lambda _: Fault(status=500)
        with pytest.raises(NsgflowError):
            service.digest("webhook_3")
        events.server.faults = None
        deployment.clock.move(minutes=3)
        deployment.service().sweep()
        assert said(events) == [denied.total()]
        assert (len(all_of_it.messages), len(port.messages)) == (1, 1)


def said(receiver: Chat) -> list[int]:
    """The count of denied flows in each message."""
    texts = [json.dumps(message) for message in receiver.messages]
    return [int(text.partition(" denied flows in")[0].rpartition('"')[2]) for text in texts]


def test_an_old_hour_is_watched_for_every_one(deployment: Deployment) -> None:
    """What one timer has seen run out, another still looks at."""
    with chat("slack") as one, chat("slack") as two:
        deployment.environment |= {
            "NSGFLOW_WEBHOOK_SECRET": "",
            "NSGFLOW_WEBHOOK_URL": one.url,
            "NSGFLOW_WEBHOOK_FORMAT": "slack",
            "NSGFLOW_WEBHOOK_4_URL": two.url,
            "NSGFLOW_WEBHOOK_4_FORMAT": "slack",
        }
        old = deployment.nsg_log(Nic(), HOUR - timedelta(hours=6))
        service = deployment.service()
        for sink in ("webhook", "webhook_4"):
            service.digest(sink)
        deployment.clock.move(minutes=5)
        old.append(*records(2))
        service.deliver("FlowLogs", NSG_CONTAINER, old.path)
        deployment.clock.move(hours=1)
        service.digest("webhook")
        table = storage.table(from_env(deployment.environment).host_storage, "nsgflowcheckpoints")
        assert not Ledgers(table).marks().watched
        assert len(Ledgers(table, "webhook_4").marks().watched) == 1
        service.digest("webhook_4")
        assert (len(one.messages), len(two.messages)) == (1, 1)


def test_a_process_without_a_webhook_keeps_what_it_counted(deployment: Deployment) -> None:
    """A laptop with fewer settings moves no cursor back, and forgets no ledger."""
    with chat("slack") as people:
        deployment.environment |= {
            "NSGFLOW_WEBHOOK_2_URL": people.url,
            "NSGFLOW_WEBHOOK_2_FORMAT": "slack",
        }
        service, log = deployment.service(), deployment.nsg_log()
        log.append(*records(2))
        service.deliver("FlowLogs", NSG_CONTAINER, log.path)
        fewer = dict(deployment.environment)
        del fewer["NSGFLOW_WEBHOOK_2_URL"]
        log.append(*records(2, seed=1))
        whole, deployment.environment = deployment.environment, fewer
        deployment.service().deliver("FlowLogs", NSG_CONTAINER, log.path)
        deployment.environment = whole
        service = deployment.service()
        service.deliver("FlowLogs", NSG_CONTAINER, log.path)
        service.digest("webhook_2")
        assert said(people) == [deployment.denied(log).total()]


def test_a_secret_that_is_not_resolved_yet(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """The table goes on, the webhook's flows wait for it, and the summary line says for what."""
    url = deployment.environment["NSGFLOW_WEBHOOK_URL"]
    deployment.environment["NSGFLOW_WEBHOOK_URL"] = REFERENCE
    service, log = deployment.service(), deployment.nsg_log()
    log.append(*records(2))
    with caplog.at_level(logging.INFO, "nsgflow"), pytest.raises(NsgflowError):
        service.deliver("FlowLogs", NSG_CONTAINER, log.path)
    denied = deployment.denied(log).total()
    assert sum(deployment.rows().values()) == denied
    lines = [json.loads(record.message) for record in caplog.records if record.name == "nsgflow"]
    (line,) = (at for at in lines if at["event"] == "nsgflow.delivery")
    assert line["errors"] == {
        "webhook": "NSGFLOW_WEBHOOK_URL is a Key Vault reference that is not resolved yet"
    }
    log.append(*records(2, seed=1))
    service.deliver("FlowLogs", NSG_CONTAINER, log.path)  # it is left alone, and fails nobody's

    deployment.environment["NSGFLOW_WEBHOOK_URL"] = url
    deployment.clock.move(minutes=20)
    deployment.service().sweep()
    assert flows(deployment.webhook) == deployment.denied(log).total()
    assert not deployment.webhook.duplicates
