"""What takes longer than a second says so, on a terminal alone."""

import os
import pty
import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT

_WORK = """
import sys, time
from nsgflow_core.cli import colour
from nsgflow_core.cli.progress import working
with colour.asked(sys.argv[2]), working("counting sheep"):
    time.sleep(float(sys.argv[1]))
print("done")
"""


def on_terminal(seconds: float, color: str = "auto") -> str:
    """What stderr shows of work that takes so long, on a terminal that knows colours."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", _WORK, str(seconds), color]
    environ = {"TERM": "xterm-256color", "COLUMNS": "80", "PATH": os.environ["PATH"]}
    done = subprocess.Popen(
        command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, text=True
    )
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(controller, 65536):
            shown += part
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(controller)
    out, _ = done.communicate(timeout=60)
    assert (done.returncode, out) == (0, "done\n")
    return shown.decode()


def test_work_that_is_quick_says_nothing() -> None:
    """Not a letter, and no waiting for one."""
    assert on_terminal(0.1) == ""


def test_work_that_takes_long_is_named_and_leaves_nothing() -> None:
    """The line is erased at the end, and the cursor is there again."""
    shown = on_terminal(2.5)
    assert "counting sheep" in shown
    assert shown.endswith("\x1b[2K")
    assert shown.rindex("\x1b[?25h") > shown.rindex("counting sheep")


@pytest.mark.parametrize(("color", "there"), [("auto", True), ("never", False)])
def test_its_colours_are_as_asked_for(color: str, there: bool) -> None:
    """--color never is for stderr, too."""
    assert ("\x1b[32m" in on_terminal(2.5, color)) is there


def test_nothing_in_files() -> None:
    """Nor in pipes."""
    done = subprocess.run(
        [sys.executable, "-c", _WORK, "1.5", "always"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("done\n", "")
