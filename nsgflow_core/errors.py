"""What can go wrong, by what to do about it.

NsgflowError
├── TransientError    try again later: nothing was lost, nothing is wrong with the data
├── RefusedError      someone must act: credentials, roles, configuration
│   └── DataRefusedError  or the content of the request is at fault (400, 413, 422)
└── BadInputError     trying again cannot help: the data or the setting itself is wrong
    └── ConfigError   settings, all of their problems at once
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType


class NsgflowError(Exception):
    """Base of every error that nsgflow raises on purpose."""


class TransientError(NsgflowError):
    """A service was busy, away or too slow; the same request may succeed later.

    `retry_after` is the wait in seconds that the service asked for, 0 when it named none.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedError(NsgflowError):
    """A service refused a request for a reason that waiting does not mend."""


class DataRefusedError(RefusedError):
    """A service refused what a request carried, or the request as such: it does not say which."""


class BadInputError(NsgflowError):
    """Data or an argument that cannot be read, named with its place."""


def did_you_mean(
    given: str, words: Iterable[str], also: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What to say behind a word that is none of these: the one that is near it, or nothing.

    `also` has other names that people know, in lower case, and the word that is said here.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes pay for it

    folded = {word.casefold(): word for word in words}
    wrong = given.strip().casefold()
    # `inbound` for `in`, `deny` for `denied`: letters alone would find neither near.
    begun = [
        word for word in folded if wrong and (word.startswith(wrong) or wrong.startswith(word))
    ]
    if wrong in also:
        near = [also[wrong]]
    elif len(begun) == 1:
        near = [folded[begun[0]]]
    else:
        near = [folded[word] for word in get_close_matches(wrong, folded, 1, 0.6)]
    return f"did you mean {near[0]!r}?" if near else ""


class ConfigError(BadInputError):
    """Settings that cannot work; `problems` has one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("settings: " + "; ".join(problems))
        self.problems = tuple(problems)
