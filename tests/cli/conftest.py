"""What the tests of the command line share: Azurite, logs of our own, and a way to run it."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from devtools.azurite import Azurite, azurite
from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER

ROOT = Path(__file__).resolve().parents[2]
_OLD_LOGS = re.compile("nsgflow: (there are no logs of the last sixty minutes|left out by default)")


def heeds_interrupts() -> None:
    """Have a new process end by SIGINT: a shell has what it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def storage() -> Iterator[Azurite]:
    """One emulator for the tests of a module."""
    with azurite() as running:
        yield running


@dataclass(frozen=True)
class Store:
    """An emulator that holds nothing at the beginning of a test."""

    azurite: Azurite
    service: BlobServiceClient

    def put(self, path: str, content: bytes) -> None:
        """Upload a log in one piece, into the container that its path belongs to."""
        kind = VNET_CONTAINER if path.startswith("flowLog") else NSG_CONTAINER
        container = self.service.get_container_client(kind)
        if not container.exists():
            container.create_container()
        container.upload_blob(path, content, overwrite=True)

    def log(self, path: str, records: Sequence[bytes]) -> None:
        """Upload a log of these records."""
        self.put(path, b'{"records":[' + b",".join(records) + b"]}")

    def environ(self, **more: str) -> dict[str, str]:
        """An environment in which the command line reads this emulator."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        return kept | {"AZURE_STORAGE_CONNECTION_STRING": self.azurite.connection_string} | more

    def nsgflow(
        self, command: str, environ: dict[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, as a shell would take it apart, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "nsgflow_core", *shlex.split(command)],
            env=self.environ() if environ is None else environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def output(self, command: str, environ: dict[str, str] | None = None) -> str:
        """What a command that succeeds prints; the logs of the tests are old, which is told."""
        done = self.nsgflow(command, environ)
        told = done.stderr.splitlines()
        assert (done.returncode, [line for line in told if not _OLD_LOGS.match(line)]) == (0, [])
        return done.stdout


@pytest.fixture
def store(storage: Azurite) -> Iterator[Store]:
    """An empty emulator."""
    service = BlobServiceClient.from_connection_string(storage.connection_string)
    for container in service.list_containers():
        service.delete_container(container.name)
    with service:
        yield Store(storage, service)


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
