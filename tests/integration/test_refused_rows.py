"""Rows that a real server refuses, and records that it takes in part: read again, lost never."""

import gzip
import json
import os
import random
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, Nic, random_record
from devtools.http_server import Fault, Request
from devtools.truth import flow_key, flows_of_log, row_key
from nsgflow_core.config import from_env
from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.errors import NsgflowError
from nsgflow_core.service import Service
from tests.integration.conftest import HOUR, ROOT, Deployment

Row = dict[str, Any]
EVERY = {"NSGFLOW_LOGS_FILTER": "action=allowed,denied"}
_RULE = 'UserRule_"Regel\\7"\néß'


def anew(deployment: Deployment, **settings: str) -> Service:
    """Another process, with some settings of its own."""
    return Service(from_env({**deployment.environment, **settings}), deployment.clock)


def deliver(service: Service, container: str, path: str) -> None:
    """One event, and what it leaves to go on beside it."""
    service.deliver("FlowLogs", container, path)
    assert service.wait(60)


def told(rows: list[Row]) -> Counter[str]:
    """Rows as they can be counted."""
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


def refusing(status: int, refused: Callable[[Row], bool]) -> Callable[[Request], Fault | None]:
    """A server that refuses each call with such a row."""

    def faults(request: Request) -> Fault | None:
        rows = json.loads(gzip.decompress(request.body))
        return Fault(status=status) if any(map(refused, rows)) else None

    return faults


def letters(deployment: Deployment) -> list[dict[str, Any]]:
    """Every dead letter."""
    state = deployment.container("nsgflow-state")
    return [
        json.loads(state.download_blob(name).readall())
        for name in state.list_blob_names(name_starts_with="deadletter/")
    ]


def checkpoint(deployment: Deployment) -> Checkpoint:
    """The one there is."""
    (row,) = deployment.service()._checkpoints.in_hour(HOUR)
    return row


@pytest.mark.parametrize(
    ("version", "status"), [(1, 400), (2, 413), (4, 422)], ids=["v1", "v2", "v4"]
)
def test_rows_refused_among_several_bodies(
    deployment: Deployment, version: int, status: int
) -> None:
    """Halves and dead letters, which are read again, hold the rows that the bodies held."""
    rng, nic = random.Random(version), Nic()
    writer = deployment.vnet_log(nic) if version == 4 else deployment.nsg_log(nic)
    container = VNET_CONTAINER if version == 4 else NSG_CONTAINER
    for minute in range(4):
        when = HOUR + timedelta(minutes=minute + 1)
        made = random_record(nic, when, rng, version=version, tuples=900, mixed=True)  # type: ignore[arg-type]
        ruled = made.data.replace(b'"UserRule_Mixed"', json.dumps(_RULE).encode())
        writer.append(ruled.replace(b"192.0.2.9,", b"2001:DB8::9,"))
    alone = {
        "NSGFLOW_STATE_TABLE": "alone",
        "NSGFLOW_WEBHOOK_URL": "",
        "NSGFLOW_WEBHOOK_SECRET": "",
    }
    deliver(anew(deployment, **EVERY, **alone), container, writer.path)
    undisturbed = list(deployment.table.rows)
    assert len(deployment.table.batches) > 2
    deployment.table.rows.clear()

    chosen = {row["FlowId"] for row in rng.sample(undisturbed, 4)}
    deployment.table.faults = refusing(status, lambda row: row["FlowId"] in chosen)
    deliver(anew(deployment, **EVERY), container, writer.path)
    assert told(deployment.table.rows) == told(
        [row for row in undisturbed if row["FlowId"] not in chosen]
    )
    entries = [entry for letter in letters(deployment) for entry in letter["entries"]]
    assert told([json.loads(entry["data"]) for entry in entries]) == told(
        [row for row in undisturbed if row["FlowId"] in chosen]
    )
    places = {f"{entry['ordinal'] - 1:08x}" for entry in entries}
    assert places == {name[16:24] for name in chosen}
    denied = deployment.denied(writer, container=container).total()
    assert sum(alert["data"]["flows"] for alert in deployment.webhook.alerts) == denied

    deployment.table.faults = None
    resend = [sys.executable, "-m", "nsgflow_core", "dead-letters", "resend", "--all"]
    environment = {**os.environ, **deployment.environment, **EVERY}
    done = subprocess.run(resend, env=environment, cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert told(deployment.table.rows) == told(undisturbed)
    assert not letters(deployment)


def test_a_record_taken_in_part_by_one_of_two_sinks(deployment: Deployment) -> None:
    """Each goes on where it stood, in another process, and has every flow once."""
    rng, nic = random.Random(5), Nic()
    writer = deployment.nsg_log(nic)
    made = [
        random_record(nic, HOUR + timedelta(minutes=at + 1), rng, tuples=count, mixed=True).data
        for at, count in enumerate((20, 4000, 20))
    ]
    writer.append(*made[:2])
    deployment.table.faults = deque([None, None, Fault(status=403)])
    with pytest.raises(NsgflowError, match="table"):
        anew(deployment, **EVERY).deliver("FlowLogs", NSG_CONTAINER, writer.path)
    cursors = checkpoint(deployment).cursors
    assert 0 < cursors["table"].ordinal < 4000
    assert cursors["table"].position < cursors["webhook"].position
    taken = len(deployment.table.rows)
    assert taken == 20 + cursors["table"].ordinal
    alerts = len(deployment.webhook.alerts)
    assert alerts == 2

    writer.append(made[2])
    deployment.clock.move(seconds=61)
    service = anew(deployment, **EVERY)
    report = service.deliver("FlowLogs", NSG_CONTAINER, writer.path)
    assert service.wait(60)
    assert report is not None
    assert report.accepted["table"] == 4040 - taken
    data = deployment.container().download_blob(writer.path).readall()
    whole = Counter(flow_key(flow, f"{NSG_CONTAINER}/{writer.path}") for flow in flows_of_log(data))
    assert Counter(map(row_key, deployment.table.rows)) == whole
    assert not deployment.table.duplicates
    assert [alert["data"]["flows"] for alert in deployment.webhook.alerts] == [4, 800, 4]
    assert not deployment.webhook.duplicates


def test_rows_refused_in_a_record_that_an_outage_cuts(deployment: Deployment) -> None:
    """Each is kept once, whichever of the deliveries of its record meets it."""
    made = random_record(Nic(), HOUR + timedelta(minutes=1), random.Random(8), tuples=3000)
    writer = deployment.nsg_log()
    writer.append(made.data)
    refused = {3, 1300, 1900, 2500}

    def place(row: Row) -> int:
        return int(row["FlowId"][16:24], 16)

    bad = refusing(400, lambda row: place(row) in refused)
    away = refusing(401, lambda row: place(row) >= 2000)
    deployment.table.faults = lambda request: bad(request) or away(request)
    with pytest.raises(NsgflowError, match="401"):
        deliver(anew(deployment, **EVERY), NSG_CONTAINER, writer.path)
    assert 0 < checkpoint(deployment).cursors["table"].ordinal <= 2000

    deployment.table.faults = bad
    deployment.clock.move(seconds=61)
    deliver(anew(deployment, **EVERY), NSG_CONTAINER, writer.path)
    assert Counter(map(place, deployment.table.rows)) == Counter(set(range(3000)) - refused)
    entries = [entry for letter in letters(deployment) for entry in letter["entries"]]
    assert sorted(place(json.loads(entry["data"])) for entry in entries) == sorted(refused)
    assert sorted(entry["ordinal"] - 1 for entry in entries) == sorted(refused)
