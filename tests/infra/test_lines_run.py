"""Queries over nsgflow's own lines are run on lines that the product logged, and compared."""

import datetime as dt
import json
from collections import Counter

import pytest

from devtools.queries import of_docs, of_workbook, with_parameters, with_values
from devtools.table_rows import NOW, Row
from nsgflow_core.errors import ConfigError, RefusedError, TransientError
from nsgflow_core.model import BlobRef
from tests.infra.asked import comparable
from tests.infra.lines import HOUR, MINUTE, App

OTHER = BlobRef("flows", "container", "other/PT1H.json")
BROKEN = TransientError("the webhook answered 503")
LOCKED = RefusedError("storage: Blob Storage answered 403")
TOLD = [f"NSGFLOW_X{number}: unknown" for number in range(12)]


@pytest.fixture
def lines(app: App) -> App:
    """Half an hour of health, then failures of every kind, one of them after a restart."""
    app.healthy(NOW - 40 * MINUTE, NOW - 10 * MINUTE, "FlowLogs")
    app.at(NOW - 9 * MINUTE)
    app.deliver(errors={"webhook": BROKEN, "storage": LOCKED}, lag=90.0, retries={"webhook": 4})
    app.at(NOW - 7 * MINUTE)
    app.deliver(errors={"webhook": BROKEN}, lag=210.0, retries={"webhook": 3, "table": 1}, bad=2)
    app.deliver(ref=OTHER, lag=30.0, out_of_time=True)
    app.insights.failed(BROKEN)
    app.sweep(errors=3, unreached=2, firstError="Blob Storage answered 403", run=5)
    app.at(NOW - 4 * MINUTE)
    app.deliver(lag=500.0, errors={"webhook": BROKEN})
    app.telemetry.warn("no sink is set")
    app.telemetry.warn("no sink is set")
    app.at(NOW - 2 * MINUTE)
    app.deliver(busy=True, records=0, accepted={}, bytes_read=0)
    app.at(NOW - 4 * MINUTE)
    app.insights.failed(ConfigError(TOLD))
    app.insights.stopped("Status: 403 (This request is not authorized.)")
    return app


def told(app: App, event: str, span: dt.timedelta = HOUR) -> list[Row]:
    """The lines of an event, taken apart, with the time of each."""
    found = []
    for row in app.insights.traces:
        if row["Message"].startswith("{") and row["TimeGenerated"] > NOW - span:
            line = json.loads(row["Message"])
            if line["event"] == event:
                found.append(line | {"TimeGenerated": row["TimeGenerated"]})
    return found


def step(line: Row) -> dt.datetime:
    """The start of the five minutes that the line lies in."""
    moment: dt.datetime = line["TimeGenerated"]
    return moment - (moment - NOW) % (5 * MINUTE)


def in_workbook(app: App, name: str) -> list[Row]:
    """What the workbook shows of the last hour."""
    return app.workspace().ask(with_parameters(with_values(of_workbook()[name]), 0), NOW, HOUR)


def in_docs(app: App, number: int) -> list[Row]:
    """What the query of docs/operations.md says of the last two hours."""
    return app.workspace().ask(of_docs()[f"operations {number}"], NOW, 2 * HOUR)


def test_every_query_over_lines_is_run() -> None:
    """No query of the workbook or of the docs is left out here."""
    charts = {name for name, query in of_workbook().items() if "App" in query}
    documented = {name for name, query in of_docs().items() if "App" in query}

    assert charts == {
        *("delivered", "retries", "work", "lag", "failures"),
        *("behind", "sweeps", "warnings", "exceptions"),
    }
    assert documented == {f"operations {number}" for number in range(1, 7)}


def test_lines_are_those_that_host_json_lets_through(app: App) -> None:
    """Application Insights knows no wildcards, so that each function is named whole."""
    app.telemetry.warn("a warning of any function")
    app.insights.function = "nsg_Unknown"
    app.deliver()
    app.insights.function = "vnet_FlowLogs"
    app.deliver()

    assert [row["OperationName"] for row in app.insights.traces] == [
        "nsg_FlowLogs",
        "vnet_FlowLogs",
    ]
    assert not [name for name in app.insights.rules if "*" in name]


def test_counts_by_sink(lines: App) -> None:
    """What the sinks accepted, and what was asked for again."""
    accepted: Counter[tuple[dt.datetime, str]] = Counter()
    for line in told(lines, "nsgflow.delivery"):
        for sink, count in line["component_sent_events_total"].items():
            if sink != "source":
                accepted[step(line), sink] += count
    retries: Counter[tuple[dt.datetime, str]] = Counter()
    for line in told(lines, "nsgflow.minute"):
        for sink, count in line.get("retries", {}).items():
            retries[step(line), sink] += count
    sent: Counter[tuple[dt.datetime, str]] = Counter()
    for line in told(lines, "nsgflow.minute", 2 * HOUR):
        for sink, count in line["component_sent_events_total"].items():
            sent[step(line), sink] += count

    assert accepted
    assert retries
    assert comparable(in_workbook(lines, "delivered")) == comparable(
        {"TimeGenerated": at, "Sink": sink, "Accepted": count}
        for (at, sink), count in accepted.items()
    )
    assert comparable(in_workbook(lines, "retries")) == comparable(
        {"TimeGenerated": at, "Sink": sink, "Retries": count}
        for (at, sink), count in retries.items()
    )
    assert comparable(in_docs(lines, 2)) == comparable(
        {"TimeGenerated": at, "Sink": sink, "Sent": count} for (at, sink), count in sent.items()
    )


def test_work_and_lag(lines: App) -> None:
    """Sums of the minutes, and the worst lag, in steps of five minutes."""
    minutes = told(lines, "nsgflow.minute")
    deliveries = told(lines, "nsgflow.delivery")

    assert {type(line["busy"]) for line in minutes} == {int}
    assert sum(line["busy"] for line in minutes) == 1
    assert comparable(in_workbook(lines, "work")) == comparable(
        {
            "TimeGenerated": at,
            "Invocations": sum(line["invocations"] for line in inside),
            "Busy": sum(line["busy"] for line in inside),
            "Records": sum(
                line["component_received_events_total"].get("source", 0) for line in inside
            ),
            "Errors": sum(line["errors"] for line in inside),
            "DeadLetters": sum(line["deadLetters"] for line in inside),
            "MiB": sum(line["component_received_bytes_total"].get("source", 0) for line in inside)
            / 2**20,
        }
        for at in {step(line) for line in minutes}
        if (inside := [line for line in minutes if step(line) == at])
    )
    assert comparable(in_workbook(lines, "lag")) == comparable(
        {
            "TimeGenerated": at,
            "Lag": max(line["lagSeconds"] for line in deliveries if step(line) == at),
        }
        for at in {step(line) for line in deliveries}
    )


def test_what_failed_and_what_is_behind(lines: App) -> None:
    """Failures by sink and text, blobs by their last lag, sweeps and warnings."""
    failed = [
        (sink, text, line["TimeGenerated"])
        for line in told(lines, "nsgflow.delivery")
        for sink, text in line["errors"].items()
    ]
    last = {line["blob"]: line for line in told(lines, "nsgflow.delivery") if line["lagging"]}

    assert comparable(in_workbook(lines, "failures")) == comparable(
        {
            "Sink": sink,
            "Error": text,
            "Failures": sum(at[:2] == (sink, text) for at in failed),
            "Last": max(at for *same, at in failed if same == [sink, text]),
        }
        for sink, text in {at[:2] for at in failed}
    )
    assert comparable(in_workbook(lines, "behind")) == comparable(
        {
            "Blob": blob,
            "LagSeconds": line["lagSeconds"],
            "OutOfTime": line["outOfTime"],
            "Last": line["TimeGenerated"],
        }
        for blob, line in last.items()
    )
    assert comparable(in_workbook(lines, "sweeps")) == comparable(
        {
            "TimeGenerated": line["TimeGenerated"],
            **{
                name: line[name[0].lower() + name[1:]]
                for name in ("Connection", "Hours", "Blobs", "Run", "Errors", "FirstError")
            },
        }
        for line in told(lines, "nsgflow.sweep")
    )
    assert comparable(in_workbook(lines, "warnings")) == comparable(
        [{"Warning": "no sink is set", "Times": 2, "Last": NOW - 4 * MINUTE}]
    )


def test_exceptions_are_told_by_their_cause(lines: App) -> None:
    """The outer message says only that a function failed; settings are not cut off."""
    shown = {row["Cause"]: row for row in in_workbook(lines, "exceptions")}

    assert len(shown) == len(lines.insights.exceptions) == 3
    for row in lines.insights.exceptions:
        cause = shown[row["InnermostMessage"][:400]]
        assert (cause["Times"], cause["OperationName"]) == (1, row["OperationName"])
    assert any("NSGFLOW_X11" in cause for cause in shown)
    assert {row["Cause"] for row in in_docs(lines, 5)} == set(shown)
    (stopped,) = in_docs(lines, 6)
    assert (stopped["Times"], stopped["Cause"][:11]) == (1, "Status: 403")


def test_first_queries_of_the_runbooks(lines: App) -> None:
    """What lags; what failed, sweeps included; and everything that there is when it is quiet."""
    behind = [line for line in told(lines, "nsgflow.delivery", 2 * HOUR) if line["lagging"]]
    (lagging, errors, texts) = (in_docs(lines, number) for number in (1, 3, 4))
    seen = Counter(
        [row["Message"][:400] for row in lines.insights.traces]
        + [row["InnermostMessage"][:400] for row in lines.insights.exceptions]
    )

    assert len(lagging) == len(behind) == 4
    assert {row["Error"]: row["Times"] for row in errors} == {
        json.dumps({"webhook": str(BROKEN), "storage": str(LOCKED)}, separators=(",", ":")): 1,
        json.dumps({"webhook": str(BROKEN)}, separators=(",", ":")): 2,
        "Blob Storage answered 403": 1,
    }
    assert max(row["Lag"] or 0 for row in errors) == 500.0
    found: Counter[str] = Counter()
    for row in texts:
        found[row["Text"]] += row["Lines"]
    ours = {text: count for text, count in seen.items() if text.startswith(("{", "Result"))}
    assert found.items() >= ours.items()
    assert set(found) == set(seen) | {
        (
            "Message has reached MaxDequeueCount of 5. Moving message "
            "to queue 'webjobs-blobtrigger-poison'."
        )
    }
