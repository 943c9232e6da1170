"""The app's lines, logged by the product at times that a test sets, as they are filed."""

import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

from devtools.insights import Insights
from devtools.kql import Workspace
from devtools.queries import INSIGHTS
from devtools.table_rows import NOW, new_workspace
from nsgflow_core import telemetry
from nsgflow_core.delivery.report import Report
from nsgflow_core.model import BlobRef
from nsgflow_core.telemetry import Telemetry

MINUTE = dt.timedelta(minutes=1)
HOUR = 60 * MINUTE
REF = BlobRef("flows", "container", "path/PT1H.json")


class App:
    """The app and its lines, at a time that the test sets."""

    def __init__(self, insights: Insights) -> None:
        self.insights = insights
        self.telemetry = Telemetry()

    def at(self, moment: dt.datetime) -> None:
        """Set the time of what comes next."""
        self.insights.now = moment

    def deliver(self, *, ref: BlobRef = REF, lag: float = 0.0, **fields: Any) -> None:
        """One run over a blob, which found three records unless told otherwise."""
        told: dict[str, Any] = {
            "records": 3,
            "accepted": {"table": 4, "webhook": 3},
            "bytes_read": 900,
        } | fields
        if lag:
            told |= {"lagging": ("webhook",), "behind_since": self.insights.now.timestamp() - lag}
        self.telemetry.report(Report(ref, **told))

    def sweep(self, connection: str = "FlowLogs", **fields: Any) -> None:
        """One sweep, as service.py tells of it."""
        nothing = {"hours": 4, "blobs": 2, "run": 0, "errors": 0, "unreached": 0, "firstError": ""}
        self.insights.function = "sweep"
        self.telemetry.sweep(connection=connection, **(nothing | fields))
        self.insights.function = "nsg_FlowLogs"

    def healthy(self, start: dt.datetime, end: dt.datetime, *connections: str) -> None:
        """A run each minute and a sweep of each connection each five, up to `end`."""
        for number in range(int((end - start) / MINUTE)):
            self.at(start + number * MINUTE)
            self.deliver()
            if number % 5 == 0:
                for connection in connections or ("FlowLogs", "FlowLogs2"):
                    self.sweep(connection)

    def workspace(self) -> Workspace:
        """A workspace with what was filed, and with the failures of another app."""
        made = new_workspace()
        other = Insights(f"{INSIGHTS}-other", self.insights.now)
        for _ in range(9):
            other.poisoned()
            other.stopped("Status: 403")
        made.add("AppTraces", other.traces)
        made.add("AppTraces", self.insights.traces)
        made.add("AppExceptions", self.insights.exceptions)
        return made


@contextlib.contextmanager
def logging_app() -> Iterator[App]:
    """The app, by whose time telemetry.py goes."""
    insights = Insights(INSIGHTS, NOW - 100 * HOUR)
    logger = logging.getLogger("nsgflow")

    def seconds() -> float:
        return insights.now.timestamp()

    clock = SimpleNamespace(time=seconds, monotonic=seconds)
    level = logger.level
    with mock.patch.object(telemetry, "time", clock):
        logger.addHandler(insights)
        logger.setLevel(logging.INFO)
        try:
            yield App(insights)
        finally:
            logger.removeHandler(insights)
            logger.setLevel(level)
