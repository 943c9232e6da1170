"""The flows that a command asks for, of the newest logs or of a span of time."""

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import typer

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.bare_names import placed
from nsgflow_core.cli.clock import noted
from nsgflow_core.cli.files import FileLogs
from nsgflow_core.cli.names import meant
from nsgflow_core.cli.nothing_found import (
    age,
    left_out_by_default,
    names_of_several,
    never_both,
    no_flows,
    no_such_names,
    shared_names,
)
from nsgflow_core.cli.options import Wanted, When
from nsgflow_core.cli.progress import Unseen, progress
from nsgflow_core.cli.query import Defaults, Query
from nsgflow_core.cli.read import Failure, Found, Log, Reader, Tally
from nsgflow_core.cli.session import Status, note, sentence
from nsgflow_core.cli.times import HOUR, Span, span
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.source import Source
from nsgflow_core.turns import uncollected

if TYPE_CHECKING:
    from nsgflow_core.cli.listing import Logs

_ALIKE = 3
"""So many failures of one reason are named one by one."""
_SHORT = timedelta(minutes=10)
"""A span of which the seconds are told."""
_BYTES = re.compile(r" from byte \d+ to \d+")


def when_span(when: When, now: datetime) -> Span | None:
    """The span of time, None for the newest logs.

    Raises:
        BadInputError: the span is empty or no time.
    """
    hours = 1 if when.display_hours is None else when.display_hours
    if not when.since and not when.until:
        return None
    if when.since and when.display_hours is not None:
        raise BadInputError(
            "--display-hours and --since are two ways to say which: give one of them"
        )
    return span(when.since, when.until, hours, now, utc=when.utc)


_NAMES = frozenset(("dst", "ip", "rule", "src", "subnet", "tag", "type", "vm", "vnet"))
"""Keys of filter terms that may ask for what nothing is called."""


class Reading:
    """The flows that a command asks for, as they are read.

    `knowledge` is what the deployed function knows, where its settings are at hand; `shown`
    counts the flows that were handed out.
    """

    def __init__(
        self,
        accounts: Sequence[Account] | FileLogs,
        wanted: Wanted,
        when: When,
        defaults: Defaults,
        knowledge: Knowledge | None = None,
    ) -> None:
        """Ready to read.

        Raises:
            BadInputError: what is asked for makes no sense.
        """
        self._now = datetime.now(UTC)
        self._accounts = () if isinstance(accounts, FileLogs) else accounts
        self._when = when
        self._span = when_span(when, self._now)
        # Files are read whole: who names them says what is wanted.
        self._last_hour = not (
            self._span or when.display_hours or defaults.hourly or isinstance(accounts, FileLogs)
        )
        if self._last_hour:
            self._span = Span(self._now - HOUR, self._now)
        wanted = placed(wanted, knowledge.inventory if knowledge is not None else None)
        self.query = Query(wanted, defaults, self._span)  # wrong words are told before a request
        files = isinstance(accounts, FileLogs)
        by_records = isinstance(accounts, FileLogs) and accounts.loose
        if knowledge is None:  # files are read where there is no network
            knowledge = NOTHING if files else known(os.environ)
        self.knowledge = knowledge
        if self.knowledge is not NOTHING or by_records:
            self.query = Query(wanted, defaults, self._span, self.knowledge, by_records=by_records)
        self._wanted, self._defaults = wanted, defaults
        self._nsgs = meant(wanted.nsg_name or (), self.knowledge.inventory)
        self._logs = accounts if isinstance(accounts, FileLogs) else _logs(accounts, self._nsgs)
        self.tally = Tally()
        self.shown = 0

    def flows(self) -> Iterator[Found]:
        """The flows, the newest hour first, as in get_nsg_logs; of a span in order of time.

        Raises:
            NsgflowError: nothing could be listed at all.
        """
        with self._reader() as (reader, hours):
            for found in reader.flows(hours):
                self.shown += 1
                yield found

    def columns(self) -> Iterator[Columns]:
        """The same flows, some hundreds at once, for whoever only shows them.

        Raises:
            NsgflowError: nothing could be listed at all.
        """
        with self._reader() as (reader, hours):
            for found in reader.columns(hours):
                self.shown += len(found.texts)
                yield found

    @contextmanager
    def _reader(self) -> Iterator[tuple[Reader, Iterable[list[Log]]]]:
        """What reads, and the logs to read by hours."""
        source: Source
        if isinstance(self._logs, FileLogs):
            source = self._logs
        else:
            from nsgflow_core.logs.blocks import FlowLogs  # noqa: PLC0415 - files need no SDK

            source = FlowLogs({account.name: account.service for account in self._accounts})
        with uncollected(), progress() as seen:
            hours = self._hours(seen)
            with Reader(
                source,
                self.query.filter,
                seen.reading,
                self.knowledge.inventory,
                ordered=self._defaults.ordered,
                sieve=self.query.everything_in,
            ) as reader:
                self.tally = reader.tally
                yield reader, hours

    @property
    def span(self) -> Span | None:
        """The span of time that is read; None for the newest logs, and for all of a file."""
        return self._span

    @property
    def complete(self) -> bool:
        """Whether everything was read so far that there is to read."""
        return not self._logs.failures and not self.tally.failures

    def _hours(self, seen: Unseen) -> Iterable[list[Log]]:
        """The logs to read, an hour at a time."""
        span = None if self._span is None else self._span.hours()
        if isinstance(self._logs, FileLogs):
            newest, held = self._when.display_hours, None
            if newest:
                from nsgflow_core.cli.loose_logs import hours_held  # noqa: PLC0415 - seldom asked

                held = partial(hours_held, self._logs)
            return self._logs.hours(self._nsgs, newest, span, held)
        if span is None:
            return self._logs.newest(self._when.display_hours or 1, self._now, seen.listing)
        if not self._last_hour:
            return self._logs.of_hours(span, seen.listing)
        of_span = list(self._logs.of_hours(span, seen.listing))
        if any(of_span):
            return of_span
        # Logs that ended long ago are better shown than nothing; it is said at the end.
        self._span = None
        self.query = Query(self._wanted, self._defaults, None, self.knowledge)
        return self._logs.newest(1, self._now, seen.listing)

    def finish(self) -> None:
        """Tell what could not be read, and why nothing was found.

        Raises:
            typer.Exit: something could not be read.
        """
        sys.stdout.flush()
        tally = self.tally
        logging.getLogger("nsgflow").info(
            "read %d logs, %d bytes, %d records", tally.logs, tally.bytes_read, tally.records
        )
        told = tally.failures
        if isinstance(self._logs, FileLogs):
            told = list(map(self._logs.named, told))
        failures = [*self._logs.failures.values(), *summed_up(told)]
        for failure in failures:
            note(f"skipped: {failure}")
        old = self._last_hour and self._span is None and bool(tally.logs)
        if old:
            note(
                "there are no logs of the last sixty minutes: these are the newest of each NSG, "
                f"and {age(tally.newest)}"
            )
        for said in self._unmatched():
            note(said)
        for said in self._taken_together() if self.shown else ():
            note(said)
        if not self.shown:
            self._nothing()
        elif left_out := left_out_by_default(self.query):
            note(f"left out by default: {', '.join(left_out)}")
        if failures:
            nothing_read = tally.logs and len(tally.failures) == tally.logs and not tally.bytes_read
            raise typer.Exit(Status.FAILED if nothing_read else Status.INCOMPLETE)

    def _unmatched(self) -> list[str]:
        """What is to say of filter terms that can match no flow."""
        asked = self.query.filter
        if not _NAMES & asked.keys:
            return []
        from nsgflow_core.cli import unmatched  # noqa: PLC0415 - such terms are few

        said = unmatched.without_knowledge(asked.terms, self.knowledge)
        if not self.shown:
            said += unmatched.misnamed(asked.terms, self.knowledge)
        return said

    def _nsg_ids(self) -> set[str]:
        """The ids of NSGs that were met, where one was asked for by name."""
        return self.query.ids | {id_ for kind, id_ in self.tally.resources if kind == "nsg"}

    def _taken_together(self) -> list[str]:
        """What is to say of names that several NSGs have, each of which was taken."""
        if not self.query.asked_names:
            return []
        there = self._logs.names | self.query.names
        shared = shared_names(self._nsg_ids(), there, self.knowledge.inventory)
        return names_of_several(self.query.asked_names, shared)

    def _nothing(self) -> None:
        there = self._logs.names | self.query.names
        vnets = any(kind == "vnet" for kind, _ in self.tally.resources)
        missing = no_such_names(self.query.asked_names, there, self._nsg_ids(), vnets=vnets)
        for said in missing:
            note(said)
        if self.tally.logs:
            span = ""
            if self._span:
                short = self._span.until - self._span.since < _SHORT
                span = f" from {noted(self._span.since, seconds=short)} on"
                if self._when.until:
                    span = f"{span} to {noted(self._span.until, seconds=short)}"
            why = no_flows(
                self.query, self.tally, span, offers_allowed=self._defaults.offers_allowed
            )
            for said in (f"no flows match: {why}", *never_both(self._wanted)):
                note(said)
            return
        if missing:
            return
        newest = self._logs.newest_hour() if self._span else None
        last = f": the newest is of {noted(newest)}" if newest else ""
        note(f"there are no flow logs of that time{last}")


def _logs(accounts: Sequence[Account], nsgs: Sequence[str]) -> "Logs":
    from nsgflow_core.cli.listing import Logs  # noqa: PLC0415 - files need no SDK

    return Logs(accounts, nsgs)


def summed_up(failures: Sequence[Failure]) -> list[str]:
    """A line for each failure, or for all that have one reason."""
    alike: dict[str, list[Failure]] = {}
    for failure in failures:
        reason = _BYTES.sub("", failure.why.replace(failure.log, ""))
        alike.setdefault(reason, []).append(failure)
    said: list[str] = []
    for group in alike.values():
        if len(group) > _ALIKE:
            said.append(f"{len(group)} logs, for one reason; the first is {group[0]}")
        else:
            said += map(str, group)
    return said


def known(environ: Mapping[str, str]) -> Knowledge:
    """What the deployed function knows of the network; nothing where it cannot be had."""
    from nsgflow_core.cli.inventories import APP_MEND, tell_age  # noqa: PLC0415 - files need none
    from nsgflow_core.cli.state import packed_of  # noqa: PLC0415 - files need no SDK
    from nsgflow_core.estate.inventory import Inventory  # noqa: PLC0415
    from nsgflow_core.estate.service_tags import ServiceTags  # noqa: PLC0415

    try:
        found = packed_of(environ)
        tags = ServiceTags(found.tags) if found.tags else None
        if not found.inventory:
            return Knowledge(tags) if tags else NOTHING
        inventory = Inventory(found.inventory)
    except NsgflowError as exc:
        note(f"NSGs of VNet flow logs are shown as they are logged, without names: {sentence(exc)}")
        return NOTHING
    tell_age(found.made, APP_MEND)
    return Knowledge(tags, inventory, made_ms=round(found.made * 1000))


@contextmanager
def reading(
    accounts: Sequence[Account] | FileLogs,
    wanted: Wanted,
    when: When,
    defaults: Defaults,
    knowledge: Knowledge | None = None,
) -> Iterator[Reading]:
    """Read the flows that are asked for; at the end tell what could not be read."""
    found = Reading(accounts, wanted, when, defaults, knowledge)
    yield found
    found.finish()
