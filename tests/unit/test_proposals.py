"""Proposals of rules: as few as allow the same, none that undoes another, none for scanners."""

import shlex
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.cli.proposals import Planner, Proposal, Wish, merged, wishes
from nsgflow_core.estate import scope
from nsgflow_core.estate.inventory import Inventory, pack_inventory
from nsgflow_core.estate.rules import Rule

NSG = "/subscriptions/s/resourcegroups/g/providers/microsoft.network/networksecuritygroups/web"
DENY = "DefaultRule_DenyAllInBound"


def of(
    number: int = 0,
    sources: Sequence[str] = ("10.0.0.1",),
    destination: str = "10.1.0.4",
    port: int | None = 443,
    **more: str,
) -> list[Wish]:
    """The wishes of a group of denied flows."""
    group: dict[str, str | int | None] = {
        "rule": DENY,
        "direction": "in",
        "protocol": "TCP",
        **more,
    }
    group |= {"destination": destination, "port": port}
    internet = {source for source in sources if scope.outside(source, destination)}
    return wishes(number, group, NSG, sources, internet)


def options(made: Proposal) -> dict[str, list[str]]:
    """The options of a command."""
    found: dict[str, list[str]] = {}
    key = ""
    for word in shlex.split(made.command.removeprefix("# ")):
        if word.startswith("--"):
            key = word
            found[key] = []
        elif key:
            found[key].append(word)
    return found


def test_groups_that_differ_in_one_thing_are_one_rule() -> None:
    """Destinations, ports or sources add up; what differs in two things stays apart."""
    (one,) = merged([*of(0), *of(1, destination="10.1.0.5"), *of(2, destination="10.1.0.6")])
    assert sorted(one.destinations) == ["10.1.0.4", "10.1.0.5", "10.1.0.6"]
    assert one.groups == (0, 1, 2)
    (one,) = merged([*of(0, port=80), *of(1, port=443)])
    assert options(Planner().proposal(one))["--destination-port-ranges"] == ["80", "443"]
    (one,) = merged([*of(0), *of(1, sources=["10.0.0.2"])])
    assert sorted(one.sources) == ["10.0.0.1", "10.0.0.2"]
    assert len(merged([*of(0), *of(1, destination="10.1.0.5", port=80)])) == 2
    assert len(merged([*of(0), *of(1, direction="out")])) == 2
    assert len(merged([*of(0, port=None, protocol="50"), *of(1, port=None, protocol="51")])) == 2


@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(["10.0.0.1", "10.0.0.2", "8.8.8.8", "168.63.129.16"]),
                    min_size=1),
            st.sampled_from(["10.1.0.4", "10.1.0.5", "10.1.0.6"]),
            st.sampled_from([22, 80, 443, None]),
            st.sampled_from(["in", "out"]),
        ),
        max_size=12,
        unique_by=lambda one: one[1:],
    )
)  # fmt: skip
def test_merging_allows_no_more_and_no_less(
    groups: list[tuple[set[str], str, int | None, str]],
) -> None:
    """The rules let through what the groups were denied, and nothing else; names are unique."""
    apart = [
        one
        for number, (sources, destination, port, direction) in enumerate(groups)
        for one in of(number, sorted(sources), destination, port, direction=direction)
    ]

    def allowed(some: Sequence[Wish]) -> set[tuple[bool, str, str, int]]:
        return {
            (one.inbound, source, destination, port)
            for one in some
            for source in one.sources
            for destination in one.destinations
            for port in one.ports or range(-1, 0)
        }

    together = merged(apart)
    assert allowed(together) == allowed(apart)
    assert {number for one in together for number in one.groups} == set(range(len(groups)))
    planner = Planner()
    made = [planner.proposal(one) for one in together]
    names = [options(one)["--name"][0] for one in made]
    assert len(set(names)) == len(names)
    assert names == [options(Planner().proposal(one))["--name"][0] for one in together]


def test_names_do_not_depend_on_what_else_is_proposed() -> None:
    """The same rule has the same name at every run, whatever stands beside it."""
    (one,), (other,) = of(0), of(1, destination="10.1.0.9", port=1)
    alone = options(Planner().proposal(one))["--name"]
    planner = Planner()
    planner.proposal(other)
    assert options(planner.proposal(one))["--name"] == alone


def test_priorities_of_one_nsg_and_direction_are_free_and_different() -> None:
    """They count down from the rule that denied, past those that are taken."""
    every = ("*",)
    rules = tuple(
        Rule(name, priority, inbound=True, access=access, protocol="*", sources=every,
             source_ports=every, destinations=every, destination_ports=every)
        for name, priority, access in (("Deny", 300, "Deny"), ("Web", 298, "Allow"))
    )  # fmt: skip
    book = Inventory(pack_inventory([], [], [NSG], {}, {}, {NSG: rules}))
    planner = Planner(book)
    made = [
        planner.proposal(one)
        for port in (80, 443, 8080)
        for one in of(port=port, rule="UserRule_Deny", destination=f"10.1.0.{port % 250}")
    ]
    assert [options(one)["--priority"] for one in made] == [["299"], ["297"], ["296"]]


def test_priorities_that_are_not_known_are_told_apart() -> None:
    """Without an inventory no two proposals of an NSG and direction can be run unchanged."""
    planner = Planner()
    made = [planner.proposal(one) for port in (80, 443) for one in of(port=port)]
    assert [options(one)["--priority"] for one in made] == [
        ["PRIORITY-TO-CHOOSE"],
        ["PRIORITY-TO-CHOOSE-2"],
    ]
    (out,) = of(direction="out")
    assert options(planner.proposal(out))["--priority"] == ["PRIORITY-TO-CHOOSE"]


def test_no_internet_scan_is_let_in() -> None:
    """A command that would let the internet in is a comment, whoever the callers are."""
    for sources in (["8.8.8.8"], [f"8.8.{number}.8" for number in range(34)]):
        (one,) = of(sources=sources, port=3389)
        made = Planner().proposal(one)
        assert made.command.startswith("# az network nsg rule create ")
        assert any("an internet scan looks just like this" in word for word in made.warnings)
        assert "NOT TO BE RUN AS IT IS" in made.text("")
    (out,) = of(direction="out", destination="8.8.8.8")
    assert Planner().proposal(out).command.startswith("az ")


def test_a_near_end_with_a_public_address_is_no_reason_to_open_the_internet() -> None:
    """The tag Internet would leave out the callers inside such a VNet."""
    (one,) = of(sources=[f"20.0.1.{number}" for number in range(5, 25)], destination="20.0.0.4")
    made = Planner().proposal(one)
    assert options(made)["--source-address-prefixes"] == ["VirtualNetwork"]
    assert made.command.startswith("#")
    assert any("own range has public addresses" in word for word in made.warnings)
    group = {"rule": DENY, "direction": "in", "protocol": "TCP", "destination": "20.0.0.4"}
    (one,) = wishes(0, {**group, "port": 1433}, NSG, ["20.0.1.5"], (), known=True)
    made = Planner().proposal(one)
    assert options(made)["--source-address-prefixes"] == ["20.0.1.5"]
    assert made.command.startswith("az "), "an inventory says that it is inside"


def test_probes_are_let_through_by_their_tag() -> None:
    """The load balancer's address is no source for a rule, its tag is."""
    (probe,) = of(sources=["168.63.129.16"])
    made = Planner().proposal(probe)
    assert options(made)["--source-address-prefixes"] == ["AzureLoadBalancer"]
    assert made.command.startswith("az ")
    rest, probe = of(sources=["10.0.0.1", "168.63.129.16"])
    assert [*rest.sources, *probe.sources] == ["10.0.0.1", "AzureLoadBalancer"]


def test_rules_that_no_nsg_has_are_no_wish() -> None:
    """A security admin rule is asked before every NSG."""
    assert of(rule="BlockHighRiskPorts") == []
