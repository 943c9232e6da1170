"""The inventory at the terminal: Resource Graph, Network Watcher and storage, over real sockets."""

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from devtools.estate import Estate, rule
from devtools.flowlogs import (
    NSG_CONTAINER,
    VNET_CONTAINER,
    Group,
    Nic,
    nsg_path,
    nsg_record,
    vnet_path,
    vnet_record,
)
from devtools.http_server import Fault
from devtools.resource_manager import RESOURCE, ResourceManager, resource_manager
from devtools.tls import Certificate
from nsgflow_core.cli import inventories
from nsgflow_core.cli.inventories import cache_folder
from nsgflow_core.cli.main import app
from nsgflow_core.estate import arm
from nsgflow_core.estate.arm import Cloud
from nsgflow_core.estate.library import INVENTORY_BLOB, TAGS_BLOB
from nsgflow_core.estate.service_tags import compile_tags
from tests.integration.conftest import HOUR, Deployment

ACCOUNT = "devstoreaccount1"
SEEN = HOUR - timedelta(hours=2)
WEB, DB = "000D3A000001", "000D3A000002"


@pytest.fixture
def estate() -> Estate:
    """Two VMs of a VNet; one of its subnets has an NSG."""
    made = Estate()
    vnet = made.vnet("hub", web="10.0.0.0/24", db="10.0.1.0/24")
    nsg = made.nsg("db-nsg", "g-1")
    made.guard(f"{vnet}/subnets/db", nsg)
    made.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4", vm="web1")
    made.nic(f"{vnet}/subnets/db", "00-0D-3A-00-00-02", "10.0.1.4", vm="db1")
    made.flow_log("hub-log", vnet)
    made.flow_log("db-log", nsg)
    return made


@pytest.fixture
def azure(
    deployment: Deployment,
    estate: Estate,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ResourceManager]:
    """Who is signed in here sees this; storage is Azurite's."""
    with resource_manager(deployment.table.identity, certificate) as running:
        running.tables = estate.tables
        running.tags = [[]]
        cloud = Cloud(running.endpoint, RESOURCE, "westeurope")
        monkeypatch.setitem(arm.CLOUDS, "AZURE_PUBLIC_CLOUD", cloud)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HOME", str(tmp_path))
        for key in ("FlowLogs", "AzureWebJobsStorage"):
            monkeypatch.delenv(key)
        yield running


def invoke(*words: str, status: int = 0) -> Result:
    """Run a command."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result


def coverage(*words: str) -> dict[str, dict[str, Any]]:
    """The rows of `nsgflow coverage` by VM."""
    *rows, _ = invoke("coverage", *words, "-o", "json").stdout.splitlines()
    return {row["vm"]: row for row in map(json.loads, rows)}


def watcher(estate: Estate) -> str:
    """The id of the Network Watcher."""
    found = next(row["id"] for row in estate.tables["resources"] if "/flowLogs/" in row["id"])
    return str(found.partition("/flowLogs/")[0])


def put(deployment: Deployment, container: str, path: str, *records: bytes) -> None:
    """A log of these records."""
    data = b'{"records":[' + b",".join(records) + b"]}"
    deployment.container(container).upload_blob(path, data)


def test_the_newest_record_of_each_log(
    deployment: Deployment, azure: ResourceManager, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By MAC, from the end of its newest log, however long the last record is."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", deployment.storage.connection_string)
    subscription = "00000000-0000-0000-0000-0000000000AA"
    old, last = HOUR - timedelta(hours=3), HOUR + timedelta(minutes=7)
    texts = tuple(
        f"{int(last.timestamp())}{number:03},10.0.0.4,192.0.2.1,{number},443,6,O,B,NX,0,0,0,0"
        for number in range(900)
    )
    web = Nic(mac=WEB, ip="10.0.0.4")
    prefix = f"flowLogResourceID=/{subscription}_PROD/NETWORKWATCHER_WESTEUROPE_HUB-LOG"
    for hour in (old, HOUR):
        path = f"{prefix}/{vnet_path(web, hour, 'short').split('/', 3)[3]}"
        records = [vnet_record(web, time, [Group("UserRule_A", texts, "g")]).data
                   for time in (hour, hour + timedelta(minutes=7))]  # fmt: skip
        put(deployment, VNET_CONTAINER, path, *records)
    db = Nic(nsg="DB-NSG", mac=DB, ip="10.0.1.4")
    path = nsg_path(db, old)
    nsg = next(row["id"] for row in estate.tables["resources"] if row["name"] == "db-nsg")
    path = f"resourceId={nsg.upper()}/y={path.partition('/y=')[2]}"
    text = f"{int(old.timestamp())},192.0.2.1,10.0.1.4,5,22,T,I,D,B,,,,"
    put(deployment, NSG_CONTAINER, path, nsg_record(db, old, [Group("UserRule_D", (text,))]).data)
    azure.watchers = {watcher(estate).lower(): []}

    found = coverage()

    assert found["prod/web1"]["newest"] == f"{last:%Y-%m-%dT%H:%M:%SZ}"
    db1 = found["prod/db1"]
    assert (db1["logged"], db1["newest"]) == ("twice", f"{old:%Y-%m-%dT%H:%M:%SZ}")
    assert {log["level"]: log["because"] for log in db1["logs"]} == {
        "vnet": "none in the newest 2 hours of hub-log",
        "nsg": "",
    }
    shown = invoke("coverage").stdout
    assert "newest record" in shown.splitlines()[0]


def test_an_account_that_was_not_named_or_refuses(
    deployment: Deployment, azure: ResourceManager, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest record is unknown, and why."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", deployment.storage.connection_string)
    for row in estate.tables["resources"]:
        if row["id"].endswith("/db-log"):
            row["properties"]["storageId"] = row["properties"]["storageId"].replace(
                ACCOUNT, "other"
            )
    found = coverage()
    because = {log["level"]: log["because"] for log in found["prod/db1"]["logs"]}
    assert because == {
        "vnet": f"{ACCOUNT} has no logs of hub-log",
        "nsg": "the storage account other was not named",
    }
    wrong = deployment.storage.connection_string.replace("AccountKey=E", "AccountKey=F")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
    assert "403" in coverage()["prod/web1"]["newestBecause"]


def test_interfaces_of_the_deployed_function(
    deployment: Deployment, azure: ResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its inventory has no flow logs, since they would cost it: Azure is asked for them alone."""
    monkeypatch.setenv("AzureWebJobsStorage", deployment.storage.connection_string)
    invoke("inventory")
    kept = inventories.read_file(str(next(cache_folder(os.environ).iterdir())))
    deployment.container("nsgflow-state").upload_blob(INVENTORY_BLOB, kept.inventory)
    azure.queries.clear()
    found = coverage("--inventory", "app")
    assert {vm: row["logged"] for vm, row in found.items()} == {
        "prod/web1": "once",
        "prod/db1": "twice",
    }
    assert len(azure.queries) == 1


@pytest.fixture
def tagged(
    deployment: Deployment, azure: ResourceManager, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], None]:
    """The function's inventory, of rules with a service tag, and what puts tags made then there."""
    row = next(row for row in estate.tables["resources"] if row["name"] == "db-nsg")
    row["properties"]["securityRules"] = [
        {"name": "Ours", "properties": rule(100, "Allow", source="Storage.WestUS3")},
        {"name": "Others", "properties": rule(200, "Deny")},
    ]
    invoke("inventory")
    kept = inventories.read_file(str(next(cache_folder(os.environ).iterdir())))
    container = deployment.container("nsgflow-state")
    container.upload_blob(INVENTORY_BLOB, kept.inventory)
    monkeypatch.setenv("AzureWebJobsStorage", deployment.storage.connection_string)
    azure.server.faults = lambda _: Fault(status=403)
    values = [{"name": "Storage.WestUS3", "properties": {"addressPrefixes": ["20.60.14.0/24"]}}]
    compiled = compile_tags([json.dumps({"values": values}).encode()])

    def put_tags(made: float) -> None:
        about = {"made": str(made)}
        container.upload_blob(TAGS_BLOB, compiled, overwrite=True, metadata=about)

    return put_tags


def test_service_tags_of_the_deployed_function(
    deployment: Deployment, tagged: Callable[[float], None], tmp_path: Path
) -> None:
    """They come with its inventory, into a file as well, and where only its settings are named."""
    asked = ("20.60.14.9", "10.0.1.4:22")
    untold = why(*asked, "--inventory", "app")["now"]
    assert (untold["verdict"], "service tags" in untold["unknown"][0]) == ("unknown", True)

    tagged(time.time() - 25 * 3600)

    assert why(*asked, "--inventory", "app")["now"]["verdict"] == "allowed"
    assert why("20.60.15.9", "10.0.1.4:22", "--inventory", "app")["now"]["verdict"] == "denied"
    assert why(*asked)["now"]["verdict"] == "allowed"
    moved = str(tmp_path / "estate")
    assert "1 prefixes of service tags" in invoke("inventory", "app", "--export", moved).stdout
    deployment.container("nsgflow-state").delete_blob(TAGS_BLOB)
    assert why(*asked, "--inventory", moved)["now"]["verdict"] == "allowed"


def test_service_tags_that_nobody_makes_anew(tagged: Callable[[float], None]) -> None:
    """Addresses move between services: what was left behind long ago is no answer, and is told."""
    tagged(time.time() - 8 * 24 * 3600)
    found = invoke("why", "20.60.14.9", "10.0.1.4:22", "--inventory", "app", "-o", "json")
    assert json.loads(found.stdout)["now"]["verdict"] == "unknown"
    assert "without service tags: the function's are of" in found.stderr
    assert "8 d ago" in found.stderr


def test_filters_come_from_the_watcher(azure: ResourceManager, estate: Estate) -> None:
    """Resource Graph told nothing: by pages; without the right it is said to be unknown."""
    assert coverage()["prod/web1"]["filtered"] is None
    assert "whether hub-log is filtered was not told" in invoke("coverage", "-o", "text").stdout
    entries = [row for row in estate.tables["resources"] if "/flowLogs/" in row["id"]]
    filler = [{"id": f"{watcher(estate)}/flowLogs/x{n}", "properties": {}} for n in range(3)]
    entries[0]["properties"]["recordTypes"] = "D"
    azure.watchers = {watcher(estate).lower(): [*filler, *entries]}
    estate.tables["resources"] = [
        row if row is not entries[0] else row | {"properties": {
            key: value for key, value in row["properties"].items() if key != "recordTypes"
        }}
        for row in estate.tables["resources"]
    ]  # fmt: skip
    assert coverage("--refresh")["prod/web1"]["filtered"] is True


def inventory_queries(azure: ResourceManager) -> int:
    """How many queries were not for what changed."""
    return sum(not query.startswith("resourcechanges") for query in azure.queries)


def test_kept_for_a_day(azure: ResourceManager) -> None:
    """Asked once, kept where no one else reads it, asked again after a day or with --refresh."""
    first = invoke("coverage")
    assert "asking Azure Resource Graph" in first.stderr
    asked = inventory_queries(azure)
    place = next(cache_folder(os.environ).iterdir())
    assert place.stat().st_mode & 0o077 == 0
    assert place.parent.stat().st_mode & 0o077 == 0
    for words in (("coverage",), ("inventory",), ("why", "web1", "db1:22", "--inventory")):
        assert "asking" not in invoke(*words).stderr
    assert inventory_queries(azure) == asked
    invoke("why", "web1", "db1:22", "--inventory", "--refresh")
    assert inventory_queries(azure) == 2 * asked
    yesterday = time.time() - 25 * 3600
    os.utime(place, (yesterday, yesterday))
    invoke("inventory")
    assert inventory_queries(azure) == 3 * asked


def test_what_was_kept_before_there_were_flow_logs(azure: ResourceManager) -> None:
    """Only they are asked for, and the rest stays."""
    invoke("inventory")
    place = next(cache_folder(os.environ).iterdir())
    older = replace(inventories.read_file(str(place)), flow_logs=None, made=1_772_600_000.0)
    inventories.write_file(place, older)
    hours_ago = time.time() - 5 * 3600
    os.utime(place, (hours_ago, hours_ago))
    azure.queries.clear()
    assert "as of 2026-03-04" in invoke("coverage").stdout
    assert len(azure.queries) == 1
    invoke("coverage")
    assert len(azure.queries) == 1
    assert place.stat().st_mtime == pytest.approx(hours_ago)


def test_moved_to_where_nobody_is_signed_in(azure: ResourceManager, tmp_path: Path) -> None:
    """The file has the flow logs; how old it is stays true."""
    moved = str(tmp_path / "estate")
    invoke("inventory", "--export", moved)
    here = coverage()
    azure.server.faults = lambda _: Fault(status=403)
    assert coverage("--inventory", moved) == here
    invoke("inventory", "--import", moved)
    assert coverage() == here
    refused = invoke("coverage", "--refresh", status=1)
    assert "Reader" in refused.stderr


@pytest.fixture
def log(deployment: Deployment, estate: Estate, tmp_path: Path) -> str:
    """A log of db-nsg: SSH from web1 was allowed two hours ago."""
    nsg = next(row["id"] for row in estate.tables["resources"] if row["name"] == "db-nsg")
    db = Nic(nsg="DB-NSG", mac=DB, ip="10.0.1.4")
    text = f"{int(SEEN.timestamp())},10.0.0.4,10.0.1.4,5,22,T,I,A,B,,,,"
    record = nsg_record(db, SEEN, [Group("UserRule_Ssh", (text,))]).data
    path = tmp_path / "PT1H.json"
    path.write_bytes(
        b'{"records":[' + record.replace(db.nsg_id.encode(), nsg.upper().encode()) + b"]}"
    )
    return str(path)


def close_ssh(estate: Estate) -> str:
    """Have db-nsg deny SSH; its id."""
    row = next(row for row in estate.tables["resources"] if row["name"] == "db-nsg")
    row["properties"]["securityRules"] = [{"name": "Ssh", "properties": rule(100, "Deny")}]
    return str(row["id"])


def why(*words: str) -> dict[str, Any]:
    """An answer as JSON."""
    found: dict[str, Any] = json.loads(invoke("why", *words, "-o", "json").stdout)
    return found


def test_since_which_change(azure: ResourceManager, estate: Estate, log: str) -> None:
    """The changes after the last record; the one of the rule that decides is named."""
    nsg = close_ssh(estate)
    access = 'properties.securityRules["Ssh"].properties.access'
    after, before = SEEN + timedelta(minutes=1), SEEN - timedelta(minutes=1)
    estate.change(nsg, f"{before:%Y-%m-%dT%H:%M:%SZ}", {access: ("Deny", "Allow")})
    estate.change(nsg, f"{after:%Y-%m-%dT%H:%M:%SZ}", {access: ("Allow", "Deny")})
    words = ("web1", "db1:22", log, "--inventory")
    invoke("inventory")
    azure.queries.clear()

    found = why(*words)

    assert (found["now"]["verdict"], found["agrees"]) == ("denied", False)
    assert len(azure.queries) == 1
    assert "changedBy" not in azure.queries[0]
    changes = found["changes"]
    assert (changes["since"], changes["because"]) == (f"{SEEN:%Y-%m-%dT%H:%M:%S}.000Z", "")
    assert changes["found"] == [
        {
            "time": f"{after:%Y-%m-%dT%H:%M:%S}.000Z",
            "resource": nsg.lower(),
            "kind": "Update",
            "decides": "Ssh",
            "newerThanRules": False,
            "properties": [{"path": access, "before": "Allow", "after": "Deny"}],
        }
    ]
    text = invoke("why", *words).stdout
    assert "The rule that decides now, Ssh of db-nsg, was last changed at" in text
    assert "ann@x.example" not in text
    named = invoke("why", *words, "--who").stdout
    assert "ann@x.example" in named


def test_no_change_and_rules_that_are_older_than_one(
    azure: ResourceManager, estate: Estate, log: str
) -> None:
    """Nothing is claimed; and what was judged may be older than what changed."""
    nsg = close_ssh(estate)
    words = ("web1", "db1:22", log, "--inventory")
    assert "Azure has no change on its path since then" in invoke("why", *words).stdout
    later = datetime.now(UTC) + timedelta(minutes=2)
    estate.change(nsg, f"{later:%Y-%m-%dT%H:%M:%SZ}", {
        'properties.securityRules["Other"].properties.access': ("Allow", "Deny"),
    })  # fmt: skip
    text = invoke("why", *words).stdout
    assert "What changed on its path since then is below." in text
    assert "older than some of these: --refresh" in text
    only = why("web1", "db1:22", "--inventory")
    assert (only["agrees"], only["changes"]["since"]) == (None, None)
    assert [one["decides"] for one in only["changes"]["found"]] == [None]
    one_nsg = ("--nsg", "db-nsg", "--direction", "in")
    assert len(why(*words, *one_nsg)["changes"]["found"]) == 1


def test_without_the_right_to_ask_what_changed(
    azure: ResourceManager, estate: Estate, log: str
) -> None:
    """It is said, and the rest is answered."""
    close_ssh(estate)
    invoke("inventory")
    azure.server.faults = lambda _: Fault(status=403)
    words = ("web1", "db1:22", log, "--inventory")
    found = why(*words)
    assert found["now"]["verdict"] == "denied"
    assert "403" in found["changes"]["because"]
    assert "when could not be asked: " in invoke("why", *words).stdout


def test_files_never_ask_what_changed(azure: ResourceManager, log: str, tmp_path: Path) -> None:
    """Neither a file's inventory nor none at all."""
    moved = str(tmp_path / "estate")
    invoke("inventory", "--export", moved)
    azure.queries.clear()
    assert "changes" not in why("web1", "db1:22", log, "--inventory", moved)
    assert "changes" not in why("10.0.0.4", "10.0.1.4:22", log)
    refused = invoke("why", "web1", "db1:22", log, "--inventory", moved, "--who", status=2)
    assert "--who is of changes that Azure tells" in refused.stderr
    assert azure.queries == []
