"""Whether whoever is signed in may make what the templates make."""

from __future__ import annotations

import re
from typing import Any

from nsgflow_hooks.arm import Azure
from nsgflow_hooks.environment import Wishes
from nsgflow_hooks.errors import AzureError
from nsgflow_hooks.findings import Findings
from nsgflow_hooks.names import parts

_DEPLOY = "Microsoft.Resources/deployments/write"
_ASSIGN = "Microsoft.Authorization/roleAssignments/write"
_CONTRIBUTOR = "Contributor"
_LOGS = "Log Analytics Contributor"
_ACCESS = "Role Based Access Control Administrator"


def look(azure: Azure, wished: Wishes, findings: Findings) -> None:
    """Look at the rights in every place that the deployment writes to."""
    own = f"/subscriptions/{wished.subscription}"
    _may(
        azure,
        own,
        "nsgflow's subscription",
        {
            _DEPLOY: _CONTRIBUTOR,
            "Microsoft.Resources/subscriptions/resourceGroups/write": _CONTRIBUTOR,
            "Microsoft.Web/sites/write": _CONTRIBUTOR,
            _ASSIGN: _ACCESS,
        },
        findings,
    )
    for group in sorted({_group_of(account.resource_id) for account in wished.accounts}):
        _may(
            azure,
            group,
            f"the flow logs' resource group {group.rpartition('/')[2]}",
            {
                _DEPLOY: _CONTRIBUTOR,
                "Microsoft.EventGrid/systemTopics/write": _CONTRIBUTOR,
                "Microsoft.EventGrid/systemTopics/eventSubscriptions/write": _CONTRIBUTOR,
                _ASSIGN: _ACCESS,
            },
            findings,
        )
    if wished.workspace:
        _may(
            azure,
            _group_of(wished.workspace),
            "the workspace's resource group",
            {
                _DEPLOY: _LOGS,
                "Microsoft.OperationalInsights/workspaces/tables/write": _LOGS,
            },
            findings,
        )
    for subscription in wished.inventory:
        if subscription != wished.subscription:
            _inventory(azure, subscription, findings)


def _group_of(resource_id: str) -> str:
    named = parts(resource_id)
    return (
        f"/subscriptions/{named.get('subscriptions', '')}"
        f"/resourceGroups/{named.get('resourcegroups', '')}"
    )


def _may(azure: Azure, scope: str, where: str, needed: dict[str, str], findings: Findings) -> None:
    try:
        missing = _missing(azure, scope, list(needed))
    except AzureError as error:
        findings.not_known(f"What you may do in {where}: {error}")
        return
    if missing:
        roles = list(dict.fromkeys(needed[action] for action in missing))
        findings.stop(
            f"In {where} you may not {', '.join(missing)}. An owner gives you the right:",
            "\n".join(
                f'az role assignment create --assignee YOU --role "{role}" --scope {scope}'
                for role in roles
            ),
        )


def _inventory(azure: Azure, subscription: str, findings: Findings) -> None:
    try:
        missing = _missing(azure, f"/subscriptions/{subscription}", [_DEPLOY, _ASSIGN])
    except AzureError as error:
        findings.not_known(f"What you may do in subscription {subscription}: {error}")
        return
    if missing:
        findings.stop(
            f"The app is to read names in subscription {subscription}, where you may not "
            f"{', '.join(missing)}. Leave the role to an owner, for whom the deployment prints the "
            "command:",
            "azd env set NSGFLOW_INVENTORY_ROLES_ENABLED false",
        )


def _missing(azure: Azure, scope: str, actions: list[str]) -> list[str]:
    """The actions that no role gives, at this scope or above.

    Not seen on Azure: docs/unverified.md.
    """
    path = f"{scope}/providers/Microsoft.Authorization/permissions"
    permissions = list(azure.pages(path, "2022-04-01"))
    return [action for action in actions if not any(_gives(at, action) for at in permissions)]


def _gives(permission: dict[str, Any], action: str) -> bool:
    return _listed(permission.get("actions"), action) and not _listed(
        permission.get("notActions"), action
    )


def _listed(patterns: object, action: str) -> bool:
    """Whether one of the patterns, in which * stands for anything, is the action."""
    return isinstance(patterns, list) and any(
        re.fullmatch(re.escape(str(at)).replace(r"\*", ".*"), action, re.IGNORECASE)
        for at in patterns
    )
