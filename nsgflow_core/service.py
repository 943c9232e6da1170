"""The parts of the function put together once per process, from the settings."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nsgflow_core.config import Settings
from nsgflow_core.delivery.checkpoint import Checkpoints
from nsgflow_core.delivery.dead_letters import DeadLetters
from nsgflow_core.delivery.drain import Drain
from nsgflow_core.delivery.ledgers import Ledgers
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.pipeline import Pipeline
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.sweep import Account, Window, sweep
from nsgflow_core.digests.hours import watch_from
from nsgflow_core.errors import BadInputError, NsgflowError, TransientError
from nsgflow_core.estate.arm import CLOUDS, Cloud
from nsgflow_core.estate.knowledge import Knowing
from nsgflow_core.estate.library import Library, Sources
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.events import Announced, read_message
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path, written_by
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks.lane import THREADS, Lane
from nsgflow_core.sinks.sink import Sink
from nsgflow_core.storage import blob_service, credential, table
from nsgflow_core.telemetry import Telemetry

if TYPE_CHECKING:
    from nsgflow_core.digests.digest import Changed, Digests

DEADLINE_SECONDS = 8 * 60.0
"""An invocation commits and returns after this; host.json lets it run for ten minutes."""

_LEAD_SECONDS = 10 * 60.0
"""An hour counts as old so long before the sweep's own last look at it: clocks differ."""

_SWEEP_SECONDS = 5 * 60.0
EVENT_SECONDS = 30.0
"""An event's run hands its blob over after this, and a delivery under way may take 28 s more."""

EVENT_BYTES = 256 * 1024
"""An event's run hands over at once what has more new bytes: it would hold back other events."""

SLICE_SECONDS = 20.0
"""How long a backlog is drained before others have their turn."""

_WATCH_SECONDS = 2 * DEADLINE_SECONDS
_KNOWLEDGE_SECONDS = 10.0
"""How long a delivery whose filters ask for knowledge waits for its first load."""


class Service:
    """Delivers blobs and sweeps, with clients that live as long as the process."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float] = time.time,
        cloud: Cloud | None = None,
    ) -> None:
        """Make the clients; `cloud` stands in for the one that the settings name."""
        self._settings = settings
        self._now = now
        self._watched: dict[datetime, float] = {}
        services = {name: blob_service(at) for name, at in settings.connections.items()}
        self._accounts = {name: at.account for name, at in settings.connections.items()}
        self._connections = {account: name for name, account in self._accounts.items()}
        self._services = services
        host = blob_service(settings.host_storage)
        rows = table(settings.host_storage, settings.state_table)
        self._checkpoints = Checkpoints(rows)
        self._telemetry = Telemetry()
        self._ledgers = {
            webhook.name: Ledgers(rows, webhook.name, settings.connections)
            for webhook in settings.webhooks
            if webhook.digest_schedule
        }
        state = host.get_container_client(settings.state_container)
        sources = Sources(
            settings.service_tags, settings.inventory, cloud or CLOUDS[settings.cloud]
        )
        self._library = Library(state, sources, self._telemetry.warn, now)
        self._digests: dict[str, Digests] = {}
        if self._ledgers:
            from nsgflow_core.delivery.telling import digests_of  # noqa: PLC0415 - only they pay

            known = self._library.current
            changed = _history(settings, sources.cloud, known, self._telemetry.warn)
            self._digests = digests_of(settings, self._ledgers, state, now, known, changed)
        sinks = _sinks(settings, self._library.current)
        lanes = _lanes(sinks, now)
        self._well = {lane.name: lane.breaker.closed for lane in lanes}
        self._patience = _KNOWLEDGE_SECONDS * any(at.filter.asks_knowledge for at in sinks)
        self._drain = Drain(self._slice, _beside)
        self._pipeline = Pipeline(
            Parts(
                FlowLogs({self._accounts[name]: at for name, at in services.items()}),
                self._checkpoints,
                DeadLetters(state),
                lanes,
                now,
                self._library.current,
            )
        )
        if settings.unknown:
            self._telemetry.warn(f"unknown settings: {', '.join(settings.unknown)}")
        if settings.logs is None and not settings.webhooks:
            self._telemetry.warn("neither the table nor a webhook is set: nothing is delivered")

    def receive(self, body: bytes, *, again: bool = False) -> None:
        """Deliver what the events in a message of the queue announce.

        What is no event of a flow log of ours is told and done with: trying it again would change
        nothing. One that comes `again` looks at its blob whatever it announces: who took it first
        may have died before the last listing, on which those rely who found the blob claimed.

        Raises:
            NsgflowError: as `deliver`; the other events of the message were seen to.
        """
        message = read_message(body)
        problems = list(message.problems)
        errors: list[NsgflowError] = []
        for event in message.events:
            connection = self._connection(event.accounts)
            if not connection:
                names = " or ".join(event.accounts) or "unknown"
                problems.append(f"an event of the account {names}, which is no connection")
                continue
            try:
                announced = None if again else event.announced
                self.deliver(connection, event.container, event.path, announced)
            except NsgflowError as exc:
                errors.append(exc)
        if problems:
            self._telemetry.foreign(problems)
        if errors:
            raise errors[0]

    def _connection(self, accounts: Sequence[str]) -> str:
        """The connection whose account is called by one of these names; "" where none is."""
        return next((self._connections[name] for name in accounts if name in self._connections), "")

    def deliver(
        self, connection: str, container: str, path: str, announced: Announced | None = None
    ) -> Report:
        """Deliver what is new in a blob that an event named, or `announced` as it was then.

        Raises:
            NsgflowError: a sink or the storage failed; what others accepted is committed.
        """
        ref = BlobRef(self._accounts[connection], container, path)
        self._tell_drained()
        self._wait_for_knowledge()
        now = self._now()
        try:
            hour = written_by(datetime.fromtimestamp(now, UTC), path).hour
        except BadInputError as exc:
            # Some other blob in the container: trying it again would change nothing.
            self._telemetry.warn(str(exc))
            return Report(ref)
        try:
            # Before anything else: from then on it is not lost, whatever becomes of this event.
            self._ask_for(connection, hour)
            report = self._run(ref, hour, now + EVENT_SECONDS, announced, EVENT_BYTES, fresh=False)
        except NsgflowError as exc:
            self._telemetry.failed(ref, exc)
            with suppress(NsgflowError):  # it was asked already, of what was there then
                self._ask_for(connection, hour)
            raise
        self._telemetry.report(report)
        self._library.check()
        if report.more:
            self._drain.add(ref)
        if report.unfinished or report.marked:
            self._ask_for(connection, hour)
        if error := report.error():
            raise error
        return report

    def _wait_for_knowledge(self) -> None:
        """Wait for the first load where a filter depends on it: what it lets go is gone.

        Rows can do without, so that nobody else waits.
        """
        if self._patience:
            self._library.wait(self._patience)

    def _ask_for(self, connection: str, hour: datetime) -> None:
        """Let the sweep look at an hour that it would not look at by itself any more.

        Nobody reads first whether it was asked already: a sweep may be under way that has looked.
        """
        soon = datetime.fromtimestamp(self._now() + _LEAD_SECONDS, UTC)
        if hour < soon.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1):
            self._checkpoints.ask_sweep(connection, [hour])

    def _run(
        self,
        ref: BlobRef,
        hour: datetime,
        deadline: float,
        announced: Announced | None = None,
        most: int | None = None,
        *,
        fresh: bool = True,
    ) -> Report:
        if self._ledgers:
            self._watch(hour)
        return self._pipeline.run(ref, deadline, announced, most, fresh=fresh)

    def _slice(self, ref: BlobRef) -> Report:
        """Go on with a backlog for a while, beside the events."""
        hour = parse_path(ref.path).hour
        return self._run(ref, hour, self._now() + SLICE_SECONDS)

    def _tell_drained(self) -> None:
        """Log what was drained: the host files lines by the thread of an invocation."""
        for done in self._drain.told():
            if done.report is not None:
                self._telemetry.report(done.report)
            elif isinstance(done.error, NsgflowError):
                self._telemetry.failed(done.ref, done.error)
            else:
                self._telemetry.warn(f"draining {done.ref} broke: {done.error!r}")

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is delivered beside the events; False when the time was over first."""
        return self._drain.wait(seconds)

    def stop(self, seconds: float) -> None:
        """Let what is delivered beside the events commit, waiting so long at most."""
        self._drain.stop(seconds)
        self._tell_drained()

    def _watch(self, hour: datetime) -> None:
        """Let digests look at an hour that is over, before more is counted in it."""
        now = self._now()
        if hour >= watch_from(now) or self._watched.get(hour, 0.0) > now:
            return
        # Longer than the mark is trusted here and an invocation lasts: no count escapes it.
        for ledgers in self._ledgers.values():
            ledgers.watch(hour, now + 2 * _WATCH_SECONDS)
        self._watched = {at: until for at, until in self._watched.items() if until > now}
        self._watched[hour] = now + _WATCH_SECONDS

    def digest(self, sink: str) -> None:
        """Post the digest of a webhook that takes them, if one is due.

        Raises:
            NsgflowError: it was not accepted, or the storage failed; it will be tried again.
        """
        report = self._digests[sink].run()
        self._telemetry.digest(sink, report)
        if report.denied:  # what the rules say of it by now may be its end
            self._library.check()
        if report.error is not None:
            raise report.error

    def sweep(self) -> None:
        """Deliver what events missed, in all connections.

        Raises:
            NsgflowError: something failed; everything else was looked at all the same.
        """
        self._tell_drained()
        self._wait_for_knowledge()
        deadline = self._now() + DEADLINE_SECONDS
        now = datetime.fromtimestamp(self._now(), UTC)
        window = Window(
            now,
            self._settings.sweep_hours,
            self._settings.state_days,
            lambda: self._now() >= deadline,
        )
        errors: list[BaseException] = []
        for connection in self._in_turn():
            errors += self._sweep_one(connection, window, deadline)
        for sink in self._digests:
            errors += self._tried(f"the digest of {sink}", lambda sink=sink: self.digest(sink))  # type: ignore[misc]
        for made in self._library.refresh(deadline - self._now()):
            self._telemetry.made(made)
        self._library.check()
        if now.minute < 5:  # noqa: PLR2004 - once an hour, in the timer's first run of it
            oldest = now - timedelta(days=self._settings.state_days)
            errors += self._tried(
                "deleting old checkpoints",
                lambda: self._checkpoints.delete_before(oldest, window.out_of_time),
            )
        if errors:
            message = f"the sweep failed {len(errors)} times, first: {errors[0]}"
            raise TransientError(message) from errors[0]

    def _in_turn(self) -> list[str]:
        """The connections, each time another one first: a long one must not starve the others."""
        names = list(self._accounts)
        first = int(self._now() / _SWEEP_SECONDS) % len(names)
        return names[first:] + names[:first]

    def _sweep_one(
        self, connection: str, window: Window, deadline: float
    ) -> Sequence[BaseException]:
        """Sweep the account of a connection; what failed, and kept nobody else from their turn."""
        containers = [
            self._services[connection].get_container_client(name)
            for name in (NSG_CONTAINER, VNET_CONTAINER)
        ]

        def run(ref: BlobRef) -> Report:
            return self._run(ref, parse_path(ref.path).hour, deadline)

        try:
            swept = sweep(
                Account(connection, self._accounts[connection], containers),
                self._checkpoints,
                run,
                window,
                self._well,
            )
        except Exception as exc:  # noqa: BLE001 - raised behind the others
            self._telemetry.warn(f"the sweep of {connection} failed: {exc}")
            return [exc]
        # Logged here because the host files lines by the thread of the invocation.
        for report in swept.reports:
            self._telemetry.report(report)
            if report.more:
                self._drain.add(report.ref)
        failed = [error for report in swept.reports if (error := report.error())]
        self._telemetry.sweep(
            connection=connection,
            hours=swept.hours,
            blobs=swept.blobs,
            run=len(swept.reports),
            errors=len(swept.errors) + len(failed),
            unreached=len(swept.errors),
            firstError=str(swept.errors[0]) if swept.errors else "",
        )
        return [*swept.errors, *failed]

    def _tried(self, what: str, call: Callable[[], object]) -> Sequence[BaseException]:
        """What a call raised: it is told, and keeps nothing else from being done."""
        try:
            call()
        except Exception as exc:  # noqa: BLE001 - raised behind the others
            self._telemetry.warn(f"{what} failed: {exc}")
            return [exc]
        return []


def _history(
    settings: Settings, cloud: Cloud, knowledge: Knowing, warn: Callable[[str], None]
) -> "Changed":
    """What digests ask of what changed: nothing, unless the settings say so."""
    if not settings.changes:
        return lambda _begun, _groups: {}
    from nsgflow_core.delivery.history import history  # noqa: PLC0415 - only they pay

    return history(cloud, knowledge, warn, who=settings.changes.endswith("names"))


def _sinks(settings: Settings, knowledge: Knowing) -> Sequence[Sink]:
    # Imported here because only deployments that use a sink should pay for its client.
    sinks: list[Sink] = []
    if settings.logs is not None:
        from nsgflow_core.sinks.log_analytics import LogAnalyticsSink  # noqa: PLC0415

        sinks.append(LogAnalyticsSink(settings.logs, credential(), knowledge))
    for webhook in settings.webhooks:
        if webhook.digest_schedule:
            from nsgflow_core.sinks.digest import DigestSink  # noqa: PLC0415

            sinks.append(DigestSink(webhook, knowledge))
        else:
            from nsgflow_core.sinks.webhook import WebhookSink  # noqa: PLC0415

            sinks.append(WebhookSink(webhook))
    return sinks


def _beside(work: Callable[[], None]) -> None:
    """Begin a thread that does not keep the process alive: its death is one like any other."""
    threading.Thread(target=work, name="drain", daemon=True).start()


def _lanes(sinks: Sequence[Sink], now: Callable[[], float]) -> list[Lane]:
    """Each sink with threads of its own, so that one that hangs holds nobody else's."""
    return [
        Lane(each, ThreadPoolExecutor(THREADS, thread_name_prefix=each.name), now) for each in sinks
    ]
