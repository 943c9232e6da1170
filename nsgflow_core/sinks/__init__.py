"""Where flows go: what a sink is, and delivery in order.

A sink takes the flows of a stretch of one blob in their order and says how far it got. It never
raises for what a service answers: the pipeline has other sinks to look after.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

import msgspec

from nsgflow_core.alerts import Tally
from nsgflow_core.errors import (
    BadInputError,
    DataRefusedError,
    NsgflowError,
    RefusedError,
    TransientError,
)
from nsgflow_core.filter import Filter
from nsgflow_core.model import BlobRef, Flow, Position

_DATA_REFUSED = (400, 413, 422)
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_FIRST_WAIT = 0.2
_MAX_TRIES = 5
_ONE_BY_ONE_AFTER = 8
_MAX_REFUSED = 128
"""So many refusals of single items with nothing accepted are taken for "all are refused"."""
_MAX_RETRY_AFTER_DIGITS = 9


class Item(msgspec.Struct, frozen=True, gc=False):
    """What is accepted or refused as one: a row, or an alert.

    `after` is the place behind its last flow, `flows` their number, `id` the alert's id.
    """

    payload: bytes
    after: Position
    flows: int = 1
    id: str = ""


class Sendable(Protocol):
    """What has the attributes of an `Item`; its payload may be made when it is asked for."""

    @property
    def payload(self) -> bytes: ...  # noqa: D102
    @property
    def after(self) -> Position: ...  # noqa: D102
    @property
    def flows(self) -> int: ...  # noqa: D102
    @property
    def id(self) -> str: ...  # noqa: D102


class Refusal(msgspec.Struct, frozen=True):
    """An item that was refused alone while others were accepted: a dead letter."""

    item: Sendable
    reason: str


_Sent = TypeVar("_Sent", bound=Sendable)


class Delivery(msgspec.Struct, frozen=True):
    """How far a sink got: everything before `reached` is accepted, refused for good, or unwanted.

    `error` is set when the sink failed; without one and short of the end its time ran out.
    `too_old` counts the flows that were left out because of their age, `retries` the requests
    that were made again. `counted` is what the checkpoint has to add to its ledger when the cursor
    moves.
    """

    reached: Position
    accepted: int = 0
    refused: Sequence[Refusal] = ()
    error: NsgflowError | None = None
    too_old: int = 0
    counted: Sequence[Tally] = ()
    retries: int = 0


class Sink(Protocol):
    """A consumer of flows with its own cursor in every blob."""

    name: str
    filter: Filter

    def deliver(
        self, ref: BlobRef, flows: Sequence[Flow], start: Position, end: Position, seconds: float
    ) -> Delivery:
        """Deliver flows that pass the filter, in order, taking about `seconds` at most.

        The flows lie between the places `start` and `end` of the blob.
        """


def deliver_in_order(
    batches: Iterable[Sequence[_Sent]],
    post: Callable[[Sequence[_Sent]], None],
    start: Position,
    end: Position,
    deadline: float,
) -> Delivery:
    """Post batches in order and keep account of what was accepted.

    A refused batch is halved down to the single item. Items refused alone are dead letters when
    anything else of the delivery was accepted; when nothing was, the configuration is at fault,
    not the data, and the place does not move. `deadline` is on the monotonic clock.
    """
    account = _Account(start)
    for batch in batches:
        if not _post_halving(batch, post, account, deadline):
            break
    if not account.accepted and account.refused:
        reason = f"all was refused: {account.refused[0].reason}"
        return Delivery(start, error=RefusedError(reason))
    reached = end if account.complete else account.passed
    refused = [*account.refused, *account.unsendable]
    return Delivery(reached, account.accepted, refused, account.error)


@dataclass(slots=True)
class _Account:
    """What became of a delivery so far; `complete` while nothing has cut it short.

    `refused` are items that the service refused alone, `unsendable` those that no service takes.
    """

    passed: Position
    accepted: int = 0
    refused: list[Refusal] = field(default_factory=list)
    unsendable: list[Refusal] = field(default_factory=list)
    error: NsgflowError | None = None
    complete: bool = True


def _post_halving(
    batch: Sequence[_Sent],
    post: Callable[[Sequence[_Sent]], None],
    account: _Account,
    deadline: float,
) -> bool:
    """Post a batch, in halves where it is refused; False when the delivery must end here."""
    parts = [batch]
    while parts:
        part = parts.pop()
        if len(part) > 1 and not account.accepted and len(account.refused) >= _ONE_BY_ONE_AFTER:
            parts += [part[1:], part[:1]]  # halves would be refused too: spare the asking
            continue
        try:
            if time.monotonic() >= deadline:
                account.complete = False
                if not account.accepted:
                    account.error = TransientError("nothing was accepted in the time given")
                return False
            post(part)
            account.accepted += sum(item.flows for item in part)
        except BadInputError as exc:  # nobody had to be asked
            account.unsendable += [Refusal(item, str(exc)) for item in part]
        except DataRefusedError as exc:
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            account.refused.append(Refusal(part[0], str(exc)))
            if not account.accepted and len(account.refused) == _MAX_REFUSED:
                return False
        except NsgflowError as exc:
            account.error = exc
            account.complete = False
            return False
        account.passed = part[-1].after
    return True


def with_retries(
    attempt: Callable[[float], None], deadline: float, waits: list[float] | None = None
) -> None:
    """Call `attempt` with the seconds left until it succeeds, waiting between transient errors.

    Waits grow from 0.2 s, with jitter, and are as long as the service asked for; a wait that
    would pass the deadline (on the monotonic clock) is not begun. Each is added to `waits`.

    Raises:
        TransientError: the last one, when tries or time ran out.
        RefusedError: at once.
    """
    for tries in range(1, _MAX_TRIES + 1):
        try:
            attempt(max(deadline - time.monotonic(), 0.1))
        except TransientError as exc:
            wait = max(exc.retry_after, _FIRST_WAIT * 2 ** (tries - 1) * random.uniform(0.5, 1))  # noqa: S311 - jitter
            if tries == _MAX_TRIES or time.monotonic() + wait >= deadline:
                raise
            if waits is not None:
                waits.append(wait)
            time.sleep(wait)
        else:
            return


def status_error(
    status: int, retry_after: str | None, what: str
) -> TransientError | RefusedError | None:
    """The error that a status stands for, None for success.

    Only what is known to pass is transient; anything else unknown waits for a person.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP success
        return None
    message = f"{what} answered {status}"
    if status in _TRANSIENT:
        return TransientError(message, retry_after=_seconds(retry_after))
    if status in _DATA_REFUSED:
        return DataRefusedError(message)
    return RefusedError(message)


def _seconds(retry_after: str | None) -> float:
    """Seconds of a Retry-After header, in either of its forms (RFC 9110, 10.2.3)."""
    if not retry_after:
        return 0.0
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:_MAX_RETRY_AFTER_DIGITS])
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
