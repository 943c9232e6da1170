"""What nsgflow costs a month, by the number of network interfaces: a table of docs/deployment.md.

US list prices, rounded, not taken from a quote. What is measured says where; what is assumed is a
parameter here and a line in the docs.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

SIZES = (10, 100, 1_000, 10_000)

_HOURS = 730.0
_SECONDS = _HOURS * 3600
_UPDATES_PER_NIC = 60 * _HOURS  # a blob is updated once a minute

# Prices in dollars.
_EXECUTIONS, _FREE_EXECUTIONS = 0.40 / 1e6, 250_000
_GB_SECOND, _FREE_GB_SECONDS = 0.000026, 100_000
_EVENTS, _FREE_EVENTS = 0.60 / 1e6, 100_000
_BLOB_READ = 0.0044 / 10_000
_BLOB_LIST = 0.05 / 10_000
_QUEUE = 0.004 / 10_000
_TABLE = 0.00036 / 10_000
_GB = 2.30
_RULE_5, _RULE_15, _SERIES_15 = 1.50, 0.50, 0.05  # for a month; each further series of a split rule

# Measured: CPU seconds of an update, 25 ms in the worker and 17 ms in the host.
_CPU = 0.042
_BUSY = 0.6  # how much of its core an instance is planned to use
_MEMORY = 2.0  # GB of an instance
# Measured: requests to the host's queue for each update, polls included, by NICs; from 1,000 on it
# is a message's put and delete, and two polls, since each poll brings several.
_QUEUE_REQUESTS = {10: 10.0, 100: 6.2, 1_000: 4.0, 10_000: 4.0}
_HOST = json.loads((Path(__file__).parent.parent / "host.json").read_text())
_POLL = sum(
    float(part) * weight
    for part, weight in zip(
        _HOST["extensions"]["queues"]["maxPollingInterval"].split(":"), (3600, 60, 1), strict=True
    )
)
"""The longest that the host waits, in seconds, before it asks an idle queue of events again."""
_FIRST_POLL = 0.1

DENIED_A_MINUTE = 2
ROW_BYTES = 435
"""What a row is billed as: the text of its values, which is less than its JSON with names.
https://learn.microsoft.com/azure/azure-monitor/logs/cost-logs#data-size-calculation"""
_LINE_BYTES = 1_000
_UPDATES_WITH_LINE = 0.25
NICS_PER_NSG = 10


@dataclass(frozen=True)
class Cost:
    """Dollars a month, line by line, in the order of the table."""

    nics: int
    queue: bool = False

    @property
    def updates(self) -> float:
        """Updates of blobs a month."""
        return self.nics * _UPDATES_PER_NIC

    @property
    def instances(self) -> int:
        """Instances that are busy with events."""
        return max(1, math.ceil(self.nics / 60 * _CPU / _BUSY))

    def lines(self) -> dict[str, float]:
        """What each thing costs."""
        return {
            "execution time": self._execution_time(),
            "executions": _over(self.updates + _SECONDS / 300, _FREE_EXECUTIONS) * _EXECUTIONS,
            "Event Grid: an event in, a delivery out": _over(2 * self.updates, _FREE_EVENTS)
            * _EVENTS,
            "reads of flow-log blobs": self.updates * (3 if self.queue else 6) * _BLOB_READ,
            "queue": self._queue_requests() * _QUEUE,
            "checkpoints": self.updates * 3 * _TABLE,
            "sweep: listings": _SECONDS / 300 * 3 * self.nics / NICS_PER_NSG * _BLOB_LIST,
            "own lines": self.updates * _UPDATES_WITH_LINE * _LINE_BYTES / 1e9 * _GB,
            "rows": self.updates * DENIED_A_MINUTE * ROW_BYTES / 1e9 * _GB,
            "alert rules": _RULE_5
            + 5 * _RULE_15
            + _SERIES_15 * max(0.0, self.nics / NICS_PER_NSG - 1),
        }

    def _execution_time(self) -> float:
        """An instance is billed while it is active, a second at least, once for all that overlaps.

        Timers have an instance of their own: the sweep, two seconds and more with the listings.
        """
        rate = self.nics / 60
        active = 1 - math.exp(-rate) if self.instances == 1 else float(self.instances)
        sweeps = _SECONDS / 300 * (2 + self.nics / 2_500)
        return _over((active * _SECONDS + sweeps) * _MEMORY, _FREE_GB_SECONDS) * _GB_SECOND

    def _queue_requests(self) -> float:
        measured = self.updates * _QUEUE_REQUESTS[self.nics]
        if not self.queue:
            return measured
        # The listener is the same, but asks an idle queue more often: after a message it waits
        # twice as long each time, up to the longest. Put, get and delete come to that.
        doublings = math.ceil(math.log2(_POLL / _FIRST_POLL))
        idle = self.instances * 60 / self.nics - _FIRST_POLL * (2**doublings - 1)
        polls: float = doublings + idle / _POLL
        return max(measured, self.updates * (3 + polls)) if idle > 0 else measured

    @property
    def total(self) -> float:
        """The sum."""
        return sum(self.lines().values())


def _over(amount: float, free: float) -> float:
    return max(0.0, amount - free)


def _dollars(amount: float) -> str:
    return f"{amount:,.1f}" if amount < 10 else f"{amount:,.0f}"


def table() -> str:
    """The table of docs/deployment.md."""
    costs = [Cost(nics) for nics in SIZES]
    queued = [Cost(nics, queue=True) for nics in SIZES]
    rows = [
        ["$ a month", *(f"{nics:,} NICs" for nics in SIZES)],
        ["---", *("---:" for _ in SIZES)],
        ["updates", *(f"{cost.updates / 1e6:,.2f} M" for cost in costs)],
        ["instances busy with events", *(str(cost.instances) for cost in costs)],
        *([name, *(_dollars(cost.lines()[name]) for cost in costs)] for name in costs[0].lines()),
        ["**sum**", *(f"**{_dollars(cost.total)}**" for cost in costs)],
        ["**sum, events by queue**", *(f"**{_dollars(cost.total)}**" for cost in queued)],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
