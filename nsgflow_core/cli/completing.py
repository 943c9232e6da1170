"""What may follow at the command line: the words that a shell completes a command with.

The words of an option are those of its metavar (`table|json|csv`), so that help and completion
cannot differ; times and filter terms have words of their own.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from nsgflow_core.terms import ALIASES, KEYS, key_of

Completer = Callable[[str], list[str]]

_CHOICE = re.compile(r"\[?(?P<words>[\w-]+(?:\|[\w-]+)+)\]?")
_PLACEHOLDERS = frozenset(("FILE", "N"))
_TIMES = ("15m", "1h", "3h", "24h", "now", "yesterday")


def complete_options(command: Callable[..., None]) -> None:
    """Give the options and arguments of a command the words that their metavars tell."""
    for parameter in inspect.signature(command).parameters.values():
        for info in getattr(parameter.annotation, "__metadata__", ()):
            metavar: Any = getattr(info, "metavar", None)
            if metavar and info.autocompletion is None:
                info.autocompletion = _of_metavar(metavar, parameter.name)


def _of_metavar(metavar: str, name: str) -> Completer | None:
    if metavar == "TERMS":
        return filter_terms
    if metavar == "TIME":
        # A span that begins now is empty.
        return one_of([time for time in _TIMES if time != "now" or name != "since"])
    if found := _CHOICE.fullmatch(metavar):
        return one_of([word for word in found["words"].split("|") if word not in _PLACEHOLDERS])
    return None


def one_of(words: Sequence[str]) -> Completer:
    """Completes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def several(words: Sequence[str]) -> Completer:
    """Completes the last of some words, which commas separate."""
    one = one_of(words)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{word}" for word in one(last)]

    return complete


def filter_terms(incomplete: str) -> list[str]:
    """Completes the last of some filter terms: its key, then a value that has a name."""
    before, space, term = incomplete.rpartition(" ")
    negation = "!" * term.startswith("!")
    key, equals, values = term.removeprefix("!").partition("=")
    if not equals:
        named = one_of(list(KEYS))(key) or one_of(list(ALIASES))(key)
        return [f"{before}{space}{negation}{key}=" for key in named]
    words = KEYS[key_of(key)].words if key_of(key) in KEYS else ()
    head = f"{before}{space}{negation}{key}="
    return [head + value for value in several(words)(values)]
