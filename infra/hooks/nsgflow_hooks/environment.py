"""What azd hands a hook: the variables of its environment, outputs of the deployment included."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nsgflow_hooks.app_values import GUID
from nsgflow_hooks.errors import HookError
from nsgflow_hooks.names import Account, account, parts
from nsgflow_hooks.variables import is_false, is_true
from nsgflow_hooks.variables import problems as variable_problems

ROOT = Path(__file__).parents[3]
QUEUE = "Queue"


@dataclass(frozen=True)
class Source:
    """A system topic that the app is subscribed to: an element of NSGFLOW_EVENT_SOURCES."""

    connection: str
    subscription: str
    group: str
    topic: str
    given: Mapping[str, object]

    @property
    def topic_id(self) -> str:
        """Resource id of the topic."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.EventGrid/systemTopics/{self.topic}"
        )


@dataclass(frozen=True)
class Outputs:
    """What was deployed.

    Attributes:
        sources: every topic, with its connection.
        queue: whether events come by queue.
        workbook, workspace: resource ids; empty where there is none.
        alert_rules: the rules to make after the code, as main.bicep puts them out; None for none.
        commands: what somebody with more rights is to run for the inventory.
    """

    subscription: str
    location: str
    group: str
    app: str
    sources: tuple[Source, ...]
    dead_letter_storage: str
    dead_letter_container: str
    queue: bool = False
    events_queue: str = "nsgflow-events"
    workbook: str = ""
    workspace: str = ""
    alert_rules: object = None
    commands: tuple[str, ...] = ()

    @property
    def group_id(self) -> str:
        """Resource id of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def app_id(self) -> str:
        """Resource id of the app."""
        return f"{self.group_id}/providers/Microsoft.Web/sites/{self.app}"

    @property
    def connections(self) -> list[str]:
        """Names of the connections."""
        return [source.connection for source in self.sources]


@dataclass(frozen=True)
class Wishes:
    """What is to be deployed.

    Attributes:
        inventory: subscriptions that the deployment assigns Reader on.
        problems: what is wrong with the list of accounts.
        unreadable: what is wrong with other variables, and a value that would do.
    """

    subscription: str
    location: str
    name: str
    accounts: tuple[Account, ...] = ()
    group: str = ""
    group_exists: bool = False
    workspace: str = ""
    private: bool = False
    queue: bool = False
    inventory: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())
    unreadable: tuple[tuple[str, str], ...] = field(default=())


def wishes(environ: Mapping[str, str]) -> Wishes:
    """What azd is about to deploy.

    Raises:
        HookError: it was not azd that ran the hook.
    """
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_LOCATION", "AZURE_ENV_NAME"):
        if not environ.get(name):
            raise HookError(f"{name} is not set. Run this with: azd hooks run preprovision")
    accounts, problems = _accounts(environ.get("NSGFLOW_FLOW_LOG_ACCOUNTS", ""))
    return Wishes(
        subscription=environ["AZURE_SUBSCRIPTION_ID"],
        location=environ["AZURE_LOCATION"],
        name=environ["AZURE_ENV_NAME"],
        accounts=tuple(accounts),
        group=environ.get("NSGFLOW_RESOURCE_GROUP_NAME", ""),
        workspace=environ.get("NSGFLOW_WORKSPACE", ""),
        group_exists=is_true(environ.get("NSGFLOW_RESOURCE_GROUP_EXISTS")),
        private=is_true(environ.get("NSGFLOW_PRIVATE_NETWORKING"))
        or bool(environ.get("NSGFLOW_APP_SUBNET_ID")),
        queue=environ.get("NSGFLOW_TRIGGER_SOURCE", "") == QUEUE,
        inventory=tuple(_inventory(environ, accounts)),
        problems=tuple(problems),
        unreadable=tuple(variable_problems(environ)),
    )


def _inventory(environ: Mapping[str, str], accounts: list[Account]) -> list[str]:
    """Subscriptions only: on management groups somebody assigns Reader by hand."""
    for name in ("NSGFLOW_INVENTORY_ENABLED", "NSGFLOW_INVENTORY_ROLES_ENABLED"):
        if is_false(environ.get(name)):
            return []
    named = _strings(environ.get("NSGFLOW_INVENTORY_SCOPES"))
    return sorted(_subscriptions(named or [account.subscription for account in accounts]))


def _subscriptions(scopes: Iterable[str]) -> set[str]:
    """As infra/checks.bicep reads them: a subscription by its GUID or by its resource id."""
    found = {at.lower().removeprefix("/subscriptions/").strip("/") for at in scopes}
    return {at for at in found if re.fullmatch(GUID, at)}


def elsewhere(environ: Mapping[str, str]) -> set[str]:
    """Subscriptions, in lower case, of what the app's identity may have roles on by parameters.

    That is the inventory, the Key Vault of its secrets and its Application Insights.
    """
    ids = [
        environ.get(name, "")
        for name in ("NSGFLOW_WEBHOOK_VAULT_ID", "NSGFLOW_APPLICATION_INSIGHTS_ID")
    ]
    found = _subscriptions(_strings(environ.get("NSGFLOW_INVENTORY_SCOPES")))
    return found | {
        parts(at)["subscriptions"].lower() for at in ids if "subscriptions" in parts(at)
    }


def _accounts(text: str) -> tuple[list[Account], list[str]]:
    if not text.strip():
        return [], []
    try:
        items = json.loads(text)
    except ValueError as error:
        return [], [f"it is no JSON ({error}); a shell may have eaten the quotes"]
    if not isinstance(items, list):
        return [], ["it is no JSON list"]
    found = [account(item, index) for index, item in enumerate(items)]
    accounts = [item for item in found if isinstance(item, Account)]
    problems = [item for item in found if isinstance(item, str)]
    for what, names in (
        ("an account is there twice:", [item.resource_id.lower() for item in accounts]),
        ("two accounts are named", [item.connection.lower() for item in accounts]),
    ):
        problems += [f"{what} {at}" for at in sorted(set(names)) if names.count(at) > 1]
    return accounts, problems


_REQUIRED = (
    "AZURE_LOCATION",
    "AZURE_RESOURCE_GROUP",
    "AZURE_FUNCTION_APP_NAME",
    "NSGFLOW_DEAD_LETTER_STORAGE_ID",
    "NSGFLOW_DEAD_LETTER_CONTAINER",
    "NSGFLOW_EVENT_SOURCES",
)


def outputs(values: Mapping[str, object], subscription: str, how: str) -> Outputs:
    """What was deployed, from azd's variables or a deployment's outputs.

    Args:
        values: names and values; a list may be JSON text.
        subscription: the deployment's.
        how: what to run instead where something is missing.

    Raises:
        HookError: an output is missing, or is not as main.bicep writes it.
    """
    missing = [name for name in _REQUIRED if not values.get(name)]
    if not subscription:
        missing.append("AZURE_SUBSCRIPTION_ID")
    if missing:
        raise HookError(f"not set: {', '.join(missing)}. {how}")
    text = {name: str(value or "") for name, value in values.items()}
    return Outputs(
        subscription=subscription,
        location=text["AZURE_LOCATION"],
        group=text["AZURE_RESOURCE_GROUP"],
        app=text["AZURE_FUNCTION_APP_NAME"],
        sources=tuple(_sources(values["NSGFLOW_EVENT_SOURCES"])),
        dead_letter_storage=text["NSGFLOW_DEAD_LETTER_STORAGE_ID"],
        dead_letter_container=text["NSGFLOW_DEAD_LETTER_CONTAINER"],
        queue=text.get("NSGFLOW_TRIGGER_SOURCE") == QUEUE,
        events_queue=text.get("NSGFLOW_EVENTS_QUEUE") or "nsgflow-events",
        workbook=text.get("NSGFLOW_WORKBOOK_ID", ""),
        workspace=text.get("NSGFLOW_WORKSPACE_RESOURCE_ID", ""),
        alert_rules=_json(values.get("NSGFLOW_ALERT_RULES")),
        commands=tuple(_strings(values.get("NSGFLOW_INVENTORY_COMMANDS"))),
    )


def _json(value: object) -> object:
    """An output, which azd hands over as text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _strings(value: object) -> list[str]:
    listed = _json(value)
    return [str(at) for at in listed] if isinstance(listed, list) else []


def _sources(value: object) -> list[Source]:
    try:
        items = json.loads(value) if isinstance(value, str) else value
        return [
            Source(
                connection=str(item["connection"]),
                subscription=str(item["subscriptionId"]),
                group=str(item["resourceGroup"]),
                topic=str(item["systemTopicName"]),
                given=item,
            )
            for item in items  # type: ignore[union-attr]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise HookError(
            "NSGFLOW_EVENT_SOURCES is not as infra/main.bicep writes it "
            f"({type(error).__name__}: {error}). Run azd provision again."
        ) from error
