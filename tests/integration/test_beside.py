"""Sick sinks and backlogs on real servers: what they must not do to the others."""

import random
import threading
import time
from datetime import timedelta

import pytest

from devtools.flowlogs import NSG_CONTAINER, BlobWriter, Nic, random_record
from devtools.functions_host import FunctionsHost
from devtools.http_server import Fault
from nsgflow_core import service as product
from nsgflow_core.delivery.checkpoint import Checkpoint
from tests.functional.logs import records
from tests.integration.conftest import HOUR, ROOT, Deployment

APP = ROOT / "function_app.py"
HOST_JSON = ROOT / "host.json"


def nic(number: int) -> Nic:
    """One of many interfaces."""
    return Nic(mac=f"000D3A{number:06X}")


def backlog(deployment: Deployment, number: int, count: int = 8) -> BlobWriter:
    """A log of so many records of 2,000 tuples, 40 % denied: over a megabyte with eight."""
    writer, rng = deployment.nsg_log(nic(number)), random.Random(number)
    for minute in range(count):
        when = HOUR + timedelta(minutes=minute + 1)
        writer.append(random_record(nic(number), when, rng, tuples=2000, denied_share=0.4).data)
    return writer


def rows_of(deployment: Deployment, writer: BlobWriter) -> list[float]:
    """When the rows of a log were accepted."""
    return [
        at
        for at, row in zip(deployment.table.times, deployment.table.rows, strict=False)
        if row["MacAddress"] in writer.path
    ]


def marked(deployment: Deployment, writer: BlobWriter) -> Checkpoint:
    """The checkpoint of a log."""
    found = deployment.service()._checkpoints.in_hour(HOUR)
    return next(row for row in found if row.ref.path == writer.path)


def test_small_events_pass_eight_backlogs(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight long runs would stop the intake; nothing waits for a sweep, and nothing comes twice."""
    monkeypatch.setenv("NSGFLOW_WEBHOOK_URL", "")
    monkeypatch.setenv("NSGFLOW_WEBHOOK_SECRET", "")
    backlogs = [backlog(deployment, number) for number in range(8)]
    small = [deployment.nsg_log(nic(100 + number)) for number in range(5)]
    deployment.table.faults = lambda _: Fault(delay=0.3)
    with FunctionsHost(APP, HOST_JSON) as host:
        for writer in backlogs:
            host.blob_created(NSG_CONTAINER, writer.path)
        time.sleep(0.5)
        begun = time.monotonic()
        for writer in small:
            writer.append(*records(1))
            host.blob_created(NSG_CONTAINER, writer.path)
        host.drain(60)
        small_done = time.monotonic()
        finished = host.app.service().wait(0)
        assert host.app.service().wait(120)
        drained = time.monotonic()
    assert not host.failures
    assert small_done - begun < 5, "they did not wait for the backlogs"
    assert not finished, "which went on for longer"
    assert drained - begun > 2
    assert len(deployment.table.rows) == deployment.denied(*backlogs, *small).total()
    assert not deployment.table.duplicates
    assert not any(marked(deployment, writer).pending for writer in backlogs)


def test_what_was_handed_over_outlives_the_process(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is marked when the event is done with, and any other process goes on with it."""
    writer = backlog(deployment, 1)
    with monkeypatch.context() as dying:
        dying.setattr(product, "_beside", lambda work: None)  # its threads die with it
        report = deployment.service().deliver("FlowLogs", NSG_CONTAINER, writer.path)
    assert (report.more, report.lagging) == (True, ("table", "webhook"))
    assert (marked(deployment, writer).pending, marked(deployment, writer).owner) == (True, "")
    assert not deployment.table.rows
    deployment.service().sweep()
    assert len(deployment.table.rows) == deployment.denied(writer).total()
    assert not marked(deployment, writer).pending


def test_a_backlog_of_an_old_hour_is_known_to_the_sweep(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour that no sweep looks at by itself is asked for when its backlog is handed over."""
    deployment.service().sweep()
    writer = backlog(deployment, 1)
    deployment.clock.move(hours=9)
    monkeypatch.setattr(product, "_beside", lambda work: None)
    deployment.service().deliver("FlowLogs", NSG_CONTAINER, writer.path)
    deployment.service().sweep()
    assert len(deployment.table.rows) == deployment.denied(writer).total()


def test_a_slow_sink_that_takes_everything_is_drained_without_a_pause(
    deployment: Deployment,
) -> None:
    """Its backlog costs more than ten seconds of waiting, and no sweep is needed for it."""
    writer = backlog(deployment, 1, 30)
    deployment.webhook.faults = lambda _: Fault(delay=0.6)
    service = deployment.service()
    service.deliver("FlowLogs", NSG_CONTAINER, writer.path)
    assert service.wait(90)
    assert not marked(deployment, writer).pending
    assert len(deployment.webhook.alerts) == 30
    assert not deployment.webhook.duplicates


def test_a_hanging_webhook_takes_no_time_from_other_blobs(deployment: Deployment) -> None:
    """Of 24 blobs one meets it; the rows of all go at once, and the alerts when it is back."""
    writers = [deployment.nsg_log(nic(number)) for number in range(24)]
    for writer in writers:
        writer.append(*records(1))
    service = deployment.service()
    hung = threading.Event()

    def hang(_: object) -> Fault | None:
        return None if hung.is_set() else Fault(hang=30)

    deployment.webhook.faults = hang
    with pytest.raises(Exception, match="no answer in time"):
        service.deliver("FlowLogs", NSG_CONTAINER, writers[0].path)
    begun = time.monotonic()
    for writer in writers[1:]:
        report = service.deliver("FlowLogs", NSG_CONTAINER, writer.path)
        assert report.lagging == ("webhook",)
    assert time.monotonic() - begun < 8
    assert len(deployment.table.rows) == deployment.denied(*writers).total()
    assert all(marked(deployment, writer).pending for writer in writers)

    hung.set()
    for _ in range(3):
        deployment.clock.move(minutes=5)
        service.sweep()
    flows = sum(alert["data"]["flows"] for alert in deployment.webhook.unique)
    assert flows == deployment.denied(*writers).total()


def test_no_request_is_begun_that_cannot_be_answered(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that takes two seconds for each request gets each row once, in several runs."""
    monkeypatch.setenv("NSGFLOW_WEBHOOK_URL", "")
    writer = backlog(deployment, 1, 16)
    deployment.table.faults = lambda _: Fault(delay=2.0)
    service = deployment.service()
    service.deliver("FlowLogs", NSG_CONTAINER, writer.path)
    assert service.wait(120)
    assert len(deployment.table.rows) == deployment.denied(writer).total()
    assert not deployment.table.duplicates
