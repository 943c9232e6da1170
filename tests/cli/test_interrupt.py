"""An interrupt that comes early, or again: the process ends, and nothing is printed."""

import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT, heeds_interrupts

WHEN = {
    "while modules are imported": """
        class Interrupts:
            def find_spec(self, name, *rest):
                if name == "typer":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Interrupts())
    """,
    "again, while threads end": """
        import threading
        threading._register_atexit(lambda: os.kill(os.getpid(), signal.SIGINT))
    """,
}


@pytest.mark.parametrize("when", WHEN)
def test_no_traceback(when: str) -> None:
    """A shell tells it as 130, as it tells what a command makes of one."""
    before = "\n".join(line.strip(" ") if not line.strip() else line[8:] for line in
                       WHEN[when].splitlines())  # fmt: skip
    script = (
        f"import os, signal, sys\n{before}\nsys.argv = ['nsgflow', '--version']\n"
        "from nsgflow_core.__main__ import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=heeds_interrupts,
    )  # fmt: skip
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


def test_where_interrupts_are_ignored_they_still_are() -> None:
    """As for what a shell runs in the background."""
    script = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "sys.argv = ['nsgflow', '--version']\nfrom nsgflow_core.__main__ import main\n"
        "try:\n    main()\nfinally:\n    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.startswith(b"nsgflow ")
