"""The deployed function's settings and state, as the command line sees them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import typer
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.clock import noted
from nsgflow_core.cli.listing import Hours, Logs, Resource
from nsgflow_core.cli.names import log_fits, matcher, meant
from nsgflow_core.cli.nothing_found import no_such_names, since
from nsgflow_core.cli.read import Log
from nsgflow_core.cli.session import Status, note, sentence
from nsgflow_core.cli.times import HOUR, Span, floor
from nsgflow_core.config import Settings, from_env, state_from_env
from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.library import INVENTORY_BLOB, TAGS_BLOB
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.storage import blob_service, errors_of, table

_HOST = "AzureWebJobsStorage"
_TAGS_AGE = timedelta(days=7)
"""Microsoft publishes them weekly, a week before what is new in them is used:
https://learn.microsoft.com/azure/virtual-network/service-tags-overview#service-tags-on-premises.
What is older may be wrong of an address, which is worse than not to know."""


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
            connections[name] = Account(storage.account, service)
        checkpoints = Checkpoints(table(settings.host_storage, settings.state_table))
    except ValueError as exc:
        raise BadInputError(f"a storage setting cannot be used: {exc}") from exc
    return State(settings, checkpoints, connections)


class Packed(NamedTuple):
    """What the deployed function keeps of the network; b"" is what it does not keep.

    `made` is when the inventory was made, in seconds since the epoch.
    """

    inventory: bytes
    made: float
    tags: bytes


def packed_of(environ: Mapping[str, str]) -> Packed:
    """What the function keeps; nothing where the settings name no function.

    Raises:
        NsgflowError: the inventory is there and cannot be read.
    """
    if not any(key.partition("__")[0] == _HOST for key, value in environ.items() if value.strip()):
        return Packed(b"", 0.0, b"")
    host, name = state_from_env(environ)
    container = blob_service(host).get_container_client(name)
    inventory, made = _read(container, INVENTORY_BLOB)
    return Packed(inventory, made, _tags(container))


def _tags(container: ContainerClient) -> bytes:
    try:
        tags, made = _read(container, TAGS_BLOB)
    except NsgflowError as exc:
        note(f"without service tags: {sentence(exc)}")
        return b""
    then, now = datetime.fromtimestamp(made, UTC), datetime.now(UTC)
    if tags and now - then > _TAGS_AGE:
        note(
            f"without service tags: the function's are of {noted(then)}, {since(then, now)} ago, "
            "and it makes them anew each day where NSGFLOW_SERVICE_TAGS is set"
        )
        return b""
    return tags


def _read(container: ContainerClient, blob: str) -> tuple[bytes, float]:
    """A blob and when it was made, in seconds since the epoch; nothing where there is none."""
    with errors_of(f"read {blob}"), suppress(ResourceNotFoundError):
        found = container.download_blob(blob)
        about = found.properties.metadata or {}
        made = about.get("made") or found.properties.last_modified.timestamp()
        return found.readall(), float(made)
    return b"", 0.0


def whole_hours(span: Span) -> list[datetime]:
    """The hours that a span touches, the oldest first."""
    hours = []
    hour = floor(span.since)
    while hour < span.until:
        hours.append(hour)
        hour += HOUR
    return hours


class Entries:
    """Every log of some hours and every checkpoint, put together.

    `nsgs` are the names, with `*`, or the resource ids of NSGs or VNet flow logs as the paths of
    logs have them; or, of VNet flow logs, of NSGs that the inventory has their interfaces under.
    None are all of them.
    `failures` says afterwards what could not be listed.
    """

    def __init__(
        self,
        state: State,
        hours: Sequence[datetime],
        nsgs: Sequence[str] = (),
        inventory: Inventory | None = None,
    ) -> None:
        self._state, self._hours, self._inventory = state, hours, inventory
        self._accepts = matcher(meant(nsgs, inventory))
        self.failures: list[str] = []
        self._nsgs = nsgs
        self._ids: set[str] = set(inventory.nsg_ids() if inventory is not None else ())

    def __iter__(self) -> Iterator[Entry]:
        """Entry by entry, an hour after the other.

        Raises:
            NsgflowError: the state cannot be read, or no account can be listed.
        """
        errors: list[NsgflowError] = []
        for connection, account in self._state.connections.items():
            logs = Logs([account])
            try:
                found = logs.resources()
            except NsgflowError as exc:
                errors.append(exc)
                self.failures.append(sentence(exc))
                continue
            self._ids |= {at.id for at in found}
            wanted = [Hours(at, self._hours) for at in found if self._may_fit(at)]
            for hour in self._hours:
                yield from self._of_hour(connection, account.name, logs, wanted, hour)
            self.failures += logs.failures.values()
        if errors and len(errors) == len(self._state.connections):
            raise errors[0]

    def missing(self, *, any_found: bool) -> list[str]:
        """Sentences on names that nothing listed has; of a single one, only where nothing fits."""
        if any_found and len(self._nsgs) < 2:  # noqa: PLR2004 - a single one was found
            return []
        inventory, ids = self._inventory, sorted(self._ids)
        asked = [one for one in self._nsgs if inventory is None or inventory.acl(one) is None]
        return no_such_names(asked, {one.rpartition("/")[2] for one in ids}, ids, vnets=False)

    def finish(self) -> None:
        """Tell what could not be listed.

        Raises:
            typer.Exit: there was something.
        """
        sys.stdout.flush()
        for failure in self.failures:
            note(f"skipped: {failure}")
        if self.failures:
            raise typer.Exit(Status.INCOMPLETE)

    def _of_hour(
        self,
        connection: str,
        account: str,
        logs: Logs,
        walks: Sequence[Hours],
        hour: datetime,
    ) -> Iterator[Entry]:
        known = {
            checkpoint.ref: checkpoint
            for checkpoint in self._state.checkpoints.in_hour(hour)
            if checkpoint.ref.account == account
        }
        for walk in walks:
            for log in logs.of_walk(hour, walk):
                checkpoint = known.pop(log.ref, None)
                if log_fits(log.path, self._accepts, self._inventory):
                    yield Entry(connection, log.ref, log, checkpoint)
        for ref, checkpoint in known.items():
            if log_fits(parse_path(ref.path), self._accepts, self._inventory):
                yield Entry(connection, ref, None, checkpoint)

    def _may_fit(self, at: Resource) -> bool:
        """Whether logs of this may be asked for: what interfaces it has is told by its logs."""
        by_interface = self._inventory is not None and at.kind == "vnet"
        return by_interface or self._accepts(at.name, at.id)
