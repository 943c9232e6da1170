"""Flows judged again: what was logged is what is evaluated, and what changes is told."""

import random
from collections.abc import Iterator

import pytest

from nsgflow_core.estate.rule_files import Files, RuleFiles
from nsgflow_core.estate.rule_json import nsg_rules
from nsgflow_core.estate.rules import DEFAULT_RULES
from nsgflow_core.estate.simulation import Simulation, as_json, rule_name, totals
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made
from tests.rules_oracle import Plain
from tests.unit.test_verdict import HOSTS, Made, addresses_of, plain_packet

NSG = "/subscriptions/s/resourcegroups/g/providers/microsoft.network/networksecuritygroups/web"
NAMES = {6: "TCP", 17: "UDP"}
DEFAULTS = {rule.name for rule in DEFAULT_RULES}


def logged(acl: str, rule: str, packet: Plain, *, inbound: bool, denied: bool, mac: str) -> Flow:
    """A flow as a log of an NSG has it."""
    prefix = "DefaultRule_" if rule in DEFAULTS else "UserRule_"
    group = Group(Record(0, 1, "", 2, acl), acl, "", f"{prefix}{rule}", mac)
    outcome = Outcome(
        packet["dst_port"], NAMES[packet["protocol"]], inbound, denied, "B", "", *[None] * 4
    )
    return made(group, 0, "", 0, packet["src"], packet["dst"], packet["src_port"], outcome)


def of_estate(estate: Made, rng: random.Random) -> Iterator[tuple[str, Flow]]:
    """Flows with the rule that the NSG logs, as the oracle has it."""
    macs = {host: f"000D3A00000{number}" for number, host in enumerate(HOSTS)}
    for _ in range(80):
        src, dst, src_address, dst_address = addresses_of(rng)
        packet = plain_packet(rng, src_address, dst_address)
        nsgs = [*estate.nics.values(), *estate.subnets.values()]
        for end, kind, access, rule in estate.expected(src, dst, packet):
            host = src if end == "source" else dst
            at = estate.nics if kind == "nic" else estate.subnets
            key = host if kind == "nic" else estate.place(host)
            if kind == "admin" or rule is None or at.get(key) not in nsgs:
                continue
            flow = logged(
                at[key].lower(),
                rule,
                packet,
                inbound=end == "destination",
                denied=access == "Deny",
                mac=macs[host],
            )
            yield rule, flow


@pytest.mark.parametrize("seed", range(40))
def test_what_is_evaluated_is_what_was_logged(seed: int) -> None:
    """Always, where rules and estate are known; without an inventory never another outcome."""
    rng = random.Random(1000 + seed)
    estate = Made(rng)
    flows = [flow for _, flow in of_estate(estate, rng)]
    whole = Simulation(Judge(estate.inventory))
    files = RuleFiles(
        {nsg: estate.inventory.rules(nsg) for nsg in estate.inventory.nsg_ids()},
        {nsg: nsg.rpartition("/")[2] for nsg in estate.inventory.nsg_ids()},
    )
    alone = Simulation(Judge(files=Files(files)))
    for flow in flows:
        whole.add(flow)
        alone.add(flow)

    for kind, _ in whole.kinds():
        assert (kind.rule, kind.change) == (kind.recorded_rule, "none")
    for kind, _ in alone.kinds():
        # Where rules of one outcome may fit, the outcome is known, and the rule that is sure to.
        assert kind.change in ("none", "unknown"), kind
    assert sum(totals(whole.kinds()).values()) == len(flows)


def one(rule: str, src: str, port: int, *, denied: bool) -> Flow:
    """An inbound TCP flow to 10.0.0.4."""
    packet = {"src": src, "dst": "10.0.0.4", "protocol": 6, "src_port": 5000, "dst_port": port}
    return logged(NSG, rule, packet, inbound=True, denied=denied, mac="000D3A000001")


def judge(*rules: Plain) -> Judge:
    """An NSG with these rules, from a file."""
    plain = [
        {"direction": "Inbound", "protocol": "*", "sourcePortRange": "*"}
        | {"sourceAddressPrefix": "*", "destinationAddressPrefix": "*"}
        | dict(rule)
        for rule in rules
    ]
    return Judge(files=Files(RuleFiles({NSG: nsg_rules(plain, ())}, {NSG: "web"})))


def test_every_change_is_told() -> None:
    """By rule, the most flows first, with examples; and the totals."""
    simulation = Simulation(
        judge(
            {"name": "Open", "priority": 100, "access": "Allow", "destinationPortRange": "443"},
            {"name": "Shut", "priority": 110, "access": "Deny", "destinationPortRange": "22"},
            {"name": "Sql", "priority": 120, "access": "Allow", "sourceAddressPrefix": "Sql",
             "destinationPortRange": "1433"},
        )
    )  # fmt: skip
    for number in range(5):
        simulation.add(one("DenyAllInBound", f"8.8.8.{number}", 443, denied=True))
    simulation.add(one("Old", "8.8.8.8", 22, denied=False))
    simulation.add(one("DenyAllInBound", "8.8.8.8", 80, denied=True))
    simulation.add(one("DenyAllInBound", "8.8.8.8", 1433, denied=True))

    kinds = simulation.kinds()
    assert totals(kinds) == {"none": 1, "newly-denied": 1, "newly-allowed": 5, "unknown": 1}
    first = as_json(*kinds[0])
    assert first["nsg"] == NSG
    assert first["recorded"] == {"rule": "DenyAllInBound", "outcome": "denied"}
    assert first["evaluated"] == {"rule": "Open", "outcome": "allowed", "because": None}
    assert (first["change"], first["flows"], first["direction"]) == ("newly-allowed", 5, "in")
    assert first["examples"][0] == {
        "src": "8.8.8.0",
        "dst": "10.0.0.4",
        "port": 443,
        "protocol": "tcp",
    }
    assert len(first["examples"]) == 3
    unknown = next(as_json(*entry) for entry in kinds if entry[0].change == "unknown")
    assert unknown["evaluated"] == {
        "rule": None,
        "outcome": "unknown",
        "because": "there are no service tags to tell what Sql holds",
    }


def test_a_log_tells_what_is_in_the_vnet() -> None:
    """For its own flow, and for others of the address, whichever comes first."""
    simulation = Simulation(judge())
    simulation.add(one("Old", "10.9.9.9", 80, denied=False))
    simulation.add(one("AllowVnetInBound", "10.9.9.9", 443, denied=False))
    simulation.add(one("DenyAllInBound", "10.7.7.7", 443, denied=True))
    simulation.add(one("Old", "10.7.7.7", 80, denied=False))
    simulation.add(one("Old", "10.5.5.5", 80, denied=False))

    found = {
        (seen.examples[0]["src"], kind.recorded_rule): kind.change
        for kind, seen in simulation.kinds()
    }
    assert found == {
        ("10.9.9.9", "Old"): "none",
        ("10.9.9.9", "AllowVnetInBound"): "none",
        ("10.7.7.7", "DenyAllInBound"): "none",
        ("10.7.7.7", "Old"): "newly-denied",
        ("10.5.5.5", "Old"): "unknown",
    }


def test_an_nsg_that_nobody_knows() -> None:
    """Its flows are unknown, and say so."""
    simulation = Simulation(Judge())
    simulation.add(one("Old", "8.8.8.8", 80, denied=False))
    ((kind, _),) = simulation.kinds()

    assert (kind.change, kind.rule) == ("unknown", None)
    assert "are not known" in kind.because


def test_names_as_logs_have_them() -> None:
    """Less their prefix."""
    assert [rule_name(name) for name in ("UserRule_A", "DefaultRule_B", "C", "UserRule_")] == [
        "A",
        "B",
        "C",
        "",
    ]
