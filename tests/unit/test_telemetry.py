"""The lines that the operator sees."""

import json
import logging
import re
import time
from pathlib import Path
from typing import Any

import pytest

from nsgflow_core.delivery.report import Report
from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.model import BlobRef
from nsgflow_core.telemetry import Telemetry, counters

ROOT = Path(__file__).resolve().parents[2]
REF = BlobRef("logs", "container", "path")


class Clock:
    """A monotonic clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    """Stands in for time.monotonic, with the lines captured."""
    caplog.set_level(logging.INFO, "nsgflow")
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines so far, as parsed."""
    return [json.loads(at.getMessage()) for at in caplog.records if at.name == "nsgflow"]


def busy_report() -> Report:
    """A run in which something of every kind happened."""
    return Report(
        REF,
        bytes_read=500,
        records=3,
        flows=9,
        wanted={"table": 9, "webhook": 8},
        accepted={"table": 7},
        refused={"table": 2},
        too_old={"webhook": 1},
        retries={"webhook": 4},
        bad=5,
        errors={"webhook": TransientError("the webhook answered 503")},
        lagging=("webhook",),
        behind_since=1.0,
    )


def test_counters_by_component() -> None:
    """What came in, went out, was discarded and failed, each where it did."""
    assert counters(busy_report()) == {
        "component_received_bytes_total": {"source": 500},
        "component_received_events_total": {"source": 3, "table": 9, "webhook": 8},
        "component_sent_events_total": {"source": 9, "table": 7},
        "component_discarded_events_total": {"source": 5, "table": 2, "webhook": 1},
        "component_errors_total": {"webhook": 1},
        "retries": {"webhook": 4},
    }


def test_a_run_that_did_something_has_a_line(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what, as an error when a sink failed."""
    Telemetry().report(busy_report())
    (line,) = lines(caplog)

    assert line["event"] == "nsgflow.delivery"
    assert line["errors"] == {"webhook": "the webhook answered 503"}
    assert (line["deadLetters"], line["tooOld"], line["lagging"]) == (7, 1, ["webhook"])
    assert line["lagSeconds"] > 0
    assert caplog.records[0].levelno == logging.ERROR


def test_what_the_storage_refused_has_a_line(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A run without a report is no silent one: the alert on failed deliveries sees it."""
    Telemetry().failed(REF, RefusedError("read it: 403 AuthorizationPermissionMismatch"))
    (line,) = lines(caplog)

    assert line["errors"] == {"storage": "read it: 403 AuthorizationPermissionMismatch"}
    assert line["component_errors_total"] == {"storage": 1}


def test_quiet_runs_are_summed_by_the_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """They have no line of their own; a sweep ends the minute too; then counting starts anew."""
    told = Telemetry()
    for _ in range(3):
        told.report(Report(REF, bytes_read=10, records=1, flows=2))
    told.report(Report(REF, busy=True))
    assert lines(caplog) == []
    clock.now += 61
    told.sweep(connection="FlowLogs")
    clock.now += 61
    told.sweep(connection="FlowLogs")

    sweep, minute, again = lines(caplog)
    assert (sweep["event"], again["event"]) == ("nsgflow.sweep", "nsgflow.sweep")
    assert minute == {
        "event": "nsgflow.minute",
        "invocations": 4,
        "busy": 1,
        "deadLetters": 0,
        "tooOld": 0,
        "errors": 0,
        "component_received_bytes_total": {"source": 30},
        "component_received_events_total": {"source": 3},
        "component_sent_events_total": {"source": 6},
        "component_discarded_events_total": {},
        "component_errors_total": {},
        "retries": {},
        "seconds": 61.0,
    }


def test_every_field_is_explained(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """docs/operations.md names each field of each line, those of the sweep included."""
    told = Telemetry()
    told.report(busy_report())
    clock.now += 61
    told.report(busy_report())
    fields = {field for line in lines(caplog) for field in line} - {"event"}
    service = (ROOT / "nsgflow_core" / "service.py").read_text()
    call = service[service.index("self._telemetry.sweep(") :]
    fields |= set(re.findall(r"^ +(\w+)=", call[: call.index("\n        )\n")], re.MULTILINE))
    explained = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text()))

    assert "unreached" in fields
    assert fields <= explained
