"""Delivery in order: batches that are halved where they are refused, and an account of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from nsgflow_core.errors import (
    BadInputError,
    DataRefusedError,
    NsgflowError,
    TransientError,
)
from nsgflow_core.model import Position
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Delivery, Refusal, Sendable

_ONE_BY_ONE_AFTER = 8
_MAX_REFUSED = 128
"""So many refusals of single items with nothing accepted are taken for "all are refused"."""

_Sent = TypeVar("_Sent", bound=Sendable)


def _flows(items: Sequence[Sendable]) -> int:
    return sum(item.flows for item in items)


def deliver_in_order(
    batches: Iterable[Sequence[_Sent]],
    post: Callable[[Sequence[_Sent]], None],
    start: Position,
    end: Position,
    patience: Patience,
    count: Callable[[Sequence[_Sent]], int] = _flows,
) -> Delivery:
    """Post batches in order and keep account of what was accepted; `count` tells its flows.

    A refused batch is halved down to the single item. Items refused alone are dead letters when
    anything else of the delivery was accepted; when nothing was, the configuration is at fault,
    not the data, and the place does not move.
    """
    account = _Account(start)
    for batch in batches:
        if not _post_halving(batch, post, account, patience, count):
            break
    if not account.accepted and account.refused:
        reason = f"all was refused: {account.refused[0].reason}"
        return Delivery(start, error=DataRefusedError(reason))
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
    patience: Patience,
    count: Callable[[Sequence[_Sent]], int],
) -> bool:
    """Post a batch, in halves where it is refused; False when the delivery must end here."""
    parts = [batch]
    while parts:
        part = parts.pop()
        if len(part) > 1 and not account.accepted and len(account.refused) >= _ONE_BY_ONE_AFTER:
            parts += [part[1:], part[:1]]  # halves would be refused too: spare the asking
            continue
        try:
            if not patience.enough():
                account.complete = False
                if not account.accepted:
                    account.error = TransientError("nothing was accepted in the time given")
                return False
            post(part)
            account.accepted += count(part)
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
