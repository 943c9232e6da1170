"""Ctrl-C: work is undone in order, and nothing else of the process says a word.

Python raises KeyboardInterrupt wherever it is: in imports before a command begins, and in what
ends it. There is nothing to undo in either, so the process ends there at once.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

_INTERRUPTED = 130
_UNDOING = 2.0
"""Seconds after the first Ctrl-C in which others change nothing, since work is being undone."""

_working = False
_asked = 0.0


def take_over() -> None:
    """Answer Ctrl-C from now on, unless whoever started the process has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


@contextmanager
def working() -> Iterator[None]:
    """While there is work that a KeyboardInterrupt undoes."""
    global _working  # noqa: PLW0603 - a process has one handler
    _working = True
    try:
        yield
    finally:
        _working = False


def _interrupted(_number: int, _frame: object) -> None:
    global _asked  # noqa: PLW0603 - a process has one handler
    now = time.monotonic()
    if _asked and now - _asked < _UNDOING:
        return
    if _asked or not _working:
        os._exit(_INTERRUPTED)
    _asked = now
    raise KeyboardInterrupt
