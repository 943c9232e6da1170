"""Ledgers: what is counted, bounded, and read once."""

import json
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.digests import ledger as ledgers
from nsgflow_core.digests.groups import MANY_PORTS, Key, Tally, known_key
from nsgflow_core.digests.ledger import MAX_LEDGER, Ledger, Seen
from nsgflow_core.digests.sample import Sample, sample_of
from nsgflow_core.estate.scope import INSIDE, SCOPES


def key(
    port: int | None, scope: str = INSIDE, acl: str = "a", name: str = "n", rule: str = "r"
) -> Key:
    """What makes a group."""
    return Key(acl, name, rule, inbound=True, protocol="TCP", port=port, scope=scope)


def tally(port: int, flows: int = 1, acl: str = "a") -> Tally:
    """A group by port."""
    return Tally(key(port, acl=acl), flows, 0, 0)


def test_a_ledger_has_room_for_so_many_groups() -> None:
    """Then ports are folded into one group a rule, and nothing is lost."""
    ledger = ledgers.add(None, [tally(port, flows=port + 1) for port in range(500)])

    assert len(ledger.groups) == 65
    folded = ledger.groups[-1]
    assert folded.key.port == MANY_PORTS
    assert len(folded.ports) == 12
    assert sum(each.flows for each in ledger.groups) == sum(range(1, 501))
    assert ledger.others == 0


def test_what_finds_no_room_at_all_is_counted() -> None:
    """Groups of many NSGs in one blob, which Azure never writes."""
    ledger = ledgers.add(None, [tally(1, acl=str(number)) for number in range(500)])

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
        st.sampled_from(SCOPES),
    ).map(known_key),
    st.integers(1, 10**9),
    st.integers(0, 10**13),
    st.integers(0, 10**13),
    st.builds(
        sample_of,
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
        ledger = ledgers.decode(ledgers.encode(ledgers.add(ledger, batch)))
        counted += sum(each.flows for each in batch)
        assert len(ledgers.encode(ledger).encode("utf-16-le")) // 2 <= MAX_LEDGER
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
    ledger = ledgers.add(None, many)
    text = ledgers.encode(ledger)

    assert len(text) <= MAX_LEDGER
    assert len(ledger.groups) > 30
    assert sum(each.flows for each in ledgers.decode(text).groups) + ledger.others == 300 * 10**12


def test_reading_what_is_new() -> None:
    """A ledger tells each flow once, whenever it is read."""
    rng = random.Random(3)
    ledger: Ledger | None = None
    seen, told, counted = Seen(), Counter[Key](), Counter[Key]()
    others = 0
    for _ in range(50):
        batch = [tally(rng.randrange(90), rng.randrange(1, 5), rng.choice("ab")) for _ in range(3)]
        ledger = ledgers.add(ledger, batch)
        if rng.random() < 0.4:
            fresh, fresh_others = ledgers.unseen(ledger, seen)
            told.update({each.key: each.flows for each in fresh})
            others += fresh_others
            seen = ledgers.read_to(ledger)
            assert ledgers.unseen(ledger, seen) == ([], 0)
    assert ledger is not None
    fresh, fresh_others = ledgers.unseen(ledger, seen)
    told.update({each.key: each.flows for each in fresh})
    counted.update({each.key: each.flows for each in ledger.groups})

    assert told == counted
    assert others + fresh_others == ledger.others


def test_another_ledger_is_read_from_its_beginning() -> None:
    """Counts of a ledger that is gone say nothing about a new one."""
    first = ledgers.add(None, [tally(1, 9)])
    second = ledgers.add(None, [tally(1, 3)])
    assert first.id != second.id

    fresh, _ = ledgers.unseen(second, ledgers.read_to(first))
    assert [each.flows for each in fresh] == [3]


def test_what_found_no_room_is_told_once() -> None:
    """A ledger that was read to its end tells nothing of it again."""
    ledger = ledgers.add(None, [tally(1, acl=str(number)) for number in range(500)])
    fresh, others = ledgers.unseen(ledger, Seen())
    assert sum(each.flows for each in fresh) + others == 500
    assert ledgers.unseen(ledger, ledgers.read_to(ledger)) == ([], 0)
    grown = ledgers.add(ledger, [tally(9, acl="another", flows=7)])
    assert ledgers.unseen(grown, ledgers.read_to(ledger)) == ([], 7)


def test_a_reader_that_has_forgotten_is_told_what_it_has_not_read() -> None:
    """By when it last read: all, what came after a pause, or nothing."""
    ledger = ledgers.add(None, [tally(1, 5)], now=1000)
    ledger = ledgers.add(ledger, [tally(1, 2), tally(2, 3)], now=1100)
    ledger = ledgers.add(ledger, [tally(1, 4), tally(3, 6)], now=90_000)
    ledger = ledgers.decode(ledgers.encode(ledger))

    def told(at: float) -> int:
        return sum(each.flows for each in ledgers.unseen(ledger, None, at)[0])

    assert [told(at) for at in (0, 1100, 1101, 89_000, 90_000, 90_001)] == [20, 20, 10, 10, 10, 0]
    assert ledgers.unseen(ledger, ledgers.read_to(ledger), 0) == ([], 0)


OLD = (
    '["ab12cd34",[[["/s/networksecuritygroups/web","WEB","UserRule_X",true,"TCP",1433,"inside"],'
    '7,1000,2000,[["10.0.0.1"],true],[["10.0.0.2"],true],{}]],3]'
)


def test_a_ledger_of_an_older_release_is_read_and_goes_on() -> None:
    """Its counts stay in place, and nobody takes it for one that was told."""
    old = ledgers.decode(OLD)
    assert ledgers.unseen(old, None, 10**10)[1] == 3
    assert ledgers.unseen(old, Seen("ab12cd34", (7,), 3)) == ([], 0)
    more = Tally(old.groups[0].key, 2, 0, 0)
    grown = ledgers.decode(ledgers.encode(ledgers.add(old, [more], now=10**9)))
    (fresh,), others = ledgers.unseen(grown, Seen("ab12cd34", (7,), 3))
    assert (fresh.flows, fresh.key.name, others) == (2, "web", 0)


def test_groups_of_an_older_release_keep_their_places() -> None:
    """Also those that differ in the case of a name alone: they are still told apart there."""
    first = ["/s/web", "WEB", "r", True, "TCP", 1, "inside"]
    second = [*first[:1], "web", *first[2:]]
    text = json.dumps(["id", [[first, 4, 0, 0], [second, 5, 0, 0]], 0])
    assert [each.flows for each in ledgers.decode(text).groups] == [4, 5]
    grown = ledgers.add(ledgers.decode(text), [tally(2)])
    assert [each.flows for each in grown.groups] == [4, 5, 1]


@given(
    st.lists(
        st.tuples(st.integers(0, 90_000), st.integers(1, 9), st.booleans()), min_size=1, max_size=20
    )
)
def test_forgetting_loses_nothing(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever the pauses: a reader that was there since, and forgot, is told just the rest."""
    ledger: Ledger | None = None
    now, counted, told, read_at = 1000.0, 0, 0, 0.0
    for pause, flows, reads in steps:
        now += pause + 1
        ledger = ledgers.add(ledger, [tally(1, flows)], now=now)
        counted += flows
        if reads:
            fresh, _ = ledgers.unseen(ledger, None, read_at)
            told += sum(each.flows for each in fresh)
            read_at = now + 0.5
            assert told >= counted
            told = counted
