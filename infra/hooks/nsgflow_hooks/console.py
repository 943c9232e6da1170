"""What a hook prints, on consoles of every encoding."""

from __future__ import annotations

import contextlib
import io
import sys
import textwrap


def prepare() -> None:
    """Print what a console's code page lacks as ? and not as a traceback, and each line at once."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="replace", line_buffering=True)


def say(text: str = "") -> None:
    """Tell the user."""
    print(text)  # noqa: T201 - a hook talks to a person


def complain(text: str) -> None:
    """Tell the user what stops the hook."""
    print(f"nsgflow: {text}", file=sys.stderr)  # noqa: T201 - a hook talks to a person


def item(text: str, command: str = "") -> str:
    """One point of a list, wrapped, with the command that mends it on a line of its own."""
    lines = textwrap.wrap(
        text,
        96,
        initial_indent="  - ",
        subsequent_indent="    ",
        break_long_words=False,  # an id is there to be copied
        break_on_hyphens=False,
    )
    return "\n".join([*lines, *(f"      {line}" for line in command.splitlines())])
