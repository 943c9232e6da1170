"""What stands between a configuration and working, each with its mend.

Reads one byte of a log, writes and removes one row and one blob of state, looks at the queue of
events, asks for a token and connects to the webhook's host. Only with `--send-test` is anything
sent.
"""

import os
import socket
import ssl
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from urllib.parse import urlsplit

import certifi
import requests
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from nsgflow_core import webhooks
from nsgflow_core.cli import trial
from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.clock import shown_time
from nsgflow_core.cli.finding import Finding, tried
from nsgflow_core.cli.listing import Logs, Resource
from nsgflow_core.cli.state import settings_of
from nsgflow_core.config import KNOWN, QUEUE, LogsSettings, Settings
from nsgflow_core.errors import ConfigError, NsgflowError
from nsgflow_core.logs import listing
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER
from nsgflow_core.model import Storage, account_of
from nsgflow_core.sinks.log_analytics import LogAnalyticsSink, token_scope
from nsgflow_core.storage import blob_service, credential, errors_of, table
from nsgflow_core.webhooks import WebhookSettings

_SECONDS = 10.0
_PARTS = (
    *("", "__blobServiceUri", "__queueServiceUri", "__tableServiceUri", "__accountName"),
    *("__credential", "__clientId"),
)
"""What the names of a storage account's settings end in."""
_STALE = timedelta(hours=3)
"""So old may the newest log of an account be: its hour ends an hour after it began, and a quiet
hour writes nothing."""
_QUIET = timedelta(hours=24)
_MOST_QUIET = 5
"""NSGs and VNet flow logs that wrote nothing for so long are named, so many of them."""


def findings(environ: Mapping[str, str], *, send_test: bool) -> Iterator[Finding]:
    """A line for each thing that is looked at."""
    try:
        settings = settings_of(environ)
    except ConfigError as exc:
        for problem in exc.problems:
            yield Finding("settings", problem, wrong=": set it" not in problem)
        yield from misspelt(environ)
        return
    yield Finding("settings")
    yield from misspelt(environ, settings.connections)
    with ThreadPoolExecutor(len(settings.connections), thread_name_prefix="accounts") as pool:
        looks = [pool.submit(_looked, *each) for each in settings.connections.items()]
        for look in looks:
            yield from look.result()
    yield from _state(settings)
    if settings.trigger_source == QUEUE:
        from nsgflow_core.cli import queued  # noqa: PLC0415 - few have a queue

        yield from queued.look(settings)
    if settings.logs is None and not settings.webhooks:
        yield Finding(
            "sinks", "nothing is delivered: set NSGFLOW_LOGS_ENDPOINT or NSGFLOW_WEBHOOK_URL"
        )
    if settings.logs is not None:
        yield from _table(settings.logs, send_test=send_test)
    for webhook in settings.webhooks:
        yield from _webhook(webhook, send_test=send_test)


def misspelt(
    environ: Mapping[str, str], connections: Iterable[str] = ("FlowLogs",)
) -> Iterator[Finding]:
    """Variables that look like settings and are none, with the nearest that is one."""
    storage = [f"{name}{part}" for name in ("AzureWebJobsStorage", *connections) for part in _PARTS]
    known = {name.upper(): name for name in (*KNOWN, *storage)}
    for name, value in sorted(environ.items()):
        if not value.strip() or name in known.values():
            continue
        # Another program's variable is not ours because a few letters are alike.
        ours = name.upper().startswith("NSGFLOW_")
        near = get_close_matches(name.upper(), known, 1, 0.8 if ours else 0.9)
        if ours or near:
            hint = f": did you mean {known[near[0]]}?" if near else ""
            mend = f"there is no such setting{hint or ': correct or remove it'}"
            yield Finding(f"setting {name}", mend, wrong=True)


def _looked(connection: str, storage: Storage) -> list[Finding]:
    """What is found of one account; what is slow there keeps no other waiting."""
    return list(_flow_logs(connection, storage))


def _flow_logs(connection: str, storage: Storage) -> Iterator[Finding]:
    try:
        service = blob_service(storage)
    except ValueError as exc:
        yield Finding(f"{connection}: account", f"{exc}; correct the setting {connection}")
        return
    account = account_of(service.url)
    role = f"give the app's identity the role Storage Blob Data Reader on {account}"
    found: list[ContainerClient] = []
    for name in (NSG_CONTAINER, VNET_CONTAINER):
        container = service.get_container_client(name)

        def look(container: ContainerClient = container) -> None:
            if listing.exists(container):
                listing.below(container, "")  # whoever answers for the account has no list
                found.append(container)

        finding = tried(f"{connection}: list {account}/{name}", look, role)
        there = finding.mend or container in found
        yield finding if there else Finding(f"{finding.what} (there is none, which may be right)")
        if finding.mend:
            return
    if not found:
        yield Finding(
            f"{connection}: flow logs", f"no flow logs are sent to {account}: make one that is"
        )
    source = FlowLogs({account: service})
    for container in found:
        yield tried(
            f"{connection}: read {account}/{container.container_name}",
            lambda container=container: _read_a_byte(source, account, container),  # type: ignore[misc]
            role,
        )
    yield from _stale(connection, Account(account, service))


def _stale(connection: str, account: Account) -> Iterator[Finding]:
    """How new the logs of an account are, where there are logs.

    That an NSG or VNet has written nothing for a day is said and no fault: it may have no
    traffic, or be gone, or its flow log with it.
    """
    try:
        newest = Logs([account], patient=True).newest_hours()
    except NsgflowError:
        return  # what is refused has a line of its own
    if not newest:
        return
    now = datetime.now(UTC)
    latest = max(hour for _, hour in newest)
    what = f"{connection}: newest log of {account.name}"
    if now - latest > _STALE:
        yield Finding(
            what,
            f"it is of {shown_time(latest)}, {(now - latest).total_seconds() // 3600:.0f} hours "
            "ago: see that the flow logs are enabled, and sent to this account "
            "('az network watcher flow-log list -l REGION')",
            wrong=True,
        )
        return
    quiet = sorted((hour, at.name) for at, hour in newest if latest - hour > _QUIET)
    named = ", ".join(f"{name} ({shown_time(hour)})" for hour, name in quiet[:_MOST_QUIET])
    more = f" and {len(quiet) - _MOST_QUIET} more" if len(quiet) > _MOST_QUIET else ""
    said = f"; nothing for a day from {named}{more}" if quiet else ""
    yield Finding(f"{what}, {shown_time(latest)}{said}")


def _read_a_byte(source: FlowLogs, account: str, container: ContainerClient) -> None:
    """Read the newest log of any resource; where there is none, that it can be listed is all."""
    for prefix in listing.resources(container):
        resource = Resource(account, container, prefix)
        for hour in listing.newest_hours(container, prefix):
            for log in resource.logs(hour):
                if log.size:
                    source.read(log.ref, 0, 1, source.list_blocks(log.ref).etag)
                return


def _state(settings: Settings) -> Iterator[Finding]:
    storage = settings.host_storage
    try:
        rows_of = table(storage, settings.state_table)
        blobs = blob_service(storage)
    except ValueError as exc:
        yield Finding("state", f"{exc}; correct AzureWebJobsStorage")
        return
    probe = {"PartitionKey": "~check", "RowKey": uuid.uuid4().hex}

    def write_row() -> None:
        with errors_of(f"write to table {settings.state_table}"):
            try:
                rows_of.create_entity(probe)
            except ResourceNotFoundError:
                with suppress(ResourceExistsError):
                    rows_of.create_table()
                rows_of.create_entity(probe)
            rows_of.delete_entity(probe)

    def write_blob() -> None:
        container = blobs.get_container_client(settings.state_container)
        name = f"check/{probe['RowKey']}"
        with errors_of(f"write to container {settings.state_container}"):
            try:
                container.upload_blob(name, b"")
            except ResourceNotFoundError:
                with suppress(ResourceExistsError):
                    container.create_container()
                container.upload_blob(name, b"")
            container.delete_blob(name)

    on = f"on {account_of(blobs.url)}"
    yield tried(
        f"state: write table {settings.state_table}",
        write_row,
        f"give the app's identity the role Storage Table Data Contributor {on}",
    )
    yield tried(
        f"state: write container {settings.state_container}",
        write_blob,
        f"give the app's identity the role Storage Blob Data Owner {on}",
    )


def _table(logs: LogsSettings, *, send_test: bool) -> Iterator[Finding]:
    def token() -> None:
        with errors_of("get a token for Logs Ingestion"):
            credential().get_token(token_scope(logs.endpoint))

    yield tried(
        "table: token for Logs Ingestion",
        token,
        "sign in with az login, or give the app an identity",
    )
    yield tried(
        f"table: reach {urlsplit(logs.endpoint).hostname}",
        lambda: _connect(logs.endpoint),
        "correct NSGFLOW_LOGS_ENDPOINT, or let this network reach it",
    )
    if send_test:
        yield tried(
            "table: test row",
            lambda: trial.send(LogAnalyticsSink(logs, credential())),
            "give the app's identity the role Monitoring Metrics Publisher on the data collection "
            "rule of NSGFLOW_LOGS_RULE_ID (new roles take up to half an hour), and see that "
            "NSGFLOW_LOGS_STREAM is a stream of it",
        )


def _webhook(webhook: WebhookSettings, *, send_test: bool) -> Iterator[Finding]:
    name, of = webhook.name, webhooks.prefix(webhook.name)
    if missing := webhook.what_is_missing:
        yield Finding(
            f"{name}: secret",
            f"{missing}, and what is for it waits: give the app's identity the role Key Vault "
            "Secrets User on the vault, let the app's network reach it, and deploy again (writing "
            "the settings makes App Service look again)",
        )
        return
    # Of the URL only the host is shown: the rest may be a secret.
    yield tried(
        f"{name}: reach {urlsplit(webhook.url).hostname}",
        lambda: _connect(webhook.url),
        f"correct {of}URL, or let this network reach it",
    )
    if send_test:
        yield tried(
            f"{name}: test alert",
            lambda: trial.send_alert(webhook),
            f"see what the receiver says of it, and that it has the same {of}SECRET and the "
            f"{of}HEADERS that it asks for",
        )


def _connect(url: str) -> None:
    """Connect to the host of a URL, or to the proxy on the way there, and send nothing.

    Raises:
        OSError: it cannot be reached, or its certificate is not trusted.
    """
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    parts = urlsplit(proxy or url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with socket.create_connection((host, port), timeout=_SECONDS) as connection:
        if parts.scheme == "https":
            trusted = os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
            context = ssl.create_default_context(cafile=trusted)
            context.wrap_socket(connection, server_hostname=host).close()
