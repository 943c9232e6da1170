"""Silences of the deployed function, for the commands that make, list and end them."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from nsgflow_core.cli.state import settings_of
from nsgflow_core.cli.times import duration, moment
from nsgflow_core.digests.silence_blob import Silences
from nsgflow_core.digests.silences import Silence
from nsgflow_core.errors import BadInputError
from nsgflow_core.storage import blob_service

LONGEST = timedelta(days=90)
_MAX_WHY = 200


def opened(environ: Mapping[str, str]) -> Silences:
    """Where the silences of the function are.

    Raises:
        BadInputError: the settings cannot work, or nobody would be told anything anyway.
    """
    settings = settings_of(environ)
    if settings.webhooks and not any(at.digest_schedule for at in settings.webhooks):
        raise BadInputError(
            "silences hold for digests: with NSGFLOW_WEBHOOK_FORMAT=cloudevents alerts go to a"
            " program, and NSGFLOW_WEBHOOK_FILTER says which"
        )
    service = blob_service(settings.host_storage)
    return Silences(service.get_container_client(settings.state_container))


def end_of(length: str | None, until: str | None, now: datetime) -> datetime:
    """When a silence is over.

    Raises:
        BadInputError: neither or both are given, or that is no time to come.
    """
    if (length is None) == (until is None):
        raise BadInputError("say how long with --for, or until when with --until")
    end = now + duration(length) if length is not None else moment(until or "", now)
    if end <= now:
        raise BadInputError(f"{end:%Y-%m-%dT%H:%M:%SZ} is over already")
    if end > now + LONGEST:
        raise BadInputError(f"a silence lasts {LONGEST.days} days at most: change the filter")
    return end


def silence(terms: str, until: datetime, now: datetime, why: str) -> Silence:
    """A new silence."""
    name = uuid.uuid4().hex[:8]
    return Silence(name, terms, until.timestamp(), now.timestamp(), why[:_MAX_WHY])


def row(at: Silence) -> dict[str, str]:
    """A silence as it is listed."""
    until, made = (
        f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
        for seconds in (at.until, at.made)
    )
    return {"id": at.id, "until": until, "made": made, "terms": at.terms, "why": at.why}
