"""What a sweep looks at, what it owes to whom, and which places it leaves alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.delivery.checkpoint import Away, Checkpoint
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.owed import Owed, owed
from nsgflow_core.delivery.places import Places
from nsgflow_core.delivery.sweep import Window, hours_to_list
from nsgflow_core.delivery.swept import SweepState
from nsgflow_core.logs.listing import ListedBlob
from nsgflow_core.model import BlobRef
from nsgflow_core.service import DEADLINE_SECONDS, Service

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
ONE = timedelta(hours=1)
NOW = HOUR.timestamp()
DONE = Cursor(10, seen=12, etag="a")
BLOB = ListedBlob("p", 12, "a")
SINKS = ("table", "webhook")
PLACE = ("c", "")


def window(now: datetime, hours: int = 3, days: int = 30) -> Window:
    """A window with time enough."""
    return Window(now, hours, days, lambda: False)


@given(
    stopped=st.integers(0, 3600 * 50),
    minute=st.integers(0, 3599),
    hours=st.integers(1, 5),
)
def test_no_hour_falls_between_two_sweeps(stopped: int, minute: int, hours: int) -> None:
    """However long the app is stopped: what the next sweep would have listed is listed."""
    last = HOUR + timedelta(seconds=minute)
    now = last + timedelta(seconds=stopped)
    listed = hours_to_list(SweepState(last), window(now, hours))

    assert now.replace(minute=0, second=0, microsecond=0) in listed
    assert HOUR in listed or now < HOUR + ONE
    if now >= HOUR + ONE:
        assert HOUR - ONE in listed, "it was still written to in the hour of the last sweep"
        assert HOUR - (hours - 1) * ONE in listed, "the next sweep would have listed it"
        following = hours_to_list(SweepState(last), window(HOUR + ONE, hours))
        assert set(following) <= set(listed)


def test_the_first_sweep_and_those_within_an_hour_look_at_two() -> None:
    """Listings cost money; and not further back than state is kept."""
    within = window(HOUR + timedelta(minutes=40))
    for state in (SweepState(), SweepState(HOUR + timedelta(minutes=35))):
        assert hours_to_list(state, within) == [HOUR, HOUR - ONE]
    assert len(hours_to_list(SweepState(HOUR - 90 * 24 * ONE), window(HOUR, days=2))) == 49


def row(owner: str = "", *, pending: bool = True, **cursors: Cursor) -> Checkpoint:
    """A checkpoint with these cursors."""
    return Checkpoint(BlobRef("a", "c", "p"), HOUR, cursors, owner, 0.0, pending)


@pytest.mark.parametrize(
    ("blob", "due"),
    [
        (BLOB, False),
        (ListedBlob("p", 14, "b"), True),
        (ListedBlob("p", 12, "b"), True),
        (ListedBlob("p", 10, "a"), True),
    ],
    ids=["as it was", "grown", "rewritten to the same size", "shrunk"],
)
def test_a_blob_is_run_when_size_or_etag_is_another(blob: ListedBlob, due: bool) -> None:
    """A rewrite of the same size without an event is seen by its ETag alone."""
    assert (owed(row(pending=False, table=DONE, webhook=DONE), blob, SINKS, NOW) is not None) == due


def test_what_failed_is_owed_later_and_not_before_it_is_due() -> None:
    """It must keep nobody else waiting."""
    failed = Cursor(failures=3, not_before=NOW + 60, behind_since=1.0)
    again = Cursor(failures=3, not_before=NOW - 60, behind_since=1.0)

    waits = owed(row(table=DONE, webhook=failed), BLOB, SINKS, NOW)
    assert waits == Owed(frozenset(["webhook"]), 3, marked=True, waits=True)
    due = owed(row(table=DONE, webhook=again), None, SINKS, NOW)
    assert due == Owed(frozenset(["webhook"]), 3, marked=True)
    both = owed(row(table=Cursor(behind_since=1.0), webhook=failed), None, SINKS, NOW)
    assert both == Owed(frozenset(SINKS), 0, marked=True)


def test_a_mark_for_sinks_of_other_processes_is_theirs() -> None:
    """A claim that was left behind may be for anybody."""
    lagging = Cursor(behind_since=1.0)

    theirs = owed(row(table=DONE, webhook=lagging), None, ("table",), NOW)
    assert theirs is not None
    assert theirs.waits
    dead = owed(row("dead", table=DONE, webhook=lagging), None, ("table",), NOW)
    assert dead == Owed(marked=True)
    assert owed(row(table=DONE), BLOB, SINKS, NOW) == Owed(marked=True)
    assert owed(None, BLOB, SINKS, NOW) == Owed()


def test_a_new_sink_is_owed_what_the_furthest_has_not_seen() -> None:
    """It begins there, and not with what that one failed at."""
    failed = Cursor(failures=3, not_before=NOW + 60, behind_since=1.0)

    found = owed(row(table=failed), BLOB, SINKS, NOW)
    assert found == Owed(frozenset(SINKS), 0, marked=True)


def test_a_place_that_refuses_is_left_alone_ever_longer() -> None:
    """Up to an hour; its first missed hour stays known, and is looked at when it is back."""
    away: list[Away] = []
    waits = []
    for tries in range(8):
        now = NOW + 10_000 * tries
        places = Places(away, now)
        assert not places.closed(PLACE)
        places.failed(PLACE, HOUR + ONE * tries, refused=True)
        assert places.closed(PLACE)
        ((found, still),) = places.changes(HOUR, complete=True)
        assert still
        away = [found]
        waits.append(found.not_before - now)
        assert Places(away, now + 60).closed(PLACE)

    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (240, 3540)
    back = Places(away, NOW + 10**6)
    assert back.since(("c", "any/")) == HOUR
    assert not list(back.changes(HOUR, complete=False))
    assert (back.left(complete=False), back.left(complete=True)) == ({PLACE}, set())
    assert Places(away, NOW).left(complete=True) == {PLACE}
    assert list(back.changes(HOUR, complete=True)) == [(away[0], False)]


def test_a_place_that_was_out_of_reach_is_tried_by_the_next_sweep() -> None:
    """And an hour that is asked for meanwhile is missed there, too."""
    places = Places([], NOW)
    places.failed(PLACE, HOUR, refused=False)
    ((found, _),) = places.changes(HOUR, complete=True)
    assert not Places([found], NOW).closed(PLACE)
    waiting = Away("c", "", HOUR, 1, NOW + 60)
    old = HOUR - 20 * ONE
    ((asked, still),) = Places([waiting], NOW).changes(old, complete=True)
    assert (asked.since, still) == (old, True)
    assert Places([waiting], NOW).since(PLACE) is None


def test_a_mark_for_digests_outlasts_whoever_trusts_it() -> None:
    """A run that began on the last second of it may count for as long as a run lasts."""
    until: list[float] = []

    class Marks:
        def watch(self, _: datetime, end: float) -> None:
            until.append(end)

    service = Service.__new__(Service)
    now = [NOW]
    service._now = lambda: now[0]
    service._watched = {}
    service._ledgers = {"webhook": Marks()}  # type: ignore[dict-item]  # has what is used of it
    old = HOUR - 9 * ONE
    last_trusted = NOW
    service._watch(old)
    while len(until) == 1:
        last_trusted = now[0]
        now[0] += 60
        service._watch(old)

    assert until[0] >= last_trusted + DEADLINE_SECONDS
