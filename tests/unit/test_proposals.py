"""Proposals of rules: as few as allow the same, proven on every layer, none for scanners."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from devtools.estate import Estate, rule
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.needs import Point
from nsgflow_core.estate.proposals import Proposal, propose
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.rule_files import Files, RuleFiles
from nsgflow_core.estate.rules import Rule
from nsgflow_core.estate.verdict import NO_INVENTORY, Judge
from nsgflow_core.estate.wishes import Denied, Refusal
from tests.unit.test_inventory import Graph

NSG = "/subscriptions/s/resourcegroups/g/providers/microsoft.network/networksecuritygroups/web"
DENY = "DefaultRule_DenyAllInBound"
BARE = Judge()


def group(
    sources: Sequence[str] = ("10.0.0.1",),
    destination: str = "10.1.0.4",
    port: int | None = 443,
    *,
    nsg: str = NSG,
    rule: str = DENY,
    inbound: bool = True,
    protocol: str = "TCP",
    outside: bool = False,
) -> Denied:
    """A group of denied flows."""
    found = frozenset(sources)
    on = found if outside else frozenset[str]()
    return Denied(nsg, rule, inbound, protocol, found, destination, port, 50000, on)


def rules_of(groups: Iterable[Denied], judge: Judge = BARE) -> list[Proposal]:
    """The proposals, without what is refused."""
    return [one for one in propose(list(groups), judge) if isinstance(one, Proposal)]


def words_of(groups: Iterable[Denied], judge: Judge = BARE) -> list[str]:
    """Why no rule is proposed."""
    return [one.why for one in propose(list(groups), judge) if isinstance(one, Refusal)]


class Hub:
    """Two subnets with an NSG each, and hosts in both; the second's is left out if so wished."""

    def __init__(self, *web_rules: dict[str, Any], **more: Any) -> None:
        estate = self.estate = Estate()
        self.vnet = estate.vnet(
            "hub", web="10.0.0.0/24", db="10.0.1.0/24", app="10.0.2.0/24", v6="fd00:1::/64"
        )
        self.asg = estate.group("web-servers")
        self.web = estate.nsg("web-nsg", "1-1", *web_rules).lower()
        self.db = estate.nsg("db-nsg", "2-2", *more.get("db_rules", ())).lower()
        estate.guard(f"{self.vnet}/subnets/web", self.web)
        estate.guard(f"{self.vnet}/subnets/db", self.db)
        for number in (4, 5):
            self.nic("web", number, groups=[self.asg])
        self.nic("web", 6)
        for number in (4, 5, 6):
            self.nic("db", number)
        self.nic("app", 4)

    def nic(self, subnet: str, number: int, **more: Any) -> None:
        """A host."""
        at = ("web", "db", "app").index(subnet)
        self.estate.nic(
            f"{self.vnet}/subnets/{subnet}",
            f"00-0D-3A-00-0{at}-{number:02X}",
            f"10.0.{at}.{number}",
            vm=f"{subnet}{number}",
            **more,
        )

    def judge(self) -> Judge:
        """What its inventory says."""
        return Judge(Inventory(read_inventory(Graph(self.estate))))


def named(name: str, priority: int, access: str, **more: Any) -> dict[str, Any]:
    """A rule of an NSG about everything, but for what is given."""
    way = {"direction": more.pop("direction", "Inbound")}
    return {"name": name, "properties": rule(priority, access, protocol="*", **more) | way}


DENY_OUT = named("DenyOut", 4096, "Deny", direction="Outbound")
DENY_IN = named("DenyIn", 300, "Deny")


def test_groups_that_differ_in_one_thing_are_one_rule() -> None:
    """Destinations, ports or sources add up; what differs in two things stays apart."""
    (one,) = rules_of([group(), group(destination="10.1.0.5"), group(destination="10.1.0.6")])
    assert one.rule.destinations == ("10.1.0.4", "10.1.0.5", "10.1.0.6")
    assert one.groups == (0, 1, 2)
    (one,) = rules_of([group(port=80), group(port=443), group(["10.0.0.2"], port=80),
                       group(["10.0.0.2"], port=443)])  # fmt: skip
    assert (one.rule.sources, one.rule.destination_ports) == (
        ("10.0.0.1", "10.0.0.2"),
        ("80", "443"),
    )
    (one,) = rules_of([group(port=port) for port in (8003, 8001, 8002, 80)])
    assert one.rule.destination_ports == ("80", "8001-8003")
    assert len(rules_of([group(), group(destination="10.1.0.5", port=80)])) == 2
    assert len(rules_of([group(), group(inbound=False)])) == 2
    assert len(rules_of([group(port=None, protocol=name) for name in ("50", "51")])) == 2


def test_tcp_and_udp_of_the_same_ports_are_one_rule_that_says_so() -> None:
    """No rule names two protocols; one for any of them allows more, and that is told."""
    (one,) = rules_of([group(port=53), group(port=53, protocol="UDP")])
    assert (one.rule.protocol, one.rule.destination_ports) == ("*", ("53",))
    assert one.besides == (
        "a rule cannot name TCP and UDP alone: this allows any protocol with ports",
    )
    also = group(["10.0.0.1"], port=53, protocol="132")
    assert len(rules_of([group(port=53), group(port=88, protocol="UDP"), also])) == 3


def test_what_else_was_denied_and_is_let_in_is_listed() -> None:
    """A rule for any protocol lets in what another group has."""
    gre = group(port=None, protocol="47")
    other = group(["10.0.0.1"], port=None, protocol="ICMP")
    one, _ = rules_of([gre, other])
    assert one.rule.protocol == "*"
    assert one.also == (Point("ICMP", "10.0.0.1", "10.1.0.4", None),)
    assert rules_of([group(), other])[0].also == ()


def test_names_do_not_depend_on_what_else_is_proposed() -> None:
    """The same rule has the same name at every run, whatever stands beside it."""
    (alone,) = rules_of([group()])
    both = rules_of([group(destination="10.1.0.9", port=1), group()])
    assert alone.rule.name in {one.rule.name for one in both}
    assert alone.rule.name == "nsgflow-allow-in-tcp-443-0312bcad"
    assert len({one.rule.name for one in both}) == 2


def files(*own: Rule) -> Judge:
    """An NSG from a file, and no inventory."""
    return Judge(files=Files(RuleFiles({NSG: own}, {NSG: "web"})))


def all_of(name: str, priority: int, access: str, **more: Any) -> Rule:
    """A rule about everything."""
    every = ("*",)
    return Rule(name, priority, more.get("inbound", True), access, "*", every, every,
                every, more.get("ports", every))  # fmt: skip


def test_priorities_of_one_nsg_and_direction_are_free_and_different() -> None:
    """They count down from the rule that denies, past those that are taken."""
    judge = files(all_of("Deny", 300, "Deny"), all_of("Web", 298, "Allow", ports=("8443",)))
    made = rules_of(
        [group(port=port, destination=f"10.1.0.{port % 251}", rule="UserRule_Deny")
         for port in (80, 443, 8080)],
        judge,
    )  # fmt: skip
    assert {one.rule.priority for one in made} == {299, 297, 296}
    assert [one.proof.because for one in made] == [(NO_INVENTORY,)] * 3


def test_what_must_stand_first_takes_no_room_that_others_need() -> None:
    """The rule before 102 has 101 alone, whatever is asked for before it."""
    judge = files(
        all_of("First", 102, "Deny", ports=("22",)),
        all_of("Taken", 100, "Allow", ports=("1",)),
        all_of("Last", 103, "Deny"),
    )
    groups = [group(port=443, rule="UserRule_Last", destination="10.1.0.9"),
              group(port=22, rule="UserRule_First")]  # fmt: skip
    made = {one.rule.destination_ports: one for one in rules_of(groups, judge)}
    assert made["22",].rule.priority == 101
    last = made["443",]
    assert (last.rule.priority, last.no_room) == (0, True)
    assert last.no_priority == "no priority is free before 'Last' (103)"
    assert last.proof.still == ("Last of web",)


def test_a_rule_that_allows_more_tells_which_others_it_comes_before() -> None:
    """Those between it and the rule that denies let through less than they did."""
    judge = files(
        all_of("Deny", 300, "Deny"),
        all_of("DenyDns", 299, "Deny", ports=("54",)),
        all_of("Allow", 298, "Allow", ports=("55",)),
    )
    both = [group(port=53, protocol=name, rule="UserRule_Deny") for name in ("TCP", "UDP")]
    (one,) = rules_of(both, judge)
    assert one.rule.priority == 297
    assert one.besides[1:] == (
        "it comes before 'DenyDns' (299) as well, and lets through what that denied of this",
    )
    (one,) = rules_of(both[:1], judge)
    assert one.besides == ()


def test_an_nsg_that_is_full_takes_no_more() -> None:
    """A thousand rules are what Azure allows, both directions together."""
    out = [all_of(f"Out{at}", 100 + at, "Allow", inbound=False) for at in range(998)]
    judge = files(all_of("Deny", 300, "Deny"), *out)
    first, second = rules_of(
        [group(port=1, rule="UserRule_Deny"), group(["10.9.9.9"], port=2, rule="UserRule_Deny")],
        judge,
    )
    assert {first.no_room, second.no_room} == {False, True}


def test_without_any_rules_it_is_said_what_is_not_known() -> None:
    """The logs alone give a rule, but neither its priority nor a proof."""
    (one,) = rules_of([group()])
    assert (one.rule.priority, one.no_room) == (0, False)
    assert one.no_priority == "the rules of this NSG are not known"
    assert one.denied_by == (DENY,)
    assert one.proof.verdict == "unknown"
    assert one.proof.because == (NO_INVENTORY, "the rules of NSG web are not known")


def test_rules_that_let_the_flows_through_by_now_need_no_other() -> None:
    """What changed since is told, and nothing is proposed."""
    hub = Hub()
    groups = [group(["10.0.0.4"], "10.0.1.4", nsg=hub.db, rule="UserRule_Gone")]
    assert rules_of(groups, hub.judge()) == []
    assert words_of(groups, hub.judge()) == [
        "the rules as they are now let these flows through on every layer"
    ]


def test_both_ends_get_a_rule_where_both_deny() -> None:
    """The log names the first NSG alone; the one behind it would deny next."""
    hub = Hub(DENY_OUT, db_rules=[DENY_IN])
    groups = [group(["10.0.0.4"], "10.0.1.4", 1433, nsg=hub.web, inbound=False,
                    rule="UserRule_DenyOut")]  # fmt: skip
    there, here = rules_of(groups, hub.judge())
    assert (here.nsg, here.rule.inbound, here.rule.priority) == (hub.web, False, 4095)
    assert (there.nsg, there.rule.inbound, there.rule.priority) == (hub.db, True, 299)
    assert here.proof.verdict == there.proof.verdict == "allowed"
    assert here.proof.needs == ((there.rule.name, "db-nsg"),)
    assert there.proof.needs == ((here.rule.name, "web-nsg"),)


def test_an_admin_rule_that_denies_still_is_told() -> None:
    """No rule of an NSG helps there."""
    hub = Hub(DENY_OUT)
    block = rule(10, "Deny", port="1433") | {"sources": [], "destinations": []}
    for key in [key for key in block if "Prefix" in key or "Range" in key]:
        del block[key]
    block |= {"destinationPortRanges": ["1433"]}
    hub.estate.deploy("nm", {"all": {"Block": block}}, hub.vnet)
    groups = [group(["10.0.0.4"], "10.0.1.4", 1433, nsg=hub.web, inbound=False,
                    rule="UserRule_DenyOut")]  # fmt: skip
    (one,) = rules_of(groups, hub.judge())
    assert one.proof.verdict == "denied"
    assert one.proof.still == (
        "Block of base (admin rules, destination), where no rule of an NSG can help",
    )


def test_a_group_stands_for_its_members() -> None:
    """Where they are just those that were denied; not where one is missing or besides."""
    hub = Hub(DENY_OUT)
    judge = hub.judge()

    def sources(*hosts: int) -> tuple[str, ...]:
        denied = group([f"10.0.0.{host}" for host in hosts], "10.0.1.4", nsg=hub.web,
                       inbound=False, rule="UserRule_DenyOut")  # fmt: skip
        (one,) = rules_of([denied], judge)
        assert one.proof.verdict == "allowed"
        return one.rule.sources

    assert sources(4, 5) == (hub.asg.lower(),)
    assert sources(4) == ("10.0.0.4",)
    assert sources(4, 6) == ("10.0.0.4", "10.0.0.6")
    assert sources(4, 5, 6) == ("10.0.0.0/24",)


def test_a_subnet_stands_for_all_its_interfaces() -> None:
    """And says that it holds more; what lies in it besides is not named again."""
    hub = Hub(db_rules=[DENY_IN])
    hub.nic("app", 5)
    groups = [
        group(["10.0.2.4", "10.0.2.5", "10.0.2.99", "10.0.0.4"], "10.0.1.4", nsg=hub.db,
              rule="UserRule_DenyIn"),
        group(["10.0.2.77"], "10.0.1.4", 22, nsg=hub.db, rule="UserRule_DenyIn"),
    ]  # fmt: skip
    one, _ = rules_of(groups, hub.judge())
    assert one.rule.sources == ("10.0.0.4", "10.0.2.0/24")
    (said,) = one.besides
    assert said.startswith(
        "10.0.2.0/24 is a whole subnet: all its 2 network interfaces were denied"
    )
    assert one.also == ()


def test_what_is_denied_all_the_same_is_not_listed() -> None:
    """A rule that stands first denies it before the one that would let it in."""
    first = named("First", 100, "Deny", source="10.0.2.77")
    hub = Hub(db_rules=[first, DENY_IN])
    hub.nic("app", 5)
    groups = [
        group(["10.0.2.4", "10.0.2.5"], "10.0.1.4", nsg=hub.db, rule="UserRule_DenyIn"),
        group(["10.0.2.77"], "10.0.1.4", nsg=hub.db, rule="UserRule_First"),
    ]
    subnet, alone = rules_of(groups, hub.judge())
    assert (subnet.rule.sources, subnet.also) == (("10.0.2.0/24",), ())
    assert (alone.rule.sources, alone.no_room) == (("10.0.2.77",), True)


def test_many_addresses_inside_are_the_virtual_network() -> None:
    """Where it holds them for sure, and that is told; else they are named, however many."""
    hub = Hub(db_rules=[DENY_IN])
    many = [f"10.0.2.{number}" for number in range(10, 110)]
    denied = group(many, "10.0.1.4", nsg=hub.db, rule="UserRule_DenyIn")
    (one,) = rules_of([denied], hub.judge())
    assert one.rule.sources == ("VirtualNetwork",)
    assert one.besides == (
        "100 addresses are too many to name: this names the whole virtual network and its peers",
    )
    (one,) = rules_of([group(many)])
    assert len(one.rule.sources) == 100


def test_a_public_range_inside_is_named_by_its_addresses() -> None:
    """The tag Internet would leave these callers out, and let everybody else in."""
    sources = [f"20.0.1.{number}" for number in range(5, 25)]
    (one,) = rules_of([group(sources, "20.0.0.4", 1433)])
    assert one.rule.sources == tuple(sources)
    assert not one.internet


def test_one_caller_from_the_internet_is_no_scan() -> None:
    """It is proposed apart from what is inside, and marked."""
    inside, outside = rules_of(
        [group(), group(["8.8.8.8"], outside=True)], files(all_of("Deny", 300, "Deny"))
    )
    assert (inside.internet, inside.rule.sources) == (False, ("10.0.0.1",))
    assert (outside.internet, outside.rule.sources) == (True, ("8.8.8.8",))


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (
            [group(["8.8.8.8"], port=port, outside=True) for port in range(20, 40)],
            "8.8.8.8 on the internet tried 20 ports of 1 host, which is a scan",
        ),
        (
            [group(["8.8.8.8"], f"10.1.0.{host}", outside=True) for host in range(4, 24)],
            "8.8.8.8 on the internet tried 1 port of 20 hosts, which is a scan",
        ),
        (
            [group([f"8.8.{host}.8" for host in range(34)], port=3389, outside=True)],
            "34 addresses of the internet tried TCP 3389 of 10.1.0.4, and a scan looks",
        ),
    ],
)
def test_a_scan_from_the_internet_is_let_alone(groups: list[Denied], said: str) -> None:
    """Many ports, many hosts, or many callers: no rule, and why."""
    inside = group(["10.0.0.7"], port=groups[0].port)
    assert [one.rule.sources for one in rules_of([*groups, inside])] == [("10.0.0.7",)]
    (words,) = words_of([*groups, inside])
    assert words.startswith(said)
    assert "no rule is proposed for it" in words


def test_who_scans_from_inside_is_asked_about_as_anybody() -> None:
    """Only what is on the internet is taken for a scan: a rollout tries many ports, too."""
    (one,) = rules_of([group(port=port) for port in range(8000, 8040)])
    assert one.rule.destination_ports == ("8000-8039",)


def test_probes_are_let_through_by_their_tag() -> None:
    """The load balancer's address is no source for a rule, its tag is."""
    (probe,) = rules_of([group(["168.63.129.16"])])
    assert probe.rule.sources == ("AzureLoadBalancer",)
    both = rules_of([group(["10.0.0.1", "168.63.129.16"])])
    assert {one.rule.sources for one in both} == {("10.0.0.1",), ("AzureLoadBalancer",)}


def test_rules_that_no_nsg_has_are_no_wish() -> None:
    """A security admin rule is asked before every NSG."""
    assert rules_of([group(rule="BlockHighRiskPorts")]) == []
    (said,) = words_of([group(rule="BlockHighRiskPorts")])
    assert said.startswith("'BlockHighRiskPorts' is no rule of an NSG")


def test_ipv6_is_proposed_and_proven_as_well() -> None:
    """Both families have their own rules."""
    hub = Hub(db_rules=[DENY_IN])
    at = f"{hub.vnet}/subnets/db"
    hub.estate.nic(at, "00-0D-3A-00-09-01", "10.0.1.9", "fd00:1::9", vm="both")
    hub.estate.nic(at, "00-0D-3A-00-09-02", "10.0.1.8", "fd00:1::8", vm="both2")
    groups = [group([f"{net}8"], f"{net}9", nsg=hub.db, rule="UserRule_DenyIn")
              for net in ("10.0.1.", "fd00:1::")]  # fmt: skip
    made = rules_of(groups, hub.judge())
    assert [one.proof.verdict for one in made] == ["allowed", "allowed"]
    assert {one.rule.sources for one in made} == {("10.0.1.8",), ("fd00:1::8",)}
