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
