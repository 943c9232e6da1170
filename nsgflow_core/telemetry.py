"""What the operator sees: a summary line where something happened, a line a minute otherwise.

Lines are JSON, so that queries can take them apart, and hold counts and names of blobs: never
the addresses of flows, never secrets. A thousand NICs make 44 million invocations a month, and
nearly all of them have nothing to say.
"""

import logging
import threading
import time
from collections import Counter
from typing import Any

import msgspec

from nsgflow_core.pipeline import Report

_LOGGER = logging.getLogger("nsgflow")
_MINUTE = 60.0


def quiet_sdks() -> None:
    """Keep the Azure SDK's log of every HTTP request out of INFO."""
    logging.getLogger("azure").setLevel(logging.WARNING)


class Telemetry:
    """Counts the invocations of this worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()
        self._since = time.monotonic()

    def report(self, report: Report) -> None:
        """Log what a run did if it delivered, failed or lags, and count it either way."""
        if (
            report.accepted
            or report.errors
            or report.lagging
            or report.dead_letters
            or report.rewritten
        ):
            level = logging.ERROR if report.errors else logging.INFO
            _log(level, "nsgflow.delivery", _summary(report))
        with self._lock:
            self._totals.update(
                invocations=1,
                busy=report.busy,
                bytesRead=report.bytes_read,
                records=report.records,
                deadLetters=report.dead_letters,
                tooOld=report.too_old,
                errors=len(report.errors),
                **{f"accepted.{name}": count for name, count in report.accepted.items()},
            )
            if time.monotonic() - self._since < _MINUTE:
                return
            totals, self._totals = dict(self._totals), Counter()
            passed, self._since = time.monotonic() - self._since, time.monotonic()
        _log(logging.INFO, "nsgflow.minute", totals | {"seconds": round(passed, 1)})

    def sweep(self, **counts: Any) -> None:
        """Log what a sweep looked at and found."""
        _log(logging.INFO, "nsgflow.sweep", counts)

    def made(self, what: str) -> None:
        """Log that the sweep made something anew in the state container."""
        _log(logging.INFO, "nsgflow.made", {"what": what})

    def warn(self, message: str) -> None:
        """Log something that a person should look at."""
        _log(logging.WARNING, "nsgflow.warning", {"message": message})


def _summary(report: Report) -> dict[str, Any]:
    lag = round(time.time() - report.behind_since, 1) if report.lagging else 0.0
    return {
        "blob": str(report.ref),
        "bytesRead": report.bytes_read,
        "records": report.records,
        "accepted": report.accepted,
        "deadLetters": report.dead_letters,
        "tooOld": report.too_old,
        "rewritten": report.rewritten,
        "errors": {name: str(error) for name, error in report.errors.items()},
        "lagging": report.lagging,
        "lagSeconds": lag,
        "outOfTime": report.out_of_time,
        "seconds": round(report.seconds, 3),
    }


def _log(level: int, event: str, fields: dict[str, Any]) -> None:
    _LOGGER.log(level, "%s", msgspec.json.encode({"event": event} | fields).decode())
