"""What a service's answers mean, and asking again."""

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from nsgflow_core.errors import DataRefusedError, RefusedError, TransientError

_DATA_REFUSED = (400, 413, 422)
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_FIRST_WAIT = 0.2
_MAX_TRIES = 5
_MAX_RETRY_AFTER_DIGITS = 9


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
