"""What answers in the place of Azure Storage: a proxy, a network that asks to sign in, nothing."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record
from tests.cli.conftest import Store, at

HOUR = at("2026-03-04T05:00")
PAGE = b"<!DOCTYPE html><html><head><meta charset=utf-8><body>Sign in to this network"
ANSWERS = {
    "nothing": b"",
    "a page": b"<html><body>Sign in to this network</body></html>",
    "a page as browsers take it": PAGE,
    "other XML": b'<?xml version="1.0" encoding="utf-8"?><a/>',
    "JSON": b"{}",
    "a list without its blobs": b'<?xml version="1.0"?><EnumerationResults/>',
    "half of a list": b'<?xml version="1.0"?><EnumerationResults><Blobs><Blo',
}
_OK = ["ok      settings", "ok      state: write table nsgflowcheckpoints"]
"""What needs no blob: tables of the emulator have a server of their own."""
SAID = "the answer is not Azure Storage's: does a proxy stand in between?"


@contextmanager
def between(store: Store, what: str, answer: bytes, status: int = 200) -> Iterator[str]:
    """Stands between the emulator and its client: answers what is asked for so in its place.

    `what` is list, blocklist, "" for the content of blobs, or * for everything.
    """
    behind = urlsplit(store.service.url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            if what != "*" and query.get("comp", [""])[0] != what:
                connection = http.client.HTTPConnection(behind.netloc)
                connection.request(self.command, self.path, sent, dict(self.headers))
                got = connection.getresponse()
                self._write(got.status, dict(got.getheaders()), got.read())
                connection.close()
                return
            self._write(status, {"Content-Type": "application/xml"}, answer)

        def _write(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - their names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    port = server.server_address[1]
    try:
        yield store.azurite.connection_string.replace(f":{behind.port}/", f":{port}/")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def log(store: Store) -> Store:
    """An account with one log."""
    nic = Nic(nsg="WEB-NSG")
    text = f"{int(HOUR.timestamp())},192.0.2.1,10.5.16.4,5000,22,T,I,D,B,,,,"
    record = nsg_record(nic, HOUR, [Group("UserRule_Deny", (text,))])
    store.log(nsg_path(nic, HOUR), [record.data])
    return store


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_listing_that_is_none_is_told(log: Store, answer: bytes) -> None:
    """In a sentence with what to look at, in every command that lists."""
    with between(log, "list", answer) as connection:
        environ = log.environ(AZURE_STORAGE_CONNECTION_STRING=connection)
        for command in ("flows", "denied", "logs"):
            done = log.nsgflow(command, environ)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == (
                "nsgflow: devstoreaccount1: list insights-logs-networksecuritygroupflowevent: "
                f"{SAID}\n"
            )


@pytest.mark.parametrize("answer", [b"", PAGE], ids=["nothing", "a page"])
def test_a_log_that_is_none_is_skipped(log: Store, answer: bytes) -> None:
    """It is named; nothing is shown for it, and nothing breaks."""
    with between(log, "", answer) as connection:
        environ = log.environ(AZURE_STORAGE_CONNECTION_STRING=connection)
        for command in ("flows", "denied -o csv", "logs -o json"):
            done = log.nsgflow(command, environ)
            assert done.returncode in (1, 3), command
            assert "skipped: " in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize("answer", [*ANSWERS.values()], ids=ANSWERS)
def test_check_is_not_content_with_it(log: Store, answer: bytes) -> None:
    """What is not Azure Storage's is no listing, and takes no state."""
    with between(log, "*", answer) as connection:
        environ = log.environ(AZURE_STORAGE_CONNECTION_STRING=connection)
        done = log.nsgflow("check", environ)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("ok")] == _OK
    assert sum(SAID in line for line in lines) >= 2
