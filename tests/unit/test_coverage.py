"""Which flow logs record an interface: every way in which levels meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.estate import Estate
from devtools.resource_manager import Row
from nsgflow_core.errors import RefusedError
from nsgflow_core.estate.coverage import Covered, coverage
from nsgflow_core.estate.flow_logs import FlowLog, read_flow_logs
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.resource_graph import read_inventory
from tests.unit.test_inventory import Graph


class Azure(Graph):
    """Resource Graph, and Network Watchers that answer from `told` or refuse."""

    def __init__(self, estate: Estate, told: list[Row] | None = None) -> None:
        super().__init__(estate)
        self.told = told
        self.asked: list[str] = []

    def flow_logs(self, watcher: str) -> list[Row]:
        """As the real one."""
        self.asked.append(watcher)
        if self.told is None:
            raise RefusedError("403")
        return self.told


class Net:
    """One VNet with two subnets, each with an NSG and a NIC; `nic` of the first has its own."""

    def __init__(self) -> None:
        self.estate = Estate()
        self.vnet = self.estate.vnet("Net", a="10.0.0.0/24", b="10.0.1.0/24")
        self.subnet = f"{self.vnet}/subnets/a"
        self.own, self.shared = self.estate.nsg("own", "g-1"), self.estate.nsg("shared", "g-2")
        self.estate.guard(self.subnet, self.shared)
        self.nic = self.estate.nic(self.subnet, "00-0D-3A-00-00-01", "10.0.0.4", nsg=self.own)
        self.bare = self.estate.nic(f"{self.vnet}/subnets/b", "00-0D-3A-00-00-02", "10.0.1.4")

    def log(
        self, name: str, target: str, *, region: str = "westeurope", **properties: object
    ) -> None:
        """A flow log of everything, unless its properties say otherwise."""
        told: Row = {"recordTypes": "", "enabledFilteringCriteria": ""}
        self.estate.flow_log(name, target, region=region, **(told | properties))

    def covered(self, azure: Azure | None = None) -> list[Covered]:
        """What is recorded of the NICs, in their order."""
        azure = azure or Azure(self.estate)
        return list(coverage(Inventory(read_inventory(azure)), read_flow_logs(azure)))


@pytest.fixture
def net() -> Net:
    """A network of its own for each test."""
    return Net()


def states(one: Covered) -> dict[str, str]:
    """What each flow log over an interface does, by its name."""
    return {covering.log.name: covering.state for covering in one.logs}


def test_nothing_is_logged(net: Net) -> None:
    """And why: without an NSG no NSG log could either."""
    net.log("other-log", f"{net.vnet}-2")
    first, second = net.covered()
    assert (first.logged, first.because) == ("not-logged", "no flow log is over it")
    assert second.because == "no flow log is over it, and it has no NSG"
    assert first.filtered is second.filtered is None
    assert first.nsgs == (net.own.lower(), net.shared.lower())


def test_no_flow_log_is_known_at_all(net: Net) -> None:
    """Who asked Azure may not read them: that is said, and not that none is over an interface."""
    assert {one.because for one in net.covered()} == {"the inventory knows no flow logs"}
    assert {one.logged for one in net.covered()} == {"unknown"}


def test_the_nearest_flow_log_counts(net: Net) -> None:
    """Of VNet flow logs: interface before subnet before VNet; ids in any case."""
    net.log("vnet-log", net.vnet.upper())
    assert [one.logged for one in net.covered()] == ["once", "once"]
    net.log("subnet-log", net.subnet)
    first, second = net.covered()
    assert states(first) == {"subnet-log": "logging", "vnet-log": "overridden"}
    assert states(second) == {"vnet-log": "logging"}
    net.log("nic-log", net.nic)
    first, _ = net.covered()
    assert states(first) == {"nic-log": "logging", "subnet-log": "overridden",
                             "vnet-log": "overridden"}  # fmt: skip
    assert first.logged == "once"
    assert [log.level for log in first.logging] == ["nic"]


def test_a_flow_log_that_is_off_records_nothing(net: Net) -> None:
    """And gives way to the next level."""
    net.log("nic-log", net.nic, enabled=False)
    first, _ = net.covered()
    assert (first.logged, first.because) == ("not-logged", "the flow log nic-log is switched off")
    net.log("vnet-log", net.vnet)
    first, _ = net.covered()
    assert states(first) == {"nic-log": "off", "vnet-log": "logging"}
    assert (first.logged, first.because) == ("once", "")


def test_two_kinds_of_logs_record_twice(net: Net) -> None:
    """An NSG log beside a VNet flow log; two of one target as well."""
    net.log("nsg-log", net.shared)
    net.log("vnet-log", net.vnet)
    first, second = net.covered()
    assert (first.logged, first.on_nsg_logs) == ("twice", True)
    assert (second.logged, second.on_nsg_logs) == ("once", False)
    net.log("again", net.vnet, region="northeurope")
    assert net.covered()[1].logged == "twice"


def test_nsg_logs_need_both_nsgs(net: Net) -> None:
    """Each records what its own NSG judges."""
    net.log("nsg-log", net.own)
    first, _ = net.covered()
    assert (first.logged, first.because) == ("in-part", "the NSG shared is not logged")
    net.log("other", net.shared)
    first, _ = net.covered()
    assert (first.logged, first.filtered, first.on_nsg_logs) == ("once", False, True)


def test_other_subscriptions_and_regions_are_told_apart(net: Net) -> None:
    """By the id of the target; what is called alike elsewhere is something else."""
    other = Estate(subscription="00000000-0000-0000-0000-0000000000bb")
    vnet = other.vnet("Net", a="10.0.0.0/24")
    other.nic(f"{vnet}/subnets/a", "00-0D-3A-00-00-03", "10.0.0.4")
    other.flow_log("vnet-log", vnet, region="northeurope")
    for table, rows in other.tables.items():
        net.estate.tables[table] += rows
    assert [one.logged for one in net.covered()] == ["not-logged", "not-logged", "once"]


def test_private_endpoints_are_no_hole(net: Net) -> None:
    """Nothing is ever recorded there."""
    net.estate.endpoint(net.bare)
    net.log("vnet-log", net.vnet)
    assert [one.logged for one in net.covered()] == ["once", "private-endpoint"]


def test_scale_sets(net: Net) -> None:
    """Their interfaces are in the inventory, and are covered like others."""
    net.estate.scale_set_nic(net.subnet, "00-0D-3A-00-00-05", "10.0.0.9", "Pool", 3)
    net.log("subnet-log", net.subnet)
    by_vm = {one.nic.vm: one.logged for one in net.covered()}
    assert by_vm["prod/pool_3"] == "once"


@pytest.mark.parametrize(
    ("properties", "filtered"),
    [
        ({}, False),
        ({"recordTypes": "B,C,E,D"}, False),
        ({"recordTypes": "D"}, True),
        ({"recordTypes": ["b", "d"]}, True),
        ({"enabledFilteringCriteria": "dstPort=443"}, True),
        ({"recordTypes": None, "enabledFilteringCriteria": None}, None),
    ],
)
def test_filters(net: Net, properties: Row, filtered: bool | None) -> None:
    """As the API names them; what nobody tells is not known."""
    net.log("vnet-log", net.vnet, **properties)
    assert net.covered()[1].filtered is filtered


def test_a_watcher_is_asked_for_what_resource_graph_does_not_tell(net: Net) -> None:
    """Once each; what it does not name is not set."""
    hidden: Row = {"recordTypes": None, "enabledFilteringCriteria": None}
    net.log("vnet-log", net.vnet, **hidden)
    net.log("subnet-log", net.subnet, **hidden)
    net.log("nsg-log", net.own, **hidden)
    rows = [row for row in net.estate.tables["resources"] if row["type"].endswith("/flowlogs")]
    told = [
        {"id": rows[0]["id"].upper(), "properties": {"targetResourceId": net.vnet, "enabled": True,
                                                     "recordTypes": "D"}},
        {"id": rows[1]["id"], "properties": {"targetResourceId": net.subnet, "enabled": True}},
    ]  # fmt: skip
    azure = Azure(net.estate, told)
    first, second = net.covered(azure)
    assert (second.filtered, second.logging[0].record_types) == (True, "D")
    assert first.filtered is False
    assert len(azure.asked) == 1
    assert net.covered(Azure(net.estate))[1].filtered is None


def test_one_log_without_a_filter_is_enough(net: Net) -> None:
    """What the filtered one leaves out stands in the other."""
    net.log("vnet-log", net.vnet, recordTypes="D")
    net.log("nsg-log", net.own)
    assert net.covered()[0].filtered is False


def test_levels() -> None:
    """By the target; one that is nothing we know has none."""
    made = FlowLog("/a/flowLogs/x", "/subscriptions/s/what/ever", "", True, None, None)  # noqa: FBT003
    assert (made.level, made.filtered, made.name) == ("", None, "x")


TARGETS = ("nic", "subnet", "vnet", "own", "shared")
RECORDS = {  # what records, of VNet flow logs: by which of the three are on
    (False, False, False): None,
    (False, False, True): "vnet",
    (False, True, False): "subnet",
    (False, True, True): "subnet",
    (True, False, False): "nic",
    (True, False, True): "nic",
    (True, True, False): "nic",
    (True, True, True): "nic",
}


@given(st.fixed_dictionaries(dict.fromkeys(TARGETS, st.sampled_from(["none", "off", "on"]))))
def test_every_combination_of_levels(logs: dict[str, str]) -> None:
    """By a table of what records, written out; no flow log records that is off."""
    net = NET
    targets = dict(zip(TARGETS, (net.nic, net.subnet, net.vnet, net.own, net.shared), strict=True))
    made = [
        FlowLog(f"/w/flowLogs/{key}", targets[key].lower(), "", state == "on", "", "")
        for key, state in logs.items()
        if state != "none"
    ]
    (found, _) = coverage(INVENTORY, made)
    on = {key for key, state in logs.items() if state == "on"}
    near = RECORDS["nic" in on, "subnet" in on, "vnet" in on]
    expected = on & {"own", "shared"} | ({near} if near else set())
    assert {log.name for log in found.logging} == expected
    by_nsgs = len(on & {"own", "shared"})
    both = "twice" if by_nsgs else "once"
    none = "not-logged" if made else "unknown"
    assert found.logged == (both if near else (none, "in-part", "once")[by_nsgs])
    assert bool(found.because) == (found.logged in ("unknown", "not-logged", "in-part"))
    assert found.on_nsg_logs == bool(by_nsgs)
    assert len(found.logs) == len(made)


NET = Net()
INVENTORY = Inventory(read_inventory(Graph(NET.estate)))
