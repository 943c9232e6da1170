"""The managed-identity endpoint of App Service and Functions, for loopback.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

import contextlib
import dataclasses
import json
import secrets
import time
from collections.abc import Iterator

from devtools.http_server import Request, Response, Server, serve

API_VERSION = "2019-08-01"


@dataclasses.dataclass
class Identity:
    """A running endpoint.

    Attributes:
        lifetime: seconds that tokens last.
        client_ids: user-assigned identities it knows; a request may name none or one of these.
        header: value of IDENTITY_HEADER.
        requests: tokens asked for so far, refusals included.
        server: to set faults on.
    """

    lifetime: float
    client_ids: tuple[str, ...]
    header: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))
    requests: int = 0
    server: Server = dataclasses.field(init=False)
    _issued: dict[str, tuple[str, float]] = dataclasses.field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """Value of IDENTITY_ENDPOINT."""
        return f"{self.server.url}/msi/token"

    def environment(self) -> dict[str, str]:
        """The variables that App Service sets."""
        return {"IDENTITY_ENDPOINT": self.endpoint, "IDENTITY_HEADER": self.header}

    def accepts(self, authorization: str | None, resource: str) -> bool:
        """Whether an Authorization header bears a live token of ours for this resource."""
        scheme, _, token = (authorization or "").partition(" ")
        issued = self._issued.get(token)
        return (
            scheme.lower() == "bearer"
            and issued is not None
            and issued[0] == resource.rstrip("/")
            and issued[1] > time.time()
        )

    def answer(self, request: Request) -> Response:
        """Give a token, or refuse as App Service does."""
        self.requests += 1
        if request.headers.get("X-IDENTITY-HEADER") != self.header:
            return _refusal(401, "Unauthorized", "X-IDENTITY-HEADER is missing or wrong")
        if request.method != "GET" or request.query.get("api-version") != API_VERSION:
            return _refusal(400, "BadRequest", f"GET with api-version={API_VERSION} is expected")
        resource = request.query.get("resource", "").rstrip("/")
        if not resource:
            return _refusal(400, "BadRequest", "resource is missing")
        client_id = request.query.get("client_id", "")
        if client_id and client_id not in self.client_ids:
            return _refusal(400, "BadRequest", "No User Assigned Managed Identity found")
        token = secrets.token_urlsafe(32)
        expires = time.time() + self.lifetime
        self._issued[token] = (resource, expires)
        body = {
            "access_token": token,
            "expires_on": str(int(expires)),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": client_id,
        }
        return Response(200, json.dumps(body).encode(), {"Content-Type": "application/json"})


@contextlib.contextmanager
def identity(*, lifetime: float = 86_400.0, client_ids: tuple[str, ...] = ()) -> Iterator[Identity]:
    """Serve the endpoint while the context lasts; tokens last `lifetime` seconds."""
    running = Identity(lifetime, client_ids)
    with serve(running.answer) as running.server:
        yield running


def _refusal(status: int, code: str, message: str) -> Response:
    body = {"statusCode": status, "message": f"{code}: {message}"}
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
