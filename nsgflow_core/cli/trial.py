"""One row and one alert, marked as a test, sent to the sinks that are set."""

import time
import uuid
from datetime import UTC, datetime

from nsgflow_core.digests import groups
from nsgflow_core.digests.message import Digest
from nsgflow_core.errors import RefusedError
from nsgflow_core.logs.columns import of_blob
from nsgflow_core.model import BlobRef, Flow, Group, Position, Record, flow_time
from nsgflow_core.sinks.digest import Poster
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Sink
from nsgflow_core.sinks.webhook import WebhookSink
from nsgflow_core.webhooks import WebhookSettings

_SECONDS = 10.0
TEST_RULE = "nsgflow check --send-test"


def send_alert(webhook: WebhookSettings) -> None:
    """Send the test flow as an alert of the format that is set."""
    if not webhook.digest_schedule:
        send(WebhookSink(webhook))
        return
    counted = tuple(groups.count([_test_flow()]))
    Poster(webhook, lambda _: "")(Digest(uuid.uuid4().hex, time.time(), counted))


def send(sink: Sink) -> None:
    """Send the test flow."""
    now = datetime.now(UTC)
    ref = BlobRef("nsgflow", "nsgflow-check", f"{now:%Y-%m-%dT%H%M%S}-{uuid.uuid4().hex}")
    flows = sink.gather()
    flows.add(of_blob(ref, [_test_flow()]))
    delivery = sink.deliver(ref, flows, Position(0), Position(1), Patience(_SECONDS, _SECONDS))
    if delivery.error is not None:
        raise delivery.error
    if not delivery.accepted:
        raise RefusedError("it was not accepted")


def _test_flow() -> Flow:
    """One flow, marked as a test by its rule, between addresses set aside for examples."""
    milliseconds = round(time.time() * 1000)
    record = Record(0, 1, flow_time(milliseconds), 4, "")
    group = Group(record, "nsgflow-check", "nsgflow-check", TEST_RULE, "")
    text = f"{milliseconds},192.0.2.1,192.0.2.2,0,0,6,I,D,NX,0,0,0,0"
    ends = ("192.0.2.1", "192.0.2.2", 0, 0)
    return Flow(milliseconds, *ends, "6", "I", "D", "NX", 0, 0, 0, 0, group, 0, text)
