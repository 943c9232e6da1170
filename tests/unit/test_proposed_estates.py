"""Proposals over made-up estates: every flow passes, and nothing else does that is not told.

`TEST_ESTATES=1000 pytest tests/unit/test_proposed_estates.py` tries as many as are wanted.
"""

import os
import random
from collections.abc import Iterable, Iterator

import pytest

from nsgflow_core.estate.proposals import Proposal, propose
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.estate.wishes import Denied, Refusal
from tests.rules_oracle import Plain, fits
from tests.unit.test_verdict import HOSTS, Made, addresses_of, plain_packet

ESTATES = int(os.environ.get("TEST_ESTATES", "120"))
AT_ONCE = 10
FLOWS = 60
SCANNER = "8.8.8.8"
NAMES = {6: "TCP", 17: "UDP"}
PORTS = (22, 80, 443, 3389, 1023)


class Asked:
    """The flows that were seen denied in an estate, and by which log."""

    def __init__(self, estate: Made, rng: random.Random) -> None:
        self.estate = estate
        self.flows: dict[Denied, list[tuple[str, str, Plain]]] = {}
        groups: dict[tuple[str, str, bool, str, str, int], list[tuple[str, str, Plain]]] = {}
        for _ in range(FLOWS):
            src, dst, src_address, dst_address = addresses_of(rng)
            packet = dict(plain_packet(rng, src_address, dst_address), src_port=50000)
            if (logged := self._logged(src, dst, packet)) is not None:
                key = (*logged, NAMES[packet["protocol"]], dst_address, packet["dst_port"])
                groups.setdefault(key, []).append((src, dst, packet))
        for (nsg, rule, inbound, protocol, address, port), flows in groups.items():
            sources = frozenset(str(packet["src"]) for _, _, packet in flows)
            outside = sources & {SCANNER}
            denied = Denied(nsg, rule, inbound, protocol, sources, address, port, 50000, outside)
            self.flows[denied] = flows

    def _logged(self, src: str, dst: str, packet: Plain) -> tuple[str, str, bool] | None:
        """NSG, rule and direction of the log, where the first layer that denies is an NSG."""
        for end, kind, access, rule in self.estate.expected(src, dst, packet):
            if access != "Deny":
                continue
            host = src if end == "source" else dst
            if kind == "admin":
                return None
            at = self.estate.nics if kind == "nic" else self.estate.subnets
            nsg = at[host] if kind == "nic" else at[self.estate.place(host)]
            prefix = "DefaultRule" if rule.startswith("DenyAll") else "UserRule"
            return nsg.lower(), f"{prefix}_{rule}", end == "destination"
        return None


def plain(one: Proposal) -> Plain:
    """A proposed rule as the oracle takes it."""
    rule = one.rule
    return {
        "name": rule.name,
        "priority": rule.priority,
        "access": rule.access,
        "protocol": rule.protocol,
        "sources": list(rule.sources),
        "destinations": list(rule.destinations),
        "source_ports": list(rule.source_ports),
        "ports": list(rule.destination_ports),
    }


def put(estate: Made, proposals: Iterable[Proposal]) -> None:
    """Put proposals into the estate that the oracle knows."""
    owners = {nsg.lower(): nsg for nsg in estate.rules}
    for one in proposals:
        if one.rule.priority:
            both = estate.rules[owners[one.nsg.lower()]]
            both[one.rule.inbound] = [*both[one.rule.inbound], plain(one)]


def verdict(estate: Made, src: str, dst: str, packet: Plain) -> str:
    """What the oracle says of a flow."""
    accesses = [access for _, _, access, _ in estate.expected(src, dst, packet)]
    return "denied" if "Deny" in accesses else "unknown" if "?" in accesses else "allowed"


def every_flow() -> Iterator[tuple[str, str, Plain]]:
    """Between all hosts and the internet, to all ports that are tried."""
    ends = [(host, found[0]) for host, found in HOSTS.items()] + [("", SCANNER)]
    for src, source in ends:
        for dst, address in ends:
            for protocol in NAMES:
                for port in PORTS if src != dst else ():
                    yield src, dst, {
                        "src": source, "dst": address, "protocol": protocol,
                        "src_port": 50000, "dst_port": port,
                    }  # fmt: skip


def check(seed: int) -> int:
    """One estate; the number of proposals that are proven."""
    rng = random.Random(seed)
    estate = Made(rng)
    asked = Asked(estate, rng)
    groups = list(asked.flows)
    found = propose(groups, Judge(estate.inventory))
    proposals = [one for one in found if isinstance(one, Proposal)]
    before = {index: verdict(estate, *flow) for index, flow in enumerate(every_flow())}
    put(estate, proposals)

    flows_of = list(asked.flows.values())
    world = {
        "space": None,
        "tags": None,
        "groups": {k.lower(): v for k, v in estate.groups.items()},
    }
    for one in proposals:
        said = {
            verdict(estate, *flow)
            for number in one.groups
            for flow in flows_of[number]
            if fits(plain(one), flow[2], world)
            and (flow[2]["src"] == SCANNER) == (SCANNER in one.rule.sources)
        }
        if one.proof.verdict == "allowed":
            assert said == {"allowed"}, (seed, one)
        elif one.proof.verdict == "denied":
            assert "denied" in said, (seed, one)
            admin = any("no rule of an NSG can help" in words for words in one.proof.still)
            assert admin or any(other.no_room for other in proposals), (seed, one)
        else:
            assert "unknown" in said, (seed, one)
            assert one.proof.because
    wanted = {
        (packet["src"], packet["dst"], packet["protocol"], packet["dst_port"])
        for flows in asked.flows.values()
        for _, _, packet in flows
    }
    told = any(one.besides for one in proposals)
    for index, (src, dst, packet) in enumerate(every_flow()):
        if before[index] == "denied" and verdict(estate, src, dst, packet) != "denied":
            what = (packet["src"], packet["dst"], packet["protocol"], packet["dst_port"])
            assert what in wanted or (told and announced(proposals, packet)), (seed, packet)
    return sum(one.proof.verdict == "allowed" for one in proposals)


def announced(proposals: Iterable[Proposal], packet: Plain) -> bool:
    """Whether a proposal that allows more than was asked for says so, for this port."""
    return any(
        one.besides
        and (one.rule.protocol == "*" or one.rule.protocol.upper() == NAMES[packet["protocol"]])
        and str(packet["dst_port"]) in (*one.rule.destination_ports,)
        for one in proposals
    )


@pytest.mark.parametrize("first", range(0, ESTATES, AT_ONCE))
def test_every_flow_passes_and_nothing_untold_does(first: int) -> None:
    """As the oracle has it, with the rules in place: proven, denied and unknown are just that."""
    assert sum(check(seed) for seed in range(first, first + AT_ONCE)) > 0


@pytest.mark.parametrize("seed", range(20))
def test_what_is_proposed_does_not_depend_on_the_order(seed: int) -> None:
    """The same groups in another order are the same rules."""
    rng = random.Random(seed)
    estate = Made(rng)
    groups = list(Asked(estate, rng).flows)
    there = propose(groups, Judge(estate.inventory))
    rng.shuffle(groups)
    again = propose(groups, Judge(estate.inventory))

    def rules(found: Iterable[Proposal | Refusal]) -> set[object]:
        return {(one.nsg, one.rule, one.proof.verdict) if isinstance(one, Proposal) else one.why
                for one in found}  # fmt: skip

    assert rules(there) == rules(again)


@pytest.mark.parametrize("seed", range(20))
def test_priorities_are_free_and_names_unique(seed: int) -> None:
    """In each NSG and direction, and before the rule that denies."""
    rng = random.Random(seed)
    estate = Made(rng)
    found = propose(list(Asked(estate, rng).flows), Judge(estate.inventory))
    taken = {
        (nsg.lower(), inbound, rule["priority"])
        for nsg, both in estate.rules.items()
        for inbound, rules in both.items()
        for rule in rules
    }
    names = set()
    for one in found:
        if isinstance(one, Proposal):
            names.add((one.nsg.lower(), one.rule.name))
            key = (one.nsg.lower(), one.rule.inbound, one.rule.priority)
            assert key not in taken
            if one.rule.priority:
                taken.add(key)
                assert all(
                    one.rule.priority < getattr(rule, "priority", 0) for rule in one.denied_by
                )
            else:
                assert one.no_priority
    assert len(names) == sum(isinstance(one, Proposal) for one in found)
