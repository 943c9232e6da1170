"""Compiled rules against an oracle that asks one rule after the other.

The gate compares some tens of thousands of pairs of rules and packets;
`TEST_PAIRS=200000 pytest tests/unit/test_rules_oracle.py` as many as are wanted.
"""

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nsgflow_core.estate.acl import Acl
from nsgflow_core.estate.layout import VnetSpace
from nsgflow_core.estate.members import HOST, Members, UnknownSpace
from nsgflow_core.estate.rules import with_defaults
from tests.rules_made import asked, compiled, groups, packet, rules, world
from tests.rules_oracle import Plain, decide, defaults
from tests.unit.test_service_tags import load

PAIRS = int(os.environ.get("TEST_PAIRS", "30000"))
PACKETS = 40
SHARES = 4


def members(known: Plain) -> Members:
    """What the product is told of a world."""
    space = UnknownSpace() if known["space"] is None else VnetSpace([*known["space"], HOST], "")
    tags = None if known["tags"] is None else load(known["tags"])
    return Members(space, tags, groups(known["groups"]))


def compare(rng: random.Random, packets: int = PACKETS) -> None:
    """Rules of an NSG or of a network manager, and packets that they are asked about."""
    inbound, admin = rng.random() < 0.5, rng.random() < 0.3
    known = world(rng)
    own = rules(rng, admin=admin)
    made = tuple(compiled(rule, inbound=inbound) for rule in own)
    acl = Acl(made if admin else with_defaults(made), members(known), inbound=inbound)
    plain = own if admin else [*own, *defaults(inbound)]
    for _ in range(packets):
        one = packet(rng)
        access, name = decide(plain, one, known)
        answer = acl.decide(asked(one))
        found = "?" if answer.verdict == "unknown" else answer.rule.access if answer.rule else ""
        assert (found, answer.rule and answer.rule.name) == (access, name), (plain, one, known)
        assert bool(answer.because) == (access == "?")
        denied = {"?": "unknown", "Deny": "denied"}.get(access, "allowed")
        assert answer.verdict == denied


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_what_differs_is_small(rng: random.Random) -> None:
    """Few packets at a time, so that a difference shrinks to a rule or two."""
    compare(rng, 4)


@pytest.mark.parametrize("share", range(SHARES))
def test_the_same_as_the_oracle(share: int) -> None:
    """Both families, tags, groups, ports, protocols, admin rules; known and not."""
    rng = random.Random(share)
    for _ in range(PAIRS // SHARES // PACKETS + 1):
        compare(rng)


@pytest.mark.parametrize("tag", ["Storage.WestUS3", "Sql", "AzureCloud", "azurefrontdoor.backend"])
@pytest.mark.parametrize("tags", [None, {"AzureMonitor": ["20.60.0.0/16"]}])
def test_a_private_address_is_no_services(tag: str, tags: dict[str, list[str]] | None) -> None:
    """Whether the list is there or not: Microsoft's prefixes are public."""
    known = Members(UnknownSpace(), None if tags is None else load(tags))
    for address in ("10.80.1.4", "172.31.0.1", "192.168.0.1", "fd12::1", "fc00::1"):
        assert known.holds(tag, address) is False
    for address in ("20.60.1.1", "172.32.0.1", "100.64.1.1", "169.254.1.1", "2603:1030::9"):
        assert isinstance(known.holds(tag, address), str)


@pytest.mark.parametrize(
    "text",
    ["AzurePlatformLKM", "VirtualNetworkX", "[variables('x')]", "${var.x}", "10.0.0.4-10.0.0.9"],
)
def test_what_may_hold_a_private_address(text: str) -> None:
    """What stands for the platform, and what is no tag's name, stays unknown."""
    assert isinstance(Members(UnknownSpace()).holds(text, "10.0.0.4"), str)


def test_a_list_of_ones_own_says_what_it_says() -> None:
    """What is listed is held, private or not."""
    assert Members(UnknownSpace(), load({"Storage": ["10.0.0.0/24"]})).holds("Storage", "10.0.0.4")
