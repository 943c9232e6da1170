"""The look for flows let through finds what reading everything finds, and no more."""

import random
from datetime import UTC, datetime, timedelta
from typing import Literal
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from devtools.flowlogs import Group, Nic, large_log, nsg_path, nsg_record, vnet_path
from nsgflow_core.delivery import looking
from nsgflow_core.delivery.looking import Lately, Look
from nsgflow_core.digests import ledger as ledgers
from nsgflow_core.digests.groups import Key, Tally, example_of, key_of
from nsgflow_core.digests.ledger import MAX_LEDGER, Ledger, Passed
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.sought import TICK, Sought, passed
from nsgflow_core.estate.knowledge import NOTHING
from nsgflow_core.estate.scope import INSIDE
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.path import LogPath, parse_path
from nsgflow_core.model import BlobRef, Flow

HOUR = datetime(2026, 1, 1, 12, tzinfo=UTC)
START = 4096
LATE = 10**14


def log_of(version: Literal[1, 2, 4]) -> LogPath:
    """The log that the records are of."""
    return parse_path((vnet_path if version == 4 else nsg_path)(Nic(), HOUR))


def read(data: bytes, log: LogPath) -> list[Flow]:
    """All flows of a log, read one record at a time."""
    found = records.split(data, START, last=True).records
    return [flow for raw in found for flow in flows.read(raw, log, [], denied_only=False)]


def look(data: bytes, log: LogPath, start: int = START) -> Look:
    """The look into a log read for its denied flows, of which much more was read before."""
    ref = BlobRef("account", "container", "path")
    reading = flows.read_stretch(data, start, ref, log, last=True, denied_only=True)
    whole = replace(reading, end=start + len(data), read_to=LATE)
    return Look(data, start, whole, log, NOTHING)


def ledger_of(chosen: list[tuple[Flow, int]]) -> Ledger:
    """A ledger in which these flows were denied last at these times."""
    tallies = [
        Tally(
            replace(key_of(flow, NOTHING), rule="UserRule_Deny"),
            1,
            last,
            last,
            examples=Sample((example_of(flow),)),
        )
        for flow, last in chosen
    ]
    return ledgers.add(None, tallies, 0.0, "log")


def oracle(one: Sought, every_flow: list[Flow]) -> list[Passed]:
    """What all flows say of one: those let through after the last that was denied, or that."""
    same = [flow for flow in every_flow if example_of(flow) == one.example]
    denied = max((flow.time_ms for flow in same if flow.denied), default=0)
    let = [seen for flow in same if (seen := passed(flow, one, NOTHING))]
    later = [seen for seen in let if seen.at >= denied + TICK]
    again = [Passed(one.key.id, one.example, 0, denied, "")] if denied > one.last else []
    return later or again


@pytest.mark.parametrize("version", [1, 2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_it_finds_what_reading_all_finds(
    monkeypatch: pytest.MonkeyPatch, version: Literal[1, 2, 4], seed: int
) -> None:
    """Of flows of the log, denied before or behind the time at which they are let through."""
    monkeypatch.setattr(looking, "MOST_BYTES", 1 << 20)
    rng = random.Random(seed)
    data = large_log(rng.choice((1, 3, 12)), rng.choice((3, 40)), 0.3, version, seed)
    log = log_of(version)
    every_flow = read(data, log)
    chosen = [
        (flow, flow.time_ms + rng.choice((-60_000, -1000, -999, 0, 60_000)))
        for flow in rng.sample(every_flow, min(6, len(every_flow)))
    ]
    known = ledger_of(chosen)
    wanted = [
        Sought(tally.key, example, tally.last)
        for tally in known.groups
        for example in tally.examples.values
        if tally.examples.complete
    ]
    every = [seen for one in wanted for seen in oracle(one, every_flow)]
    found = look(data, log).passed(known, ())

    assert {(one.group, one.example) for one in found} == {
        (one.group, one.example) for one in every
    }
    assert {*found} <= {*every}
    begun = [one for one in every if one.rule]
    assert version != 1 or not begun, "which does not say what begins"


def test_enough_of_them_are_let_through() -> None:
    """The test above must be able to fail."""
    found = 0
    for seed in range(8):
        data = large_log(1, 40, 0.3, 4, seed)
        every_flow = read(data, log_of(4))
        known = ledger_of([(flow, 0) for flow in every_flow if flow.state == "B"][:6])
        found += len(look(data, log_of(4)).passed(known, ()))
    assert found > 20


def test_it_looks_at_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last bytes, for so many flows; who is left out has a turn in another window."""
    data = large_log(30, 40, 0.3, 4, 1)
    log = log_of(4)
    every_flow = read(data, log)
    begun = [flow for flow in every_flow if flow.state == "B"]
    known = ledger_of([(flow, 0) for flow in begun[:30]])
    monkeypatch.setattr(looking, "MOST_BYTES", len(data) // 3)
    found = [look(data, log, start).passed(known, ()) for start in range(40)]
    assert {len(one) for one in found} <= {0, 1}
    monkeypatch.setattr(looking, "MOST_BYTES", 100 * len(data))
    monkeypatch.setattr(looking, "MOST_FLOWS", 2)
    turns = [look(data, log, start).passed(known, ()) for start in range(99)]
    examples = {one.example for of_turn in turns for one in of_turn}
    few = [tally.examples for tally in known.groups if tally.examples.complete]
    assert examples == {example for sample in few for example in sample.values}
    assert max(len(sample.values) for sample in few) > 2


ENDS = "10.0.0.1 10.0.0.2 443"
KEY = Key("/nsgs/a", "a", "r", inbound=True, protocol="TCP", port=443, scope=INSIDE)


def tuple_of(second: int, end: str) -> str:
    """A tuple between the same ends, in that second of the hour."""
    return f"{round(HOUR.timestamp()) + second},10.0.0.1,10.0.0.2,50000,443,T,I,{end}"


def test_what_was_seen_let_through_is_looked_at_in_few_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However much passes between the same ends, and a denied one is found wherever it stands."""
    denied_one = Group("UserRule_Deny", (tuple_of(60, "D,B,,,,"),))
    others = Group("UserRule_Allow", (tuple_of(61, "A,C,1,60,1,60"),) * 5000)
    data = nsg_record(Nic(), HOUR, [denied_one, others]).data
    assert len(data) > 2 * looking.MOST_BYTES
    places = Mock(wraps=looking._BEGINS)
    monkeypatch.setattr(looking, "_BEGINS", places)
    at = round(HOUR.timestamp()) * 1000
    one = Passed(KEY.id, ENDS, at + 2000, at + 2000, "UserRule_Allow")
    known = ledgers.noted(denied(0), [one], "log")
    found = look(data, log_of(2)).passed(known, ())

    assert found == [Passed(KEY.id, ENDS, 0, at + 60_000, "")]
    assert places.match.call_count == looking.MOST_HITS


@pytest.mark.parametrize(
    "data", [b"", b"]}", b"{", b'{"time":"x",10.0.0.1,10.0.0.2,', b"\xff" * 99]
)
def test_what_is_no_record_has_no_flows(data: bytes) -> None:
    """Whatever the bytes."""
    one = Tally(KEY, 1, 0, 0, examples=Sample(("10.0.0.1 10.0.0.2 443",)))
    for text in (data, data + b'"1,10.0.0.1,10.0.0.2,1,443,T,I,A,B,,,,"'):
        assert not look(text, log_of(2)).passed(ledgers.add(None, [one]), ())


def denied(minute: int, example: str = "10.0.0.1 10.0.0.2 443") -> Ledger:
    """A ledger with a group that was denied in a minute of the hour."""
    last = round((HOUR + timedelta(minutes=minute)).timestamp() * 1000)
    return ledgers.add(None, [Tally(KEY, 1, last, last, examples=Sample((example,)))])


def test_the_end_of_an_hour_is_remembered_for_the_next() -> None:
    """Not its beginning, not for the log of another, and not for ever."""
    lately, next_hour = Lately(), HOUR + timedelta(hours=1)
    lately.keep("a", HOUR, {"webhook": denied(45)})
    lately.keep("b", HOUR, {"webhook": denied(15)})
    assert [few.examples for few in lately.before("a", next_hour)["webhook"]] == [
        ("10.0.0.1 10.0.0.2 443",)
    ]
    assert not lately.before("b", next_hour)
    assert not lately.before("a", HOUR)
    for number in range(5000):
        lately.keep(str(number), HOUR, {"webhook": denied(45)})
    assert not lately.before("a", next_hour)
    lately.keep("a", HOUR, {"webhook": denied(45)})
    lately.keep("a", HOUR + timedelta(hours=2), {"webhook": denied(45)})
    assert not lately.before("a", next_hour)


def test_a_ledger_notes_the_newest_and_fits() -> None:
    """A repeat changes nothing; of too many the newest stay, and none where there is no room."""
    one = Passed("id", "a b 1", 5, 7, "r")
    noted = ledgers.noted(None, [one], "log")
    assert noted == ledgers.noted(noted, [one, replace(one, at=6)], "log")
    assert ledgers.decode(ledgers.encode(noted)) == noted
    many = [replace(one, example=f"fd00::{n:x} fd00:1::{n:x} 443", at=n) for n in range(300)]
    full = ledgers.noted(denied(1), many, "log")
    assert [each.at for each in full.passed] == [*range(299, 235, -1)]
    ends = Sample(tuple(f"2001:db8:1111:2222:3333:4444:5555:{n:04x}" for n in range(12)))
    names = [replace(KEY, acl="/" + "a" * 255, port=port) for port in range(64)]
    large = ledgers.add(full, [Tally(key, 1, 0, 0, ends, ends) for key in names])
    assert large.passed == full.passed, "counting more leaves them"
    assert len(ledgers.encode(large)) <= MAX_LEDGER
