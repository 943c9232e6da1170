"""The settings of digests."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nsgflow_core.config import Settings, from_env
from nsgflow_core.errors import ConfigError
from nsgflow_core.model import Flow, Group, Record
from nsgflow_core.webhooks import WebhookSettings
from tests.made import Outcome, made

BASE = {
    "FlowLogs": "UseDevelopmentStorage=true",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "NSGFLOW_WEBHOOK_URL": "https://hooks.example.com/secret",
}
KEY = "0123456789abcdef0123456789ABCDEF"
WORKSPACE = (
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333/resourceGroups/Ops_(1)"
    "/providers/Microsoft.OperationalInsights/workspaces/logs-1"
)


def settings(**more: str) -> Settings:
    """Settings with these besides the required ones."""
    return from_env(BASE | more)


def webhook(**more: str) -> WebhookSettings:
    """The webhook's settings."""
    (made,) = settings(**more).webhooks
    return made


def problems(**more: str) -> tuple[str, ...]:
    """What is wrong with these."""
    with pytest.raises(ConfigError) as raised:
        settings(**more)
    return raised.value.problems


def test_defaults() -> None:
    """CloudEvents, and no digest."""
    made = webhook()
    assert (made.format, made.digest_schedule, made.routing_key) == ("cloudevents", "", "")
    assert (made.interval_seconds, made.repeat_minutes, made.quiet_minutes) == (30, 15, 30)
    assert settings().workspace_id == ""


@pytest.mark.parametrize("form", ["slack", "teams"])
def test_digests(form: str) -> None:
    """The URL is the secret; a signature is possible where somebody's own service takes them."""
    made = webhook(
        NSGFLOW_WEBHOOK_FORMAT=form,
        NSGFLOW_WEBHOOK_INTERVAL_SECONDS="45",
        NSGFLOW_WEBHOOK_REPEAT_MINUTES="0",
        NSGFLOW_WEBHOOK_SECRET="whsec_" + base64.b64encode(b"key").decode(),
    )
    assert (made.format, made.secret, made.routing_key) == (form, b"key", "")
    assert (made.interval_seconds, made.repeat_minutes) == (45, 0)


def test_pagerduty_has_a_routing_key() -> None:
    """In place of a signature."""
    made = webhook(NSGFLOW_WEBHOOK_FORMAT="pagerduty", NSGFLOW_WEBHOOK_SECRET=KEY)
    assert (made.secret, made.routing_key) == (b"", KEY)


@pytest.mark.parametrize(
    "key", ["", "short", "whsec_MDEyMzQ1Njc4OWFiY2RlZjA=", KEY + "0", "é" * 32]
)
def test_a_routing_key_of_the_wrong_form(key: str) -> None:
    """It is said, and not shown."""
    (problem,) = problems(NSGFLOW_WEBHOOK_FORMAT="pagerduty", NSGFLOW_WEBHOOK_SECRET=key)
    assert problem.startswith("NSGFLOW_WEBHOOK_SECRET: it must be the routing key")
    assert not key or key not in problem


def test_every_problem_at_once() -> None:
    """In one error."""
    found = problems(
        NSGFLOW_WEBHOOK_FORMAT="email",
        NSGFLOW_WEBHOOK_INTERVAL_SECONDS="0",
        NSGFLOW_WEBHOOK_REPEAT_MINUTES="soon",
        NSGFLOW_WEBHOOK_QUIET_MINUTES="4",
        NSGFLOW_WORKSPACE_ID="my-workspace",
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "NSGFLOW_WEBHOOK_FORMAT",
        "NSGFLOW_WEBHOOK_INTERVAL_SECONDS",
        "NSGFLOW_WEBHOOK_REPEAT_MINUTES",
        "NSGFLOW_WEBHOOK_QUIET_MINUTES",
        "NSGFLOW_WORKSPACE_ID",
    ]


def test_the_workspace() -> None:
    """A resource id, in any case."""
    assert settings(NSGFLOW_WORKSPACE_ID=WORKSPACE).workspace_id == WORKSPACE
    assert settings(NSGFLOW_WORKSPACE_ID=WORKSPACE.lower()).workspace_id == WORKSPACE.lower()


@pytest.mark.parametrize("interval", range(1, 130))
def test_the_timer_fires_at_least_once_an_interval(interval: int) -> None:
    """Its seconds divide the minute, so that no gap is longer."""
    made = webhook(NSGFLOW_WEBHOOK_FORMAT="slack", NSGFLOW_WEBHOOK_INTERVAL_SECONDS=str(interval))
    first, rest = made.digest_schedule.split(" ", 1)
    step = 60 if first == "0" else int(first.removeprefix("*/"))

    assert rest == "* * * * *"
    assert 60 % step == 0
    assert step <= interval


RECIPES = re.findall(
    r"^\| [^|]+ \| `([^`|]+=[^`|]+)` \|$",
    (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipes_in_the_docs(recipe: str) -> None:
    """Each is a filter that lets denied flows alert."""
    made = webhook(NSGFLOW_WEBHOOK_FORMAT="teams", NSGFLOW_WEBHOOK_FILTER=recipe)
    assert made.filter.denied_only


def flow(src: str, dst: str) -> Flow:
    """A denied flow to port 443 at the NSG web."""
    record = Record(12, 100, "2026-11-23T08:00:00Z", 2, "/t")
    outcome = Outcome(
        443,
        "TCP",
        inbound=True,
        denied=True,
        state="B",
        encryption="",
        packets_sent=None,
        bytes_sent=None,
        packets_received=None,
        bytes_received=None,
    )
    group = Group(record, "/g/networksecuritygroups/web", "web", "DefaultRule_DenyAllInBound", "")
    return made(group, 0, "", 1000, src, dst, 5, outcome)


def test_recipes_do_what_they_say() -> None:
    """Inside only; no scans; an application's NSGs."""
    inside, scan = flow("10.0.0.1", "10.0.0.2"), flow("8.8.8.8", "10.0.0.2")
    assert len(RECIPES) == 10

    def passing(terms: str) -> list[bool]:
        accepts = webhook(NSGFLOW_WEBHOOK_FILTER=terms).filter.accepts
        return [accepts(each) for each in (inside, scan)]

    assert passing("src=private dst=private") == [True, False]
    assert passing("!src=internet") == [True, False]
    assert passing("nsg=web,shop-*") == [True, True]
    assert passing("port=22,443") == [True, True]
    assert passing("nsg=shop-*") == [False, False]


@pytest.mark.parametrize(("form", "loaded"), [("cloudevents", False), ("slack", True)])
def test_who_does_not_send_digests_does_not_load_them(form: str, loaded: bool) -> None:
    """What counts in ledgers is all that a delivery knows of them."""
    script = (
        "import os, sys, function_app; from nsgflow_core.config import from_env;"
        "from nsgflow_core.service import Service;"
        "Service(from_env(os.environ));"
        "name = 'nsgflow_core.digests.';"
        "print(*sorted(at.removeprefix(name) for at in sys.modules if at.startswith(name)))"
    )
    environ = {
        "PATH": os.environ["PATH"],
        "FlowLogs": "UseDevelopmentStorage=true",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "NSGFLOW_WEBHOOK_URL": "https://hooks.example.com/x",
        "NSGFLOW_WEBHOOK_FORMAT": form,
    }
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environ,
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    found = set(done.stdout.split())
    assert {"ledger", "groups"} < found
    told = {"digest", "life", "message", "state", "silences", "wording", "slack"}
    assert found & told == (told if loaded else set())
