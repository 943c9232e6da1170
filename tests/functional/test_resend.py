"""Dead letters sent after all: what each entry holds for whom, what stays, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate

import pytest

from devtools.estate import Estate
from devtools.flowlogs import CLOSER, HEAD, VNET_CONTAINER, Group, Nic, vnet_path, vnet_record
from nsgflow_core.delivery import resend
from nsgflow_core.delivery.dead_letters import INPUT, Entry, Letter, entry_of
from nsgflow_core.delivery.resend import Outcome, Plan, plan, send
from nsgflow_core.errors import (
    BadInputError,
    DataRefusedError,
    NsgflowError,
    RefusedError,
    TransientError,
)
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.source import BlobChangedError, BlobGoneError, BlockList
from nsgflow_core.model import Bad, BlobRef, Flow, Position
from nsgflow_core.sinks.in_order import deliver_in_order
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.rows import flow_id
from nsgflow_core.sinks.sink import Delivery, Item
from tests.functional.logs import azure_blocks, log, records
from tests.functional.world import REF, Blobs, Letters, MemorySink, World
from tests.unit.test_inventory import Graph

RECORDS = records(4, tuples=8)
PLACES = [len(HEAD) + at for at in accumulate((len(one) + 1 for one in RECORDS), initial=0)]
"""Where each record begins."""
OLD = "unknown flow log version 2"


@dataclass
class Taker(MemorySink):
    """A sink that also takes what it refused once more, and wants flows from `since` on."""

    since: int = 0
    sent: list[Item] = field(default_factory=list)
    judge: Callable[[Item], NsgflowError | None] = lambda _: None
    reach: Position | None = None
    patience: Patience | None = None

    def young(self, flows: Sequence[Flow]) -> Sequence[Flow]:
        """Those from `since` on."""
        return [flow for flow in flows if flow.time_ms >= self.since]

    def deliver(
        self,
        ref: BlobRef,
        flows: Sequence[Columns],
        start: Position,
        end: Position,
        patience: Patience,
    ) -> Delivery:
        """As ever, or only as far as `reach`."""
        self.patience = patience
        assert start == Position(0)
        delivery = super().deliver(ref, flows, start, end, patience)
        return delivery if self.reach is None else Delivery(self.reach, delivery.accepted)

    def resend(self, items: Sequence[Item], seconds: float) -> Delivery:
        """Post each by itself."""
        assert seconds == 60
        end = items[-1].after

        def post(some: Sequence[Item]) -> None:
            for item in some:
                if error := self.judge(item):
                    raise error
                self.sent.append(item)

        if self.reach is not None:
            return Delivery(self.reach)
        return deliver_in_order(([item] for item in items), post, end, end, Patience(seconds))


@pytest.fixture
def blobs() -> Blobs:
    """The log, whole."""
    made = Blobs()
    made.write(REF, azure_blocks(RECORDS))
    return made


def of_input(*bad: Bad, omitted: int = 0) -> Letter:
    """A letter of what could not be read."""
    return Letter(REF.account, REF.container, REF.path, INPUT, list(map(entry_of, bad)), omitted)


def old(number: int) -> Bad:
    """A whole record that an older parser did not know."""
    return Bad(PLACES[number], OLD, RECORDS[number])


def delivered(texts: Sequence[bytes], terms: str = "action=denied") -> list[str]:
    """FlowIds of an ordinary delivery of a log."""
    world = World([MemorySink("table", terms=terms)])
    world.blobs.write(REF, azure_blocks(texts))
    world.event()
    return sorted(world.sinks[0].accepted.elements())


def ids(flows: Sequence[Flow]) -> list[str]:
    """FlowIds, sorted."""
    return sorted(flow_id(REF, flow) for flow in flows)


@pytest.mark.parametrize("terms", ["action=denied", "", "port=443"])
def test_records_that_are_understood_now_are_as_if_never_lost(blobs: Blobs, terms: str) -> None:
    """Every flow that an ordinary delivery sends, under its FlowId, once and in order."""
    sinks = {"table": Taker("table", terms=terms), "webhook": Taker("webhook")}
    made = plan(of_input(old(3), old(0), old(1), old(2), old(1)), blobs, sinks)

    assert ids(made.flows["table"]) == delivered(RECORDS, terms)
    assert ids(made.flows["webhook"]) == delivered(RECORDS)
    places = [flow.position for flow in made.flows["table"]]
    assert places == sorted(places)
    assert (made.left, made.why, made.unwanted) == ([], [], 0)
    assert made.counts == {
        "table": len(delivered(RECORDS, terms)),
        "webhook": len(delivered(RECORDS)),
    }
    assert not blobs.requests  # the kept bytes tell all


@pytest.mark.parametrize("damage", [b"\xff", b"<", b"\x00"], ids=["no text", "text", "nul"])
def test_a_log_that_is_mended_is_delivered_in_all(damage: bytes) -> None:
    """What the function put aside and what it delivered add up to the whole log."""
    texts = [*RECORDS]
    texts[1] = damage + texts[1][1:]
    texts[2] = texts[2].replace(b'"Version":2', b'"Version":' + damage, 1)
    world = World([MemorySink("table")])
    world.blobs.write(REF, azure_blocks(texts))
    world.event()
    assert world.letters.bad
    world.blobs.write(REF, azure_blocks(RECORDS))
    sink = Taker("table")
    letter = of_input(*world.letters.bad)
    outcome = send(letter, plan(letter, world.blobs, {"table": sink}), {"table": sink}, Letters())

    assert outcome == Outcome([], {"table": sum(sink.accepted.values())})
    assert sorted((sink.accepted + world.sinks[0].accepted).elements()) == delivered(RECORDS)


def test_what_was_kept_in_part_is_read_from_the_log(blobs: Blobs) -> None:
    """Exactly its bytes, once; and the log is listed once for a letter."""
    letter = of_input(old(1), old(2))
    clipped = [
        Entry(one.offset, one.reason, one.size, one.encoding, one.data[:100])
        for one in letter.entries
    ]
    made = plan(
        Letter(REF.account, REF.container, REF.path, INPUT, clipped), blobs, {"t": Taker("t")}
    )

    alone = {*delivered(RECORDS[:3])} - {*delivered(RECORDS[:1])}
    assert ids(made.flows["t"]) == sorted(alone)
    assert not made.left
    assert blobs.bytes_read == len(RECORDS[1]) + len(RECORDS[2])
    assert blobs.requests == {"list": 1, "read": 2}


def test_the_piece_of_a_record_brings_what_it_stands_for(blobs: Blobs) -> None:
    """A tuple itself alone, by its number; anything else all of its record."""
    whole = plan(of_input(old(1)), blobs, {"t": Taker("t", terms="")}).flows["t"]
    fifth = whole[4]
    sink = {"t": Taker("t", terms="")}
    tuple_ = Bad(
        PLACES[1], f"tuple {fifth.ordinal} of the record, rule 'x': a port", fifth.text.encode()
    )
    assert plan(of_input(tuple_), blobs, sink).flows["t"] == [fifth]
    group = Bad(PLACES[1], "not an object with rule", b'"x"')
    assert plan(of_input(group), blobs, sink).flows["t"] == whole


def test_what_is_still_bad_stays_beside_what_is_not(blobs: Blobs) -> None:
    """As it is, under the reason of today where the bytes themselves are read."""
    flow = plan(of_input(old(1)), blobs, {"t": Taker("t", terms="")}).flows["t"][2]
    bad_text = flow.text.replace(",I,", ",Q,").replace(",O,", ",Q,").encode()
    broken = RECORDS[1].replace(flow.text.encode(), bad_text)
    blobs.write(REF, azure_blocks([RECORDS[0], broken, *RECORDS[2:]]))
    begin = f"tuple {flow.ordinal} of the record, "
    tuple_ = Bad(PLACES[1], f"{begin}rule 'x': a direction", bad_text)
    piece = Bad(PLACES[1], "not an object with rule", b'"x"')
    made = plan(of_input(tuple_, old(0)), blobs, {"t": Taker("t", terms="")})
    assert made.left == [entry_of(tuple_)]
    assert made.why == [f"byte {PLACES[1]}: {tuple_.reason}"]
    assert {one.position.offset for one in made.flows["t"]} == {PLACES[0]}
    assert made.unwanted == 0

    other = Bad(PLACES[1], "tuple 0 of the record, rule 'x': a port", b"")
    assert not plan(of_input(other), blobs, {"t": Taker("t", terms="")}).left
    made = plan(of_input(piece), blobs, {"t": Taker("t", terms="")})
    assert not made.left
    assert len(made.flows["t"]) == 7

    made = plan(of_input(Bad(PLACES[1], OLD, broken)), blobs, {"t": Taker("t", terms="")})
    (left,) = made.left
    assert (left.offset, left.content) == (PLACES[1], bad_text)
    assert left.reason.startswith(begin)
    assert made.why == [f"byte {PLACES[1]}: {left.reason}"]
    assert len(made.flows["t"]) == 7


def test_a_piece_that_reads_as_badly_as_before_stays(blobs: Blobs) -> None:
    """Told by its bytes, since pieces of a record but tuples have no number."""
    broken = RECORDS[1].replace(b'"flows":[{"rule"', b'"flows":["x",{"rule"', 1)
    assert broken != RECORDS[1]
    world = World([MemorySink("t")])
    world.blobs.write(REF, azure_blocks([RECORDS[0], broken]))
    world.event()
    (piece,) = world.letters.bad
    made = plan(of_input(piece), world.blobs, {"t": Taker("t")})
    assert (made.left, made.why) == ([entry_of(piece)], [f"byte {PLACES[1]}: {piece.reason}"])


@pytest.mark.parametrize(
    ("at", "data"), [(1, b"<"), (0, b"[1]"), (len(log(RECORDS)) + 1, b"<"), (PLACES[1] - 1, b"?")]
)
def test_where_no_record_begins_the_entry_stays(blobs: Blobs, at: int, data: bytes) -> None:
    """Neither the record behind the place is taken for it nor one before."""
    piece = Bad(at, "not JSON, or cut short", data)
    made = plan(of_input(piece), blobs, {"t": Taker("t")})
    assert (made.left, made.flows) == ([entry_of(piece)], {"t": []})
    assert made.why == [f"byte {at}: not JSON, or cut short"]


def test_a_large_record_is_found_from_its_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long, up to the largest; with few requests."""
    (large,) = records(1, tuples=5000)
    assert 4 * 64 * 1024 < len(large) < 16 * 64 * 1024
    blobs = Blobs()
    blobs.write(REF, azure_blocks([large, RECORDS[0]]))
    piece = Bad(len(HEAD), "not an object with rule", b"x")
    sink = {"t": Taker("t", terms="")}
    assert len(plan(of_input(piece), blobs, sink).flows["t"]) == 5000
    assert blobs.requests["read"] == 4

    monkeypatch.setattr(resend, "LARGEST_RECORD", len(large) - 1)
    assert plan(of_input(piece), blobs, sink).left == [entry_of(piece)]
    monkeypatch.setattr(resend, "LARGEST_RECORD", len(large))
    assert not plan(of_input(piece), blobs, sink).left


@pytest.mark.parametrize("error", [BlobGoneError, BlobChangedError])
def test_a_log_that_is_gone_keeps_only_what_needs_it(error: type[Exception]) -> None:
    """Entries that hold their record whole need none."""

    class Gone(Blobs):
        def list_blocks(self, ref: BlobRef) -> BlockList:
            raise error(str(ref))

    piece = Bad(PLACES[1], "not an object with rule", b"x")
    made = plan(of_input(piece, old(2)), Gone(), {"t": Taker("t")})
    assert made.left == [entry_of(piece)]
    assert made.why == [f"byte {PLACES[1]}: its flow log is gone or is just being written"]
    assert made.flows["t"]
    assert made.unwanted == 0


def test_what_nobody_takes_stays_unless_it_may_go(blobs: Blobs) -> None:
    """And is told apart: let through by no filter, or too old to alert."""
    sinks = {"t": Taker("t", terms="port=1"), "w": Taker("w", since=2**62)}
    made = plan(of_input(old(0)), blobs, sinks)
    assert made.why == [f"byte {PLACES[0]}: its flows are too old to alert"]
    assert (made.left, made.unwanted) == ([entry_of(old(0))], 1)
    made = plan(of_input(old(0), old(1)), blobs, {"t": sinks["t"]})
    assert made.why == [
        f"byte {place}: no filter lets its flows through" for place in (PLACES[0], PLACES[1])
    ]
    assert made.unwanted == 2

    piece = Bad(1, "not JSON, or cut short", b"<")
    made = plan(of_input(old(0), piece), blobs, sinks, drop=True)
    assert (made.left, made.unwanted) == ([entry_of(piece)], 0)
    taken = plan(of_input(old(0)), blobs, sinks | {"a": Taker("a")})
    assert (taken.left, taken.unwanted) == ([], 0)


def test_a_log_that_was_cut_off_is_done_with_when_it_has_gone_on() -> None:
    """Its cursor waited there: what came was delivered. While it is as it was the entry stays."""
    blobs = Blobs()
    begun = HEAD + RECORDS[0]
    no_end = Bad(len(begun), "cut off: the log has no end", b"")
    comma = Bad(len(begun), "cut off: the log has no end", b", ")
    for rest, left in [
        (b"", True),
        (b"  ", True),
        (b",", True),
        (CLOSER, False),
        (b"," + RECORDS[1], False),
        (b"," + RECORDS[1][:50], False),
        (b", \n" + RECORDS[1] + CLOSER, False),
        (b"<html>", False),
    ]:
        blobs.write(REF, [("all", begun + rest)])
        for piece in (no_end, comma):
            made = plan(of_input(piece), blobs, {"t": Taker("t")})
            assert made.left == ([entry_of(piece)] if left else []), rest
            assert made.unwanted == 0
            assert made.flows == {"t": []}


def test_a_record_that_was_cut_off_is_sent_when_it_is_whole() -> None:
    """Again if it was delivered since, under the same FlowIds; not while it is in parts."""
    blobs = Blobs()
    begun = HEAD + RECORDS[0] + b","
    piece = Bad(PLACES[1], "cut off within a record", RECORDS[1][:90])
    blobs.write(REF, [("all", begun + RECORDS[1][:90])])
    assert plan(of_input(piece), blobs, {"t": Taker("t")}).left == [entry_of(piece)]
    blobs.write(REF, [("all", begun + RECORDS[1] + CLOSER)])
    made = plan(of_input(piece), blobs, {"t": Taker("t")})
    assert not made.left
    assert {flow.position.offset for flow in made.flows["t"]} == {PLACES[1]}
    made = plan(of_input(piece), blobs, {"t": Taker("t", terms="port=1")})
    assert (made.left, made.unwanted) == ([], 0)


def test_flows_are_judged_with_what_is_known(blobs: Blobs) -> None:
    """A GUID goes by the name of its NSG, as in a delivery."""
    guid = "1a2b3c4d-0000-0000-0000-000000000001"
    estate = Estate()
    estate.nsg("Prod-Web", guid)
    known = Knowledge(None, Inventory(read_inventory(Graph(estate))))
    at = datetime(2026, 11, 23, 8, tzinfo=UTC)
    denied = f"{at.timestamp() * 1000:.0f},10.0.0.9,10.5.16.4,5,22,6,I,D,NX,0,0,0,0"
    record = vnet_record(Nic(), at, [Group("UserRule_X", (denied,), acl=guid)]).data
    place = ("logs", VNET_CONTAINER, vnet_path(Nic(), at))
    letter = Letter(*place, INPUT, [entry_of(Bad(12, OLD, record))])
    sinks = {"t": Taker("t", terms="nsg=prod-*")}
    (flow,) = plan(letter, blobs, sinks, known).flows["t"]
    assert flow.group.acl_name == "Prod-Web"
    assert plan(letter, blobs, sinks).flows["t"] == []


def refused(*names: bytes, size: int = 0) -> Letter:
    """A letter of rows that the table refused; with `size` each was longer than what is kept."""
    entries = [
        Entry(100 + at, "413", size or len(name), "utf-8", name.decode(), at + 1, f"id {at}")
        for at, name in enumerate(names)
    ]
    return Letter(REF.account, REF.container, REF.path, "table", entries)


def test_what_was_refused_is_sent_as_it_was(blobs: Blobs) -> None:
    """With its place and id; what is accepted leaves the letter."""
    sink = Taker("table")
    letter = refused(b"a", b"b", b"c")
    made = plan(letter, blobs, {"table": sink, "webhook": Taker("webhook")})
    assert made.counts == {"table": 3}
    assert (made.left, made.flows, sink.sent) == ([], {}, [])
    sink.judge = lambda item: DataRefusedError("no") if item.payload == b"b" else None
    outcome = send(letter, made, {"table": sink}, Letters())

    assert sink.sent == [
        Item(b"a", Position(100, 1), id="id 0"),
        Item(b"c", Position(102, 3), id="id 2"),
    ]
    assert outcome == Outcome([letter.entries[1]], {"table": 2}, 1)


def test_what_was_kept_in_part_cannot_be_sent(blobs: Blobs) -> None:
    """It stays, and the reason says how much is missing."""
    letter = refused(b"abc", size=70_000)
    sinks = {"table": Taker("table")}
    made = plan(letter, blobs, sinks)
    assert made.why == ["byte 100: only the first bytes of 70000 were kept"]
    assert made.counts == {}
    outcome = send(letter, made, sinks, Letters())
    assert outcome == Outcome(letter.entries)


def test_a_letter_of_a_sink_that_is_not_there_is_said(blobs: Blobs) -> None:
    """And its name is cut, since whoever wrote the letter chose it."""
    with pytest.raises(BadInputError, match=r"^the sink 'table' is not configured here$"):
        plan(refused(b"a"), blobs, {"webhook": Taker("webhook")})
    letter = Letter(REF.account, REF.container, REF.path, "x" * 500, [])
    with pytest.raises(BadInputError, match=f"^the sink '{'x' * 40}' is"):
        plan(letter, blobs, {"webhook": Taker("webhook")})


def test_a_sink_that_fails_keeps_no_other_from_its_part(blobs: Blobs) -> None:
    """Its error is told, and what the other accepted."""
    sinks = {"a": Taker("a"), "b": Taker("b"), "none": Taker("none", terms="port=1")}
    sinks["a"].answer = lambda _: RefusedError("403")
    letter = of_input(old(0), Bad(1, "not JSON, or cut short", b"<"))
    outcome = send(letter, plan(letter, blobs, sinks), sinks, Letters())

    assert outcome.accepted == {"b": len(delivered(RECORDS[:1]))}
    assert {name: str(error) for name, error in outcome.errors.items()} == {"a": "403"}
    assert outcome.left == letter.entries[1:]
    assert sinks["none"].patience is None
    patience = sinks["b"].patience
    assert patience is not None
    assert 50 < patience.left() <= 60


def test_what_is_refused_alone_becomes_a_letter_of_its_own(blobs: Blobs) -> None:
    """As in a delivery; the letter of the input is done with it."""
    sinks = {"t": Taker("t", batch=1), "w": Taker("w")}
    letter = of_input(old(0))
    made = plan(letter, blobs, sinks)
    first = made.flows["t"][0].text
    sinks["t"].answer = lambda flows: DataRefusedError("no") if flows[0].text == first else None
    letters = Letters()
    outcome = send(letter, made, sinks, letters)

    assert [(name, one.reason) for name, one in letters.refused] == [("t", "no")]
    total = len(delivered(RECORDS[:1]))
    assert outcome == Outcome([], {"t": total - 1, "w": total})


def test_a_sink_whose_time_runs_out_is_an_error(blobs: Blobs) -> None:
    """Of flows and of what was refused alike: the letter must stay."""
    sink = Taker("table", reach=Position(3))
    said = "table: not everything was accepted within 60 s"
    for letter in (of_input(old(0)), refused(b"a")):
        outcome = send(letter, plan(letter, blobs, {"table": sink}), {"table": sink}, Letters())
        error = outcome.errors["table"]
        assert isinstance(error, TransientError)
        assert str(error) == said


def test_an_empty_plan_sends_nothing() -> None:
    """Nobody is asked."""
    sink = Taker("table", reach=Position(3))
    made = Plan({"table": []}, {"table": []})
    assert send(of_input(), made, {"table": sink}, Letters()) == Outcome([])
