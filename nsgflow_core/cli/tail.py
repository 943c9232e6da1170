"""`nsgflow tail`: follows flows as Azure writes them.

Each round lists the logs of this hour and, for a while, of the one before, and reads what they
have grown by. The hour changes under way, NSGs come and go, and a round that fails is made up for
by the next: every log keeps its place.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.query import Choice, Logs, Resource, flow_filter
from nsgflow_core.cli.read import Found, Log
from nsgflow_core.cli.session import note, sentence
from nsgflow_core.cli.text import Lines
from nsgflow_core.cli.times import HOUR, Span, floor, moment
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.filter import Filter
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.blocks import BlobChangedError, BlobGoneError, FlowLogs
from nsgflow_core.model import Bad, BlobRef, Flow
from nsgflow_core.sinks import rows

OUTPUTS = ("text", "json")
_WORKERS = 8
_WINDOW = 4 * 1024 * 1024
_CLOSER = 2
_OPEN_AFTER_HOUR = timedelta(minutes=10)
"""So long the logs of the hour before are looked at: their last update comes after its end."""
_NEW_RESOURCES = 30.0
"""Seconds after which new NSGs are looked for."""
_LONGEST_WAIT = 60.0
_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Follow:
    """What to follow: flows since a time ("" for from now on), a round every so many seconds."""

    choice: Choice
    since: str
    output: str
    interval: float


class _Time(msgspec.Struct):
    time: str = ""


_TIME = msgspec.json.Decoder(_Time)


def tail(accounts: Sequence[Account], follow: Follow) -> None:
    """Follow until interrupted.

    Raises:
        NsgflowError: the first round failed. Later ones are tried again.
    """
    if follow.output not in OUTPUTS:
        raise BadInputError(f"--output {follow.output!r} is not one of {', '.join(OUTPUTS)}")
    begun = datetime.now(UTC)
    since = moment(follow.since, begun) if follow.since else None
    span = Span(since, datetime.max.replace(tzinfo=UTC)) if since else None
    tailing = Tailing(accounts, follow.choice, flow_filter(follow.choice, span), since)
    write = _writer(follow.output)
    failures = 0
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="tail") as pool, _status() as show:
        while True:
            first = not tailing.rounds
            found, error = tailing.round(pool, datetime.now(UTC))
            write(found)
            if error is None:
                failures = 0
            elif first:
                raise error
            else:
                failures += 1
                note(f"{sentence(error)}; trying again")
            show(tailing.summary(datetime.now(UTC)))
            time.sleep(min(follow.interval * 2**failures, max(_LONGEST_WAIT, follow.interval)))


class Tailing:
    """The place reached in each log that is followed."""

    def __init__(
        self, accounts: Sequence[Account], choice: Choice, wanted: Filter, since: datetime | None
    ) -> None:
        self._logs = Logs(accounts, choice.nsg)
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


def _writer(output: str) -> Callable[[Sequence[Found]], None]:
    lines = Lines()
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def write(found: Sequence[Found]) -> None:
        encoders: Mapping[BlobRef, Callable[[Flow], bytes]] = (
            {log.ref: rows.encoder(log.ref) for log, _ in found} if output == "json" else {}
        )
        for log, flow in found:
            if output == "json":
                sys.stdout.write(encoders[log.ref](flow).decode() + "\n")
                continue
            line = lines.line(log.path, flow)
            if colours:
                line = f"{_RED if flow.denied else _GREEN}{line}{_PLAIN}"
            sys.stdout.write(line + "\n")
        sys.stdout.flush()

    return write


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """A line at the foot of a terminal; elsewhere a line of the log a minute."""
    if not sys.stderr.isatty():
        last = float("-inf")

        def log(text: str) -> None:
            nonlocal last
            if time.monotonic() - last >= _LONGEST_WAIT:
                last = time.monotonic()
                logging.getLogger("nsgflow").info("%s", text)

        yield log
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals pay for it
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # Lines that go to the same terminal are put above the foot; a pipe is left alone.
    with Live(
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
        redirect_stdout=sys.stdout.isatty(),
    ) as live:
        yield lambda text: live.update(Text(text, style="dim"), refresh=True)
