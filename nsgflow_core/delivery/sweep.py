"""The sweep: what events missed.

It runs the pipeline over checkpoints that are marked pending, and over blobs of recent hours
that are not as their checkpoint says: grown without an event, or without a checkpoint at all.
This hour and the one before are looked at every time; older ones of the window once an hour,
because listings cost money; an hour that somebody asked for until nothing is left in it.
What is owed to sinks that were well comes first, whatever its hour; the rest behind it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.storage.blob import ContainerClient

from nsgflow_core.delivery.checkpoint import Asked, Checkpoints
from nsgflow_core.delivery.owed import Owed, owed
from nsgflow_core.delivery.places import Places
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.swept import Place, SweepState, behind
from nsgflow_core.errors import RefusedError
from nsgflow_core.logs import listing
from nsgflow_core.logs.listing import ListedBlob
from nsgflow_core.logs.path import possible, resource_prefix
from nsgflow_core.logs.source import LogRefusedError
from nsgflow_core.logs.walk import Walk
from nsgflow_core.model import BlobRef

_HOUR = timedelta(hours=1)
_WORKERS = 8
_PAUSE_SECONDS = 5.0
"""How long a sink that failed and took something else in the same round is given."""
_MOST_LATER = 20_000
"""Blobs that are kept in mind for sinks that failed; what is more waits for the next sweep."""


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

    @property
    def this(self) -> datetime:
        """The hour that goes on."""
        return self.now.replace(minute=0, second=0, microsecond=0)

    @property
    def oldest(self) -> datetime:
        """Before this everything is forgotten."""
        return self.now - timedelta(days=self.state_days)


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

    The first sweep of an hour looks back over `sweep_hours`; one behind a stop over as much
    before the hour of the last sweep as it would have then: an app that was stopped catches up,
    and Azure writes to an hour a little longer than it lasts. The very first sweep has no past.
    """
    back = 1
    if state.completed is not None and state.completed < window.this:
        last = state.completed.replace(minute=0, second=0, microsecond=0)
        back = (window.this - last) // _HOUR + max(window.sweep_hours - 1, 1)
    return [window.this - age * _HOUR for age in range(min(back, window.state_days * 24) + 1)]


def sweep(
    account: Account,
    checkpoints: Checkpoints,
    run: Callable[[BlobRef], Report],
    window: Window,
    sinks: Mapping[str, Callable[[], bool]],
) -> Swept:
    """Sweep one account; what fails is in the result, and its hour is looked at again.

    `sinks` are those that `run` delivers to, and whether each would be asked now.

    Raises:
        TransientError, RefusedError: of the table of checkpoints.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        return _Sweep(account, checkpoints, run, window, sinks, pool).whole()


@dataclass(frozen=True, slots=True)
class _Task:
    """A blob to run, for the reason that is owed."""

    hour: datetime
    ref: BlobRef
    owed: Owed

    @property
    def place(self) -> Place:
        """The resource that it is of."""
        return self.ref.container, resource_prefix(self.ref.path)


class _Sweep:
    """One sweep of one account.

    `first` is the first hour that is listed at all places, and `vouched` the first that any sweep
    was. `unlisted` are the hours that must be
    listed again, `open` those with pending checkpoints.
    """

    def __init__(
        self,
        account: Account,
        checkpoints: Checkpoints,
        run: Callable[[BlobRef], Report],
        window: Window,
        sinks: Mapping[str, Callable[[], bool]],
        pool: Executor,
    ) -> None:
        self._account = account
        self._checkpoints = checkpoints
        self._run = run
        self._window = window
        self._sinks = sinks
        self._pool = pool
        away = checkpoints.away(account.connection)
        self._places = Places(away, window.now.timestamp())
        self._first = window.now
        self._vouched: datetime | None = None
        self._unlisted: set[datetime] = set()
        self._open: set[datetime] = set()
        self._walks: dict[Place, Walk] = {}
        self._far: frozenset[datetime] = frozenset()
        self._later: list[_Task] = []
        self._reports: list[Report] = []
        self._errors: list[BaseException] = []
        self._blobs = 0

    def whole(self) -> Swept:
        """Look at every hour, run what is owed, and tell the next sweep what is left."""
        window, name = self._window, self._account.connection
        state = self._checkpoints.read_sweep(name)
        asked = {at.hour: at for at in self._checkpoints.asked(name)}
        kept = {hour for hour in asked if hour > window.oldest and possible(hour, window.now)}
        listed = {*hours_to_list(state, window), *(at for at in kept if asked[at].listing)}
        self._first = min(listed)
        self._vouched = state.first if state.completed is not None else self._first
        roots = [(root, self._places.since(_place(*root))) for root in self._roots()]
        missed = self._missed(min((since for _, since in roots if since), default=None))
        hours = sorted({*listed, *kept, *missed}, reverse=True)
        # Younger ones may be written to at any moment: they are listed when it is their turn.
        near = window.this - max(window.sweep_hours, 2) * _HOUR
        self._far = frozenset(hour for hour in hours if hour < near)
        for hour in hours:
            if not window.out_of_time():
                at = [
                    (*r, hour) for r, since in roots if hour in listed or (since and since <= hour)
                ]
                self._look(hour, at)
            elif hour in listed:
                self._unlisted.add(hour)
            elif hour in kept:
                self._open.add(hour)
        self._catch_up()
        self._remember(asked)
        return Swept(len(hours), self._blobs, tuple(self._reports), tuple(self._errors))

    def _roots(self) -> list[tuple[ContainerClient, str]]:
        """The resources of the containers that can be looked at."""
        clients = [
            (client,)
            for client in self._account.containers
            if not self._places.closed(_place(client))
        ]
        roots: list[tuple[ContainerClient, str]] = []
        for (client,), found in self._gather(_resources, clients):
            if isinstance(found, BaseException):
                self._errors.append(found)
                refused = isinstance(found, RefusedError)
                self._places.failed(_place(client), self._first, refused=refused)
            else:
                roots += [(client, root) for root in found]
        return roots

    def _missed(self, since: datetime | None) -> list[datetime]:
        """The hours from one on that are kept."""
        if since is None:
            return []
        back = (self._window.this - max(since, self._window.oldest)) // _HOUR
        return [self._window.this - age * _HOUR for age in range(back + 1)]

    def _look(
        self, hour: datetime, places: Sequence[tuple[ContainerClient, str, datetime]]
    ) -> None:
        """Find out what is owed of an hour, and run what is owed to sinks that were well."""
        try:
            rows = {
                row.ref: row
                for row in self._checkpoints.in_hour(hour)
                if row.ref.account == self._account.name
            }
        except Exception as exc:  # noqa: BLE001 - told with the others; the other hours go on
            self._errors.append(exc)
            self._unlisted.add(hour)
            return
        found = self._list(hour, places)
        self._blobs += len(found)
        now = self._window.now.timestamp()
        tasks = [
            _Task(hour, ref, reason)
            for ref in sorted({*rows, *found}, key=str)
            if (reason := owed(rows.get(ref), found.get(ref), self._sinks, now))
        ]
        if any(task.owed.waits for task in tasks):
            self._open.add(hour)
        due = [task for task in tasks if not task.owed.waits]
        later = [task for task in due if task.owed.failures]
        later += self._run_all([task for task in due if not task.owed.failures])
        room = _MOST_LATER - len(self._later)
        self._later += later[:room]
        self._leave(later[room:])

    def _catch_up(self) -> None:
        """Run what is owed to sinks that failed, again while they take some of it."""
        tasks = sorted(self._later, key=_least_failing)
        while tasks and not self._window.out_of_time():
            before = len(self._reports)
            tasks = self._run_all(tasks)
            if not any(report.accepted for report in self._reports[before:]):
                break
            if tasks:
                time.sleep(_PAUSE_SECONDS)
        self._leave(tasks)

    def _list(
        self, hour: datetime, places: Sequence[tuple[ContainerClient, str, datetime]]
    ) -> dict[BlobRef, ListedBlob]:
        found: dict[BlobRef, ListedBlob] = {}
        open_places = [at for at in places if not self._places.closed(_place(*at[:2]))]
        for (client, root, _), blobs in self._gather(self._blobs_of, open_places):
            container = str(client.container_name)
            if isinstance(blobs, BaseException):
                self._errors.append(blobs)
                if isinstance(blobs, RefusedError):
                    self._places.failed((container, root), self._first, refused=True)
                else:
                    self._unlisted.add(hour)
                continue
            found |= {BlobRef(self._account.name, container, blob.path): blob for blob in blobs}
        return found

    def _blobs_of(self, client: ContainerClient, root: str, hour: datetime) -> list[ListedBlob]:
        """The flow logs of a resource and hour; behind a long stop found by what exists."""
        if hour not in self._far:
            return listing.hour_blobs(client, root, hour)
        place = _place(client, root)
        if place not in self._walks:
            self._walks[place] = Walk(client, root, self._far)
        return self._walks[place].hour(hour)

    def _run_all(self, tasks: Sequence[_Task]) -> list[_Task]:
        """Run blobs side by side; those that there was no use in running."""
        useless: list[_Task] = []
        tries = [(self._run, task.ref, partial(self._useless, task)) for task in tasks]
        for task, (_, done) in zip(tasks, self._gather(_run_in_time, tries), strict=True):
            if done is None:
                useless.append(task)
            elif isinstance(done, Report):
                self._reports.append(done)
                if done.unfinished or done.marked:
                    self._open.add(task.hour)
            else:
                self._errors.append(done)
                if isinstance(done, LogRefusedError):
                    self._places.failed(task.place, self._first, refused=True)
                self._leave([task])
        return useless

    def _useless(self, task: _Task) -> bool:
        """Whether a run would get nowhere now: no time, no reading, or no sink to deliver to."""
        wanted = [self._sinks[name] for name in task.owed.sinks if name in self._sinks]
        return (
            self._window.out_of_time()
            or self._places.closed(task.place)
            or (bool(wanted) and not any(would_be_asked() for would_be_asked in wanted))
        )

    def _leave(self, tasks: Sequence[_Task]) -> None:
        """Leave blobs to a later sweep, which knows of them by a mark, a place or a listing."""
        for task in tasks:
            if task.owed.marked:
                self._open.add(task.hour)
            elif not self._places.closed(task.place):
                self._unlisted.add(task.hour)

    def _remember(self, asked: dict[datetime, Asked]) -> None:
        """Tell the next sweep what is left: first what it must do, then what it need not."""
        table, name, window = self._checkpoints, self._account.connection, self._window
        complete = not window.out_of_time()
        unlisted = {hour for hour in self._unlisted if hour > window.oldest}
        still_open = {hour for hour in self._open if hour > window.oldest} - unlisted
        table.ask_sweep(name, unlisted)
        for hour in sorted(still_open - set(asked)):
            table.keep_open(name, hour)
        for away, still in self._places.changes(self._first, complete=complete):
            (table.put_away if still else table.back)(name, away)
        places = self._places.left(complete=complete)
        table.write_sweep(name, behind(window.now, unlisted, places, self._vouched))
        for hour in sorted(set(asked) - unlisted):
            table.answered(name, asked[hour], still_open=hour in still_open)

    def _gather(
        self, call: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> list[tuple[tuple[Any, ...], Any]]:
        """Calls made side by side, each with what it returned or raised."""
        futures = [self._pool.submit(call, *each) for each in arguments]
        return [
            (each, future.exception() or future.result())
            for each, future in zip(arguments, futures, strict=True)
        ]


def _place(client: ContainerClient, root: str = "") -> Place:
    return str(client.container_name), root


def _least_failing(task: _Task) -> tuple[int, float, str]:
    """What failed least first, so that what always fails keeps nothing else waiting."""
    return task.owed.failures, -task.hour.timestamp(), str(task.ref)


def _resources(container: ContainerClient) -> list[str]:
    return list(listing.resources(container))


def _run_in_time(
    run: Callable[[BlobRef], Report], ref: BlobRef, useless: Callable[[], bool]
) -> Report | None:
    return None if useless() else run(ref)
