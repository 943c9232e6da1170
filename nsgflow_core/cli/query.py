"""What a command asks for: which logs, and which of their flows."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from azure.storage.blob import ContainerClient

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.read import Log
from nsgflow_core.cli.times import Span
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.filter import Filter, all_of, compile_terms
from nsgflow_core.logs import listing
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, parse_path
from nsgflow_core.model import BlobRef, Flow

_LISTINGS = 8
_KEY = re.compile(r"!?([A-Za-z]+)=")
_VERSIONS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Choice:
    """The flags of get_nsg_logs that choose flows, and `--filter`.

    `direction` is in, out, both or "" for what the command shows anyway; `version` 0 is any.
    """

    terms: str = ""
    allowed: bool = True
    probes: bool = True
    direction: str = ""
    version: int = 0
    with_counters: bool = False
    state: str = ""
    ip: str = ""
    port: int | None = None
    nsg: str = ""


def flow_filter(choice: Choice, span: Span | None = None) -> Filter:
    """What a flow must be to be shown.

    A filter that names the action, the direction or `lb` itself takes the place of the default
    for it: `--filter action=allowed` would show nothing otherwise.

    Raises:
        BadInputError: names every wrong value.
    """
    named = _keys(choice.terms)
    terms = [choice.terms]
    if not choice.allowed and "action" not in named:
        terms.append("action=denied")
    if not choice.probes and "lb" not in named:
        terms.append("lb=no")
    if choice.direction not in ("", "in", "out", "both"):
        raise BadInputError(f"--display-direction {choice.direction!r} is not in, out or both")
    if choice.direction in ("in", "out"):
        terms.append(f"direction={choice.direction}")
    if choice.version not in (0, *_VERSIONS):
        raise BadInputError(f"--version {choice.version} is not 1, 2 or 4")
    for flag, key, value in (("--flow-state", "state", choice.state), ("--ip", "ip", choice.ip)):
        if value:
            try:
                compile_terms(f"{key}={_one_word(flag, value)}")
            except BadInputError as exc:
                raise BadInputError(f"{flag} {value!r}: {exc}") from exc
            terms.append(f"{key}={value}")
    compiled = compile_terms(" ".join(terms))
    predicates = _predicates(choice, span)
    if not predicates:
        return compiled
    return all_of(
        compiled,
        Filter("", frozenset((True, False)), lambda flow: all(test(flow) for test in predicates)),
    )


def default_direction(direction: str | None, terms: str) -> str:
    """The direction to show: as asked for, else what the filter says, else in."""
    if direction is not None:
        return direction
    return "" if "direction" in _keys(terms) else "in"


def _keys(terms: str) -> set[str]:
    return {key.lower() for key in _KEY.findall(terms)}


def _one_word(flag: str, value: str) -> str:
    if len(value.split()) != 1:
        raise BadInputError(f"{flag} takes one value")
    return value


def _predicates(choice: Choice, span: Span | None) -> list[Callable[[Flow], bool]]:
    """What the filter terms have no word for."""
    found: list[Callable[[Flow], bool]] = []
    if span is not None:
        since, until = span.milliseconds()
        found.append(lambda flow: since <= flow.time_ms < until)
    if choice.version:
        found.append(lambda flow: flow.group.record.version == choice.version)
    if choice.with_counters:
        found.append(_counters_present)
    if (port := choice.port) is not None:
        found.append(lambda flow: port in (flow.src_port, flow.dst_port))
    if choice.nsg:
        # The NSG of an NSG log is told by its path, so those were chosen when they were listed.
        wanted = choice.nsg.casefold()
        found.append(
            lambda flow: (
                flow.group.record.version != 4  # noqa: PLR2004 - the VNet format
                or (flow.group.acl_name or flow.group.acl_group).casefold() == wanted
            )
        )
    return found


def _counters_present(flow: Flow) -> bool:
    return any(counter is not None for counter in flow.counters)


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

    def __init__(self, accounts: Sequence[Account], nsg: str = "") -> None:
        self._accounts = accounts
        self._nsg = nsg.casefold()

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
        if not self._nsg or at.container.container_name == VNET_CONTAINER:
            return True
        return at.prefix.rstrip("/").rpartition("/")[2].casefold() == self._nsg

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
