"""Whole sweeps, one after another: what each lists and runs, and what it tells the next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from azure.core.exceptions import HttpResponseError

from nsgflow_core.delivery import sweep as module
from nsgflow_core.delivery.checkpoint import Away, Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.sweep import Account, Swept, Window, sweep
from nsgflow_core.delivery.swept import SweepState
from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.logs.path import hour_prefix, parse_path, resource_prefix
from nsgflow_core.logs.source import LogRefusedError
from nsgflow_core.model import BlobRef
from tests.functional.world import Inline
from tests.simulation.storage import Wire
from tests.unit.test_checkpoints import Rows
from tests.unit.test_walk import Container

ONE = timedelta(hours=1)
HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
NOW = HOUR + timedelta(minutes=30)
WELL = {"table": lambda: True}
NSG = (
    "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK"
    "/NETWORKSECURITYGROUPS/{}/"
)
FAILED = Cursor(5, seen=5, etag="a", failures=1, behind_since=1.0)


def path(nsg: str, hour: datetime, mac: str = "000D3A0000A1") -> str:
    """A log of an NSG."""
    return f"{hour_prefix(NSG.format(nsg), hour)}m=00/macAddress={mac}/PT1H.json"


@dataclass
class Logs(Container):
    """A container that answers for some prefixes with a status."""

    refused: dict[str, int] = field(default_factory=dict)

    def _ask(self, prefix: str) -> None:
        super()._ask(prefix)
        if (status := self.refused.get(prefix)) is not None:
            refusal = HttpResponseError("no")
            refusal.status_code = status
            raise refusal

    def listed(self, nsg: str) -> list[datetime]:
        """The hours of an NSG that were listed, each as often as it was."""
        hours = [HOUR + ONE * at for at in range(-200, 30)]
        names = {hour_prefix(NSG.format(nsg), hour): hour for hour in hours}
        return [names[name] for name in self.asked if name in names]


@dataclass
class Account2:
    """An account with two containers, its state, and what became of its blobs."""

    one: Logs = field(default_factory=lambda: Logs(container_name="one"))
    two: Logs = field(default_factory=lambda: Logs(container_name="two"))
    rows: Rows = field(default_factory=lambda: Rows(Wire(lambda: None), lambda *_: None))
    ran: list[BlobRef] = field(default_factory=list)
    answer: Callable[[BlobRef], Report] = Report
    out_of_time: Callable[[], bool] = lambda: False

    @property
    def store(self) -> Checkpoints:
        """The product's own over the table."""
        return Checkpoints(self.rows)  # type: ignore[arg-type]  # has what is used of it

    def ref(self, path: str, container: str = "one") -> BlobRef:
        """A blob of this account."""
        return BlobRef("logs", container, path)

    def sweep(self, now: datetime = NOW, sinks: Any = None, hours: int = 3) -> Swept:
        """One sweep, one thing at a time, that never pauses."""
        self.ran.clear()
        self.one.asked.clear()
        self.two.asked.clear()

        def run(ref: BlobRef) -> Report:
            self.ran.append(ref)
            return self.answer(ref)

        containers: Sequence[Any] = (self.one, self.two)
        with (
            mock.patch.object(module, "ThreadPoolExecutor", return_value=Inline()),
            mock.patch("nsgflow_core.delivery.sweep.time.sleep"),
        ):
            account = Account("FlowLogs", "logs", containers)
            window = Window(now, hours, 30, self.out_of_time)
            return sweep(account, self.store, run, window, sinks or WELL)

    def asked(self) -> dict[datetime, bool]:
        """The hours that later sweeps must look at, and whether they must list them."""
        return {at.hour: at.listing for at in self.store.asked("FlowLogs")}

    def away(self) -> dict[tuple[str, str], Away]:
        """The places that are left alone."""
        return {(at.container, at.prefix): at for at in self.store.away("FlowLogs")}


@pytest.fixture
def world() -> Account2:
    """Logs of two NSGs in one container and of a third in the other, of six hours each."""
    made = Account2()
    for age in range(6):
        for nsg in ("A", "B"):
            made.one.paths.add(path(nsg, HOUR - age * ONE))
        made.two.paths.add(path("C", HOUR - age * ONE))
    return made


def paths(world: Account2) -> set[str]:
    """What was run, each once."""
    assert len(world.ran) == len(set(world.ran))
    return {ref.path for ref in world.ran}


def test_what_has_no_checkpoint_is_run_in_the_hours_of_the_window(world: Account2) -> None:
    """The first sweep looks at two; the first of an hour at as many as are set; then at two."""
    done = world.sweep()
    assert paths(world) == {path(nsg, HOUR - age * ONE) for nsg in "ABC" for age in (0, 1)}
    assert world.ran == [
        world.ref(path(nsg, HOUR - age * ONE), "two" if nsg == "C" else "one")
        for age in (0, 1)
        for nsg in "ABC"
    ]
    assert (done.hours, done.blobs, len(done.reports), done.errors) == (2, 6, 6, ())
    assert world.asked() == {}
    state = world.store.read_sweep("FlowLogs")
    assert (state.completed, state.left, state.away) == (NOW, (), ())
    done = world.sweep(NOW + ONE)
    assert paths(world) == {path(nsg, HOUR - age * ONE) for nsg in "ABC" for age in (0, 1, 2)} - {
        path("A", HOUR + ONE)
    }
    assert done.hours == 4
    world.sweep(NOW + ONE + timedelta(minutes=5))
    assert world.one.listed("A") == [HOUR + ONE, HOUR]


def test_what_is_as_its_checkpoint_says_is_left_alone(world: Account2) -> None:
    """And what another account's checkpoints say is not for this sweep."""
    mine = world.ref(path("A", HOUR))
    (blob,) = world.one.list_blobs(mine.path).blobs
    done = Cursor(blob.size, seen=blob.size, etag=blob.etag)
    world.store.write(Checkpoint(mine, HOUR, {"table": done}))
    other = BlobRef("other", "one", path("Z", HOUR))
    world.store.write(Checkpoint(other, HOUR, {"table": FAILED}, pending=True))
    world.sweep()
    assert mine not in world.ran
    assert other not in world.ran
    assert len(world.ran) == 5
    world.answer = lambda ref: Report(ref, accepted={"table": 1})
    gone = world.ref(path("A", HOUR, "000D3A0000FF"))
    world.store.write(Checkpoint(gone, HOUR, {"table": FAILED}, pending=True))
    world.sweep(NOW + timedelta(minutes=5))
    assert gone in world.ran, "what is marked is run whether it is listed or not"


def test_a_container_that_refuses_stops_no_other(world: Account2) -> None:
    """It is not asked again before its time, and then for all that it has had meanwhile."""
    world.one.refused[""] = 403
    done = world.sweep()
    assert paths(world) == {path("C", HOUR), path("C", HOUR - ONE)}
    (error,) = done.errors
    assert isinstance(error, RefusedError)
    (away,) = world.away().values()
    assert (away.container, away.prefix, away.since, away.failures) == ("one", "", HOUR - ONE, 1)
    assert world.asked() == {}

    world.sweep(NOW + timedelta(minutes=3))
    assert world.one.asked == []
    for later in range(1, 5):
        world.sweep(NOW + later * ONE)
        assert world.one.asked == [""]
    assert [at.failures for at in world.away().values()] == [5]
    world.one.refused.clear()
    world.sweep(NOW + 5 * ONE)
    assert set(world.two.listed("C")) == {HOUR + ONE * at for at in range(2, 6)}
    assert set(world.one.listed("A")) == {HOUR + ONE * at for at in range(-2, 6)}
    assert world.away() == {}
    assert paths(world) == {path(nsg, HOUR - age * ONE) for nsg in "AB" for age in (0, 1, 2)}
    world.sweep(NOW + 5 * ONE + timedelta(minutes=5))
    assert world.ran == []


def test_a_container_that_is_out_of_reach_is_asked_by_the_next_sweep(world: Account2) -> None:
    """It has not refused."""
    world.one.refused[""] = 503
    (error,) = world.sweep().errors
    assert isinstance(error, TransientError)
    assert [at.failures for at in world.away().values()] == [0]
    world.one.refused.clear()
    world.sweep(NOW + timedelta(minutes=1))
    assert {path("A", HOUR), path("A", HOUR - ONE)} <= paths(world)
    assert world.away() == {}


def test_a_resource_that_refuses_stops_no_other(world: Account2) -> None:
    """Of its own container neither; and no hour is listed again for it everywhere."""
    world.one.refused[hour_prefix(NSG.format("A"), HOUR)] = 403
    done = world.sweep()
    assert paths(world) == {path(nsg, HOUR - age * ONE) for nsg in "BC" for age in (0, 1)}
    assert len(done.errors) == 1
    place = ("one", NSG.format("A"))
    assert list(world.away()) == [place]
    assert world.away()[place].failures == 1
    assert world.asked() == {}
    world.one.refused.clear()
    world.sweep(NOW + timedelta(minutes=3))
    assert world.one.listed("A") == []
    assert len(world.one.listed("B")) == 2
    world.sweep(NOW + timedelta(minutes=10))
    assert {path("A", HOUR), path("A", HOUR - ONE)} <= paths(world)
    assert world.away() == {}


def test_an_hour_that_was_out_of_reach_is_listed_again(world: Account2) -> None:
    """However old it is by then; the place has not refused."""
    world.one.refused[hour_prefix(NSG.format("A"), HOUR - ONE)] = 503
    (error,) = world.sweep().errors
    assert isinstance(error, TransientError)
    assert world.asked() == {HOUR - ONE: True}
    assert world.away() == {}
    world.sweep(NOW + timedelta(minutes=5))
    assert world.asked() == {HOUR - ONE: True}
    world.one.refused.clear()
    world.sweep(NOW + 20 * ONE)
    assert path("A", HOUR - ONE) in paths(world)
    assert world.asked() == {}
    world.sweep(NOW + 20 * ONE + timedelta(minutes=5))
    assert HOUR - ONE not in world.one.listed("A")


def test_checkpoints_that_cannot_be_read_cost_their_hour_alone(world: Account2) -> None:
    """It is looked at again."""
    query = world.rows.query_entities
    down = [HOUR]

    def answer(where: str, parameters: dict[str, str], **options: Any) -> Any:
        if "2026-11-23T08" in parameters.values() and down:
            refusal = HttpResponseError("no")
            refusal.status_code = 503
            raise refusal
        return query(where, parameters, **options)

    world.rows.query_entities = answer  # type: ignore[method-assign]
    done = world.sweep()
    assert len(done.errors) == 1
    assert paths(world) == {path(nsg, HOUR - ONE) for nsg in "ABC"}
    assert world.asked() == {HOUR: True}
    down.clear()
    world.sweep(NOW + timedelta(minutes=5))
    assert path("A", HOUR) in paths(world)
    assert world.asked() == {}


def test_a_log_that_refuses_leaves_its_resource_alone(world: Account2) -> None:
    """The others are run; a log that fails otherwise is looked at again."""
    prefix = resource_prefix(path("A", HOUR))
    for mac in ("000D3A0000A2", "000D3A0000A3"):
        world.one.paths.add(path("A", HOUR, mac))

    def refuse(ref: BlobRef) -> Report:
        if resource_prefix(ref.path) == prefix:
            raise LogRefusedError("403")
        if ref.container == "two":
            raise TransientError("503")
        return Report(ref)

    world.answer = refuse
    done = world.sweep()
    assert path("A", HOUR - ONE) not in paths(world)
    assert len(done.errors) == 5
    assert list(world.away()) == [("one", prefix)]
    assert world.asked() == {HOUR: True, HOUR - ONE: True}
    assert len(done.reports) == 2
    world.answer = Report
    world.sweep(NOW + timedelta(minutes=10))
    assert len(world.ran) == 8
    assert (world.asked(), world.away()) == ({}, {})


@pytest.mark.parametrize("left", [{"lagging": ("table",)}, {"busy": True}, {"marked": True}])
def test_an_hour_with_something_left_stays_open(world: Account2, left: dict[str, Any]) -> None:
    """It is looked at for its marks, and not listed again; then it is forgotten."""
    world.answer = lambda ref: Report(
        ref, **(left if "/A/" in ref.path and "h=08" in ref.path else {})
    )
    world.sweep()
    assert world.asked() == {HOUR: False}
    marked = world.ref(path("A", HOUR))
    row = world.store.write(Checkpoint(marked, HOUR, {"table": FAILED}, pending=True))
    world.answer = Report
    world.sweep(NOW + 9 * ONE)
    assert world.one.listed("A").count(HOUR) == 0
    assert marked in world.ran
    assert world.asked() == {}
    assert row.pending


def test_an_hour_that_was_asked_for_is_listed_once(world: Account2) -> None:
    """However old, while state is kept; older ones, and ones to come, are forgotten unseen."""
    old = HOUR - 100 * ONE
    world.one.paths.add(path("A", old))
    world.store.ask_sweep("FlowLogs", [old, HOUR - 31 * 24 * ONE, HOUR + 40 * ONE])
    done = world.sweep()
    assert path("A", old) in paths(world)
    assert done.hours == 3
    assert world.asked() == {}
    world.sweep(NOW + timedelta(minutes=5))
    assert path("A", old) not in paths(world)


@pytest.mark.parametrize("after", range(6))
def test_what_there_was_no_time_for_is_for_the_next_sweep(world: Account2, after: int) -> None:
    """Wherever it ran out: nothing is forgotten, and nothing else is asked for."""
    old, marked = HOUR - 50 * ONE, HOUR - 60 * ONE
    world.one.paths |= {path("A", old), path("A", marked)}
    world.store.ask_sweep("FlowLogs", [old])
    world.store.keep_open("FlowLogs", marked)
    row = Checkpoint(world.ref(path("B", marked)), marked, {"table": FAILED}, pending=True)
    world.store.write(row)
    away = Away("two", "", HOUR - 2 * ONE, 1, 0.0)
    world.store.put_away("FlowLogs", away)
    looks = iter(range(1000))
    world.out_of_time = lambda: next(looks) >= after
    world.sweep()
    first = set(world.ran)
    assert world.away() == {("two", ""): away}
    assert set(world.asked()) <= {HOUR, HOUR - ONE, HOUR - 2 * ONE, old, marked}
    assert not world.asked()[marked]
    world.out_of_time = lambda: False
    world.sweep(NOW + 12 * ONE, hours=1)
    wanted = {world.ref(path(nsg, HOUR - age * ONE)) for nsg in "AB" for age in (0, 1)}
    wanted |= {world.ref(path("C", HOUR - age * ONE), "two") for age in range(3)}
    assert wanted | {world.ref(path("A", old)), row.ref} <= first | set(world.ran)
    assert world.ref(path("A", marked)) not in world.ran
    assert (world.asked(), world.away()) == ({}, {})


def test_what_finds_no_room_is_left_to_the_next_sweep(
    world: Account2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its mark where it has one."""
    monkeypatch.setattr(module, "_MOST_LATER", 3)
    hours = [HOUR, HOUR - ONE, HOUR - 2 * ONE, HOUR - 3 * ONE]
    world.one.paths.clear()
    world.two.paths.clear()
    for hour in hours:
        world.store.keep_open("FlowLogs", hour)
        for nsg in "AB":
            ref = world.ref(path(nsg, hour))
            world.store.write(Checkpoint(ref, hour, {"table": FAILED}, pending=True))
    world.answer = lambda ref: Report(ref, accepted={"table": 1})
    world.sweep()
    assert [parse_path(ref.path).hour for ref in world.ran] == [HOUR, HOUR, HOUR - ONE]
    assert world.asked() == dict.fromkeys(hours[1:], False)


def test_what_failed_least_comes_first_and_of_those_the_newest(world: Account2) -> None:
    """What always fails keeps nothing else waiting."""
    world.one.paths.clear()
    world.two.paths.clear()
    wanted = [(0, 0, "B"), (1, 0, "A"), (1, 0, "B"), (1, 1, "A"), (2, 0, "C"), (2, 3, "A")]
    for failures, age, nsg in wanted:
        hour = HOUR - age * ONE
        world.store.keep_open("FlowLogs", hour)
        mac = f"000D3A0000A{failures}"
        cursor = Cursor(5, seen=5, failures=failures, behind_since=1.0)
        ref = world.ref(path(nsg, hour, mac))
        world.store.write(Checkpoint(ref, hour, {"table": cursor}, pending=True))
    world.sweep()
    logs = [(ref.path.split("/"), parse_path(ref.path)) for ref in world.ran]
    assert [(int(log.mac[-1]), (HOUR - log.hour) // ONE, at[8]) for at, log in logs] == wanted


def test_a_sink_that_would_not_be_asked_costs_no_run(world: Account2) -> None:
    """Unless another one wants the blob, too; its hour stays open."""
    world.one.paths.clear()
    world.two.paths.clear()
    for nsg, names in (("A", ["table"]), ("B", ["table", "webhook"])):
        row = Checkpoint(world.ref(path(nsg, HOUR)), HOUR, dict.fromkeys(names, FAILED))
        row = Checkpoint(row.ref, HOUR, {"webhook": Cursor(5, seen=5)} | row.cursors, pending=True)
        world.store.write(row)
    world.answer = lambda ref: Report(ref, accepted={"webhook": 1})
    world.sweep(sinks={"table": lambda: False, "webhook": lambda: True})
    assert [ref.path for ref in world.ran] == [path("B", HOUR)]
    assert world.asked() == {HOUR: False}


def test_behind_a_long_stop_days_are_listed_whole(world: Account2) -> None:
    """What may still be written to is listed by the hour, when it is its turn."""
    world.store.write_sweep("FlowLogs", SweepState(NOW - 100 * ONE))
    world.sweep()
    assert paths(world) == {path(nsg, HOUR - age * ONE) for nsg in "ABC" for age in range(6)}
    assert world.one.listed("A") == [HOUR - age * ONE for age in range(4)]
    assert len(world.one.asked) < 30
