"""Flows as Azure writes them.

Each round lists the logs of this hour and, for a while, of the one before, and reads what they
have grown by. The hour changes under way, NSGs come and go, and a round that fails is made up for
by the next: every log keeps its place.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta

import msgspec

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.listing import Logs, Resource
from nsgflow_core.cli.read import Found, Log
from nsgflow_core.cli.session import note
from nsgflow_core.cli.times import HOUR, Span, floor
from nsgflow_core.errors import NsgflowError
from nsgflow_core.filter import Filter
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.blocks import BlobChangedError, BlobGoneError, FlowLogs
from nsgflow_core.model import Bad, BlobRef, Flow

WORKERS = 8
_WINDOW = 4 * 1024 * 1024
_CLOSER = 2
_OPEN_AFTER_HOUR = timedelta(minutes=10)
"""So long the logs of the hour before are looked at: their last update comes after its end."""
_NEW_RESOURCES = 30.0
"""Seconds after which new NSGs are looked for."""


class _Time(msgspec.Struct):
    time: str = ""


_TIME = msgspec.json.Decoder(_Time)


class Tailing:
    """The place reached in each log that is followed."""

    def __init__(
        self,
        accounts: Sequence[Account],
        wanted: Filter,
        since: datetime | None,
        nsgs: Sequence[str] = (),
    ) -> None:
        self._logs = Logs(accounts, nsgs)
        self._source = FlowLogs({account.name: account.service for account in accounts})
        self._wanted = wanted
        self._since = since
        self._places: dict[BlobRef, int] = {}
        self._seen: dict[BlobRef, str] = {}
        self._resources: list[Resource] = []
        self._resources_until = 0.0
        self._hour = datetime.min.replace(tzinfo=UTC)
        self._newest = ""
        self.rounds = 0

    def round(self, pool: Executor, now: datetime) -> tuple[list[Found], NsgflowError | None]:
        """What is new, in the order of time, and what failed: that is new again next time."""
        hours = self._hours(now)
        try:
            if floor(now) != self._hour or time.monotonic() > self._resources_until:
                self._resources = self._logs.resources()
                self._resources_until = time.monotonic() + _NEW_RESOURCES
                self._hour = floor(now)
            places = [(at, hour) for at in self._resources for hour in hours]
            listed = list(pool.map(lambda place: place[0].logs(place[1]), places))
        except NsgflowError as exc:
            return [], exc
        logs = [log for of_place in listed for log in of_place]
        grown = [log for log in logs if self._seen.get(log.ref) != log.etag]
        results = list(pool.map(self._read, grown))
        kept = {log.ref for log in logs}
        self._places = {ref: at for ref, at in self._places.items() if ref in kept}
        self._seen = {ref: etag for ref, etag in self._seen.items() if ref in kept}
        self.rounds += 1
        found = [one for read, _ in results for one in read]
        found.sort(key=lambda one: one.flow.time_ms)
        return found, next((error for _, error in results if error is not None), None)

    def _hours(self, now: datetime) -> list[datetime]:
        this = floor(now)
        if not self.rounds and self._since is not None:
            return Span(self._since, now).hours()
        return [this] if now - this > _OPEN_AFTER_HOUR else [this - HOUR, this]

    def _read(self, log: Log) -> tuple[list[Found], NsgflowError | None]:
        """What a log has grown by; from its end when it is there at the start of all."""
        known = self._places.get(log.ref)
        at = known if known is not None else self._first_place(log)
        if at > log.size:
            note(f"{log.ref} was rewritten: it is shown from its start")
            at = 0
        found: list[Flow] = []
        error: NsgflowError | None = None
        try:
            for raw, end in self._stretches(log, at):
                found += self._flows(raw, log)
                at = end
            self._seen[log.ref] = log.etag
        except (BlobChangedError, BlobGoneError):
            pass  # the next round lists it as it is then, or not any more
        except NsgflowError as exc:
            error = exc
        self._places[log.ref] = at
        return [Found(log, flow) for flow in found], error

    def _first_place(self, log: Log) -> int:
        if self.rounds or self._since is not None:
            return 0
        return max(log.size - _CLOSER, 0)

    def _stretches(self, log: Log, at: int) -> Iterator[tuple[list[records.RawRecord], int]]:
        """The records from `at` on, and where each stretch of them ends."""
        size = _WINDOW
        while at < log.size:
            end = min(at + size, log.size)
            data = self._source.read(log.ref, at, end, log.etag)
            stretch = records.split(data, at, last=end == log.size)
            if stretch.end > at:
                yield stretch.records, stretch.end
                at = stretch.end
            elif end < log.size:
                size *= 4
            if end == log.size:
                return

    def _flows(self, raw: Sequence[records.RawRecord], log: Log) -> Iterator[Flow]:
        bad: list[Bad] = []
        for record in raw:
            found = flows.read(record, log.path, bad, denied_only=self._wanted.denied_only)
            yield from filter(self._wanted.accepts, found)
        if bad:
            note(f"{log.ref}: {len(bad)} pieces are unreadable, at byte {bad[0].offset} and on")
        if raw:
            self._newest = max(self._newest, _record_time(raw[-1]))

    def summary(self, now: datetime) -> str:
        """How much is followed, and how old the newest record is."""
        followed = f"following {len(self._places)} logs of {len(self._resources)} NSGs or VNets"
        try:
            newest = datetime.fromisoformat(self._newest)
        except ValueError:
            return f"{followed}, nothing new yet"
        behind = max(round((now - newest).total_seconds()), 0)
        return f"{followed}, the newest record is {behind} s old"


def _record_time(raw: records.RawRecord) -> str:
    try:
        return _TIME.decode(raw.data).time
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
