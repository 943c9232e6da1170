"""What digests read of checkpoints and sweeps on a real table: the evidence that logs went on."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from azure.data.tables import TableClient
from msgspec.structs import replace

from devtools.flowlogs import NSG_CONTAINER, Nic, nsg_path
from nsgflow_core.delivery.checkpoint import Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.ledgers import Ledgers
from nsgflow_core.delivery.swept import behind
from nsgflow_core.digests.reach import Swept
from nsgflow_core.digests.rows import Marks
from nsgflow_core.logs.path import log_name, parse_path, resource_prefix
from nsgflow_core.model import BlobRef, Storage
from nsgflow_core.storage import table
from tests.integration.conftest import HOUR, Deployment

READ = Cursor(offset=9, seen=11, listed=7.0, read_to=5)


@pytest.fixture
def client(deployment: Deployment) -> TableClient:
    """The table of checkpoints."""
    return table(Storage(deployment.storage.connection_string), "checks")


@pytest.fixture
def checkpoints(client: TableClient) -> Checkpoints:
    """A table that does not exist yet."""
    return Checkpoints(client)


NIC_LOG = nsg_path(Nic(), HOUR)


@pytest.mark.parametrize(
    ("changes", "whole"),
    [
        ({}, True),
        ({"owner": "w", "until": 9e9, "pending": True}, False),
        ({"pending": True}, False),
        ({"pending": True, "cursors": {"webhook": READ, "table": Cursor(behind_since=1.0)}}, True),
        ({"cursors": {"webhook": replace(READ, behind_since=1.0)}}, False),
        ({"cursors": {"webhook": replace(READ, listed=0.0)}}, False),
        ({"cursors": {"table": READ}}, False),
    ],
)
def test_how_far_a_log_was_read(
    checkpoints: Checkpoints, client: TableClient, changes: dict[str, Any], whole: bool
) -> None:
    """Nothing is known to be left where nobody is at work, and no mark says otherwise."""
    ref = BlobRef("a", NSG_CONTAINER, NIC_LOG)
    row = replace(checkpoints.read(ref, HOUR), cursors={"webhook": READ})
    checkpoints.write(replace(row, **changes))
    ledgers = Ledgers(client, connections=["FlowLogs", "Hub"])
    assert not list(ledgers.rows(HOUR))
    (found,) = ledgers.rows(HOUR, everything=True)
    assert (found.ledger, found.log) == (None, log_name(ref, parse_path(NIC_LOG)))
    assert found.whole is whole
    assert found.read_to == (0 if changes.get("cursors") == {"table": READ} else 5)


def test_what_sweeps_have_seen_to_is_read_with_the_marks(
    checkpoints: Checkpoints, client: TableClient
) -> None:
    """In one request: of all connections that there are, and of places that they leave alone."""
    ledgers = Ledgers(client, connections=["FlowLogs", "Hub"])
    place = (NSG_CONTAINER, resource_prefix(NIC_LOG))
    old = HOUR - timedelta(hours=5)
    checkpoints.write_sweep("FlowLogs", behind(HOUR, [old], [("other", "")]))
    checkpoints.write_sweep("Former", behind(old, [], []))
    assert ledgers.marks() == Marks((), Swept(0.0, frozenset([old])))
    checkpoints.write_sweep("Hub", behind(HOUR - timedelta(minutes=5), [], []))
    ledgers.watch(old, 5.0)
    Ledgers(client, "webhook_2").watch(HOUR, 5.0)
    marks = ledgers.marks()
    assert [at.hour for at in marks.watched] == [old]
    assert marks.swept == Swept(HOUR.timestamp() - 300, frozenset([old]))

    row = checkpoints.read(BlobRef("a", NSG_CONTAINER, NIC_LOG), HOUR)
    checkpoints.write(replace(row, cursors={"webhook": READ}))
    assert [at.whole for at in ledgers.rows(HOUR, everything=True)] == [True]
    for away in (place, (NSG_CONTAINER, "")):
        checkpoints.write_sweep("Hub", behind(HOUR, [], [away]))
        ledgers.marks()
        assert [at.whole for at in ledgers.rows(HOUR, everything=True)] == [False]


def test_what_a_sweep_leaves_fits_into_its_row() -> None:
    """The newest hours, and containers where the places are too many."""
    hours = [HOUR - timedelta(hours=back) for back in range(500)]
    places = [("c", "p" * 300 + str(number)) for number in range(101)]
    state = behind(HOUR, hours, places)
    assert (len(state.left), max(state.left), state.away) == (100, HOUR, (("c", ""),))
    assert len(msgspec.json.encode(behind(HOUR, hours, places[:100]))) < 60_000
