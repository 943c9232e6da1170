"""What the operator sees: a summary line where something happened, a line a minute otherwise.

Lines are JSON, so that queries can take them apart, and hold counts and names of blobs: never
the addresses of flows, never secrets. A thousand NICs make 44 million invocations a month, and
nearly all of them have nothing to say. docs/operations.md says what each field means.

Counters bear the names of Vector's component specification
(https://github.com/vectordotdev/vector/blob/master/docs/specs/component.md). Each is a mapping
by component: `source` is the flow logs with what reads them, `storage` (of errors) the accounts
with the logs and the state, any other a sink by its name.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from nsgflow_core.delivery.report import Report
from nsgflow_core.errors import NsgflowError
from nsgflow_core.model import BlobRef

if TYPE_CHECKING:
    from nsgflow_core.digests.digest import DigestReport

_LOGGER = logging.getLogger("nsgflow")
_MINUTE = 60.0
_FOREIGN_SHOWN = 10

Counters = dict[str, dict[str, int]]
"""Counts by name and component; what did not happen is left out."""


def quiet_sdks() -> None:
    """Keep the Azure SDK's log of every HTTP request out of INFO."""
    logging.getLogger("azure").setLevel(logging.WARNING)


def counters(report: Report) -> Counters:
    """What a run did, by component.

    What was received and neither sent nor discarded waits in the blob and is received again.
    """
    discarded = Counter(report.refused) + Counter(report.too_old) + Counter(source=report.bad)
    return {
        "component_received_bytes_total": _some(source=report.bytes_read),
        "component_received_events_total": _some(source=report.records, **report.wanted),
        "component_sent_events_total": _some(source=report.flows, **report.accepted),
        "component_discarded_events_total": dict(discarded),
        "component_errors_total": dict.fromkeys(report.errors, 1),
        "retries": dict(report.retries),
    }


def _some(**counts: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


class Telemetry:
    """Counts the invocations of this worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()
        self._components: dict[str, Counter[str]] = {}
        self._since = time.monotonic()

    def report(self, report: Report) -> None:
        """Log what a run did if it delivered, failed or lags, and count it either way."""
        counts = counters(report)
        if (
            report.accepted
            or report.errors
            or report.lagging
            or report.dead_letters
            or report.rewritten
        ):
            level = logging.ERROR if report.errors else logging.INFO
            _log(level, "nsgflow.delivery", _summary(report, counts))
        with self._lock:
            self._totals.update(
                invocations=1,
                busy=int(report.busy),
                deadLetters=report.dead_letters,
                tooOld=sum(report.too_old.values()),
                errors=len(report.errors),
            )
            for name, by_component in counts.items():
                self._components.setdefault(name, Counter()).update(by_component)
        self._end_minute()

    def failed(self, ref: BlobRef, error: NsgflowError) -> None:
        """Log and count a run that the storage did not let come to its report."""
        self.report(Report(ref, errors={"storage": error}))

    def sweep(self, **counts: Any) -> None:
        """Log what a sweep looked at and found."""
        _log(logging.INFO, "nsgflow.sweep", counts)
        self._end_minute()

    def digest(self, sink: str, report: "DigestReport") -> None:
        """Log a digest that was posted, or could not be, and hours that could not be read."""
        if report.unread:
            self.warn(
                f"digests of {sink}: {report.unread} hours could not be read, and are tried again:"
                f" {report.why_unread}"
            )
        digest = report.digest
        if digest is None or not (report.posted or report.error):
            return
        fields = {
            "sink": sink,
            "id": digest.id,
            "posted": report.posted,
            "groups": len(digest.groups) + digest.more_groups,
            "shown": len(digest.groups),
            "flows": digest.flows,
            "waiting": report.waiting,
            "error": str(report.error or ""),
        }
        _log(logging.ERROR if report.error else logging.INFO, "nsgflow.digest", fields)

    def made(self, what: str) -> None:
        """Log that the sweep made something anew in the state container."""
        _log(logging.INFO, "nsgflow.made", {"what": what})

    def warn(self, message: str) -> None:
        """Log something that a person should look at."""
        _log(logging.WARNING, "nsgflow.warning", {"message": message})

    def foreign(self, problems: Sequence[str]) -> None:
        """Log what came by the queue and is not ours, the first few a minute, and count it all.

        A subscription without filters may send thousands.
        """
        with self._lock:
            shown = self._totals["foreign"] < _FOREIGN_SHOWN
            self._totals["foreign"] += 1
        if shown:
            self.warn("; ".join(problems[:_FOREIGN_SHOWN]))
        self._end_minute()

    def _end_minute(self) -> None:
        """Log the totals when a minute or more has passed since they were last logged."""
        with self._lock:
            passed = time.monotonic() - self._since
            if passed < _MINUTE or not self._totals:
                return
            totals = {**self._totals, **self._components}
            self._totals, self._components = Counter(), {}
            self._since = time.monotonic()
        _log(logging.INFO, "nsgflow.minute", totals | {"seconds": round(passed, 1)})


def _summary(report: Report, counts: Counters) -> dict[str, Any]:
    lag = round(time.time() - report.behind_since, 1) if report.lagging else 0.0
    return {
        "blob": str(report.ref),
        **counts,
        "deadLetters": report.dead_letters,
        "tooOld": sum(report.too_old.values()),
        "rewritten": report.rewritten,
        "unreadable": report.unreadable,
        "youngNsgs": report.young_nsgs,
        "errors": {name: str(error) for name, error in report.errors.items()},
        "lagging": report.lagging,
        "lagSeconds": lag,
        "outOfTime": report.out_of_time,
        "more": report.more,
        "seconds": round(report.seconds, 3),
    }


def _log(level: int, event: str, fields: Mapping[str, Any]) -> None:
    _LOGGER.log(level, "%s", msgspec.json.encode({"event": event, **fields}).decode())
