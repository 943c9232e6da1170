"""Each alert rule is run as Azure runs it: it fires on the estate it is for, and on no other.

A rule sees what is in its window when it runs, sums its measure for each combination of its
dimensions, and fires where the sum reaches the threshold.
"""

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable

import pytest

from devtools.flowlogs import Group, nsg_record, random_record, vnet_record
from devtools.kql import Workspace
from devtools.queries import SAVED, Rule, rules, with_values
from devtools.table_rows import (
    NOW,
    WEB,
    Row,
    denied_v2,
    denied_v4,
    new_workspace,
    rows_of,
)
from nsgflow_core.errors import TransientError
from tests.infra.lines import HOUR, MINUTE, App

RULES = {rule.query.removeprefix("alert-"): rule for rule in rules()}
EACH_MINUTE = "denied-watched-minute"
DENY = "DefaultRule_DenyAllInBound"
WEB_LABEL = "shop-rg/prod-web-nsg"
DOWN = TransientError("the webhook answered 503")

Alerts = dict[tuple[str, ...], float]
"""The measure of each combination of dimensions that fires."""


def length(duration: str) -> dt.timedelta:
    """A duration as rules write it: PT15M, PT1H, P2D."""
    units = {"M": MINUTE, "H": HOUR, "D": 24 * HOUR}
    return int(duration.strip("PTMHD")) * units[duration[-1]]


def fired(workspace: Workspace, name: str, at: dt.datetime = NOW, **values: str) -> Alerts:
    """What the rule says when it runs at this moment."""
    rule = RULES[name]
    query = with_values(SAVED[rule.query], **values)
    sums: Counter[tuple[str, ...]] = Counter()
    for row in workspace.ask(query, at, length(rule.window)):
        sums[tuple(row[by] for by in rule.dimensions)] += row[rule.measure]
    return {by: total for by, total in sums.items() if total >= rule.threshold}


def holding(rows: list[Row]) -> Workspace:
    """A workspace with these rows of flows alone."""
    made = new_workspace()
    made.add("NSGFlow_CL", rows)
    return made


def background(rng: random.Random, end: dt.datetime) -> list[Row]:
    """A day of an NSG that denies ten flows in each quarter of an hour."""
    moments = [end - number * 15 * MINUTE for number in range(1, 96)]
    records = [random_record(WEB, at, rng, tuples=20, denied_share=0.5) for at in moments]
    return [row for row in rows_of(WEB, records) if row["DestPort"] not in (22, 3389)]


def attack(at: dt.datetime, count: int) -> list[Row]:
    """Flows to port 8080 that the NSG log and the VNet log have, half each."""
    ends = "10.7.0.9,10.5.16.4,50648,8080"
    v2 = Group(DENY, denied_v2(at, ends, count // 2))
    v4 = Group(DENY, denied_v4(at, ends, 6, count - count // 2))
    return rows_of(WEB, [nsg_record(WEB, at, [v2]), vnet_record(WEB, at, [v4])])


@pytest.mark.parametrize("name", RULES)
def test_still_before_the_first_row_and_line(name: str) -> None:
    """A deployment has neither code nor rows for its first minutes."""
    assert fired(new_workspace(), name) == {}


@pytest.mark.parametrize("name", RULES)
def test_still_on_a_healthy_app_and_estate(name: str, app: App) -> None:
    """Three hours of an app that works, over an estate with its usual denials."""
    app.healthy(NOW - 3 * HOUR, NOW + HOUR)
    workspace = app.workspace()
    workspace.add("NSGFlow_CL", background(random.Random(1), NOW + HOUR))
    nobody = {"nsgs": "'', 'other-nsg'"}

    for step in range(4):
        assert fired(workspace, name, NOW + step * 15 * MINUTE, **nobody) == {}


def test_first_deployment_never_looks_quiet(app: App) -> None:
    """The rule is there an hour before the first line; a connection is swept only later."""
    app.healthy(NOW, NOW + 20 * MINUTE, "FlowLogs")
    app.healthy(NOW + 20 * MINUTE, NOW + 3 * HOUR)
    workspace = app.workspace()

    for step in range(-4, 12):
        assert fired(workspace, "quiet", NOW + step * 15 * MINUTE) == {}


def test_quiet_fires_when_the_app_stops_and_for_two_days(app: App) -> None:
    """An hour after the last line, and as long as a rule can look back."""
    app.healthy(NOW - 3 * HOUR, NOW)
    workspace = app.workspace()

    assert fired(workspace, "quiet", NOW + HOUR - 10 * MINUTE) == {}
    for after in (1.1, 12, 24, 44):
        assert fired(workspace, "quiet", NOW + after * HOUR) == {(): 1}
    assert fired(workspace, "quiet", NOW + 2 * HOUR, quiet="3h") == {}


def test_quiet_fires_for_one_connection_of_two_and_without_records(app: App) -> None:
    """One account that is not swept; and sweeps that find no logs written."""
    app.healthy(NOW - 3 * HOUR, NOW - 2 * HOUR)
    app.healthy(NOW - 2 * HOUR, NOW, "FlowLogs")

    assert fired(app.workspace(), "quiet") == {(): 1}
    assert fired(app.workspace(), "quiet", connections="1") == {}


def test_quiet_fires_when_nothing_is_read(app: App) -> None:
    """Sweeps go on and find no new record."""
    app.healthy(NOW - 3 * HOUR, NOW - 70 * MINUTE)
    for minutes in range(70, 0, -5):
        app.at(NOW - minutes * MINUTE)
        app.sweep("FlowLogs")
        app.sweep("FlowLogs2")

    assert fired(app.workspace(), "quiet") == {(): 1}


def failing(app: App, count: int) -> None:
    """Deliveries that fail."""
    for _ in range(count):
        app.deliver(errors={"webhook": DOWN}, lag=20.0)


def refused(app: App, count: int) -> None:
    """Listings that a sweep could not get."""
    app.sweep(errors=count, unreached=count, firstError="Blob Storage answered 403")


def lagging(app: App, minutes: int) -> None:
    """A blob that is behind."""
    app.deliver(lag=60.0 * minutes)


def set_aside(app: App, count: int) -> None:
    """Pieces that could not be read."""
    app.deliver(bad=count)


def poisoned(app: App, count: int) -> None:
    """Events that were given up."""
    for _ in range(count):
        app.insights.poisoned()


def poisoned_queue(app: App, count: int) -> None:
    """The same, of events that come by a queue."""
    for _ in range(count):
        app.insights.poisoned("nsgflow-events-poison")


def stopped(app: App, count: int) -> None:
    """The host stops itself, as it does where a flow-log account answers 403."""
    for _ in range(count):
        app.insights.stopped("Service request failed. Status: 403")


@pytest.mark.parametrize(
    ("name", "happens", "enough"),
    [
        ("delivery", failing, 5),
        ("delivery", refused, 5),
        ("delivery", lagging, 11),
        ("dead-letters", set_aside, 1),
        ("poison", poisoned, 5),
        ("poison", poisoned_queue, 5),
        ("host", stopped, 1),
    ],
    ids=lambda at: getattr(at, "__name__", str(at)),
)
def test_fires_when_enough_happens(
    name: str, happens: Callable[[App, int], None], enough: int, app: App
) -> None:
    """At its threshold, not one below, and no other rule but where that is right."""
    app.healthy(NOW - 2 * HOUR, NOW)
    app.at(NOW - 5 * MINUTE)
    happens(app, enough - 1)

    assert fired(app.workspace(), name) == {}

    app.at(NOW - 25 * MINUTE)
    happens(app, enough)
    app.at(NOW - 4 * MINUTE)

    assert fired(app.workspace(), name) == {}

    happens(app, enough)
    workspace = app.workspace()

    assert list(fired(workspace, name)) == [()]
    lines = [at for at in RULES if not RULES[at].dimensions]
    assert [at for at in lines if fired(workspace, at)] == [name]


def test_surge_fires_with_the_nsg() -> None:
    """Six hundred denials in a quarter of an hour, where ten are usual; one NSG in two cases."""
    usual = background(random.Random(1), NOW)
    workspace = holding(usual + attack(NOW - 5 * MINUTE, 600))
    (found,) = fired(workspace, "surge").items()

    assert found[0] == (WEB_LABEL,)
    assert 600 <= found[1] <= 620
    assert fired(workspace, "surge", minimum="700") == {}
    assert fired(workspace, "surge", factor="200") == {}


def test_surge_is_still_for_a_new_nsg_and_for_what_comes_late() -> None:
    """Nothing is usual yet; and what a stopped app catches up with is past."""
    usual = background(random.Random(1), NOW)
    late = [row | {"IngestedAt": NOW - 5 * MINUTE} for row in attack(NOW - 3 * HOUR, 600)]

    assert fired(holding(attack(NOW - 5 * MINUTE, 600)), "surge") == {}
    assert fired(holding(usual + late), "surge") == {}


def watched_flows(at: dt.datetime) -> list[Row]:
    """Two denied flows to port 3389, one in each kind of log, and an ICMP packet."""
    ends = "10.7.0.9,10.5.16.4,50648,3389"
    icmp = denied_v4(at, "10.7.0.9,10.5.16.4,0,0", 1)
    v4 = Group(DENY, (*denied_v4(at, ends, 6), *icmp))
    records = [
        nsg_record(WEB, at, [Group(DENY, denied_v2(at, ends))]),
        vnet_record(WEB, at, [v4]),
    ]
    return rows_of(WEB, records)


def test_watched_port_and_nsg_fire_once_for_an_nsg_in_two_cases() -> None:
    """By NSG, rule and port; twice delivered is once; the next run but one is still."""
    rows = watched_flows(NOW - 3 * MINUTE)
    workspace = holding(rows + rows[:1])
    port = {(WEB_LABEL, DENY, "TCP 3389"): 2}

    assert fired(workspace, "denied-watched", nsgs="''") == port
    assert fired(workspace, "denied-watched", ports="-1") == {
        **port,
        (WEB_LABEL, DENY, "ICMP"): 1,
    }
    assert fired(workspace, "denied-watched", ports="-1, 22", nsgs="''") == {}
    assert fired(workspace, "denied-watched", NOW + 10 * MINUTE) == {}


def test_every_row_is_seen_by_one_run_at_least() -> None:
    """However long a row takes, the runs five minutes apart leave no gap between them."""
    for seconds in range(0, 300, 75):
        at = NOW - 2 * MINUTE - dt.timedelta(seconds=seconds)
        workspace = holding(watched_flows(at))
        runs = [NOW + step * 5 * MINUTE for step in range(-2, 3)]

        assert any(fired(workspace, "denied-watched", run) for run in runs)


def test_each_minute_sees_the_same_rows() -> None:
    """The simple log alert goes row by row: nothing, then the rows that are watched."""
    rows = watched_flows(NOW - 3 * MINUTE)
    query = SAVED[f"alert-{EACH_MINUTE}"]

    assert new_workspace().ask(with_values(query), NOW, HOUR) == []
    for ports, nsgs, count in (
        ("-1, 3389", "''", 2),
        ("-1", "'', 'prod-web-nsg'", 3),
        ("-1", "''", 0),
    ):
        seen = holding(rows).ask(with_values(query, ports=ports, nsgs=nsgs), NOW, HOUR)
        assert len(seen) == count
        assert {row["Nsg"] for row in seen} <= {WEB_LABEL}


def test_every_rule_is_run() -> None:
    """No rule of alerts.bicep is left out here."""
    asked = {*RULES, EACH_MINUTE}

    assert {f"alert-{name}" for name in asked} == {name for name in SAVED if name[:6] == "alert-"}
    assert all(isinstance(rule, Rule) for rule in RULES.values())
