"""Azure Resource Manager, Resource Graph and the logs API over HTTP, as far as the hooks ask them.

Resources lie under their ids, lists under their paths; a list comes in pages of two, so that who
forgets the next page is found out. Whatever is not there is answered as Azure answers it.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

from nsgflow_hooks.arm import Azure

from devtools.http_server import Request, Response, Server, serve

TOKEN = "token-of-azd"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
PAGE = 2

Answer = Response | Callable[[Request], Response]


def ok(value: Any, status: int = 200) -> Response:
    """An answer with JSON."""
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def refusal(status: int, code: str, message: str, **more: Any) -> Response:
    """An error as Resource Manager writes it."""
    return ok({"error": {"code": code, "message": message, **more}}, status)


@dataclasses.dataclass
class World:
    """A tenant.

    Attributes:
        things: resources by id in lower case.
        lists: lists by path in lower case.
        graph: rows by a word of the query that asks for them.
        logs: rows by a word of the query, or an answer of another kind.
        answers: what to answer in place of all this, by method and path in lower case; where
            there are several, each is given once and the last for ever.
        asked: method and path of every request.
        bodies: what was sent, by method and path.
    """

    things: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    lists: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    graph: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    logs: dict[str, list[dict[str, Any]] | Response] = dataclasses.field(default_factory=dict)
    answers: dict[tuple[str, str], list[Answer]] = dataclasses.field(default_factory=dict)
    asked: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    bodies: dict[tuple[str, str], Any] = dataclasses.field(default_factory=dict)
    slept: float = 0.0
    server: Server = dataclasses.field(init=False)

    def azure(self) -> Azure:
        """What a hook asks, with time that passes at once."""
        return Azure(self, self.server.url, self.server.url, self.sleep)

    def token(self, resource: str, *, fresh: bool = False) -> str:
        """The token that every request must bear."""
        return TOKEN

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept += seconds

    def has(self, resource_id: str, **properties: Any) -> None:
        """Put a resource there."""
        self.things[resource_id.lower()] = {
            "id": resource_id,
            "name": resource_id.rpartition("/")[2],
            **properties,
        }

    def answer(self, method: str, path: str, *answers: Answer) -> None:
        """Answer this in place of what is there."""
        self.answers[method, path.lower()] = list(answers)

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path.lower()
        self.asked.append((request.method, path))
        if request.body:
            self.bodies[request.method, path] = json.loads(request.body)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refusal(401, "InvalidAuthenticationToken", "The access token is invalid.")
        given = self.answers.get((request.method, path))
        if given:
            answer = given.pop(0) if len(given) > 1 else given[0]
            return answer if isinstance(answer, Response) else answer(request)
        if path == "/providers/microsoft.resourcegraph/resources":
            return self._rows(self.bodies[request.method, path])
        if path.startswith("/v1/") and path.endswith("/query"):
            return self._logs(self.bodies[request.method, path]["query"])
        return self._resource(request, path)

    def _resource(self, request: Request, path: str) -> Response:
        if request.method == "DELETE":
            self.things.pop(path, None)
            return Response(200)
        if request.method == "PUT":
            self.things[path] = {"id": request.path, **self.bodies["PUT", path]}
            return ok(self.things[path])
        if path in self.lists:
            return self._page(request, self.lists[path])
        if path in self.things:
            return ok(self.things[path])
        if path.endswith(("/eventsubscriptions", "/systemtopics", "/permissions", "/resources")):
            return ok({"value": []})
        code = "ResourceGroupNotFound" if path.count("/") == 4 else "ResourceNotFound"
        return refusal(404, code, f"The resource '{request.path}' was not found.")

    def _page(self, request: Request, items: list[dict[str, Any]]) -> Response:
        start = int(request.query.get("page", "0"))
        answer: dict[str, Any] = {"value": items[start : start + PAGE]}
        if start + PAGE < len(items):
            path = request.target.partition("?")[0]
            answer["nextLink"] = f"{self.server.url}{path}?page={start + PAGE}"
        return ok(answer)

    def _rows(self, body: dict[str, Any]) -> Response:
        rows = next((rows for word, rows in self.graph.items() if word in body["query"]), [])
        start = int(body["options"].get("$skipToken", "0"))
        answer: dict[str, Any] = {"data": rows[start : start + PAGE]}
        if start + PAGE < len(rows):
            answer["$skipToken"] = str(start + PAGE)
        return ok(answer)

    def _logs(self, query: str) -> Response:
        found = next((rows for word, rows in self.logs.items() if word in query), [])
        if isinstance(found, Response):
            return found
        names = list(found[0]) if found else []
        table = {
            "columns": [{"name": name} for name in names],
            "rows": [[row[name] for name in names] for row in found],
        }
        return ok({"tables": [table]})


@contextlib.contextmanager
def running() -> Iterator[World]:
    """A world that answers while the context lasts."""
    world = World()
    with serve(world.handle) as server:
        world.server = server
        yield world
