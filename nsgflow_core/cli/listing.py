"""Which logs there are: those of some accounts, by NSG or VNet flow log and hour."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from azure.storage.blob import ContainerClient

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.names import matcher
from nsgflow_core.cli.read import Log
from nsgflow_core.errors import NsgflowError
from nsgflow_core.logs import listing
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path
from nsgflow_core.model import BlobRef

_LISTINGS = 8


@dataclass(frozen=True, slots=True)
class Resource:
    """An NSG or VNet flow log with logs: its account, container and prefix."""

    account: str
    container: ContainerClient
    prefix: str

    def logs(self, hour: datetime) -> list[Log]:
        """Its logs of an hour, one for each NIC."""
        return [
            Log(
                BlobRef(self.account, str(self.container.container_name), blob.path),
                parse_path(blob.path),
                blob.size,
                blob.etag,
            )
            for blob in listing.hour_blobs(self.container, self.prefix, hour)
        ]


class Logs:
    """The logs of some accounts. Every listing walks path prefixes, never a whole container."""

    def __init__(self, accounts: Sequence[Account], nsgs: Sequence[str] = ()) -> None:
        self._accounts = accounts
        self._accepts = matcher(nsgs)

    def resources(self) -> list[Resource]:
        """The NSGs and VNet flow logs that have logs.

        Raises:
            NsgflowError: there can be none, since an account has neither container; or as
                `errors_of` says.
        """
        found: list[Resource] = []
        for account in self._accounts:
            containers = [
                account.service.get_container_client(name)
                for name in (NSG_CONTAINER, VNET_CONTAINER)
            ]
            of_account = [
                Resource(account.name, container, prefix)
                for container in containers
                for prefix in listing.resources(container)
            ]
            if not of_account and not any(listing.exists(at) for at in containers):
                raise NsgflowError(
                    f"{account.name} has no flow logs: neither {NSG_CONTAINER} nor "
                    f"{VNET_CONTAINER} exists; name the account that the flow logs are sent to "
                    "('az network watcher flow-log list -l REGION' shows it)"
                )
            found += of_account
        return [at for at in found if self._wanted(at)]

    def _wanted(self, at: Resource) -> bool:
        if at.container.container_name == VNET_CONTAINER:
            return True
        resource = at.prefix.partition("=")[2].rstrip("/")
        return self._accepts(resource.rpartition("/")[2], resource)

    def newest(self, hours: int, now: datetime) -> Iterator[list[Log]]:
        """The newest hourly logs of each NSG, as many as asked for, the newest hour first."""
        with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as pool:
            listed = list(pool.map(lambda at: _newest(at, hours, now), self.resources()))
        by_hour: dict[datetime, list[Log]] = {}
        for logs in listed:
            for log in logs:
                by_hour.setdefault(log.path.hour, []).append(log)
        for hour in sorted(by_hour, reverse=True):
            yield by_hour[hour]

    def of_hours(self, hours: Sequence[datetime]) -> Iterator[list[Log]]:
        """The logs of these hours, an hour at a time."""
        resources = self.resources()
        with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as pool:
            for hour in hours:
                listed = list(pool.map(Resource.logs, resources, [hour] * len(resources)))
                yield [log for logs in listed for log in logs]


def _newest(resource: Resource, count: int, now: datetime) -> list[Log]:
    """The logs of the newest hours that have any.

    The current hour is tried before the way down the path is listed: it takes one request, and
    a log that is being written has it.
    """
    this = now.replace(minute=0, second=0, microsecond=0)
    found = resource.logs(this)
    hours = 1 if found else 0
    if hours == count:
        return found
    for hour in listing.newest_hours(resource.container, resource.prefix):
        if hour == this and found:
            continue
        if logs := resource.logs(hour):
            found += logs
            hours += 1
        if hours == count:
            break
    return found
