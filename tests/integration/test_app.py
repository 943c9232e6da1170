"""The Function App as the host sees it."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER
from devtools.functions_host import FunctionsHost
from devtools.host_index import index_app
from devtools.http_server import Fault
from nsgflow_core.config import from_env
from nsgflow_core.errors import NsgflowError
from nsgflow_core.service import DEADLINE_SECONDS, Service
from tests.functional.logs import records
from tests.integration.conftest import ROOT, Deployment

APP = ROOT / "function_app.py"


def test_the_functions_of_the_contract(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Per connection one function a container, fed by Event Grid, and the sweep."""
    monkeypatch.setenv("NSGFLOW_CONNECTIONS", "FlowLogs,West")
    monkeypatch.setenv("West", deployment.storage.connection_string)
    blobs, timers, _ = index_app(APP)

    assert {(at.name, at.container, at.connection, at.source) for at in blobs} == {
        ("nsg_FlowLogs", NSG_CONTAINER, "FlowLogs", "EventGrid"),
        ("vnet_FlowLogs", VNET_CONTAINER, "FlowLogs", "EventGrid"),
        ("nsg_West", NSG_CONTAINER, "West", "EventGrid"),
        ("vnet_West", VNET_CONTAINER, "West", "EventGrid"),
    }
    assert [(at.name, at.schedule) for at in timers] == [("sweep", "0 */5 * * * *")]


def test_the_trigger_source_is_a_setting(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local host with Azurite has no Event Grid."""
    monkeypatch.setenv("NSGFLOW_TRIGGER_SOURCE", "LogsAndContainerScan")
    blobs, _, _ = index_app(APP)

    assert {at.source for at in blobs} == {"LogsAndContainerScan"}


def test_wrong_settings_stop_the_start(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Indexing fails with one error that lists every problem."""
    monkeypatch.setenv("NSGFLOW_STATE_DAYS", "soon")
    monkeypatch.setenv("NSGFLOW_LOGS_FILTER", "colour=red")
    with pytest.raises(Exception, match=r"NSGFLOW_STATE_DAYS.*colour"):
        index_app(APP)


def test_what_only_delivery_needs_is_imported_late(deployment: Deployment) -> None:
    """Indexing imports neither the table's client nor the ingestion's."""
    code = (
        "import sys, function_app; function_app.app.get_functions();"
        "print([m for m in ('azure.data.tables', 'azure.monitor', 'requests_mock',"
        " 'nsgflow_core.service') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_the_local_settings_work_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the sample is all the local host needs."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())
    for name in ("FlowLogs", "AzureWebJobsStorage", "NSGFLOW_LOGS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in sample["Values"].items():
        monkeypatch.setenv(name, value)
    blobs, timers, _ = index_app(APP)

    assert len(blobs) == 2
    assert len(timers) == 1


def test_host_json_fits_the_code() -> None:
    """The host waits past our own deadline, with two threads more than blobs at once."""
    host = json.loads((ROOT / "host.json").read_text())
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    assert hours * 3600 + minutes * 60 + seconds >= DEADLINE_SECONDS + 60
    parallel = host["extensions"]["blobs"]["maxDegreeOfParallelism"]
    assert int(sample["PYTHON_THREADPOOL_THREAD_COUNT"]) == parallel + 2


def test_one_summary_line_per_delivery_and_no_addresses(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """A line where something was delivered; none where nothing was new; never an IP address."""
    writer = deployment.nsg_log()
    writer.append(*records(2))
    caplog.set_level(logging.INFO)
    with FunctionsHost(APP, ROOT / "host.json") as host:
        for _ in range(3):
            host.blob_created(NSG_CONTAINER, writer.path)
            host.drain()

    lines = [record.getMessage() for record in caplog.records if record.name == "nsgflow"]
    (line,) = lines
    summary = json.loads(line)
    denied = deployment.denied(writer).total()
    assert summary["event"] == "nsgflow.delivery"
    sent = summary["component_sent_events_total"]
    assert (sent["table"], sent["webhook"]) == (denied, denied)
    assert summary["component_received_events_total"]["source"] == 2
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", caplog.text.replace("127.0.0.1", ""))
    assert not [at for at in caplog.records if at.name.startswith("azure")]


def test_retries_and_a_storage_that_fails_show_in_the_lines(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """What a sink needed again is counted under its name; so is a run without a report."""
    writer = deployment.nsg_log()
    writer.append(*records(2))
    away = deployment.storage.connection_string_through(1, 1)
    caplog.set_level(logging.INFO, "nsgflow")
    with pytest.raises(NsgflowError):
        Service(from_env(deployment.environment | {"FlowLogs": away})).deliver(
            "FlowLogs", NSG_CONTAINER, writer.path
        )
    faults = iter([Fault(status=503), Fault(status=429)])
    deployment.table.faults = lambda _: next(faults, None)
    deployment.service().deliver("FlowLogs", NSG_CONTAINER, writer.path)
    failed, delivered = (
        json.loads(at.getMessage()) for at in caplog.records if at.name == "nsgflow"
    )

    assert failed["component_errors_total"] == {"storage": 1}
    assert delivered["retries"] == {"table": 2}
    assert delivered["component_errors_total"] == {}


def test_no_import_of_the_stand_ins() -> None:
    """The product never imports what only imitates Azure."""
    sources = [ROOT / "function_app.py", *Path(ROOT, "nsgflow_core").rglob("*.py")]
    assert not [path for path in sources if "devtools" in path.read_text()]
