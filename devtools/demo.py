"""nsgflow at work with no Azure at all: `make demo`, or with a PT1H.json: `make demo LOG=file`.

Starts Azurite and the local stand-ins, points the app's settings at them, imports function_app.py
in a small Functions host, and writes flow logs block by block as Azure does. The totals at the end
compare what was written with what was delivered, flow by flow; nothing in them is assumed. Before
them stand the digest that people got, and what the command line says of the same logs. The exit
status is 0 only if every denied flow was delivered exactly once to both sinks.
"""

import argparse
import base64
import contextlib
import logging
import os
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient
from rich.console import Console
from rich.table import Table

from devtools import demo_asked, demo_estate, shell
from devtools.azurite import AzuriteError, azurite
from devtools.chat import chat
from devtools.demo_logs import NoFlowLogError, Written, write_file, write_hours
from devtools.demo_view import View, place_of
from devtools.functions_host import FunctionsHost
from devtools.identity import identity
from devtools.ingestion import Ingestion, ingestion
from devtools.meter import Meter, metered
from devtools.nic import NSG_CONTAINER, VNET_CONTAINER
from devtools.resource_manager import RESOURCE, resource_manager
from devtools.tls import make_certificate
from devtools.truth import Comparison, compare, compare_alerts, row_key
from devtools.webhook import Webhook, webhook
from nsgflow_core.estate import arm

ROOT = Path(__file__).resolve().parent.parent

WRITE_SECONDS = 25.0
DRAIN_SECONDS = 60.0
# A sweep may find a blob whose sink has just failed and leave it to the next one.
MAX_SWEEPS = 3
FLOWS_SHOWN = 200
PROBLEMS_SHOWN = 5
# Of a log from elsewhere nobody here knows the network.
_OF_THE_ESTATE = {"NSGFLOW_INVENTORY": "resourcegraph", "NSGFLOW_WEBHOOK_2_FILTER": "!src=internet"}
_TERMINAL = ("TERM", "COLUMNS", "LINES")


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m devtools.demo", description=__doc__)
    parser.add_argument("--log", type=Path, metavar="FILE", help="replay this PT1H.json")
    parser.add_argument(
        "--seconds",
        type=float,
        default=WRITE_SECONDS,
        help=f"over which two hours of generated logs are written (default {WRITE_SECONDS:.0f})",
    )
    parser.add_argument(
        "--trigger",
        choices=("EventGrid", "Queue"),
        default="EventGrid",
        help="how events come: to blob triggers, or by a queue in Azurite",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    # SIGTERM ends the demo as Ctrl-C does, with everything stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    try:
        return _run(console, arguments.log, arguments.seconds, arguments.trigger)
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        return 130
    except AzuriteError as error:
        console.print(str(error), style="red")
        return 2
    except (OSError, NoFlowLogError) as error:
        if arguments.log is None:
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        console.print(f"{arguments.log}: {reason}", style="red", soft_wrap=True, markup=False)
        return 2


def _run(console: Console, log: Path | None, seconds: float, trigger: str) -> int:
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificate = make_certificate(folder)
        storage = stack.enter_context(azurite())
        meter = stack.enter_context(metered(storage))
        tokens = stack.enter_context(identity())
        schema = ROOT / "nsgflow_core" / "schema.json"
        logs = stack.enter_context(ingestion(schema, tokens, certificate))
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        hook = stack.enter_context(webhook(secret))
        people = stack.enter_context(chat("slack"))
        if log is None:
            azure = stack.enter_context(resource_manager(tokens, certificate))
            azure.tables = demo_estate.tables()
            # As a name server would that calls the stand-in by Azure's name.
            arm.CLOUDS["AZURE_PUBLIC_CLOUD"] = arm.Cloud(azure.endpoint, RESOURCE, "westeurope")
        _set_environment(
            {
                "FlowLogs": meter.connection_string,
                "AzureWebJobsStorage": meter.connection_string,
                "NSGFLOW_TRIGGER_SOURCE": trigger,
                "NSGFLOW_LOGS_ENDPOINT": logs.endpoint,
                "NSGFLOW_LOGS_RULE_ID": logs.rule_id,
                "NSGFLOW_LOGS_OMIT": "none",  # what was delivered is told by its blob
                "NSGFLOW_WEBHOOK_URL": hook.url,
                "NSGFLOW_WEBHOOK_SECRET": secret,
                "NSGFLOW_WEBHOOK_2_URL": people.url,
                "NSGFLOW_WEBHOOK_2_FORMAT": people.kind,
                **({} if log is not None else _OF_THE_ESTATE),
                "REQUESTS_CA_BUNDLE": str(certificate.bundle),
                **tokens.environment(),
            }
        )
        # The writer stands for Azure, so it goes past the meter.
        service = stack.enter_context(
            BlobServiceClient.from_connection_string(storage.connection_string)
        )
        host = stack.enter_context(FunctionsHost(ROOT / "function_app.py", ROOT / "host.json"))
        written = Written()
        with View(console, written, meter, logs, hook) as view:
            host.fire_timer("sweep")
            view.phase = "writing"
            if log is None:
                write_hours(service, written, host.blob_created, view.tick, seconds)
            else:
                write_file(service, written, host.blob_created, view.tick, log)
            _finish(host, view)
        if log is not None:
            _print_flows(console, logs)
        for message in people.messages:
            demo_asked.show_message(console, message)
        answered = log is not None or _ask(console, storage.connection_string)
        seconds_in_all = time.monotonic() - started
        proven = _report(console, written, meter, logs, hook, host, seconds_in_all)
        return 0 if proven and answered else 1


def _finish(host: FunctionsHost, view: View) -> None:
    """Let what events brought be delivered, then what they missed, and people be told."""
    view.phase = "finishing"
    _drain(host, view)
    view.phase = "sweeping"
    wanted = len(view.written.denied)
    for _ in range(MAX_SWEEPS):
        host.fire_timer("sweep")
        _drain(host, view)
        if view.logs.accepted >= wanted and _alerted(view.hook) >= wanted:
            break
    host.fire_timer("digest_2")
    view.phase = "done"
    view.tick(force=True)


def _set_environment(settings: dict[str, str]) -> None:
    """Make these the app's settings, without any that the caller's shell happens to have."""
    terminal = {name: os.environ[name] for name in _TERMINAL if name in os.environ}
    shell.forget()
    # Windows and macOS know of proxies without any variable; they are of no use on loopback.
    os.environ |= terminal | settings
    os.environ |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _drain(host: FunctionsHost, view: View) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        view.tick()
        with contextlib.suppress(TimeoutError):
            host.drain(0.2)
            if host.app.service().wait(0.2):  # what it drains beside the events
                break
    view.tick(force=True)


def _ask(console: Console, connection_string: str) -> bool:
    """Ask at the command line, which reads logs and inventory itself; whether it answered."""
    names = ("AZURE_STORAGE_CONNECTION_STRING", "AzureWebJobsStorage")
    settings = dict.fromkeys(names, connection_string)
    denied = ("denied", "--since", "3h", "--filter", "!src=internet")
    why = ("why", "web1", "sql1:1433", "--since", "3h")
    return all(demo_asked.ask(console, settings, *words) == 0 for words in (denied, why))


def _alerted(hook: Webhook) -> int:
    return sum(alert["data"]["flows"] for alert in hook.unique)


def _print_flows(console: Console, logs: Ingestion) -> None:
    console.print(
        f"{len(logs.rows)} denied flow{'s' * (len(logs.rows) != 1)}", style="bold", highlight=False
    )
    for row in logs.rows[:FLOWS_SHOWN]:
        name, rule, _, _ = place_of(row)
        ends = f"{row['SrcIp']} → {row['DestIp']}:{row['DestPort']}"
        how = f"{row['FlowDirection']} {row['L4Protocol']}"
        line = f"  {row['FlowTime']} {name} {rule} {how} {ends}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if len(logs.rows) > FLOWS_SHOWN:
        console.print(f"  and {len(logs.rows) - FLOWS_SHOWN} more")


def _report(
    console: Console,
    written: Written,
    meter: Meter,
    logs: Ingestion,
    hook: Webhook,
    host: FunctionsHost,
    seconds: float,
) -> bool:
    """Print the totals; returns whether all came exactly once."""
    rows = compare(written.denied, [_named(row) for row in logs.rows])
    alerts = compare_alerts(written.denied, hook.alerts)
    read = sum(
        count
        for name, count in meter.downloaded.items()
        if name.startswith((NSG_CONTAINER, VNET_CONTAINER))
    )
    console.print()
    table = Table(title="totals", title_justify="left", show_header=False)
    table.add_row("flows written", f"{written.flows}, of them {len(written.denied)} denied")
    table.add_row("updates", f"{written.updates} to {len(written.sizes)} blobs")
    table.add_row("events that never came", f"{written.withheld}")
    table.add_row("table", _verdict(rows))
    table.add_row("webhook", _verdict(alerts))
    table.add_row("alerts", f"{len(hook.alerts)}, of them {hook.duplicates} repeated")
    share = f" ({read / written.bytes:.4f} of it)" if written.bytes else ""
    table.add_row("bytes in the blobs", f"{written.bytes}")
    table.add_row("bytes read", f"{read}{share}")
    if delays := _delays(written, logs):
        middle, late = statistics.median(delays), statistics.quantiles(delays, n=20)[-1]
        text = f"p50 {middle * 1000:.0f} ms, p95 {late * 1000:.0f} ms"
        table.add_row("from event to row accepted", text)
    runs = f"{len(host.invocations)}, failed {len(host.failures)}, poison {len(host.poison)}"
    table.add_row("runs of functions", runs)
    table.add_row("refused by table, webhook", f"{len(logs.refusals)}, {len(hook.refusals)}")
    table.add_row("took", f"{seconds:.0f} s")
    console.print(table)
    problems = Counter(f"{run.function} failed: {run.error}" for run in host.failures)
    problems.update(f"table refused: {status} {text}" for status, _, text in logs.refusals)
    problems.update(f"webhook refused: {status} {text}" for status, text in hook.refusals)
    for problem, count in problems.most_common(PROBLEMS_SHOWN):
        console.print(f"{count} times: {problem}", style="red", markup=False, soft_wrap=True)
    proven = rows.exact and alerts.exact
    good = f"each of {len(written.denied)} denied flows was delivered exactly once to both sinks"
    verdict = good if proven else "NOT every denied flow was delivered exactly once to both sinks"
    console.print(verdict, style="bold green" if proven else "bold red")
    return proven


def _named(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with the NSG's id for its GUID, as the first rows may still have it."""
    return {**row, "AclGroup": demo_estate.NSG_IDS.get(row["AclGroup"], row["AclGroup"])}


def _verdict(comparison: Comparison) -> str:
    foreign = f", foreign {comparison.foreign}" if comparison.foreign else ""
    return (
        f"{comparison.delivered} delivered, {comparison.duplicated} duplicated, "
        f"{comparison.lost} lost{foreign}"
    )


def _delays(written: Written, logs: Ingestion) -> list[float]:
    """Seconds from a delivered event to the acceptance of each row, once there are enough."""
    delays = []
    for row, accepted in zip(logs.rows, logs.times, strict=True):
        announced = written.announced.get(row_key(row)[:2])
        if announced is not None:
            delays.append(accepted - announced)
    return delays if len(delays) >= 20 else []


if __name__ == "__main__":
    sys.exit(main())
