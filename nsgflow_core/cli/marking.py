"""Marks in the states of the deployed function's digests: one for each webhook for people."""

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from nsgflow_core.cli.clock import noted, shown_time
from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.session import note
from nsgflow_core.digests.marks import KEPT_SECONDS, MAX_TEXT, with_mark
from nsgflow_core.digests.memory import Mark
from nsgflow_core.digests.state import DigestState
from nsgflow_core.errors import BadInputError


def add(states: Sequence[DigestState], text: str, at: datetime, now: datetime) -> None:
    """Put a mark into each.

    Raises:
        BadInputError: it is too long, in the future, or too long ago.
        NsgflowError: a state could not be written.
    """
    given = " ".join(text.split())
    if len(given) > MAX_TEXT:
        raise BadInputError(f"a mark has at most {MAX_TEXT} characters; this has {len(given)}")
    if at > now:
        raise BadInputError(
            f"{noted(at, seconds=True)} is still to come: give --at a time that is over"
        )
    if (now - at).total_seconds() > KEPT_SECONDS:
        raise BadInputError(
            f"{noted(at, seconds=True)} is longer ago than marks are kept (14 days)"
        )
    mark = Mark(at.timestamp(), given)
    for state in states:
        state.change(lambda read: replace(read, marks=with_mark(read.marks, mark, now.timestamp())))
    note(f"marked at {noted(at, seconds=True)}: {given}")


def shown(states: Sequence[DigestState]) -> str:
    """The marks, a line each, the newest first."""
    found = {mark for state in states for mark in state.read()[0].marks}
    ordered = sorted(found, key=lambda mark: (-mark.at, mark.text))
    return "".join(
        f"{shown_time(datetime.fromtimestamp(mark.at, UTC), seconds=True)}  "
        f"{printable(mark.text)}\n"
        for mark in ordered
    )
