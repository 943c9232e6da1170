"""Resource ids, and what follows from the names that the templates give."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACCOUNT = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.Storage/storageAccounts/([a-z0-9]{3,24})",
    re.IGNORECASE,
)
_CONNECTION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,23}")
KINDS = ("nsg", "vnet")
EVENTS_FUNCTION = "events"
SWEEP_FUNCTION = "sweep"


@dataclass(frozen=True)
class Account:
    """A flow-log account.

    Attributes:
        given: the object in NSGFLOW_FLOW_LOG_ACCOUNTS.
        connection: its name in the app.
    """

    resource_id: str
    subscription: str
    group: str
    name: str
    connection: str
    given: dict[str, object]


def account(given: object, index: int) -> Account | str:
    """The account that an item of NSGFLOW_FLOW_LOG_ACCOUNTS names, or what is wrong with it."""
    if not isinstance(given, dict):
        return f"item {index + 1} is no object"
    resource_id = str(given.get("resourceId") or "")
    match = _ACCOUNT.fullmatch(resource_id)
    if match is None:
        hint = (
            "; Git Bash takes it for a path: set MSYS_NO_PATHCONV=1 first"
            if re.match(r"[A-Za-z]:[/\\]", resource_id)
            else ""
        )
        return (
            f"item {index + 1}: its resourceId is no storage account's: {resource_id[:200]!r}{hint}"
        )
    connection = str(
        given.get("connection") or ("FlowLogs" if index == 0 else f"FlowLogs{index + 1}")
    )
    if not _CONNECTION.fullmatch(connection):
        return (
            f"item {index + 1}: its connection {connection[:60]!r} is not a letter and up to 23 "
            "letters, digits and underscores"
        )
    if connection.lower() == "azurewebjobsstorage":
        return f"item {index + 1}: {connection} is the connection of nsgflow's own storage"
    return Account(resource_id, match[1], match[2], match[3], connection, given)


def functions_of(connections: list[str], *, queue: bool) -> set[str]:
    """The functions that the app must have, as function_app.py names them."""
    if queue:
        return {EVENTS_FUNCTION, SWEEP_FUNCTION}
    return {f"{kind}_{connection}" for kind in KINDS for connection in connections} | {
        SWEEP_FUNCTION
    }


def subscription_name(app: str, kind: str, connection: str) -> str:
    """The event subscription of a function, as infra/modules/event-subscriptions.bicep names it."""
    return f"{app}-{kind}-{connection.replace('_', '-')}"[:64]


def parts(resource_id: str) -> dict[str, str]:
    """The named parts of a resource id: subscriptions, resourceGroups and so on, in lower case."""
    words = resource_id.strip("/").split("/")
    return {name.lower(): value for name, value in zip(words[::2], words[1::2])}


def same(one: str, other: str) -> bool:
    """Whether two resource ids name one resource."""
    return one.rstrip("/").lower() == other.rstrip("/").lower()
