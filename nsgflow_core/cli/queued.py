"""The queue of events and its poison queue, as `nsgflow check` looks at them.

Nothing is taken from either.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import ExponentialRetry, QueueClient, QueueMessage

from nsgflow_core.cli.finding import Finding, tried
from nsgflow_core.config import Settings
from nsgflow_core.model import account_of
from nsgflow_core.storage import credential, errors_of
from nsgflow_core.web import azure_transport

_LATE = timedelta(minutes=5)
"""So long may an event wait: the sweep, every five minutes, has then delivered its blob."""


def look(settings: Settings) -> Iterator[Finding]:
    """A line for the queue, one where events wait for long, one where some were given up."""
    name = settings.events_queue
    try:
        events, poison = (_client(settings, at) for at in (name, f"{name}-poison"))
    except ValueError as exc:
        yield Finding("events", f"{exc}; correct AzureWebJobsStorage__queueServiceUri")
        return
    account = account_of(events.url.rpartition("/")[0])
    what = f"events: queue {name} on {account}"
    lengths: list[int | None] = []
    finding = tried(
        what,
        lambda: lengths.extend(map(_length, (events, poison))),
        f"give the app's identity the role Storage Queue Data Contributor on {account} (to look, "
        "Storage Queue Data Reader is enough)",
    )
    if finding.mend:
        yield finding
        return
    waiting, given_up = lengths
    if waiting is None:
        yield Finding(
            what,
            "there is none, so no event can come: deploy with triggerSource Queue, which makes it "
            f"('az storage queue create --auth-mode login --account-name {account} --name {name}')",
        )
        return
    yield Finding(f"{what} ({waiting} waiting)")
    yield from _late(events)
    if given_up:
        yield Finding(
            f"events: queue {poison.queue_name}",
            f"{given_up} were given up after many tries; the sweep delivers their blobs. The lines "
            "nsgflow.delivery say why they failed; when that is mended: 'az storage message clear "
            f"--auth-mode login --account-name {account} --queue-name {poison.queue_name}'",
            wrong=True,
        )


def _client(settings: Settings, name: str) -> QueueClient:
    storage = settings.host_storage
    retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=2)
    transport = azure_transport(connection_timeout=5, read_timeout=20)
    if storage.connection_string:
        return QueueClient.from_connection_string(
            storage.connection_string, name, retry_policy=retry, transport=transport
        )
    return QueueClient(
        storage.queue_url,
        name,
        credential=credential(storage.client_id),
        retry_policy=retry,
        transport=transport,
    )


def _length(queue: QueueClient) -> int | None:
    """How many messages there are, hidden ones included; None where there is no such queue."""
    with errors_of(f"look at the queue {queue.queue_name}"):
        try:
            return int(queue.get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return None


def _late(events: QueueClient) -> Iterator[Finding]:
    """That the app does not take what waits."""
    what = f"events: first in {events.queue_name}"

    first: list[QueueMessage] = []

    def peek() -> None:
        with errors_of(f"read the queue {events.queue_name}"):
            first.extend(events.peek_messages(1))

    finding = tried(what, peek, "see that whoever looks may read messages")
    if finding.mend:
        yield finding
        return
    since = first[0].inserted_on if first else None
    waited = datetime.now(UTC) - since if since else timedelta()
    if waited > _LATE:
        yield Finding(
            what,
            f"it has been waiting for {waited.total_seconds() // 60:.0f} minutes: see that the app "
            "runs (its function events, 'az functionapp function list'), and that it has room "
            "(maximumInstanceCount)",
            wrong=True,
        )
