"""Azure Resource Manager and the logs query API over HTTPS, as far as the hooks ask them.

https://learn.microsoft.com/rest/api/azure/
https://learn.microsoft.com/azure/azure-monitor/logs/api/overview
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from nsgflow_hooks.errors import AzureError

MANAGEMENT = "https://management.azure.com"
LOGS = "https://api.loganalytics.io"

_TIMEOUT = 60.0
_TRIES = 4
_LONGEST_WAIT = 60.0
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_MOST_PAGES = 200  # a server that always names a next page must not keep us


class Tokens(Protocol):
    """Gives access tokens; see SignIn."""

    def token(self, resource: str, *, fresh: bool = False) -> str:
        """An access token for a resource."""


@dataclass
class Azure:
    """The public cloud, as someone who is signed in.

    Attributes:
        sleep: waits so many seconds; hooks wait with it too.
    """

    tokens: Tokens
    management: str = MANAGEMENT
    logs: str = LOGS
    sleep: Callable[[float], None] = time.sleep

    def get(self, path: str, version: str, **query: str) -> dict[str, Any]:
        """The answer of a GET.

        Raises:
            AzureError: any answer but 2xx, or none. HookError where nobody is signed in.
        """
        return self._send("GET", self._address(path, version, query))

    def silence(self, path: str, version: str) -> str:
        """Why there is no answer to a GET, asked twice; empty where there is one, whatever it is.

        Raises:
            HookError: nobody is signed in.
        """
        try:
            self._send("GET", self._address(path, version, {}), tries=2)
        except AzureError as error:
            return error.message if error.status == 0 else ""
        return ""

    def put(self, path: str, version: str, body: Any) -> dict[str, Any]:
        """The answer of a PUT; raises as get does."""
        return self._send("PUT", self._address(path, version, {}), body)

    def post(self, path: str, version: str, body: Any = None) -> dict[str, Any]:
        """The answer of a POST that only reads; raises as get does."""
        return self._send("POST", self._address(path, version, {}), {} if body is None else body)

    def delete(self, path: str, version: str) -> None:
        """Delete, and wait until it is gone; what was not there is deleted. Raises as get does."""
        address = self._address(path, version, {})
        try:
            self._send("DELETE", address)
            for _ in range(60):
                self._send("GET", address)
                self.sleep(5.0)
        except AzureError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return
            raise
        raise AzureError(0, "", "it is still there five minutes after it was deleted")

    def pages(self, path: str, version: str, **query: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, over all its pages; raises as get does."""
        address = self._address(path, version, query)
        for _ in range(_MOST_PAGES):
            answer = self._send("GET", address)
            values = answer.get("value")
            if not isinstance(values, list):
                raise AzureError(200, "", "the answer is no list")
            yield from (item for item in values if isinstance(item, dict))
            following = answer.get("nextLink")
            if not following:
                return
            address = self._ours(str(following))
        raise AzureError(200, "", f"the list did not end after {_MOST_PAGES} pages")

    def graph(self, query: str) -> list[dict[str, Any]]:
        """Every row of a Resource Graph query, over all that one may read; raises as get does."""
        rows: list[dict[str, Any]] = []
        options: dict[str, Any] = {"resultFormat": "objectArray"}
        for _ in range(_MOST_PAGES):
            answer = self.post(
                "/providers/Microsoft.ResourceGraph/resources",
                "2022-10-01",
                {"query": query, "options": options},
            )
            data = answer.get("data")
            if not isinstance(data, list):
                raise AzureError(200, "", "the answer is no table")
            rows += [row for row in data if isinstance(row, dict)]
            token = answer.get("$skipToken")
            if not token:
                return rows
            options = {**options, "$skipToken": token}
        raise AzureError(200, "", f"the rows did not end after {_MOST_PAGES} pages")

    def query_logs(self, resource_id: str, query: str) -> list[dict[str, Any]]:
        """Rows of a KQL query over the logs of one resource; raises as get does."""
        address = f"{self.logs}/v1{urllib.parse.quote(resource_id)}/query"
        answer = self._send("POST", address, {"query": query}, resource=LOGS)
        try:
            table = answer["tables"][0]
            names = [column["name"] for column in table["columns"]]
            return [dict(zip(names, row)) for row in table["rows"]]
        except (KeyError, IndexError, TypeError) as error:
            raise AzureError(200, "", "the answer is no table") from error

    def _address(self, path: str, version: str, query: dict[str, str]) -> str:
        words = urllib.parse.urlencode({"api-version": version, **query})
        return f"{self.management}{urllib.parse.quote(path)}?{words}"

    def _ours(self, address: str) -> str:
        """The address if it is of the same host: the token must go nowhere else."""
        ours, other = (urllib.parse.urlsplit(at) for at in (self.management, address))
        if (ours.scheme, ours.hostname) != (other.scheme, other.hostname):
            raise AzureError(200, "", f"the next page is said to be at {other.hostname}")
        return address

    def _send(
        self,
        method: str,
        address: str,
        body: Any = None,
        *,
        resource: str = MANAGEMENT,
        tries: int = _TRIES,
    ) -> dict[str, Any]:
        """Send, and again after 429, 5xx and no answer, and once after 401 with a new token."""
        data = None if body is None else json.dumps(body).encode()
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            request = urllib.request.Request(address, data, method=method)  # noqa: S310 - https
            request.add_header("Content-Type", "application/json")
            request.add_header(
                "Authorization", f"Bearer {self.tokens.token(resource, fresh=renewed)}"
            )
            failed = AzureError(0, "", "")
            wait = 2.0**attempt
            try:
                with urllib.request.urlopen(  # noqa: S310 - https, and loopback in tests
                    request, timeout=_TIMEOUT, context=_trust()
                ) as response:
                    return _decoded(response.read())
            except urllib.error.HTTPError as error:
                failed = _refusal(error)
                wait = _retry_after(error.headers.get("Retry-After"), wait)
                if error.code == HTTPStatus.UNAUTHORIZED and not renewed:
                    renewed = True
                    continue
                again = error.code in _AGAIN or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
            except (OSError, http.client.HTTPException) as error:
                failed, again = AzureError(0, "", _why(error)), True
            if not again or attempt == tries:
                raise failed
            self.sleep(min(max(0.0, wait), _LONGEST_WAIT))


@functools.lru_cache(maxsize=1)  # reading every authority's certificate takes a while
def _trust() -> ssl.SSLContext:
    """Whom to trust: the system, and what the tools around us were given for a proxy."""
    context = ssl.create_default_context()
    extra = os.environ.get("REQUESTS_CA_BUNDLE")
    if extra and os.path.exists(extra):  # noqa: PTH110 - a plain question
        context.load_verify_locations(extra)
    return context


def _decoded(body: bytes) -> dict[str, Any]:
    """A JSON object, which is all that Azure answers with; nothing is an empty one."""
    if not body:
        return {}
    try:
        value = json.loads(body)
    except ValueError as error:
        raise AzureError(200, "", "the answer is no JSON") from error
    if not isinstance(value, dict):
        raise AzureError(200, "", "the answer is no JSON object")
    return value


def _refusal(error: urllib.error.HTTPError) -> AzureError:
    """What Azure said: {"error": {"code": …, "message": …}}, or whatever came."""
    text = error.read(20_000).decode("utf-8", "replace")
    try:
        told = json.loads(text)
        told = told.get("error", told)
        return AzureError(error.code, str(told.get("code") or ""), deepest(told))
    except (ValueError, AttributeError):
        return AzureError(error.code, "", " ".join(text.split())[:300] or str(error.reason))


def deepest(error: Any) -> str:
    """The messages of the innermost details of an error, which are what went wrong."""
    details = [item for item in error.get("details") or [] if isinstance(item, dict)]
    inner = error.get("innererror")
    if isinstance(inner, dict) and inner.get("message"):
        details.append(inner)
    if details:
        return "; ".join(dict.fromkeys(deepest(item) for item in details))
    message = str(error.get("message") or "")
    try:  # a nested deployment's error comes as JSON in the text
        nested = json.loads(message)
        return deepest(nested.get("error", nested))
    except (ValueError, AttributeError):
        return " ".join(message.split())[:600]


def _retry_after(value: str | None, otherwise: float) -> float:
    try:
        return float(value or otherwise)
    except ValueError:
        return otherwise


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    text = f"{type(reason).__name__}: {reason}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text += (
            " (behind a proxy that reads TLS, name its certificate in REQUESTS_CA_BUNDLE; with "
            "Python from python.org on macOS, run Install Certificates.command)"
        )
    return text
