"""Groups and ledgers: what is counted, merged, bounded and read."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.digests import groups
from nsgflow_core.digests.groups import (
    INSIDE,
    INTERNET,
    MANY_PORTS,
    MAX_LEDGER,
    OUTBOUND,
    Key,
    Ledger,
    Sample,
    Seen,
    Tally,
)
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
) -> Flow:
    """A denied flow."""
    outcome = Outcome(
        port,
        protocol,
        inbound=True,
        denied=True,
        state="B",
        encryption="",
        packets_sent=None,
        bytes_sent=None,
        packets_received=None,
        bytes_received=None,
    )
    return made(Group(RECORD, acl, "", rule, ""), 0, "", at, src, dst, 5, outcome)


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
    ("src", "dst", "scope"),
    [
        ("10.0.0.1", "192.168.1.1", INSIDE),
        ("168.63.129.16", "10.0.0.1", INSIDE),
        ("100.64.0.1", "fd00::1", INSIDE),
        ("10.0.0.1", "8.8.8.8", OUTBOUND),
        ("8.8.8.8", "10.0.0.1", INTERNET),
        ("2603:1030::1", "fd00::1", INTERNET),
    ],
)
def test_scope(src: str, dst: str, scope: str) -> None:
    """By the classes of both ends."""
    (only,) = groups.count([flow(src, dst)])
    assert only.key.scope == scope


def test_hosts_are_called_what_the_inventory_calls_them() -> None:
    """Labels are names where there are any."""
    (only,) = groups.count([flow()], lambda each: ("client-vm", each.dst))
    assert only.sources.values == ("client-vm",)


@given(st.lists(st.sets(st.integers(0, 400).map(str), max_size=40), max_size=6))
def test_samples_merge_into_the_sample_of_the_union(parts: list[set[str]]) -> None:
    """However they are merged, the values and whether they are all come out the same."""
    whole = Sample().union(Sample(tuple(set[str]().union(*parts))))
    merged = Sample()
    for part in parts:
        merged = merged.union(Sample().union(Sample(tuple(part))))

    assert merged == whole
    count = len(set[str]().union(*parts))
    assert merged.distinct == count if merged.complete else len(merged.values) == 12


@pytest.mark.parametrize("count", [13, 100, 1000, 30_000])
def test_estimates(count: int) -> None:
    """Twelve values tell the number of thousands within a factor of two and a half."""
    sample = Sample()
    for number in range(count):
        sample = sample.union(Sample((f"10.{number >> 8}.{number & 255}.7",)))
    assert count / 2.5 < sample.distinct < count * 2.5


def test_an_estimate_survives_a_cut() -> None:
    """A shorter sample never passes for all there was."""
    sample = Sample().union(Sample(tuple(map(str, range(12)))))
    assert (sample.complete, sample.cut(6).complete, sample.cut(0).distinct) == (True, False, 0)
    assert not sample.cut(6).union(sample).complete
    assert not sample.cut(0).union(sample).complete


def test_a_ledger_has_room_for_so_many_groups() -> None:
    """Then ports are folded into one group a rule, and nothing is lost."""
    ledger = groups.add(None, [tally(port, flows=port + 1) for port in range(500)])

    assert len(ledger.groups) == 65
    folded = ledger.groups[-1]
    assert folded.key.port == MANY_PORTS
    assert len(folded.ports) == 12
    assert sum(each.flows for each in ledger.groups) == sum(range(1, 501))
    assert ledger.others == 0


def test_what_finds_no_room_at_all_is_counted() -> None:
    """Groups of many NSGs in one blob, which Azure never writes."""
    ledger = groups.add(None, [tally(1, acl=str(number)) for number in range(500)])

    assert len(ledger.groups) == 80
    assert ledger.others == 420


tallies = st.builds(
    Tally,
    st.builds(
        Key,
        st.text(max_size=256),
        st.text(max_size=256),
        st.sampled_from(["r", "UserRule_" + "😀" * 120]),
        st.booleans(),
        st.just("TCP"),
        st.integers(0, 65535),
        st.sampled_from(groups.SCOPES),
    ),
    st.integers(1, 10**9),
    st.integers(0, 10**13),
    st.integers(0, 10**13),
    st.builds(
        lambda values: Sample().union(Sample(tuple(values))),
        st.sets(st.integers(0, 2**128).map(lambda n: f"fd00:{n:x}"), max_size=20),
    ),
)


@given(st.lists(st.lists(tallies, max_size=60), max_size=4))
def test_a_ledger_fits_into_its_property(batches: list[list[Tally]]) -> None:
    """Whatever was counted; groups stay where they are, and counts only grow."""
    ledger = Ledger("id")
    counted = 0
    for batch in batches:
        before = ledger
        ledger = groups.decode(groups.encode(groups.add(ledger, batch)))
        counted += sum(each.flows for each in batch)
        assert len(groups.encode(ledger).encode("utf-16-le")) // 2 <= MAX_LEDGER
        for old, new in zip(before.groups, ledger.groups, strict=False):
            assert old.key == new.key
            assert old.flows <= new.flows
        assert sum(each.flows for each in ledger.groups) + ledger.others == counted


def test_the_largest_ledger_fits() -> None:
    """The longest names, full samples of IPv6 and counts of twelve digits in every group."""
    ends = Sample(tuple(f"2001:db8:1111:2222:3333:4444:5555:{n:04x}" for n in range(12)))
    many = [
        Tally(
            key(port, INSIDE, "/" + "a" * 255, "n" * 80, "UserRule_" + "r" * 65),
            10**12,
            10**13,
            10**13,
            ends,
            ends,
        )
        for port in range(60_000, 60_300)
    ]
    ledger = groups.add(None, many)
    text = groups.encode(ledger)

    assert len(text) <= MAX_LEDGER
    assert len(ledger.groups) > 30
    assert sum(each.flows for each in groups.decode(text).groups) + ledger.others == 300 * 10**12


def test_reading_what_is_new() -> None:
    """A ledger tells each flow once, whenever it is read."""
    rng = random.Random(3)
    ledger: Ledger | None = None
    seen, told, counted = Seen(), Counter[Key](), Counter[Key]()
    others = 0
    for _ in range(50):
        batch = [tally(rng.randrange(90), rng.randrange(1, 5), rng.choice("ab")) for _ in range(3)]
        ledger = groups.add(ledger, batch)
        if rng.random() < 0.4:
            fresh, fresh_others = groups.unseen(ledger, seen)
            told.update({each.key: each.flows for each in fresh})
            others += fresh_others
            seen = groups.read_to(ledger)
            assert groups.unseen(ledger, seen) == ([], 0)
    assert ledger is not None
    fresh, fresh_others = groups.unseen(ledger, seen)
    told.update({each.key: each.flows for each in fresh})
    counted.update({each.key: each.flows for each in ledger.groups})

    assert told == counted
    assert others + fresh_others == ledger.others


def test_another_ledger_is_read_from_its_beginning() -> None:
    """Counts of a ledger that is gone say nothing about a new one."""
    first = groups.add(None, [tally(1, 9)])
    second = groups.add(None, [tally(1, 3)])
    assert first.id != second.id

    fresh, _ = groups.unseen(second, groups.read_to(first))
    assert [each.flows for each in fresh] == [3]


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
