"""Sign-in: the storage accounts that a command reads."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path
from nsgflow_core.model import Storage, account_of

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

_NAME = re.compile(r"[a-z0-9]{3,24}")
_ID = re.compile(r"/subscriptions/.+/storageaccounts/([^/]+)/?", re.IGNORECASE)
_SECRET = re.compile(r"[=;?&]")
"""No name has these; connection strings, keys and signatures do."""
_ACCOUNT = "AZURE_STORAGE_ACCOUNT"
_CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account with flow logs."""

    name: str
    service: "BlobServiceClient"


@dataclass(frozen=True, slots=True)
class _Named:
    """An account as it was named: its blob service's URL, "" for the public cloud's; its SAS."""

    name: str
    url: str = ""
    sas: str = ""


def sign_in(names: Sequence[str], environ: Mapping[str, str], also: str = "") -> list[Account]:
    """The accounts to read, by name, resource id or blob service URL; a URL may carry a SAS.

    What is named comes before the environment. AZURE_STORAGE_CONNECTION_STRING is read where
    nothing is named, and signs in to the account that it is of. Else STORAGE_ACCOUNT_KEY signs
    in, or az's own AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or whoever is signed in here.
    `also` is said behind the mend where no account is named.

    Raises:
        BadInputError: no account, or something that cannot be one.
    """
    env = {key: value.strip() for key, value in environ.items()}
    text = env.get(_CONNECTION_STRING, "")
    if not names and text:
        return [_open(Storage(text), _CONNECTION_STRING)]
    said = "--account-name"
    if not names and env.get(_ACCOUNT):
        names, said = [env[_ACCOUNT]], _ACCOUNT
    if not names:
        raise BadInputError(
            "name the storage account with --account-name ('az storage account list -o table' "
            f"shows yours), or set {_CONNECTION_STRING}{also}"
        )
    exported: Account | None = None
    if text:
        with suppress(BadInputError):  # what is typed may do without it
            exported = _open(Storage(text), _CONNECTION_STRING)
    found: dict[str, Account] = {}
    for name in dict.fromkeys(names):
        account = _of(_named(name, said), env, exported, said)
        if account.service.url in found:
            continue
        if any(account.name == other.name for other in found.values()):
            # Two services may give their accounts one name; logs are told apart by it.
            account = Account(
                f"{account.name}@{urlsplit(account.service.url).netloc}", account.service
            )
        found[account.service.url] = account
    return list(found.values())


def _of(named: _Named, env: Mapping[str, str], exported: Account | None, said: str) -> Account:
    if (
        exported is not None
        and not named.sas
        and exported.name == named.name
        and named.url in ("", exported.service.url.rstrip("/"))
    ):
        return exported
    if exported is not None:
        logging.getLogger("nsgflow").info(
            "%s is named, so %s is not used for it", named.name, _CONNECTION_STRING
        )
    storage = _storage(named, env)
    if storage.blob_url.startswith("http://"):
        raise BadInputError(
            f"{said} {named.name} is asked over http, where nobody is signed in but by a key or a "
            "SAS: set STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or give it as https://"
        )
    return _open(storage, f"{said} {named.name}")


def _named(text: str, said: str) -> _Named:
    """An account as typed, or as the variable has it that is `said`.

    Raises:
        BadInputError: this is none. What may be a secret is not repeated.
    """
    text = text.strip()
    if found := _ID.fullmatch(text):
        text = found[1].lower()
    if text.startswith(("https://", "http://")):
        return _by_url(text, said)
    if _NAME.fullmatch(text):
        return _Named(text)
    if _SECRET.search(text):
        raise BadInputError(
            f"{said} takes the name, resource id or blob service URL of a storage account; "
            f"a connection string belongs into {_CONNECTION_STRING}, a key into "
            "STORAGE_ACCOUNT_KEY, a SAS into AZURE_STORAGE_SAS_TOKEN or behind ? of the URL"
        )
    raise BadInputError(
        f"{text!r} is not the name of a storage account: 3 to 24 lower-case letters and digits"
    )


def _by_url(text: str, said: str) -> _Named:
    address, _, query = text.partition("?")
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.username is not None or (query and "sig" not in parse_qs(query)):
        raise BadInputError(
            f"{said} is no URL of a blob service: give one such as "
            "https://mylogs.blob.core.windows.net"
        )
    path, blob = _of_containers(unquote(parts.path))
    if blob or path.lower().endswith(".json"):
        raise BadInputError(_one_blob(f"{parts.scheme}://{parts.netloc}{path}", blob))
    if ".blob." in host:
        # Of Azure's URLs the account is the first label; a path is a container's.
        return _Named(host.partition(".")[0], f"{parts.scheme}://{parts.netloc}", query)
    url = f"{parts.scheme}://{parts.netloc}{path}".rstrip("/")
    first = path.strip("/").partition("/")[0]
    return _Named(first or host.partition(".")[0], url, query)


def _of_containers(path: str) -> tuple[str, str]:
    """The path of a URL before a container of flow logs, and the blob in it."""
    for container in (NSG_CONTAINER, VNET_CONTAINER):
        before, found, behind = path.partition(f"/{container}")
        if found and behind[:1] in ("", "/"):
            return before, behind.strip("/")
    return path, ""


def _one_blob(account: str, blob: str) -> str:
    """What to do about the URL of a blob: logs are listed, and a SAS of one blob lists none."""
    if not blob:
        return "this is the URL of one file, and no account's: download it, and give the file"
    try:
        log = parse_path(blob)
    except BadInputError:
        return f"this is the URL of something in a container: give that of the account, {account}"
    until = log.hour + timedelta(hours=1)
    flags = f"--since {log.hour:%Y-%m-%dT%HZ} --until {until:%Y-%m-%dT%HZ}"
    if log.kind == "nsg":
        flags = f"--nsg-name {log.resource.rpartition('/')[2]} {flags}"
    return (
        f"this is the URL of one blob: download it, and give the file, or give the account with "
        f"what is asked of it, {account} {flags}"
    )


def _storage(named: _Named, env: Mapping[str, str]) -> Storage:
    # az's variables are of the account that one of them names.
    theirs = _Named(named.name)
    if text := env.get(_ACCOUNT):
        try:
            theirs = _named(text, _ACCOUNT)
        except BadInputError:  # what is typed may do without it
            theirs = _Named("")
    own = theirs.name == named.name and (not theirs.url or named.url in ("", theirs.url))
    address = named.url or (theirs.url if own else "")
    url = address or f"https://{named.name}.blob.core.windows.net"
    key = env.get("STORAGE_ACCOUNT_KEY") or (env.get("AZURE_STORAGE_KEY") if own else "")
    sas = named.sas or ("" if key or not own else env.get("AZURE_STORAGE_SAS_TOKEN", ""))
    if sas:
        return Storage(f"BlobEndpoint={url};SharedAccessSignature={sas.lstrip('?')}")
    if key:
        return Storage(f"AccountName={named.name};AccountKey={key};BlobEndpoint={url}")
    return Storage(blob_url=url)


def _open(storage: Storage, what: str) -> Account:
    from nsgflow_core.storage import blob_service  # noqa: PLC0415 - files need no SDK

    try:
        service = blob_service(storage)
    except ValueError as exc:
        # The SDK's words may repeat a secret: say only where it stands.
        raise BadInputError(
            f"{what} cannot be used to sign in: it is malformed, copy it again"
        ) from exc
    return Account(account_of(service.url), service)
