"""Filter terms by names: VMs, subnets and VNets of the inventory, and service tags."""

import pytest

from devtools.estate import Estate
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.filter import all_of, compile_terms
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made
from tests.unit.test_inventory import Graph
from tests.unit.test_service_tags import load


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    """Two VNets: Web1 and Db1 in the hub, and a VM alone."""
    estate = Estate()
    hub = estate.vnet("Hub", Web="10.0.0.0/24", Db="10.0.1.0/24")
    other = estate.vnet("Other", Web="10.9.0.0/24")
    estate.nic(f"{hub}/subnets/Web", "00-0D-3A-00-00-01", "10.0.0.4", vm="Web1")
    estate.nic(f"{hub}/subnets/Db", "00-0D-3A-00-00-02", "10.0.1.4", vm="Db1")
    estate.nic(f"{other}/subnets/Web", "00-0D-3A-00-00-03", "10.9.0.4", vm="Prod")
    tags = load({"Storage.WestEurope": ["20.60.0.0/16"]})
    return Knowledge(tags, Inventory(read_inventory(Graph(estate))))


def flow(
    src: str, dst: str, *, inbound: bool = True, mac: str = "000D3A000001", target: str = ""
) -> Flow:
    """A denied flow that the log of Web1 has."""
    record = Record(12, 99, "2018-11-13T12:00:35Z", 4, target)
    group = Group(record, "g-1", "", "UserRule_Deny", mac)
    denied = True
    outcome = Outcome(443, "TCP", inbound, denied, "D", "", None, None, None, None)
    return made(group, 0, "text", 1542110402000, src, dst, 5000, outcome)


WEB_DB = flow("10.0.0.4", "10.0.1.4", inbound=False)
FAR = flow("10.9.0.4", "10.0.0.4")
STORAGE = flow("10.0.0.4", "20.60.1.1", inbound=False)


@pytest.mark.parametrize(
    ("terms", "yes", "no"),
    [
        ("vm=web1", WEB_DB, flow("10.9.0.4", "10.0.1.4", mac="000D3A000002")),
        ("vm=DB1", WEB_DB, FAR),
        ("vm=prod/db*", WEB_DB, FAR),
        ("vm=none,prod", FAR, WEB_DB),
        ("vm=p*", FAR, WEB_DB),  # the group prod is no VM
        ("subnet=db", WEB_DB, FAR),
        ("subnet=hub/db", WEB_DB, FAR),
        ("subnet=other/*", FAR, WEB_DB),
        ("vnet=other", FAR, WEB_DB),
        ("vnet=prod/other", FAR, WEB_DB),
        ("vnet=hub !vm=db1", FAR, WEB_DB),
        ("tag=storage*", STORAGE, WEB_DB),
        ("!tag=Storage*", WEB_DB, STORAGE),
        ("!vm=prod", WEB_DB, FAR),
    ],
)
def test_either_end(terms: str, yes: Flow, no: Flow, knowledge: Knowledge) -> None:
    """By name or by more of it; in any case."""
    judge = compile_terms(terms).knowing(knowledge)
    assert judge(yes)
    assert not judge(no)
    both = all_of(compile_terms("action=denied"), compile_terms(terms)).knowing(knowledge)
    assert both(yes)
    assert not both(no)


@pytest.mark.parametrize("key", ["vm", "subnet", "vnet", "tag"])
def test_without_knowledge_nothing_has_a_name(key: str) -> None:
    """No positive term matches, and each negated one."""
    assert compile_terms(f"{key}=*").asks_knowledge
    assert not compile_terms(f"{key}=*").knowing(NOTHING)(WEB_DB)
    assert compile_terms(f"!{key}=*").knowing(NOTHING)(WEB_DB)
    with pytest.raises(BadInputError, match="empty name"):
        compile_terms(f"{key}=a,,b")


@pytest.mark.parametrize("terms", ["vm=web1", "!vm=web1", "subnet=x", "vnet=x"])
def test_nothing_is_let_go_before_the_inventory_is_there(terms: str) -> None:
    """It is expected, and may know the name."""
    assert compile_terms(terms).knowing(Knowledge(expected=True))(WEB_DB)
    assert not compile_terms("tag=x").knowing(Knowledge(expected=True))(WEB_DB)


def test_a_vnet_flow_log_names_its_vnet() -> None:
    """Without any inventory."""
    target = "/subscriptions/s/resourcegroups/net/providers/microsoft.network/virtualnetworks/hub"
    one = flow("10.0.0.4", "10.0.1.4", target=f"{target}/subnets/web")
    assert compile_terms("vnet=net/hub").accepts(one)
    assert compile_terms(f"vnet={target}").accepts(one)
    assert not compile_terms("vnet=other").accepts(one)
