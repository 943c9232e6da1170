"""The parts of the function put together once per process, from the settings."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from azure.storage.blob import BlobServiceClient

from nsgflow_core.config import Settings
from nsgflow_core.delivery.checkpoint import Checkpoints
from nsgflow_core.delivery.dead_letters import DeadLetters
from nsgflow_core.delivery.drain import Drain
from nsgflow_core.delivery.pipeline import Parts, Pipeline
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.sweep import Account, Window, sweep
from nsgflow_core.digests import portal
from nsgflow_core.digests.digest import Digests, Ledgers, watch_from
from nsgflow_core.errors import BadInputError, NsgflowError, TransientError
from nsgflow_core.estate.arm import CLOUDS, Cloud
from nsgflow_core.estate.knowledge import Knowing
from nsgflow_core.estate.library import Library, Sources
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.events import Announced, read_message
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks.lane import THREADS, Lane
from nsgflow_core.sinks.sink import Sink
from nsgflow_core.storage import blob_service, credential, table
from nsgflow_core.telemetry import Telemetry

DEADLINE_SECONDS = 8 * 60.0
"""An invocation commits and returns after this; host.json lets it run for ten minutes."""

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
        self._accounts = {name: str(at.account_name) for name, at in services.items()}
        self._connections = {account.lower(): name for name, account in self._accounts.items()}
        self._services = services
        host = blob_service(settings.host_storage)
        self._checkpoints = Checkpoints(table(settings.host_storage, settings.state_table))
        self._telemetry = Telemetry()
        self._digests = _digests(settings, self._checkpoints, host, now)
        state = host.get_container_client(settings.state_container)
        sources = Sources(
            settings.service_tags, settings.inventory, cloud or CLOUDS[settings.cloud]
        )
        self._library = Library(state, sources, self._telemetry.warn, now)
        sinks = _sinks(settings, self._library.current)
        self._patience = _KNOWLEDGE_SECONDS * any(at.filter.asks_knowledge for at in sinks)
        self._drain = Drain(self._slice, _beside)
        self._pipeline = Pipeline(
            Parts(
                FlowLogs({self._accounts[name]: at for name, at in services.items()}),
                self._checkpoints,
                DeadLetters(state),
                _lanes(sinks, now),
                now,
                self._library.current,
            )
        )
        if settings.unknown:
            self._telemetry.warn(f"unknown settings: {', '.join(settings.unknown)}")
        if settings.logs is None and settings.webhook is None:
            self._telemetry.warn("neither the table nor the webhook is set: nothing is delivered")

    def receive(self, body: bytes) -> None:
        """Deliver what the events in a message of the queue announce.

        What is no event of a flow log of ours is told and done with: trying it again would change
        nothing.

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
                self.deliver(connection, event.container, event.path, event.announced)
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
            report = self._run(ref, now + EVENT_SECONDS, announced, EVENT_BYTES)
        except BadInputError as exc:
            # Some other blob in the container: trying it again would change nothing.
            self._telemetry.warn(str(exc))
            return Report(ref)
        except NsgflowError as exc:
            self._telemetry.failed(ref, exc)
            # It may have left a claim behind, which the next try would take for somebody's work.
            self._keep_open(connection, path, now)
            raise
        self._telemetry.report(report)
        self._library.check()
        if report.more:
            self._drain.add(ref)
        if report.unfinished:
            self._keep_open(connection, path, now, busy=report.busy)
        if error := report.error():
            raise error
        return report

    def _wait_for_knowledge(self) -> None:
        """Wait for the first load where a filter depends on it: what it lets go is gone.

        Rows can do without, so that nobody else waits.
        """
        if self._patience:
            self._library.wait(self._patience)

    def _keep_open(self, connection: str, path: str, now: float, *, busy: bool = False) -> None:
        """Let the sweep look at an hour that it would not look at by itself any more."""
        hour = parse_path(path).hour
        if hour >= datetime.fromtimestamp(now, UTC) - timedelta(hours=2):
            return
        if busy:  # sixty events may find one blob so: they need not all write the same
            state = self._checkpoints.read_sweep(connection)
            if hour in state.open_hours or hour in state.asked.values():
                return
        self._checkpoints.ask_sweep(connection, [hour])

    def _run(
        self,
        ref: BlobRef,
        deadline: float,
        announced: Announced | None = None,
        most: int | None = None,
    ) -> Report:
        if self._digests is not None:
            self._watch(parse_path(ref.path).hour)
        return self._pipeline.run(ref, deadline, announced, most)

    def _slice(self, ref: BlobRef) -> Report:
        """Go on with a backlog for a while, beside the events."""
        return self._run(ref, self._now() + SLICE_SECONDS)

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
        self._checkpoints.watch(hour, now + 2 * _WATCH_SECONDS)
        self._watched = {at: until for at, until in self._watched.items() if until > now}
        self._watched[hour] = now + _WATCH_SECONDS

    def digest(self) -> None:
        """Post the digest that is due, if the webhook takes digests and one is due.

        Raises:
            NsgflowError: it was not accepted, or the storage failed; it will be tried again.
        """
        if self._digests is None:
            return
        report = self._digests.run()
        self._telemetry.digest(report)
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
        for connection, account in self._accounts.items():
            containers = [
                self._services[connection].get_container_client(name)
                for name in (NSG_CONTAINER, VNET_CONTAINER)
            ]
            try:
                swept = sweep(
                    Account(connection, account, containers),
                    self._checkpoints,
                    lambda ref: self._run(ref, deadline),
                    window,
                )
            except NsgflowError as exc:
                self._telemetry.warn(f"the sweep of {connection} failed: {exc}")
                errors.append(exc)
                continue
            # Logged here because the host files lines by the thread of the invocation.
            for report in swept.reports:
                self._telemetry.report(report)
                if report.more:
                    self._drain.add(report.ref)
            failed = [error for report in swept.reports if (error := report.error())]
            errors += [*swept.errors, *failed]
            self._telemetry.sweep(
                connection=connection,
                hours=swept.hours,
                blobs=swept.blobs,
                run=len(swept.reports),
                errors=len(swept.errors) + len(failed),
                unreached=len(swept.errors),
                firstError=str(swept.errors[0]) if swept.errors else "",
            )
        if now.minute < 5:  # noqa: PLR2004 - once an hour, in the timer's first run of it
            self._checkpoints.delete_before(now - timedelta(days=self._settings.state_days))
        try:
            self.digest()
        except NsgflowError as exc:
            errors.append(exc)
        for made in self._library.refresh(deadline - self._now()):
            self._telemetry.made(made)
        self._library.check()
        if errors:
            message = f"the sweep failed {len(errors)} times, first: {errors[0]}"
            raise TransientError(message) from errors[0]


def _sinks(settings: Settings, knowledge: Knowing) -> Sequence[Sink]:
    # Imported here because only deployments that use a sink should pay for its client.
    sinks: list[Sink] = []
    if settings.logs is not None:
        from nsgflow_core.sinks.log_analytics import LogAnalyticsSink  # noqa: PLC0415

        sinks.append(LogAnalyticsSink(settings.logs, credential(), knowledge))
    if settings.webhook is not None:
        from nsgflow_core.sinks.digest import DigestSink  # noqa: PLC0415
        from nsgflow_core.sinks.webhook import WebhookSink  # noqa: PLC0415

        if settings.webhook.digest_schedule:
            sinks.append(DigestSink(settings.webhook, knowledge))
        else:
            sinks.append(WebhookSink(settings.webhook))
    return sinks


def _beside(work: Callable[[], None]) -> None:
    """Begin a thread that does not keep the process alive: its death is one like any other."""
    threading.Thread(target=work, name="drain", daemon=True).start()


def _lanes(sinks: Sequence[Sink], now: Callable[[], float]) -> list[Lane]:
    """Each sink with threads of its own, so that one that hangs holds nobody else's."""
    return [
        Lane(each, ThreadPoolExecutor(THREADS, thread_name_prefix=each.name), now) for each in sinks
    ]


def _digests(
    settings: Settings, ledgers: Ledgers, host: BlobServiceClient, now: Callable[[], float]
) -> Digests | None:
    webhook = settings.webhook
    if webhook is None or not webhook.digest_schedule:
        return None
    from nsgflow_core.digests.state import DigestState  # noqa: PLC0415
    from nsgflow_core.sinks.digest import Poster  # noqa: PLC0415

    host_url = portal.portal(settings.logs.endpoint if settings.logs else "")
    table_name = (settings.logs.stream if settings.logs else "NSGFlow_CL").removeprefix("Custom-")
    return Digests(
        DigestState(host.get_container_client(settings.state_container)),
        ledgers,
        Poster(
            webhook, lambda digest: portal.link(digest, settings.workspace_id, table_name, host_url)
        ),
        webhook.interval_seconds,
        webhook.repeat_minutes * 60,
        settings.state_days,
        now,
    )
