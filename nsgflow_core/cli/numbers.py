"""Numbers as they are given on the command line."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

_UsageError: Any = typer.BadParameter.__base__  # typer has no public name for it


def number(
    flag: str, what: str, least: int, most: int = sys.maxsize, *, whole: bool = True
) -> Callable[[Any], float]:
    """Reads the number that a flag is given, as the `parser` of an option.

    In the place of typer's `min` and `max`, whose errors say neither what was given nor, of what
    is no number, which ones may be.
    """
    span = f"from {least} to {most}" if most < sys.maxsize else f"from {least} on"

    def read(text: Any) -> float:
        try:
            found: float = int(text) if whole else float(text)
        except ValueError:
            wrong = "is no whole number" if whole else "is no number"
        else:
            if least <= found <= most:
                return found
            wrong = "is too large" if found > most else "is too small"
        raise _UsageError(f"{flag} {str(text)!r} {wrong}: give {what} {span}")

    return read


def ports(flag: str) -> Callable[[Any], str]:
    """Reads ports that commas separate, as the `parser` of an option; they stay a text."""
    one = number(flag, "a port", 0, 65535)

    def read(text: Any) -> str:
        return ",".join(str(one(part.strip())) for part in str(text).split(","))

    return read


def parts(values: Sequence[str] | None) -> list[str] | None:
    """The values of an option that was given several times, or with commas, as its `callback`."""
    return [one.strip() for value in values for one in value.split(",")] if values else None


def among(flag: str, numbers: Sequence[int]) -> Callable[[Any], int]:
    """Reads one of a few numbers, as the `parser` of an option."""
    folded = {str(one): one for one in numbers}

    def read(text: Any) -> int:
        if (given := str(text).strip()) not in folded:
            raise _UsageError(f"{flag} {given!r} is not one of {', '.join(folded)}")
        return folded[given]

    return read
