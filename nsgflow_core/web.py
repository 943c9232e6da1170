"""HTTP for every client here: requests that end, pools that fit the threads, nothing given away.

The timeouts of `requests` hold between two bytes: an answer of a byte every three seconds, a TLS
handshake that creeps or a name with eight dead addresses outlasts them all. So a request is made
within a `time_limit`, and a watchdog shuts its socket when that is over.
"""

import heapq
import io
import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import requests
import urllib3
from azure.core.exceptions import DeserializationError
from azure.core.pipeline.transport import RequestsTransport
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from nsgflow_core.errors import TransientError

CONNECTIONS = 64
"""Connections kept to one host: more than the threads that a process has for it."""

_ANSWERS = {"list": (b"<EnumerationResults", b"<Blobs"), "blocklist": (b"<BlockList",)}
"""What stands in the answers of Azure Storage, by what is asked for: blobs, blocks of a blob."""

_CONNECT_SECONDS = 5.0

# It logs the whole URL, at WARNING, when an answer has a malformed header; and URLs are secrets.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_current = threading.local()


class _Limit:
    """The time of what one thread does; it holds copies of the sockets that are used meanwhile.

    Copies, since TLS takes a socket over from its connection while it shakes hands.
    """

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.over = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    def watch(self, connected: socket.socket) -> None:
        """Shut this socket, too, when the time is over."""
        copy = socket.fromfd(connected.fileno(), connected.family, connected.type)
        with self._lock:
            self._sockets.append(copy)
            if self.over:
                _shut(copy)

    def cut(self) -> None:
        """The time is over: whoever waits for these sockets hears of it."""
        with self._lock:
            self.over = True
            for each in self._sockets:
                _shut(each)

    def forget(self) -> None:
        """Nothing is watched any more."""
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        connected.shutdown(socket.SHUT_RDWR)


class _Watchdog:
    """One thread that cuts what is over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limits: list[tuple[float, int, _Limit]] = []
        self._numbers = itertools.count()
        self._running = False

    def add(self, limit: _Limit) -> None:
        with self._changed:
            heapq.heappush(self._limits, (limit.ends, next(self._numbers), limit))
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="time-limits", daemon=True).start()
            elif self._limits[0][2] is limit:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._limits or self._limits[0][0] > time.monotonic():
                    ahead = self._limits[0][0] - time.monotonic() if self._limits else None
                    self._changed.wait(ahead)
                limit = heapq.heappop(self._limits)[2]
            limit.cut()


_WATCHDOG = _Watchdog()


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Let what this thread asks of services take so many seconds in all.

    Raises:
        TransientError: it took longer, whatever error came of that.
    """
    outer, limit = getattr(_current, "limit", None), _Limit(seconds)
    _current.limit = limit
    _WATCHDOG.add(limit)
    try:
        yield
    except Exception as exc:
        if limit.over:
            raise TransientError(f"{what}: no answer in time") from exc
        raise
    finally:
        _current.limit = outer
        limit.forget()


class _Limited(HTTPConnection):
    """Connections that keep the time limit of the thread that uses them."""

    def _new_conn(self) -> socket.socket:
        """Try each address of the name; all of them share the time for connecting."""
        name, timeout = self._dns_host, self.timeout
        limit: _Limit | None = getattr(_current, "limit", None)
        seconds = timeout if isinstance(timeout, int | float) else _CONNECT_SECONDS
        if limit is not None:
            seconds = max(min(seconds, limit.ends - time.monotonic()), 0.1)
        ends = time.monotonic() + seconds
        try:
            found = socket.getaddrinfo(name, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror:
            found = []  # the base class says so
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found)) or [name]
        try:
            for left in range(len(addresses), 0, -1):
                self._dns_host = addresses[-left]
                self.timeout = max((ends - time.monotonic()) / left, 0.1)
                try:
                    connected = super()._new_conn()
                    break
                except (ConnectTimeoutError, NewConnectionError):
                    if left == 1:
                        raise
        finally:
            self._dns_host, self.timeout = name, timeout
        if limit is not None:
            limit.watch(connected)
        return connected

    def putrequest(self, *args: Any, **options: Any) -> None:
        """As its base has it."""
        limit: _Limit | None = getattr(_current, "limit", None)
        if limit is not None and self.sock is not None:  # kept from an earlier request
            limit.watch(self.sock)
        super().putrequest(*args, **options)


class PlainConnection(_Limited):
    """A connection without TLS."""


class TlsConnection(_Limited, HTTPSConnection):
    """A connection with TLS."""


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = TlsConnection


class Adapter(requests.adapters.HTTPAdapter):
    """The transport of requests over these connections; it tries nothing twice by itself."""

    pools: ClassVar[dict[str, Any]] = {"http": _PlainPool, "https": _TlsPool}

    def __init__(self) -> None:
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As its base has it."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """As its base has it."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = Adapter.pools
        return manager


class Session(requests.Session):
    """A session for the life of the process.

    No credentials from ~/.netrc and no cookies go to whoever a URL names, and a redirect is an
    answer like any other: requests would read its body whole, and unpack it, to follow it.
    """

    def __init__(self, adapter: Adapter | None = None) -> None:
        super().__init__()
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = adapter or Adapter()
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - as its base
        """No answer leads anywhere."""
        return


class _PreparedSession(Session):
    """A session for requests that the Azure SDK has prepared: quoted, signed, with all headers.

    requests would take them apart and put them together again, look for proxies in the environment
    and for cookies in the answer each time: a fifth of the CPU time of a small request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._surroundings: dict[tuple[str, bool | str | None], Any] = {}

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """As its base has it, for what the SDK's transport asks."""
        body = options.get("data")
        if isinstance(body, io.BytesIO):  # it is in memory: sent in one go, not by small pieces
            body = options["data"] = body.read()
        if args or options.get("files") or not (body is None or isinstance(body, bytes | str)):
            return super().request(method, url, *args, **options)
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = method, url, body or None
        headers: Any = CaseInsensitiveDict(options["headers"])
        for name, value in self.headers.items():
            headers.setdefault(name, value)
        prepared.headers = headers
        prepared.prepare_content_length(prepared.body)
        stream = bool(options.get("stream"))
        surroundings = self._surrounding(url, options)
        sent = {"stream": stream, "timeout": options["timeout"], **surroundings}
        response = self.get_adapter(url).send(prepared, **sent)
        if not stream:
            response.content  # noqa: B018 - read, so that the connection is free again
        return response

    def _surrounding(self, url: str, options: dict[str, Any]) -> Any:
        """What the environment says of proxies and certificates, asked once for each host."""
        origin = url[: url.find("/", len("https://"))]
        verify = options.get("verify")
        found = self._surroundings.get((origin, verify))
        if found is None or options.get("proxies") or options.get("cert"):
            merged = self.merge_environment_settings(
                url, options.get("proxies") or {}, None, verify, options.get("cert")
            )
            found = {key: merged[key] for key in ("proxies", "verify", "cert")}
            if not (options.get("proxies") or options.get("cert")):
                self._surroundings[origin, verify] = found
        return found


def azure_transport(**timeouts: float) -> Any:
    """A transport for clients of the Azure SDK: `connection_timeout` and `read_timeout`."""
    return RequestsTransport(session=_PreparedSession(), **timeouts)


class _StorageTransport(RequestsTransport):  # type: ignore[misc] # the SDK has no type for it
    """Sees that what is read is an answer of Azure Storage, which its SDK takes for granted."""

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request; an answer that nobody but Azure Storage can have given comes back."""
        response = super().send(request, **options)
        if request.method == "GET" and response.status_code == HTTPStatus.OK:
            _check_answer(request, response, streamed=bool(options.get("stream")))
        return response


def _check_answer(request: Any, response: Any, *, streamed: bool) -> None:
    """See that what was read has a body, a listing the form of one, and a piece its place.

    Raises:
        DeserializationError: a page of something in between, or nothing at all.
    """
    asked = parse_qs(urlsplit(request.url).query).get("comp", [""])[0]
    if streamed:
        fits = "x-ms-range" not in request.headers or "Content-Range" in response.headers
    else:
        body = response.internal_response.content
        fits = all(mark in body for mark in _ANSWERS.get(asked, ()))
        if "json" in request.headers.get("Accept", ""):  # of a table; of a container no body comes
            fits = body.lstrip().startswith(b"{")
    if not fits:
        raise DeserializationError("the answer is not Azure Storage's")


def storage_transport(**timeouts: float) -> Any:
    """A transport for clients of Azure Storage, as `azure_transport`."""
    return _StorageTransport(session=_PreparedSession(), **timeouts)
