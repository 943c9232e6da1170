"""`nsgflow checkpoints` and `nsgflow replay`, on the state of a service that runs for real."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.flowlogs import (
    BlobWriter,
    Group,
    Nic,
    nsg_path,
    nsg_record,
    vnet_path,
    vnet_record,
)
from devtools.nic import NSG_CONTAINER
from devtools.webhook import Webhook, webhook
from nsgflow_core.config import from_env
from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.model import BlobRef, Storage
from nsgflow_core.service import Service
from nsgflow_core.storage import table
from tests.cli.conftest import Store
from tests.cli.test_names import estate_file, nsg_id

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
THIS = f"--since {HOUR:%Y-%m-%dT%H}"
OLD = HOUR - timedelta(hours=50)
WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
DB = Nic(nsg="DB-NSG", mac="000D3A0000A2")
TABLE = "nsgflowcheckpoints"


@pytest.fixture
def alerts() -> Iterator[Webhook]:
    """A webhook's receiver."""
    with webhook() as running:
        yield running


@pytest.fixture
def state(store: Store) -> Checkpoints:
    """An empty table of checkpoints."""
    made = table(Storage(store.azurite.connection_string), TABLE)
    made.create_table() if TABLE not in _tables(store) else None
    for entity in made.list_entities():
        made.delete_entity(entity)
    return Checkpoints(made)


def _tables(store: Store) -> list[str]:
    from azure.data.tables import TableServiceClient  # noqa: PLC0415

    with TableServiceClient.from_connection_string(store.azurite.connection_string) as service:
        return [str(found.name) for found in service.list_tables()]


def environ(store: Store, alerts: Webhook, **more: str) -> dict[str, str]:
    """The settings of an app with a webhook."""
    return store.environ(NSGFLOW_WEBHOOK_URL=alerts.url, **more)


def service(store: Store, alerts: Webhook) -> Service:
    """The function's own service, with the same settings."""
    connection = store.azurite.connection_string
    return Service(
        from_env(
            {
                "FlowLogs": connection,
                "AzureWebJobsStorage": connection,
                "NSGFLOW_WEBHOOK_URL": alerts.url,
            }
        )
    )


def log(store: Store, nic: Nic, hour: datetime, count: int) -> BlobRef:
    """A log of so many records with a denied flow each, in blocks as Azure writes them."""
    container = store.service.get_container_client(NSG_CONTAINER)
    if not container.exists():
        container.create_container()
    writer = BlobWriter(container, nsg_path(nic, hour))
    for number in range(count):
        text = f"{int(hour.timestamp()) + number},192.0.2.1,10.5.16.4,5,22,T,I,D,B,,,,"
        writer.append(nsg_record(nic, hour, [Group("UserRule_Deny", (text,))]).data)
    return BlobRef("devstoreaccount1", NSG_CONTAINER, writer.path)


def listed(store: Store, flags: str = "") -> list[dict[str, Any]]:
    """The rows that `nsgflow checkpoints` shows."""
    shown = store.output(f"checkpoints -o json {flags}")
    return [json.loads(line) for line in shown.splitlines()]


def test_checkpoints_show_lag_and_logs_nobody_looked_at(
    store: Store, state: Checkpoints, alerts: Webhook
) -> None:
    """Each sink of each log with its bytes behind; --stale leaves out what is up to date."""
    done, new = log(store, WEB, HOUR, 1), log(store, DB, HOUR, 1)
    service(store, alerts).deliver("FlowLogs", done.container, done.path)
    size = store.service.get_blob_client(new.container, new.path).get_blob_properties().size
    rows = {row["log"]: row for row in listed(store)}
    assert (rows["WEB-NSG"]["sink"], rows["WEB-NSG"]["lagBytes"]) == ("webhook", 0)
    assert (rows["DB-NSG"]["sink"], rows["DB-NSG"]["lagBytes"]) == ("", size)
    assert [row["log"] for row in listed(store, "--stale")] == ["DB-NSG"]
    assert [row["log"] for row in listed(store, "--nsg 'web*'")] == ["WEB-NSG"]
    table_lines = store.output("checkpoints").splitlines()
    assert table_lines[0].split()[:5] == ["connection", "hour", "log", "mac", "sink"]
    assert len(table_lines) == 3


def test_an_inventory_names_what_logs_are_of(
    store: Store, state: Checkpoints, alerts: Webhook, tmp_path: Path
) -> None:
    """VM, subnet and NSGs of the interface; a VNet flow log is found by an NSG of those."""
    net = Nic(mac="000D3A000002", ip="10.0.1.4")
    text = f"{int(HOUR.timestamp())}000,192.0.2.1,10.0.1.4,5,22,6,I,D,NX,0,0,0,0"
    store.log(
        vnet_path(net, HOUR), [vnet_record(net, HOUR, [Group("UserRule_Deny", (text,))]).data]
    )
    log(store, WEB, HOUR, 1)
    book = f"--inventory {estate_file(tmp_path)}"
    rows = {row["log"]: row for row in listed(store, book)}
    assert [rows["SHOP-FLOWLOG"][key] for key in ("vm", "subnet", "nsgs")] == [
        "prod/db1",
        "prod/hub/db",
        ["db-nsg"],
    ]
    assert [rows["WEB-NSG"][key] for key in ("vm", "subnet", "nsgs")] == ["", "", []]
    assert [row["log"] for row in listed(store, f"{book} --nsg 'db*'")] == ["SHOP-FLOWLOG"]
    assert [row["log"] for row in listed(store, f"{book} --nsg web-nsg")] == ["WEB-NSG"]
    assert [row["log"] for row in listed(store, f"{book} --nsg {nsg_id()}")] == ["SHOP-FLOWLOG"]
    assert [row["log"] for row in listed(store, f"--nsg {WEB.nsg_id.lower()}")] == ["WEB-NSG"]
    first, *others = store.output(f"checkpoints -o csv {book}").splitlines()
    assert first.startswith("connection,hour,log,mac,vm,subnet,nsgs,sink,")
    assert len(others) == 2
    dry = store.nsgflow(f"replay {THIS} --dry-run --nsg db-nsg {book}", environ(store, alerts))
    assert dry.returncode == 0
    assert "SHOP-FLOWLOG" in dry.stdout
    assert "000D3A000002 (prod/db1, db-nsg)" in dry.stdout
    assert "WEB-NSG" not in dry.stdout


def test_several_nsgs_at_once(
    store: Store, state: Checkpoints, alerts: Webhook, tmp_path: Path
) -> None:
    """With commas or repeated; a name that nothing has is told beside what was found."""
    for nic in (WEB, DB, Nic(nsg="APP-NSG", mac="000D3A0000A3")):
        log(store, nic, HOUR, 1)
    both = ["DB-NSG", "WEB-NSG"]
    assert sorted(row["log"] for row in listed(store, "--nsg web-nsg,db-nsg")) == both
    assert sorted(row["log"] for row in listed(store, "--nsg web-nsg --nsg 'DB*'")) == both
    dry = f"replay {THIS} --dry-run --nsg"
    shown = store.nsgflow(f"{dry} web-nsg,{DB.nsg_id},wbe-nsg", environ(store, alerts))
    assert (shown.returncode, "APP-NSG" in shown.stdout) == (0, False)
    assert all(nsg in shown.stdout for nsg in both)
    assert shown.stderr == (
        "nsgflow: there are no logs of an NSG named 'wbe-nsg', did you mean 'WEB-NSG'?\n"
    )
    known = f"--inventory {estate_file(tmp_path)}"
    shown = store.nsgflow(f"{dry} db-nsg,web-nsg,apq-nsg {known}", environ(store, alerts))
    assert "WEB-NSG" in shown.stdout
    assert shown.stderr.count("named ") == 1
    shown = store.nsgflow("checkpoints --nsg nothing,web-nsg")
    assert "WEB-NSG" in shown.stdout
    assert "named 'nothing'" in shown.stderr


def test_growth_behind_a_checkpoint_is_lag(
    store: Store, state: Checkpoints, alerts: Webhook
) -> None:
    """Bytes that were added since are what the sink is behind."""
    ref = log(store, WEB, HOUR, 1)
    service(store, alerts).deliver("FlowLogs", ref.container, ref.path)
    before = store.service.get_blob_client(ref.container, ref.path).get_blob_properties().size
    log(store, WEB, HOUR, 2)
    size = store.service.get_blob_client(ref.container, ref.path).get_blob_properties().size
    assert [row["lagBytes"] for row in listed(store, "--stale")] == [size - before]


def test_replay_sends_old_hours_again_with_the_same_ids(
    store: Store, state: Checkpoints, alerts: Webhook
) -> None:
    """The next sweep sends what was asked for, of that hour and NSG, with the ids it had."""
    running = service(store, alerts)
    for nic in (WEB, DB):
        ref = log(store, nic, OLD, 3)
        running.deliver("FlowLogs", ref.container, ref.path)
    assert len(alerts.alerts) == 6
    span = f"--since {OLD:%Y-%m-%dT%H} --until {OLD:%Y-%m-%dT%H}:59"
    said = store.output(f"replay {span} --nsg WEB-NSG", environ(store, alerts))
    assert said == "1 log will be sent again by the next sweep, within 5 minutes\n"
    running.sweep()
    assert (len(alerts.alerts), len(alerts.unique)) == (9, 6)
    assert {alert["data"]["groups"][0]["aclName"] for alert in alerts.alerts[6:]} == {"WEB-NSG"}
    running.sweep()
    assert len(alerts.alerts) == 9


def test_replay_keeps_other_connections_and_open_hours(
    store: Store, state: Checkpoints, alerts: Webhook
) -> None:
    """The hour is opened for the connection whose log it is, besides what was open."""
    log(store, WEB, OLD, 1)
    earlier = OLD - timedelta(hours=1)
    state.keep_open("FlowLogs", earlier)
    store.output(f"replay --since {OLD:%Y-%m-%dT%H} --until {OLD:%Y-%m-%dT%H}:30")
    asked = {at.hour: at.listing for at in state.asked("FlowLogs")}
    assert asked == {earlier: False, OLD: True}


def test_replay_of_one_sink_leaves_the_other(store: Store, state: Checkpoints) -> None:
    """Only the cursor of the sink that is named moves."""
    ref = log(store, WEB, HOUR, 1)
    there = Cursor(offset=100, seen=100)
    state.write(Checkpoint(ref, HOUR, {"table": there, "webhook": there}))
    store.output(f"replay {THIS} --sink webhook")
    row = state.read(ref, HOUR)
    assert row.cursors == {"table": there, "webhook": Cursor()}
    assert row.pending


def test_dry_run_counts_and_changes_nothing(
    store: Store, state: Checkpoints, alerts: Webhook
) -> None:
    """--dry-run shows what will be sent by log and sink, undelivered logs too; no row changes."""
    ref = log(store, WEB, HOUR, 3)
    service(store, alerts).deliver("FlowLogs", ref.container, ref.path)
    log(store, DB, HOUR, 1)
    before = state.read(ref, HOUR)
    shown = store.output(f"replay {THIS} --dry-run", environ(store, alerts)).splitlines()
    hour = f"{HOUR:%Y-%m-%dT%H:00Z}"
    offset = before.cursors["webhook"].offset
    assert [line.split() for line in shown[1:]] == [
        [hour, "DB-NSG", DB.mac, "webhook", "0", "1"],
        [hour, "WEB-NSG", WEB.mac, "webhook", str(offset), "3"],
    ]
    assert state.read(ref, HOUR) == before


def test_replay_waits_for_a_live_claim(store: Store, state: Checkpoints) -> None:
    """A log that is being worked on is moved back when its worker is done."""
    ref = log(store, WEB, HOUR, 1)
    there = Cursor(offset=100, seen=100)
    until = time.time() + 60
    held = state.write(Checkpoint(ref, HOUR, {"table": there}, "worker", until, pending=True))

    def release() -> None:
        state.write(Checkpoint(ref, HOUR, {"table": there}, etag=held.etag))

    timer = threading.Timer(4, release)
    timer.start()
    store.output(f"replay {THIS}")
    timer.join()
    assert state.read(ref, HOUR).cursors == {"table": Cursor()}


def test_replay_takes_over_a_claim_that_ran_out(store: Store, state: Checkpoints) -> None:
    """A dead worker's claim holds nobody up."""
    ref = log(store, WEB, HOUR, 1)
    state.write(Checkpoint(ref, HOUR, {"table": Cursor(offset=9)}, "dead", time.time() - 1))
    store.output(f"replay {THIS}")
    row = state.read(ref, HOUR)
    assert (row.cursors, row.owner, row.pending) == ({"table": Cursor()}, "", True)


def test_replay_while_the_function_sweeps_loses_nothing(
    store: Store, state: Checkpoints, alerts: Webhook
) -> None:
    """Whatever the moment, what was asked for is sent again, and nothing stays pending."""
    running = service(store, alerts)
    ref = log(store, WEB, HOUR, 5)
    running.sweep()
    stop = threading.Event()

    def keep_sweeping() -> None:
        while not stop.is_set():
            running.sweep()

    sweeper = threading.Thread(target=keep_sweeping)
    sweeper.start()
    for _ in range(3):
        store.output(f"replay {THIS}", environ(store, alerts))
    time.sleep(1)
    stop.set()
    sweeper.join()
    running.sweep()
    assert (len(alerts.unique), len(alerts.alerts)) == (5, 20)
    assert not state.read(ref, HOUR).pending


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("replay", "--since"),
        ("replay --since 1h --sink pager", "'pager' is not one of table, webhook"),
        ("replay --since 60d", "NSGFLOW_STATE_DAYS is 30"),
        ("replay --since 1h --until 2h", "the time range is empty"),
        ("checkpoints --output text", "'text' is not one of table, json, csv"),
    ],
)
def test_wrong_usage_ends_with_status_2(store: Store, command: str, said: str) -> None:
    """A wrong value is named in one sentence."""
    done = store.nsgflow(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_missing_settings_are_all_named(store: Store) -> None:
    """Without settings or a connection string each one that is needed is named."""
    done = store.nsgflow("checkpoints", {"PATH": "/usr/bin"})
    assert done.returncode == 2
    assert "FlowLogs: set it" in done.stderr
    assert "AzureWebJobsStorage: set it" in done.stderr


def test_nothing_to_replay_is_said(store: Store, state: Checkpoints) -> None:
    """Hours without logs are no error, and nothing is marked."""
    store.service.create_container(NSG_CONTAINER)
    done = store.nsgflow("replay --since 3h")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to send again" in done.stderr
    assert not list(state.asked("FlowLogs"))
