"""Stdout and stderr of any encoding: what one lacks is written another way, and never an error.

The consoles of Windows, and pipes there, have code pages such as 437 and 1252.
"""

import codecs
import io
import os
import stat
import sys

_HANDLER = "nsgflow"
_PLAIN = {"…": "...", "–": "-", "·": ".", "→": "->"}  # noqa: RUF001 - these letters are meant


def take_anything() -> None:
    """Let both streams take every letter: as plain ones where there are, else as an escape."""
    codecs.register_error(_HANDLER, _written)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def is_fed() -> bool:
    """Whether something comes on standard input: of a pipe, or of a file that is not empty."""
    try:
        found = os.fstat(0)
    except OSError:  # it is closed
        return False
    return stat.S_ISFIFO(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_size > 0)


def _written(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError):
        lacking = error.object[error.start : error.end]
        if set(lacking) <= set(_PLAIN):
            return "".join(map(_PLAIN.__getitem__, lacking)), error.end
    return codecs.backslashreplace_errors(error)
