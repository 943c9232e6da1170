"""Finds the logs that `nsgflow logs` lists, in files or accounts, and tells what is missing."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.files import FileLogs, is_loose
from nsgflow_core.cli.log_forms import nsgs_of
from nsgflow_core.cli.log_lists import LOOKED_AT, Listed, Lists, hours_of, in_files
from nsgflow_core.cli.loose_logs import add_records
from nsgflow_core.cli.names import acl_shown, matcher, meant
from nsgflow_core.cli.nothing_found import no_such_names
from nsgflow_core.cli.progress import Unseen, progress
from nsgflow_core.cli.session import Status, note, sentence
from nsgflow_core.cli.times import Span
from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs.source import Source

if TYPE_CHECKING:
    from nsgflow_core.cli.listing import Logs

_DAY = timedelta(days=1)
_LISTINGS = 8
_SEEN = (
    "of each interface of VNet flow logs the newest log was looked at, at most its last "
    f"{LOOKED_AT >> 20} MiB: 'nsgflow flows --nsg-name' looks at all of a span"
)


@dataclass(frozen=True, slots=True)
class FoundLogs:
    """What was found, and what could not be; `missing` are names that fit nothing."""

    lists: list[Listed]
    failures: list[str]
    missing: list[str]
    only_a_day: bool


def find(
    accounts: Sequence[Account] | FileLogs,
    nsgs: Sequence[str],
    span: Span | None,
    now: datetime,
    inventory: Inventory | None,
) -> FoundLogs:
    """The logs of a span, of the last day where none is given; of files all.

    Raises:
        NsgflowError: nothing could be listed at all.
    """
    source: Source
    found = Lists()
    with progress() as seen:
        if isinstance(accounts, FileLogs):
            failures = dict(accounts.failures)
            hours = None if span is None else set(hours_of(span))
            for log in in_files(accounts, nsgs, span):
                name = accounts.name_of(log)
                try:
                    if not is_loose(log):
                        found.add(log)
                    elif not add_records(found, accounts, log, hours):
                        failures[name] = f"{name}: there is no record of a flow log in it"
                except NsgflowError as exc:
                    failures[name] = sentence(exc)
            source, names = accounts, accounts.names
        else:
            from nsgflow_core.cli.listing import Logs  # noqa: PLC0415 - files need no Azure
            from nsgflow_core.logs.blocks import FlowLogs  # noqa: PLC0415

            logs = Logs(accounts, nsgs)
            _count(found, logs, span or Span(now - _DAY, now), now, seen)
            source = FlowLogs({account.name: account.service for account in accounts})
            failures, names = logs.failures, logs.names
        found.read_ends(source, seen.listing)
        asked = meant(nsgs, inventory)
        if nsgs:
            accepts = matcher(asked)
            found.look_for(
                source,
                accepts,
                lambda acls: any(accepts(*acl_shown(acl, inventory)) for acl in acls),
                seen.listing,
            )
    every = found.all()
    of_them = {name for one in every for name in nsgs_of(one, one.interfaces.values(), inventory)}
    there = names | of_them | {one.name for one in every}
    rows = [named for one in every if (named := _named(one, asked, inventory))]
    acls = (acl for one in every for each in one.interfaces.values() for acl in each.newest.acls)
    ids = [*(one.resource for one in every), *(acl_shown(acl, inventory)[1] for acl in acls)]
    missing = no_such_names(nsgs, there, ids, vnets=False) if len(nsgs) > 1 or not rows else []
    if missing and any(one.kind == "vnet" for one in every):
        missing.append(_SEEN)
    return FoundLogs(
        rows,
        [*failures.values(), *_unread(every)],
        missing,
        only_a_day=span is None and not isinstance(accounts, FileLogs),
    )


def _count(found: Lists, logs: "Logs", span: Span, now: datetime, seen: Unseen) -> None:
    """Count the logs of a span; of what has none in it, the newest."""
    resources = logs.resources(seen.listing)
    with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list") as pool:
        for of_hour in logs.over(resources, hours_of(span), pool, seen.listing):
            for log in of_hour:
                found.add(log)
    silent = [at for at in resources if not found.has(at.account, at.kind, at.id)]
    for log in logs.newest_of(silent, now):
        found.add(log)


def _named(one: Listed, nsgs: Sequence[str], inventory: Inventory | None) -> Listed | None:
    """A log where it is of what is asked for; of a VNet flow log the interfaces under that NSG."""
    accepts = matcher(nsgs)
    if accepts(one.name, one.resource):
        return one
    interfaces = {
        mac: each
        for mac, each in one.interfaces.items()
        if any(accepts(*acl_shown(acl, inventory)) for acl in each.newest.acls)
    }
    return replace(one, interfaces=interfaces) if interfaces else None


def _unread(found: Sequence[Listed]) -> Iterator[str]:
    """A sentence for each log whose end could not be read."""
    for one in found:
        because = [each.newest.because for each in one.interfaces.values() if each.newest.because]
        if because:
            more = f", and {len(because) - 1} more" if len(because) > 1 else ""
            yield f"{one.account}: {one.name}: {because[0]}{more}"


def finish(found: FoundLogs) -> None:
    """Tell what could not be listed or read, and what is not there.

    Raises:
        typer.Exit: something could not be read.
    """
    sys.stdout.flush()
    for failure in found.failures:
        note(f"skipped: {failure}")
    for said in found.missing:
        note(said)
    if not found.lists and not found.missing:
        note("there are no flow logs")
    if found.only_a_day and found.lists:
        note("hours, logs and size are of the last 24 hours: --since counts others")
    if found.failures:
        raise typer.Exit(Status.INCOMPLETE)
