"""Flags that commands share, which may stand before a command's name as well as behind it.

The root and the groups take them, too, and hand them down; a command that has no use for one, such
as `--color` of `completion`, lets it be, so that an alias may always give it.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

_COLORS = ("auto", "always", "never")

Verbose = Annotated[
    bool, typer.Option("--verbose", help="Tell more, on stderr: what was read, causes of errors.")
]


def _colors(incomplete: str) -> list[str]:
    return [word for word in _COLORS if word.startswith(incomplete)]


Color = Annotated[
    str,
    typer.Option(
        "--color",
        metavar="|".join(_COLORS),
        autocompletion=_colors,
        help="Colours: on a terminal if NO_COLOR is not set (auto), in files and pipes too, or "
        "never.",
    ),
]
Utc = Annotated[
    bool,
    typer.Option(
        "--utc", help="Times are of UTC: those given without a zone, and those on a terminal."
    ),
]
_GIVEN = f"{__name__}.given"


def shared(
    ctx: typer.Context, *, color: Color = "auto", utc: Utc = False, verbose: Verbose = False
) -> None:
    """Take what stands before a command's name."""
    if color.lower() not in _COLORS:
        ctx.fail(f"--color {color!r} is not one of {', '.join(_COLORS)}")
    given: dict[str, list[str]] = ctx.meta.setdefault(_GIVEN, {})
    given.update({"--color": [f"--color={color}"]} if color.lower() != "auto" else {})
    given.update({"--utc": ["--utc"]} if utc else {})
    given.update({"--verbose": ["--verbose"]} if verbose else {})


def handed_down(ctx: Any, known: set[str], args: Sequence[str]) -> Iterator[str]:
    """What stood before a command's name, as the command takes it; what is behind comes first."""
    flags = {word.partition("=")[0] for word in args}
    for flag, words in ctx.meta.get(_GIVEN, {}).items():
        if flag in known and flag not in flags:
            yield from words


def leading(args: Sequence[str]) -> int:
    """How many words at the beginning are such flags and their values."""
    at = 0
    while at < len(args) and args[at].partition("=")[0] in ("--color", "--utc", "--verbose"):
        at += 2 if args[at] == "--color" else 1
    return at
