"""What a long span costs at the command line, and what a terminal shows meanwhile."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record
from devtools.http_server import Fault
from devtools.meter import metered
from tests.cli.conftest import ROOT, Store

WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")


def written(store: Store, hours: int) -> None:
    """A log of so many hours, among the last 29 days, and of one long before."""
    this = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for number in (*range(hours), 100):
        hour = this - timedelta(days=9 * number, hours=1)
        text = f"{int(hour.timestamp())},192.0.2.1,10.5.16.4,{number},22,T,I,D,B,,,,"
        store.log(nsg_path(WEB, hour), [nsg_record(WEB, hour, [Group("R", (text,))]).data])


def test_a_month_costs_what_there_is(store: Store) -> None:
    """Down to the NSG, and from there a request for each level and each day with logs."""
    written(store, 3)
    with metered(store.azurite) as meter:
        environ = store.environ(AZURE_STORAGE_CONNECTION_STRING=meter.connection_string)
        found = store.output("flows --since 30d", environ)
        asked = meter.requests["GET list"]
        meter.reset()
        recent = store.nsgflow("flows --since 1h", environ)
        few = meter.requests["GET list"]

    assert [line.split()[7] for line in found.splitlines()[:3]] == ["2", "1", "0"]
    assert recent.returncode == 0
    down = few - 2  # of an hour ago and this one, each one request
    assert down <= 11
    assert asked <= down + 8


def test_a_terminal_shows_how_far_a_listing_is(store: Store) -> None:
    """A bar, once it has taken a second; gone in the end."""
    written(store, 3)
    with metered(store.azurite) as meter:
        meter.blobs.faults = lambda _: Fault(delay=0.2)
        environ = store.environ(
            AZURE_STORAGE_CONNECTION_STRING=meter.connection_string, TERM="xterm", COLUMNS="200"
        )
        controller, terminal = pty.openpty()
        command = [sys.executable, "-m", "nsgflow_core", "flows", "--since", "30d"]
        running = subprocess.Popen(
            command, env=environ, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=terminal
        )
        os.close(terminal)
        drawn = b""
        try:
            while chunk := os.read(controller, 65536):
                drawn += chunk
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(controller)
        assert running.wait(60) == 0

    assert b"listing" in drawn
    assert b"%" in drawn
