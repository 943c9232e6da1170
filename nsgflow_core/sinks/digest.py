"""The webhook for people: flows are counted here, and posted as digests by `digest.Digests`.

Nothing is sent while a blob is delivered. What was counted is committed with the cursor, in the
write that is made anyway.
"""

import time
from collections.abc import Callable, Sequence
from itertools import chain

from nsgflow_core.digests import groups, pagerduty, slack, teams
from nsgflow_core.digests.message import Digest
from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.estate.knowledge import Knowing, nothing
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Counted, Delivery
from nsgflow_core.sinks.webhook import new_session, send, signature, young_enough
from nsgflow_core.turns import HEAVY_FLOWS, turn
from nsgflow_core.webhooks import WebhookSettings

_SECONDS = 10.0
_ALL_SECONDS = 60.0
"""What one digest may take: the next timer may be about to post it, too."""


class DigestSink:
    """Counts the flows of a blob; the name and cursor are the webhook's."""

    def __init__(self, settings: WebhookSettings, knowledge: Knowing = nothing) -> None:
        self.name = settings.name
        self.filter = settings.filter
        self._settings = settings
        self._knowledge = knowledge

    def gather(self) -> Counted:
        """See `Sink.gather`."""
        return Counted()

    def deliver(
        self,
        ref: BlobRef,  # noqa: ARG002 - groups are the same in every blob
        flows: Sequence[Columns],
        start: Position,  # noqa: ARG002 - nothing here can fail half-way
        end: Position,
        patience: Patience,  # noqa: ARG002 - nothing here waits
    ) -> Delivery:
        """Count the flows; see `Sink.deliver`."""
        with turn(heavy=sum(map(len, flows)) > HEAVY_FLOWS):
            alone = list(chain.from_iterable(flows))
        young = young_enough(alone, self._settings)
        counted = groups.count(young, self._knowledge())
        return Delivery(end, len(young), too_old=len(alone) - len(young), counted=counted)


class Poster:
    """Posts digests to one URL, once each time it is asked.

    A digest of several requests that failed between two goes on where it did.
    """

    def __init__(self, settings: WebhookSettings, link: Callable[[Digest], str]) -> None:
        self._settings = settings
        self._link = link
        self._session = new_session()
        self._accepted: tuple[Digest | None, int] = (None, 0)

    def __call__(self, digest: Digest) -> None:
        """Post a digest.

        Raises:
            TransientError, RefusedError: it was not accepted.
        """
        if missing := self._settings.what_is_missing:
            raise RefusedError(missing)
        begun, accepted = self._accepted
        deadline = time.monotonic() + _ALL_SECONDS
        for number, payload in enumerate(self.bodies(digest)):
            if begun == digest and number < accepted:
                continue
            if time.monotonic() >= deadline:
                raise TransientError("the webhook: it takes too long, and the rest waits")
            self._post(digest.id, payload)
            self._accepted = digest, number + 1

    def _post(self, name: str, payload: bytes) -> None:
        headers = {**self._settings.headers, "Content-Type": "application/json; charset=utf-8"}
        if self._settings.secret:
            headers |= signature(self._settings.secret, name, payload)
        send(self._session, self._settings.url, payload, headers, _SECONDS)

    def bodies(self, digest: Digest) -> list[bytes]:
        """The bodies of the POSTs: the same for the same digest and settings."""
        match self._settings.format:
            case "slack":
                return [slack.render(digest, self._link(digest))]
            case "teams":
                return [teams.render(digest, self._link(digest))]
            case _:
                return pagerduty.events(digest, self._link, self._settings.routing_key)
