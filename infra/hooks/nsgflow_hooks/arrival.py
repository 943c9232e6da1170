"""Whether an event arrives, by Event Grid's own metrics.

They were not seen on Azure: docs/unverified.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from nsgflow_hooks.arm import Azure
from nsgflow_hooks.console import say
from nsgflow_hooks.environment import Outputs, Source
from nsgflow_hooks.errors import AzureError

_MATCHED, _DELIVERED, _FAILED = (
    "MatchedEventCount",
    "DeliverySuccessCount",
    "DeliveryAttemptFailCount",
)
_PAUSE = 15.0


def look(azure: Azure, deployed: Outputs, patience: float) -> str:
    """Wait for an event, and say whether one came, or why that cannot be known."""
    say(f"Waiting for an event, up to {patience:.0f} seconds (flow logs are written each minute) …")
    since = datetime.now(timezone.utc) - timedelta(minutes=5)
    waited = 0.0
    while True:
        counted = {_MATCHED: 0.0, _DELIVERED: 0.0, _FAILED: 0.0}
        try:
            for source in deployed.sources:
                for name, count in _counts(azure, source, deployed, since).items():
                    counted[name] = counted.get(name, 0.0) + count
        except AzureError as error:
            return f"Whether events arrive cannot be known: Event Grid's metrics say {error}"
        if counted[_DELIVERED]:
            return f"Events arrive: {counted[_DELIVERED]:.0f} delivered in the last minutes."
        if waited >= patience:
            return _none(counted)
        azure.sleep(_PAUSE)
        waited += _PAUSE


def _none(counted: dict[str, float]) -> str:
    if counted[_FAILED]:
        return (
            f"Events do not arrive: {counted[_FAILED]:.0f} deliveries failed. See the topic's "
            "metric Delivery Failed Events by Error Type; right after the first start some are "
            "refused while the app loads its key; the sweep delivers their blobs."
        )
    if counted[_MATCHED]:
        return "Events were matched and are on their way; metrics are minutes late."
    return (
        "Whether events arrive cannot be known yet: none was matched. Either no flow log wrote "
        "since, or metrics are late (up to five minutes). See the topic's metric Delivered Events."
    )


def _counts(azure: Azure, source: Source, deployed: Outputs, since: datetime) -> dict[str, float]:
    now = datetime.now(timezone.utc)
    answer = azure.get(
        f"{source.topic_id}/providers/Microsoft.Insights/metrics",
        "2024-02-01",
        metricnames=f"{_MATCHED},{_DELIVERED},{_FAILED}",
        timespan=f"{since:%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}",
        interval="PT1M",
        aggregation="Total",
        **{"$filter": "EventSubscriptionName eq '*'"},
    )
    metrics = answer.get("value")
    if not isinstance(metrics, list):
        raise AzureError(200, "", "nothing that can be read")
    return {
        str((metric.get("name") or {}).get("value")): sum(
            float(point.get("total") or 0)
            for series in metric.get("timeseries") or []
            if _of_app(series, deployed)
            for point in series.get("data") or []
        )
        for metric in metrics
    }


def _of_app(series: dict[str, Any], deployed: Outputs) -> bool:
    """Whether the series is of one of our subscriptions; others may share the topic."""
    names = [str(at.get("value")).lower() for at in series.get("metadatavalues") or []]
    return not names or any(name.startswith(f"{deployed.app.lower()}-") for name in names)
