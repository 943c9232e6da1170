"""Silences of the deployed function, for the commands that make, list and end them."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from nsgflow_core.cli.clock import noted
from nsgflow_core.cli.times import duration, moment
from nsgflow_core.digests.memory import State
from nsgflow_core.digests.silences import MAX_SILENCES, Silence, active
from nsgflow_core.digests.state import DigestState
from nsgflow_core.errors import BadInputError

LONGEST = timedelta(days=90)
_MAX_TERMS = 1000
_MAX_WHY = 200


def known(states: Iterable[DigestState]) -> list[Silence]:
    """All silences, the expired ones too, in the order in which they were made."""
    found = {at.id: at for state in states for at in state.read()[0].silences}
    return sorted(found.values(), key=lambda at: (at.made, at.id))


def add(states: Iterable[DigestState], made: Silence, now: float) -> None:
    """Put a silence into each, without those that are over.

    Raises:
        BadInputError: there are too many.
        NsgflowError: a state could not be written.
    """

    def more(state: State) -> State:
        # A state that is only made now begins with those of the others.
        still = [at for at in active(state.silences, now) if at.id != made.id]
        if len(still) >= MAX_SILENCES:
            raise BadInputError(f"there are {MAX_SILENCES} silences already: end some")
        return replace(state, silences=(*still, made))

    for state in states:
        state.change(more)


def end(states: Sequence[DigestState], name: str) -> None:
    """Take a silence out of each.

    Raises:
        BadInputError: there is none of this id.
        NsgflowError: a state could not be written.
    """
    if all(at.id != name for at in known(states)):
        raise BadInputError(f"there is no silence {name!r}: list shows those that there are")

    def fewer(state: State) -> State:
        return replace(state, silences=tuple(at for at in state.silences if at.id != name))

    for state in states:
        state.change(fewer)


def end_of(length: str | None, until: str | None, now: datetime, *, utc: bool = False) -> datetime:
    """When a silence is over.

    Raises:
        BadInputError: neither or both are given, or that is no time to come.
    """
    if (length is None) == (until is None):
        raise BadInputError("say how long with --for, or until when with --until")
    end = (
        now + duration(length)
        if length is not None
        else moment(until or "", now, utc=utc, ahead=True)
    )
    if end <= now:
        raise BadInputError(f"{noted(end, seconds=True)} is over already")
    if end > now + LONGEST:
        raise BadInputError(f"a silence lasts {LONGEST.days} days at most: change the filter")
    return end


def silence(terms: str, until: datetime, now: datetime, why: str) -> Silence:
    """A new silence.

    Raises:
        BadInputError: its terms or its reason are too long: every run of the digests reads them.
    """
    reason = " ".join(why.split())
    for what, text, most in (("its terms", terms, _MAX_TERMS), ("its reason", reason, _MAX_WHY)):
        if len(text) > most:
            raise BadInputError(f"{what} may have {most:,} characters; these have {len(text):,}")
    name = uuid.uuid4().hex[:8]
    return Silence(name, terms, until.timestamp(), now.timestamp(), reason)


def row(at: Silence) -> dict[str, str]:
    """A silence as it is listed."""
    until, made = (
        f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
        for seconds in (at.until, at.made)
    )
    return {"id": at.id, "until": until, "made": made, "terms": at.terms, "why": at.why}
