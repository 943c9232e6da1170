"""Who tells people: digests put together from the settings, and what they ask of Azure."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest import mock
from urllib.parse import unquote

import pytest
from azure.core.exceptions import ResourceNotFoundError

from devtools.estate import Estate
from devtools.http_server import Fault
from devtools.identity import identity
from devtools.resource_manager import RESOURCE, ResourceManager, resource_manager
from devtools.tls import Certificate, make_certificate
from nsgflow_core import storage
from nsgflow_core.delivery.history import history
from nsgflow_core.delivery.telling import digests_of, link_to, look_of
from nsgflow_core.digests.digest import Digests
from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.life import Life
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.rows import Marks, Row
from nsgflow_core.digests.state import blob_name
from nsgflow_core.estate.arm import Cloud
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.model import flow_time
from tests.functional.test_digest_before import FIRST, NSG, tally
from tests.unit.test_digest_settings import WORKSPACE, settings
from tests.unit.test_inventory import Graph

ACCESS = 'properties.securityRules["deny"].properties.access'
LOGS = {
    "NSGFLOW_LOGS_ENDPOINT": "https://x.ingest.monitor.azure.us",
    "NSGFLOW_LOGS_RULE_ID": "dcr-0123456789abcdef0123456789abcdef",
}


@dataclass
class Empty:
    """A container without a blob, and what was asked of it."""

    asked: list[str] = field(default_factory=list)
    account_name: str = "host"
    container_name: str = "nsgflow-state"

    def download_blob(self, name: str, **_: Any) -> Any:
        """There is none."""
        self.asked.append(name)
        raise ResourceNotFoundError("no such blob")

    def list_blob_names(self, **_: Any) -> Iterator[str]:
        """There are none."""
        return iter(())


class Ledgers:
    """Nothing was counted."""

    def rows(self, _hour: datetime, *, everything: bool = False) -> Iterator[Row]:
        """None."""
        assert not everything
        return iter(())

    def marks(self) -> Marks:
        """None."""
        return Marks()


def nothing_changed(_begun: Mapping[str, int], _groups: Sequence[Tally]) -> Mapping[str, str]:
    """As `Changed`."""
    return {}


def digests(
    state: Empty, known: Callable[[], Knowledge] = lambda: NOTHING, **more: str
) -> dict[str, Digests]:
    """The digests of two webhooks for people, and of none for machines."""
    some = settings(
        NSGFLOW_WEBHOOK_FORMAT="slack",
        NSGFLOW_WEBHOOK_2_URL="https://hooks.example.com/2",
        NSGFLOW_WEBHOOK_2_FORMAT="teams",
        NSGFLOW_WEBHOOK_2_INTERVAL_SECONDS="60",
        NSGFLOW_WEBHOOK_2_REPEAT_MINUTES="45",
        NSGFLOW_WEBHOOK_2_QUIET_MINUTES="90",
        NSGFLOW_WEBHOOK_3_URL="https://hooks.example.com/3",
        **more,
    )
    ledgers: Any = {"webhook": Ledgers(), "webhook_2": Ledgers()}
    return digests_of(some, ledgers, state, lambda: 77.0, known, nothing_changed)  # type: ignore[arg-type]


def test_each_webhook_tells_by_its_own_settings() -> None:
    """One for machines tells nobody."""
    found = digests(Empty(), NSGFLOW_STATE_DAYS="9")
    assert {
        name: (at.interval, at.repeat, at.quiet, at.state_days, at.now(), at.changed)
        for name, at in found.items()
    } == {
        "webhook": (30, 15 * 60, 30 * 60, 9, 77.0, nothing_changed),
        "webhook_2": (60, 45 * 60, 90 * 60, 9, 77.0, nothing_changed),
    }


def test_each_webhook_has_a_state_of_its_own() -> None:
    """In the state container."""
    for name, at in digests(state := Empty()).items():
        at.run()
        assert set(state.asked) == {blob_name(name)}
        state.asked.clear()


def test_each_webhook_ends_what_it_began_and_says_what_to_read() -> None:
    """Incidents of its own, the accounts of the logs, and the inventory where there is one."""
    found = digests(Empty())
    assert {at.scope for at in found.values()} == {
        "host/nsgflow-state/webhook",
        "host/nsgflow-state/webhook_2",
    }
    assert {at.look for at in found.values()} == {("devstoreaccount1",)}
    known = digests(Empty(), NSGFLOW_INVENTORY="resourcegraph")
    assert {at.look for at in known.values()} == {("devstoreaccount1", "--inventory")}
    many = {
        f"Logs{number}": f"DefaultEndpointsProtocol=https;AccountName=logs{number};AccountKey=eA=="
        for number in range(4)
    }
    some = settings(NSGFLOW_CONNECTIONS=",".join(many), NSGFLOW_WEBHOOK_FORMAT="slack", **many)
    assert look_of(some) == (), "of four accounts nobody wants to type one"


def test_each_webhook_is_posted_to_in_its_form() -> None:
    """With the link into the workspace that is set."""
    found = digests(Empty(), NSGFLOW_WORKSPACE_ID=WORKSPACE)
    made = Digest("d", 5.0, (tally(),))
    bodies = {name: at.post.bodies(made)[0].decode() for name, at in found.items()}  # type: ignore[attr-defined]
    assert '"blocks"' in bodies["webhook"]
    assert "AdaptiveCard" in bodies["webhook_2"]
    assert all("https://portal.azure.com/#blade/" in body for body in bodies.values())


def test_what_has_turned_is_judged_with_what_is_known_then() -> None:
    """And not with what was known when the app began."""
    now = [NOTHING]
    found = digests(Empty(), lambda: now[0])
    life = Life(tally().key, "a", FIRST, FIRST, 1, 1, 5.0, {}, "", True, tally().examples, "")  # noqa: FBT003
    now[0] = Knowledge(made_ms=5)
    with mock.patch("nsgflow_core.delivery.telling.turned", return_value="it passes") as asked:
        assert [at.turned(life) for at in found.values()] == ["it passes"] * 2
    assert asked.call_args_list == [mock.call(life, now[0])] * 2


@pytest.mark.parametrize(
    ("more", "portal", "table"),
    [
        ({}, "https://portal.azure.com", "NSGFlow_CL"),
        (LOGS, "https://portal.azure.us", "NSGFlow_CL"),
        (LOGS | {"NSGFLOW_LOGS_STREAM": "Custom-Mine_CL"}, "https://portal.azure.us", "Mine_CL"),
    ],
)
def test_links_lead_into_the_workspace(more: dict[str, str], portal: str, table: str) -> None:
    """In the cloud of the endpoint, to the table of the stream."""
    made = Digest("d", 5.0, (tally(),))
    with mock.patch("nsgflow_core.digests.portal.query", return_value="q") as asked:
        link = link_to(settings(NSGFLOW_WORKSPACE_ID=WORKSPACE, **more))(made)
    assert link.startswith(f"{portal}/#blade/")
    assert WORKSPACE in unquote(link)
    asked.assert_called_once_with(made, table)
    assert link_to(settings(**more))(made) == ""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """An authority and a server's certificate."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def azure(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ResourceManager, Estate]]:
    """A Resource Manager with the history of an NSG and of an interface."""
    with identity() as signed_in, resource_manager(signed_in, certificate) as running:
        environment = signed_in.environment() | {"NO_PROXY": "127.0.0.1"}
        environment["REQUESTS_CA_BUNDLE"] = str(certificate.bundle)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        storage.credential.cache_clear()
        estate = Estate()
        vnet = estate.vnet("hub", web="10.0.0.0/24")
        estate.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4")
        estate.change(NSG, flow_time(FIRST - 90_000), {ACCESS: ("Allow", "Deny")}, by="ann@x.test")
        estate.change(
            vnet, flow_time(FIRST - 60_000), {"properties.addressSpace": ("1", "2")}, by="bob@x"
        )
        running.tables = estate.tables
        yield running, estate
    storage.credential.cache_clear()


def told(
    azure: ResourceManager, warned: list[str], known: Knowledge = NOTHING, *, who: bool = False
) -> Mapping[str, str]:
    """What changed before a group began."""
    cloud = Cloud(azure.endpoint, RESOURCE, "westeurope")
    group = tally()
    ask = history(cloud, lambda: known, warned.append, who=who)
    return ask({group.key.id: FIRST}, [group])


def test_the_history_is_asked_what_the_path_is(azure: tuple[ResourceManager, Estate]) -> None:
    """Of the NSG alone, and of all that an inventory has on it; names only where asked for."""
    running, estate = azure
    warned: list[str] = []
    key = tally().key.id
    assert told(running, warned) == {
        key: '1 min before web changed: securityRules["deny"].properties.access Allow to Deny'
    }
    assert told(running, warned, who=True)[key].startswith("1 min before web changed by ann@x.test")
    known = Knowledge(None, Inventory(read_inventory(Graph(estate))))
    assert "hub changed: addressSpace 1 to 2" in told(running, warned, known)[key]
    assert warned == []


@pytest.mark.parametrize("fault", [Fault(status=403), Fault(reset=True)])
def test_what_azure_refuses_is_told_and_costs_no_digest(
    azure: tuple[ResourceManager, Estate], fault: Fault
) -> None:
    """It comes without; and the connection is given up."""
    azure[0].server.faults = lambda _: fault
    warned: list[str] = []
    with mock.patch("nsgflow_core.delivery.history.ResourceManager.close") as closed:
        assert told(azure[0], warned) == {}
    (warning,) = warned
    assert warning.startswith("a digest says nothing of what changed before: ask Resource Graph")
    closed.assert_called_once_with()


def test_the_history_does_not_keep_a_digest_waiting(azure: tuple[ResourceManager, Estate]) -> None:
    """A throttled one is asked again within its seconds, and given up where that is later."""
    running, _ = azure
    waits = iter([{"retry-after-ms": "10"}])
    running.server.faults = lambda _: (
        None if (wait := next(waits, None)) is None else Fault(status=429, headers=wait)
    )
    warned: list[str] = []
    assert told(running, warned)
    running.server.faults = lambda _: Fault(status=429, headers={"Retry-After": "60"})
    before, begun = running.server.requests, time.monotonic()
    assert told(running, warned) == {}
    assert "429" in warned[0]
    assert running.server.requests == before + 1
    assert time.monotonic() - begun < 5
