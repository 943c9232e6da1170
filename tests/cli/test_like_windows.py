"""The command line where there is no POSIX, as far as that can be had on a system that has it.

What Windows lacks is taken away before anything of ours is imported; its paths, patterns and
consoles are made by hand. What only a Windows can show, its console and its signals, is not here.
"""

import errno
import gzip
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.flowlogs import Nic, large_log, nsg_path
from nsgflow_core.cli import run as running
from nsgflow_core.cli import session
from nsgflow_core.cli.main import app
from tests.cli.conftest import ROOT
from tests.cli.test_files import HOUR

LOG = large_log(3, 20, 0.5, 2, 1)

_LIKE_WINDOWS = r"""
import asyncio, os, shutil, signal, subprocess, sys, tempfile, time  # Python's own POSIX is there

for name in ("curses", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios",
             "tty", "readline"):
    sys.modules[name] = None
kept = {"SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIG_DFL", "SIG_IGN"}
for name in dir(signal):
    if name.startswith("SIG") and name not in kept or name in ("pthread_sigmask", "setitimer"):
        delattr(signal, name)
for name in ("fork", "forkpty", "getuid", "geteuid", "getgid", "getpgid", "getpgrp", "killpg",
             "setsid", "chown", "fchmod", "mkfifo", "pread", "preadv", "pwrite", "sysconf",
             "sched_getaffinity", "uname", "statvfs", "getloadavg", "openpty", "tcgetpgrp", "nice"):
    if hasattr(os, name):
        delattr(os, name)
del time.tzset


def no_size(*_):
    raise OSError(6, "The handle is invalid")


def never_twice(*words, **more):
    # There is no second handle of a file that is deleted when the first is closed.
    return tempfile.TemporaryFile(*words, **more)


os.get_terminal_size = no_size
tempfile.NamedTemporaryFile = never_twice
from nsgflow_core.__main__ import main
sys.argv[:1] = ["nsgflow"]
main()
"""
_OURS = "import sys; from nsgflow_core.__main__ import main; sys.argv[:1] = ['nsgflow']; main()"


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Logs in files, in a folder that one stands in."""
    for number, name in enumerate(("WEB-NSG", "SQL-NSG")):
        (tmp_path / f"{name}.json").write_bytes(LOG)
        kept = tmp_path / "logs" / nsg_path(Nic(nsg=name, mac=f"000D3AF8785{number}"), HOUR)
        kept.parent.mkdir(parents=True)
        kept.write_bytes(LOG)
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(LOG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(script: str, words: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    """A command, in a process that runs this."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(
        [sys.executable, "-c", script, *words],
        input=LOG,
        env=kept | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        "--version",
        "help filter",
        "completion powershell",
        "flows logs",
        "denied logs",
        "denied packed.json.gz -o json",
        "denied - -o csv",
        "denied logs --suggest",
        "denied logs --every 5m --by nsg",
        "logs logs",
        "report logs -o denied.html",
        "export logs -o flows.parquet",
        "why 10.5.16.4 10.5.16.5:22 logs -o json",
        "denied nothing.json",
        "denied --nonsense",
    ],
)
def test_without_what_windows_lacks(logs: Path, words: str) -> None:
    """Every command says what it says elsewhere, to the letter."""
    there, here = (done(script, words.split(), logs) for script in (_OURS, _LIKE_WINDOWS))
    assert (here.returncode, here.stdout, here.stderr) == (
        there.returncode,
        there.stdout,
        there.stderr,
    )
    assert there.returncode in (0, 2)
    assert b"Traceback" not in here.stderr


def test_a_terminal_that_does_not_tell_its_size(logs: Path) -> None:
    """A sentence is put in lines of eighty columns."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", _LIKE_WINDOWS, "denied", "nothing-of-a-name-so-long-as-this.json"],
        env={"PYTHONPATH": str(ROOT), "TERM": "dumb"},
        cwd=logs,
        stderr=theirs,
    ) as process:
        assert process.wait(60) == 2
    os.close(theirs)
    told = os.read(ours, 65_536).decode()
    os.close(ours)
    assert told.splitlines() == [
        "nsgflow: there is no file nothing-of-a-name-so-long-as-this.json: give a file, a",
        "folder, - or an account",
    ]


def said(*words: str, status: int = 0) -> str:
    """The output of a command."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.usefixtures("logs")
def test_patterns_that_no_shell_expands() -> None:
    """`nsgflow denied *.json` is passed as it is by cmd.exe."""
    both = said("flows", "SQL-NSG.json", "WEB-NSG.json", "--display-allowed")
    assert said("flows", "*-NSG.json", "--display-allowed") == both
    assert said("flows", "./???-NSG.json", "--display-allowed") == both
    assert said("flows", "lo*", "--display-allowed") == said("flows", "logs", "--display-allowed")
    assert "there is no file *.jsonl" in said("flows", "*.jsonl", status=2)
    Path("*.json").write_bytes(LOG)
    assert said("flows", "*.json") == said("flows", "WEB-NSG.json")
    Path("*.json").unlink()
    assert "cannot read R*.json" in said(
        "denied", "logs", "--explain", "--rules", "R*.json", status=2
    )
    for name in ("Rules1.json", "Rules2.json"):
        Path(name).write_text("[]", encoding="utf-8")
    told = said("denied", "logs", "--explain", "--rules", "R*.json", status=2)
    assert "Rules1.json has no NSG" in told


@pytest.mark.parametrize(
    "word", [r".\logs", r"logs\today", r"C:\logs", "c:/logs", r"\\server\share\logs"]
)
def test_a_place_of_windows_is_no_account(word: str) -> None:
    """One that is not there is told as a file."""
    assert f"there is no file {word}: give a file" in said("denied", word, status=2)


def test_a_path_of_windows_says_what_is_in_it(logs: Path) -> None:
    """NSG, hour and interface are told by a blob's path with backslashes, too."""
    place = nsg_path(Nic(nsg="PATH-NSG"), HOUR)
    short = place[place.index("resourceId") :].replace("/", "\\")
    (logs / short).write_bytes(LOG)
    assert "PATH-NSG" in said("logs", short)


def test_a_pipe_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows says so with another error; one that is of something else is raised."""

    class Gone:
        def flush(self) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        def fileno(self) -> int:
            raise OSError(errno.EBADF, "none")

    gone = OSError(errno.EINVAL, "Invalid argument")
    with pytest.raises(OSError, match="Invalid argument"):
        session.unwritable(gone)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(OSError, match="Invalid argument"):
        session.unwritable(gone)
    monkeypatch.setattr(sys, "stdout", Gone())
    assert session.unwritable(gone) == session.Status.PIPE_CLOSED


def test_ctrl_break_asks_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As SIGTERM does elsewhere; and a wait is over soon after, though nothing interrupts it."""
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    with running._asked_to_stop() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.wait(5)
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    waits: list[float | None] = []

    class Deaf(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            time.sleep(0.01)
            if len(waits) == 3:
                self.set()
            return False  # as where no signal came through meanwhile

    running._wait(Deaf(), 30)
    assert len(waits) == 3
    assert max(filter(None, waits)) <= 1
