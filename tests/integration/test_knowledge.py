"""Service tags and inventory from Azure's services to the rows, on Azurite and the stand-ins."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devtools.estate import Estate, rule
from devtools.flowlogs import VNET_CONTAINER, Nic
from devtools.http_server import Fault, Request, Response, serve
from devtools.resource_manager import RESOURCE, ResourceManager, resource_manager
from devtools.tls import Certificate
from nsgflow_core import storage as product_storage
from nsgflow_core.config import from_env
from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.estate import library as library_module
from nsgflow_core.estate.arm import Cloud
from nsgflow_core.estate.arm import ResourceManager as Client
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING
from nsgflow_core.estate.library import INVENTORY_BLOB, TAGS_BLOB, Library, Sources
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.service import Service
from tests.integration.conftest import Deployment
from tests.unit.test_service_tags import document

GUID = "1a2b3c4d-0000-0000-0000-000000000001"
TAGS = {"AzureCloud": ["20.0.0.0/8"], "Storage.WestEurope": ["20.60.0.0/16"]}


@pytest.fixture
def azure(deployment: Deployment, certificate: Certificate) -> Iterator[ResourceManager]:
    """A Resource Manager with a small estate and service tags in two pages."""
    with resource_manager(deployment.table.identity, certificate) as running:
        estate = Estate()
        hub = estate.vnet("Hub", Web="10.5.0.0/16")
        estate.nsg("Prod-Web", GUID, {"name": "DenyRdp", "properties": rule(200, "Deny")})
        for number in range(7):
            mac = f"00-0D-3A-00-00-{number:02X}"
            estate.nic(f"{hub}/subnets/Web", mac, f"10.5.16.{number}", vm=f"Web{number}")
        estate.scale_set_nic(f"{hub}/subnets/Web", "00-0D-3A-00-00-AA", "10.5.17.1", "Pool", 0)
        running.tables = estate.tables
        values = json.loads(document(TAGS))["values"]
        running.tags = [values[:1], values[1:]]
        yield running


def cloud(azure: ResourceManager) -> Cloud:
    """The stand-in, whose tokens are those of Azure's own."""
    return Cloud(azure.endpoint, RESOURCE, "westeurope")


def client(azure: ResourceManager, seconds: float = 30.0) -> Client:
    """The product's client of it."""
    return Client(cloud(azure), product_storage.credential(), time.monotonic() + seconds)


def test_everything_comes_in_pages(azure: ResourceManager) -> None:
    """The same inventory, whatever the size of a page."""
    whole = read_inventory(client(azure))
    azure.page = 2
    in_pages = read_inventory(client(azure))

    assert in_pages == whole
    assert len(Inventory(whole)) == 8
    assert len(azure.queries) > 16


def test_the_quota_is_left_to_others_before_it_runs_out(azure: ResourceManager) -> None:
    """Queries wait for the next window when the headers say so, and are not refused."""
    azure.page, azure.quota = 1, (8, 1.0)
    read_inventory(client(azure))

    assert azure.throttled == 0


def test_a_refusal_for_its_rate_is_waited_out(azure: ResourceManager) -> None:
    """When others use up the quota, the answer says how long to wait."""
    azure.server.faults = iter_faults(Fault(status=429, headers={"Retry-After": "1"}))
    begun = time.monotonic()
    assert len(Inventory(read_inventory(client(azure)))) == 8

    assert time.monotonic() - begun >= 1


def iter_faults(*faults: Fault) -> Callable[[Request], Fault | None]:
    """Each fault once, in this order."""
    left = list(faults)
    return lambda _: left.pop(0) if left else None


def test_a_server_that_stumbles_is_asked_again(azure: ResourceManager) -> None:
    """A query is no change, so it may be repeated."""
    azure.server.faults = iter_faults(Fault(status=503), Fault(reset=True))

    assert len(Inventory(read_inventory(client(azure)))) == 8


def test_time_runs_out(azure: ResourceManager) -> None:
    """The sweep has other things to do."""
    with pytest.raises(TransientError):
        read_inventory(client(azure, seconds=0))
    azure.page, azure.quota = 1, (4, 60.0)
    with pytest.raises(TransientError, match="quota"):
        read_inventory(client(azure, seconds=5))


def test_who_may_not_read(azure: ResourceManager) -> None:
    """The error names the role."""
    azure.server.faults = iter_faults(Fault(status=403))

    with pytest.raises(RefusedError, match="Reader"):
        read_inventory(client(azure))


@pytest.mark.parametrize("body", [b"", b"<html>Sign in to this network</html>"])
def test_what_is_not_json_is_told(azure: ResourceManager, body: bytes) -> None:
    """As a gateway answers in Azure's place, with 200."""
    azure.server.faults = iter_faults(Fault(status=200, body=body))
    with pytest.raises(RefusedError, match="ask Resource Graph: the answer is not JSON"):
        read_inventory(client(azure))


def test_the_next_page_at_another_host_gets_no_token(azure: ResourceManager) -> None:
    """The link of the next page comes from outside."""

    def elsewhere(request: Request) -> Fault | None:
        if "serviceTags" not in request.path:
            return None
        return Fault(status=200, body=b'{"values":[],"nextLink":"https://example.com/x"}')

    azure.server.faults = elsewhere
    with pytest.raises(RefusedError, match="another host"):
        client(azure).service_tags()


class Shelf:
    """A state container, with libraries of as many instances as a test wants."""

    def __init__(self, deployment: Deployment, azure: ResourceManager) -> None:
        self.container = deployment.container("nsgflow-state")
        self.sources = Sources("arm", "resourcegraph", cloud(azure))
        self.warnings: list[str] = []
        self.seconds = 1_800_000_000.0

    def library(self, **changes: str) -> Library:
        """The library of one more instance."""
        sources = Sources(
            changes.get("service_tags", self.sources.service_tags),
            changes.get("inventory", self.sources.inventory),
            self.sources.cloud,
        )
        return Library(self.container, sources, self.warnings.append, lambda: self.seconds)


@pytest.fixture
def shelf(deployment: Deployment, azure: ResourceManager) -> Shelf:
    """On Azurite."""
    return Shelf(deployment, azure)


def loaded(library: Library) -> Library:
    """After its first load."""
    library.wait(10)
    return library


def test_one_makes_it_all_load_it(shelf: Shelf, azure: ResourceManager) -> None:
    """The sweep's instance asks Azure; the others read the container and ask nobody."""
    assert loaded(shelf.library()).current() == NOTHING
    made = shelf.library().refresh(60)
    asked = azure.server.requests
    known = loaded(shelf.library()).current()

    assert made == [TAGS_BLOB, INVENTORY_BLOB]
    assert azure.server.requests == asked
    assert known.tags is not None
    assert known.inventory is not None
    assert known.tags.of("20.60.1.1") == "Storage.WestEurope"
    assert known.inventory.acl(GUID) is not None
    assert shelf.warnings == []


def test_who_waits_has_all_of_it(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also who comes when the tags are there and the inventory, behind them, is not."""
    shelf.library().refresh(60)
    tags = threading.Event()
    load = Library._load

    def slowly(self: Library, subject: Any) -> None:
        if subject.field == "inventory":
            tags.set()
            time.sleep(0.5)
        load(self, subject)

    monkeypatch.setattr(Library, "_load", slowly)
    library = shelf.library()
    library.check()
    assert tags.wait(10)
    library.wait(10)

    assert library.current().inventory is not None


def test_who_made_it_has_it_at_once(shelf: Shelf) -> None:
    """Not a minute later, as others: the first deliveries of a deployment come right behind."""
    maker = shelf.library()
    assert loaded(maker).current().inventory is None
    maker.refresh(60)
    again(maker)

    assert maker.current().inventory is not None


def test_guids_that_stand_for_nothing_are_told_with_the_inventory(shelf: Shelf) -> None:
    """So that other instances know them from the start."""
    foreign = "cccccccc-0000-0000-0000-000000000001"
    assert loaded(shelf.library()).current().expected
    maker = shelf.library()
    maker.refresh(60)
    known = loaded(maker).current()
    assert known.made_ms == round(shelf.seconds * 1000)
    known.met[foreign] = known.made_ms - 3_600_000
    known.met["dddddddd-0000-0000-0000-000000000001"] = known.made_ms
    shelf.seconds += 3601
    maker.refresh(60)

    assert loaded(shelf.library()).current().met == {foreign: 0}


def test_it_is_made_anew_when_it_is_old(shelf: Shelf) -> None:
    """The inventory every hour, the tags every day, both when the setting changes."""
    shelf.library().refresh(60)
    assert shelf.library().refresh(60) == []
    shelf.seconds += 3601
    assert shelf.library().refresh(60) == [INVENTORY_BLOB]
    shelf.seconds += 24 * 3600
    assert shelf.library().refresh(60) == [TAGS_BLOB, INVENTORY_BLOB]


def test_another_source_is_used_at_once(shelf: Shelf, tmp_path: Path) -> None:
    """What the old setting gave is no good copy of what the new one gives."""
    shelf.library().refresh(60)
    file = tmp_path / "tags.json"
    file.write_bytes(document({"Sql": ["20.60.0.0/16"]}))
    other = shelf.library(service_tags=str(file))

    assert other.refresh(60) == [TAGS_BLOB]
    known = loaded(other).current()
    assert known.tags is not None
    assert known.tags.of("20.60.1.1") == "Sql"


def test_the_last_good_copy_stays(shelf: Shelf, azure: ResourceManager) -> None:
    """What cannot be made anew is warned of, and used as it is."""
    shelf.library().refresh(60)
    shelf.seconds += 25 * 3600
    azure.server.faults = lambda _: Fault(status=403)

    assert shelf.library().refresh(60) == []
    assert len(shelf.warnings) == 2
    assert loaded(shelf.library()).current().tags is not None


def test_an_instance_loads_what_changed_and_no_more(
    shelf: Shelf, azure: ResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its ETag; and a copy that is no good leaves the one before in place."""
    monkeypatch.setattr(library_module, "CHECK_SECONDS", 0.0)
    maker, reader = shelf.library(), shelf.library()
    maker.refresh(60)
    first = loaded(reader).current()
    again(reader)
    assert reader.current() is first
    del azure.tables["resources"][-3:]
    shelf.seconds += 3601
    maker.refresh(60)
    again(reader)
    second = reader.current()
    assert second.tags is first.tags
    assert first.inventory is not None
    assert second.inventory is not None
    assert len(second.inventory) < len(first.inventory)
    shelf.container.upload_blob(INVENTORY_BLOB, b"rubbish", overwrite=True)
    again(reader)
    again(reader)
    assert reader.current() is second
    assert "not an inventory" in shelf.warnings[0]


def again(library: Library) -> None:
    """One more check, to its end."""
    library.check()
    loading = library._loading
    assert loading is not None
    loading.result(timeout=10)


def test_tags_from_a_url(shelf: Shelf, certificate: Certificate) -> None:
    """A URL of one's own; its signature is in no warning, and redirects lead nowhere."""
    answers = [Response(200, document(TAGS)), Response(302, b"", {"Location": "/other"})]

    def answer(request: Request) -> Response:
        assert request.query["sig"] == "secret"
        assert "Authorization" not in request.headers
        return answers.pop(0)

    with serve(answer, certificate.server_context()) as server:
        library = shelf.library(service_tags=f"{server.url}/tags.json?sig=secret", inventory="")
        assert library.refresh(60) == [TAGS_BLOB]
        shelf.seconds += 25 * 3600
        assert library.refresh(60) == []
    assert library.refresh(60) == []
    assert len(shelf.warnings) == 2
    assert not [text for text in shelf.warnings if "secret" in text]


def test_nothing_is_asked_when_all_is_off(shelf: Shelf, azure: ResourceManager) -> None:
    """No request to the container or to Azure."""
    library = shelf.library(service_tags="", inventory="")
    before = azure.server.requests

    assert library.refresh(60) == []
    library.wait(10)
    assert library._loading is None
    assert library.current() is NOTHING
    assert azure.server.requests == before


def service(deployment: Deployment, azure: ResourceManager, **settings: str) -> Service:
    """The product with knowledge switched on."""
    environment = deployment.environment | {
        "NSGFLOW_SERVICE_TAGS": "arm",
        "NSGFLOW_INVENTORY": "resourcegraph",
        **settings,
    }
    return Service(from_env(environment), deployment.clock, cloud(azure))


def vnet_record(*tuples: str, mac: str = "000D3A000001") -> bytes:
    """A VNet flow-log record whose NSG is named by a GUID."""
    groups = [{"rule": "UserRule_DenyRdp", "flowTuples": list(tuples)}]
    return json.dumps(
        {
            "time": "2026-11-23T08:00:00.0000000Z",
            "flowLogVersion": 4,
            "macAddress": mac,
            "targetResourceID": "/subscriptions/s/resourceGroups/g/providers/x/virtualNetworks/v",
            "flowRecords": {"flows": [{"aclID": GUID, "flowGroups": groups}]},
        }
    ).encode()


def denied(source: str, dest: str) -> str:
    """An inbound tuple that was denied."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    return f"{now},{source},{dest},50000,3389,6,I,D,NX,0,0,0,0"


def test_from_azure_to_the_rows(
    deployment: Deployment, azure: ResourceManager, caplog: pytest.LogCaptureFixture
) -> None:
    """The sweep makes it; the first delivery does not wait for it; the next rows are enriched."""
    caplog.set_level(logging.INFO)
    service(deployment, azure).sweep()
    writer = deployment.vnet_log(Nic(mac="000D3A000001"))
    worker = service(deployment, azure)
    for _ in range(2):
        writer.append(
            vnet_record(denied("10.5.16.2", "10.5.16.1"), denied("20.60.1.1", "10.5.16.1"))
        )
        worker.deliver("FlowLogs", VNET_CONTAINER, writer.path)
        worker._library.wait(10)

    first, internet, row, azure_row = deployment.table.rows
    assert (first["DestVm"], first["AclGroup"], first["FlowType"]) == ("", GUID, "UnknownPrivate")
    assert internet["FlowType"] == "ExternalPublic"
    assert (row["SrcVm"], row["DestVm"], row["DestSubnet"]) == (
        "prod/web2",
        "prod/web1",
        "prod/hub/web",
    )
    assert (row["AclName"], row["FlowType"]) == ("Prod-Web", "IntraVNet")
    assert row["AclGroup"].endswith("/networksecuritygroups/prod-web")
    assert (azure_row["SrcServiceTags"], azure_row["FlowType"]) == (
        "Storage.WestEurope",
        "AzurePublic",
    )
    assert deployment.table.duplicates == 0
    made = [record.getMessage() for record in caplog.records if "nsgflow.made" in record.message]
    assert len(made) == 2


def test_a_filter_that_asks_for_it_waits_for_it(
    deployment: Deployment, azure: ResourceManager
) -> None:
    """What a filter lets go is gone, so that it never judges without what it needs."""
    service(deployment, azure).sweep()
    writer = deployment.vnet_log(Nic(mac="000D3A000001"))
    writer.append(vnet_record(denied("10.5.16.2", "10.5.16.1"), denied("1.1.1.1", "10.5.16.1")))
    terms = {"NSGFLOW_LOGS_FILTER": "action=denied type=IntraVNet nsg=prod-*"}
    service(deployment, azure, **terms).deliver("FlowLogs", VNET_CONTAINER, writer.path)

    (row,) = deployment.table.rows
    assert (row["SrcIp"], row["AclName"]) == ("10.5.16.2", "Prod-Web")


def test_a_slow_load_holds_no_delivery_up(
    deployment: Deployment, azure: ResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries go on without it, for as long as it takes."""
    service(deployment, azure).sweep()
    go_on = threading.Event()
    load = Library._load_changed

    def slowly(library: Library) -> list[str]:
        go_on.wait(30)
        return load(library)

    monkeypatch.setattr(Library, "_load_changed", slowly)
    writer = deployment.vnet_log(Nic(mac="000D3A000001"))
    worker = service(deployment, azure)
    try:
        for _ in range(3):
            writer.append(vnet_record(denied("10.5.16.2", "10.5.16.1")))
            report = worker.deliver("FlowLogs", VNET_CONTAINER, writer.path)
            assert report.accepted["table"] == 1
    finally:
        go_on.set()


def test_no_right_to_read_stops_nothing(deployment: Deployment, azure: ResourceManager) -> None:
    """The sweep succeeds and warns; rows have empty columns."""
    azure.server.faults = lambda _: Fault(status=403)
    worker = service(deployment, azure)
    worker.sweep()
    writer = deployment.vnet_log(Nic(mac="000D3A000001"))
    writer.append(vnet_record(denied("10.5.16.2", "10.5.16.1")))
    worker.deliver("FlowLogs", VNET_CONTAINER, writer.path)

    (row,) = deployment.table.rows
    assert (row["DestVm"], row["SrcServiceTags"]) == ("", "")
