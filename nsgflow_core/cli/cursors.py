"""Cursors moved back, so that the deployed function sends again, and what that would send.

A log that is being worked on is waited for.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta

import typer

from nsgflow_core.cli.clock import noted, text_clock
from nsgflow_core.cli.names import interface_names, labelled
from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.read import Reader
from nsgflow_core.cli.session import Status, note
from nsgflow_core.cli.state import Entry, State
from nsgflow_core.cli.tables import write_table
from nsgflow_core.config import Settings
from nsgflow_core.delivery import replay
from nsgflow_core.delivery.checkpoint import CLAIM_SECONDS, Checkpoint, Checkpoints
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.filter import Filter, compile_terms
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef

_PATIENCE = 2.5 * CLAIM_SECONDS
"""How long a log that is being worked on is waited for, in seconds."""
_POLL = 0.5
_COLUMNS = ("hour", "log", "mac", "sink", "bytes again", "flows")


def refuse_forgotten(state: State, hours: Sequence[datetime], now: datetime) -> None:
    """Hours whose checkpoints the app deletes cannot be sent again by it.

    Raises:
        BadInputError: there are such among them.
    """
    oldest = now - timedelta(days=state.settings.state_days)
    if hours[0] <= oldest:
        raise BadInputError(
            f"the app forgets hours before {noted(oldest)} (NSGFLOW_STATE_DAYS is "
            f"{state.settings.state_days}): set it higher there, or begin later"
        )


def move(state: State, chosen: Sequence[Entry], sinks: Sequence[str]) -> None:
    """Put the cursors of these sinks (none means all) at the start of these logs.

    Raises:
        NsgflowError: the state cannot be read or written.
        typer.Exit: some log was worked on all the time.
    """
    hours: dict[replay.Hour, list[BlobRef]] = {}
    for entry in chosen:
        hour = replay.Hour(entry.connection, parse_path(entry.ref.path).hour)
        hours.setdefault(hour, []).append(entry.ref)

    def wanted(row: Checkpoint) -> Collection[str]:
        return sinks or row.cursors or configured(state.settings)

    busy = 0
    for hour, refs in hours.items():
        for ref in _left(state.checkpoints, hour, refs, wanted):
            busy += 1
            note(f"{ref} is being worked on: replay it again later")
    logs = counted(len(chosen) - busy, "log")
    sys.stdout.write(f"{logs} will be sent again by the next sweep, within 5 minutes\n")
    if busy:
        raise typer.Exit(Status.INCOMPLETE)


def _left(
    checkpoints: Checkpoints,
    hour: replay.Hour,
    refs: Sequence[BlobRef],
    sinks: Callable[[Checkpoint], Collection[str]],
) -> Sequence[BlobRef]:
    """Move the logs of an hour; those of them that somebody worked on all the time."""
    deadline = time.monotonic() + _PATIENCE
    while refs := replay.move_back(checkpoints, hour, refs, sinks):
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL)
    return refs


def configured(settings: Settings) -> list[str]:
    """The sinks that the settings switch on."""
    table = ["table"] if settings.logs is not None else []
    return [*table, *(webhook.name for webhook in settings.webhooks)]


def show_again(
    state: State, chosen: Sequence[Entry], sinks: Sequence[str], inventory: Inventory | None
) -> None:
    """Write what would be sent of these logs; with an inventory interfaces have names."""
    rows = [cells for one in chosen for cells in _again(state, one, sinks, inventory)]
    write_table(_COLUMNS, rows)


def _again(
    state: State, entry: Entry, chosen: Sequence[str], inventory: Inventory | None
) -> Iterator[list[str]]:
    """What would be sent of one log, in a row for each sink: read, and counted.

    All of the log is sent, what was never delivered as well.
    """
    log, cursors = entry.log, entry.checkpoint.cursors if entry.checkpoint else {}
    if log is None:
        return
    sinks = list(chosen or cursors or configured(state.settings))
    filters = {sink: _filter(state.settings, sink) for sink in sinks}
    counts: Counter[str] = Counter()
    account = state.connections[entry.connection]
    source = FlowLogs({account.name: account.service})
    with Reader(source, _any(list(filters.values())), lambda _: None) as reader:
        for found in reader.flows([[log]]):
            for sink, terms in filters.items():
                counts[sink] += terms.accepts(found.flow)
    for failure in reader.tally.failures:
        note(f"not counted: {failure}")
    name = log.path.resource.rpartition("/")[2]
    mac = log.path.mac
    if inventory is not None:
        known = interface_names(log.path, inventory)
        called = [known["vm"] or known["subnet"], *known["nsgs"]]
        mac = labelled(mac, ", ".join(filter(None, called)))
    place = [text_clock()(f"{log.path.hour:%Y-%m-%dT%H:00Z}"), name, mac]
    for sink in sinks:
        again = cursors[sink].position.offset if sink in cursors else 0
        yield [*place, sink, str(again), str(counts[sink])]
    if not sinks:
        yield [*place, "none is set", "0", "0"]


def _filter(settings: Settings, sink: str) -> Filter:
    """What a sink takes: as set here, else as it is when nothing is set."""
    filters = {webhook.name: webhook.filter for webhook in settings.webhooks}
    if settings.logs is not None:
        filters["table"] = settings.logs.filter
    return filters.get(sink) or compile_terms("action=denied")


def _any(filters: Sequence[Filter]) -> Filter:
    decisions = frozenset[bool]().union(*(terms.decisions for terms in filters))
    return Filter("", decisions, lambda flow: any(terms.accepts(flow) for terms in filters))
