"""The session under the Azure SDK: shorter, and on the wire the same as that of requests."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpRequest

from devtools.http_server import Request, Response, Server, serve
from devtools.tls import make_certificate
from nsgflow_core import web

TARGETS = ("/a/b?comp=x", "/p/%C3%A4%23%3F/y%3D2026?prefix=a%2Fb&marker=%7E", "/~x/a%20b")


@pytest.fixture
def seen() -> Iterator[tuple[Server, list[Request]]]:
    """A server, and what it was sent."""
    requests_seen: list[Request] = []

    def answer(request: Request) -> Response:
        requests_seen.append(request)
        return Response(200, b"" if request.method == "HEAD" else b"said", {"Set-Cookie": "a=b"})

    with serve(answer) as server:
        yield server, requests_seen


def sent(request: Request) -> Any:
    """All that can be told apart on the wire."""
    headers = sorted((name.lower(), value) for name, value in request.headers.items())
    return request.method, request.target, headers, request.body


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "MERGE"])
@pytest.mark.parametrize("body", [None, b"", b"\x00\xff", "text ä", BytesIO(b"a stream")])
def test_the_same_is_sent(
    seen: tuple[Server, list[Request]], method: str, target: str, body: Any
) -> None:
    """Whatever the method, the quoting and the body."""
    if isinstance(body, BytesIO):
        body.seek(0)
    server, requests_seen = seen
    headers = {"User-Agent": "sdk", "x-ms-date": "now", "If-Match": '"0x1"'}
    options = {"headers": headers, "data": body, "timeout": (5, 5), "verify": True, "cert": None}
    ours, plain = web._PreparedSession(), requests.Session()
    for session in (ours, ours, plain):
        answer = session.request(method, server.url + target, allow_redirects=False, **options)
        assert answer.content == (b"" if method == "HEAD" else b"said")
        if isinstance(body, BytesIO):
            body.seek(0)
    first, again, plainly = map(sent, requests_seen)

    # requests takes quotes off that need not be there, and breaks what was signed with them.
    assert first == again
    assert (first[0], *first[2:]) == (plainly[0], *plainly[2:])
    assert first[1].replace("%7E", "~") == plainly[1].replace("%7E", "~")


def test_the_environments_certificates_and_proxies_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the SDK's own transport has it; asked for once."""
    certificate = make_certificate(tmp_path)
    with serve(lambda _: Response(200, b"said"), certificate.server_context()) as server:
        request = HttpRequest("GET", f"{server.url}/x")
        with web.azure_transport() as transport, pytest.raises(ServiceRequestError):
            transport.send(request)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.bundle))
        with web.azure_transport() as transport:
            assert transport.send(request).body() == b"said"
            assert transport.send(request).body() == b"said"
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        with (
            web.azure_transport() as transport,
            pytest.raises(ServiceRequestError, match=r"[Pp]roxy"),
        ):
            transport.send(request)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with web.azure_transport() as transport:
            assert transport.send(request).body() == b"said"


def test_a_download_is_streamed(seen: tuple[Server, list[Request]]) -> None:
    """It is not read before somebody asks for it."""
    server, _ = seen
    with web.azure_transport() as transport:
        response = transport.send(HttpRequest("GET", f"{server.url}/x"), stream=True)

        assert not response.internal_response._content_consumed
        assert b"".join(response.stream_download(None)) == b"said"
