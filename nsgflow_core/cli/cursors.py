"""Cursors moved back, so that the deployed function sends again.

Safe while the function runs. A log that is being worked on is waited for, and every write is
conditional on the row being as it was read. The sweep, which does the work, is asked for the hours
before anything is moved, so that nothing lies moved that nobody looks at, and again behind it,
since it may have looked in between.
"""

import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import typer
from msgspec.structs import replace

from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.read import Reader
from nsgflow_core.cli.session import Status, note
from nsgflow_core.cli.state import SINKS, Entry, State
from nsgflow_core.cli.tables import write_table
from nsgflow_core.config import Settings
from nsgflow_core.delivery.checkpoint import CLAIM_SECONDS
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.errors import BadInputError, TransientError
from nsgflow_core.filter import Filter, compile_terms
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.path import parse_path

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
            f"the app forgets hours before {oldest:%Y-%m-%dT%HZ} (NSGFLOW_STATE_DAYS is "
            f"{state.settings.state_days}): set it higher there, or begin later"
        )


def move(state: State, chosen: Sequence[Entry], sinks: Sequence[str]) -> None:
    """Put the cursors of these sinks (none means all) at the start of these logs.

    Raises:
        NsgflowError: the state cannot be read or written.
        typer.Exit: some log was worked on all the time.
    """
    hours: dict[str, set[datetime]] = {}
    for entry in chosen:
        hours.setdefault(entry.connection, set()).add(parse_path(entry.ref.path).hour)
    _ask(state, hours)
    busy = 0
    deadline = time.monotonic() + _PATIENCE
    try:
        for entry in chosen:
            try:
                move_back(state, entry, sinks, deadline)
            except BusyError as exc:
                busy += 1
                note(str(exc))
    finally:
        _ask(state, hours)
    logs = counted(len(chosen) - busy, "log")
    sys.stdout.write(f"{logs} will be sent again by the next sweep, within 5 minutes\n")
    if busy:
        raise typer.Exit(Status.INCOMPLETE)


def _ask(state: State, hours: Mapping[str, Collection[datetime]]) -> None:
    for connection, of_connection in hours.items():
        state.checkpoints.ask_sweep(connection, of_connection)


class BusyError(TransientError):
    """A log was worked on for longer than we wait."""


def move_back(state: State, entry: Entry, sinks: Sequence[str], deadline: float) -> None:
    """Put the cursors of these sinks (none means all) at the start of a log.

    Raises:
        BusyError: it was worked on until the deadline, which is on the monotonic clock.
    """
    hour = parse_path(entry.ref.path).hour
    while True:
        row = state.checkpoints.read(entry.ref, hour)
        if not row.owner or row.until <= time.time():
            again = dict.fromkeys(sinks or row.cursors or configured(state.settings), Cursor())
            with suppress(ClaimLostError):
                state.checkpoints.write(
                    replace(row, cursors=row.cursors | again, owner="", until=0.0, pending=True)
                )
                return
        if time.monotonic() >= deadline:
            raise BusyError(f"{entry.ref} is being worked on: replay it again later")
        time.sleep(_POLL)


def configured(settings: Settings) -> list[str]:
    """The sinks that the settings switch on."""
    return [
        name
        for name, sink in zip(SINKS, (settings.logs, settings.webhook), strict=True)
        if sink is not None
    ]


def show_again(state: State, chosen: Sequence[Entry], sinks: Sequence[str]) -> None:
    """Write what would be sent of these logs."""
    write_table(_COLUMNS, [cells for entry in chosen for cells in _again(state, entry, sinks)])


def _again(state: State, entry: Entry, chosen: Sequence[str]) -> Iterator[list[str]]:
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
    place = [f"{log.path.hour:%Y-%m-%dT%H:00Z}", name, log.path.mac]
    for sink in sinks:
        again = cursors[sink].position.offset if sink in cursors else 0
        yield [*place, sink, str(again), str(counts[sink])]
    if not sinks:
        yield [*place, "none is set", "0", "0"]


def _filter(settings: Settings, sink: str) -> Filter:
    """What a sink takes: as set here, else as it is when nothing is set."""
    target = settings.logs if sink == "table" else settings.webhook
    return target.filter if target is not None else compile_terms("action=denied")


def _any(filters: Sequence[Filter]) -> Filter:
    decisions = frozenset[bool]().union(*(terms.decisions for terms in filters))
    return Filter("", decisions, lambda flow: any(terms.accepts(flow) for terms in filters))
