"""Bugs seeded into alerts must be found: each of these breaks one rule of their life."""

from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from nsgflow_core.digests import digest, life, quieting
from nsgflow_core.digests.digest import Digests
from nsgflow_core.digests.life import Life
from tests.simulation.alerts import run
from tests.simulation.judge import BrokenPromiseError

ENOUGH = 1000


def found(owner: Any, name: str, bug: Any) -> str:
    """What the schedules find when a part of the product is replaced by one with a bug."""
    with mock.patch.object(owner, name, bug), pytest.raises(BrokenPromiseError) as raised:
        run_all()
    return str(raised.value)


def run_all() -> None:
    """Run as many schedules as a bug may take to show."""
    for seed in range(ENOUGH):
        run(seed)


def test_over_by_the_clock_alone() -> None:
    """A log that is late, or has stopped, says nothing of its groups."""
    end_of = life.end_of

    def without_logs(one: Life, reached: Any, turned: str, quiet: float, now: float) -> Any:
        return end_of(replace(one, logs={}), reached, turned, quiet, now)

    assert "did not go on" in found(digest, "end_of", without_logs)


def test_logs_asked_after_what_was_counted_in_them() -> None:
    """What is committed between the two would be passed over."""
    gather, look = Digests._gather, Digests._look
    asked: dict[str, Any] = {}

    def first(digests: Digests, state: Any) -> Any:
        gathered = gather(digests, state)
        asked["state"], asked["reached"] = look(digests, gathered.state)
        return gathered

    def later(digests: Digests, state: Any) -> Any:
        return state, LateMapping(asked)

    with mock.patch.object(Digests, "_gather", first):
        assert "went on" in found(Digests, "_look", later)


class LateMapping(dict[str, int]):
    """What is known only when it is asked for."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked

    def get(self, name: str, default: int = 0) -> Any:  # type: ignore[override]
        """As a dict has it."""
        return self._asked["reached"].get(name, default)


def test_changed_rules_taken_for_granted() -> None:
    """A group whose rules have not changed is not over because it could be."""
    end_of = life.end_of

    def turned(one: Life, reached: Any, _: str, quiet: float, now: float) -> Any:
        return end_of(one, reached, "now allowed" if one.denied else "", quiet, now)

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


def test_silences_that_are_not_asked_for_again() -> None:
    """One that was made a minute ago holds."""

    def never(digests: Digests, state: Any, now: float, reached: Any) -> Any:
        return digests._make(state, now, reached)

    assert "is silent" in found(Digests, "_tell", never)


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
