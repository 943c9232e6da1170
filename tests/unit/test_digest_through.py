"""What ledgers say of a group that was let through again: all of it, where it was denied, later."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from nsgflow_core.digests.groups import MANY_LOGS, Key, Tally
from nsgflow_core.digests.ledger import Ledger, Passed
from nsgflow_core.digests.life import Life, begun
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.through import Through
from nsgflow_core.estate.scope import INSIDE

HOUR = datetime(2026, 11, 23, 9, tzinfo=UTC)
LAST = round(HOUR.timestamp() * 1000) + 40 * 60_000
KEY = Key("/nsgs/a", "web", "deny", inbound=True, protocol="TCP", port=1433, scope=INSIDE)
X, Y = "10.0.0.1 10.0.1.1 1433", "10.0.0.2 10.0.1.1 1433"


def tally(*examples: str, complete: bool = True) -> Tally:
    """The group with these flows."""
    return Tally(KEY, 2, LAST - 600_000, LAST, examples=Sample(examples, complete))


def life(*examples: str, **logs: int) -> Life:
    """Its life."""
    return begun(replace(tally(*examples), seen_in=logs), 0)


def seen(example: str, at: int = LAST + 60_000, rule: str = "allow") -> Passed:
    """A flow that was let through."""
    return Passed(KEY.id, example, at, at, rule)


def said(one: Life, **ledgers: tuple[Tally, list[Passed]]) -> str:
    """What the ledgers of logs say of it."""
    through = Through({KEY.id: one}, HOUR)
    for log, (counted, passed) in ledgers.items():
        through.add(Ledger("id", (counted,), log=log, passed=tuple(passed)))
    return through.of(one)


def test_each_flow_in_each_log_that_had_it() -> None:
    """And the last of them is told, with its rule."""
    one = life(X, Y, a=LAST, b=LAST)
    later = seen(Y, LAST + 300_000, "other")
    words = said(one, a=(tally(X), [seen(X)]), b=(tally(Y), [later]))
    assert words == "the same flows are let through again since 09:45 UTC by rule other"
    assert not said(one, a=(tally(X), [seen(X)]), b=(tally(Y), []))
    assert not said(one, a=(tally(X, Y), [seen(X)]), b=(tally(Y), [later]))
    assert not said(one, a=(tally(X), [seen(X)]))
    assert not said(one, a=(tally(X), [seen(X)]), b=(tally(X), [seen(X)])), "of Y nobody knows"


@pytest.mark.parametrize(
    ("behind", "enough"), [(1000, True), (999, False), (0, False), (-1, False)]
)
def test_later_than_the_last_denied_flow(behind: int, enough: bool) -> None:
    """By a second: some logs write whole ones."""
    one = life(X, a=LAST - 60_000, b=LAST)
    one = replace(one, last=LAST)
    early = said(one, a=(tally(X), [seen(X, LAST + behind)]), b=(tally(X), [seen(X)]))
    assert bool(early) is enough


def test_flows_from_before_the_hours_that_are_read() -> None:
    """Then each log must show all, since it may have had any."""
    one = replace(life(X, Y, a=LAST, b=LAST), since=LAST - 3 * 3_600_000)
    assert not said(one, a=(tally(X), [seen(X)]), b=(tally(Y), [seen(Y)]))
    both = [seen(X), seen(Y)]
    assert said(one, a=(tally(X), both), b=(tally(Y), both))
    assert not said(replace(one, since=0), a=(tally(X), [seen(X)]), b=(tally(Y), [seen(Y)]))


def test_where_not_all_is_known() -> None:
    """Of many flows, of logs without a name, and of rows that had no room for all."""
    passed = [seen(X)]
    assert said(life(X, a=LAST), a=(tally(X), passed))
    many = replace(life(X, a=LAST), examples=Sample((X,), complete=False))
    assert not said(many, a=(tally(X), passed))
    assert not said(life(X, **{MANY_LOGS: LAST}), a=(tally(X), passed))
    assert not said(life(X, Y, a=LAST), a=(tally(X, complete=False), passed))
    assert not said(life(X, a=LAST), b=(tally(X), passed))
    other = replace(KEY, acl="/nsgs/b")
    assert not said(life(X, a=LAST), a=(tally(X), [replace(passed[0], group=other.id)]))
