"""Nothing found is told apart: no flow, no NSG of that name, hidden by default, no log."""

from datetime import UTC, datetime, timedelta

import pytest

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record
from nsgflow_core.cli.nothing_found import age, no_such_names
from tests.cli.conftest import Store, at

HOUR = at("2026-03-04T05:00")
SQL = Nic(nsg="SQL-NSG")


@pytest.fixture
def logs(store: Store) -> Store:
    """Denied outbound, a denied probe, an allowed flow."""
    time = int(HOUR.timestamp())
    texts = (
        f"{time},10.5.16.4,192.0.2.9,5000,443,T,O,D,B,,,,",
        f"{time},168.63.129.16,10.5.16.4,5000,80,T,I,D,B,,,,",
        f"{time},192.0.2.1,10.5.16.4,5000,22,T,I,A,B,,,,",
    )
    store.log(nsg_path(SQL, HOUR), [nsg_record(SQL, HOUR, [Group("UserRule_Deny", texts)]).data])
    return store


def said(store: Store, command: str) -> str:
    """What a command that finds nothing says, and that it does not fail."""
    done = store.nsgflow(command)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr


def test_what_was_read_and_what_defaults_left_out(logs: Store) -> None:
    """Logs, NSGs, span, age of the newest record; and the flags that would show more."""
    text = said(logs, "flows --since 2026-03-04T04:00 --until 2026-03-04T06:00")
    assert "no flows match: read 1 log of 1 NSG or VNet from 2026-03-04T04:00Z" in text
    assert "to 2026-03-04T06:00Z, the newest record is" in text
    assert "1 outbound flow (--display-direction both)" in text
    assert "1 probe of the load balancer (--display-lb)" in text
    assert "allowed flows (--display-allowed)" in text


def test_denied_says_what_it_left_out(logs: Store) -> None:
    """Probes are left out; allowed flows are not its business."""
    text = said(logs, "denied --display-direction in")
    assert "1 probe of the load balancer (--display-lb)" in text
    assert "allowed flows" not in text


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("denied --port 22 --port 1433", "between these ports: --port 22,1433 asks for any"),
        (
            "denied --ip 10.0.0.1 --ip 10.0.0.2 --ip 10.0.0.3",
            "--ip 10.0.0.1,10.0.0.2,10.0.0.3 asks",
        ),
        (
            "denied --filter 'port=22 DestPort=23'",
            "port= that comes twice must hold twice: port=22,23",
        ),
        ("denied --nsg-name SLQ-NSG", "of an NSG named 'SLQ-NSG', did you mean 'SQL-NSG'?"),
        ("flows --nsg-name 'NOPE*'", "of an NSG named 'NOPE*'; there are SQL-NSG"),
        ("denied --filter nsg=SQLNSG", "did you mean 'SQL-NSG'?"),
        (
            "denied --filter rule=Nope",
            "with a prefix (DefaultRule_): rule=*Nope finds both",
        ),
        (
            "denied --nsg-name /subscriptions/s/resourceGroups/g/x/networkSecurityGroups/SQL",
            "did you mean 'SQL-NSG'?",
        ),
    ],
)
def test_a_name_that_is_not_there_gets_the_nearest(logs: Store, command: str, hint: str) -> None:
    """The NSG is named that was probably meant."""
    assert hint in said(logs, command)


def test_no_log_of_that_time_names_the_newest(logs: Store) -> None:
    """Late logs show."""
    text = said(logs, "flows --since 2026-03-05T00:00 --until 2026-03-05T01:00")
    assert text == (
        "nsgflow: there are no flow logs of that time: the newest is of 2026-03-04T05:00Z\n"
    )


def test_a_probe_that_is_asked_for_is_shown(logs: Store) -> None:
    """Who names the load balancer's address wants to see it."""
    assert "168.63.129.16" in logs.output("flows --ip 168.63.129.16")
    assert logs.output("denied --filter src=168.63.129.16").count("\n") == 2


@pytest.mark.parametrize(
    ("behind", "text"),
    [(95, "95 s"), (150, "2 min"), (3 * 3600, "3 h"), (4 * 86_400, "4 d"), (-5, "0 s")],
)
def test_age_of_the_newest_record(behind: int, text: str) -> None:
    """In the unit that a person would say."""
    now = datetime.now(UTC)
    newest = (now - timedelta(seconds=behind)).isoformat()
    assert age(newest, now) == f"the newest record is {text} old"
    assert age("", now) == "no record in them"


def test_names_that_fit_are_not_told() -> None:
    """By any case, by *, by id."""
    asked = ["sql-nsg", "S*", "/subscriptions/s/x/networkSecurityGroups/SQL-NSG"]
    assert no_such_names(asked, ["SQL-NSG"], vnets=False) == []
