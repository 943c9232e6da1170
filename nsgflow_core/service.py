"""The parts of the function put together once per process, from the settings."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from nsgflow_core import blob_path
from nsgflow_core.arm import CLOUDS, Cloud
from nsgflow_core.blocks import FlowLogs
from nsgflow_core.checkpoint import Checkpoints, SweepState
from nsgflow_core.config import Settings
from nsgflow_core.dead_letters import DeadLetters
from nsgflow_core.errors import BadInputError, NsgflowError, TransientError
from nsgflow_core.knowledge import Knowing
from nsgflow_core.library import Library, Sources
from nsgflow_core.model import BlobRef
from nsgflow_core.pipeline import Parts, Pipeline, Report
from nsgflow_core.sinks import Sink
from nsgflow_core.storage import blob_service, credential, table
from nsgflow_core.sweep import Account, Window, sweep
from nsgflow_core.telemetry import Telemetry

DEADLINE_SECONDS = 8 * 60.0
"""An invocation commits and returns after this; host.json lets it run for ten minutes."""

_KNOWLEDGE_SECONDS = 10.0
"""How long a delivery whose filters ask for knowledge waits for its first load."""

_SINK_THREADS = 64  # two sinks for each of the most deliveries a worker runs at once


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
        services = {name: blob_service(at) for name, at in settings.connections.items()}
        self._accounts = {name: str(at.account_name) for name, at in services.items()}
        self._services = services
        host = blob_service(settings.host_storage)
        self._checkpoints = Checkpoints(table(settings.host_storage, settings.state_table))
        self._telemetry = Telemetry()
        state = host.get_container_client(settings.state_container)
        sources = Sources(
            settings.service_tags, settings.inventory, cloud or CLOUDS[settings.cloud]
        )
        self._library = Library(state, sources, self._telemetry.warn, now)
        sinks = _sinks(settings, self._library.current)
        self._patience = _KNOWLEDGE_SECONDS * any(at.filter.asks_knowledge for at in sinks)
        self._pipeline = Pipeline(
            Parts(
                FlowLogs({self._accounts[name]: at for name, at in services.items()}),
                self._checkpoints,
                DeadLetters(state),
                sinks,
                ThreadPoolExecutor(_SINK_THREADS, thread_name_prefix="sink"),
                now,
                self._library.current,
            )
        )
        if settings.unknown:
            self._telemetry.warn(f"unknown settings: {', '.join(settings.unknown)}")
        if settings.logs is None and settings.webhook is None:
            self._telemetry.warn("neither the table nor the webhook is set: nothing is delivered")

    def deliver(self, connection: str, container: str, path: str) -> Report:
        """Deliver what is new in a blob that an event named.

        Raises:
            NsgflowError: a sink or the storage failed; what others accepted is committed.
        """
        ref = BlobRef(self._accounts[connection], container, path)
        self._wait_for_knowledge()
        now = self._now()
        try:
            report = self._pipeline.run(ref, now + DEADLINE_SECONDS)
        except BadInputError as exc:
            # Some other blob in the container: trying it again would change nothing.
            self._telemetry.warn(str(exc))
            return Report(ref)
        self._telemetry.report(report)
        self._library.check()
        hour = blob_path.parse(path).hour
        if report.lagging and hour < datetime.fromtimestamp(now, UTC) - timedelta(hours=2):
            self._keep_open(connection, hour)
        if error := report.error():
            raise error
        return report

    def _wait_for_knowledge(self) -> None:
        """Wait for the first load where a filter depends on it: what it lets go is gone.

        Rows can do without, so that nobody else waits.
        """
        if self._patience:
            self._library.wait(self._patience)

    def _keep_open(self, connection: str, hour: datetime) -> None:
        """Let the sweep look at an hour that it would not look at by itself any more."""

        def opened(state: SweepState) -> SweepState:
            return replace(state, open_hours=tuple(sorted({*state.open_hours, hour})))

        self._checkpoints.update_sweep(connection, opened)

    def sweep(self) -> None:
        """Deliver what events missed, in all connections.

        Raises:
            NsgflowError: something failed; everything else was looked at all the same.
        """
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
                for name in (blob_path.NSG_CONTAINER, blob_path.VNET_CONTAINER)
            ]
            try:
                swept = sweep(
                    Account(connection, account, containers),
                    self._checkpoints,
                    lambda ref: self._pipeline.run(ref, deadline),
                    window,
                )
            except NsgflowError as exc:
                errors.append(exc)
                continue
            # Logged here because the host files lines by the thread of the invocation.
            for report in swept.reports:
                self._telemetry.report(report)
            failed = [error for report in swept.reports if (error := report.error())]
            errors += [*swept.errors, *failed]
            self._telemetry.sweep(
                connection=connection,
                hours=swept.hours,
                blobs=swept.blobs,
                run=len(swept.reports),
                errors=len(swept.errors) + len(failed),
            )
        if now.minute < 5:  # noqa: PLR2004 - once an hour, in the timer's first run of it
            self._checkpoints.delete_before(now - timedelta(days=self._settings.state_days))
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
        from nsgflow_core.sinks.webhook import WebhookSink  # noqa: PLC0415

        sinks.append(WebhookSink(settings.webhook))
    return sinks
