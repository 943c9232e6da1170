"""Digests over many interfaces: all is told, honestly counted, and no more often than asked."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from nsgflow_core.digests import digest as digest_module
from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.memory import State
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.rows import Row
from nsgflow_core.digests.silences import Silence
from nsgflow_core.errors import DataRefusedError, RefusedError, TransientError
from tests.functional.digest_world import (
    HOUR,
    INTERVAL,
    REPEAT,
    App,
    killed,
    nics,
)


def spaced(times: list[float]) -> bool:
    """Whether no two posts are closer than an interval."""
    return all(later - earlier >= INTERVAL for earlier, later in pairwise(times))


def honest(app: App) -> None:
    """Every denied flow was told once, every group was named, and never too often."""
    digests = app.receiver.digests.values()
    assert sum(digest.flows for digest in digests) == app.denied().total()
    assert app.told() == app.groups()
    assert spaced(app.receiver.posts)
    first: dict[str, float] = {}
    for at, digest in app.receiver.accepted:
        first.setdefault(digest.id, at)
    last_told: dict[str, float] = {}
    for digest in digests:
        for tally in digest.groups:
            before = last_told.get(tally.key.id)
            assert before is None or first[digest.id] - before >= REPEAT
            last_told[tally.key.id] = first[digest.id]


def test_a_thousand_interfaces_are_one_message() -> None:
    """A scan of all of them is one digest, with every NSG's group merged over its interfaces."""
    app = App()
    refs = [app.random(nic) for nic in nics(1000)]
    writes = app.table.requests["write"]
    for ref in refs:
        app.event(ref)
    app.timer()
    app.minutes(5)

    ((_, digest),) = app.receiver.accepted
    assert digest.flows == app.denied().total() == 3000
    assert max(len(tally.targets.values) for tally in digest.groups) > 1
    assert app.table.requests["write"] - writes == 2 * len(refs), "a claim and a commit, as ever"


def test_what_repeats_is_counted_and_told_when_its_time_is_over() -> None:
    """Over interfaces and restarts; the message that others make says that it is held back."""
    app = App()
    first, second = nics(2, nsgs=1)
    ref = app.random(first)
    app.event(ref)
    app.timer()
    told = app.store.state.told
    assert len(app.receiver.accepted) == 1

    texts = app.logs[ref]
    app.event(app.write(second, *texts))  # the same groups at another interface
    app.minutes(REPEAT / 60 - 1)
    assert len(app.receiver.accepted) == 1
    app.minutes(2)

    (_, before), (_, after) = app.receiver.accepted
    assert {tally.key for tally in after.groups} == {tally.key for tally in before.groups}
    assert after.flows == before.flows
    assert set(app.store.state.told) == set(told)
    honest(app)


def test_a_digest_says_what_is_held_back() -> None:
    """Honest about what it does not tell again yet."""
    app = App()
    first, second = nics(2, nsgs=2)
    ref = app.random(first)
    app.event(ref)
    app.timer()
    app.event(app.write(first, *app.logs[ref]))
    app.event(app.random(second))
    app.minutes(1)

    (_, told), (_, digest) = app.receiver.accepted
    assert (digest.held_groups, digest.held_flows) == (len(told.groups), told.flows)


def test_a_receiver_that_is_down() -> None:
    """The digest waits as it is, what comes meanwhile is merged into the next, nothing is lost."""
    app = App()
    app.receiver.down = TransientError("away")
    for _ in range(10):
        for nic in nics(5):
            app.event(app.random(nic))
        app.minutes(2)
    assert not app.receiver.accepted
    assert len(app.receiver.posts) > 30
    stored = app.store.state.pending

    app.receiver.down = None
    app.minutes(1)
    assert [digest for _, digest in app.receiver.accepted] == [
        stored,
        *list(app.receiver.digests.values())[1:],
    ]
    app.heal()
    honest(app)


def test_the_wait_that_the_receiver_asks_for() -> None:
    """Retry-After is honoured, also by another process."""
    app = App()
    app.event(app.random(nics(1)[0]))
    app.receiver.down = TransientError("busy", retry_after=240)
    app.timer()
    app.receiver.down = None
    app.minutes(3.5)
    assert len(app.receiver.posts) == 1
    app.minutes(1)
    assert len(app.receiver.accepted) == 1


def refused_twice(app: App) -> tuple[Digest, Digest]:
    """The digest made while content is refused, and what is accepted after two refusals."""
    for nic in nics(12, nsgs=12):
        app.event(app.random(nic))
    app.receiver.down = DataRefusedError("400")
    app.clock.seconds += INTERVAL
    report = app.timer()
    assert isinstance(report.error, DataRefusedError)
    assert report.digest is not None
    app.minutes(0.5)
    app.receiver.down = None
    app.minutes(0.5)
    return report.digest, app.receiver.accepted[-1][1]


def test_a_refused_digest_shows_less_until_it_is_taken() -> None:
    """Content that a service refuses, which takes others, does not stop what comes behind it."""
    app = App()
    app.event(app.random(nics(1)[0]))
    app.timer()
    made, accepted = refused_twice(app)

    assert len(made.groups) > 8
    assert len(accepted.groups) == len(made.groups) // 2 // 2
    assert (accepted.id, accepted.flows) == (made.id, made.flows)
    shown = len(made.groups) - len(accepted.groups)
    assert accepted.more_groups == made.more_groups + shown


def test_a_receiver_that_takes_nothing_is_configuration() -> None:
    """A wrong routing key answers 400 to everything; mended, it gets the digest whole."""
    made, accepted = refused_twice(App())
    assert accepted == made

    app = App()
    app.event(app.random(nics(1)[0]))
    app.timer()
    app.receiver.down = DataRefusedError("400")
    for nic in nics(12, nsgs=12):
        app.event(app.random(nic))
    app.minutes(30)
    app.receiver.down = None
    app.minutes(0.5)
    whole = app.receiver.accepted[-1][1]
    assert len(whole.groups) > 8


def test_wrong_credentials_wait_for_a_person() -> None:
    """Nothing is cut or dropped for a refusal that the content is not at fault of."""
    app = App()
    app.event(app.random(nics(1)[0]))
    app.receiver.down = RefusedError("403")
    app.timer()
    pending = app.store.state.pending
    app.minutes(60)

    assert app.store.state.pending == pending
    app.heal()
    honest(app)


@pytest.mark.parametrize("steps", range(12))
def test_death_at_any_step(steps: int) -> None:
    """The next run goes on: the same digest again, or the one that had not been made."""
    app = App()
    for nic in nics(4):
        app.event(app.random(nic))
    killed(steps, app, None)
    app.minutes(2)
    for nic in nics(4):
        app.event(app.random(nic))
    app.clock.seconds += REPEAT
    killed(steps, app, None)
    app.heal()

    honest(app)
    ids = [digest.id for _, digest in app.receiver.accepted]
    assert len(ids) - len(set(ids)) <= 2


@pytest.mark.parametrize("seed", range(25))
def test_anything_at_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces log, workers and timers die anywhere, the receiver comes and goes."""
    monkeypatch.setattr(digest_module, "MAX_SHOWN", 1000)
    rng = random.Random(seed)
    app = App(rng=rng)
    every = nics(6)
    for _ in range(60):
        ref = app.random(rng.choice(every), hour=HOUR + timedelta(hours=rng.choice([0, 0, 1])))
        killed(rng.randrange(12), app, [ref] if rng.random() < 0.6 else list(app.logs))
        app.clock.seconds += rng.choice([1, 10, 29.5, 61, 300])
        app.receiver.down = rng.choice([None, None, TransientError("away"), RefusedError("403")])
        if rng.random() < 0.7:
            killed(rng.randrange(14), app, None)
    app.heal()

    honest(app)


def test_two_timers_at_once_post_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the state before the other wrote it may not post."""
    app = App()
    app.event(app.random(nics(1)[0]))
    inner = app.receiver

    def post(digest: Digest) -> None:
        inner(digest)
        app.event(app.random(nics(1)[0]))  # while the first waits for the answer
        monkeypatch.setattr(app, "receiver", inner)
        app.timer()

    monkeypatch.setattr(app, "receiver", post)
    app.timer()

    assert len(inner.accepted) == 1
    assert app.store.state.pending is None, "the acknowledgement is not lost to the other's write"
    app.heal()
    honest(app)


def test_a_state_written_meanwhile_is_not_overwritten() -> None:
    """The one that comes too late gives up, and says so."""
    app = App()
    app.event(app.random(nics(1)[0]))
    digests = app.digests()
    read = app.store.read
    state, etag = read()
    app.timer()
    app.store.read = lambda: (state, etag)  # type: ignore[method-assign]  # a read before the other's write
    assert digests.run().busy
    app.store.read = read  # type: ignore[method-assign]
    app.heal()
    honest(app)


def test_a_rewritten_blob_is_counted_again() -> None:
    """Nothing that is new in it is lost; what was told before repeats."""
    app = App()
    nic = nics(1)[0]
    ref = app.random(nic)
    app.event(ref)
    app.timer()
    before = app.denied().total()
    texts = app.logs.pop(ref)
    app.random(nic)
    app.write(nic, *texts)
    app.event(ref)
    app.heal()

    told = sum(digest.flows for digest in app.receiver.digests.values())
    assert told == before + app.denied().total()


def test_a_checkpoint_that_was_deleted_begins_a_new_ledger() -> None:
    """Its counts are not taken for ones that were read."""
    app = App()
    ref = app.random(nics(1)[0], tuples=12)
    app.event(ref)
    app.timer()
    del app.table.rows[ref]
    app.event(ref)
    app.heal()

    told = sum(digest.flows for digest in app.receiver.digests.values())
    assert told == 2 * app.denied().total()


def test_an_app_that_was_stopped_reads_all_hours_since() -> None:
    """What was delivered when no timer ran is told when one runs again."""
    app = App()
    app.timer()
    for hour in range(5):
        app.clock.seconds = (HOUR + timedelta(hours=hour, minutes=5)).timestamp()
        app.event(app.random(nics(1)[0], hour=HOUR + timedelta(hours=hour)))
    app.clock.seconds += 3600
    app.heal()
    honest(app)


def test_an_old_hour_is_told_when_it_is_watched() -> None:
    """A log that comes hours late; the mark goes when it has run out, and not before."""
    app = App()
    app.clock.seconds = (HOUR + timedelta(hours=9)).timestamp()
    app.timer()
    app.table.watch(HOUR, app.clock() + 600)
    app.minutes(1)
    assert app.table.marks
    app.event(app.random(nics(1)[0]))
    app.minutes(15)

    assert not app.table.marks
    assert app.told() == app.groups() != Counter()
    honest(app)


def test_the_last_update_of_an_hour_is_not_missed() -> None:
    """A log of the hour before, delivered by an invocation that began just before it was late."""
    app = App()
    app.timer()
    app.clock.seconds = (HOUR + timedelta(hours=1, minutes=59)).timestamp()
    app.timer()
    app.clock.seconds = (HOUR + timedelta(hours=2, minutes=7)).timestamp()
    app.event(app.random(nics(1)[0]))
    app.timer()
    assert app.told() == app.groups() != Counter()


def test_nothing_is_written_where_nothing_happens() -> None:
    """An idle timer reads; its state is written now and then, so that hours stay few."""
    app = App()
    app.minutes(1)
    writes, queries = app.store.writes, app.table.requests["query"]
    app.minutes(60)

    assert app.store.writes - writes <= 3
    assert app.table.requests["query"] - queries <= 3 * 120


def test_a_log_that_has_stopped_costs_less_and_less() -> None:
    """Nobody can tell whether its group is over, and asking more often would not help."""
    app = App()
    app.event(app.random(nics(1)[0]))
    digests = app.digests()
    for _ in range(2 * 31):
        app.clock.seconds += INTERVAL
        digests.run()
    writes, before = app.store.writes, app.table.requests["query"]
    for _ in range(2 * 60 * 8):
        app.clock.seconds += INTERVAL
        digests.run()

    assert app.store.writes - writes <= 8 * 3
    assert 0 < app.table.requests["all rows"] <= 200
    assert app.table.requests["query"] - before + app.table.requests["all rows"] <= 3 * 2 * 60 * 8


def test_more_groups_than_a_message_names() -> None:
    """The most important ones are named and the rest is counted, once."""
    app = App()
    for nic in nics(60, nsgs=60):
        app.event(app.random(nic))
    app.timer()
    app.minutes(REPEAT / 60 - 1)

    ((_, digest),) = app.receiver.accepted
    assert len(digest.groups) == digest_module.MAX_SHOWN
    assert digest.more_groups > 0
    assert digest.flows == app.denied().total()
    assert [tally.key.scope for tally in digest.groups] == sorted(
        (tally.key.scope for tally in digest.groups), key=["inside", "outbound", "internet"].index
    )


def test_a_timer_a_little_early_does_not_leave_out_an_interval() -> None:
    """It waits the rest, if that is a few seconds."""
    app = App()
    app.event(app.random(nics(1, nsgs=1)[0]))
    app.timer()
    app.event(app.random(nics(2, nsgs=2)[1]))
    app.clock.seconds += INTERVAL - 0.2
    app.timer()

    assert len(app.receiver.accepted) == 2
    assert spaced(app.receiver.posts)


def test_an_old_hour_is_not_told_again_for_an_update_that_says_nothing() -> None:
    """A duplicate event, or a replay for the table alone, more than a day after the hour."""
    app = App()
    refs = [app.random(nic) for nic in nics(5)]
    for ref in refs:
        app.event(ref)
    app.heal()
    told = sum(digest.flows for digest in app.receiver.digests.values())
    for day in (2, 3, 9):
        app.clock.seconds = (HOUR + timedelta(days=day)).timestamp()
        app.timer()
        app.table.watch(HOUR, app.clock() + 600)
        app.event(refs[0])
        app.minutes(30)

    assert not app.table.marks
    assert sum(digest.flows for digest in app.receiver.digests.values()) == told
    honest(app)


def test_an_old_log_that_goes_on_tells_what_is_new_and_nothing_else() -> None:
    """Of that log and of the others of its hour."""
    app = App()
    every = nics(5)
    for nic in every:
        app.event(app.random(nic))
    app.heal()
    for day in (2, 3):
        app.clock.seconds = (HOUR + timedelta(days=day)).timestamp()
        app.timer()
        app.table.watch(HOUR, app.clock() + 600)
        app.event(app.random(every[0]))
        app.minutes(20)

    assert app.told() == app.groups() != Counter()
    honest(app)


def test_what_was_counted_while_no_timer_ran_is_told_however_old_it_is() -> None:
    """Two days after: nobody has read it yet."""
    app = App()
    app.timer()
    app.event(app.random(nics(1)[0]))
    app.clock.seconds += 2 * 86_400
    app.event(app.random(nics(2)[1]))
    app.heal()
    honest(app)


def test_an_hour_that_cannot_be_read_stops_no_other() -> None:
    """It is said, tried again, and told whole once it can be read, days later too."""
    app = App()
    app.timer()
    every = nics(4)
    for nic in every:
        app.event(app.random(nic))
    inner = app.table.rows_of

    def rows(hour: datetime) -> Iterator[Row]:
        for number, found in enumerate(inner(hour)):
            if hour == HOUR and number == 2:
                raise ValueError("1-01-01T00 is no hour")
            yield found

    app.table.rows_of = rows  # type: ignore[method-assign]  # the third row is broken
    report = app.timer()
    assert (report.unread, report.why_unread) == (1, "1-01-01T00 is no hour")
    later = HOUR + timedelta(hours=1)
    app.clock.seconds = (later + timedelta(minutes=5)).timestamp()
    app.event(app.random(every[0], hour=later))
    app.minutes(1)
    assert len(app.receiver.accepted) == 1
    app.minutes(60 * 30)
    app.table.rows_of = inner  # type: ignore[method-assign]
    app.heal()

    assert app.timer().unread == 0
    assert not app.store.state.unread
    honest(app)


def test_where_no_hour_can_be_read_it_is_the_storage() -> None:
    """Then the run fails, and the next begins where it did."""
    app = App()
    app.event(app.random(nics(1)[0]))

    def rows(hour: datetime) -> Iterator[Row]:
        raise TransientError("the table is away")

    inner, app.table.rows_of = app.table.rows_of, rows  # type: ignore[method-assign]
    with pytest.raises(TransientError, match="away"):
        app.timer()
    app.table.rows_of = inner  # type: ignore[method-assign]
    app.heal()
    honest(app)


@pytest.mark.parametrize("silenced", [True, False])
def test_what_changed_is_asked_once_for_a_digest(silenced: bool) -> None:
    """With silences or without; and not where they hold back all of it."""
    app = App()
    app.event(app.random(nics(1)[0]))
    asked: list[int] = []

    def changed(begun: Mapping[str, int], groups: Sequence[Tally]) -> dict[str, str]:
        asked.append(len(groups))
        return {}

    silence = Silence("id", "direction=in", app.clock() + 600, app.clock())
    app.store.state = State(silences=(silence,) if silenced else ())
    report = replace(app.digests(), changed=changed).run()

    assert report.digest is not None
    assert asked == [len(report.digest.groups)]
    every = Silence("id", "direction=in,out", app.clock() + 600, app.clock())
    app = App()
    app.event(app.random(nics(1)[0]))
    app.store.state = State(silences=(every,))
    report = replace(app.digests(), changed=changed).run()
    assert report.digest is None
    assert len(asked) == 1
