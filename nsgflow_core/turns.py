"""Heavy work takes turns, so that light work beside it never waits behind more than one of it.

Python runs one thread at a time and hands over every few milliseconds. With eight backlogs being
parsed and encoded at once, an event of ten flows would wait for eight others at each step of its
ten requests; with one, it hardly notices.
"""

import gc
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

_Made = TypeVar("_Made")

HEAVY_BYTES = 256 * 1024
HEAVY_FLOWS = 1000
"""From here on work counts as heavy: hundredths of a second, and more."""

_TURN = threading.Lock()
_LISTS = 20_000
"""Lists and the like that are made before Python looks for circles among them; 2,000 or less as it
comes."""


def collect_rarely() -> None:
    """Let this process look for circles of objects ten times less often.

    Flows are columns, lists of hundreds of texts, and hold none; each look goes over all of them
    nevertheless, when they have long left the processor's cache.
    """
    gc.set_threshold(_LISTS)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python look for no circles meanwhile: for work that makes next to none, and ends."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def turn(*, heavy: bool) -> AbstractContextManager[object]:
    """Do the work inside alone among heavy work; light work goes on beside it."""
    return _TURN if heavy else nullcontext()


def in_turns(made: Iterable[_Made], *, heavy: bool) -> Iterator[_Made]:
    """The same, each made in a turn of its own."""
    rest = iter(made)
    while True:
        with turn(heavy=heavy):
            try:
                one = next(rest)
            except StopIteration:
                return
        yield one
