"""In what order a sweep runs what is owed, and what it leaves to later ones."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from nsgflow_core.delivery import sweep as sweep_module
from nsgflow_core.delivery.checkpoint import Away, Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.sweep import Account, Swept, Window, sweep
from nsgflow_core.logs.path import resource_prefix
from nsgflow_core.model import BlobRef
from tests.functional.world import Inline
from tests.simulation.storage import Table, Wire

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
CONTAINER = "insights-logs-networksecuritygroupflowevent"
FAILED = Cursor(5, seen=5, etag="a", failures=1, behind_since=1.0)
DONE = Cursor(5, seen=5, etag="a")


def ref(nsg: str) -> BlobRef:
    """A log of an NSG."""
    root = (
        "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK"
        f"/NETWORKSECURITYGROUPS/{nsg}"
    )
    return BlobRef(
        "logs", CONTAINER, f"{root}/y=2026/m=11/d=23/h=08/m=00/macAddress=000D3A0000A1/PT1H.json"
    )


@pytest.fixture
def store() -> Checkpoints:
    """Empty."""
    table = Table(Wire(lambda: None, lambda _: False), lambda *_: None)
    return Checkpoints(table)  # type: ignore[arg-type]  # has what is used of it


def swept(
    store: Checkpoints,
    run: Callable[[BlobRef], Report],
    sinks: Mapping[str, Callable[[], bool]],
    out_of_time: Callable[[], bool] = lambda: False,
) -> Swept:
    """A sweep of marks alone, one thing at a time, that never pauses."""
    now = HOUR.replace(minute=30)
    with (
        mock.patch.object(sweep_module, "ThreadPoolExecutor", return_value=Inline()),
        mock.patch("nsgflow_core.delivery.sweep.time.sleep"),
    ):
        account = Account("FlowLogs", "logs", ())
        return sweep(account, store, run, Window(now, 3, 30, out_of_time), sinks)


def test_a_sink_that_is_back_gets_what_it_could_not_take_before(store: Checkpoints) -> None:
    """While anything is accepted there is another round; each blob has one run in it."""
    store.write(Checkpoint(ref("A"), HOUR, {"webhook": FAILED, "table": DONE}, pending=True))
    store.write(Checkpoint(ref("B"), HOUR, {"table": FAILED, "webhook": DONE}, pending=True))
    ran: list[str] = []
    sinks = {"table": lambda: True, "webhook": lambda: bool(ran)}

    def run(at: BlobRef) -> Report:
        ran.append(at.path)
        return Report(at, accepted={"table": 1})

    done = swept(store, run, sinks)
    assert ran == [ref("B").path, ref("A").path]
    assert (len(done.reports), done.errors) == (2, ())


def test_a_round_that_gets_nothing_accepted_is_the_last(store: Checkpoints) -> None:
    """What is left stays marked, and its hour is looked at by the next sweep."""
    store.write(Checkpoint(ref("A"), HOUR, {"webhook": FAILED, "table": DONE}, pending=True))
    store.write(Checkpoint(ref("B"), HOUR, {"table": FAILED, "webhook": DONE}, pending=True))
    ran: list[str] = []
    sinks = {"table": lambda: True, "webhook": lambda: bool(ran)}

    def run(at: BlobRef) -> Report:
        ran.append(at.path)
        return Report(at, lagging=("table",))

    swept(store, run, sinks)
    assert ran == [ref("B").path]
    assert [asked.hour for asked in store.asked("FlowLogs")] == [HOUR]


def test_a_place_that_is_away_is_not_read(store: Checkpoints) -> None:
    """However willing the sinks are; its mark stays."""
    prefix = resource_prefix(ref("A").path)
    store.put_away("FlowLogs", Away(CONTAINER, prefix, HOUR, 1, HOUR.timestamp() + 7200))
    for nsg in ("A", "B"):
        store.write(Checkpoint(ref(nsg), HOUR, {"table": FAILED}, pending=True))
    ran: list[str] = []

    def run(at: BlobRef) -> Report:
        ran.append(at.path)
        return Report(at, accepted={"table": 1})

    swept(store, run, {"table": lambda: True})
    assert ran == [ref("B").path]
    assert [asked.hour for asked in store.asked("FlowLogs")] == [HOUR]


def test_a_sweep_says_what_it_has_not_seen_to(store: Checkpoints) -> None:
    """Hours that it had no time for; and nothing once it has had."""

    def run(at: BlobRef) -> Report:
        return Report(at)

    swept(store, run, {}, out_of_time=lambda: True)
    state = store.read_sweep("FlowLogs")
    assert state.completed == HOUR.replace(minute=30)
    assert state.left == (HOUR - timedelta(hours=1), HOUR)
    assert state.first == HOUR - timedelta(hours=1)
    swept(store, run, {})
    assert (store.read_sweep("FlowLogs").left, store.read_sweep("FlowLogs").first) == (
        (),
        HOUR - timedelta(hours=1),
    )
