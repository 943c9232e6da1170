"""Sign-in: the storage accounts that a command reads."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from azure.storage.blob import BlobServiceClient

from nsgflow_core.errors import BadInputError
from nsgflow_core.model import Storage
from nsgflow_core.storage import blob_service

_NAME = re.compile(r"[a-z0-9]{3,24}")
_URL = re.compile(r"https?://[^\s;]+")


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account with flow logs."""

    name: str
    service: BlobServiceClient


def sign_in(names: Sequence[str], environ: Mapping[str, str]) -> list[Account]:
    """The accounts to read, by name or blob service URL.

    AZURE_STORAGE_CONNECTION_STRING comes before names, as with az; a name or URL signs in with
    STORAGE_ACCOUNT_KEY, else as whoever is signed in here.

    Raises:
        BadInputError: no account, or something that cannot be one.
    """
    connection_string = environ.get("AZURE_STORAGE_CONNECTION_STRING", "").strip()
    key = environ.get("STORAGE_ACCOUNT_KEY", "").strip()
    found: dict[str, Account] = {}
    if connection_string:
        account = _open(Storage(connection_string), "AZURE_STORAGE_CONNECTION_STRING")
        found[account.service.url] = account
        for name in names:
            if not _URL.fullmatch(name) and name != account.name:
                sys.stderr.write(
                    f"nsgflow: reading {account.name}, which AZURE_STORAGE_CONNECTION_STRING "
                    f"names, and not {name}; unset it to read {name}\n"
                )
    for name in dict.fromkeys(names):
        url = name.rstrip("/") if _URL.fullmatch(name) else ""
        if connection_string and not url:
            continue
        account = _open(_storage(name, url, key), name)
        found.setdefault(account.service.url, account)
    if not found:
        raise BadInputError(
            "name the storage account with --account-name ('az storage account list -o table' "
            "shows yours), or set AZURE_STORAGE_CONNECTION_STRING"
        )
    return list(found.values())


def _storage(name: str, url: str, key: str) -> Storage:
    if not url and not _NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r} is not the name of a storage account: 3 to 24 lower-case letters and digits"
        )
    if not key:
        return Storage(blob_url=url or f"https://{name}.blob.core.windows.net")
    if url:
        # Of an emulator's URL the account is the path, of Azure's the first label of the host.
        host, _, path = url.partition("://")[2].partition("/")
        owner = path or host.partition(".")[0]
        return Storage(f"AccountName={owner};AccountKey={key};BlobEndpoint={url}")
    return Storage(
        f"DefaultEndpointsProtocol=https;AccountName={name};AccountKey={key};"
        "EndpointSuffix=core.windows.net"
    )


def _open(storage: Storage, what: str) -> Account:
    try:
        service = blob_service(storage)
    except ValueError as exc:
        # The SDK's words may repeat a secret: say only where it stands.
        raise BadInputError(f"{what} cannot be used to sign in: it is malformed") from exc
    return Account(str(service.account_name), service)
