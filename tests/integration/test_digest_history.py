"""What changed before a group began, asked of a Resource Graph that answers as Azure's does."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from devtools.chat import Chat, chat
from devtools.estate import Estate
from devtools.flowlogs import NSG_CONTAINER, Nic
from devtools.http_server import Fault
from devtools.resource_manager import RESOURCE, ResourceManager, resource_manager
from devtools.tls import Certificate
from nsgflow_core.config import from_env
from nsgflow_core.estate.arm import Cloud
from nsgflow_core.model import flow_time
from nsgflow_core.service import Service
from tests.functional.logs import records
from tests.integration.conftest import Deployment

FIRST = datetime(2021, 11, 23, 8, tzinfo=UTC)
"""Behind this the generator's flows are, whatever the hour of their log."""

ACCESS = 'properties.securityRules["deny"].properties.access'


@pytest.fixture
def azure(deployment: Deployment, certificate: Certificate) -> Iterator[ResourceManager]:
    """A Resource Manager with a history of one NSG."""
    with resource_manager(deployment.table.identity, certificate) as running:
        estate = Estate()
        for minutes, by in ((-240, "bob@x.example"), (-5, "ann@x.example"), (65, "eve@x.example")):
            at = flow_time(round((FIRST + timedelta(minutes=minutes)).timestamp() * 1000))
            estate.change(Nic().nsg_id, at, {ACCESS: ("Allow", "Deny")}, by=by)
        running.tables = estate.tables
        yield running


@pytest.fixture
def slack(deployment: Deployment) -> Iterator[Chat]:
    """People who are told."""
    with chat("slack") as running:
        deployment.environment |= {
            "NSGFLOW_WEBHOOK_URL": running.url,
            "NSGFLOW_WEBHOOK_FORMAT": "slack",
            "NSGFLOW_WEBHOOK_SECRET": "",
        }
        yield running


def told(deployment: Deployment, azure: ResourceManager, slack: Chat) -> str:
    """What the digest of one log says."""
    cloud = Cloud(azure.endpoint, RESOURCE, "westeurope")
    service = Service(from_env(deployment.environment), deployment.clock, cloud)
    log = deployment.nsg_log()
    log.append(*records(3))
    service.deliver("FlowLogs", NSG_CONTAINER, log.path)
    service.digest("webhook")
    (message,) = slack.messages
    return json.dumps(message)


def test_nothing_is_asked_without_the_setting(
    deployment: Deployment, azure: ResourceManager, slack: Chat
) -> None:
    """Nor is anything said."""
    assert "changed" not in told(deployment, azure, slack)
    assert not azure.queries


def test_the_last_change_before(
    deployment: Deployment, azure: ResourceManager, slack: Chat
) -> None:
    """In one question; whoever made it is not named, and what came later is not told."""
    deployment.environment["NSGFLOW_CHANGES"] = "resourcegraph"
    said = told(deployment, azure, slack)
    assert "before PROD-WEB-NSG changed: securityRules".lower() in said.lower()
    assert "@x.example" not in said
    assert len(azure.queries) == 1


def test_with_names(deployment: Deployment, azure: ResourceManager, slack: Chat) -> None:
    """As the setting says."""
    deployment.environment["NSGFLOW_CHANGES"] = "resourcegraph,names"
    said = told(deployment, azure, slack)
    assert "by ann@x.example" in said
    assert "bob@" not in said
    assert "eve@" not in said


@pytest.mark.parametrize("fault", [Fault(status=403), Fault(status=503), Fault(reset=True)])
def test_without_the_right_the_digest_comes_all_the_same(
    deployment: Deployment,
    azure: ResourceManager,
    slack: Chat,
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the log says why it tells less."""
    deployment.environment["NSGFLOW_CHANGES"] = "resourcegraph"
    azure.server.faults = lambda _: fault
    with caplog.at_level(logging.WARNING, "nsgflow"):
        assert "denied flows in" in told(deployment, azure, slack)
    assert any("nothing of what changed before" in record.message for record in caplog.records)
