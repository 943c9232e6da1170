"""Whether stdout takes colours: as it was asked for, else as the terminal is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

AUTO, ALWAYS, NEVER = "auto", "always", "never"

_ASKED: ContextVar[str] = ContextVar("color", default=AUTO)


@contextmanager
def asked(when: str) -> Iterator[None]:
    """Meanwhile colours are as this word of --color says."""
    token = _ASKED.set(when)
    try:
        yield
    finally:
        _ASKED.reset(token)


def coloured() -> bool:
    """Whether escapes for colours go to stdout. What is typed comes before NO_COLOR."""
    when = _ASKED.get()
    if when != AUTO:
        return when == ALWAYS
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.platform != "win32" or _console_takes_escapes()


def unwanted() -> bool:
    """Whether no colours were asked for, on stderr neither."""
    return _ASKED.get() == NEVER


def _console_takes_escapes() -> bool:
    """Ask the console of Windows for them; those before Windows 10 show them as letters.

    https://learn.microsoft.com/windows/console/setconsolemode
    """
    if sys.platform != "win32":
        return True
    import ctypes  # noqa: PLC0415 - on Windows alone

    stdout, escapes = -11, 0x0004
    kernel, mode = ctypes.windll.kernel32, ctypes.c_ulong()
    handle = kernel.GetStdHandle(stdout)
    if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        return True  # no console but a terminal of its own, such as that of Git for Windows
    return bool(kernel.SetConsoleMode(handle, mode.value | escapes))
