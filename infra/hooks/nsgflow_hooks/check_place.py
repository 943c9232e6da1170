"""Providers, region and resource group."""

from __future__ import annotations

from nsgflow_hooks.arm import Azure
from nsgflow_hooks.environment import Wishes
from nsgflow_hooks.errors import AzureError
from nsgflow_hooks.findings import Findings

_PROVIDERS = (
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "Microsoft.Web",
)
_PRIVATE_PROVIDERS = ("Microsoft.App", "Microsoft.Network")
_GROUPS_VERSION = "2021-04-01"


def look(azure: Azure, wished: Wishes, findings: Findings) -> None:
    """Look at the providers and the region."""
    needed = {
        (wished.subscription, name)
        for name in _PROVIDERS + (_PRIVATE_PROVIDERS if wished.private else ())
    } | {(account.subscription, "Microsoft.EventGrid") for account in wished.accounts}
    for subscription, name in sorted(needed):
        _provider(azure, subscription, name, findings)
    _region(azure, wished, findings)


def _provider(azure: Azure, subscription: str, name: str, findings: Findings) -> None:
    try:
        answer = azure.get(f"/subscriptions/{subscription}/providers/{name}", _GROUPS_VERSION)
    except AzureError as error:
        findings.not_known(f"Whether {name} is registered in subscription {subscription}: {error}")
        return
    state = str(answer.get("registrationState"))
    if state not in {"Registered", "Registering"}:
        findings.stop(
            f"The resource provider {name} is not registered in subscription {subscription}.",
            f"az provider register --wait --namespace {name} --subscription {subscription}",
        )


def _region(azure: Azure, wished: Wishes, findings: Findings) -> None:
    # Not seen on Azure: docs/unverified.md. An empty list stops nothing.
    try:
        regions = azure.pages(
            f"/subscriptions/{wished.subscription}/providers/Microsoft.Web/geoRegions",
            "2024-11-01",
            sku="FlexConsumption",
        )
        names = sorted({_plain(str(region.get("name"))) for region in regions})
    except AzureError as error:
        findings.not_known(f"Which regions have Flex Consumption: {error}")
        return
    if names and _plain(wished.location) not in names:
        findings.stop(
            f"The region {wished.location} has no Flex Consumption plan. These have: "
            f"{', '.join(names)}. Or see: az functionapp list-flexconsumption-locations",
            "azd env set AZURE_LOCATION REGION",
        )


def _plain(region: str) -> str:
    """Westeurope for West Europe."""
    return "".join(region.lower().split())


def group_exists(azure: Azure, wished: Wishes, findings: Findings) -> bool:
    """Whether the resource group is somebody else's, which keeps its region and tags."""
    name = wished.group or f"rg-{wished.name}"
    try:
        group = azure.get(
            f"/subscriptions/{wished.subscription}/resourceGroups/{name}", _GROUPS_VERSION
        )
    except AzureError as error:
        if error.code == "ResourceGroupNotFound":
            if wished.group_exists:
                findings.stop(
                    f"There is no resource group {name}, which NSGFLOW_RESOURCE_GROUP_EXISTS says "
                    "there is.",
                    f"az group create --name {name} --location {wished.location} "
                    f"--subscription {wished.subscription}",
                )
        elif error.code != "AuthorizationFailed":
            findings.not_known(f"Whether the resource group {name} is there: {error}")
        return wished.group_exists
    if (group.get("tags") or {}).get("azd-env-name") == wished.name:
        return wished.group_exists
    if not wished.group:
        findings.stop(
            f"There is a resource group {name} already, which this environment did not make. "
            "Say that it is to be used, or choose another:",
            f"azd env set NSGFLOW_RESOURCE_GROUP_NAME {name}",
        )
        return wished.group_exists
    return True
