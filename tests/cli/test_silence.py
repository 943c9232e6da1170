"""`nsgflow silence`, on real storage: made, listed, ended, and refused where it says too much."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nsgflow_core.cli.silence.silences import end_of
from tests.cli.conftest import Store


def run(store: Store, command: str, status: int = 0, **environ: str) -> tuple[str, str]:
    """Run a command below silence: what it wrote to stdout and stderr."""
    own = store.environ(NSGFLOW_WEBHOOK_URL="https://x.example", NSGFLOW_WEBHOOK_FORMAT="slack")
    done = store.nsgflow(f"silence {command}", own | environ)
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def listed(store: Store) -> list[dict[str, Any]]:
    """What `list` says."""
    return [json.loads(line) for line in run(store, "list -o json")[0].splitlines()]


def test_a_silence_is_made_listed_and_ended(store: Store) -> None:
    """Where there is not even a container yet; others stay."""
    assert "none" in run(store, "list")[1]
    first, said = run(store, "'nsg=prod-*  port=1433' --for 2h --why 'change 123'")
    assert re.fullmatch(r"nsgflow: until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", said)
    second, _ = run(store, f"src=10.0.0.5 proto=tcp --until {tomorrow()}")
    assert [(at["id"], at["terms"], at["why"]) for at in listed(store)] == [
        (first.strip(), "nsg=prod-* port=1433", "change 123"),
        (second.strip(), "src=10.0.0.5 proto=tcp", ""),
    ]
    assert "nsg=prod-* port=1433" in run(store, "list")[0]

    run(store, f"end {first}")
    assert [at["id"] for at in listed(store)] == [second.strip()]
    assert "no silence" in run(store, f"end {first}", 2)[1]


def test_flags_before_the_terms(store: Store) -> None:
    """Those that commands share make no command of the terms; --utc is heard before and behind."""
    evening = datetime.now(UTC) + timedelta(hours=2)
    for typed in ("--utc 'port=22'", "--utc add 'port=22'", "'port=22' --utc"):
        _, said = run(store, f"{typed} --until {evening:%Y-%m-%dT%H:%M}", TZ="XXX-9")
        assert said == f"nsgflow: until {evening:%Y-%m-%dT%H:%M:00Z}\n"
    assert len(run(store, "--verbose list")[0].splitlines()) == 1 + 3


def test_a_clock_time_is_the_next_one() -> None:
    """A silence until 17:00, said in the evening, lasts until tomorrow's."""
    evening = datetime(2026, 11, 25, 20, tzinfo=UTC)
    assert end_of(None, "17:00Z", evening) == datetime(2026, 11, 26, 17, tzinfo=UTC)


def tomorrow() -> str:
    """A time to come."""
    return f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("nsg=x", "say how long"),
        ("nsg=x --for 2h --until 2030-01-01", "say how long"),
        ("nsg=x --for soon", "no length of time"),
        ("nsg=x --for -2h", "no length of time"),
        ("nsg=x --for 200d", "90 days at most"),
        ("nsg=x --until 2020-01-01", "is over already"),
        ("'sport=3 state=B' --for 1h", "cannot go by sport, state"),
        ("'!src=prod/web1' --for 1h", "cannot go by the name 'prod/web1'"),
        (f"src={','.join(['10.0.0.1'] * 200)} --for 1h", "its terms may have 1,000 characters"),
        (f"nsg=x --for 1h --why {'y' * 201}", "its reason may have 200 characters; these have 201"),
        ("color=red --for 1h", "unknown key"),
        ("port=x --for 1h", "bad value"),
        ("action=allowed --for 1h", "no denied flow"),
    ],
)
def test_what_is_no_silence(store: Store, command: str, reason: str) -> None:
    """Nothing is kept, and the message says why."""
    assert reason in run(store, command, 2)[1]
    assert not listed(store)


def test_where_alerts_go_to_a_program_there_is_nothing_to_silence(store: Store) -> None:
    """It is said, and not kept in vain."""
    said = run(store, "nsg=x --for 1h", 2, NSGFLOW_WEBHOOK_FORMAT="cloudevents")[1]
    assert "no webhook is for people" in said
