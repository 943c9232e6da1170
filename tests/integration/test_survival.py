"""What a deployment must survive, on real servers."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, BlobWriter, Nic
from devtools.functions_host import FunctionsHost
from devtools.http_server import Fault, Request
from devtools.meter import metered
from nsgflow_core.config import from_env
from nsgflow_core.errors import NsgflowError
from nsgflow_core.service import Service
from tests.functional.logs import records
from tests.integration.conftest import HOUR, ROOT, Deployment

APP = ROOT / "function_app.py"
HOST_JSON = ROOT / "host.json"


def alerted(deployment: Deployment) -> int:
    """Flows in the alerts that were accepted."""
    return sum(alert["data"]["flows"] for alert in deployment.webhook.alerts)


def delivered_once(deployment: Deployment, *writers: BlobWriter) -> None:
    """Each denied flow of the logs is in the table and in an alert, once."""
    denied = deployment.denied(*writers)
    assert len(deployment.table.rows) == denied.total()
    assert not deployment.table.duplicates
    assert len(deployment.rows()) == len(denied)
    assert alerted(deployment) == denied.total()
    assert not deployment.webhook.duplicates


def deliver(service: Service, writer: BlobWriter) -> None:
    """One event of a blob."""
    service.deliver("FlowLogs", NSG_CONTAINER, writer.path)


def failing(service: Service, writer: BlobWriter) -> str:
    """One event whose invocation must fail; what it says."""
    with pytest.raises(NsgflowError) as raised:
        deliver(service, writer)
    return str(raised.value)


def test_the_same_event_five_times_and_out_of_order(deployment: Deployment) -> None:
    """An event says only that there may be something new."""
    writer = deployment.nsg_log()
    with FunctionsHost(APP, HOST_JSON) as host:
        for record in records(5):
            writer.append(record)
        for _ in range(5):
            host.blob_created(NSG_CONTAINER, writer.path)
        host.drain()
        writer.append(*records(2, seed=5))
        for _ in range(5):
            host.blob_created(NSG_CONTAINER, writer.path)
        host.drain()

    assert not host.failures
    delivered_once(deployment, writer)


def test_sixteen_events_at_once_on_one_blob_with_a_backlog(deployment: Deployment) -> None:
    """One does the work; the others find it claimed or done."""
    writer = deployment.nsg_log()
    for number in range(20):
        writer.append(*records(3, seed=number, tuples=20))
    with FunctionsHost(APP, HOST_JSON) as host:
        for _ in range(16):
            host.blob_created(NSG_CONTAINER, writer.path)
        host.drain()

    assert not host.failures
    delivered_once(deployment, writer)


def test_both_kinds_of_log(deployment: Deployment) -> None:
    """NSG and VNet logs make the same rows and alerts."""
    nsg, vnet = deployment.nsg_log(), deployment.vnet_log()
    nsg.append(*records(3, version=1))
    vnet.append(*records(3, version=4, seed=2))
    with FunctionsHost(APP, HOST_JSON) as host:
        host.blob_created(NSG_CONTAINER, nsg.path)
        host.blob_created(VNET_CONTAINER, vnet.path)
        host.drain()

    expected = deployment.denied(nsg) + deployment.denied(vnet, container=VNET_CONTAINER)
    assert len(deployment.table.rows) == expected.total() == alerted(deployment)
    assert {row["FlowLogVersion"] for row in deployment.table.rows} == {1, 4}
    assert {row["FlowStatus"] for row in deployment.table.rows} == {"Denied"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "60"}),
        Fault(status=500),
        Fault(status=403),
        Fault(reset=True),
    ],
    ids=["busy", "broken", "forbidden", "reset"],
)
@pytest.mark.parametrize("sick", ["table", "webhook"])
def test_a_sick_sink(deployment: Deployment, sick: str, fault: Fault) -> None:
    """It delays nobody, its failure shows, and when it heals nothing is missing or repeated."""
    ill, well = deployment.table, deployment.webhook
    if sick == "webhook":
        ill, well = well, ill  # type: ignore[assignment]  # they have their faults alike
    service, writer = deployment.service(), deployment.nsg_log()
    ill.faults = lambda _: fault
    writer.append(*records(2))
    assert sick in failing(service, writer)
    denied = deployment.denied(writer).total()
    assert (len(deployment.table.rows), alerted(deployment)) == (
        (0, denied) if sick == "table" else (denied, 0)
    )
    before = ill.requests
    deliver(service, writer)
    assert ill.requests == before, "it is left alone until its time"

    ill.faults = None
    deployment.clock.move(seconds=61)
    writer.append(*records(2, seed=3))
    deliver(service, writer)
    delivered_once(deployment, writer)


def test_a_hanging_sink_is_given_ten_seconds(deployment: Deployment) -> None:
    """The other sink's rows are in long before, and are committed."""
    service, writer = deployment.service(), deployment.nsg_log()
    deployment.webhook.faults = lambda _: Fault(hang=40)
    writer.append(*records(2))
    begun = time.monotonic()
    failing(service, writer)

    assert time.monotonic() - begun < 16
    assert deployment.table.times[-1] - begun < 5
    deployment.webhook.faults = None
    deployment.clock.move(seconds=61)
    deliver(service, writer)
    delivered_once(deployment, writer)


def test_one_row_refused_among_good_ones(deployment: Deployment) -> None:
    """It is halved out and kept as a dead letter; the others arrive once."""
    service, writer = deployment.service(), deployment.nsg_log()
    writer.append(*records(3, tuples=30))
    bad = next(iter(deployment.denied(writer))).split(",")[3]
    deployment.table.refuse_row = lambda row: row["SrcPort"] == int(bad)
    deliver(service, writer)

    assert len(deployment.table.rows) == deployment.denied(writer).total() - 1
    assert not deployment.table.duplicates
    (letter,) = dead_letters(deployment)
    assert letter["kind"] == "table"
    (entry,) = letter["entries"]
    assert json.loads(entry["data"])["SrcPort"] == int(bad)
    assert "400" in entry["reason"]


def dead_letters(deployment: Deployment) -> list[dict[str, Any]]:
    """Every dead letter."""
    state = deployment.container("nsgflow-state")
    return [
        json.loads(state.download_blob(name).readall())
        for name in state.list_blob_names(name_starts_with="deadletter/")
    ]


def test_garbage_amid_good_data(deployment: Deployment) -> None:
    """Garbage, cut and impossible data are kept and said, and their neighbours arrive."""
    service, writer = deployment.service(), deployment.nsg_log()
    good = records(3)
    port_too_high = re.sub(rb",\d+,T,I,D", b",99999,T,I,D", good[1], count=1)
    writer.append(good[0])
    writer.append_block(b',{"time":"2026-11-23T08:02:00Z","properties":{"Ver')
    writer.append_block(b",\xff\xfe\x00garbage")
    writer.append(port_too_high)
    writer.append_block(b',{"time":"x","properties":{"Version":9,"flows":[]}}')
    writer.append(good[2])
    deliver(service, writer)

    letters = dead_letters(deployment)
    assert sum(len(letter["entries"]) for letter in letters) == 3
    expected = Counter(
        flow.split(",")[3]
        for record in (good[0], port_too_high, good[2])
        for flow in json.loads(record.decode())["properties"]["flows"][0]["flows"][0]["flowTuples"]
        if ",D,B" in flow and ",99999," not in flow
    )
    assert expected
    assert alerted(deployment) == len(deployment.table.rows)
    ports = Counter(str(row["SrcPort"]) for row in deployment.table.rows)
    assert not expected - ports


def test_an_update_whose_event_never_comes(deployment: Deployment) -> None:
    """The sweep finds blobs that have grown past their checkpoint, or have none."""
    service = deployment.service()
    known, unknown = deployment.nsg_log(), deployment.nsg_log(Nic(mac="000D3A000002"))
    known.append(*records(1))
    deliver(service, known)
    known.append(*records(1, seed=2))
    unknown.append(*records(1, seed=3))
    service.sweep()

    delivered_once(deployment, known, unknown)


def test_the_last_update_of_an_hour(deployment: Deployment) -> None:
    """It lands after the hour; the next hour's sweeps still look at it."""
    service, writer = deployment.service(), deployment.nsg_log()
    writer.append(*records(1))
    service.sweep()
    deployment.clock.move(minutes=35)
    writer.append(*records(1, seed=2))
    service.sweep()

    delivered_once(deployment, writer)


def test_the_first_sweep_has_no_past(deployment: Deployment) -> None:
    """It looks at this hour and the one before; older ones were before our time."""
    logs = [deployment.nsg_log(hour=HOUR - timedelta(hours=age)) for age in range(4)]
    for number, writer in enumerate(logs):
        writer.append(*records(1, seed=number))
    deployment.service().sweep()

    delivered_once(deployment, *logs[:2])


def test_an_app_that_was_stopped_for_a_day(deployment: Deployment) -> None:
    """Its next sweep looks as far back as the last completed one."""
    service = deployment.service()
    service.sweep()
    deployment.clock.move(hours=26)
    logs = [deployment.nsg_log(hour=HOUR + timedelta(hours=age)) for age in (1, 12, 25)]
    for number, writer in enumerate(logs):
        writer.append(*records(1, seed=number))
    deployment.service().sweep()

    delivered_once(deployment, *logs)


def test_a_sink_down_for_longer_than_the_window(deployment: Deployment) -> None:
    """An hour with work pending stays in sight of the sweep until it has none."""
    service, writer = deployment.service(), deployment.nsg_log()
    deployment.webhook.faults = lambda _: Fault(status=503)
    writer.append(*records(1))
    failing(service, writer)
    for _ in range(5):
        deployment.clock.move(hours=1)
        with pytest.raises(NsgflowError):
            service.sweep()
    deployment.webhook.faults = None
    deployment.clock.move(hours=1)
    service.sweep()

    delivered_once(deployment, writer)


def test_the_sweep_deletes_old_checkpoints(deployment: Deployment) -> None:
    """Those older than the settings say; the others stay."""
    deployment.environment["NSGFLOW_STATE_DAYS"] = "2"
    service = deployment.service()
    old, new = deployment.nsg_log(hour=HOUR - timedelta(days=3)), deployment.nsg_log()
    for writer in (old, new):
        writer.append(*records(1))
        deliver(service, writer)
    deployment.clock.now = HOUR + timedelta(minutes=2)
    service.sweep()

    hours = {checkpoint.ref.path for checkpoint in service._checkpoints.in_hour(HOUR)}
    assert hours == {new.path}
    assert not list(service._checkpoints.in_hour(HOUR - timedelta(days=3)))


def test_no_container_is_no_error(deployment: Deployment) -> None:
    """A subscription without VNet flow logs, or none yet at all, sweeps quietly."""
    service = deployment.service()
    service.sweep()
    writer = deployment.nsg_log()
    writer.append(*records(1))
    service.sweep()

    delivered_once(deployment, writer)


def test_a_lost_acknowledgement_repeats_with_the_same_ids(deployment: Deployment) -> None:
    """What cannot be known is sent again, and can be told."""
    service, writer = deployment.service(), deployment.nsg_log()
    once = iter([Fault(accept_then_reset=True)])
    deployment.table.faults = lambda _: next(once, None)
    writer.append(*records(2))
    deliver(service, writer)

    denied = deployment.denied(writer).total()
    assert len(deployment.table.rows) == 2 * denied
    assert len(deployment.table.flow_ids) == denied


def test_the_storage_away_for_a_while(deployment: Deployment) -> None:
    """An event that meets no storage fails; nothing is lost."""
    service, writer = deployment.service(), deployment.nsg_log()
    writer.append(*records(2))
    broken = {
        **deployment.environment,
        "FlowLogs": deployment.storage.connection_string_through(1, 1),
    }
    with pytest.raises(NsgflowError):
        deliver(Service(from_env(broken), deployment.clock), writer)
    deliver(service, writer)
    delivered_once(deployment, writer)


def test_a_poison_message_holds_nothing_back(deployment: Deployment) -> None:
    """What failed five times in a row arrives with the next sweep."""
    writer = deployment.nsg_log()
    writer.append(*records(2))
    refused = Fault(status=403)
    deployment.table.faults = lambda _: refused
    deployment.webhook.faults = lambda _: refused
    with FunctionsHost(APP, HOST_JSON) as host:
        host.blob_created(NSG_CONTAINER, writer.path)
        host.drain()
        assert host.failures
        deployment.table.faults = deployment.webhook.faults = None
        deployment.clock.now = datetime.now(UTC) + timedelta(seconds=61)
        deployment.service().sweep()

    delivered_once(deployment, writer)


@pytest.mark.parametrize("number", range(6))
def test_sigkill_and_restart(deployment: Deployment, number: int) -> None:
    """A process killed at any moment loses nothing; a repeat carries the same FlowId."""
    writer = deployment.nsg_log()
    for seed in range(4):
        writer.append(*records(2, seed=seed))

    def kill(_: Request) -> None:
        worker.kill()

    command = [sys.executable, "-m", "devtools.functions_host", "--app", str(APP)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdout.readline()
        if number % 3 == 0:
            deployment.table.faults = kill
        elif number % 3 == 1:
            deployment.webhook.faults = kill
        order = {"blob": {"container": NSG_CONTAINER, "name": writer.path}}
        worker.stdin.write(json.dumps(order) + "\n")
        worker.stdin.flush()
        if number % 3 == 2:
            time.sleep(0.2 * number)
            worker.kill()
        worker.wait(30)
    deployment.table.faults = deployment.webhook.faults = None
    deployment.clock.now = datetime.now(UTC) + timedelta(seconds=70)
    deployment.service().deliver("FlowLogs", NSG_CONTAINER, writer.path)

    denied = deployment.denied(writer).total()
    assert len(deployment.table.flow_ids) == denied
    assert {alert["id"] for alert in deployment.webhook.alerts}
    unique = {alert["id"]: alert["data"]["flows"] for alert in deployment.webhook.alerts}
    assert sum(unique.values()) == denied


def test_a_run_that_failed_before_its_claim_is_not_forgotten(deployment: Deployment) -> None:
    """It left no mark on a checkpoint, so its hour is listed again, however old it is by now."""
    service = deployment.service()
    service.sweep()
    deployment.clock.move(hours=10)
    writer = deployment.nsg_log(hour=HOUR + timedelta(hours=3))
    writer.append(*records(1))
    with metered(deployment.storage) as meter:
        meter.blobs.faults = lambda request: (
            Fault(status=403) if request.query.get("comp") == "blocklist" else None
        )
        through = {**deployment.environment, "FlowLogs": meter.connection_string}
        with pytest.raises(NsgflowError, match="403"):
            Service(from_env(through), deployment.clock).sweep()
    for _ in range(3):
        deployment.clock.move(minutes=5)
        service.sweep()

    delivered_once(deployment, writer)


def test_a_late_event_of_an_old_hour_whose_sink_is_down(deployment: Deployment) -> None:
    """The sweep looks at the hour until it is delivered."""
    service = deployment.service()
    service.sweep()
    writer = deployment.nsg_log(hour=HOUR - timedelta(hours=20))
    writer.append(*records(1))
    deployment.webhook.faults = lambda _: Fault(status=503)
    failing(service, writer)
    deployment.webhook.faults = None
    deployment.clock.move(minutes=5)
    service.sweep()

    delivered_once(deployment, writer)


def test_flows_too_old_to_alert_are_counted(deployment: Deployment) -> None:
    """They are in the table, and neither alerted nor in the way."""
    deployment.environment["NSGFLOW_WEBHOOK_MAX_AGE_MINUTES"] = "10"
    writer = deployment.nsg_log()
    writer.append(*records(2))  # of years ago
    report = deployment.service().deliver("FlowLogs", NSG_CONTAINER, writer.path)

    assert report.too_old == {"webhook": len(deployment.table.rows)}
    assert deployment.table.rows
    assert not deployment.webhook.alerts
    assert not report.lagging
