"""Patterns of files that a shell leaves as they are: those of Windows do, others without a match.

https://learn.microsoft.com/windows-server/administration/windows-commands/cmd
"""

from collections.abc import Iterable
from glob import glob
from pathlib import Path


def expanded(words: Iterable[str]) -> list[str]:
    """The words, for each pattern (`*`, `?`) that is no file itself the files that it names."""
    return [name for word in words for name in _named(word)]


def _named(word: str) -> list[str]:
    if not {"*", "?"} & set(word) or (path := Path(word).expanduser()).exists():
        return [word]
    return sorted(glob(str(path))) or [word]  # noqa: PTH207 - it keeps `./`, and takes absolute ones
