"""A group is over when its flows are seen let through again, and on nothing less."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from devtools.flowlogs import Nic
from nsgflow_core.digests.message import ALLOWED, LATE, QUIET, Ended
from nsgflow_core.digests.reach import Swept
from nsgflow_core.model import BlobRef
from tests.functional.digest_world import HOUR, App, nics
from tests.functional.world import MemorySink

NSG = "/SUBSCRIPTIONS/0/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/NSG-0"
CLIENT = "10.9.0.4"


def flow(
    at: datetime,
    said: str,
    nic: Nic,
    src: str = CLIENT,
    port: int = 1433,
    way: str = "I",
    protocol: str = "T",
) -> str:
    """A tuple ten seconds before a time; `said` is its decision and state."""
    state = f"{said},,,,"
    return f"{at.timestamp() - 10:.0f},{src},{nic.ip},50000,{port},{protocol},{way},{state}"


def record(nic: Nic, at: datetime, *rules: tuple[str, list[str]], nsg: str = NSG) -> bytes:
    """A record of an NSG log."""
    lists = ",".join(
        f'{{"rule":"{rule}","flows":[{{"mac":"{nic.mac}","flowTuples":['
        f"{','.join(f'{chr(34)}{text}{chr(34)}' for text in texts)}]}}]}}"
        for rule, texts in rules
    )
    return (
        f'{{"time":"{at:%Y-%m-%dT%H:%M:%S}.0000000Z","category":"NetworkSecurityGroupFlowEvent",'
        f'"resourceId":"{nsg}","properties":{{"Version":2,"flows":[{lists}]}}}}'
    ).encode()


class Story:
    """What is written to the logs of a few interfaces, minute by minute, and what is told."""

    def __init__(self, interfaces: int = 1, minute: int = 5, terms: str = "action=denied") -> None:
        self.app = App(terms)
        self.nics = nics(interfaces, nsgs=1)
        self.app.clock.seconds = (HOUR + timedelta(minutes=minute)).timestamp()

    @property
    def now(self) -> datetime:
        """The time in the story."""
        return datetime.fromtimestamp(self.app.clock(), UTC)

    def write(self, *texts: bytes, nic: int = 0) -> BlobRef:
        """Records and their event."""
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        ref = self.app.write(self.nics[nic], *texts, hour=hour)
        self.app.event(ref)
        return ref

    def denied(self, nic: int = 0, rule: str = "UserRule_Deny", **more: str | int) -> BlobRef:
        """A flow that a rule denies."""
        one = flow(self.now, "D,B", self.nics[nic], **more)  # type: ignore[arg-type]
        return self.write(record(self.nics[nic], self.now, (rule, [one])), nic=nic)

    def allowed(self, nic: int = 0, said: str = "A,B", nsg: str = NSG, **more: str | int) -> None:
        """The same, let through by another."""
        one = flow(self.now, said, self.nics[nic], **more)  # type: ignore[arg-type]
        rules = (
            ("UserRule_Web", ["1,10.0.0.1,10.0.0.2,1,1,T,O,A,B,,,,"]),
            ("UserRule_AllowSql", [one]),
        )
        self.write(record(self.nics[nic], self.now, *rules, nsg=nsg), nic=nic)

    def go_on(self, minutes: float) -> None:
        """Time passes, with the timer and sweeps."""
        self.app.table.swept = Swept(self.app.clock())
        self.app.minutes(minutes)

    @property
    def ends(self) -> list[Ended]:
        """What was told to be over."""
        return [at for digest in self.app.receiver.digests.values() for at in digest.ended]


def test_it_is_over_when_the_flow_is_let_through() -> None:
    """In the next update or in the same, five minutes after the last denied one."""
    story = Story()
    story.denied()
    story.go_on(2)
    story.allowed()
    story.go_on(2.5)
    assert not story.ends, "flows come late"
    story.go_on(1)
    (end,) = story.ends
    assert (end.because, end.flows, bool(end.incident)) == (ALLOWED, 1, True)
    assert (
        end.said == "the same flow is let through again since 08:06 UTC by rule UserRule_AllowSql"
    )


def test_the_same_window_may_have_both() -> None:
    """Late updates hold many minutes."""
    story = Story()
    nic, now = story.nics[0], story.now
    then = now + timedelta(minutes=1)
    story.write(
        record(nic, now, ("UserRule_Deny", [flow(now, "D,B", nic)])),
        record(nic, then, ("UserRule_Allow", [flow(then, "A,B", nic)])),
    )
    story.go_on(6)
    assert [end.because for end in story.ends] == [ALLOWED]


def test_a_webhook_that_is_a_digest_no_more_looks_no_more() -> None:
    """It has no denied flows at hand, so what is let through and denied again would seem over."""
    story = Story()
    story.denied()
    story.app.pipeline = story.app.pipeline_to(MemorySink("webhook"))
    nic, now = story.nics[0], story.now
    then, later = now + timedelta(minutes=1), now + timedelta(minutes=2)
    story.write(
        record(nic, then, ("UserRule_Allow", [flow(then, "A,B", nic)])),
        record(nic, later, ("UserRule_Deny", [flow(later, "D,B", nic)])),
    )
    story.go_on(6)
    assert not story.ends


@pytest.mark.parametrize(
    "allowed",
    [
        partial(Story.allowed, said="A,C"),
        partial(Story.allowed, said="A,E"),
        partial(Story.allowed, port=1434),
        partial(Story.allowed, src="10.9.0.5"),
        partial(Story.allowed, protocol="U"),
        partial(Story.allowed, way="O"),
        partial(Story.allowed, nsg=NSG.replace("NSG-0", "NSG-1")),
        partial(Story.allowed, nic=1),
    ],
)
def test_another_flow_says_nothing(allowed: partial[None]) -> None:
    """Of an open connection, another port, host, protocol, direction, NSG, or interface."""
    story = Story(2)
    story.denied()
    story.go_on(2)
    allowed(story)
    story.go_on(6)
    assert not story.ends


def test_one_that_is_older_says_nothing() -> None:
    """Nor one of the same second, since it may have been before."""
    story = Story()
    story.allowed()
    story.denied()
    story.go_on(6)
    assert not story.ends


def test_of_two_flows_both_must_pass() -> None:
    """Whatever the order, and each at its own interface."""
    story = Story(2)
    story.denied()
    story.denied(nic=1, src="10.9.0.5")
    story.go_on(2)
    story.allowed()
    story.go_on(6)
    assert not story.ends
    story.allowed(nic=1)
    story.go_on(1)
    assert not story.ends, "that is the first one, where it was never denied"
    story.allowed(nic=1, src="10.9.0.5")
    story.go_on(1)
    assert [end.because for end in story.ends] == [ALLOWED]


def test_a_denial_after_it_begins_again() -> None:
    """It is new, as after any end, when its repeat time is over."""
    story = Story()
    story.denied()
    story.go_on(1)
    story.allowed()
    story.go_on(6)
    assert len(story.ends) == 1
    story.denied()
    story.go_on(12)
    assert len(story.app.receiver.digests) == 3
    (again,) = [*story.app.receiver.digests.values()][-1].about.values()
    assert again.times == 0


def test_a_denial_before_the_end_is_told_takes_the_evidence_away() -> None:
    """What was let through before it says nothing any more, and what is after it does."""
    story = Story()
    story.denied()
    story.go_on(1)
    story.allowed()
    story.go_on(2)
    story.denied()
    story.go_on(8)
    assert not story.ends
    story.allowed()
    story.go_on(1)
    (end,) = story.ends
    assert (end.flows, end.fresh) == (2, 1)
    assert " since 08:15 UTC " in end.said


@pytest.mark.parametrize("together", [False, True])
def test_a_denial_that_nobody_counts_takes_the_evidence_away(*, together: bool) -> None:
    """By a rule that the filter leaves out: the flow is denied all the same, whatever by."""
    story = Story(terms="action=denied !rule=DefaultRule_DenyAllInBound")
    story.denied()
    story.go_on(1)
    if not together:
        story.allowed()
    story.go_on(1)
    nic, now = story.nics[0], story.now
    then = now + timedelta(seconds=30)
    rules = [("DefaultRule_DenyAllInBound", [flow(then, "D,B", nic)])]
    if together:  # a record has its tuples by rules, and not by time
        rules.append(("UserRule_Allow", [flow(now, "A,B", nic)]))
    story.write(record(nic, then, *rules))
    story.go_on(9)
    assert not story.ends
    story.allowed()
    story.go_on(1)
    assert [end.because for end in story.ends] == [ALLOWED]


@pytest.mark.parametrize("table", [False, True])
def test_a_denial_that_nobody_counts_is_seen_beside_a_table_of_all_flows(*, table: bool) -> None:
    """Where it stands before many allowed ones of its record, too; over the end of the hour."""
    story = Story(minute=58, terms="action=denied !rule=DefaultRule_DenyAllInBound")
    if table:
        all_flows = MemorySink("table", 1000, "action=allowed,denied")
        story.app.pipeline = story.app.pipeline_to(story.app.sink, all_flows)
    story.denied()
    story.go_on(1)
    story.allowed()
    story.go_on(1.5)
    nic, now = story.nics[0], story.now
    others = [flow(now, "A,E", nic, src="10.7.0.9", port=port) for port in range(700)]
    last = flow(now, "D,B", nic, src="10.9.0.77", port=99)
    rules = [
        ("DefaultRule_DenyAllInBound", [flow(now, "D,B", nic)]),
        ("UserRule_Web", others),
        ("DefaultRule_DenyAllInBound", [last]),
    ]
    story.write(record(nic, now, *rules))
    story.go_on(9)
    assert not story.ends


@pytest.mark.parametrize("minutes", [2, 45])
def test_what_was_denied_while_nobody_counted_is_not_over(minutes: int) -> None:
    """The webhook posted at once for a while, and is one of digests again."""
    story = Story()
    digests, at_once = story.app.pipeline, story.app.pipeline_to(MemorySink("webhook"))
    story.denied()
    story.go_on(1)
    story.allowed()
    story.app.pipeline = at_once
    for _ in range(minutes):
        story.app.clock.seconds += 60
        story.denied()
    story.app.pipeline = digests
    story.app.clock.seconds += 60
    for _ in range(4):
        story.allowed(src="10.9.0.200")
        story.go_on(10)
    assert not story.ends
    story.denied()
    story.go_on(1)
    story.allowed()
    story.go_on(6)
    assert [end.because for end in story.ends] == [ALLOWED]


def test_a_log_whose_groups_found_no_room_ends_none() -> None:
    """A flow of the group may have been counted as another one's, all its ports together."""
    story = Story(minute=58)
    story.denied()
    story.go_on(3)
    story.allowed()
    for number in range(90):
        story.denied(src="10.9.7.7", port=3000 + number)
    story.denied()
    story.denied(port=1434)
    (row,) = [row for row in story.app.table.rows.values() if row.hour > HOUR]
    ledger = row.ledgers["webhook"]
    assert ledger.is_full
    for _ in range(20):
        story.go_on(2)
        story.denied()
    assert not [end for end in story.ends if end.key.port == 1433]


def test_what_comes_late_of_the_same_second_is_no_new_fault() -> None:
    """NSG logs write whole seconds."""
    story = Story(2)
    story.denied()
    late = story.now
    story.go_on(1)
    story.allowed()
    story.go_on(6)
    assert len(story.ends) == 1
    story.go_on(20)
    nic = story.nics[1]
    story.write(record(nic, late, ("UserRule_Deny", [flow(late, "D,B", nic)])), nic=1)
    story.go_on(1)
    last = [*story.app.receiver.digests.values()][-1]
    assert [(end.because, end.incident) for end in last.ended] == [(LATE, "")]


def test_many_flows_do_not_end_by_it() -> None:
    """With more than four nobody knows whether all pass: they are quiet some time later."""
    story = Story()
    for number in range(5):
        story.denied(src=f"10.9.0.{number}")
    story.go_on(1)
    for _ in range(7):
        for number in range(5):
            story.allowed(src=f"10.9.0.{number}")
        story.go_on(7)
    assert [end.because for end in story.ends] == [QUIET]


def test_over_the_end_of_the_hour() -> None:
    """The next hour is a blob of its own; who had the last one looks for it there."""
    story = Story(minute=58)
    story.denied()
    story.go_on(3)
    story.allowed()
    (row,) = [row for row in story.app.table.rows.values() if row.hour > HOUR]
    assert [one.example for one in row.ledgers["webhook"].passed] == ["10.9.0.4 10.5.0.1 1433"]
    story.go_on(4)
    assert [end.because for end in story.ends] == [ALLOWED]
    assert " since 09:00 UTC " in story.ends[0].said
    (later,) = [seen for name, seen in story.app.store.state.seen.items() if name.endswith("T08")]
    assert later


def test_an_older_fault_ends_where_each_log_shows_each_flow() -> None:
    """Hours that are read no more had flows that nobody knows the logs of."""
    story = Story(2)
    story.denied()
    story.denied(nic=1)
    for _ in range(12):
        story.go_on(20)
        story.denied()
    story.denied(nic=1, src="10.9.0.5")
    story.go_on(1)
    story.allowed()
    story.allowed(nic=1, src="10.9.0.5")
    story.go_on(7)
    assert not story.ends, "the second had another flow, hours ago"


def test_addresses_as_written() -> None:
    """What is written in another form is not found, and other evidence ends it."""
    story = Story()
    story.denied(src="fd00::4")
    story.go_on(1)
    story.allowed(src="FD00::4")
    story.go_on(6)
    assert not story.ends
    story.allowed(src="fd00::4")
    story.go_on(1)
    assert [end.because for end in story.ends] == [ALLOWED]
