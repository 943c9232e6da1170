"""What services say where they refuse, and what to do about it: by what the command takes."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

NO_TOKEN = "DefaultAzureCredential"  # noqa: S105 - how its message begins
_UNREACHED = re.compile(
    r"Failed to resolve|Name or service not known|NameResolutionError|getaddrinfo failed|"
    r"Max retries exceeded|Connection (?:refused|aborted|reset)|Network is unreachable"
)
"""What is said where no sign-in service can be reached."""
_NAME = "is the account's name right? 'az storage account list -o table' shows yours"
_OFFLINE = (
    "sign in with az login, from a network that reaches login.microsoftonline.com, which this one "
    "may not"
)
_INVENTORY = (
    "sign in with az login, or name a file that 'nsgflow inventory --export' wrote, in the place "
    "of azure"
)
_ANY: Mapping[str, str] = {
    "InvalidAuthenticationInfo": "sign in to the account's own tenant: az login --tenant TENANT",
    "AccountIsDisabled": "enable the storage account",
    "resolve": _NAME,
    "Name or service not known": _NAME,
    f"ask Resource Graph: {NO_TOKEN}": _INVENTORY,
    f"read knowledge/inventory-2.msgpack: {NO_TOKEN}": "sign in with az login, or set "
    "AzureWebJobsStorage to a connection string",
}
_READER = "give whoever is signed in the role Storage Blob Data Reader on the storage account"
_OF_LOGS: Mapping[str, str] = {
    "AuthorizationPermissionMismatch": _READER,
    "AuthorizationFailure": "let this network through the storage account's firewall, or give "
    "whoever is signed in the role Storage Blob Data Reader",
    "AuthenticationFailed": "the key or signature is wrong or has expired: renew "
    "STORAGE_ACCOUNT_KEY or AZURE_STORAGE_CONNECTION_STRING",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: unset STORAGE_ACCOUNT_KEY "
    "and AZURE_STORAGE_CONNECTION_STRING and sign in with az login",
    " 403 ": _READER,
    NO_TOKEN: "sign in with az login, or set STORAGE_ACCOUNT_KEY",
}
_ROLES = (
    "give whoever is signed in the app's roles: Storage Blob Data Reader on the accounts with flow "
    "logs, Storage Blob Data Owner and Storage Table Data Contributor on AzureWebJobsStorage"
)
_OF_APP: Mapping[str, str] = {
    "AuthorizationPermissionMismatch": _ROLES,
    "AuthorizationFailure": f"let this network through the storage account's firewall, or {_ROLES}",
    "AuthenticationFailed": "the key is wrong or has expired: renew the connection strings in "
    "AzureWebJobsStorage and FlowLogs",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: set AzureWebJobsStorage and "
    "FlowLogs by their service URIs, not by connection strings, and sign in with az login",
    " 403 ": _ROLES,
    NO_TOKEN: "sign in with az login, or set AzureWebJobsStorage and FlowLogs to connection "
    "strings",
}
_TAKEN = [_OF_LOGS]
"""Those of the command that runs are the last; not by thread, since its threads have errors too."""


@contextmanager
def asked(*, of_app: bool) -> Iterator[None]:
    """Meanwhile mends are those of a command that takes the function's settings, or accounts."""
    _TAKEN.append(_OF_APP if of_app else _OF_LOGS)
    try:
        yield
    finally:
        _TAKEN.pop()


def mend_of(text: str) -> str:
    """What to do about what was said; "" where nobody knows. What fits first counts."""
    if NO_TOKEN in text and _UNREACHED.search(text):
        return _OFFLINE
    for signs in (_ANY, _TAKEN[-1]):
        for sign, mend in signs.items():
            if sign in text:
                return mend
    return ""
