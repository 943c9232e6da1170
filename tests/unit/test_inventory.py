"""The inventory: what Resource Graph's rows become, and where addresses are found in it."""

import contextlib
import copy
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.estate import Estate, rule
from devtools.resource_manager import Row, run
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import enrich
from nsgflow_core.estate.inventory import Acl, Inventory, Place
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.rules import find
from nsgflow_core.estate.service_tags import ServiceTags
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made
from tests.unit.test_service_tags import load

GUID = "1A2B3C4D-0000-0000-0000-000000000001"


class Graph:
    """Answers queries in one page."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate

    def query(self, query: str, page: int = 1000) -> Iterator[Row]:
        """As the real one."""
        yield from run(query, self.estate.tables)


def read(estate: Estate) -> Inventory:
    """Read and loaded."""
    return Inventory(read_inventory(Graph(estate)))


@pytest.mark.parametrize("seed", range(300))
def test_a_damaged_one_is_refused_or_loads(estate: Estate, seed: int) -> None:
    """Whatever a disk or a transfer made of its bytes: no error but the one that is told."""
    rng = random.Random(seed)
    damaged = bytearray(read_inventory(Graph(estate)))
    for _ in range(3):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    with contextlib.suppress(BadInputError):
        Inventory(bytes(damaged))
    with contextlib.suppress(BadInputError):
        Inventory(bytes(damaged[: rng.randrange(len(damaged))]))


@pytest.mark.parametrize("broken", [{"properties": {}}, {"name": "a", "properties": 7}, 7])
def test_rules_of_another_shape_are_told_with_their_nsg(broken: Any) -> None:
    """The sweep keeps the last good inventory then, and the terminal says why there is none."""
    made = Estate()
    nsg = made.nsg("web", GUID, broken)
    with pytest.raises(BadInputError, match=re.escape(f"{nsg}.securityRules[0]")):
        read(made)


class BrokenGraph:
    """Answers as another did, but for one value of a row, which is broken."""

    def __init__(self, answers: dict[str, list[Row]], seed: int) -> None:
        self._answers = copy.deepcopy(answers)
        rng = random.Random(seed)
        at: Any = rng.choice([rows for rows in self._answers.values() if rows])
        while True:
            key = rng.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.3:
                break
            at = at[key]
        at[key] = rng.choice((None, 7, "x", [], [7], ["x"], {}, {"x": 7}))

    def query(self, query: str, page: int = 1000) -> Iterator[Row]:
        """What was kept of the answer."""
        yield from self._answers[query]


@pytest.fixture(scope="module")
def answers(estate: Estate) -> dict[str, list[Row]]:
    """The rows that answer each query."""
    kept: dict[str, list[Row]] = {}

    class Keeping(Graph):
        def query(self, query: str, page: int = 1000) -> Iterator[Row]:
            kept[query] = list(super().query(query, page))
            return iter(kept[query])

    read_inventory(Keeping(estate))
    return kept


@pytest.mark.parametrize("seed", range(300))
def test_rows_of_another_shape_are_told_or_passed_over(
    answers: dict[str, list[Row]], seed: int
) -> None:
    """An error that the sweep does not expect would take with it what else it does."""
    with contextlib.suppress(BadInputError):
        Inventory(read_inventory(BrokenGraph(answers, seed)))


@pytest.fixture(scope="module")
def estate() -> Estate:
    """Two VNets that use the same addresses, a third of its own, sites and clients."""
    made = Estate()
    hub = made.vnet("Hub", Web="10.0.0.0/24", Db="10.0.1.0/24", V6="fd00:1::/64")
    twin = made.vnet("Twin", Web="10.0.0.0/24")
    alone = made.vnet("Alone", App="10.9.0.0/24", Public="8.8.4.0/24")
    nsg = made.nsg("Prod-Web", GUID, {"name": "DenyRdp", "properties": rule(200, "Deny")})
    made.nic(f"{hub}/subnets/Web", "00-0D-3A-00-00-01", "10.0.0.4", "10.0.0.5", vm="Web1", nsg=nsg)
    made.nic(f"{hub}/subnets/Db", "00-0D-3A-00-00-02", "10.0.1.4", "fd00:1::0:4", vm="Db1")
    made.nic(f"{twin}/subnets/Web", "00-0D-3A-00-00-03", "10.0.0.4", vm="Twin1")
    made.nic(f"{alone}/subnets/App", "00-0D-3A-00-00-04", "10.9.0.4", vm="App1", public="20.1.1.1")
    made.nic(f"{hub}/subnets/Web", "", "10.0.0.77")  # a private endpoint: no VM
    made.scale_set_nic(f"{hub}/subnets/Web", "00-0D-3A-00-00-05", "10.0.0.9", "Pool", 3)
    made.site("Berlin", "192.168.0.0/16", "0.0.0.0/0")
    made.client_pool("Gateway", "172.16.5.0/24")
    return made


@pytest.fixture(scope="module")
def inventory(estate: Estate) -> Inventory:
    """What is read from it."""
    return read(estate)


def vnet(estate: Estate, name: str) -> str:
    """The id of a VNet as the inventory has it."""
    ids: list[str] = [row["id"] for row in estate.tables["resources"]]
    return next(at.lower() for at in ids if at.endswith(f"virtualNetworks/{name}"))


def test_the_local_side_is_told_by_its_mac(estate: Estate, inventory: Inventory) -> None:
    """Also where two VNets have its address, and for instances of scale sets."""
    hub, twin = vnet(estate, "Hub"), vnet(estate, "Twin")

    assert inventory.local("000D3A000001", "", "10.0.0.4") == Place(
        "prod/web1", "prod/hub/web", hub
    )
    assert inventory.local("000D3A000003", "", "10.0.0.4") == Place(
        "prod/twin1", "prod/twin/web", twin
    )
    assert inventory.local("000D3A000005", "", "") == Place("prod/pool_3", "prod/hub/web", hub)


def test_without_its_mac_by_address_in_its_vnet(estate: Estate, inventory: Inventory) -> None:
    """The log's target names the VNet, itself or as part of a subnet."""
    twin = vnet(estate, "Twin")
    expected = Place("prod/twin1", "prod/twin/web", twin)

    assert inventory.local("", twin, "10.0.0.4") == expected
    assert inventory.local("FFFFFFFFFFFF", f"{twin}/subnets/web", "10.0.0.4") == expected
    assert inventory.local("", twin, "10.77.0.1") == Place("", "", twin)
    assert inventory.local("", "", "10.0.0.4") is None


def test_the_remote_side(estate: Estate, inventory: Inventory) -> None:
    """In the same VNet first; elsewhere only what is in one place alone."""
    hub, alone = vnet(estate, "Hub"), vnet(estate, "Alone")
    web = Place("prod/web1", "prod/hub/web", hub)

    assert inventory.remote(hub, "10.0.0.4") == web
    assert inventory.remote(hub, "10.0.0.5") == web
    assert inventory.remote(alone, "10.0.0.4") is None
    assert inventory.remote(alone, "10.0.0.5") == web
    assert inventory.remote(hub, "fd00:1::4") == Place("prod/db1", "prod/hub/db", hub)
    assert inventory.remote(hub, "20.1.1.1") == Place("prod/app1", "prod/alone/app", alone)
    assert inventory.remote("", "10.0.0.77") == Place("", "prod/hub/web", hub)


def test_addresses_of_a_subnet_that_no_nic_has(estate: Estate, inventory: Inventory) -> None:
    """Load balancers, gateways and VMs of other tenants are placed by their subnet."""
    hub, alone = vnet(estate, "Hub"), vnet(estate, "Alone")

    assert inventory.remote(hub, "10.0.0.200") == Place("", "prod/hub/web", hub)
    assert inventory.remote(alone, "10.0.0.200") is None
    assert inventory.remote(alone, "10.0.1.200") == Place("", "prod/hub/db", hub)
    assert inventory.remote(hub, "10.77.0.1") is None


def test_guids_of_acls(estate: Estate, inventory: Inventory) -> None:
    """In any case; the id is lower case, the name as given."""
    (nsg,) = inventory.nsgs("000D3A000001")

    assert inventory.acl(GUID.lower()) == inventory.acl(GUID) == Acl(nsg, "Prod-Web")
    assert nsg.endswith("/networksecuritygroups/prod-web")
    assert inventory.acl("00000000-0000-0000-0000-000000000000") is None
    assert inventory.nsgs("000D3A000002") == inventory.nsgs("") == ()


def flow(src: str, dst: str, *, inbound: bool = True, mac: str = "000D3A000001") -> Flow:
    """A denied flow at the interface with this MAC."""
    group = Group(Record(0, 1, "", 2, ""), "", "", "", mac)
    outcome = Outcome(443, "TCP", inbound, True, "B", "", None, None, None, None)  # noqa: FBT003
    return made(group, 0, "", 0, src, dst, 50000, outcome)


@pytest.fixture(scope="module")
def tags() -> ServiceTags:
    """Two services."""
    return load({"AzureCloud": ["20.0.0.0/8"], "Storage.WestEurope": ["20.60.0.0/16"]})


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("10.0.0.9", "IntraVNet"),
        ("10.0.1.200", "IntraVNet"),
        ("10.9.0.4", "InterVNet"),
        ("8.8.4.4", "InterVNet"),
        ("20.1.1.1", "InterVNet"),
        ("192.168.3.4", "S2S"),
        ("172.16.5.7", "P2S"),
        ("20.60.1.1", "AzurePublic"),
        ("20.9.1.1", "AzurePublic"),
        ("168.63.129.16", "AzurePublic"),
        ("1.1.1.1", "ExternalPublic"),
        ("10.77.0.1", "UnknownPrivate"),
        ("100.64.0.1", "UnknownPrivate"),
        ("224.0.0.1", "Unknown"),
    ],
)
def test_flow_types(inventory: Inventory, tags: ServiceTags, other: str, expected: str) -> None:
    """The type says what the other side is, whichever way the flow goes."""
    known = Knowledge(tags, inventory)

    assert enrich.flow_type(flow(other, "10.0.0.4"), known) == expected
    assert enrich.flow_type(flow("10.0.0.4", other, inbound=False), known) == expected
    assert enrich.ends(flow(other, "10.0.0.4"), known).flow_type == expected


def test_a_twin_is_no_neighbour(inventory: Inventory) -> None:
    """An address that the other VNet has as well is looked up in the flow's own."""
    seen = enrich.ends(flow("10.0.0.9", "10.0.0.4", mac="000D3A000003"), Knowledge(None, inventory))

    assert (seen.flow_type, seen.src_vm, seen.dest_vm) == ("IntraVNet", "", "prod/twin1")
    assert seen.src_subnet == seen.dest_subnet == "prod/twin/web"


def test_both_ends(inventory: Inventory, tags: ServiceTags) -> None:
    """Source and destination are what the log says, wherever the interface is."""
    known = Knowledge(tags, inventory)
    out = enrich.ends(flow("10.0.0.4", "20.60.1.1", inbound=False), known)
    back = enrich.ends(flow("20.60.1.1", "10.0.0.4"), known)

    assert out == enrich.Ends(
        "AzurePublic", "prod/web1", "", "prod/hub/web", "", "", "Storage.WestEurope"
    )
    assert back == enrich.Ends(
        "AzurePublic", "", "prod/web1", "", "prod/hub/web", "Storage.WestEurope", ""
    )


def test_an_empty_subscription() -> None:
    """Nothing is known, and nothing breaks."""
    nothing = read(Estate())

    assert len(nothing) == 0
    assert nothing.local("000D3A000001", "", "10.0.0.4") is None
    assert nothing.rules("/x") == ()


def test_overlapping_subnets_of_different_sizes() -> None:
    """An address inside one VNet's wide subnet and another's narrow one is in two places."""
    estate = Estate()
    estate.vnet("Wide", All="10.0.0.0/8")
    estate.vnet("Narrow", One="10.1.0.0/16", Two="10.2.0.0/16")
    found = read(estate)

    assert found.remote("", "10.1.0.1") is None
    assert found.remote("", "10.3.0.1") == Place("", "prod/wide/all", vnet(estate, "Wide"))
    assert found.remote(vnet(estate, "Narrow"), "10.1.0.1") is not None


def test_what_is_no_inventory() -> None:
    """Other bytes are refused, and what was loaded before stays."""
    with pytest.raises(BadInputError):
        Inventory(b"\x93\x01\x02\x03")


def test_the_rule_that_denied(estate: Estate) -> None:
    """The real rules by the NSG's id, as a person would look them up."""
    own = [
        {"name": "AllowWeb", "properties": rule(100, "Allow", port="443")},
        {"name": "DenyAll", "properties": rule(102, "Deny", protocol="*")},
        {"name": "DenyAllOut", "properties": rule(101, "Deny", direction="Outbound")},
    ]
    made = Estate()
    nsg = made.nsg("Web", GUID, *own).lower()
    rules = read(made).rules(nsg)

    found = find(rules, "UserRule_denyall", inbound=True)
    assert found is not None
    assert (found.name, found.priority) == ("DenyAll", 102)
    assert found.destination_ports == ("*",)
    default = find(rules, "DefaultRule_DenyAllInBound", inbound=True)
    assert default is not None
    assert find(rules, "UserRule_DenyAllInBound", inbound=True) is None
    assert find(rules, "UserRule_DenyAll", inbound=False) is None


def test_a_name_that_the_log_cut() -> None:
    """Long names may be cut; one that could be two rules is none."""
    made = Estate()
    long = "a" * 70
    nsg = made.nsg("Web", GUID, {"name": f"{long}1", "properties": rule(100, "Deny")})
    logged = f"UserRule_{long}"
    found = find(read(made).rules(nsg), logged, inbound=True)
    assert found is not None
    made.tables["resources"][0]["properties"]["securityRules"].append(
        {"name": f"{long}2", "properties": rule(101, "Deny")}
    )

    assert find(read(made).rules(nsg), logged, inbound=True) is None


def test_security_admin_rules_and_their_snapshots() -> None:
    """A rule is known by its GUID; a snapshot stands in where the rule itself is gone."""
    made = Estate()
    shown = {
        "priority": 5,
        "access": "Deny",
        "direction": "Inbound",
        "protocol": "Tcp",
        "sources": [{"addressPrefix": "Internet", "addressPrefixType": "ServiceTag"}],
        "destinationPortRanges": ["3389"],
    }
    made.admin_rule("DenyRdp", GUID, shown)
    made.admin_rule("DenyRdp", GUID, shown | {"priority": 9}, snapshot="3")
    older = {key[0].upper() + key[1:]: value for key, value in shown.items()}
    made.admin_rule("Gone", GUID.replace("1A", "2A"), older, snapshot="7")
    book = read(made)

    acl = book.acl(GUID)
    assert acl is not None
    found = find(book.rules(acl.id), "DenyRdp", inbound=True)
    assert found is not None
    assert (acl.name, found.priority, found.sources) == ("DenyRdp", 5, ("Internet",))
    gone = book.acl(GUID.replace("1A", "2A"))
    assert gone is not None
    assert gone.id.endswith("/rules/gone")
    assert [at.priority for at in book.rules(gone.id)] == [5]
    assert len(book.rules(acl.id.partition("/rules/")[0])) == 2
