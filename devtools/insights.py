"""What Application Insights has of the app: its own lines and the host's, as rows of the workspace.

The shapes are those that a real Functions host 4.1037 sent: a line of a function is filed under
`Function.<name>.User`, a failed invocation is an exception whose outer message only says so, and
what the host logs with an exception is a trace as well.
"""

import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any

HOST_JSON = Path(__file__).parents[1] / "host.json"

TRACES = {
    "TimeGenerated": "datetime",
    "Message": "string",
    "SeverityLevel": "int",
    "Properties": "dynamic",
    "OperationName": "string",
    "_ResourceId": "string",
}
EXCEPTIONS = {
    "TimeGenerated": "datetime",
    "OuterType": "string",
    "OuterMessage": "string",
    "InnermostType": "string",
    "InnermostMessage": "string",
    "SeverityLevel": "int",
    "Properties": "dynamic",
    "OperationName": "string",
    "_ResourceId": "string",
}
"""The columns of AppTraces and AppExceptions that are filled in here."""

_LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
_SEVERITY_OF = {logging.INFO: 1, logging.WARNING: 2, logging.ERROR: 3}
_POISON = "Message has reached MaxDequeueCount of 5. Moving message to queue '{}'."
_STOPPED = "An unhandled exception has occurred. Host is shutting down."


class Insights(logging.Handler):
    """Files what is logged at the time `now`, by the function `function`, unless host.json bars it.

    Attributes:
        now: the time of the next line.
        function: name of the function that logs.
        traces, exceptions: rows of AppTraces and AppExceptions so far.
        rules: the least level of each category, as host.json has them.
    """

    def __init__(self, resource_id: str, now: dt.datetime) -> None:
        super().__init__()
        self.now = now
        self.function = "nsg_FlowLogs"
        self.traces: list[dict[str, Any]] = []
        self.exceptions: list[dict[str, Any]] = []
        self.rules: dict[str, str] = json.loads(HOST_JSON.read_text())["logging"]["logLevel"]
        # Azure writes _ResourceId in lower case.
        self._resource = resource_id.lower()

    def emit(self, record: logging.LogRecord) -> None:
        """File a line of the app's own."""
        category = f"Function.{self.function}.User"
        self._trace(category, _SEVERITY_OF[record.levelno], record.getMessage(), self.function)

    def failed(self, error: Exception) -> None:
        """File an invocation that raised."""
        cause = f"Result: Failure\nException: {type(error).__name__}: {error}\nStack:   File …"
        self._exception(f"Exception while executing function: Functions.{self.function}", cause)

    def poisoned(self, queue: str = "webjobs-blobtrigger-poison") -> None:
        """File an event that went to a poison queue."""
        category = "Microsoft.Azure.WebJobs.Host.Queues.QueueProcessor"
        self._trace(category, 2, _POISON.format(queue))

    def stopped(self, cause: str) -> None:
        """File that the host stopped itself, with the service's answer."""
        category = "Microsoft.Azure.WebJobs.Script.WebHost.WebScriptHostExceptionHandler"
        self._trace(category, 3, _STOPPED)
        self._exception(cause, cause, FormattedMessage=_STOPPED)

    def _trace(self, category: str, severity: int, message: str, operation: str = "") -> None:
        if severity + 1 < _LEVELS.index(self._threshold(category)):
            return
        properties = {"Category": category, "LogLevel": _LEVELS[severity + 1]}
        self.traces.append(self._row(severity, properties, operation) | {"Message": message})

    def _exception(self, outer: str, innermost: str, **properties: str) -> None:
        row = self._row(3, properties, "" if properties else self.function)
        self.exceptions.append(row | {"OuterMessage": outer, "InnermostMessage": innermost})

    def _row(self, severity: int, properties: dict[str, str], operation: str) -> dict[str, Any]:
        return {
            "TimeGenerated": self.now,
            "SeverityLevel": severity,
            "Properties": properties,
            "OperationName": operation,
            "_ResourceId": self._resource,
        }

    def _threshold(self, category: str) -> str:
        """By the longest rule that the category begins with: Application Insights knows no `*`."""
        known = [name for name in self.rules if category.startswith(name)]
        return self.rules[max(known, key=len, default="default")]
