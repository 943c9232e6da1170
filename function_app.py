"""The triggers of the Function App; what they do is in nsgflow_core.

Two functions per connection, one for each kind of flow log, or one for a queue of events; the
sweep, and a timer for digests where the webhook takes them. The SDK-type binding makes the host
hand over a reference to the blob and not its content.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said in words, before an import fails in its own
    raise ImportError(f"nsgflow needs Python 3.11 or newer, and this is {sys.version.split()[0]}")

import os
import threading
from functools import cache
from typing import TYPE_CHECKING

import azure.functions as func

from nsgflow_core.config import QUEUE, from_env
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER

if TYPE_CHECKING:
    from nsgflow_core.service import Service

settings = from_env(os.environ)
app = func.FunctionApp()


_making_service = threading.Lock()  # the first sixteen events come at once


def service() -> "Service":
    """The service of this process, made at the first event so that indexing stays quick."""
    with _making_service:
        return _service()


@cache
def _service() -> "Service":
    from nsgflow_core.service import Service  # noqa: PLC0415
    from nsgflow_core.telemetry import quiet_sdks  # noqa: PLC0415
    from nsgflow_core.turns import collect_rarely  # noqa: PLC0415

    quiet_sdks()
    collect_rarely()
    return Service(settings)


def add_blob_trigger(name: str, container: str, connection: str) -> None:
    """Register the function that follows one kind of flow log of one connection."""
    # Imported here because events by queue need none of it.
    import azurefunctions.extensions.bindings.blob as blob_binding  # noqa: PLC0415

    @app.function_name(name)
    @app.blob_trigger(
        arg_name="blob",
        path=f"{container}/{{name}}",
        connection=connection,
        source=func.BlobSource(settings.trigger_source),
    )
    def deliver(blob: blob_binding.BlobClient) -> None:
        service().deliver(connection, blob.container_name, blob.blob_name)


if settings.trigger_source == QUEUE:

    @app.function_name("events")
    @app.queue_trigger(
        arg_name="message", queue_name=settings.events_queue, connection="AzureWebJobsStorage"
    )
    def events(message: func.QueueMessage) -> None:
        """Deliver what the events of a message announce."""
        service().receive(message.get_body(), again=(message.dequeue_count or 1) > 1)

else:
    for connection_name in settings.connections:
        add_blob_trigger(f"nsg_{connection_name}", NSG_CONTAINER, connection_name)
        add_blob_trigger(f"vnet_{connection_name}", VNET_CONTAINER, connection_name)


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the host passes it by name
    """Deliver what events missed."""
    service().sweep()


def add_digest(sink: str, schedule: str) -> None:
    """Register the timer that tells the people behind a webhook what was denied."""

    @app.function_name(sink.replace("webhook", "digest"))
    @app.timer_trigger(arg_name="timer", schedule=schedule)
    def digest(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the host passes it by name
        service().digest(sink)


for webhook in settings.webhooks:
    if webhook.digest_schedule:
        add_digest(webhook.name, webhook.digest_schedule)
