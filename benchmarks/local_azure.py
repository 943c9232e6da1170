"""Azurite and the stand-ins in processes of their own, so that only our CPU time is ours."""

import base64
import contextlib
import multiprocessing
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from azure.storage.blob import BlobServiceClient, ContainerClient

from devtools.azurite import Azurite, azurite
from devtools.identity import identity
from devtools.ingestion import ingestion
from devtools.nic import NSG_CONTAINER, VNET_CONTAINER
from devtools.tls import make_certificate
from devtools.webhook import webhook

ROOT = Path(__file__).resolve().parent.parent
CONNECTION = "FlowLogs"

_LARGEST_PUT = 256 * 1024 * 1024
_CALLERS = ("NSGFLOW_", "FlowLogs", "AzureWebJobsStorage", "AZURE_", "IDENTITY_", "REQUESTS_CA")


@dataclass(frozen=True)
class Accepted:
    """What the stand-ins have accepted so far, and time.monotonic() of the last of each.

    `row_requests` carried the rows, `row_bytes` before compression.
    """

    rows: int
    row_requests: int
    row_bytes: int
    alerts: int
    last_row: float
    last_alert: float
    refusals: int


@dataclass(frozen=True)
class LocalAzure:
    """A running Azurite with both containers, and the stand-ins. `settings` are the app's."""

    storage: Azurite
    service: BlobServiceClient
    settings: dict[str, str]
    stand_ins: Connection

    def container(self, version: int) -> ContainerClient:
        """The container of the flow logs of a version."""
        return self.service.get_container_client(container_name(version))

    def accepted(self) -> Accepted:
        """Ask the stand-ins.

        Raises:
            RuntimeError: they refused something: what was measured was not the way of the data.
        """
        self.stand_ins.send(None)
        accepted: Accepted = self.stand_ins.recv()
        if accepted.refusals:
            raise RuntimeError(f"the stand-ins refused {accepted.refusals} requests")
        return accepted

    def arrivals(self) -> dict[tuple[str, str], float]:
        """time.monotonic() when the first row of each record was accepted.

        By the rows' SourceBlob and RecordTime.
        """
        self.stand_ins.send("records")
        records: dict[tuple[str, str], float] = self.stand_ins.recv()
        return records


def container_name(version: int) -> str:
    """Where Azure writes the flow logs of a version."""
    return VNET_CONTAINER if version == 4 else NSG_CONTAINER


@contextlib.contextmanager
def local_azure(*, alerts: bool = True, on_disk: bool = False) -> Iterator[LocalAzure]:
    """Run all of it while the context lasts, with the environment of this process set to it.

    Without `alerts` the webhook is not configured; Azurite keeps blobs in memory or `on_disk`.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        storage = stack.enter_context(azurite(folder / "storage" if on_disk else None))
        stand_ins, settings = stack.enter_context(_stand_ins(folder))
        if not alerts:
            settings = {key: text for key, text in settings.items() if "WEBHOOK" not in key}
        settings |= dict.fromkeys((CONNECTION, "AzureWebJobsStorage"), storage.connection_string)
        set_environment(settings)
        service = stack.enter_context(
            BlobServiceClient.from_connection_string(
                storage.connection_string, max_single_put_size=_LARGEST_PUT
            )
        )
        for name in (NSG_CONTAINER, VNET_CONTAINER):
            service.create_container(name)
        yield LocalAzure(storage, service, settings, stand_ins)


def set_environment(settings: dict[str, str]) -> None:
    """Make these the app's settings, without any that the caller's shell happens to have."""
    for name in list(os.environ):
        if name.startswith(_CALLERS):
            del os.environ[name]
    # A proxy of the caller's is of no use on loopback.
    os.environ |= settings | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


@contextlib.contextmanager
def _stand_ins(folder: Path) -> Iterator[tuple[Connection, dict[str, str]]]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(folder, theirs))
    process.start()
    theirs.close()
    try:
        yield ours, ours.recv()
    finally:
        ours.close()  # it ends at that
        process.join()


def _serve(folder: Path, orders: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; we end with it
    certificate = make_certificate(folder)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    schema = ROOT / "nsgflow_core" / "schema.json"
    with (
        identity() as tokens,
        ingestion(schema, tokens, certificate, keep_rows=False, exact=False) as logs,
        webhook(secret) as hook,
        contextlib.suppress(EOFError),
    ):
        orders.send(
            {
                "NSGFLOW_LOGS_ENDPOINT": logs.endpoint,
                "NSGFLOW_LOGS_RULE_ID": logs.rule_id,
                "NSGFLOW_LOGS_OMIT": "none",  # what was delivered is told by its blob
                "NSGFLOW_WEBHOOK_URL": hook.url,
                "NSGFLOW_WEBHOOK_SECRET": secret,
                "REQUESTS_CA_BUNDLE": str(certificate.bundle),
                **tokens.environment(),
            }
        )
        while True:
            if orders.recv() == "records":
                orders.send(logs.records)
                continue
            orders.send(
                Accepted(
                    logs.accepted,
                    len(logs.batches),
                    sum(size for _, size, _ in logs.batches),
                    len(hook.times),
                    logs.times[-1] if logs.times else 0.0,
                    hook.times[-1] if hook.times else 0.0,
                    len(logs.refusals) + len(hook.refusals),
                )
            )
