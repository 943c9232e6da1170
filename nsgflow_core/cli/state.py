"""The deployed function's settings and state, as the command line sees them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import translate

from azure.core.exceptions import ResourceNotFoundError

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.listing import Logs, Resource
from nsgflow_core.cli.read import Log
from nsgflow_core.cli.times import HOUR, Span, floor
from nsgflow_core.config import Settings, from_env
from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.library import INVENTORY_BLOB
from nsgflow_core.model import BlobRef
from nsgflow_core.storage import blob_service, errors_of, table

SINKS = ("table", "webhook")
_HOST = "AzureWebJobsStorage"


@dataclass(frozen=True, slots=True)
class State:
    """The settings, the checkpoints, and the flow-log account of each connection."""

    settings: Settings
    checkpoints: Checkpoints
    connections: Mapping[str, Account]


@dataclass(frozen=True, slots=True)
class Entry:
    """A log and its checkpoint; one of them may be missing, not both."""

    connection: str
    ref: BlobRef
    log: Log | None
    checkpoint: Checkpoint | None


def settings_of(environ: Mapping[str, str]) -> Settings:
    """The function's settings, from the same variables as in the app.

    AZURE_STORAGE_CONNECTION_STRING stands in for the storage that is not set.

    Raises:
        ConfigError: lists every problem found.
    """
    env = {key: value for key, value in environ.items() if value.strip()}
    if stand_in := env.get("AZURE_STORAGE_CONNECTION_STRING"):
        names = env.get("NSGFLOW_CONNECTIONS", "FlowLogs").split(",")
        for name in (_HOST, *map(str.strip, names)):
            if not any(key == name or key.startswith(f"{name}__") for key in env):
                env[name] = stand_in
    return from_env(env)


def open_state(environ: Mapping[str, str]) -> State:
    """What the settings lead to.

    Raises:
        BadInputError: the settings cannot work.
    """
    settings = settings_of(environ)
    connections = {}
    try:
        for name, storage in settings.connections.items():
            service = blob_service(storage)
            connections[name] = Account(str(service.account_name), service)
        checkpoints = Checkpoints(table(settings.host_storage, settings.state_table))
    except ValueError as exc:
        raise BadInputError(f"a storage setting cannot be used: {exc}") from exc
    return State(settings, checkpoints, connections)


def inventory_of(environ: Mapping[str, str]) -> Inventory | None:
    """The inventory that the deployed function keeps; None where the settings name no function.

    Raises:
        NsgflowError: it is there and cannot be read.
    """
    if not any(key.partition("__")[0] == _HOST for key, value in environ.items() if value.strip()):
        return None
    settings = settings_of(environ)
    container = blob_service(settings.host_storage).get_container_client(settings.state_container)
    with errors_of(f"read {INVENTORY_BLOB}"), suppress(ResourceNotFoundError):
        return Inventory(container.download_blob(INVENTORY_BLOB).readall())
    return None


def whole_hours(span: Span) -> list[datetime]:
    """The hours that a span touches, the oldest first."""
    hours = []
    hour = floor(span.since)
    while hour < span.until:
        hours.append(hour)
        hour += HOUR
    return hours


def entries(state: State, hours: Sequence[datetime], nsg: str = "") -> Iterator[Entry]:
    """Every log of these hours and every checkpoint, put together, an hour after the other.

    `nsg` is the name, with `*`, of the NSG or VNet flow log as the path of the log has it.
    """
    pattern = re.compile(translate(nsg or "*"), re.IGNORECASE)
    for connection, account in state.connections.items():
        resources = [
            at for at in Logs([account]).resources() if pattern.fullmatch(_name(at.prefix))
        ]
        for hour in hours:
            yield from _of_hour(state, connection, account.name, resources, hour, pattern)


def _of_hour(
    state: State,
    connection: str,
    account: str,
    resources: Sequence[Resource],
    hour: datetime,
    pattern: re.Pattern[str],
) -> Iterator[Entry]:
    known = {
        checkpoint.ref: checkpoint
        for checkpoint in state.checkpoints.in_hour(hour)
        if checkpoint.ref.account == account
    }
    for log in (log for at in resources for log in at.logs(hour)):
        yield Entry(connection, log.ref, log, known.pop(log.ref, None))
    for ref, checkpoint in known.items():
        if pattern.fullmatch(_name(ref.path.partition("/y=")[0])):
            yield Entry(connection, ref, None, checkpoint)


def _name(prefix: str) -> str:
    return prefix.rstrip("/").rpartition("/")[2]
