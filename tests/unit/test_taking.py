"""What becomes of the flows of a window as they are read."""

import pytest

from devtools.flowlogs import Nic, large_log, nsg_path
from nsgflow_core.delivery.taking import Taking
from nsgflow_core.estate.knowledge import NOTHING
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.flows import read_stretch
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.sinks.digest import DigestSink
from nsgflow_core.sinks.sink import Sink
from nsgflow_core.sinks.webhook import WebhookSink
from nsgflow_core.webhooks import WebhookSettings
from tests.cli.conftest import at

PATH = nsg_path(Nic(), at("2026-01-01T12:00"))
URL = "https://hooks.example.com/x"
RULE = compile_terms("action=allowed,denied rule=none")


@pytest.mark.parametrize(("form", "kept"), [("cloudevents", 0), ("slack", 10)])
def test_only_a_digest_keeps_what_was_read(form: str, kept: int) -> None:
    """What was denied, its filter or not: it looks there for flows that were let through."""
    settings = WebhookSettings(URL, b"", RULE, None, format=form)
    sink: Sink = WebhookSink(settings) if form == "cloudevents" else DigestSink(settings)
    taking = Taking({sink.name: sink}, Position(0), NOTHING)

    reading = read_stretch(
        large_log(1, 40, 0.25, 2, 1),
        0,
        BlobRef("account", "container", PATH),
        parse_path(PATH),
        last=True,
        denied_only=False,
        take=taking.take,
    )

    assert taking.read == 40
    assert taking.gathered[sink.name].total == 0
    assert sum(map(len, reading.flows)) == kept
