"""A deployment on this machine: Azurite, the stand-ins, and the product over them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from devtools.azurite import Azurite, azurite
from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, BlobWriter, Nic, nsg_path, vnet_path
from devtools.identity import identity
from devtools.ingestion import Ingestion, ingestion
from devtools.tls import Certificate, make_certificate
from devtools.truth import flows_of_log
from devtools.webhook import Webhook, webhook
from nsgflow_core import storage as product_storage
from nsgflow_core.config import from_env
from nsgflow_core.service import Service

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "nsgflow_core" / "schema.json"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
"""The hour of the tests' logs: this one, since a host in another process has the real clock."""


@dataclass
class Clock:
    """A wall clock that stands at 08:30 of the tests' hour until it is moved."""

    now: datetime = HOUR + timedelta(minutes=30)

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.now.timestamp()

    def move(self, **by: float) -> None:
        """Move it on."""
        self.now += timedelta(**by)


@dataclass
class Deployment:
    """What a test touches; `environment` is what the product was configured with."""

    storage: Azurite
    table: Ingestion
    webhook: Webhook
    environment: dict[str, str]
    clock: Clock = field(default_factory=Clock)

    def service(self) -> Service:
        """The product in this process, on the test's clock."""
        return Service(from_env(self.environment), self.clock)

    def container(self, name: str = NSG_CONTAINER) -> ContainerClient:
        """A container, made if it is missing."""
        blobs = BlobServiceClient.from_connection_string(self.storage.connection_string)
        container = blobs.get_container_client(name)
        if not container.exists():
            container.create_container()
        return container

    def nsg_log(self, nic: Nic | None = None, hour: datetime = HOUR) -> BlobWriter:
        """A writer of the NSG log of a NIC."""
        return BlobWriter(self.container(), nsg_path(nic or Nic(), hour))

    def vnet_log(self, nic: Nic | None = None, hour: datetime = HOUR) -> BlobWriter:
        """A writer of the VNet log of a NIC."""
        return BlobWriter(self.container(VNET_CONTAINER), vnet_path(nic or Nic(), hour, "short"))

    def denied(self, *writers: BlobWriter, container: str = NSG_CONTAINER) -> Counter[str]:
        """How often each denied tuple stands in these logs, by an independent reader."""
        found: Counter[str] = Counter()
        for writer in writers:
            data = self.container(container).download_blob(writer.path).readall()
            found += Counter(flow.text for flow in flows_of_log(data) if flow.denied)
        return found

    def rows(self) -> Counter[tuple[str, str, int, int]]:
        """How often each flow was accepted, by what tells tuples of the generator apart."""
        return Counter(
            (row["FlowTime"], row["SrcIp"] + row["DestIp"], row["SrcPort"], row["DestPort"])
            for row in self.table.rows
        )


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One authority and server certificate for all tests."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def deployment(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment of its own for each test, with both sinks."""
    with (
        azurite() as storage,
        identity() as signed_in,
        ingestion(SCHEMA, signed_in, certificate) as table,
        webhook(SECRET) as receiver,
    ):
        environment = {
            "FlowLogs": storage.connection_string,
            "AzureWebJobsStorage": storage.connection_string,
            "NSGFLOW_LOGS_ENDPOINT": table.endpoint,
            "NSGFLOW_LOGS_RULE_ID": table.rule_id,
            "NSGFLOW_LOGS_OMIT": "none",  # the truth tells rows by their blob
            "NSGFLOW_WEBHOOK_URL": receiver.url,
            "NSGFLOW_WEBHOOK_SECRET": SECRET,
            "REQUESTS_CA_BUNDLE": str(certificate.bundle),
            "NO_PROXY": "127.0.0.1",
            **signed_in.environment(),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        product_storage.credential.cache_clear()
        yield Deployment(storage, table, receiver, environment)
