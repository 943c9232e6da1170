"""Bugs seeded into alerts must be found: each of these breaks one rule of their life."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from nsgflow_core.digests import digest, life, quieting, sought
from nsgflow_core.digests.digest import Digests
from nsgflow_core.digests.gathering import Gathering
from nsgflow_core.digests.groups import MANY_LOGS, key_of
from nsgflow_core.digests.ledger import Ledger, Passed
from nsgflow_core.digests.life import Life
from nsgflow_core.digests.reach import Reach, Read, Swept
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.through import Through
from nsgflow_core.model import Flow
from tests.simulation.alerts import run
from tests.simulation.judge import BrokenPromiseError

ENOUGH = 1000


def found(owner: Any, name: str, bug: Any, enough: int = ENOUGH) -> str:
    """What the schedules find when a part of the product is replaced by one with a bug."""
    with mock.patch.object(owner, name, bug), pytest.raises(BrokenPromiseError) as raised:
        run_all(enough)
    return str(raised.value)


def run_all(enough: int = ENOUGH) -> None:
    """Run as many schedules as a bug may take to show."""
    for seed in range(enough):
        run(seed)


def test_over_by_the_clock_alone() -> None:
    """A log that is late, or has stopped, says nothing of its groups."""
    end_of = life.end_of

    def without_logs(one: Life, *evidence: Any) -> Any:
        return end_of(replace(one, logs={}), *evidence)

    assert "is over, and" in found(digest, "end_of", without_logs)


def test_what_was_read_later_taken_for_evidence_of_before() -> None:
    """What is committed between the two would be passed over."""
    hour = Gathering._hour
    later: list[tuple[Any, ...]] = []

    def told_first(gathering: Gathering, at: Any, reach: Reach | None, through: Any) -> None:
        """The ledgers of an hour, and how far its logs were read some requests later."""
        hour(gathering, at, None, through)
        if reach is not None:
            later.append((gathering, at, reach))

    after = Gathering._after

    def and_then(gathering: Gathering, first: Any) -> Any:
        while later:
            of, at, reach = later.pop()
            rows = of._ledgers.rows(at, everything=True)
            reach.add(at, {row.log: Read(row.read_to, row.whole) for row in rows})
        return after(gathering, first)

    with mock.patch.object(Gathering, "_after", and_then):
        assert "went on" in found(Gathering, "_hour", told_first)


def test_later_hours_taken_for_evidence_of_what_was_not_read() -> None:
    """An app that was stopped reads the newest hours first."""

    def whatever(*_: Any) -> bool:
        return True

    assert "went on" in found(Reach, "_is_whole", whatever)


def test_sweeps_that_left_something_taken_for_complete() -> None:
    """An hour that was not listed may hold anything."""
    made = Reach.__init__

    def nothing_left(reach: Reach, swept: Swept) -> None:
        made(reach, Swept(swept.since))

    assert "went on" in found(Reach, "__init__", nothing_left)


def test_given_up_too_soon() -> None:
    """Of a log that stopped nobody knows, and that is said a day later."""
    assert "too soon" in found(life, "LOST_SECONDS", 3600.0)


def test_resolved_though_nobody_knows() -> None:
    """What is followed no longer is for a person to look at."""
    ended = life.ended

    def resolved(one: Life, *of_end: Any) -> Any:
        return replace(ended(one, *of_end), incident=one.incident)

    assert "nobody knows whether" in found(digest, "ended", resolved)


def test_changed_rules_taken_for_granted() -> None:
    """A group whose rules have not changed is not over because it could be."""
    end_of = life.end_of

    def turned(one: Life, went_on: Any, passed: str, _: str, *times: float) -> Any:
        return end_of(one, went_on, passed, "now allowed" if one.denied else "", *times)

    assert "no rule has changed" in found(digest, "end_of", turned)


def test_an_end_that_forgets_what_was_not_told() -> None:
    """What was held back when a group ended is told with its end."""
    ended = life.ended

    def forgetful(one: Life, fresh: int, because: str, said: str) -> Any:
        return ended(one, 0 * fresh, because, said)

    assert "were delivered" in found(digest, "ended", forgetful)


def test_told_again_at_even_distances() -> None:
    """What goes on for hours is told ever less often."""

    def even(one: Life, repeat: float, now: float) -> bool:
        return now - one.told >= repeat

    assert "too soon" in found(digest, "is_due", even)


def test_a_digest_made_anew_when_it_is_tried_again() -> None:
    """A repeat is what was posted, or a receiver cannot know it for one."""
    after = digest._after

    def forgets(state: Any, error: Any, now: float) -> Any:
        made = after(state, error, now)
        if made.pending is None or error is None:
            return made
        return replace(made, pending=replace(made.pending, made=now))

    assert "has changed" in found(digest, "_after", forgets)


def test_told_before_it_is_stored() -> None:
    """Who dies between would tell it twice, under two names."""
    make = Digests._make

    def at_once(digests: Digests, *about: Any, **more: Any) -> Any:
        made = make(digests, *about, **more)
        if made.pending is not None:
            digests.post(made.pending)
        return made

    assert "not stored" in found(Digests, "_make", at_once)


def test_lives_that_are_not_kept() -> None:
    """A group that is forgotten is new each time, and is never over."""

    def nobody(*_: Any) -> Any:
        return {}

    assert "nobody follows" in found(digest, "grown", nobody)


def test_silences_that_nobody_looks_at() -> None:
    """One that was made a moment ago holds."""

    def none(*_: Any) -> list[Any]:
        return []

    assert "is silent" in found(digest, "active", none)


def test_silences_that_hold_new_groups_alone() -> None:
    """The end of a group is a message, too."""

    def nothing(*_: Any) -> None:
        return None

    assert "is silent" in found(digest, "silencing", nothing)


def test_a_silence_that_swallows() -> None:
    """What it held back is counted, and said when it is over."""
    hold_back = quieting.hold_back

    def swallow(state: Any, silences: Any) -> Any:
        return replace(hold_back(state, silences), held={})

    assert "were delivered" in found(digest, "hold_back", swallow)


def test_scans_that_page_beside_what_they_hide() -> None:
    """Noise at an NSG waits for what is denied inside at it."""

    def nobody(*_: Any) -> list[Any]:
        return []

    assert "noise behind a fault" in found(digest, "inhibited", nobody)


def test_what_comes_late_taken_for_new() -> None:
    """One log is read hours after another: what it had of a fault that is over is no page."""

    def last(at: Any, _: float) -> int:
        return int(at.last)

    assert "more pages" in found(digest, "over_until", last, 5 * ENOUGH)


def found_by_flows(**alike: Any) -> str:
    """What is found when flows are taken for those that are sought whatever these fields say."""
    passed = sought.passed

    def any_of(flow: Flow, one: sought.Sought, knowledge: Any) -> Passed | None:
        key = key_of(flow, knowledge)
        like = replace(one.key, **{name: getattr(key, name) for name in alike})
        seen = passed(flow, one._replace(key=like), knowledge)
        return seen and replace(seen, group=one.key.id)

    return found(sought, "passed", any_of)


def test_another_nsgs_flow_taken_for_the_one_that_was_denied() -> None:
    """In a VNet's log one NSG lets through what another one denies."""
    assert "not let through" in found_by_flows(acl=True)


def test_the_other_direction_taken_for_the_one_that_was_denied() -> None:
    """What leaves an interface is no flow that came to it."""
    assert "not let through" in found_by_flows(inbound=True)


def test_an_open_connection_taken_for_a_new_one() -> None:
    """It goes on whatever the rules are by now."""
    passed = sought.passed

    def any_state(flow: Flow, one: sought.Sought, knowledge: Any) -> Passed | None:
        begun = replace(flow, detail="B" if flow.detail == "C" else flow.detail)
        return passed(begun, one, knowledge)

    assert "not let through" in found(sought, "passed", any_state)


def test_flows_older_than_the_last_denial_taken_for_evidence() -> None:
    """Where it is sought and where it is judged: either would do."""
    of, wanted = Through.of, sought.sought

    def whenever(through: Through, one: Life) -> str:
        return of(through, replace(one, last=0))

    def from_ever(*about: Any) -> list[sought.Sought]:
        return [one._replace(last=0) for one in wanted(*about)]

    assert "not let through" in found(Through, "of", whenever)
    with mock.patch.object(sought, "sought", from_ever):
        run_all()
        assert "not let through" in found(Through, "of", whenever)


def test_what_an_hour_says_taken_for_evidence_behind_it() -> None:
    """It was let through at the end of one, and denied in the next."""
    of = Through.of

    def of_the_hour(through: Through, one: Life) -> str:
        """By the last flow before the hour that it is."""
        return of(through, replace(one, last=one.last - one.last % 3_600_000))

    assert "not let through" in found(Through, "of", of_the_hour)


def test_one_of_its_flows_taken_for_all() -> None:
    """A rule that lets one host pass mends nothing for the other."""
    had_by = Through._had_by

    def first(through: Through, one: Life, log: str) -> Any:
        return {min(had_by(through, one, log), default="")}

    of = Through.of

    def of_one(through: Through, one: Life) -> str:
        return of(through, replace(one, examples=Sample(one.examples.values[:1])))

    with mock.patch.object(Through, "_had_by", first):
        assert "not let through" in found(Through, "of", of_one)


def test_groups_of_many_flows_taken_for_few() -> None:
    """Of more than four nobody knows whether all are let through."""
    of = Through.of

    def of_some(through: Through, one: Life) -> str:
        return of(through, replace(one, examples=Sample(one.examples.values)))

    made = Through.__init__

    def all_of(through: Through, lives: Any, first: Any) -> None:
        few = {
            name: replace(one, examples=Sample(one.examples.values)) for name, one in lives.items()
        }
        made(through, few, first)

    few_in = sought.few_in

    def of_many(ledger: Ledger, turn: int = 0) -> Iterator[sought.Few]:
        few = (replace(tally, examples=Sample(tally.examples.values)) for tally in ledger.groups)
        return few_in(replace(ledger, groups=tuple(few)), turn)

    init = mock.patch.object(Through, "__init__", all_of)
    with init, mock.patch.object(sought, "few_in", of_many):
        assert "not let through" in found(Through, "of", of_some)


def test_one_log_taken_for_all() -> None:
    """A flow is let through where it was denied, and not beside it."""
    add = Through.add

    def anywhere(through: Through, ledger: Ledger) -> None:
        add(through, replace(ledger, log=MANY_LOGS))

    of = Through.of

    def of_any(through: Through, one: Life) -> str:
        return of(through, replace(one, logs={MANY_LOGS: one.last}))

    with mock.patch.object(Through, "of", of_any):
        assert "not let through" in found(Through, "add", anywhere)


def test_over_as_soon_as_a_flow_is_let_through() -> None:
    """Flows come late, and another may have been denied meanwhile."""
    assert "may have gone on" in found(life, "_SETTLED", 0.0)
