"""A Python that is too old is refused in words, where the app and the command line start."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OLDEST_THAT_PARSES = (3, 7)
"""Older than any that is still met; what it cannot parse would be a SyntaxError and no word."""


def started(statement: str) -> "subprocess.CompletedProcess[str]":
    """What a Python says that takes itself for 3.10.13, without any package installed."""
    version = "sys.version, sys.version_info = '3.10.13 (main)', (3, 10, 13, 'final', 0)"
    lines = ("import sys", version, statement)
    return subprocess.run(
        [sys.executable, "-S", "-c", "; ".join(lines)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_app_names_the_python_it_needs() -> None:
    """An ImportError of one sentence, which is what the host shows of it, before any other."""
    done = started("import function_app")

    assert done.stderr.splitlines()[-1] == (
        "ImportError: nsgflow needs Python 3.11 or newer, and this is 3.10.13"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "import runpy; runpy.run_module('nsgflow_core', run_name='__main__')",
        "from nsgflow_core.__main__ import main; main()",
    ],
)
def test_the_command_line_says_it_without_a_traceback(statement: str) -> None:
    """As a module and as the installed command."""
    done = started(statement)

    assert done.stderr == "nsgflow needs Python 3.11 or newer, and this is 3.10.13\n"
    assert done.returncode == 1


@pytest.mark.parametrize(
    "name", ["function_app.py", "nsgflow_core/__init__.py", "nsgflow_core/__main__.py"]
)
def test_what_says_it_is_read_by_an_old_python(name: str) -> None:
    """No word comes from a file that does not parse."""
    ast.parse((ROOT / name).read_text(), feature_version=OLDEST_THAT_PARSES)
