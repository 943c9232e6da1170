"""Azurite, Microsoft's storage emulator, as a child process on free ports."""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The well-known account of every Azurite, public by design:
# https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

START_SECONDS = 60.0
STOP_SECONDS = 5.0
# Node closes an idle connection after 5 s by default, just as a pooled client reuses it.
KEEP_ALIVE_SECONDS = 600

_LISTENING = re.compile(
    rb"Azurite (Blob|Queue|Table) service is successfully listening at \S+:(\d+)"
)


class AzuriteError(RuntimeError):
    """Azurite is not installed or did not start; the text says what to do."""


@dataclasses.dataclass
class Azurite:
    """A running Azurite: its ports, and what is needed to sign in to it.

    Attributes:
        folder: where it keeps its data; None when it keeps it in memory.
        blob_port: port of the blob service on 127.0.0.1; also queue_port and table_port.
    """

    folder: Path | None
    blob_port: int = 0
    queue_port: int = 0
    table_port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        """The connection string of the well-known account on these ports."""
        return self.connection_string_through(self.blob_port, self.table_port, self.queue_port)

    def connection_string_through(
        self, blob_port: int, table_port: int, queue_port: int = 0
    ) -> str:
        """The same, reached on other ports (proxies in front of it); queues directly with 0."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{blob_port}/{ACCOUNT};"
            f"QueueEndpoint=http://127.0.0.1:{queue_port or self.queue_port}/{ACCOUNT};"
            f"TableEndpoint=http://127.0.0.1:{table_port}/{ACCOUNT};"
        )

    @property
    def process_id(self) -> int:
        """Of the running Node process; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start it and wait until all three services listen (they say so on their output).

        Raises:
            AzuriteError: not installed, or it ended or stayed silent for a minute.
        """
        script = HERE / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
        node = shutil.which("node")
        if node is None or not script.exists():
            raise AzuriteError("Azurite is missing; with Node 20 run: npm ci --prefix devtools")
        command = [
            *(node, "--require", str(HERE / "exit_with_parent.cjs"), str(script)),
            *("--silent", "--disableTelemetry", "--skipApiVersionCheck"),
        ]
        # Port 0 lets the system choose; a restart asks for the same ports again.
        for service, port in (
            ("blob", self.blob_port),
            ("queue", self.queue_port),
            ("table", self.table_port),
        ):
            command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
            command += [f"--{service}KeepAliveTimeout", str(KEEP_ALIVE_SECONDS)]
        command += (
            ["--inMemoryPersistence"] if self.folder is None else ["--location", str(self.folder)]
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own group, killed whole; Ctrl-C reaches only us
        )
        try:
            ports = _wait_for_ports(self._process)
        except BaseException:
            self.stop()
            raise
        self.blob_port, self.queue_port, self.table_port = (
            ports[b"Blob"],
            ports[b"Queue"],
            ports[b"Table"],
        )

    def stop(self) -> None:
        """End the whole process group: politely, and after five seconds by force."""
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def restart(self) -> None:
        """Stop it and start it on the same ports; in memory mode it comes back empty."""
        self.stop()
        self.start()


@contextlib.contextmanager
def azurite(folder: Path | None = None) -> Iterator[Azurite]:
    """Run Azurite while the context lasts.

    Args:
        folder: where to keep data; None keeps it in memory.

    Raises:
        AzuriteError: not installed, or it did not start.
    """
    running = Azurite(folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def _wait_for_ports(process: subprocess.Popen[bytes]) -> dict[bytes, int]:
    """Read the output until each service has named its port."""
    output = process.stdout
    if output is None:
        raise AzuriteError("Azurite was started without a pipe for its output")
    deadline = time.monotonic() + START_SECONDS
    text = b""
    os.set_blocking(output.fileno(), False)
    while True:
        chunk = output.read()
        text += chunk or b""
        ports = {name: int(port) for name, port in _LISTENING.findall(text)}
        if len(ports) == 3 and text.endswith(b"\n"):
            # It writes nothing more with --silent, so the pipe can not fill up.
            return ports
        if process.poll() is not None or time.monotonic() > deadline:
            raise AzuriteError(f"Azurite did not start: {text.decode(errors='replace').strip()}")
        time.sleep(0.02)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
