"""Groups and ledgers: what is counted, merged, bounded and read."""

import random

import pytest

from nsgflow_core.digests import groups
from nsgflow_core.digests.groups import MANY_PORTS, Key, Tally
from nsgflow_core.estate.causes import ENCRYPTION, PLATFORM
from nsgflow_core.estate.scope import INSIDE, INTERNET, OUTBOUND
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made

RECORD = Record(12, 100, "2026-11-23T08:00:00Z", 2, "/t")


def flow(
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    port: int | None = 443,
    at: int = 9000,
    rule: str = "UserRule_Deny",
    acl: str = "/g/networksecuritygroups/web",
    protocol: str = "TCP",
    *,
    inbound: bool = True,
    encryption: str = "",
    record: Record = RECORD,
) -> Flow:
    """A denied flow."""
    outcome = Outcome(
        port,
        protocol,
        inbound=inbound,
        denied=True,
        state="D" if record.version == 4 else "B",
        encryption=encryption,
        packets_sent=None,
        bytes_sent=None,
        packets_received=None,
        bytes_received=None,
    )
    return made(Group(record, acl, "", rule, ""), 0, "", at, src, dst, 5, outcome)


def key(
    port: int | None, scope: str = INSIDE, acl: str = "a", name: str = "n", rule: str = "r"
) -> Key:
    """What makes a group."""
    return Key(acl, name, rule, inbound=True, protocol="TCP", port=port, scope=scope)


def tally(port: int, flows: int = 1, acl: str = "a") -> Tally:
    """A group by port."""
    return Tally(key(port, acl=acl), flows, 0, 0)


def test_what_makes_a_group() -> None:
    """NSG, rule, direction, protocol, port and scope; not the hosts."""
    (only,) = groups.count([flow(), flow(src="10.0.0.9", at=5000), flow(dst="10.0.0.8", at=6000)])

    assert only.key == key(443, INSIDE, "/g/networksecuritygroups/web", "web", "UserRule_Deny")
    assert (only.flows, only.first, only.last) == (3, 5000, 9000)
    assert set(only.sources.values) == {"10.0.0.1", "10.0.0.9"}
    assert (only.sources.distinct, only.targets.distinct) == (2, 2)


def test_what_comes_from_the_internet_is_one_group_for_all_ports() -> None:
    """With the busiest of them."""
    scan = [flow("8.8.8.8", port=port) for port in range(100)] + [flow("1.1.1.1", port=22)] * 5
    (only,) = groups.count(scan)

    assert (only.key.port, only.key.scope, only.flows) == (MANY_PORTS, INTERNET, 105)
    assert only.ports[22] == 6
    assert len(only.ports) == 12


@pytest.mark.parametrize(
    ("src", "dst", "inbound", "expected"),
    [
        ("10.0.0.1", "192.168.1.1", True, INSIDE),
        ("168.63.129.16", "10.0.0.1", True, INSIDE),
        ("100.64.0.1", "fd00::1", True, INSIDE),
        ("10.0.0.1", "8.8.8.8", False, OUTBOUND),
        ("8.8.8.8", "10.0.0.1", True, INTERNET),
        ("2603:1030::1", "fd00::1", True, INTERNET),
        ("20.0.1.5", "20.0.0.4", True, INSIDE),
    ],
)
def test_a_group_is_of_one_scope(src: str, dst: str, inbound: bool, expected: str) -> None:
    """As `scope` judges it."""
    (only,) = groups.count([flow(src, dst, inbound=inbound)])
    assert only.key.scope == expected


VNET_RECORD = Record(12, 100, "2026-11-23T08:00:00Z", 4, "/t")


def test_one_nsg_in_two_cases_is_one_group() -> None:
    """NSG logs write it in capitals; a name as it was made is shown, whichever came first."""
    nsg_log = groups.count([flow(acl="/s/g/networkSecurityGroups/APP-NSG")])
    vnet_log = groups.count([flow(acl="/S/G/NETWORKSECURITYGROUPS/App-Nsg", record=VNET_RECORD)])

    for both in (nsg_log + vnet_log, vnet_log + nsg_log):
        (only,) = groups.merge(both).values()
        assert (only.flows, only.name, only.twice) == (2, "App-Nsg", True)
    assert not nsg_log[0].twice
    assert not vnet_log[0].twice


def test_what_encryption_and_the_platform_drop_are_classes_of_their_own() -> None:
    """With the reason where a rule has its name."""
    nobody = "00000000-0000-0000-0000-000000000000"
    encryption = flow(
        acl="unspecified", rule="unspecified", encryption="NX_NOT_ACCEPTED", record=VNET_RECORD
    )
    platform = flow(acl=nobody, rule="PlatformRule", record=VNET_RECORD)
    by_rule = flow()
    found = sorted(groups.count([platform, encryption, by_rule]), key=groups.rank)

    assert [each.key.cause for each in found] == ["", ENCRYPTION, PLATFORM]
    assert [each.key.rule for each in found] == [
        "UserRule_Deny",
        "NX_NOT_ACCEPTED",
        "PlatformRule",
    ]


@pytest.mark.parametrize(
    ("protocol", "port"), [("ICMP", None), ("58", None), ("47", None), ("TCP", 0), ("132", 0)]
)
def test_protocols_without_ports_have_none(protocol: str, port: int | None) -> None:
    """Azure writes 0 for them."""
    (only,) = groups.count([flow(protocol=protocol, port=0)])
    assert only.key.port == port


def test_what_matters_comes_first() -> None:
    """Inside before outbound before internet, single ports before many, then by flows."""
    ranked = [
        Tally(key(port, scope), flows, 0, 0)
        for scope, port, flows in [
            (INSIDE, 1433, 5),
            (INSIDE, 22, 2),
            (INSIDE, MANY_PORTS, 900),
            (OUTBOUND, 443, 70),
            (INTERNET, MANY_PORTS, 10**6),
        ]
    ]
    shuffled = ranked[:]
    random.Random(1).shuffle(shuffled)

    assert sorted(shuffled, key=groups.rank) == ranked
