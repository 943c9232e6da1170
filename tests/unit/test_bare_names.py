"""Ends of flows by the bare names of VMs and subnets."""

import pytest

from devtools.estate import Estate
from nsgflow_core.cli.bare_names import placed, without
from nsgflow_core.cli.options import Wanted
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.resource_graph import read_inventory
from tests.unit.test_inventory import Graph


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    """Two groups, each with a VM web1; the VM sql_01.prod is in one, and the subnet db."""
    prod, other = Estate(group="Prod"), Estate(group="other")
    hub = prod.vnet("hub", web="10.0.0.0/24", db="10.0.1.0/24")
    prod.nic(f"{hub}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4", vm="Web1")
    prod.nic(f"{hub}/subnets/db", "00-0D-3A-00-00-02", "10.0.1.4", vm="SQL_01.prod")
    spoke = other.vnet("spoke", apps="10.1.0.0/24")
    other.nic(f"{spoke}/subnets/apps", "00-0D-3A-00-00-03", "10.1.0.4", vm="web1")
    for table, rows in other.tables.items():
        prod.tables[table] += rows
    return Inventory(read_inventory(Graph(prod)))


def terms(given: str, inventory: Inventory | None) -> str:
    """Filter terms as they are taken."""
    return " ".join(placed(Wanted(filter_terms=[given]), inventory).filter_terms or ())


@pytest.mark.parametrize(
    ("given", "ending"),
    [
        ("dst=sql_01.prod", "/prod/sql_01.prod"),
        ("SRC=SQL_01.Prod port=22", "/prod/sql_01.prod port=22"),
        ("!ip=8.8.8.8,sql_01.prod", "/prod/sql_01.prod"),
        ("ip=db", "/prod/hub/db"),
    ],
)
def test_a_name_that_one_has_is_whole(given: str, ending: str, inventory: Inventory) -> None:
    """With what it is in in front, which the filter takes; the rest of the term stays."""
    taken = terms(given, inventory)
    assert taken.endswith(ending)
    assert taken.startswith(given.partition("=")[0])
    assert ("8.8.8.8," in taken) == ("8.8.8.8," in given)


@pytest.mark.parametrize(
    "given",
    ["ip=nope", "src=10.4", "dst=private", "ip=prod/web1", "ip=web*", "vm=web1", "nsg=db", "ip=fd"],
)
def test_all_else_stays(given: str, inventory: Inventory) -> None:
    """Addresses, words, names with their group, other keys, and what nothing is called."""
    assert terms(given, inventory) == given
    assert terms("ip=db", None) == "ip=db"


def test_a_name_that_several_have_is_refused(inventory: Inventory) -> None:
    """With those that it may be."""
    with pytest.raises(BadInputError, match=r"^'web1' is other/web1 and prod/web1: give one"):
        terms("dst=web1", inventory)


def test_addresses_of_the_flag_too(inventory: Inventory) -> None:
    """--ip, as often as it is given."""
    taken = placed(Wanted(ip=["sql_01.prod", "10.0.0.4"]), inventory)
    assert [one.rpartition("/")[2] for one in taken.ip or ()] == ["sql_01.prod", "10.0.0.4"]
    assert taken.filter_terms is None


def test_terms_without_names() -> None:
    """For whoever looks at them before there is an inventory: wrong values are told too."""
    assert without(["action=allowed dst=web1", "src=8.8.8.8 port=x"]) == (
        "action=allowed src=8.8.8.8 port=x"
    )
