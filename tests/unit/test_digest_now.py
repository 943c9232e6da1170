"""The line of a digest that says what the rules say now."""

import msgspec
import pytest

from devtools.estate import Estate, rule
from nsgflow_core.digests import pagerduty, slack, teams
from nsgflow_core.digests.groups import count
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.silences import Silence, silencing
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made
from tests.unit.test_inventory import Graph


@pytest.fixture
def knowledge() -> Knowledge:
    """Two VMs; the NSG of the second one's subnet denies RDP."""
    estate = Estate()
    vnet = estate.vnet("net", a="10.0.0.0/24", b="10.0.1.0/24")
    deny = {"name": "Deny_Rdp", "properties": rule(100, "Deny", port="3389")}
    estate.guard(f"{vnet}/subnets/b", estate.nsg("web-nsg", "g-1", deny))
    estate.nic(f"{vnet}/subnets/a", "00-0D-3A-00-00-01", "10.0.0.4", vm="jump")
    estate.nic(f"{vnet}/subnets/b", "00-0D-3A-00-00-02", "10.0.1.4", vm="web")
    return Knowledge(None, Inventory(read_inventory(Graph(estate))))


def denied(port: int) -> Flow:
    """A denied flow between them."""
    group = Group(Record(0, 1, "", 2, ""), "/x/web-nsg", "web-nsg", "UserRule_X", "000D3A000002")
    outcome = Outcome(port, "TCP", True, True, "B", "")  # noqa: FBT003
    return made(group, 0, "", 1000, "10.0.0.4", "10.0.1.4", 5000, outcome)


def test_each_group_says_it(knowledge: Knowledge) -> None:
    """Denied still, or mended since; the newest word counts."""
    (still,) = count([denied(3389)], knowledge)
    (mended,) = count([denied(443)], knowledge)

    assert still.now == ("now denied by web-nsg (subnet, destination): Deny_Rdp (priority 100)")
    assert mended.now == "now allowed by every layer, last by AllowVnetInBound of web-nsg"
    (unknown,) = count([denied(3389)], NOTHING)
    assert unknown.now == ""
    assert unknown.merged(still).now == still.merged(unknown).now == still.now


def test_every_format_shows_it(knowledge: Knowledge) -> None:
    """In Slack, Teams and PagerDuty; and nothing where there is no inventory."""
    for known, shown in ((knowledge, True), (NOTHING, False)):
        digest = Digest("id", 0.0, tuple(count([denied(3389)], known)))
        for body in (
            slack.render(digest, ""),
            teams.render(digest, ""),
            *pagerduty.events(digest, lambda _: "", "key"),
        ):
            text = msgspec.json.encode(msgspec.json.decode(body)).decode()
            assert ("now denied by web-nsg" in text) is shown
            assert "nsgflow why 10.0.0.4 10.0.1.4:3389" in text


def test_nsgs_of_one_name_are_told_apart() -> None:
    """As the command line does; a silence by the name is of both."""
    groups = "shop", "other"
    first, second = (Estate(group) for group in groups)
    ids = [one.nsg("Web-NSG", f"g-{at}").lower() for at, one in enumerate((first, second))]
    for table, found in second.tables.items():
        first.tables[table] += found
    known = Knowledge(None, Inventory(read_inventory(Graph(first))))
    for group, nsg in zip(groups, ids, strict=True):
        acl = Group(Record(0, 1, "", 2, ""), nsg, "WEB-NSG", "UserRule_X", "")
        outcome = Outcome(22, "TCP", True, True, "B", "")  # noqa: FBT003
        flow = made(acl, 0, "", 1000, "10.0.0.4", "10.0.1.4", 5000, outcome)
        (tally,) = count([flow], known)
        assert tally.name == f"{group}/Web-NSG"
        (alone,) = count([flow])
        assert (alone.name, alone.key) == ("WEB-NSG", tally.key)
        for terms, held in (("nsg=web-nsg", True), ("nsg=other/web-*", group == "other")):
            silence = Silence("1", terms, 0.0, 0.0)
            assert (silencing(tally, [silence]) is not None) is held
