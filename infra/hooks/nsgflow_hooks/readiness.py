"""Whether the app runs: its functions are indexed, and a sweep has read each account."""

from __future__ import annotations

from typing import Any

from nsgflow_hooks.arm import Azure
from nsgflow_hooks.console import item, say
from nsgflow_hooks.environment import Outputs
from nsgflow_hooks.errors import AzureError, HookError

SITES = "2025-03-01"
_PAUSE = 10.0
# That lines are asked of Application Insights so was not seen on Azure: docs/unverified.md.
_SWEEPS = """AppTraces
| where TimeGenerated > ago(1h) and Message startswith '{"event":"nsgflow.sweep"'
| extend Line = parse_json(Message)
| summarize arg_max(TimeGenerated, Line) by Connection = tostring(Line.connection)
| project Connection, Unreached = toint(Line.unreached), FirstError = tostring(Line.firstError)"""
_EXCEPTIONS = """AppExceptions
| where TimeGenerated > ago(1h)
| summarize Times = count(), Last = max(TimeGenerated) by Text = InnermostMessage
| top 3 by Last"""


def functions(azure: Azure, deployed: Outputs) -> set[str]:
    """Names of the app's functions, as the host has indexed them."""
    found = azure.pages(f"{deployed.app_id}/functions", SITES)
    return {str(function.get("name")).rpartition("/")[2] for function in found}


def wait_for_functions(
    azure: Azure, deployed: Outputs, expected: set[str], patience: float
) -> set[str]:
    """Wait until every function is there; the functions.

    Raises:
        HookError: they are not, with what is known of why.
    """
    waited = 0.0
    while True:
        trouble = ""
        try:
            found = functions(azure, deployed)
        except AzureError as error:
            found, trouble = set(), f" ({error})"
        missing = sorted(expected - found)
        if not missing:
            return found
        if waited >= patience:
            break
        if waited == 0.0:
            say(f"Waiting for the functions of {deployed.app}, up to {patience:.0f} seconds …")
        azure.sleep(_PAUSE)
        waited += _PAUSE
    reasons = unresolved(azure, deployed) + _exceptions(azure, deployed)
    raise HookError(
        f"the app {deployed.app} does not have the functions {', '.join(missing)}{trouble}.\n"
        + "\n".join(
            reasons
            or [item("Nothing is known of why: see Diagnose and solve problems of the app.")]
        )
        + "\nThen: azd deploy"
    )


def unresolved(azure: Azure, deployed: Outputs) -> list[str]:
    """Settings whose secret App Service could not get; the app then sees the reference's text.

    The API was not seen on a Flex Consumption plan: docs/unverified.md.
    """
    try:
        answer = azure.get(f"{deployed.app_id}/config/configreferences/appsettings", SITES)
    except AzureError as error:
        return [item(f"Whether the app's Key Vault references are resolved is not known: {error}")]
    refresh = (
        f"az rest --method post --url https://management.azure.com{deployed.app_id}"
        f"/config/configreferences/appsettings/refresh?api-version={SITES}"
    )
    return [
        item(
            f"The setting {name} is an unresolved Key Vault reference ({status}: {details}). Its "
            "role takes minutes to be in force, and a failure is remembered. Resolve it again:",
            refresh,
        )
        for name, status, details in _references(answer)
        if status not in {"Resolved", "Initialized"}
    ]


def _references(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, status and details of each reference.

    The collection comes as value, and as properties.keyToReferenceStatuses in older versions.
    """
    found = [
        (str(at.get("name")), at.get("properties"))
        for at in answer.get("value") or []
        if isinstance(at, dict)
    ]
    older = (answer.get("properties") or {}).get("keyToReferenceStatuses") or {}
    found += list(older.items())
    return [
        (name, str(at.get("status")), " ".join(str(at.get("details") or "").split()))
        for name, at in found
        if isinstance(at, dict)
    ]


def insights(azure: Azure, deployed: Outputs) -> str:
    """Resource id of the app's Application Insights: as the outputs say, or that of its group.

    Raises:
        AzureError: it cannot be found.
    """
    rules = deployed.alert_rules
    if isinstance(rules, dict) and rules.get("insightsId"):
        return str(rules["insightsId"])
    for found in azure.pages(
        f"{deployed.group_id}/resources",
        "2021-04-01",
        **{"$filter": "resourceType eq 'Microsoft.Insights/components'"},
    ):
        return str(found.get("id"))
    raise AzureError(0, "", f"{deployed.group} has no Application Insights")


def _exceptions(azure: Azure, deployed: Outputs) -> list[str]:
    """What the app itself said last."""
    try:
        rows = azure.query_logs(insights(azure, deployed), _EXCEPTIONS)
    except AzureError as error:
        return [item(f"What the app itself says is not known: {error}")]
    return [item(f"The app says: {' '.join(str(row.get('Text')).split())[:600]}") for row in rows]


def wait_for_sweeps(azure: Azure, deployed: Outputs, patience: float) -> dict[str, str]:
    """Wait until a sweep has read each account; connections that none has read, and why.

    With the blob trigger the host itself looks at each blob, and where an account refuses, the
    host stops for all accounts. The sweep meets the same refusal and only says so.
    """
    waited = 0.0
    while True:
        refused = _sweeps(azure, deployed)
        if not refused or waited >= patience:
            return refused
        if waited == 0.0:
            say(
                "Waiting until a sweep has read each account (every five minutes, and roles take "
                f"minutes to be in force), up to {patience:.0f} seconds …"
            )
        azure.sleep(_PAUSE)
        waited += _PAUSE


def _sweeps(azure: Azure, deployed: Outputs) -> dict[str, str]:
    why_none = "no sweep has told of it yet; lines take minutes to arrive"
    try:
        rows = azure.query_logs(insights(azure, deployed), _SWEEPS)
    except AzureError as error:
        rows = []
        # Until the first line the table is not there, and the query is an error.
        if error.code not in {"BadArgumentError", "SemanticError"} and "AppTraces" not in str(
            error
        ):
            why_none = (
                f"its lines cannot be read ({error}); reading them takes Monitoring Reader on the "
                "resource group. To subscribe unchecked: azd env set NSGFLOW_SUBSCRIBE unchecked"
            )
    last = {str(row.get("Connection")): row for row in rows}
    refused = {}
    for source in deployed.sources:
        row = last.get(source.connection)
        if row is None:
            refused[source.connection] = why_none
        elif row.get("Unreached"):
            refused[source.connection] = (
                f"its last sweep could not read it: {row.get('FirstError')}"
            )
    return refused
