"""What can go wrong at a terminal: one sentence with the mend, and an exit status that tells."""

import contextlib
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.azurite import Azurite
from devtools.flowlogs import CLOSER, HEAD, BlobWriter, Group, Nic, nsg_path, nsg_record
from devtools.http_server import Fault, Request
from devtools.meter import Meter, metered
from devtools.nic import NSG_CONTAINER
from tests.cli.conftest import ROOT, Store, at

HOUR = at("2026-03-04T05:00")
NIC = Nic(nsg="WEB-NSG")
OTHER = Nic(nsg="DB-NSG", mac="000D3A0000A2")


def denied(nic: Nic, first: int, count: int) -> bytes:
    """A record of so many denied tuples, told apart by their source ports."""
    begin = int(HOUR.timestamp())
    texts = [
        f"{begin + port // 100},192.0.2.1,10.5.16.4,{port},22,T,I,D,B,,,,"
        for port in range(first, first + count)
    ]
    return nsg_record(nic, HOUR, [Group("DefaultRule_DenyAllInBound", tuple(texts))]).data


def ports(output: str) -> list[int]:
    """The source ports of the lines."""
    return [int(line.split()[7]) for line in output.splitlines()]


@pytest.fixture
def meter(storage: Azurite) -> Iterator[Meter]:
    """A proxy in front of the emulator, which can fail and do things in between."""
    with metered(storage) as running:
        yield running


def through(store: Store, meter: Meter) -> dict[str, str]:
    """An environment that leads through the proxy."""
    return store.environ(AZURE_STORAGE_CONNECTION_STRING=meter.connection_string)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("flows --display-direction sideways", "'sideways' is not one of in, out, both"),
        ("flows --version 3", "--version '3' is not one of 1, 2, 4"),
        ("flows --flow-state X", "states are B, C, E and D"),
        ("flows --ip 10.0.0.999", "10.0.0.999"),
        ("flows --ip '10.0.0.1 action=allowed'", "is not one value: repeat it"),
        ("flows --port 70000", "65535"),
        ("flows --display-hours 0", "give a whole number from 1 on"),
        ("flows --display-hours 2 --since 3h", "give one of them"),
        ("flows --since 2h --until 3h", "the time range is empty"),
        ("flows --since someday", "'someday' is no time"),
        ("flows --filter 'prot=tcp'", "unknown key 'prot'"),
        ("flows --output xml", "'xml' is not one of text, table, json, csv"),
        ("flows --no-such-flag", "--no-such-flag"),
        ("flows --account-name https://x --account-name A_B", "https://x"),
    ],
)
def test_wrong_usage_ends_with_status_2(store: Store, command: str, said: str) -> None:
    """A wrong value is named in one sentence, and nothing is read."""
    environ = store.environ()
    if "account-name" in command:
        said = "'A_B' is not the name of a storage account"
        del environ["AZURE_STORAGE_CONNECTION_STRING"]
    done = store.nsgflow(command, environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_account_says_how_to_name_one(store: Store) -> None:
    """Without an account there is nothing to read, and the flag is named."""
    done = store.nsgflow("flows", {"PATH": "/usr/bin"})
    assert done.returncode == 2
    assert done.stderr.startswith("nsgflow: name the storage account with --account-name")


def test_missing_containers_are_an_error(store: Store) -> None:
    """An account without flow logs is probably the wrong one."""
    done = store.nsgflow("flows")
    assert (done.returncode, done.stdout) == (1, "")
    assert "devstoreaccount1 has no flow logs" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_empty_container_shows_nothing(store: Store) -> None:
    """Where nothing was logged yet there is nothing to show, and that is said."""
    store.service.create_container(NSG_CONTAINER)
    done = store.nsgflow("flows")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nsgflow: there are no flow logs of that time\n"


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("AuthorizationPermissionMismatch", "Storage Blob Data Reader"),
        ("AuthenticationFailed", "renew STORAGE_ACCOUNT_KEY"),
        ("AuthorizationFailure", "firewall"),
    ],
)
def test_refused_sign_in_names_the_mend(store: Store, meter: Meter, code: str, mend: str) -> None:
    """403 is one sentence: what was tried, what was answered, what to do."""
    meter.blobs.faults = lambda _: Fault(status=403, headers={"x-ms-error-code": code})
    done = store.nsgflow("flows", through(store, meter))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"403 {code}: " in done.stderr
    assert mend in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["flows", "denied"])
def test_a_page_in_place_of_storage_is_named(store: Store, meter: Meter, command: str) -> None:
    """A proxy, or a network that asks to sign in, answers everything with 200 and HTML."""
    page = {"Content-Type": "text/html"}
    meter.blobs.faults = lambda _: Fault(status=200, headers=page, body=b"<html><p>Sign in</html>")
    done = store.nsgflow(command, through(store, meter))
    assert (done.returncode, done.stdout) == (1, "")
    assert "the answer is not Azure Storage's: does a proxy stand in between?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unreachable_account_asks_for_the_name(store: Store) -> None:
    """An account that does not exist has no address."""
    environ = {"PATH": "/usr/bin", "STORAGE_ACCOUNT_KEY": "a2V5"}
    done = store.nsgflow("flows --account-name http://nsgflow.invalid/acct", environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is the account's name right?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unreadable_log_is_skipped(store: Store, meter: Meter) -> None:
    """One log that cannot be read is named at the end, with status 3; the others are shown."""
    store.log(nsg_path(NIC, HOUR), [denied(NIC, 1, 1)])
    store.log(nsg_path(OTHER, HOUR), [denied(OTHER, 2, 1)])

    def refuse(request: Request) -> Fault | None:
        return Fault(status=403) if "DB-NSG" in request.path and not request.query else None

    meter.blobs.faults = refuse
    done = store.nsgflow("flows", through(store, meter))
    assert (done.returncode, ports(done.stdout)) == (3, [1])
    assert done.stderr.startswith("nsgflow: skipped: read devstoreaccount1/")
    assert "DB-NSG" in done.stderr


def test_damaged_log_is_read_around(store: Store) -> None:
    """A record that is no JSON costs only itself, and is told with status 3."""
    damaged = HEAD + denied(NIC, 1, 1) + b',{"time":"x",,,}' + b"," + denied(NIC, 2, 1) + CLOSER
    store.put(nsg_path(NIC, HOUR), damaged)
    done = store.nsgflow("flows")
    assert (done.returncode, ports(done.stdout)) == (3, [1, 2])
    assert "a piece is unreadable, at byte " in done.stderr


def test_log_that_vanishes_while_it_is_read(store: Store, meter: Meter) -> None:
    """What was read of it is shown, the rest is told with status 3."""
    records = [denied(NIC, 10_000 + 100 * n, 100) for n in range(500)]
    store.log(nsg_path(NIC, HOUR), [*records, *records, *records])
    container = store.service.get_container_client(NSG_CONTAINER)
    one_at_a_time = threading.Lock()

    def vanish(request: Request) -> Fault | None:
        """Let the first window be read, and delete the blob before any other is."""
        if request.headers.get("x-ms-range", "bytes=0-").startswith("bytes=0-"):
            return None
        with one_at_a_time:
            until = time.monotonic() + 30
            while not meter.downloaded and time.monotonic() < until:
                time.sleep(0.01)
            if container.get_blob_client(nsg_path(NIC, HOUR)).exists():
                container.delete_blob(nsg_path(NIC, HOUR))
        return None

    meter.blobs.faults = vanish
    done = store.nsgflow("flows", through(store, meter))
    assert done.returncode == 3
    assert "does not exist" in done.stderr
    assert 10_000 < len(ports(done.stdout)) < 150_000


def test_log_that_grows_while_it_is_read(store: Store, meter: Meter) -> None:
    """What Azure adds meanwhile is read as well, and nothing is read twice or lost."""
    container = store.service.create_container(NSG_CONTAINER)
    writer = BlobWriter(container, nsg_path(NIC, HOUR))
    for first in range(10_000, 60_000, 10_000):
        writer.append(*(denied(NIC, first + 500 * n, 500) for n in range(20)))
    writer.append(b'{"filler":"%b"}' % (b"x" * 9_000_000))
    added = iter((60_000, 60_001, 60_002))
    one_at_a_time = threading.Lock()

    def grow(request: Request) -> Fault | None:
        if request.method == "GET" and not request.query:
            with one_at_a_time:
                if port := next(added, None):
                    writer.append(denied(NIC, port, 1))
        return None

    meter.blobs.faults = grow
    done = store.nsgflow("flows", through(store, meter))
    assert sorted(ports(done.stdout)) == list(range(10_000, 60_003))


def test_reader_that_goes_away_is_no_error(store: Store) -> None:
    """`nsgflow flows | head -1` ends quietly."""
    store.log(nsg_path(NIC, HOUR), [denied(NIC, 1, 60_000)])
    running = subprocess.Popen(
        [sys.executable, "-m", "nsgflow_core", "flows"],
        env=store.environ(), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stderr is not None
    assert ports(running.stdout.readline()) == [1]
    running.stdout.close()
    errors = running.stderr.read()
    running.stderr.close()
    assert (running.wait(30), errors) == (141, "")


def test_verbose_tells_what_was_read_and_causes(store: Store) -> None:
    """--verbose adds to stderr only; lines stay the same."""
    store.log(nsg_path(NIC, HOUR), [denied(NIC, 1, 2)])
    done = store.nsgflow("flows --verbose")
    assert (done.returncode, ports(done.stdout)) == (0, [1, 2])
    assert "read 1 logs" in done.stderr


def test_several_accounts_by_url_and_key(store: Store, storage: Azurite) -> None:
    """Accounts are read together, each signed in to with the key; one named twice is read once."""
    store.log(nsg_path(NIC, HOUR), [denied(NIC, 1, 2)])
    part = dict(field.partition("=")[::2] for field in storage.connection_string.split(";"))
    url = part["BlobEndpoint"]
    environ = {"PATH": "/usr/bin", "STORAGE_ACCOUNT_KEY": part["AccountKey"]}
    named = f"--account-name {url} --account-name {url}/"
    assert ports(store.output(f"flows {named}", environ)) == [1, 2]


def test_without_the_extra_the_mend_is_named(tmp_path: Path) -> None:
    """Where typer is missing the command says what to install."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('typer')")
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", "--help"],
        env={"PYTHONPATH": str(tmp_path)}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "nsgflow: the command line is an extra, install it: pip install 'nsgflow[cli]'",
    )


def test_long_reads_show_their_progress_on_a_terminal(store: Store, meter: Meter) -> None:
    """A bar on stderr, which is no part of what goes to the pipe."""
    store.log(nsg_path(NIC, HOUR), [denied(NIC, 1, 1)])
    meter.blobs.faults = lambda _: Fault(delay=0.5)
    controller, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "nsgflow_core", "flows"],
        env=through(store, meter) | {"TERM": "xterm"}, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    drawn = bytearray()

    def look() -> None:  # a terminal that nobody reads holds up who writes to it
        with contextlib.suppress(OSError):  # how Linux says that the terminal is closed
            while piece := os.read(controller, 65536):
                drawn.extend(piece)

    watching = threading.Thread(target=look)
    watching.start()
    out, _ = running.communicate(timeout=60)
    watching.join(10)
    os.close(controller)
    assert (running.returncode, ports(out)) == (0, [1])
    assert b"reading 1 logs" in drawn
