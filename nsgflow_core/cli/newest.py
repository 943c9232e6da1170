"""The newest record of network interfaces in flow logs, from the accounts that one named."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice

from azure.storage.blob import ContainerClient

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.coverages import Newest
from nsgflow_core.cli.names import ids_in_paths
from nsgflow_core.cli.session import sentence
from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.flow_logs import FlowLog
from nsgflow_core.logs import listing
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path
from nsgflow_core.storage import errors_of

_HOURS = 24
"""So many hours with logs are looked at: what is silent for longer is said to be so."""
_LISTINGS = 8
_READERS = 8
_FIRST_READ = 4096
_MORE = 16
_TIME = re.compile(rb'"time"\s*:\s*"([^"\\]{10,40})"')


def newest_records(
    accounts: Sequence[Account], wanted: Iterable[tuple[FlowLog, str]]
) -> dict[tuple[str, str], Newest]:
    """The newest record of flow logs and MACs, by the id of the flow log and the MAC.

    A few listings for each flow log, and one small read for each interface.
    """
    macs: dict[str, tuple[FlowLog, set[str]]] = {}
    for log, mac in wanted:
        macs.setdefault(log.id, (log, set()))[1].add(mac)
    named = {account.name.lower(): account for account in accounts}
    found: dict[tuple[str, str], Newest] = {}
    prefixes = _Prefixes()
    with (
        ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as lister,
        ThreadPoolExecutor(_READERS, thread_name_prefix="newest") as reader,
    ):

        def look(log: FlowLog, of_log: set[str]) -> Mapping[str, Newest]:
            account = named.get(log.account)
            if account is None:
                because = f"the storage account {log.account} was not named"
                return dict.fromkeys(of_log, Newest("", because))
            return _of_log(account, log, of_log, prefixes, reader)

        logs = list(macs.values())
        for (log, _), answers in zip(logs, lister.map(lambda one: look(*one), logs), strict=True):
            found |= {(log.id, mac): answer for mac, answer in answers.items()}
    return found


class _Prefixes:
    """The prefixes of resources in containers, each listed once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[str, str]] = {}
        self._lock = threading.Lock()

    def of(self, account: Account, container: ContainerClient) -> Mapping[str, str]:
        key = (account.name, str(container.container_name))
        with self._lock:
            if key not in self._found:
                self._found[key] = {at.lower(): at for at in listing.resources(container)}
            return self._found[key]


def _of_log(
    account: Account, log: FlowLog, macs: set[str], prefixes: _Prefixes, pool: ThreadPoolExecutor
) -> dict[str, Newest]:
    name = NSG_CONTAINER if log.level == "nsg" else VNET_CONTAINER
    container = account.service.get_container_client(name)
    try:
        there = prefixes.of(account, container)
        prefix = next((there[at] for at in _paths(log) if at in there), None)
        if prefix is None:
            return dict.fromkeys(macs, Newest("", f"{account.name} has no logs of {log.name}"))
        blobs, looked = _newest_blobs(container, prefix, macs)
    except NsgflowError as exc:
        return dict.fromkeys(macs, Newest("", sentence(exc)))
    silent = Newest("", f"none in the newest {looked} hours of {log.name}")
    answers = pool.map(lambda blob: _newest_time(container, blob), blobs.values())
    return dict.fromkeys(macs, silent) | dict(zip(blobs, answers, strict=True))


def _paths(log: FlowLog) -> Iterator[str]:
    """The prefixes that a flow log may write below, in lower case."""
    if log.level == "nsg":
        yield f"resourceid={log.target}/"
        return
    for own in ids_in_paths(log.id.lower()):
        yield f"flowlogresourceid={own}/"


def _newest_blobs(
    container: ContainerClient, prefix: str, macs: set[str]
) -> tuple[dict[str, listing.ListedBlob], int]:
    """The newest log of each MAC, and how many hours were looked at."""
    found: dict[str, listing.ListedBlob] = {}
    looked = 0
    for hour in islice(listing.newest_hours(container, prefix), _HOURS):
        looked += 1
        for blob in listing.hour_blobs(container, prefix, hour):
            mac = parse_path(blob.path).mac
            if mac in macs:
                found.setdefault(mac, blob)
        if len(found) == len(macs):
            break
    return found, looked


def _newest_time(container: ContainerClient, blob: listing.ListedBlob) -> Newest:
    """The time of the last record: it stands at the record's beginning, not far from the end."""
    size, client = _FIRST_READ, container.get_blob_client(blob.path)
    try:
        while True:
            start = max(blob.size - size, 0)
            # A log that grows meanwhile keeps what it had: no condition is needed.
            with errors_of(f"read {blob.path}"):
                data = client.download_blob(offset=start, length=blob.size - start).readall()
            if times := _TIME.findall(data):
                return _told(times[-1].decode("utf-8", "replace"))
            if not start:
                return Newest("", "its newest log holds no record")
            size *= _MORE
    except NsgflowError as exc:
        return Newest("", sentence(exc))


def _told(text: str) -> Newest:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return Newest("", "its newest record has a time that cannot be read")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Newest(f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
