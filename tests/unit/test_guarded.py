"""The webhook's connections: whom they refuse to speak to, and what they take from anybody."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.http_server import Request, Response, serve
from devtools.tls import make_certificate
from nsgflow_core.errors import RefusedError
from nsgflow_core.filter import compile_terms
from nsgflow_core.model import Position
from nsgflow_core.sinks import guarded
from nsgflow_core.sinks.sink import Item
from nsgflow_core.sinks.webhook import WebhookSink
from nsgflow_core.webhooks import WebhookSettings

ALERT = Item(b"{}", Position(1), 1, "id")


def sink(url: str) -> WebhookSink:
    """A webhook at a URL."""
    return WebhookSink(WebhookSettings(url, b"", compile_terms("action=denied"), None))


class Listener:
    """Takes connections on loopback and keeps every byte that is said to it."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heard = b""
        self.taken = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            self.taken += 1
            connection.settimeout(5)
            self.heard = connection.recv(1024)

    def close(self) -> None:
        """Wait for the connection to end."""
        self._thread.join()
        self.socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener that is closed in the end."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.0.1", "168.63.129.16", "fe80::1", "fe80::1%eth0"),
        *("fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_forbidden_addresses_are_told_nothing(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, scheme: str, address: str
) -> None:
    """Whatever the name resolved to, the connected peer decides, before TLS and HTTP begin."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *rest: resolve("127.0.0.1", listener.port, *rest),
    )
    is_forbidden = guarded.is_forbidden
    # Nobody can listen at that address here: what answers in its place is taken for it.
    monkeypatch.setattr(guarded, "is_forbidden", lambda peer: is_forbidden(address))
    with pytest.raises(RefusedError, match="not spoken to"):
        sink(f"{scheme}://hooks.example/x")._post(ALERT, 5)
    listener._thread.join()

    assert (listener.taken, listener.heard) == (1, b"")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.4", "20.50.2.1", "2603:1030::1"])
def test_other_addresses_are_spoken_to(address: str) -> None:
    """Private networks have webhooks as well; only the platform's own addresses are refused."""
    assert not guarded.is_forbidden(address)


def test_plain_http_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the settings took for this machine's must not lead away from it."""

    class Elsewhere:
        """A socket connected to another machine."""

        closed = False

        def getpeername(self) -> tuple[str, int]:
            return ("10.0.0.4", 80)

        def close(self) -> None:
            self.closed = True

    elsewhere: Any = Elsewhere()
    with pytest.raises(RefusedError):
        guarded._checked(elsewhere, loopback_only=True)
    assert elsewhere.closed
    assert guarded._checked(elsewhere, loopback_only=False) is elsewhere


def test_a_certificate_of_nobodys_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates are checked, through the guarded connections too, and nothing is posted."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    context = make_certificate(tmp_path).server_context()
    with (
        serve(lambda _: Response(200), context) as server,
        pytest.raises(RefusedError, match="certificate"),
    ):
        sink(server.url)._post(ALERT, 5)
    assert server.requests == 0


def test_a_redirect_is_not_followed_on_the_wire() -> None:
    """The place that a redirect names hears nothing."""
    paths: list[str] = []

    def answer(request: Request) -> Response:
        paths.append(request.path)
        return Response(307, headers={"Location": "/elsewhere"})

    with serve(answer) as server, pytest.raises(RefusedError, match="307"):
        sink(f"{server.url}/here")._post(ALERT, 5)
    assert paths == ["/here"]


def test_a_huge_answer_is_not_read() -> None:
    """An answer of many megabytes is dropped unread, and the alert counts by its status."""
    sent = 0
    listener = socket.create_server(("127.0.0.1", 0))

    def flood() -> None:
        nonlocal sent
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while sent < 256 * 1024 * 1024:
                    sent += connection.send(b"x" * 65536)
            except OSError:
                pass  # it was dropped

    thread = threading.Thread(target=flood)
    thread.start()
    sink(f"http://127.0.0.1:{listener.getsockname()[1]}/")._post(ALERT, 5)
    thread.join()
    listener.close()

    assert sent < 32 * 1024 * 1024, "no more than the network's buffers hold"
