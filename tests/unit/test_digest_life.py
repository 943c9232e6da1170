"""The life of groups: what is one, when it is told again, and what is evidence of its end."""

import hashlib
import subprocess
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from devtools.estate import Estate, rule
from nsgflow_core.digests import wording
from nsgflow_core.digests.groups import MANY_LOGS, MANY_PORTS, Key, Tally, count, shown
from nsgflow_core.digests.life import Life, begun, end_of, grown, is_due
from nsgflow_core.digests.memory import State
from nsgflow_core.digests.message import ALLOWED, QUIET, TURNED, UNKNOWN, About, Digest
from nsgflow_core.digests.reach import Reach, Read, Swept, hours_behind, unknown
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.scans import MAX_ALONE, fold
from nsgflow_core.digests.silences import Silence, silencing
from nsgflow_core.digests.turned import turned
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.scope import INSIDE
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made
from tests.unit.test_inventory import Graph

AT = 1_795_421_000_000
NOW = AT / 1000
QUIET_SECONDS = 1800.0


def tally(port: int | None = 1433, source: str = "10.0.0.1", acl: str = "/nsgs/a") -> Tally:
    """A group of one source."""
    key = Key(acl, "web", "deny", inbound=True, protocol="TCP", port=port, scope=INSIDE)
    return Tally(key, 2, AT, AT, Sample((source,)), Sample(("10.0.1.1",)), name="web")


def told(one: Tally, times: int = 1, at: float = NOW) -> Life:
    """Its life when it was told so often."""
    return replace(grown([one], {}, {}, "d", at)[one.key.id], times=times)


@pytest.mark.parametrize(
    ("times", "repeat", "minutes"),
    [(1, 900, 15), (2, 900, 30), (3, 900, 60), (20, 900, 24 * 60), (9, 0, 0), (1, 172_800, 2880)],
)
def test_it_is_told_again_after_twice_as_long(times: int, repeat: float, minutes: float) -> None:
    """Up to a day, or the repeat time itself where that is longer."""
    life = told(tally(), times)
    assert is_due(life, repeat, NOW + 60 * minutes)
    assert not minutes or not is_due(life, repeat, NOW + 60 * minutes - 1)


@pytest.mark.parametrize(
    ("logs", "reached", "hours", "because"),
    [
        ({"m:a": AT}, {"m:a": AT + 1_800_000}, 1, QUIET),
        ({"m:a": AT}, {"m:a": AT + 1_799_999}, 1, ""),
        ({"m:a": AT}, {}, 1, ""),
        ({"m:a": AT, "n:b": AT}, {"m:a": AT + 1_800_000}, 1, ""),
        ({"m:a": AT}, {"m:a": AT + 1_800_000}, 0.4, ""),
        ({MANY_LOGS: AT}, {"m:a": AT + 10**9}, 1, ""),
        ({"m:a": AT}, {}, 25, UNKNOWN),
    ],
)
def test_what_is_evidence_of_an_end(
    logs: dict[str, int], reached: dict[str, int], hours: float, because: str
) -> None:
    """Every log that had it went on for as long, and nobody is asked by the clock alone."""
    one = tally()
    life = told(Tally(one.key, 2, AT, AT, seen_in=logs))

    def went_on(log: str, _last: int, until: int) -> bool:
        return reached.get(log, 0) >= until

    assert end_of(life, went_on, "", "", QUIET_SECONDS, NOW + 3600 * hours)[0] == because
    for known, kind in ((("", "now allowed"), TURNED), (("let through", "now allowed"), ALLOWED)):
        assert end_of(life, unknown, *known, QUIET_SECONDS, NOW + 301)[0] == kind
        assert end_of(life, unknown, *known, QUIET_SECONDS, NOW + 299)[0] == ""


def hour(number: int) -> datetime:
    """An hour of the day."""
    return datetime(2026, 11, 23, number, tzinfo=UTC)


def ms(number: int, minute: int) -> int:
    """A time of the day, in milliseconds."""
    return round(hour(number).timestamp() * 1000) + 60_000 * minute


def whole(to: int) -> Read:
    """Of a log of which nothing is left."""
    return Read(to, whole=True)


def part(to: int) -> Read:
    """Of a log of which something may be left."""
    return Read(to, whole=False)


Hours = dict[int, dict[str, Read]]


@pytest.mark.parametrize(
    ("swept", "left", "hours", "went_on"),
    [
        (0, [], {8: {"a": part(ms(8, 40))}}, True),
        (0, [], {8: {"a": whole(ms(8, 39))}}, False),
        (ms(9, 59), [], {8: {"a": whole(ms(8, 39))}}, False),
        (ms(9, 9), [], {8: {"a": whole(ms(8, 39))}, 9: {"a": whole(ms(9, 1))}}, False),
        (ms(9, 10), [], {8: {"a": whole(ms(8, 39))}, 9: {"a": part(ms(9, 1))}}, True),
        (ms(9, 10), [], {8: {"a": part(ms(8, 39))}, 9: {"a": whole(ms(9, 1))}}, False),
        (ms(9, 10), [8], {8: {"a": whole(ms(8, 39))}, 9: {"a": whole(ms(9, 1))}}, False),
        (ms(9, 10), [7], {8: {"a": whole(ms(8, 39))}, 9: {"a": whole(ms(9, 1))}}, True),
        (ms(9, 10), [], {9: {"a": whole(ms(9, 1))}}, False),
        (ms(9, 10), [], {8: {}, 9: {"a": whole(ms(9, 1))}}, True),
        (ms(9, 10), [], {8: {"a": whole(ms(8, 39))}, 9: {"b": whole(ms(9, 1))}}, False),
    ],
)
def test_which_hours_say_that_a_log_went_on(
    swept: int, left: list[int], hours: Hours, went_on: bool
) -> None:
    """Its own up to where it was read; a later one where nothing is left of those before."""
    reach = Reach(Swept(swept / 1000, frozenset(map(hour, left))))
    for number, logs in hours.items():
        reach.add(hour(number), logs)
    assert reach.went_on("a", ms(8, 10), ms(8, 40)) is went_on


@pytest.mark.parametrize(
    ("uncounted", "went_on"), [(0, True), (ms(8, 10), True), (ms(8, 11), False), (ms(9, 1), False)]
)
def test_what_was_not_counted_is_not_known(uncounted: int, went_on: bool) -> None:
    """Of an hour of the last flow or of a later one, until when nothing may have come."""
    for number in (8, 9):
        reach = Reach(Swept(ms(10, 10) / 1000))
        for at in (8, 9):
            read = Read(ms(at, 59), whole=True, uncounted=uncounted if at == number else 0)
            reach.add(hour(at), {"a": read})
        assert reach.went_on("a", ms(8, 10), ms(9, 10)) is went_on


def test_over_an_hours_end_what_is_missing_is_asked_for() -> None:
    """The hours of the last flow and of what is to come behind it, no more than four."""
    reach = Reach(Swept(ms(12, 20) / 1000))
    reach.add(hour(11), {"a": whole(ms(11, 50))})
    reach.add(hour(12), {"a": whole(ms(12, 19))})
    assert not reach.went_on("a", ms(8, 45), ms(9, 15))
    young = Reach(Swept(ms(12, 20) / 1000, first=ms(9, 0) / 1000))
    for at in (8, 9, 10):
        young.add(hour(at), {"a": whole(ms(at, 59))})
    assert not young.went_on("a", ms(8, 45), ms(9, 15)), "no sweep looked at that hour"
    assert young.went_on("a", ms(9, 45), ms(10, 15))
    asked = hours_behind([{"a": ms(8, 45), "": ms(3, 0)}], reach.went_on, 1800, hour(11))
    assert asked == {hour(8), hour(9)}
    reach.add(hour(8), {"a": whole(ms(8, 59))})
    reach.add(hour(9), {})
    assert reach.went_on("a", ms(8, 45), ms(9, 15)), "it has later ones, and none is left"
    assert not hours_behind([{"a": ms(8, 45)}], reach.went_on, 1800, hour(11))
    many = [{"a": ms(number, 59)} for number in range(8)]
    assert hours_behind(many, unknown, 1800, hour(11)) == set(map(hour, range(5, 9)))


def test_one_source_that_is_denied_everywhere_is_one_group() -> None:
    """Over ports and NSGs, with what comes later; others, and what was told before, stay."""
    other = tally(22, "10.0.0.9")
    few = [tally(port) for port in range(MAX_ALONE)]
    assert len(fold([*few, other], {})) == MAX_ALONE + 1
    many = [tally(port, acl=f"/nsgs/{port % 5}") for port in range(1000)]
    scan, left = sorted(fold([*many, other], {}), key=lambda at: at.key.source, reverse=True)
    assert (scan.key.source, scan.key.port, scan.flows) == ("10.0.0.1", MANY_PORTS, 2000)
    assert left == other

    lives = grown([scan], {}, {}, "d", NOW)
    (later,) = fold([tally(7777)], lives)
    assert later.key == scan.key
    alone = grown(few, {}, {}, "d", NOW)
    assert {at.key.source for at in fold([tally(5), tally(7777)], alone)} == {"", "10.0.0.1"}
    words = "".join(wording.denied_by(scan))
    assert words == "NSG web, all tried by 10.0.0.1"


def test_a_group_that_comes_again_does_not_begin_before_its_last_end() -> None:
    """The times of a ledger are those of its whole hour."""
    one = Tally(tally().key, 1, AT, AT + 600_000)
    assert begun(one, 0).began == AT
    assert begun(one, AT + 1000).began == AT + 600_000


def test_what_two_webhooks_or_deployments_tell_is_an_incident_each() -> None:
    """Neither ends what the other may still see; what was begun keeps its incident."""
    one = tally()
    (first,) = grown([one], {}, {}, "d", NOW, "logs/state/webhook").values()
    (second,) = grown([one], {}, {}, "d", NOW, "logs/state/webhook_2").values()
    assert len({first.incident, second.incident, one.key.id, "d"}) == 4
    older = {one.key.id: replace(first, incident=one.key.id)}
    (again,) = grown([one], older, {}, "d", NOW, "logs/state/webhook").values()
    assert again.incident == one.key.id


def test_interfaces_are_counted_once() -> None:
    """Whichever logs tell of them."""
    one = Tally(tally().key, 1, AT, AT, seen_in={"A:1": AT, "A:2": AT, "B:1": AT})
    assert shown(one).interfaces == 2
    assert "on 2 interfaces" in wording.flows(shown(one))


def test_a_digest_says_what_is_new_and_what_goes_on() -> None:
    """And since when."""
    one = tally()
    new = Digest("d", NOW, (one,), about={one.key.id: About(0, AT, 2, "i")})
    still = Digest("d", NOW, (one,), about={one.key.id: About(2, AT, 1234, "i")})
    assert wording.life(new, one) == ("New: ", "")
    state, since = wording.life(still, one)
    assert (state, since) == ("Still: ", "since 2026-11-23 08:03:20 UTC, 1,234 flows in all")


def knowledge(made_ms: int, port: str) -> Knowledge:
    """Two VMs; the NSG of the second one's subnet denies a port."""
    estate = Estate()
    vnet = estate.vnet("net", a="10.0.0.0/24", b="10.0.1.0/24")
    deny = {"name": "Deny", "properties": rule(100, "Deny", port=port)}
    estate.guard(f"{vnet}/subnets/b", estate.nsg("web-nsg", "g-1", deny))
    estate.nic(f"{vnet}/subnets/a", "00-0D-3A-00-00-01", "10.0.0.4", vm="jump")
    estate.nic(f"{vnet}/subnets/b", "00-0D-3A-00-00-02", "10.0.1.4", vm="web")
    return Knowledge(None, Inventory(read_inventory(Graph(estate))), made_ms=made_ms)


def denied(port: int, source: str = "10.0.0.4") -> Flow:
    """A denied flow between them."""
    group = Group(Record(0, 1, "", 2, ""), "/x/web-nsg", "web-nsg", "UserRule_X", "000D3A000002")
    outcome = Outcome(port, "TCP", True, True, "B", "")  # noqa: FBT003
    return made(group, 0, "", AT, source, "10.0.1.4", 5000, outcome)


def test_rules_that_have_turned() -> None:
    """They denied it, let pass all of it now, and were read after the last of it."""
    before, after = knowledge(AT - 1, "3389"), knowledge(AT + 1, "22")
    (one,) = count([denied(3389)], before)
    life = told(one)

    assert turned(life, after).startswith("now allowed by every layer")
    assert turned(life, knowledge(AT + 1, "3389")) == ""
    assert turned(life, knowledge(AT - 1, "22")) == "", "it was denied after that was so"
    assert turned(life, NOTHING) == ""
    (never,) = count([denied(443)], before)
    assert turned(told(never), after) == "", "the rules, as they are known, never denied it"
    (wide,) = count([denied(3389, f"10.0.0.{n}") for n in range(4, 9)], before)
    assert turned(told(wide), after) == "", "not all of it can be asked"


@pytest.mark.parametrize(
    ("protocol", "example", "command"),
    [
        ("TCP", "10.0.0.4 10.0.1.4 3389", "nsgflow why 10.0.0.4 10.0.1.4:3389"),
        ("UDP", "fd00::1 fd00::2 53", "nsgflow why fd00::1 '[fd00::2]:53' --protocol udp"),
        ("ICMP", "10.0.0.4 10.0.1.4 0", "nsgflow why 10.0.0.4 10.0.1.4 --protocol icmp"),
        ("ICMP", "fd00::1 fd00::2 ", "nsgflow why fd00::1 fd00::2 --protocol icmp"),
    ],
)
def test_the_command_that_looks_into_it(protocol: str, example: str, command: str) -> None:
    """Ready to be pasted, and taken by the command line; none for what no rule denied."""
    key = replace(tally().key, protocol=protocol)
    one = Tally(key, 1, AT, AT, examples=Sample((example,)))
    made = Digest("d1", NOW, (one,))
    assert wording.why(made, one) == command
    assert wording.why(made, replace(one, key=replace(key, cause="platform"))) == ""
    assert wording.why(made, tally()) == ""
    look = replace(made, look=("mylogs", "--inventory"))
    src, dst = command.split(" ")[2:4]
    assert wording.why(look, one).startswith(f"nsgflow why {src} {dst} mylogs --inventory")


def test_the_command_is_pasted_as_it_is() -> None:
    """A shell takes nothing in it for its own, whatever a log has for a protocol."""
    hostile = "$(touch x) `id`; 'rm' \"-rf\" & *\n"
    one = Tally(replace(tally().key, protocol=hostile), 1, AT, AT, examples=Sample(("::1 ::2 53",)))
    said = wording.why(Digest("d1", NOW, (one,), look=("mylogs",)), one)
    words = subprocess.run(
        ["bash", "-c", f"nsgflow() {{ printf '%s\\n' \"$@\"; }}; {said}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert words[:4] == ["why", "::1", "[::2]:53", "mylogs"]
    assert words[4] == "--protocol"
    assert words[5:] == ["$(touch x) `id`; 'rm' \"-rf\" & *"]


OLD_STATE = b"""{"completed":1795421000.0,"waiting":[[
["/s/web","web","r",true,"TCP",22,"inside",""],
3,1,2,[["10.0.0.1"],true,""],[["10.0.1.1"],true,""],{},"web",1,"now denied by x"]],
"told":{"0011223344556677":1795421000.0},"telling":["0011223344556677"],"attempted":1795421000.0,
"pending":{"id":"d1","made":1795421000.0,"groups":[[["/s/web","web","r",true,"TCP",23,"inside"],
3,1,2,[["10.0.0.1"],true],[["10.0.1.1"],true],{}]],"more_groups":0,"more_flows":0,"others":0,
"held_groups":0,"held_flows":0},"trusted":true}"""


def test_a_state_of_an_older_release_is_read() -> None:
    """What waits is told, what may have been posted is posted again, and ids are the same."""
    state = msgspec.json.decode(OLD_STATE, type=State)
    assert state.pending is not None
    assert (state.pending.flows, state.lives, state.held) == (3, {}, {})
    (waiting,) = state.waiting
    assert not waiting.examples.complete
    assert begun(waiting, 0).logs == {MANY_LOGS: 2}, "no log is known: nobody says that it is over"
    old = [*msgspec.structs.astuple(waiting.key)][:8]
    made = hashlib.blake2b(msgspec.json.encode(old), digest_size=8).hexdigest()
    assert waiting.key.id == made


def test_a_silence_by_host_holds_of_a_group_that_was_told() -> None:
    """Its end is a message, too; that all came from one host is known of any number of flows."""
    many = replace(tally(), examples=Sample(("10.0.0.1 10.0.1.1 1433",), complete=False))
    one = told(replace(many, sources=Sample(("10.0.0.1",)))).as_tally
    several = told(replace(many, sources=Sample(("10.0.0.1", "10.0.0.2")))).as_tally
    silence = Silence("id", "src=10.0.0.1", NOW + 60, NOW)
    assert silencing(one, [silence]) == silence
    assert silencing(several, [silence]) is None
