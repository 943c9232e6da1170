"""The change history of Resource Graph: which changes matter to rules, and how they are told."""

import pytest

from devtools.estate import Estate
from nsgflow_core.estate.changes import MOST, Change, Property, read_changes, since
from tests.unit.test_inventory import Graph

ACCESS = 'properties.securityRules["DenySsh"].properties.access'


class Net:
    """An NSG, a VNet and a NIC that change."""

    def __init__(self) -> None:
        self.estate = Estate()
        self.nsg = self.estate.nsg("web-nsg", "g-1")
        self.vnet = self.estate.vnet("hub", web="10.0.0.0/24")
        self.nic = self.estate.nic(f"{self.vnet}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4")

    def read(self, *ids: str, who: bool = False) -> list[Change]:
        """Changes of these, else of all three."""
        wanted = ids or (self.nsg, self.vnet, self.nic)
        return read_changes(Graph(self.estate), wanted, who=who)


@pytest.fixture
def net() -> Net:
    """One of its own for each test."""
    return Net()


def test_changes_of_rules_and_associations(net: Net) -> None:
    """The newest first, with what rules can depend on; ids in any case."""
    net.estate.change(net.nsg, "2026-11-20T10:00:00.1234567Z", {
        ACCESS: ("Allow", "Deny"), "properties.provisioningState": ("Updating", "Succeeded"),
        "tags.owner": ("a", "b"),
    })  # fmt: skip
    association = 'properties.subnets["web"].properties.networkSecurityGroup.id'
    net.estate.change(net.vnet.upper(), "2026-11-21T10:00:00Z", {association: (None, net.nsg)})
    net.estate.change(net.nic, "2026-11-22T10:00:00Z", {"tags.owner": ("a", "b")})
    net.estate.change(net.nsg, "2026-11-19T10:00:00Z", {}, kind="Create")
    assert net.read() == [
        Change("2026-11-21T10:00:00.000Z", net.vnet.lower(), "Update",
               (Property(association, "", net.nsg),)),
        Change("2026-11-20T10:00:00.123Z", net.nsg.lower(), "Update",
               (Property(ACCESS, "Allow", "Deny"),)),
        Change("2026-11-19T10:00:00.000Z", net.nsg.lower(), "Create", ()),
    ]  # fmt: skip
    assert [one.time for one in since(net.read(), "2026-11-20T10:00:00.123Z")] == [
        "2026-11-21T10:00:00.000Z"
    ]


def test_names_of_people_are_asked_for_or_not_there(net: Net) -> None:
    """The query itself does without them."""
    net.estate.change(net.nsg, "2026-11-20T10:00:00Z", {ACCESS: ("Allow", "Deny")})
    assert [one.by for one in net.read()] == [""]
    assert [one.by for one in net.read(who=True)] == ["ann@x.example"]


def test_a_change_names_a_rule() -> None:
    """In its path or its values, and as a whole word."""
    made = Change("", "", "", (Property(ACCESS, "Allow", "Deny"),))
    assert made.names("denyssh")
    assert not made.names("Deny-ssh")
    assert not made.names("nySsh")
    put = Property("properties.securityRules[3]", "", '{"name":"Allow.Web","properties":{}}')
    assert Change("", "", "", (put,)).names("Allow.Web")


@pytest.mark.parametrize("hostile", ["/subscriptions/s') or (true", "/subscriptions/a\\", "x", ""])
def test_no_id_can_change_the_query(net: Net, hostile: str) -> None:
    """What cannot be an id is not asked for."""
    net.estate.change(net.nsg, "2026-11-20T10:00:00Z", {ACCESS: ("Allow", "Deny")})
    assert net.read(hostile) == []
    assert len(net.read(hostile, net.nsg)) == 1


def test_many_and_long_ones(net: Net) -> None:
    """So many are read; long values are cut, what is no time stays as it is."""
    for number in range(MOST + 5):
        net.estate.change(net.nsg, f"z{number:04}", {ACCESS: ({"a": "b" * 999}, number)})
    found = net.read()
    assert len(found) == MOST
    assert (found[0].time, len(found[0].properties[0].before)) == ("z0204", 200)
    assert found[0].properties[0].after == "204"
