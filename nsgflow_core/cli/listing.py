"""Which logs there are: those of some accounts, by NSG or VNet flow log and hour.

What one account, container or resource refuses hides nothing of the others: it is kept in
`Logs.failures`, and only where nothing at all can be listed is it an error.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from azure.storage.blob import ContainerClient

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.names import matcher
from nsgflow_core.cli.read import Log
from nsgflow_core.cli.session import note, sentence
from nsgflow_core.errors import NsgflowError
from nsgflow_core.logs import listing
from nsgflow_core.logs.listing import ListedBlob
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path
from nsgflow_core.logs.walk import Walk
from nsgflow_core.model import BlobRef

_LISTINGS = 8
_SILENCE = 4.0
"""Seconds after which it is said whose answer is waited for."""
_RECENT = 20
"""Resources that are asked for their newest log, where none is of the time asked for."""

Told = Callable[[int, int], None]
"""Hears how much of a listing is done, and of how much; of 0 where that is not known yet."""


def unheard(done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Resource:
    """An NSG or VNet flow log with logs: its account, container and prefix."""

    account: str
    container: ContainerClient
    prefix: str

    @property
    def kind(self) -> str:
        """What has the logs: `nsg` or `vnet`."""
        return "vnet" if self.container.container_name == VNET_CONTAINER else "nsg"

    @property
    def id(self) -> str:
        """The NSG or VNet flow log as its path has it."""
        return self.prefix.partition("=")[2].rstrip("/")

    @property
    def name(self) -> str:
        """The NSG or VNet flow log as its path names it."""
        return self.prefix.rstrip("/").rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.account}/{self.container.container_name}/{self.prefix}"

    def logs(self, hour: datetime) -> list[Log]:
        """Its logs of an hour, one for each NIC."""
        return _logs(self, listing.hour_blobs(self.container, self.prefix, hour))


class Hours:
    """The logs of a resource in some hours, which are asked for a day at a time."""

    def __init__(self, at: Resource, hours: Collection[datetime]) -> None:
        self.at = at
        self._walk = Walk(at.container, at.prefix, hours)

    def known(self, hour: datetime) -> bool:
        """Whether those of an hour are known without a request."""
        return self._walk.known(hour)

    def logs(self, hour: datetime) -> list[Log]:
        """Those of an hour, one for each NIC."""
        return _logs(self.at, self._walk.hour(hour))


def _logs(at: Resource, blobs: Iterable[ListedBlob]) -> list[Log]:
    container = str(at.container.container_name)
    return [
        Log(BlobRef(at.account, container, blob.path), parse_path(blob.path), blob.size, blob.etag)
        for blob in blobs
    ]


class Logs:
    """The logs of some accounts. Every listing walks path prefixes, never a whole container.

    `failures` has a sentence for each thing that could not be listed, `names` the NSGs by name
    whose logs are there, those that were not asked for among them.
    """

    def __init__(
        self, accounts: Sequence[Account], nsgs: Iterable[str] = (), *, patient: bool = False
    ) -> None:
        """Ready to list; who is `patient` is not told whose answer takes long."""
        self._accounts = accounts
        self._silence = None if patient else _SILENCE
        self._accepts = matcher(nsgs)
        self._lock = threading.Lock()
        self.failures: dict[str, str] = {}
        self.names: set[str] = set()

    def resources(self, told: Told = unheard) -> list[Resource]:
        """The NSGs and VNet flow logs that have logs.

        Raises:
            NsgflowError: nothing could be listed at all; the first reason.
        """
        self.failures = {}
        pool = ThreadPoolExecutor(max(len(self._accounts), 1), thread_name_prefix="accounts")
        try:
            counted = _Counted(told)
            futures = {pool.submit(self._of_account, one, counted): one for one in self._accounts}
            done, late = wait(futures, self._silence)
            for future in late if done else ():
                note(f"waiting for {futures[future].name} to answer")
            answers = [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        errors = [error for _, of_account in answers for error in of_account]
        if errors and not any(found for found, _ in answers):
            raise errors[0]
        found = [at for of_account, _ in answers for at in of_account]
        self.names = {at.name for at in found if at.container.container_name == NSG_CONTAINER}
        return [at for at in found if self._wanted(at)]

    def _of_account(
        self, account: Account, counted: "_Counted"
    ) -> tuple[list[Resource], list[NsgflowError]]:
        """What an account has, and what of it cannot be listed."""
        with ThreadPoolExecutor(2, thread_name_prefix="containers") as pool:
            answers = list(
                pool.map(
                    lambda name: _of_container(account, name, counted),
                    (NSG_CONTAINER, VNET_CONTAINER),
                )
            )
        found = [at for resources, _ in answers for at in resources or ()]
        errors = [error for _, error in answers if error is not None]
        if all(resources is None and error is None for resources, error in answers):
            errors = [
                NsgflowError(
                    f"{account.name} has no flow logs: neither {NSG_CONTAINER} nor "
                    f"{VNET_CONTAINER} exists; name the account that the flow logs are sent to "
                    "('az network watcher flow-log list -l REGION' shows it)"
                )
            ]
        if len(errors) > 1:
            # One that cannot be reached refuses both containers for one reason.
            errors = errors[:1]
        for error in errors:
            self.failed(account.name, error)
        return found, errors

    def failed(self, what: str, error: NsgflowError) -> None:
        """Keep the first reason why something cannot be listed."""
        said = sentence(error)
        with self._lock:
            self.failures.setdefault(what, said if what in said else f"{what}: {said}")

    def listed(self, at: Resource, look: Callable[[Resource], list[Log]]) -> list[Log]:
        """What a look at a resource finds; nothing, and a failure kept, where it is refused."""
        try:
            return look(at)
        except NsgflowError as exc:
            self.failed(str(at), exc)
            return []

    def _wanted(self, at: Resource) -> bool:
        if at.container.container_name == VNET_CONTAINER:
            return True
        return self._accepts(at.name, at.id)

    def newest(self, hours: int, now: datetime, told: Told = unheard) -> Iterator[list[Log]]:
        """The newest hourly logs of each NSG, as many as asked for, the newest hour first."""
        with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as pool:
            listed = list(
                pool.map(
                    lambda at: self.listed(at, lambda one: _newest(one, hours, now)),
                    self.resources(told),
                )
            )
        by_hour: dict[datetime, list[Log]] = {}
        for logs in listed:
            for log in logs:
                by_hour.setdefault(log.path.hour, []).append(log)
        for hour in sorted(by_hour, reverse=True):
            yield by_hour[hour]

    def of_hours(self, hours: Sequence[datetime], told: Told = unheard) -> Iterator[list[Log]]:
        """The logs of these hours, an hour at a time."""
        resources = self.resources(told)
        with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as pool:
            yield from self.over(resources, hours, pool, told)

    def over(
        self,
        resources: Iterable[Resource],
        hours: Sequence[datetime],
        pool: Executor,
        told: Told = unheard,
    ) -> Iterator[list[Log]]:
        """The logs of some resources in these hours, an hour at a time, found by what exists."""
        walks = [Hours(at, hours) for at in resources]
        for number, hour in enumerate(hours):
            asked = [at for at in walks if not at.known(hour)]
            answers = pool.map(partial(self.of_walk, hour), asked)
            answered: dict[Hours, list[Log]] = {}
            begun = (number + 1) * len(walks) - len(asked)
            for done, (walk, logs) in enumerate(zip(asked, answers, strict=True), begun + 1):
                answered[walk] = logs
                told(done, len(hours) * len(walks))
            yield [
                log for at in walks for log in (answered[at] if at in answered else at.logs(hour))
            ]

    def newest_of(self, resources: Iterable[Resource], now: datetime) -> Iterator[Log]:
        """The newest hourly logs of some resources, however old."""
        with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as pool:
            for found in pool.map(
                lambda at: self.listed(at, lambda one: _newest(one, 1, now)), resources
            ):
                yield from found

    def of_walk(self, hour: datetime, walk: Hours) -> list[Log]:
        """The logs of an hour; none, and a failure kept, where they cannot be listed."""
        return self.listed(walk.at, lambda _: walk.logs(hour))

    def newest_hour(self) -> datetime | None:
        """The newest hour that any of the first resources has a log of."""
        return max((hour for _, hour in self.newest_hours()), default=None)

    def newest_hours(self) -> list[tuple[Resource, datetime]]:
        """The newest hour of each of the first resources that has one."""

        def newest(at: Resource) -> datetime | None:
            try:
                return next(listing.newest_hours(at.container, at.prefix), None)
            except NsgflowError:
                return None

        first = self.resources()[:_RECENT]
        with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as pool:
            found = list(zip(first, pool.map(newest, first), strict=True))
        return [(at, hour) for at, hour in found if hour is not None]


class _Counted:
    """Counts for whoever watches, from several threads."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._count = 0

    def one(self, at: Resource) -> Resource:
        with self._lock:
            self._count += 1
            self._told(self._count, 0)
        return at


def _of_container(
    account: Account, name: str, counted: _Counted
) -> tuple[list[Resource] | None, NsgflowError | None]:
    """The resources of a container, None where there is none; or why they cannot be listed."""
    container = account.service.get_container_client(name)
    try:
        found = [
            counted.one(Resource(account.name, container, at))
            for at in listing.resources(container)
        ]
        return (found, None) if found or listing.exists(container) else (None, None)
    except NsgflowError as exc:
        # All accounts have containers of these names.
        named = type(exc)(f"{account.name}: {exc}")
        named.__cause__ = exc.__cause__
        return None, named


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
