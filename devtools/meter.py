"""A proxy in front of Azurite that counts what its clients ask for and read.

Signatures of Shared Key do not cover the host, so a client may sign for the proxy's port:
https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import contextlib
import dataclasses
import functools
import http.client
import threading
from collections import Counter
from collections.abc import Iterator

from devtools.azurite import ACCOUNT, Azurite
from devtools.http_server import Request, Response, Server, serve

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclasses.dataclass
class Meter:
    """What went through.

    Attributes:
        connection_string: leads through the meter.
        requests: how often each operation was asked for, such as "GET blob", "GET blocklist",
            "PUT blob", "GET list", "MERGE entity", "GET messages", "DELETE message".
        downloaded: bytes of blob content read, by container/path.
        blobs: server in front of the blob service, to set faults on; also tables and queues.
    """

    connection_string: str = ""
    requests: Counter[str] = dataclasses.field(default_factory=Counter)
    downloaded: Counter[str] = dataclasses.field(default_factory=Counter)
    blobs: Server = dataclasses.field(init=False)
    tables: Server = dataclasses.field(init=False)
    queues: Server = dataclasses.field(init=False)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    _threads: threading.local = dataclasses.field(default_factory=threading.local)
    _open: list[http.client.HTTPConnection] = dataclasses.field(default_factory=list)

    def reset(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.requests.clear()
            self.downloaded.clear()

    def pass_on(self, port: int, service: str, request: Request) -> Response:
        """Ask Azurite on its port, count, and hand back its answer."""
        response, body = self._ask(port, request)
        operation = _operation(service, request)
        with self._lock:
            self.requests[operation] += 1
            if operation == "GET blob" and response.status in {200, 206}:
                self.downloaded[_blob_name(request.path)] += len(body)
        headers = {
            name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP
        }
        return Response(response.status, body, headers)

    def close(self) -> None:
        """Close the connections to Azurite."""
        for connection in self._open:
            connection.close()

    def _ask(self, port: int, request: Request) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _HOP_BY_HOP
        }
        # With what came in chunks put together, its length is known.
        headers["Content-Length"] = str(len(request.body))
        connection = self._connection(port)
        try:
            connection.request(request.method, request.target, request.body, headers)
            response = connection.getresponse()
        except (ConnectionError, http.client.HTTPException):
            # Azurite was restarted since; the next request connects anew.
            connection.close()
            connection.request(request.method, request.target, request.body, headers)
            response = connection.getresponse()
        return response, response.read()

    def _connection(self, port: int) -> http.client.HTTPConnection:
        """One connection to Azurite for each connection of a client, which has its own thread."""
        connection: http.client.HTTPConnection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            self._threads.connection = connection
            with self._lock:
                self._open.append(connection)
        return connection


@contextlib.contextmanager
def metered(storage: Azurite) -> Iterator[Meter]:
    """Count what goes to this Azurite through the meter's connection string."""
    meter = Meter()
    with (
        contextlib.closing(meter),
        serve(functools.partial(meter.pass_on, storage.blob_port, "blob")) as meter.blobs,
        serve(functools.partial(meter.pass_on, storage.table_port, "table")) as meter.tables,
        serve(functools.partial(meter.pass_on, storage.queue_port, "queue")) as meter.queues,
    ):
        meter.connection_string = storage.connection_string_through(
            meter.blobs.port, meter.tables.port, meter.queues.port
        )
        yield meter


def _operation(service: str, request: Request) -> str:
    """Method and object of a request, as the services' REST references tell them apart."""
    _, _, name = request.path.removeprefix(f"/{ACCOUNT}/").partition("/")
    if service == "table":
        path = request.path.rsplit("/", 1)[-1]
        on_entity = "(" in path and not path.startswith("Tables")
        is_entity = on_entity or (request.method == "POST" and path != "Tables")
        what = "batch" if path == "$batch" else "entity" if is_entity else "table"
    elif service == "queue" and name:
        what = "messages" if request.method == "GET" else "message"
    elif request.query.get("comp"):
        what = request.query["comp"]
    else:
        what = "blob" if name else "container"
    return f"{request.method} {what}"


def _blob_name(path: str) -> str:
    return path.removeprefix(f"/{ACCOUNT}/")
