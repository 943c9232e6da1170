"""Deploys infra/events.json, the compiled infra/events.bicep: what must wait for the code.

That is two event subscriptions for each topic, and the alert rules. It is a PUT of a deployment,
not seen on Azure: docs/unverified.md.

The template reads the app's key itself (listKeys), so the key is never in this process, in a
command line or in a log, and one right, that on the app's keys, is enough for whoever deploys.
"""

from __future__ import annotations

import json
import re
from typing import Any

from nsgflow_hooks.arm import Azure, deepest
from nsgflow_hooks.console import say
from nsgflow_hooks.environment import ROOT, Outputs, Source
from nsgflow_hooks.errors import AzureError, HookError

TEMPLATE = ROOT / "infra" / "events.json"
_VERSION = "2024-03-01"
_PAUSE = 5.0
_MOST_PAUSES = 360  # half an hour
_BETWEEN_TRIES = 30.0
# What passes by itself: the host starts, its key is loaded, roles come into force.
_PASSES = re.compile(
    r"validat|handshake|blobs_extension|LinkedAuthorization|503|Host|timed? ?out", re.IGNORECASE
)


def deploy(azure: Azure, deployed: Outputs, sources: list[Source], patience: float) -> None:
    """Subscribe the app to the topics of these accounts, and make the alert rules.

    Raises:
        HookError: Azure refuses, with its words and what may help.
    """
    if not sources and deployed.alert_rules is None:
        return
    if sources:
        say(f"Subscribing {deployed.app} to the events of {len(sources)} account(s) …")
    waited = 0.0
    while True:
        failure = _deploy_once(azure, deployed, sources)
        if not failure:
            if sources:
                say(f"Subscribed: new flow logs reach {deployed.app} as they are written.")
            return
        if waited >= patience or not _PASSES.search(failure):
            raise HookError(
                f"the event subscriptions were not made. Azure says: {failure}\nRoles take minutes "
                "to be in force and the app must answer Event Grid's handshake, so running this "
                "again may be enough: azd hooks run postdeploy. What is there already stays as it "
                "is, and the sweep delivers every five minutes."
            )
        say(f"Not yet ({failure[:120]}); trying again …")
        azure.sleep(_BETWEEN_TRIES)
        waited += _BETWEEN_TRIES


def _deploy_once(azure: Azure, deployed: Outputs, sources: list[Source]) -> str:
    """Why it failed, or nothing."""
    name = f"nsgflow-events-{deployed.app}"[:64]
    path = (
        f"/subscriptions/{deployed.subscription}/providers/Microsoft.Resources/deployments/{name}"
    )
    body = {
        "location": deployed.location,
        "properties": {
            "mode": "Incremental",
            "template": json.loads(TEMPLATE.read_text(encoding="utf-8")),
            "parameters": parameters(deployed, sources),
        },
    }
    try:
        deployment = azure.put(path, _VERSION, body)
        for _ in range(_MOST_PAUSES):
            if _state(deployment) in {"Succeeded", "Failed", "Canceled"}:
                break
            azure.sleep(_PAUSE)
            deployment = azure.get(path, _VERSION)
    except AzureError as error:
        return hide(str(error))
    if _state(deployment) == "Succeeded":
        return ""
    told = deployment["properties"].get("error") or {}
    return hide(deepest(told) or _state(deployment))


def parameters(deployed: Outputs, sources: list[Source]) -> dict[str, Any]:
    """The template's parameters."""
    values = {
        "appName": deployed.app,
        "resourceGroupName": deployed.group,
        "deadLetterStorageId": deployed.dead_letter_storage,
        "deadLetterContainer": deployed.dead_letter_container,
        "sources": [dict(source.given) for source in sources],
        "alertRules": deployed.alert_rules,
    }
    return {name: {"value": value} for name, value in values.items() if value is not None}


def _state(deployment: dict[str, Any]) -> str:
    if not isinstance(deployment.get("properties"), dict):
        raise AzureError(200, "", "the answer is no deployment")
    return str(deployment["properties"].get("provisioningState"))


def hide(text: str) -> str:
    """The text without a key that stands in a URL in it."""
    return re.sub(r"(?i)(code=)[^&\s\"']+", r"\1***", text)
