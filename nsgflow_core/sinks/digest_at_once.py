"""A digest of a few flows, posted at once: what the webhook for people makes of dead letters.

There is no timer to wait for at the command line. The digest has an id by what it tells of, so
that a receiver that goes by ids takes a repeat for one.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Literal

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests import groups
from nsgflow_core.digests.digest import MAX_SHOWN
from nsgflow_core.digests.groups import Tally, rank
from nsgflow_core.digests.message import Digest
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.knowledge import Knowing, nothing
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import PROTOCOLS, BlobRef, Flow, Group, Position, Record
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import AsRead, Delivery, Item
from nsgflow_core.sinks.webhook import young_enough
from nsgflow_core.webhooks import WebhookSettings

_PAUSE = 1.0
"""Seconds between two posts: Slack takes one message a second."""
_CODES = {name: code for code, name in PROTOCOLS.items() if code.isdigit()}


class _Group(msgspec.Struct, rename="camel"):
    acl_group: str
    acl_name: str
    acl_rule: str
    direction: Literal["Inbound", "Outbound"]
    protocol: str
    src_ip: str
    dest_ip: str
    dest_port: int | None
    flows: int
    first_seen: datetime
    last_seen: datetime


class _Data(msgspec.Struct):
    truncated: int
    groups: list[_Group]


class _Alert(msgspec.Struct):
    data: _Data


_ALERT = msgspec.json.Decoder(_Alert)


class DigestAtOnce:
    """Posts a digest for each delivery; the name and filter are the webhook's."""

    def __init__(
        self,
        settings: WebhookSettings,
        post: Callable[[Digest], None],
        knowledge: Knowing = nothing,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = settings.name
        self.filter = settings.filter
        self._settings = settings
        self._post = post
        self._knowledge = knowledge
        self._sleep = sleep
        self._posted = False

    def young(self, flows: Sequence[Flow]) -> Sequence[Flow]:
        """Those that are not too old to alert."""
        return young_enough(flows, self._settings)

    def gather(self) -> AsRead:
        """See `Sink.gather`."""
        return AsRead()

    def deliver(
        self,
        ref: BlobRef,
        flows: Sequence[Columns],
        start: Position,
        end: Position,
        patience: Patience,  # noqa: ARG002 - one post, which has a limit of its own
    ) -> Delivery:
        """Tell of these flows; see `Sink.deliver`."""
        alone = list(chain.from_iterable(flows))
        places = [f"{flow.group.record.offset}/{flow.ordinal}" for flow in alone]
        counted = groups.count(alone, self._knowledge())
        return self._tell((str(ref), *places), counted, 0, start, end)

    def resend(self, items: Sequence[Item], seconds: float) -> Delivery:  # noqa: ARG002 - as above
        """Tell of alerts that were made for machines, and refused."""
        try:
            alerts = [_ALERT.decode(item.payload) for item in items]
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            return Delivery(Position(0), error=BadInputError(f"an alert cannot be read: {exc}"))
        counted = [tally for alert in alerts for tally in self._tallies(alert)]
        others = sum(alert.data.truncated for alert in alerts)
        end = items[-1].after
        return self._tell([item.id for item in items], counted, others, Position(0), end)

    def _tell(
        self,
        what: Iterable[str],
        counted: Iterable[Tally],
        others: int,
        start: Position,
        end: Position,
    ) -> Delivery:
        name = hashlib.blake2b("\0".join(what).encode(), digest_size=16, person=b"nsgflow.resend")
        merged = sorted(groups.merge(counted).values(), key=rank)
        digest = Digest(name.hexdigest(), time.time(), tuple(merged), others=others)
        if self._posted:
            self._sleep(_PAUSE)
        self._posted = True
        try:
            self._post(digest.cut(MAX_SHOWN))
        except NsgflowError as exc:
            return Delivery(start, error=exc)
        return Delivery(end, digest.flows)

    def _tallies(self, alert: _Alert) -> Iterable[Tally]:
        for group in alert.data.groups:
            first, last = (
                round(at.timestamp() * 1000) for at in (group.first_seen, group.last_seen)
            )
            of = Group(Record(0, 0, "", 2, ""), group.acl_group, group.acl_name, group.acl_rule, "")
            flow = Flow(
                first,
                group.src_ip,
                group.dest_ip,
                None,
                group.dest_port,
                _CODES.get(group.protocol, group.protocol),
                "I" if group.direction == "Inbound" else "O",
                "D",
                group=of,
            )
            (tally,) = groups.count([flow], self._knowledge())
            yield replace(tally, flows=group.flows, last=last, logs=0)
