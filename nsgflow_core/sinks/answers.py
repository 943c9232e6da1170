"""What a service's answers mean, and asking again."""

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from nsgflow_core.errors import DataRefusedError, NsgflowError, RefusedError, TransientError
from nsgflow_core.sinks.patience import Patience

_DATA_REFUSED = (400, 413, 422)
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_FIRST_WAIT = 0.2
_MAX_TRIES = 5
_MAX_RETRY_AFTER_DIGITS = 9
_MAX_WAIT = 60.0
_MAX_DOUBLINGS = 10
_LONGEST_WAIT = 600.0
"""The longest a service may make us wait by its own word, in seconds."""


def with_retries(
    attempt: Callable[[float], None], patience: Patience, waits: list[float] | None = None
) -> None:
    """Call `attempt` with the seconds left until it succeeds, waiting between transient errors.

    Waits grow from 0.2 s, with jitter, and are as long as the service asked for; a wait is not
    begun that would leave too little time for another answer. Each is added to `waits`.

    Raises:
        TransientError: the last one, when tries or time ran out.
        RefusedError: at once.
    """
    for tries in range(1, _MAX_TRIES + 1):
        try:
            with patience.waiting():
                attempt(patience.left())
        except TransientError as exc:
            wait = max(exc.retry_after, _FIRST_WAIT * 2 ** (tries - 1) * random.uniform(0.5, 1))  # noqa: S311 - jitter
            if tries == _MAX_TRIES or not patience.enough(wait):
                raise
            if waits is not None:
                waits.append(wait)
            patience.sleep(wait)
        else:
            return


def wait_after(failures: int, error: NsgflowError) -> float:
    """How long a sink is left alone that failed so many times in a row, in seconds.

    Waits double up to a minute; a service that asks for more gets up to ten.
    """
    wait = min(2.0 ** min(failures, _MAX_DOUBLINGS), _MAX_WAIT)
    if isinstance(error, TransientError):
        wait = max(wait, min(error.retry_after, _LONGEST_WAIT))
    return wait


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
