"""`nsgflow tail`: new flows as they are written, across hours, failures and Ctrl-C."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from devtools.flowlogs import HEAD, BlobWriter, Group, Nic, nsg_path, nsg_record
from devtools.http_server import Fault
from devtools.meter import metered
from devtools.nic import NSG_CONTAINER
from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.following import Tailing
from nsgflow_core.cli.options import Wanted
from nsgflow_core.cli.query import Defaults, Query
from tests.cli.conftest import ROOT, Store, at, heeds_interrupts

WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
OTHER = Nic(nsg="WEB-NSG", mac="000D3A0000A2")


def record(moment: datetime, port: int, decision: str = "D", nic: Nic = WEB) -> bytes:
    """A record of one inbound flow, told by its source port."""
    text = f"{int(moment.timestamp())},192.0.2.1,10.5.16.4,{port},22,T,I,{decision},B,,,,"
    return nsg_record(nic, moment, [Group("UserRule_Deny", (text,))]).data


def writer(store: Store, nic: Nic, hour: datetime) -> BlobWriter:
    """A writer of one log."""
    container = store.service.get_container_client(NSG_CONTAINER)
    if not container.exists():
        container.create_container()
    return BlobWriter(container, nsg_path(nic, hour))


class Running(subprocess.Popen[str]):
    """A process, and the lines that it said before it followed anything."""

    first = ""


@contextmanager
def tailing(
    store: Store, *flags: str, environ: dict[str, str] | None = None, told: int = 0
) -> Iterator[Running]:
    """`nsgflow tail` with a round a second, ended by Ctrl-C if it is not over by then."""
    running = Running(
        [sys.executable, "-m", "nsgflow_core", "tail", "--verbose", "--interval", "1", *flags],
        env=environ or store.environ(), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=heeds_interrupts,
    )  # fmt: skip
    assert running.stderr is not None
    try:
        for _ in range(told):
            running.first += running.stderr.readline()
        assert " following " in running.stderr.readline()
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)


def next_line(running: subprocess.Popen[str]) -> str:
    """The next line; the test's own timeout bounds the wait."""
    assert running.stdout is not None
    return running.stdout.readline().rstrip("\n")


def test_new_denied_flows_are_shown_and_old_ones_not(store: Store) -> None:
    """Only what is written after the start, only denied flows; Ctrl-C ends with status 130."""
    now = datetime.now(UTC)
    log = writer(store, WEB, now)
    log.append(record(now, 1))
    with tailing(store) as running:
        log.append(record(now, 2, "A"), record(now, 3))
        assert next_line(running).split()[1:8] == [
            "WEB-NSG", "UserRule_Deny", "D", "I", "192.0.2.1", "tcp", "3",
        ]  # fmt: skip
        log.append(record(now, 4))
        writer(store, OTHER, now).append(record(now, 5, nic=OTHER))
        assert {next_line(running).split()[7] for _ in range(2)} == {"4", "5"}
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=30)
        assert (running.returncode, out, errors) == (130, "", "")


def test_since_filter_and_json(store: Store) -> None:
    """--since begins earlier, --filter may show allowed flows, json has rows of the table."""
    now = datetime.now(UTC)
    log = writer(store, WEB, now)
    log.append(record(now - timedelta(minutes=9), 1, "A"), record(now, 2, "A"), record(now, 3))
    flags = ("--since", "5m", "--filter", "action=allowed", "-o", "json")
    with tailing(store, *flags) as running:
        assert json.loads(next_line(running))["SrcPort"] == 2


def test_network_errors_are_survived(store: Store) -> None:
    """A round that fails is told in a sentence, and what it missed is shown by the next."""
    now = datetime.now(UTC)
    log = writer(store, WEB, now)
    log.open()
    with metered(store.azurite) as meter:
        environ = store.environ(AZURE_STORAGE_CONNECTION_STRING=meter.connection_string)
        with tailing(store, environ=environ) as running:
            meter.blobs.faults = lambda _: Fault(status=403)
            log.append(record(now, 7))
            assert running.stderr is not None
            assert running.stderr.readline().endswith("; trying again\n")
            meter.blobs.faults = None
            assert next_line(running).split()[7] == "7"


def test_first_round_that_fails_ends_it(store: Store) -> None:
    """What is wrong from the start is an error, as with every other command."""
    done = store.nsgflow("tail")
    assert done.returncode == 1
    assert "has no flow logs" in done.stderr


def test_hours_change_under_way(store: Store) -> None:
    """The last update of an hour is shown after its end, and the next hour from its start."""
    hour = at("2026-03-04T05:00")
    account = Account("devstoreaccount1", store.service)
    accepted = Query(Wanted(), Defaults(probes=True)).filter
    follow = Tailing([account], accepted, None)
    first, second = writer(store, WEB, hour), writer(store, WEB, hour + timedelta(hours=1))
    first.append(record(hour, 1))

    def shown(minute: int) -> list[int | None]:
        found, failures = follow.round(hour + timedelta(minutes=minute))
        assert failures == {}
        return [one.flow.src_port for one in found]

    assert shown(58) == []
    first.append(record(hour, 2))
    assert shown(59) == [2]
    first.append(record(hour, 3))
    second.append(record(hour + timedelta(minutes=60), 4))
    assert shown(61) == [3, 4]
    assert shown(62) == []
    second.append(record(hour + timedelta(minutes=75), 5))
    assert shown(75) == [5]
    behind = follow.summary(hour + timedelta(minutes=76))
    assert behind == "following 1 log of 1 NSGs or VNets, the newest record is 60 s old"


def test_one_account_that_does_not_answer_holds_up_none(store: Store) -> None:
    """Flows of the others are shown at once, and the one is named."""
    now = datetime.now(UTC)
    log = writer(store, WEB, now)
    environ = store.environ(STORAGE_ACCOUNT_KEY="a2V5")
    nobody = "http://127.0.0.1:9/nobody"
    log.append(record(now, 1))
    accounts = ("--account-name", "devstoreaccount1", "--account-name", nobody)
    with tailing(store, *accounts, environ=environ, told=1) as running:
        log.append(record(now, 2))
        assert next_line(running).split()[7] == "2"
        assert running.stderr is not None
        while "cannot be reached" not in (line := running.stderr.readline()):
            assert line
        assert line == (
            "nsgflow: nobody: list insights-logs-networksecuritygroupflowevent: "
            "127.0.0.1:9 cannot be reached (Connection refused); trying again\n"
        )


def test_no_account_that_answers_ends_it(store: Store) -> None:
    """Where nothing can be followed there is nothing to wait for."""
    environ = store.environ(STORAGE_ACCOUNT_KEY="a2V5")
    done = store.nsgflow("tail --account-name http://127.0.0.1:9/nobody", environ)
    assert done.returncode == 1


def test_a_name_that_is_not_there_is_told(store: Store) -> None:
    """And the nearest one that is."""
    now = datetime.now(UTC)
    writer(store, WEB, now).append(record(now, 1))
    with tailing(store, "--nsg-name", "WBE-NSG", told=1) as running:
        assert running.first == (
            "nsgflow: there are no logs of an NSG named 'WBE-NSG', did you mean 'WEB-NSG'?\n"
        )


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"<html></html>", "no flow log: HTML or XML"), (HEAD, "cut off: the log has no end")],
)
def test_what_is_no_log_is_told(store: Store, content: bytes, said: str) -> None:
    """Once, with its place; the others are followed."""
    past = datetime.now(UTC) - timedelta(hours=3)
    store.put(nsg_path(WEB, past), content)
    now = datetime.now(UTC)
    writer(store, OTHER, now).append(record(now, 7, nic=OTHER))
    with tailing(store, "--since", "4h", told=1) as running:
        assert said in running.first
        assert next_line(running).split()[7] == "7"


def on_terminal(store: Store, *flags: str, **more: str) -> bytes:
    """What `nsgflow tail` draws on a terminal until its first flow is there."""
    controller, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "nsgflow_core", "tail", "--interval", "1", *flags],
        env=store.environ(TERM="xterm", COLUMNS="200", **more), cwd=ROOT,
        stdout=terminal, stderr=terminal,
        preexec_fn=heeds_interrupts,  # noqa: PLW1509
    )  # fmt: skip
    os.close(terminal)
    drawn = b""
    try:
        while b"src2dst" not in drawn or b"s old" not in drawn:
            drawn += os.read(controller, 65536)
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
        os.close(controller)
    return drawn


@pytest.mark.parametrize(("decision", "colour"), [("D", b"\x1b[31m"), ("A", b"\x1b[32m")])
def test_terminals_get_colours_and_the_lag(store: Store, decision: str, colour: bytes) -> None:
    """On a terminal the outcome has a colour, unless NO_COLOR is set, and the lag is shown."""
    now = datetime.now(UTC)
    writer(store, WEB, now).append(record(now, 1, decision))
    flags = ("--since", "5m", "--filter", "action=allowed,denied")
    drawn = on_terminal(store, *flags)
    assert colour in drawn
    assert b"following 1 log of" in drawn
    assert colour not in on_terminal(store, *flags, NO_COLOR="1")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("tail --output csv", "'csv' is not one of text, json"),
        ("tail --since soon", "'soon' is no time"),
        ("tail --interval 0", "--interval"),
        ("tail --filter x", "'x' is not of the form"),
    ],
)
def test_wrong_usage_ends_with_status_2(store: Store, command: str, said: str) -> None:
    """A wrong value is named in one sentence."""
    done = store.nsgflow(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
