"""Azure Resource Manager over REST: Resource Graph queries, service tags and flow logs.

azure-core's own pipeline does the work (tokens, retries, Retry-After), as it does inside every
management SDK: those would add packages to the deployment for few requests that never change.

https://learn.microsoft.com/rest/api/azureresourcegraph/resourcegraph/resources/resources
https://learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests
https://learn.microsoft.com/rest/api/virtualnetwork/service-tags/list
https://learn.microsoft.com/rest/api/network-watcher/flow-logs/list
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import (
    BearerTokenCredentialPolicy,
    RequestIdPolicy,
    RetryPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest, HttpResponse

from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.storage import errors_of
from nsgflow_core.web import azure_transport, time_limit

PAGE = 1000
"""The most rows of a page that Resource Graph gives."""

_GRAPH = "/providers/Microsoft.ResourceGraph/resources"
_GRAPH_VERSION = "2024-04-01"
_SUBSCRIPTIONS_VERSION = "2022-12-01"
_NETWORK_VERSION = "2024-05-01"
_FLOW_LOGS_VERSION = "2025-05-01"  # has recordTypes and enabledFilteringCriteria
_LOW_QUOTA = 1
"""With so few queries left, the rest of the window is left to others of the same identity."""
_SPAN = re.compile(r"(\d+):(\d\d):(\d\d)(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where a cloud's Resource Manager is: `audience` is who its tokens are for.

    `location` is any region of the cloud; its name goes into the address of the service tags,
    which are of the whole cloud all the same.
    """

    endpoint: str
    audience: str
    location: str


CLOUDS = {
    "AZURE_PUBLIC_CLOUD": Cloud(
        "https://management.azure.com", "https://management.azure.com", "westeurope"
    ),
    "AZURE_US_GOVERNMENT": Cloud(
        "https://management.usgovcloudapi.net",
        "https://management.usgovcloudapi.net",
        "usgovvirginia",
    ),
    "AZURE_CHINA_CLOUD": Cloud(
        "https://management.chinacloudapi.cn", "https://management.chinacloudapi.cn", "chinanorth3"
    ),
}
"""By the names that the Azure SDK's AZURE_CLOUD takes."""


class _Retries(RetryPolicy[HttpRequest, HttpResponse]):
    """Retries that end where the next would be past the deadline, whatever Retry-After says."""

    def __init__(self, deadline: float) -> None:
        super().__init__(retry_total=5, timeout=120)
        self._deadline = deadline

    def increment(self, settings: dict[str, Any], response: Any = None, error: Any = None) -> bool:
        """Whether there is another try; `response` is the request where there is an error."""
        more = super().increment(settings, response, error)
        wait = (self.get_retry_after(response) if error is None else None) or (
            self.get_backoff_time(settings)
        )
        return more and time.monotonic() + wait < self._deadline


class ResourceManager:
    """The Resource Manager of a cloud, until `deadline` (on the monotonic clock).

    Raises, at every call:
        TransientError: busy or out of reach, or the time ran out.
        RefusedError: it refused, and will again.
    """

    def __init__(self, cloud: Cloud, credential: TokenCredential, deadline: float) -> None:
        self._cloud = cloud
        self._deadline = deadline
        self._answered: HttpResponse | None = None
        scope = f"{cloud.audience}/.default"
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            cloud.endpoint,
            policies=[
                RequestIdPolicy(),
                UserAgentPolicy("nsgflow"),
                _Retries(deadline),
                BearerTokenCredentialPolicy(credential, scope),
            ],
            transport=azure_transport(),
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def query(self, query: str, page: int = PAGE) -> Iterator[dict[str, Any]]:
        """The rows of a Resource Graph query over everything that the identity may read.

        The query must order its rows: pages follow that order.
        """
        options: dict[str, Any] = {"$top": page, "resultFormat": "objectArray"}
        while True:
            # Also between queries: one may be a page long, and there are many.
            if self._answered is not None:
                self._pace(self._answered)
            response = self._answered = self._send(
                HttpRequest(
                    "POST",
                    f"{self._cloud.endpoint}{_GRAPH}",
                    params={"api-version": _GRAPH_VERSION},
                    json={"query": query, "options": options},
                ),
                "ask Resource Graph",
            )
            answer = response.json()
            yield from answer["data"]
            token = answer.get("$skipToken")
            if not token:
                if str(answer.get("resultTruncated")).lower() == "true":
                    raise RefusedError("Resource Graph cut an answer short and gave no next page")
                return
            options["$skipToken"] = token

    def service_tags(self) -> list[bytes]:
        """The pages of the cloud's service tags, as JSON."""
        subscriptions = self._get("/subscriptions", _SUBSCRIPTIONS_VERSION).json()["value"]
        if not subscriptions:
            raise RefusedError("service tags: the identity may read no subscription")
        path = (
            f"/subscriptions/{subscriptions[0]['subscriptionId']}/providers/Microsoft.Network"
            f"/locations/{self._cloud.location}/serviceTags"
        )
        return self._pages(path, _NETWORK_VERSION, "read the service tags")

    def flow_logs(self, watcher: str) -> list[dict[str, Any]]:
        """The flow logs of a Network Watcher (by id), as the REST API has them."""
        pages = self._pages(f"{watcher}/flowLogs", _FLOW_LOGS_VERSION, f"read {watcher}/flowLogs")
        return [entry for page in pages for entry in json.loads(page)["value"]]

    def _pages(self, path: str, version: str, what: str) -> list[bytes]:
        """A list and the pages behind its first, as JSON."""
        response = self._get(path, version)
        pages = [response.content]
        while link := response.json().get("nextLink"):
            # The token goes along: only to the address that it is for.
            if not str(link).startswith(f"{self._cloud.endpoint}/"):
                raise RefusedError(f"{what}: the next page is at another host")
            response = self._send(HttpRequest("GET", link), what)
            pages.append(response.content)
        return pages

    def _get(self, path: str, version: str) -> HttpResponse:
        request = HttpRequest(
            "GET", f"{self._cloud.endpoint}{path}", params={"api-version": version}
        )
        return self._send(request, f"read {path.rpartition('/')[2]}")

    def _send(self, request: HttpRequest, what: str) -> HttpResponse:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TransientError(f"{what}: the time given ran out")
        with errors_of(what), time_limit(left, what):
            try:
                response = self._client.send_request(
                    request,
                    connection_timeout=5,
                    read_timeout=60,
                    # A query changes nothing, so it may be sent again like any GET.
                    retry_on_methods=["GET", "POST"],
                )
                response.raise_for_status()
                response.json()
            except HttpResponseError as exc:
                if exc.status_code in (401, 403):
                    raise RefusedError(
                        f"{what}: {exc.status_code}; the identity needs the role Reader"
                    ) from exc
                raise
            except json.JSONDecodeError as exc:  # also where whoever signs in is answered so
                raise RefusedError(
                    f"{what}: the answer is not JSON, as if something stood between here and Azure"
                ) from exc
        return response

    def _pace(self, response: HttpResponse) -> None:
        """Wait for the next window of the quota when this one is nearly used up."""
        remaining = response.headers.get("x-ms-user-quota-remaining", "")
        span = _SPAN.fullmatch(response.headers.get("x-ms-user-quota-resets-after", ""))
        if span is None or not remaining.isdecimal() or int(remaining) > _LOW_QUOTA:
            return
        hours, minutes, seconds = map(int, span.groups())
        wait = hours * 3600 + minutes * 60 + seconds
        if time.monotonic() + wait >= self._deadline:
            raise TransientError("ask Resource Graph: its quota is used up")
        time.sleep(wait)
