"""A command on a terminal, as a person sees it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence

from tests.cli.conftest import ROOT


def on_terminal(words: Sequence[str], width: int, **environ: str) -> str:
    """What a command shows on a terminal of this width, notes of stderr included."""
    return _shown(words, width, environ, 0, notes=True)


def ending_on_terminal(
    words: Sequence[str], width: int, status: int, environ: Mapping[str, str]
) -> str:
    """What a command shows there that ends with this status."""
    return _shown(words, width, environ, status, notes=True)


def answer_on_terminal(words: Sequence[str], width: int, **environ: str) -> str:
    """What a command shows there without its notes, which tell how long ago something was."""
    return _shown(words, width, environ, 0, notes=False)


def _shown(
    words: Sequence[str], width: int, environ: Mapping[str, str], status: int, *, notes: bool
) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.Popen(
        [sys.executable, "-m", "nsgflow_core", *words],
        env=kept | {"TERM": "dumb", "NO_COLOR": "1", **environ}, cwd=ROOT, stdout=theirs,
        stderr=theirs if notes else subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            if not (part := os.read(ours, 65536)):
                break
        except OSError:  # how Linux says that nobody writes any more
            break
        shown += part
    os.close(ours)
    assert done.wait() == status, shown
    return shown.decode().replace("\r\n", "\n")
