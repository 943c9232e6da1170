"""The sweep: what events missed.

It runs the pipeline over checkpoints that are marked pending, and over blobs of recent hours
that are not as their checkpoint says: grown without an event, or without a checkpoint at all.
This hour and the one before are looked at every time; older ones of the window once an hour,
because listings cost money; an hour with work pending until it has none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from azure.storage.blob import ContainerClient

from nsgflow_core import listing
from nsgflow_core.checkpoint import Checkpoint, Checkpoints, SweepState
from nsgflow_core.errors import NsgflowError
from nsgflow_core.listing import ListedBlob
from nsgflow_core.model import BlobRef
from nsgflow_core.pipeline import Report

_HOUR = timedelta(hours=1)
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Account:
    """A flow-log account as a sweep sees it: its connection's name, its own, its containers."""

    connection: str
    name: str
    containers: Sequence[ContainerClient]


@dataclass(frozen=True, slots=True)
class Window:
    """How far a sweep looks: `now` in UTC, the settings, and whether its time has run out."""

    now: datetime
    sweep_hours: int
    state_days: int
    out_of_time: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep of one account did; `errors` says what failed."""

    hours: int
    blobs: int
    run: int
    completed: bool
    errors: tuple[NsgflowError, ...]


def hours_to_list(state: SweepState, window: Window) -> list[datetime]:
    """The hours whose blobs this sweep lists, the newest first.

    The window is `sweep_hours`, or the time since the last completed sweep when that is longer:
    an app that was stopped catches up. The very first sweep has no past to look at.
    """
    this = window.now.replace(minute=0, second=0, microsecond=0)
    back = 1
    if state.completed is not None and state.completed < this:
        back = max(window.sweep_hours, ceil((this - state.completed) / _HOUR))
    return [this - age * _HOUR for age in range(min(back, window.state_days * 24) + 1)]


def sweep(
    account: Account,
    checkpoints: Checkpoints,
    run: Callable[[BlobRef], Report],
    window: Window,
) -> Swept:
    """Sweep one account.

    Raises:
        TransientError, RefusedError: it could not be listed; what was found has been run.
    """
    state = checkpoints.read_sweep(account.connection)
    listed = hours_to_list(state, window)
    oldest = window.now - timedelta(days=window.state_days)
    hours = [*listed, *(hour for hour in state.open_hours if oldest < hour and hour not in listed)]
    roots = [(at, root) for at in account.containers for root in listing.resources(at)]
    still_open: list[datetime] = []
    errors: list[NsgflowError] = []
    blobs = runs = 0
    completed = True
    with ThreadPoolExecutor(_WORKERS) as pool:
        for hour in hours:
            if window.out_of_time():
                completed = False
                still_open.append(hour)
                continue
            known = {
                checkpoint.ref: checkpoint
                for checkpoint in checkpoints.in_hour(hour)
                if checkpoint.ref.account == account.name
            }
            found = _list_hour(pool, account.name, roots if hour in listed else [], hour)
            blobs += len(found)
            todo = {ref for ref, checkpoint in known.items() if checkpoint.pending}
            todo.update(_changed(found, known))
            outcomes = list(pool.map(lambda ref: _try(run, ref), sorted(todo, key=str)))
            runs += len(outcomes)
            failed = [outcome for outcome in outcomes if isinstance(outcome, NsgflowError)]
            errors += failed
            if failed or any(isinstance(at, Report) and at.unfinished for at in outcomes):
                still_open.append(hour)
    state = SweepState(window.now if completed else state.completed, tuple(still_open))
    checkpoints.write_sweep(account.connection, state)
    return Swept(len(hours), blobs, runs, completed, tuple(errors))


def _list_hour(
    pool: Executor, account: str, roots: Sequence[tuple[ContainerClient, str]], hour: datetime
) -> dict[BlobRef, ListedBlob]:
    """The flow logs of an hour, by what names them."""

    def of_resource(at: tuple[ContainerClient, str]) -> list[tuple[BlobRef, ListedBlob]]:
        container, resource = at
        return [
            (BlobRef(account, str(container.container_name), blob.path), blob)
            for blob in listing.hour_blobs(container, resource, hour)
        ]

    return {ref: blob for listed in pool.map(of_resource, roots) for ref, blob in listed}


def _changed(
    found: Mapping[BlobRef, ListedBlob], known: Mapping[BlobRef, Checkpoint]
) -> Iterator[BlobRef]:
    """Blobs that are not as each of their cursors last saw them."""
    for ref, blob in found.items():
        checkpoint = known.get(ref)
        cursors = checkpoint.cursors.values() if checkpoint else ()
        if not cursors or any((at.seen, at.etag) != (blob.size, blob.etag) for at in cursors):
            yield ref


def _try(run: Callable[[BlobRef], Report], ref: BlobRef) -> Report | NsgflowError:
    try:
        report = run(ref)
    except NsgflowError as exc:
        return exc
    return report.error() or report
