"""Marks in the states of the deployed function's digests: one for each webhook for people."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.session import note
from nsgflow_core.cli.state import settings_of
from nsgflow_core.digests.marks import KEPT_SECONDS, MAX_TEXT, with_mark
from nsgflow_core.digests.memory import Mark, StateChangedError
from nsgflow_core.digests.state import DigestState
from nsgflow_core.errors import BadInputError
from nsgflow_core.storage import blob_service

_TRIES = 10


def states(environ: Mapping[str, str]) -> Sequence[DigestState]:
    """The states of the digests that the settings switch on.

    Raises:
        BadInputError: there are none.
    """
    settings = settings_of(environ)
    names = [webhook.name for webhook in settings.webhooks if webhook.digest_schedule]
    if not names:
        raise BadInputError(
            "no webhook is for people: set NSGFLOW_WEBHOOK_URL and NSGFLOW_WEBHOOK_FORMAT (slack, "
            "teams or pagerduty) as the function has them"
        )
    host = blob_service(settings.host_storage)
    container = host.get_container_client(settings.state_container)
    return [DigestState(container, name) for name in names]


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
        raise BadInputError(f"{at:%Y-%m-%dT%H:%M:%SZ} is still to come")
    if (now - at).total_seconds() > KEPT_SECONDS:
        raise BadInputError(f"{at:%Y-%m-%dT%H:%M:%SZ} is longer ago than marks are kept (14 days)")
    for state in states:
        _put(state, Mark(at.timestamp(), given), now.timestamp())
    note(f"marked at {at:%Y-%m-%d %H:%M:%S} UTC: {given}")


def _put(state: DigestState, mark: Mark, now: float) -> None:
    for left in reversed(range(_TRIES)):
        read, etag = state.read()
        try:
            state.write(replace(read, marks=with_mark(read.marks, mark, now)), etag)
        except StateChangedError:  # by the function, which has more to say
            if not left:
                raise
        else:
            return


def shown(states: Sequence[DigestState]) -> str:
    """The marks, a line each, the newest first."""
    found = {mark for state in states for mark in state.read()[0].marks}
    ordered = sorted(found, key=lambda mark: (-mark.at, mark.text))
    return "".join(
        f"{datetime.fromtimestamp(mark.at, UTC):%Y-%m-%d %H:%M:%S} UTC  {printable(mark.text)}\n"
        for mark in ordered
    )
