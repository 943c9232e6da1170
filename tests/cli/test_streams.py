"""stdout as it may be: of any encoding, full, closed."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record, vnet_path, vnet_record
from tests.cli.conftest import ROOT, Store, at, heeds_interrupts

HOUR = at("2026-03-04T05:00")
NIC = Nic(nsg="WEB-NSG", resource_group="资源组")
NET = Nic(mac="000D3A0000A3", acl_id="=cmd|'/C calc'!A0")
HOSTILE = "Ärger\x1b[31m\u202e\u009b2J\x7f"


@pytest.fixture
def logs(store: Store) -> Store:
    """Two denied flows, with names of any script and some that mean harm."""
    text = f"{int(HOUR.timestamp())},192.0.2.1,10.5.16.4,5000,22,T,I,D,B,,,,"
    store.log(nsg_path(NIC, HOUR), [nsg_record(NIC, HOUR, [Group(HOSTILE, (text,))]).data])
    text = f"{int(HOUR.timestamp())}000,192.0.2.1,10.5.16.4,5000,22,6,I,D,NX,0,0,0,0"
    rule = f"UserRule_{HOSTILE}"
    store.log(vnet_path(NET, HOUR), [vnet_record(NET, HOUR, [Group(rule, (text,))]).data])
    return store


def run(
    store: Store, command: str, redirect: str, **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a shell that redirects its output."""
    return subprocess.run(
        f"{sys.executable} -m nsgflow_core {command} {redirect}",
        shell=True, env=store.environ(**more), cwd=ROOT, capture_output=True, check=False,
        timeout=60,
    )  # fmt: skip


_DENIED = "denied --display-hours 1"
_FORMS = ["flows", "flows -o table", "flows -o json", "flows -o csv", _DENIED, f"{_DENIED} -o json",
          f"{_DENIED} -o csv", f"{_DENIED} --suggest"]  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp850", "cp1252", "utf-8"])
@pytest.mark.parametrize("command", _FORMS)
def test_any_encoding_takes_every_row(logs: Store, encoding: str, command: str) -> None:
    """What an encoding lacks is an escape; no row is lost, and nothing steers a terminal."""
    done = run(logs, command, "", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert text.count("192.0.2.1") >= 2 or text.count("10.5.16.4") >= 2
    assert not set("\x1b\u202e\u009b\x7f") & set(text)
    if command.endswith("json"):
        rules = [row.get("rule", row.get("AclRule")) for row in map(json.loads, text.splitlines())]
        assert HOSTILE in rules


@pytest.mark.parametrize("encoding", ["cp437", "cp850", "cp1252", "utf-8"])
@pytest.mark.parametrize("words", ["denied --help", "help filter", "silence --help"])
def test_help_in_any_encoding(encoding: str, words: str) -> None:
    """Code pages of Windows consoles lack some letters of help: plain ones stand for them."""
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *words.split()],
        env={"PYTHONIOENCODING": encoding}, cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert ("…" in text) is (encoding in ("cp1252", "utf-8"))
    assert ("..." in text) or "…" in text
    assert "\\u" not in text


_SLOW = """
import os, signal, sys, threading, time
def send():
    for wait in map(float, sys.argv[1].split(",")):
        time.sleep(wait)
        os.kill(os.getpid(), signal.SIGINT)
from nsgflow_core.__main__ import main
threading.Thread(target=send, daemon=True).start()
sys.argv[:2] = ["nsgflow"]
main()
"""
"""A command whose process gets Ctrl-C after so many seconds each."""


@pytest.mark.parametrize("waits", ["0.3", "1", "1,0.01", "1,0.05,0.05"])
def test_ctrl_c_says_nothing_of_python(logs: Store, waits: str) -> None:
    """However early it comes, and however often: a shell tells both as 130."""
    done = subprocess.run(
        [sys.executable, "-c", _SLOW, waits, "tail"],
        env=logs.environ(), cwd=ROOT, capture_output=True, check=False, timeout=60,
        preexec_fn=heeds_interrupts,
    )  # fmt: skip
    assert (done.returncode in (130, -signal.SIGINT), done.stderr) == (True, b"")


def test_csv_holds_no_formula(logs: Store) -> None:
    """A cell that a spreadsheet would compute begins with an apostrophe."""
    rows = list(csv.DictReader(logs.output("denied -o csv").splitlines()))
    assert "'=cmd|'/C calc'!A0" in [row["nsg"] for row in rows]
    assert all(row["port"] == "22" for row in rows)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is full")
@pytest.mark.parametrize("command", [*_FORMS, "--help", "denied --help", "--version"])
def test_a_full_disk_is_one_sentence(logs: Store, command: str) -> None:
    """It fails, and says why."""
    done = run(logs, command, "> /dev/full")
    assert done.returncode == 1
    assert done.stderr == b"nsgflow: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", _FORMS)
def test_a_closed_stdout_is_one_sentence(logs: Store, command: str) -> None:
    """There is nowhere to write to, and that is said."""
    done = run(logs, command, ">&-")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"nsgflow: stdout is closed: there is nowhere to write to\n"


def test_a_closed_stderr_loses_no_row(logs: Store) -> None:
    """What would be said there is not, and the rows are written."""
    logs.put(nsg_path(Nic(nsg="BAD-NSG", mac="000D3A0000B3"), HOUR), b"<html></html>")
    done = run(logs, "flows", "2>&-")
    assert (done.returncode, done.stderr) == (3, b"")
    assert len(done.stdout.splitlines()) == 2


def test_windows_has_what_the_package_imports() -> None:
    """No module, signal or function of POSIX alone in what runs at a terminal."""
    alone = r"\b(fcntl|termios|pty|grp|pwd|resource|syslog)\b"
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "nsgflow_core").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(rf"^\s*(import|from) {alone}|signal\.(?!SIGTERM|SIGINT|SIG_DFL)SIG", line)
        or re.search(r"\bos\.(fork|getuid|geteuid|getpgid|killpg|setsid|mkfifo|chown)\b", line)
    ]
    assert found == []
