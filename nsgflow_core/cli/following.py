"""Flows as Azure writes them.

Each round lists the logs of this hour and, for a while, of the one before, and reads what they
have grown by. The hour changes under way, NSGs come and go, and a round that fails is made up for
by the next: every log keeps its place. Accounts go their own ways, so that one that does not
answer keeps back none of the others.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import NamedTuple

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.listing import Logs, Resource
from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.read import Found, Log, record_time, unreadable
from nsgflow_core.cli.session import note, sentence
from nsgflow_core.cli.times import HOUR, Span, floor
from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.filter import Filter
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.leftover import is_over, leftover
from nsgflow_core.logs.path import VNET_CONTAINER
from nsgflow_core.logs.source import BlobChangedError, BlobGoneError
from nsgflow_core.model import Bad, BlobRef, Flow

_WORKERS = 8
_WINDOW = 4 * 1024 * 1024
_CLOSER = 2
_HEAD = 64
_OPEN_AFTER_HOUR = timedelta(minutes=10)
"""So long the logs of the hour before are looked at: their last update comes after its end."""
_NEW_RESOURCES = 30.0
"""Seconds after which new NSGs are looked for."""
_LONGEST_WAIT = 60.0
"""Seconds after which an account that fails is asked again, at the latest."""
_PATIENCE = 2.0
"""Seconds that a round waits for the slowest account, before the others are shown."""


class Followed(NamedTuple):
    """What a round found, in the order of time, and what failed, by what it is of."""

    found: list[Found]
    failures: dict[str, str]


class Tailing:
    """The accounts that are followed, each in a thread of its own."""

    def __init__(
        self,
        accounts: Sequence[Account],
        wanted: Filter,
        since: datetime | None,
        nsgs: Sequence[str] = (),
        inventory: Inventory | None = None,
    ) -> None:
        self._accounts = [_Account(one, wanted, since, nsgs, inventory) for one in accounts]
        self._pool = ThreadPoolExecutor(max(len(accounts), 1), thread_name_prefix="account")
        self._under_way: dict[Future[list[Found]], _Account] = {}

    def round(self, now: datetime) -> Followed:
        """What is new; what failed is new again next time.

        Raises:
            NsgflowError: no account could be listed even once.
        """
        busy = set(map(id, self._under_way.values()))
        for account in self._accounts:
            if id(account) not in busy and time.monotonic() >= account.not_before:
                self._under_way[self._pool.submit(account.round, now)] = account
        done, _ = wait(self._under_way, _PATIENCE)
        while not done and not any(one.rounds for one in self._accounts) and self._under_way:
            done, _ = wait(self._under_way, return_when="FIRST_COMPLETED")
        found: list[Found] = []
        for future in done:
            del self._under_way[future]
            found += future.result()
        found.sort(key=lambda one: one.flow.time_ms)
        errors = [one.error for one in self._accounts if one.error is not None]
        if len(errors) == len(self._accounts) and not any(one.rounds for one in self._accounts):
            raise errors[0]
        failures: dict[str, str] = {}
        for one in self._accounts:
            failures |= one.failures
        return Followed(found, failures)

    @property
    def names(self) -> set[str]:
        """The NSGs by name that have logs of their own."""
        return {name for one in self._accounts for name in one.names}

    @property
    def vnets(self) -> bool:
        """Whether VNet flow logs are followed, whose NSGs are met only in flows."""
        return any(one.vnets for one in self._accounts)

    def summary(self, now: datetime) -> str:
        """How much is followed, and how old the newest record is."""
        logs = sum(one.logs for one in self._accounts)
        resources = sum(one.resources for one in self._accounts)
        followed = f"following {counted(logs, 'log')} of {resources} NSGs or VNets"
        try:
            newest = datetime.fromisoformat(max(one.newest for one in self._accounts))
        except ValueError:
            return f"{followed}, nothing new yet"
        behind = max(round((now - newest).total_seconds()), 0)
        return f"{followed}, the newest record is {behind} s old"


class _Account:
    """The place reached in each log of one account."""

    def __init__(
        self,
        account: Account,
        wanted: Filter,
        since: datetime | None,
        nsgs: Sequence[str],
        inventory: Inventory | None,
    ) -> None:
        self._name = account.name
        self._logs = Logs([account], nsgs, patient=True)
        self._source = FlowLogs({account.name: account.service})
        self._wanted, self._inventory = wanted, inventory
        self._since = since
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="tail")
        self._places: dict[BlobRef, int] = {}
        self._seen: dict[BlobRef, str] = {}
        self._resources: list[Resource] = []
        self._resources_until = 0.0
        self._hour: datetime | None = None
        self._in_a_row = 0
        self.newest = ""
        self.rounds = 0
        self.failures: dict[str, str] = {}
        self.error: NsgflowError | None = None
        self.not_before = 0.0

    @property
    def logs(self) -> int:
        """How many logs are followed."""
        return len(self._places)

    @property
    def resources(self) -> int:
        """Of how many NSGs and VNet flow logs."""
        return len(self._resources)

    @property
    def names(self) -> set[str]:
        """The NSGs by name that have logs of their own."""
        return self._logs.names

    @property
    def vnets(self) -> bool:
        """Whether there are VNet flow logs."""
        return any(at.container.container_name == VNET_CONTAINER for at in self._resources)

    def round(self, now: datetime) -> list[Found]:
        """What is new; what failed is in `failures`, and is asked for again after a while."""
        self.failures, self.error = {}, None
        found: list[Found] = []
        try:
            found = self._round(now)
        except NsgflowError as exc:
            self.error = exc
            self.failures = self._logs.failures or {self._name: sentence(exc)}
        self._in_a_row = self._in_a_row + 1 if self.failures else 0
        wait_for = min(2.0**self._in_a_row, _LONGEST_WAIT) if self.error else 0.0
        self.not_before = time.monotonic() + wait_for
        return found

    def _round(self, now: datetime) -> list[Found]:
        hours = self._hours(now)
        if floor(now) != self._hour or time.monotonic() > self._resources_until:
            self._resources = self._logs.resources()
            self._resources_until = time.monotonic() + _NEW_RESOURCES
            self._hour = floor(now)
        else:
            self._logs.failures = {
                what: why for what, why in self._logs.failures.items() if "/" not in what
            }
        listed = self._logs.over(self._resources, hours, self._pool)
        logs = [log for of_hour in listed for log in of_hour]
        self.failures |= self._logs.failures
        grown = [log for log in logs if self._seen.get(log.ref) != log.etag]
        results = list(self._pool.map(self._read, grown))
        if not self._logs.failures:  # what could not be listed keeps its place
            kept = {log.ref for log in logs}
            self._places = {ref: at for ref, at in self._places.items() if ref in kept}
            self._seen = {ref: etag for ref, etag in self._seen.items() if ref in kept}
        self.rounds += 1
        return [one for read in results for one in read]

    def _hours(self, now: datetime) -> list[datetime]:
        this = floor(now)
        if not self.rounds and self._since is not None:
            return Span(self._since, now).hours()
        return [this] if now - this > _OPEN_AFTER_HOUR else [this - HOUR, this]

    def _read(self, log: Log) -> list[Found]:
        """What a log has grown by; from its end when it is there at the start of all."""
        known = self._places.get(log.ref)
        at = known if known is not None else self._first_place(log)
        if at > log.size:
            note(f"{log.ref} was rewritten: it is shown from its start")
            at = 0
        found: list[Flow] = []
        bad: list[Bad] = []
        try:
            for raw, end in self._stretches(log, at, bad):
                found += self._flows(raw, log, bad)
                at = end
            self._seen[log.ref] = log.etag
        except (BlobChangedError, BlobGoneError):
            pass  # the next round lists it as it is then, or not any more
        except NsgflowError as exc:
            self.failures[str(log.ref)] = sentence(exc)
        if bad:
            note(f"skipped: {log.ref}: {unreadable(bad)}")
        self._places[log.ref] = at
        return [Found(log, flow) for flow in found]

    def _first_place(self, log: Log) -> int:
        if self.rounds or self._since is not None:
            return 0
        return max(log.size - _CLOSER, 0)

    def _stretches(
        self, log: Log, at: int, bad: list[Bad]
    ) -> Iterator[tuple[list[records.RawRecord], int]]:
        """The records from `at` on, and where each stretch of them ends."""
        size = _WINDOW
        while at < log.size:
            end = min(at + size, log.size)
            data = self._source.read(log.ref, at, end, log.etag)
            stretch = records.split(data, at, last=end == log.size)
            bad += stretch.bad
            if end == log.size:
                head, over = data[:_HEAD] if at == 0 else b"", is_over(log.path.hour)
                left = leftover(head, data[stretch.end - at :], stretch.end, over=over)
                bad += [left] if left is not None else []
            if stretch.end > at:
                yield stretch.records, stretch.end
                at = stretch.end
            elif end < log.size:
                size *= 4
            if end == log.size:
                return

    def _flows(self, raw: Sequence[records.RawRecord], log: Log, bad: list[Bad]) -> Iterator[Flow]:
        for record in raw:
            found = flows.read(
                record,
                log.path,
                bad,
                denied_only=self._wanted.denied_only,
                inventory=self._inventory,
            )
            yield from filter(self._wanted.accepts, found)
        if raw:
            self.newest = max(self.newest, record_time(raw[-1]))
