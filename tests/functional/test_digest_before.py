"""What a digest says was done before a group began: the last change on its path, and a mark."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.estate import Estate, rule
from nsgflow_core.digests.changed import changed, line, path
from nsgflow_core.digests.digest import Digests
from nsgflow_core.digests.groups import Key, Tally
from nsgflow_core.digests.marks import KEPT_SECONDS, MAX_MARKS, before_groups, with_mark
from nsgflow_core.digests.memory import Mark
from nsgflow_core.digests.sample import sample_of
from nsgflow_core.errors import RefusedError
from nsgflow_core.estate import causes
from nsgflow_core.estate.changes import Change, Property, by_weight, read_changes
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.scope import INSIDE, INTERNET
from nsgflow_core.model import flow_time
from tests.functional.digest_world import REPEAT, App, nics
from tests.unit.test_inventory import Graph as Azure

NSG = "/subscriptions/s/resourcegroups/g/providers/microsoft.network/networksecuritygroups/web"
FIRST = 1_795_421_000_000


def tally(
    name: str = NSG, scope: str = INSIDE, cause: str = causes.RULE, port: int = 1433
) -> Tally:
    """A group of one flow."""
    key = Key(name, "web", "UserRule_no", inbound=True, protocol="TCP", port=port, scope=scope)
    key = msgspec.structs.replace(key, cause=cause)
    return Tally(key, 1, FIRST, FIRST, examples=sample_of({"10.0.0.1 10.0.0.4 1433"}))


def change(seconds: float, target: str = NSG, by: str = "") -> Change:
    """A change of an NSG, so many seconds before the first flow."""
    access = Property('properties.securityRules["no"].properties.access', "Allow", "Deny")
    return Change(flow_time(round(FIRST - seconds * 1000)), target, "Update", (access,), by)


class Graph:
    """Counts how often it is asked, and for what."""

    def __init__(self, *found: Change) -> None:
        self.found = found
        self.asked: list[list[str]] = []

    def __call__(self, ids: Iterable[str]) -> Sequence[Change]:
        """As `changed.Asking`."""
        self.asked.append(list(ids))
        return self.found


def told(*found: Change, group: Tally | None = None) -> str:
    """What is said of a group."""
    group = group or tally()
    said = changed({group.key.id: FIRST}, [group], None, Graph(*found))
    return said.get(group.key.id, "")


def test_the_last_change_before_the_first_flow() -> None:
    """With what differs, and who where that was asked."""
    assert told(change(-1), change(90), change(4000)) == (
        '1 min before web changed: securityRules["no"].properties.access Allow to Deny'
    )
    assert told(change(5400, by="ann@example.com")).startswith("1 h before web changed by ann@")
    assert told(change(3 * 86_400)).startswith("3 d before web")
    assert told(change(0)).startswith("0 s before web")


@given(st.lists(st.integers(-100_000, 100_000)))
def test_never_a_change_after_the_first_denial(seconds: list[int]) -> None:
    """In whatever order the history comes."""
    said = told(*(change(each) for each in seconds))
    earlier = [each for each in seconds if each >= 0]
    assert bool(said) == bool(earlier)
    if earlier:
        assert said == line(change(min(earlier)), FIRST)


def test_changes_elsewhere_are_not_told() -> None:
    """Only those of what is on the path."""
    assert not told(change(60, target=NSG + "2"))


def test_the_history_is_asked_once_for_the_groups_in_front() -> None:
    """For none where none is new, and not for what no rule of ours denied."""
    graph = Graph(change(60))
    groups = [tally(f"{NSG}-{number}", port=number) for number in range(40)]
    begun = {group.key.id: FIRST for group in groups}
    changed(begun, groups, None, graph)
    assert [len(ids) for ids in graph.asked] == [10]
    noise = [tally(scope=INTERNET), tally(cause=causes.PLATFORM), tally(name="guid", port=2)]
    assert changed({group.key.id: FIRST for group in noise}, noise, None, graph) == {}
    assert changed({}, groups, None, graph) == {}
    assert len(graph.asked) == 1


def test_the_path_without_an_inventory() -> None:
    """Is the NSG alone, where the log names it."""
    assert path(tally(), None) == {NSG}
    assert path(tally("0b1f6471-1bf0-4dda-aec3-111122223333"), None) == set()


def test_the_route_table_and_admin_rules_of_the_path() -> None:
    """Are asked for in the same query, and told; of others nothing is."""
    estate = Estate()
    vnet = estate.vnet("hub", web="10.0.0.0/24", db="10.0.1.0/24")
    other = estate.vnet("spoke", web="10.9.0.0/24")
    for number, subnet in enumerate((f"{vnet}/subnets/web", f"{other}/subnets/web")):
        estate.nic(subnet, f"00-0D-3A-00-00-0{number}", f"10.{9 * number}.0.4")
    estate.route(f"{vnet}/subnets/web", "to-appliance", "10.8.0.0/16")
    estate.route(f"{vnet}/subnets/db", "of-the-neighbour", "10.8.0.0/16")
    deny = rule(100, "Deny")
    base = estate.deploy("nm", {"all": {"NoSql": deny}}, vnet)
    far = estate.deploy("nm2", {"all": {"Far": deny}}, other)
    book = Inventory(read_inventory(Azure(estate)))
    found = path(tally(), book)
    table = next(one for one in found if one.endswith("/routetables/to-appliance"))
    admin_rule = f"{base}/ruleCollections/all/rules/NoSql".lower()
    assert {base.lower(), f"{base}/ruleCollections/all".lower(), admin_rule} < found
    assert base.partition("/securityAdmin")[0].lower() in found
    assert not any("neighbour" in one or one.startswith(far.lower()) for one in found)

    def said(target: str, path_of_it: str, seconds: float = 60) -> str:
        at = flow_time(round(FIRST - seconds * 1000))
        estate.change(target, at, {path_of_it: (None, "10.0.0.0/8"), "tags.x": ("a", "b")})
        graph = Azure(estate)
        begun = {tally().key.id: FIRST}
        told = changed(begun, [tally()], book, lambda ids: read_changes(graph, ids))
        return told.get(tally().key.id, "")

    assert said(table, "properties.routes[1].properties.addressPrefix") == (
        "1 min before to-appliance changed: routes[1].properties.addressPrefix none to 10.0.0.0/8"
    )
    assert "NoSql changed: access".lower() in said(admin_rule, "properties.access", 30).lower()
    assert "nosql" in said(f"{far}/ruleCollections/all/rules/Far", "properties.access", 10)
    assert "nosql" in said(table, "properties.routes[2]", -1), "it came later"


def test_resources_that_weigh_more_are_asked_for_first() -> None:
    """Where a network manager has more rules than a query asks for."""
    manager = "/subscriptions/s/providers/microsoft.network/networkmanagers/nm"
    rules = [f"{manager}/securityadminconfigurations/a/rulecollections/b/rules/{n}" for n in "ab"]
    assert by_weight([*rules, NSG, manager]) == [NSG, manager, *rules]


def test_the_path_with_an_inventory() -> None:
    """Is all that both ends hang on: interface, VNet, and the NSGs of interface and subnet."""
    estate = Estate()
    vnet = estate.vnet("hub", web="10.0.0.0/24")
    nic = estate.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4")
    book = Inventory(read_inventory(Azure(estate)))
    assert path(tally(), book) == {NSG, vnet.lower(), nic.lower()}


def test_marks() -> None:
    """The last one before the group began, of the last day; a later one is of something else."""
    at = FIRST / 1000
    marks = with_mark((), Mark(at - 120, "deploy 4711"), at)
    marks = with_mark(marks, Mark(at - 7200, "deploy 4710"), at)
    marks = with_mark(marks, Mark(at + 1, "deploy 4712"), at)
    (said,) = before_groups({"a": FIRST}, {}, marks)["a"]
    assert said.startswith("2 min before, at ")
    assert said.endswith(" UTC: deploy 4711")
    assert before_groups({"a": FIRST + 90_000_000}, {}, marks) == {}
    assert before_groups({"a": FIRST}, {"a": "web changed"}, marks)["a"] == ("web changed", said)


def test_marks_are_few_and_young() -> None:
    """So that the state stays small."""
    marks: tuple[Mark, ...] = ()
    for number in range(3 * MAX_MARKS):
        marks = with_mark(marks, Mark(float(number), str(number)), number)
    assert [mark.text for mark in marks] == [str(n) for n in range(2 * MAX_MARKS, 3 * MAX_MARKS)]
    assert with_mark(marks, Mark(KEPT_SECONDS * 2, "x"), KEPT_SECONDS * 2) == (
        Mark(KEPT_SECONDS * 2, "x"),
    )


class Asked(App):
    """An app whose digests ask what changed."""

    def __post_init__(self) -> None:
        """Begin with nothing asked."""
        super().__post_init__()
        self.asked: list[Mapping[str, int]] = []

    def digests(self) -> Digests:
        """As the service makes them, with a history in which everything changed."""

        def all_changed(begun: Mapping[str, int], _: Sequence[Tally]) -> Mapping[str, str]:
            self.asked.append(begun)
            return dict.fromkeys(begun, "web changed")

        return replace(super().digests(), changed=all_changed)


def test_new_groups_carry_it() -> None:
    """What goes on is told without; a digest asks once, and not where no group is new."""
    app = Asked()
    ref = app.random(nics(1)[0])
    app.event(ref)
    app.timer()
    app.minutes(1)
    ((_, digest),) = app.receiver.accepted
    assert len(app.asked) == 1
    assert digest.before == {at.key.id: ("web changed",) for at in digest.groups}

    app.event(app.write(nics(1)[0], *app.logs[ref]))
    app.minutes(REPEAT / 60 + 1)
    _, (_, again) = app.receiver.accepted
    assert again.before == {}
    assert len(app.asked) == 1


def test_a_repeat_says_the_same() -> None:
    """What was asked is stored with the digest before it is posted."""
    app = Asked()
    app.event(app.random(nics(1)[0]))
    app.receiver.down = RefusedError("down")
    app.timer()
    app.receiver.down = None
    app.minutes(1)
    ((_, digest),) = app.receiver.accepted
    assert digest.before
    assert len(app.asked) == 1


def flow_ms(text: str) -> int:
    """The time of a tuple as the log has it, in milliseconds since the epoch."""
    seconds = int(text.partition(",")[0])
    return seconds if seconds > 10**11 else seconds * 1000


@pytest.mark.parametrize("offset", [-60.0, 60.0])
def test_a_mark_in_the_state_is_told(offset: float) -> None:
    """Where it came before the first flow."""
    app = App()
    app.event(app.random(nics(1)[0]))
    began = min(map(flow_ms, app.denied())) / 1000
    app.store.state = msgspec.structs.replace(
        app.store.state, marks=(Mark(began + offset, "deploy 4711"),)
    )
    app.timer()
    ((_, digest),) = app.receiver.accepted
    if offset < 0:
        assert set(digest.before) == {at.key.id for at in digest.groups}
    first = {at.key.id: at.first / 1000 for at in digest.groups}
    assert all(first[name] >= began + offset for name in digest.before)
    assert app.store.state.marks
