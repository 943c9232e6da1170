"""Caches of texts that anybody may have written: bounded in bytes, and not only in entries."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

_Text = TypeVar("_Text", str, bytes)
_Made = TypeVar("_Made")

LONGEST_ID = 1024
"""Characters of the longest id of a resource that is worth remembering."""


def cache_short(
    entries: int, longest: int
) -> Callable[[Callable[[_Text], _Made]], Callable[[_Text], _Made]]:
    """Remember what a function makes of texts of at most `longest` characters, the last few.

    A log may hold names of any length, and a cache of thousands of them would hold the log.
    """

    def decorate(make: Callable[[_Text], _Made]) -> Callable[[_Text], _Made]:
        cached = lru_cache(maxsize=entries)(make)

        def remembered(text: _Text) -> _Made:
            return cached(text) if len(text) <= longest else make(text)

        return remembered

    return decorate
