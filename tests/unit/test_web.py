"""Requests against servers that misbehave: each ends in its time, reads a little, tells nothing."""

import gzip
import io
import logging
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from devtools.http_server import Response, serve
from devtools.tls import make_certificate
from nsgflow_core import web
from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.estate import library
from nsgflow_core.model import Storage
from nsgflow_core.sinks.webhook import new_session, send
from nsgflow_core.storage import blob_service, errors_of

MIB = 1024 * 1024


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that talks to each client as told, on a port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):  # the client went away
            talk(connection)

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=run)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()


def drip(data: bytes, every: float) -> Callable[[socket.socket], None]:
    """Say these bytes one at a time, over and over, until the client goes."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        for byte in data * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(every)

    return talk


def post(url: str, seconds: float = 1.0) -> float:
    """Post to a webhook that gives no good answer; how long it took."""
    begun = time.monotonic()
    with pytest.raises(TransientError, match="no answer in time"):
        send(new_session(), url, b"{}", {}, seconds)
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "said",
    [b"H", b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50, b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["status line", "headers", "informational answers"],
)
def test_an_answer_that_drips_ends_in_time(said: bytes) -> None:
    """Each byte comes well within the read timeout, and the answer never comes to its end."""
    with raw_server(drip(said, 0.1)) as port:
        assert post(f"http://127.0.0.1:{port}/") < 2


def test_a_body_that_drips_does_not_undo_its_status() -> None:
    """The status line has said all that matters."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"

    def talk(connection: socket.socket) -> None:
        connection.sendall(answer)
        drip(b"x", 0.1)(connection)

    with raw_server(talk) as port:
        begun = time.monotonic()
        send(new_session(), f"http://127.0.0.1:{port}/", b"{}", {}, 1)
        assert time.monotonic() - begun < 2


def test_tls_that_creeps_ends_in_time() -> None:
    """A handshake that never ends is no exception."""

    def talk(connection: socket.socket) -> None:
        # A handshake record of 16 KiB, whose bytes come one by one.
        connection.sendall(b"\x16\x03\x03\x40\x00")
        drip(b"\x02", 0.1)(connection)

    with raw_server(talk) as port:
        assert post(f"https://127.0.0.1:{port}/") < 2


def test_a_kept_connection_is_watched_too() -> None:
    """The second request over one connection has its own time."""

    def talk(connection: socket.socket) -> None:
        received = b""
        while not received.endswith(b"{}"):  # its body may come behind its headers
            received += connection.recv(65536) or b"{}"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        drip(b"H", 0.1)(connection)

    with raw_server(talk) as port:
        session, url = new_session(), f"http://127.0.0.1:{port}/"
        send(session, url, b"{}", {}, 1)
        begun = time.monotonic()
        with pytest.raises(TransientError, match="no answer in time"):
            send(session, url, b"{}", {}, 1)
        assert time.monotonic() - begun < 2


def test_tls_of_a_kept_connection_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that shakes hands well and then drips."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.bundle))

    def talk(connection: socket.socket) -> None:
        with certificate.server_context().wrap_socket(connection, server_side=True) as secure:
            drip(b"H", 0.1)(secure)

    with raw_server(talk) as port:
        assert post(f"https://127.0.0.1:{port}/") < 2


def test_dead_addresses_share_the_time_for_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with many addresses behind a firewall that drops takes no longer than one."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    # Its queue is full: whoever comes now is not answered, as behind a firewall that drops.
    waiting = [socket.socket() for _ in range(3)]
    for each in waiting:
        each.settimeout(0)
        each.connect_ex(("127.0.0.1", port))
    resolve = socket.getaddrinfo
    eight = [f"127.0.0.{last}" for last in range(1, 9)]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *rest: [
            found
            for at in (eight if host == "many.example" else [host])
            for found in resolve(at, port, *rest)
        ],
    )
    sockets: list[socket.socket] = []
    connect = socket.socket.connect

    def dropped(self: socket.socket, address: Any) -> None:
        sockets.append(self)
        connect(self, ("127.0.0.1", port))

    monkeypatch.setattr(socket.socket, "connect", dropped)
    begun = time.monotonic()
    with pytest.raises(TransientError):
        send(new_session(), "http://many.example/", b"{}", {}, 2)
    assert time.monotonic() - begun < 3
    assert len(sockets) == len(eight), "each was given its share"
    for each in [*waiting, full]:
        each.close()


def test_no_thread_stays_behind() -> None:
    """However a request was given up, its thread is free soon after."""
    done = threading.Event()

    def call() -> None:
        post(url)
        done.set()

    with raw_server(drip(b"H", 0.1)) as port:
        url = f"http://127.0.0.1:{port}/"
        thread = threading.Thread(target=call)
        thread.start()
        thread.join(3)
        assert done.is_set()


class Counted(io.RawIOBase):
    """How many bytes of a large answer a client takes."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0


def redirect(body: bytes, more: str, times: int, counted: Counted) -> Callable[..., None]:
    """Answer 302 with a large body."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        length = len(body) * times
        head = f"HTTP/1.1 302 Found\r\nLocation: /there\r\n{more}Content-Length: {length}"
        connection.sendall(f"{head}\r\n\r\n".encode())
        for _ in range(times):
            connection.sendall(body)
            counted.sent += len(body)

    return talk


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_the_body_of_a_redirect_is_not_read(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither 300 MiB nor what unpacks to as much is taken, by the webhook or by a download."""
    unpacked: list[object] = []
    decompress = zlib.decompressobj

    def decompressobj(*options: Any) -> object:
        unpacked.append(options)
        return decompress(*options)

    monkeypatch.setattr("urllib3.response.zlib.decompressobj", decompressobj)
    body = gzip.compress(bytes(400 * MIB // 16)) if kind == "gzip" else bytes(MIB)
    counted = Counted()
    more = "Content-Encoding: gzip\r\n" if kind == "gzip" else ""
    with raw_server(redirect(body, more, 1 if kind == "gzip" else 300, counted)) as port:
        url = f"http://127.0.0.1:{port}/"
        with pytest.raises(RefusedError, match="302"):
            send(new_session(), url, b"{}", {}, 5)
        with pytest.raises(RefusedError, match="302"):
            library._download(url, 5)
    assert (unpacked, counted.sent < 32 * MIB) == ([], True)


def test_a_download_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is of what it becomes, piece by piece."""
    monkeypatch.setattr(library, "_LARGEST_DOCUMENT", 4 * MIB)
    body = gzip.compress(bytes(256 * MIB))

    with (
        serve(lambda _: Response(200, body, {"Content-Encoding": "gzip"})) as server,
        pytest.raises(RefusedError, match="more than"),
    ):
        library._download(server.url, 20)


def test_a_download_that_drips_ends_in_time() -> None:
    """The sweep, which asks for it, has other things to do."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"

    def talk(connection: socket.socket) -> None:
        connection.sendall(answer)
        drip(b"x", 0.1)(connection)

    begun = time.monotonic()
    with raw_server(talk) as port, pytest.raises(TransientError):
        library._download(f"http://127.0.0.1:{port}/", 1)
    assert time.monotonic() - begun < 2


def test_a_download_that_breaks_off_is_transient() -> None:
    """Nobody need act: the next try reads it again."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        head = b'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99/100\r\nETag: "1"\r\n'
        connection.sendall(head + b"Content-Length: 100\r\n\r\nabc")

    with raw_server(talk) as port:
        place = f"http://127.0.0.1:{port}/logs"
        text = f"AccountName=logs;AccountKey=a2V5;BlobEndpoint={place}"
        blob = blob_service(Storage(text)).get_blob_client("c", "b")
        with pytest.raises(TransientError, match="read it"), errors_of("read it"):
            blob.download_blob(0, 100).readall()


def test_a_malformed_header_does_not_tell_the_url(caplog: pytest.LogCaptureFixture) -> None:
    """The URL of a webhook is a secret, and urllib3 would log it."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n: b\r\nX\r\n\r\nContent-Length: 0\r\n\r\n")

    caplog.set_level(logging.WARNING)
    with raw_server(talk) as port:
        send(new_session(), f"http://127.0.0.1:{port}/T0SECRET", b"{}", {}, 2)
    assert not re.search("T0SECRET", caplog.text)


def test_plain_http_goes_past_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said in clear to this machine is said to nobody else."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serve(lambda _: Response(204)) as server:
        send(new_session(), f"{server.url}/", b"{}", {}, 2)
        assert server.requests == 1


def test_https_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the time limit holds there as well."""
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        drip(b"H", 0.1)(connection)

    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with raw_server(talk) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert post("https://hooks.example/") < 2
    assert asked[0].startswith(b"CONNECT hooks.example:443")


def test_bursts_find_their_connections_again() -> None:
    """Forty threads at once leave forty connections to be used again, and nothing in the log."""
    held = threading.Barrier(40)

    def answer(_: object) -> Response:
        held.wait(10)
        return Response(204)

    with serve(answer) as server:
        session = new_session()

        def call() -> None:
            for _ in range(2):
                send(session, server.url, b"{}", {}, 10)

        threads = [threading.Thread(target=call) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pools = session.get_adapter(server.url).poolmanager.pools  # type: ignore[attr-defined]  # of the real adapter
        (pool,) = [pools[key] for key in pools.keys()]  # noqa: SIM118 - it has no other way
        assert (pool.num_connections, server.requests) == (40, 80)


def test_the_storage_clients_fit_their_threads() -> None:
    """Sixteen events, eight blobs of a sweep and more meet at one account."""
    transport = web.azure_transport(connection_timeout=5)
    pools = transport.session.get_adapter("https://x/").poolmanager
    assert pools.connection_pool_kw["maxsize"] == web.CONNECTIONS


def test_the_outer_limit_is_back_after_an_inner_one() -> None:
    """And what ended in its time is not cut."""
    with web.time_limit(5, "outer"):
        outer = web._current.limit
        with web.time_limit(0.01, "inner"):
            pass
        time.sleep(0.05)
        assert (web._current.limit, outer.over) == (outer, False)


def test_whatever_comes_of_a_cut_is_told_as_what_it_is() -> None:
    """A socket that was shut makes all kinds of errors."""

    def late() -> None:
        with web.time_limit(0.01, "slow"):
            time.sleep(0.1)
            raise OSError

    with pytest.raises(TransientError, match="slow: no answer in time"):
        late()
