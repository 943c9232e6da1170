"""Azure Resource Manager, as far as nsgflow asks it: Resource Graph, service tags, flow logs.

It answers Resource Graph queries from resources in the form that Azure keeps, with the operators
in `_OPERATORS` and no others, so that a query that asks for the wrong thing gets nothing here too.

https://learn.microsoft.com/rest/api/azureresourcegraph/resourcegraph/resources/resources
https://learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests
"""

import contextlib
import dataclasses
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from devtools.http_server import Request, Response, Server, serve
from devtools.identity import Identity
from devtools.tls import Certificate

RESOURCE = "https://management.azure.com"
GRAPH = "/providers/Microsoft.ResourceGraph/resources"
SUBSCRIPTION = "00000000-0000-0000-0000-0000000000aa"
LARGEST_PAGE = 1000

_TAGS = re.compile(r"/subscriptions/([^/]+)/providers/Microsoft\.Network/locations/\w+/serviceTags")
_FLOW_LOGS = re.compile(r"(/subscriptions/.+/networkWatchers/[^/]+)/flowLogs", re.IGNORECASE)
_VERSION = re.compile(r"\d{4}-\d\d-\d\d")

_TABLES = ("resources", "computeresources", "networkresources", "resourcechanges")

Row = dict[str, Any]


@dataclasses.dataclass
class ResourceManager:
    """A running endpoint.

    Attributes:
        tables: the resources of each table of Resource Graph.
        tags: pages of the service tags, as values of the REST API.
        watchers: the flow logs of each Network Watcher, by its lower-case id; one that is not
            here refuses.
        page: the most rows it gives at once, whatever is asked for.
        quota: queries that one window takes, and its length in seconds.
        queries: the queries that were answered, pages counted.
        throttled: queries that got 429.
        server: url, count of requests, faults.
    """

    identity: Identity
    tables: dict[str, list[Row]] = dataclasses.field(default_factory=dict)
    tags: list[list[Row]] = dataclasses.field(default_factory=list)
    watchers: dict[str, list[Row]] = dataclasses.field(default_factory=dict)
    page: int = LARGEST_PAGE
    quota: tuple[int, float] = (10_000, 5.0)
    queries: list[str] = dataclasses.field(default_factory=list)
    throttled: int = 0
    server: Server = dataclasses.field(init=False)
    _window: tuple[float, int] = (0.0, 0)
    _tokens: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        """Scheme, host and port."""
        return self.server.url

    def answer(self, request: Request) -> Response:
        """Answer as Azure does, or refuse."""
        if not self.identity.accepts(request.headers.get("Authorization"), RESOURCE):
            return _error(401, "InvalidAuthenticationToken", f"no live token for {RESOURCE}")
        if not _VERSION.fullmatch(request.query.get("api-version", "")):
            return _error(400, "MissingApiVersionParameter", "api-version is missing")
        if request.method == "POST" and request.path == GRAPH:
            with self._lock:
                return self._graph(json.loads(request.body))
        if request.method == "GET":
            return self._get(request)
        return _error(404, "NotFound", f"no {request.method} {request.path} here")

    def _get(self, request: Request) -> Response:
        if request.path == "/subscriptions":
            return _json({"value": [{"subscriptionId": SUBSCRIPTION, "state": "Enabled"}]})
        found = _TAGS.fullmatch(request.path)
        if found is not None and found[1] == SUBSCRIPTION:
            return self._service_tags(request, int(request.query.get("page", "0")))
        if (found := _FLOW_LOGS.fullmatch(request.path)) is not None:
            return self._flow_logs(request, found[1].lower())
        return _error(404, "NotFound", f"no {request.method} {request.path} here")

    def _flow_logs(self, request: Request, watcher: str) -> Response:
        """Two at a time; what an API version does not know yet is not told."""
        if watcher not in self.watchers:
            return _error(403, "AuthorizationFailed", "no right to read flow logs")
        start = int(request.query.get("skip", "0"))
        version = request.query["api-version"]
        entries = self.watchers[watcher][start : start + 2]
        if version < "2025":
            entries = [entry | {"properties": _without_filters(entry)} for entry in entries]
        body: Row = {"value": entries}
        if len(self.watchers[watcher]) > start + 2:
            body["nextLink"] = (
                f"{self.endpoint}{request.path}?api-version={version}&skip={start + 2}"
            )
        return _json(body)

    def _service_tags(self, request: Request, number: int) -> Response:
        body: Row = {
            "name": "Public",
            "type": "Microsoft.Network/serviceTags",
            "changeNumber": "63",
            "cloud": "Public",
            "values": self.tags[number] if self.tags else [],
        }
        if number + 1 < len(self.tags):
            version = request.query["api-version"]
            body["nextLink"] = (
                f"{self.endpoint}{request.path}?api-version={version}&page={number + 1}"
            )
        return _json(body)

    def _graph(self, body: Row) -> Response:
        limit, seconds = self.quota
        begun, used = self._window
        if time.monotonic() - begun >= seconds:
            begun, used = time.monotonic(), 0
        left = max(seconds - (time.monotonic() - begun), 0.0)
        headers = {
            "x-ms-user-quota-remaining": str(max(limit - used - 1, 0)),
            "x-ms-user-quota-resets-after": f"00:00:{int(left + 0.999):02d}",
        }
        if used >= limit:
            self.throttled += 1
            again = {"Retry-After": str(int(left + 0.999))}
            return _error(429, "RateLimiting", "Please provide below info …", headers | again)
        self._window = (begun, used + 1)
        query, options = body["query"], body.get("options", {})
        start = 0
        if token := options.get("$skipToken"):
            known, start = self._tokens.get(token, ("", 0))
            if known != query:
                return _error(400, "BadRequest", "the skip token is of another query")
        try:
            rows = run(query, self.tables)
        except ValueError as exc:
            return _error(400, "BadRequest", f"InvalidQuery: {exc}")
        self.queries.append(query)
        end = start + min(options.get("$top", 100), self.page, LARGEST_PAGE)
        answer: Row = {
            "totalRecords": len(rows),
            "count": len(rows[start:end]),
            "data": rows[start:end],
            "facets": [],
            "resultTruncated": "false",
        }
        if end < len(rows):
            answer["$skipToken"] = token = secrets.token_urlsafe(12)
            self._tokens[token] = (query, end)
        return _json(answer, headers)


@contextlib.contextmanager
def resource_manager(identity: Identity, certificate: Certificate) -> Iterator[ResourceManager]:
    """Serve over TLS while the context lasts; tokens must be for Azure's Resource Manager."""
    running = ResourceManager(identity)
    with serve(running.answer, certificate.server_context()) as running.server:
        yield running


def run(query: str, tables: dict[str, list[Row]]) -> list[Row]:
    """The rows of a query.

    Raises:
        ValueError: it is not of the little Kusto that is known here, or does not order its rows.
    """
    table, *steps = [" ".join(part.split()) for part in query.split("\n|")]
    if table.lower() not in _TABLES:
        raise ValueError(f"no table {table}")
    if not steps or not steps[-1].startswith("order by "):
        raise ValueError("pages of rows in no order repeat some and leave out others")
    rows = [dict(row) for row in tables.get(table.lower(), [])]
    for step in steps:
        for pattern, operator in _OPERATORS.items():
            if found := re.fullmatch(pattern, step):
                rows = operator(rows, found)
                break
        else:
            raise ValueError(f"unknown: {step}")
    return rows


def _without_filters(entry: Row) -> Row:
    hidden = ("recordTypes", "enabledFilteringCriteria")
    return {key: value for key, value in entry["properties"].items() if key not in hidden}


def _where(rows: Sequence[Row], found: re.Match[str]) -> list[Row]:
    values = [value.lower() for value in re.findall(r"'([^']+)'", found[2])]
    if found[1] == "startswith":
        return [row for row in rows if row["type"].startswith(values[0])]
    return [row for row in rows if row["type"] in values]


def _where_text(rows: Sequence[Row], found: re.Match[str]) -> list[Row]:
    values = [value.lower() for value in re.findall(r"'([^']+)'", found[2])]
    return [row for row in rows if str(_at(row, found[1]) or "").lower() in values]


def _mv_expand(rows: Sequence[Row], found: re.Match[str]) -> list[Row]:
    name, path, limit = found[1], found[2], int(found[3] or 128)
    return [row | {name: item} for row in rows for item in (_at(row, path) or [None])[:limit]]


def _project(rows: Sequence[Row], found: re.Match[str]) -> list[Row]:
    columns: dict[str, tuple[str, bool]] = {}
    for item in found[1].split(", "):
        name, _, expression = item.partition(" = ")
        as_text = re.fullmatch(r"tostring\((.+)\)", expression)
        columns[name] = (as_text[1], True) if as_text else (expression or name, False)
    return [
        {
            name: _at(row, path) if not text else str(_at(row, path) or "")
            for name, (path, text) in columns.items()
        }
        for row in rows
    ]


def _order(rows: Sequence[Row], found: re.Match[str]) -> list[Row]:
    ordered = list(rows)
    for item in reversed(found[1].split(", ")):  # sorting is stable
        key, _, way = item.partition(" ")
        ordered.sort(key=lambda row, key=key: row[key], reverse=way == "desc")  # type: ignore[misc]
    return ordered


def _at(row: Row, path: str) -> Any:
    """What a path leads to; like Kusto's, it minds the case and gives null where nothing is."""
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


_OPERATORS: dict[str, Callable[[Sequence[Row], re.Match[str]], list[Row]]] = {
    r"where type (=~|in~|startswith) (.+)": _where,
    r"where tostring\(([\w.]+)\) in~ \((.+)\)": _where_text,
    r"mv-expand (\w+) = ([\w.]+)(?: limit (\d+))?": _mv_expand,
    r"project (.+)": _project,
    r"order by (.+)": _order,
}


def _json(body: Row, headers: dict[str, str] | None = None) -> Response:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Response(200, json.dumps(body).encode(), kind | (headers or {}))


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": {"code": code, "message": message}}
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Response(status, json.dumps(body).encode(), kind | (headers or {}))
