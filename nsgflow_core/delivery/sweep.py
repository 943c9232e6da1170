"""The sweep: what events missed.

It runs the pipeline over checkpoints that are marked pending, and over blobs of recent hours
that are not as their checkpoint says: grown without an event, or without a checkpoint at all.
This hour and the one before are looked at every time; older ones of the window once an hour,
because listings cost money; an hour with work pending until it has none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, TypeVar

from azure.storage.blob import ContainerClient

from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints, SweepState
from nsgflow_core.delivery.report import Report
from nsgflow_core.logs import listing
from nsgflow_core.logs.listing import ListedBlob
from nsgflow_core.model import BlobRef

Item = TypeVar("Item")

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
    """What one sweep of one account did: hours looked at, blobs listed, runs made.

    `errors` has what was raised, by a listing or a run; a sink's error is in its run's report.
    """

    hours: int
    blobs: int
    reports: tuple[Report, ...]
    errors: tuple[BaseException, ...]


def hours_to_list(state: SweepState, window: Window) -> list[datetime]:
    """The hours whose blobs this sweep lists, the newest first.

    The window is `sweep_hours`, or the time since the last sweep when that is longer:
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
    """Sweep one account; what fails is in the result, and its hour is looked at again.

    Raises:
        TransientError, RefusedError: of the table of checkpoints.
    """
    state = checkpoints.read_sweep(account.connection)
    listed = [*hours_to_list(state, window), *state.unlisted]
    hours = sorted({*listed, *state.open_hours, *state.asked.values()}, reverse=True)
    oldest = window.now - timedelta(days=window.state_days)
    unlisted: set[datetime] = set()
    still_open: set[datetime] = set()
    reports: list[Report] = []
    blobs = 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        containers = [(container,) for container in account.containers]
        roots, errors = _gather(pool, _resources, containers)
        if errors:
            unlisted.update(listed)
        for hour in hours:
            if window.out_of_time():
                (unlisted if hour in listed else still_open).add(hour)
                continue
            known = {
                checkpoint.ref: checkpoint
                for checkpoint in checkpoints.in_hour(hour)
                if checkpoint.ref.account == account.name
            }
            places = [(account.name, *root, hour) for root in roots if hour in listed]
            found, failed = _gather(pool, _hour_blobs, places)
            todo = {ref for ref, checkpoint in known.items() if checkpoint.pending}
            todo.update(_changed(found, known))
            tries = [(run, ref, window.out_of_time) for ref in sorted(todo, key=str)]
            done, broken = _gather(pool, _run_in_time, tries)
            # A run that never got as far as its checkpoint has left no mark there: list again.
            if failed or broken or len(done) < len(todo):
                unlisted.add(hour)
            if any(report.unfinished for report in done):
                still_open.add(hour)
            blobs += len(found)
            reports += done
            errors += failed + broken

    def written(latest: SweepState) -> SweepState:
        asked = {name: hour for name, hour in latest.asked.items() if name not in state.asked}
        # An hour may have been opened by others in the meantime, perhaps once more: it is closed
        # only if nothing in it is marked now. Who marks and opens later makes this write fail.
        doubtful = {hour for hour in latest.open_hours if hour > oldest} - still_open
        reopened = {
            hour
            for hour in doubtful
            if hour not in state.open_hours or _has_pending(checkpoints, account, hour)
        }
        missed = set(latest.unlisted) - set(state.unlisted)  # by a sweep at the same time
        return SweepState(
            window.now,
            tuple(sorted(hour for hour in still_open | reopened if hour > oldest)),
            tuple(sorted(hour for hour in unlisted | missed if hour > oldest)),
            asked,
        )

    checkpoints.update_sweep(account.connection, written)
    return Swept(len(hours), blobs, tuple(reports), tuple(errors))


def _has_pending(checkpoints: Checkpoints, account: Account, hour: datetime) -> bool:
    return any(
        checkpoint.pending and checkpoint.ref.account == account.name
        for checkpoint in checkpoints.in_hour(hour)
    )


def _gather(
    pool: Executor, call: Callable[..., list[Item]], arguments: Sequence[tuple[Any, ...]]
) -> tuple[list[Item], list[BaseException]]:
    """The results of calls made side by side, and what was raised; one does not end the others."""
    futures = [pool.submit(call, *each) for each in arguments]
    results: list[Item] = []
    errors: list[BaseException] = []
    for future in futures:
        if error := future.exception():
            errors.append(error)
        else:
            results += future.result()
    return results, errors


def _resources(container: ContainerClient) -> list[tuple[ContainerClient, str]]:
    return [(container, resource) for resource in listing.resources(container)]


def _hour_blobs(
    account: str, container: ContainerClient, resource: str, hour: datetime
) -> list[tuple[BlobRef, ListedBlob]]:
    return [
        (BlobRef(account, str(container.container_name), blob.path), blob)
        for blob in listing.hour_blobs(container, resource, hour)
    ]


def _run_in_time(
    run: Callable[[BlobRef], Report], ref: BlobRef, out_of_time: Callable[[], bool]
) -> list[Report]:
    return [] if out_of_time() else [run(ref)]


def _changed(
    found: Iterable[tuple[BlobRef, ListedBlob]], known: Mapping[BlobRef, Checkpoint]
) -> Iterator[BlobRef]:
    """Blobs that are not as each of their cursors last saw them."""
    for ref, blob in found:
        checkpoint = known.get(ref)
        cursors = checkpoint.cursors.values() if checkpoint else ()
        if not cursors or any((at.seen, at.etag) != (blob.size, blob.etag) for at in cursors):
            yield ref
