"""The small HTTP server under the stand-ins: HTTP/1.1, keep-alive, optional TLS, faults on demand.

It answers with header and body in one send and with Nagle's algorithm off: otherwise a client
that delays its acknowledgements waits 40 ms for every answer.
"""

import contextlib
import dataclasses
import socket
import ssl
import struct
import threading
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


@dataclasses.dataclass(frozen=True)
class Request:
    """What a client sent.

    Attributes:
        target: path and query as sent; path and query hold them decoded, first values only.
        headers: looked up without regard to case.
    """

    method: str
    target: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes


@dataclasses.dataclass(frozen=True)
class Response:
    """What to answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Fault:
    """What to do to a request instead of answering it.

    Attributes:
        delay: seconds to wait first; alone, the request is then handled as ever.
        status: answer with this status, `headers` and `body`, and accept nothing.
        hang: hold the connection for so many seconds, then close it; nothing is accepted.
        reset: reset the connection (RST); nothing is accepted.
        accept_then_reset: accept the request, then reset the connection: a lost acknowledgement.
    """

    delay: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    hang: float = 0.0
    reset: bool = False
    accept_then_reset: bool = False


Faults = Callable[[Request], Fault | None] | deque[Fault | None]
"""Asked at every request: a function, or a queue taken from the left (empty: all is well)."""

Handler = Callable[[Request], Response]


class Server:
    """A listening server.

    Attributes:
        port: on 127.0.0.1.
        url: scheme, host and port, without a slash at the end.
        faults: may be set at any time; None for none.
        requests: how many came in, faulty ones included.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.faults: Faults | None = None
        self.requests = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = _Listener(self, tls)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="http-server"
        )
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End every connection, those that hang included, and wait for their threads."""
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()

    def take_fault(self, request: Request) -> Fault | None:
        """Count the request and ask what to do to it."""
        with self._lock:
            self.requests += 1
            if isinstance(self.faults, deque):
                return self.faults.popleft() if self.faults else None
            faults = self.faults
        return faults(request) if faults is not None else None


class StandIn:
    """A service played on a server of its own, which counts requests and does faults to them."""

    server: Server

    @property
    def requests(self) -> int:
        """Requests that came in, refused and faulty ones included."""
        return self.server.requests

    @property
    def faults(self) -> Faults | None:
        """What to do to which request; may be set at any time."""
        return self.server.faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        self.server.faults = faults


@contextlib.contextmanager
def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1 while the context lasts."""
    server = Server(handler, tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Listener(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for the threads and leaves no socket open
    request_queue_size = 128

    def __init__(self, owner: Server, tls: ssl.SSLContext | None) -> None:
        self.owner = owner
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # as the base class has it
        """Shake hands in the connection's own thread: a slow client must not hold up others."""
        connection = cast("socket.socket", request)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._open_lock:
                self._open.add(connection)
            super().finish_request(connection, client_address)
        except OSError:
            pass  # the client went away; its side tells
        finally:
            with self._open_lock:
                self._open.discard(connection)
            connection.close()

    def end_connections(self) -> None:
        """Wake every thread that waits for its client's next request."""
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        """Read one request, then answer it or do what the fault says."""
        owner = cast("_Listener", self.server).owner
        split = urllib.parse.urlsplit(self.path)
        request = Request(
            method=self.command,
            target=self.path,
            path=urllib.parse.unquote(split.path),
            query=dict(reversed(urllib.parse.parse_qsl(split.query, keep_blank_values=True))),
            headers=self.headers,
            body=self._body(),
        )
        fault = owner.take_fault(request)
        if fault is None:
            self._answer(owner.handler(request))
            return
        owner.stopping.wait(fault.delay)
        if fault.hang:
            owner.stopping.wait(fault.hang)
            self.close_connection = True
        elif fault.reset:
            self._reset()
        elif fault.accept_then_reset:
            owner.handler(request)
            self._reset()
        elif fault.status is not None:
            self._answer(Response(fault.status, fault.body, fault.headers))
        else:
            self._answer(owner.handler(request))

    # The base class finds handlers by these names.
    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815
    do_DELETE = do_OPTIONS = do_PATCH = do_MERGE = handle_any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the base class has it
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def _answer(self, response: Response) -> None:
        status = HTTPStatus(response.status)
        headers = {name.title(): value for name, value in response.headers.items()}
        if status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            # An answer to HEAD may tell the length of the body that GET would have.
            headers.setdefault("Content-Length", str(len(response.body)))
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head + (b"" if self.command == "HEAD" else response.body))

    def _reset(self) -> None:
        # Lingering for zero seconds makes close() send RST in place of FIN. The descriptor is
        # freed when the handler's own files on it are closed, right after this request.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True
