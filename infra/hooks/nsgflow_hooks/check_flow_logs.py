"""The flow logs that write to the accounts: none, twice the same, or filtered at their source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nsgflow_hooks.arm import Azure
from nsgflow_hooks.errors import AzureError
from nsgflow_hooks.findings import Findings
from nsgflow_hooks.names import Account, same

_MOST_LOOKED_AT = 100
# The first version whose answers have recordTypes.
_VERSION = "2025-07-01"
_FLOW_LOGS = """resources
| where type =~ 'microsoft.network/networkwatchers/flowlogs'
| project id, name, properties
| order by tolower(id) asc"""
_NSGS = """resources
| where type =~ 'microsoft.network/networksecuritygroups'
| project id, subnets = properties.subnets
| order by tolower(id) asc"""

_NICS = """resources
| where type =~ 'microsoft.network/networkinterfaces'
| where isnotempty(properties.networkSecurityGroup.id)
| project id, nsg = properties.networkSecurityGroup.id, configurations = properties.ipConfigurations
| order by tolower(id) asc"""


@dataclass(frozen=True)
class FlowLog:
    """A flow log.

    Attributes:
        target: what it logs: an NSG, or a virtual network, subnet or NIC.
        filtered: how it is filtered at its source; empty when it is not.
    """

    resource_id: str
    name: str
    storage_id: str
    target: str
    enabled: bool
    filtered: str = ""

    @property
    def of_nsg(self) -> bool:
        """Whether it logs an NSG: one of the kind that retires in 2027."""
        return "/networksecuritygroups/" in self.target.lower()


def all_flow_logs(azure: Azure) -> list[FlowLog]:
    """Every flow log that one may read, of every subscription.

    That Resource Graph has them so was not seen on Azure: docs/unverified.md.

    Raises:
        AzureError: Resource Graph does not answer.
    """
    return [_flow_log(row) for row in azure.graph(_FLOW_LOGS)]


def look(azure: Azure, accounts: tuple[Account, ...], findings: Findings) -> None:
    """Look at the flow logs of each account."""
    try:
        logs = all_flow_logs(azure)
    except AzureError as error:
        findings.not_known(f"Which flow logs write to the accounts: {error}")
        return
    for account in accounts:
        mine = [log for log in logs if same(log.storage_id, account.resource_id)]
        enabled = [log for log in mine if log.enabled]
        if not mine:
            findings.mislead(
                f"No flow log that you can read writes to {account.name}; the app would have "
                "nothing to do there. Make one:",
                "az network watcher flow-log create --name NAME --location REGION "
                f"--vnet VNET_ID --storage-account {account.resource_id}",
            )
        elif not enabled:
            findings.mislead(
                f"Every flow log that writes to {account.name} is disabled.",
                f"az resource update --ids {mine[0].resource_id} --set properties.enabled=true",
            )
        _filtered(azure, account, enabled, findings)
    _twice(azure, [log for log in logs if log.enabled], accounts, findings)


def _flow_log(resource: dict[str, Any]) -> FlowLog:
    properties = resource.get("properties") or {}
    filters = [
        f"{name} {properties[name]}"
        for name in ("recordTypes", "enabledFilteringCriteria")
        if properties.get(name)
    ]
    return FlowLog(
        resource_id=str(resource.get("id") or ""),
        name=str(resource.get("name") or ""),
        storage_id=str(properties.get("storageId") or ""),
        target=str(properties.get("targetResourceId") or ""),
        enabled=bool(properties.get("enabled")),
        filtered=", ".join(filters),
    )


def _filtered(azure: Azure, account: Account, logs: list[FlowLog], findings: Findings) -> None:
    """Resource Graph need not know of filters, so each log is asked for them."""
    filtered = []
    for log in logs[:_MOST_LOOKED_AT]:
        try:
            asked = replace(log, filtered=_flow_log(azure.get(log.resource_id, _VERSION)).filtered)
        except AzureError as error:
            findings.not_known(f"Whether the flow log {log.name} is filtered: {error}")
            asked = log
        if asked.filtered or log.filtered:
            filtered.append(f"{log.name} ({asked.filtered or log.filtered})")
    if filtered:
        findings.mislead(
            f"Flow logs of {account.name} are filtered at their source: {', '.join(filtered)}. "
            "What they leave out nobody has, nsgflow included. While a filter is on, Rule Impact "
            "Analyzer leaves that network out, and a later review of rules (which are used, what a "
            "change would break) has nothing to go by."
        )


def _twice(
    azure: Azure, logs: list[FlowLog], accounts: tuple[Account, ...], findings: Findings
) -> None:
    """What is logged by its NSG and by its VNet is written, paid for and told of twice."""
    ours = [log for log in logs if any(same(log.storage_id, at.resource_id) for at in accounts)]
    nsgs = {log.target.lower(): log for log in ours if log.of_nsg}
    others = {log.target.lower(): log for log in ours if not log.of_nsg and log.target}
    if not nsgs or not others:
        return
    try:
        places = _places(azure)
    except AzureError as error:
        findings.not_known(f"Whether a network is logged by NSG and by VNet: {error}")
        return
    pairs = [
        (nsgs[nsg], others[target])
        for nsg, targets in places
        if nsg in nsgs
        for target in targets
        if target in others
    ]
    if pairs:
        named = ", ".join(dict.fromkeys(f"{one.name} and {two.name}" for one, two in pairs))
        findings.mislead(
            f"Networks are logged twice, by NSG and by VNet: {named}. Each flow is written, paid "
            "for and delivered twice. NSG flow logs retire on 30 September 2027; when the VNet "
            "log's rows look right, disable the other:",
            "\n".join(
                f"az resource update --ids {at} --set properties.enabled=false"
                for at in dict.fromkeys(one.resource_id for one, _ in pairs)
            ),
        )


def _places(azure: Azure) -> list[tuple[str, list[str]]]:
    """Each NSG with what a flow log of another kind may name for the same traffic, lower case.

    For a subnet's NSG that is the subnet and its network; for a NIC's the NIC too.
    """
    places = [
        (str(row.get("id")).lower(), _subnet(subnet))
        for row in azure.graph(_NSGS)
        for subnet in row.get("subnets") or []
    ]
    for row in azure.graph(_NICS):
        for configuration in row.get("configurations") or []:
            subnet = (configuration.get("properties") or {}).get("subnet") or {}
            nic = str(row.get("id")).lower()
            places.append((str(row.get("nsg")).lower(), [nic, *_subnet(subnet)]))
    return places


def _subnet(subnet: dict[str, Any]) -> list[str]:
    """A subnet and its network."""
    resource_id = str(subnet.get("id")).lower()
    return [resource_id, resource_id.partition("/subnets/")[0]]
