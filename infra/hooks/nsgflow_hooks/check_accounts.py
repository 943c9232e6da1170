"""The flow-log accounts: kind, firewall, and the system topic that one may have already."""

from __future__ import annotations

from typing import Any

from nsgflow_hooks.arm import Azure
from nsgflow_hooks.environment import Wishes
from nsgflow_hooks.errors import AzureError
from nsgflow_hooks.findings import Finding, Findings
from nsgflow_hooks.names import Account, parts, same

_EVENT_KINDS = {"StorageV2", "BlobStorage", "BlockBlobStorage"}


def look(azure: Azure, wished: Wishes, findings: Findings) -> list[dict[str, object]]:
    """Look at each account; the accounts as they should be given, topics that exist included."""
    topics: dict[str, list[dict[str, Any]]] = {}
    accounts = []
    for account in wished.accounts:
        _account(azure, account, wished, findings)
        if account.subscription not in topics:
            topics[account.subscription] = _topics(azure, account.subscription, findings)
        accounts.append(_with_topic(account, topics[account.subscription], wished, findings))
    if not wished.queue:
        _advise(wished, findings)
    return accounts


def _account(azure: Azure, account: Account, wished: Wishes, findings: Findings) -> None:
    try:
        found = azure.get(account.resource_id, "2024-01-01")
    except AzureError as error:
        if error.code in {"ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound"}:
            findings.stop(
                f"There is no storage account {account.name} in {account.group} of subscription "
                f"{account.subscription}, or you may not see it.",
                f"az storage account list --subscription {account.subscription} "
                "--query [].id --output tsv",
            )
        else:
            findings.not_known(f"The storage account {account.name}: {error}")
        return
    kind = str(found.get("kind"))
    if kind not in _EVENT_KINDS:
        findings.stop(
            f"The storage account {account.name} is of the kind {kind}, which sends no events. "
            "Upgrade it (this cannot be undone, and changes prices):",
            f"az storage account update --ids {account.resource_id} "
            "--upgrade-to-storagev2 --access-tier Hot",
        )
    _firewall(account, found.get("properties") or {}, wished, findings)


def _firewall(
    account: Account, properties: dict[str, Any], wished: Wishes, findings: Findings
) -> None:
    rules = properties.get("networkAcls") or {}
    shut = properties.get("publicNetworkAccess") in {"Disabled", "SecuredByPerimeter"}
    firewall = rules.get("defaultAction") == "Deny"
    if not (shut or firewall):
        return
    if "AzureServices" not in str(rules.get("bypass")):
        findings.stop(
            f"The firewall of {account.name} lets no trusted Azure services in, so neither flow "
            "logs nor Event Grid reach it.",
            f"az storage account update --ids {account.resource_id} --bypass AzureServices",
        )
    if not wished.private:
        findings.stop(
            f"The firewall of {account.name} keeps the app out: Flex Consumption has no addresses "
            "that a firewall could let in. Reach it by private endpoint:",
            "azd env set NSGFLOW_PRIVATE_NETWORKING true",
        )


def _topics(azure: Azure, subscription: str, findings: Findings) -> list[dict[str, Any]]:
    try:
        path = f"/subscriptions/{subscription}/providers/Microsoft.EventGrid/systemTopics"
        return list(azure.pages(path, "2025-02-15"))
    except AzureError as error:
        findings.not_known(
            f"Whether an account in subscription {subscription} has a system topic already: {error}"
        )
        return []


def _with_topic(
    account: Account, topics: list[dict[str, Any]], wished: Wishes, findings: Findings
) -> dict[str, object]:
    """The account's item with the topic that it has: an account can have only one."""
    topic = next(
        (
            topic
            for topic in topics
            if same(str((topic.get("properties") or {}).get("source")), account.resource_id)
        ),
        None,
    )
    given = dict(account.given)
    if topic is None:
        if given.get("systemTopicName"):
            findings.stop(
                f"The system topic {given['systemTopicName']} of {account.name} is not there. "
                "Take systemTopicName out of NSGFLOW_FLOW_LOG_ACCOUNTS: it is then made."
            )
        return given
    ours = (topic.get("tags") or {}).get("azd-env-name") == wished.name
    name, identity = (
        str(topic.get("name")),
        "SystemAssigned" in str((topic.get("identity") or {}).get("type")),
    )
    group = parts(str(topic.get("id"))).get("resourcegroups", account.group)
    if wished.queue and not identity:
        findings.stop(
            f"The system topic {name} of {account.name} has no identity, by which it would write "
            "to the queue. Give it one:",
            f"az eventgrid system-topic update --name {name} --resource-group {group} "
            f"--subscription {account.subscription} --identity systemassigned",
        )
    if ours and not given.get("systemTopicName"):
        return given
    right = {"systemTopicName": name, "systemTopicHasIdentity": identity}
    if group.lower() != account.group.lower():
        right["systemTopicResourceGroup"] = group
    if any(given.get(key) != value for key, value in right.items()):
        given.update(right)
        findings.done.append(
            Finding(
                f"{account.name} has the system topic {name} already, and can have only one. It is "
                "used: NSGFLOW_FLOW_LOG_ACCOUNTS says so now. It is not changed, and stays when "
                "nsgflow goes."
            )
        )
    if not identity:
        findings.mislead(
            f"The system topic {name} of {account.name} has no identity: events that cannot be "
            "delivered for a day are dropped. The sweep delivers their blobs anyway."
        )
    return given


def _advise(wished: Wishes, findings: Findings) -> None:
    """With the blob trigger one account that refuses stops the host, and so all accounts."""
    elsewhere = [at.name for at in wished.accounts if at.subscription != wished.subscription]
    if len(wished.accounts) > 1 or elsewhere:
        findings.mislead(
            f"{len(wished.accounts)} account(s)"
            + (f", {', '.join(elsewhere)} in other subscriptions" if elsewhere else "")
            + ". With the blob trigger, one account that begins to refuse (a firewall, a role "
            "taken away) stops the events of all until it is mended. Events by queue do not have "
            "this: docs/deployment.md, Events by queue.",
            "azd env set NSGFLOW_TRIGGER_SOURCE Queue",
        )
