"""`nsgflow tail`: follows denied flows as they are written."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import (
    AccountNames,
    Estate,
    Explain,
    Interval,
    Rules,
    Sources,
    Wanted,
    one_of,
    output,
    takes_options,
)
from nsgflow_core.cli.session import note, session
from nsgflow_core.cli.shared import Color, Utc, Verbose

_OUTPUTS = ("text", "json")


@takes_options
def tail(  # noqa: PLR0913 - one parameter for each option
    *,
    accounts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ACCOUNT]...",
            help="Storage accounts that flow logs are sent to.",
            show_default=False,
        ),
    ] = None,
    account_name: AccountNames = None,
    estate: Estate,
    rules: Rules = None,
    explain: Explain = False,
    wanted: Wanted,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Begin with flows from then on: 14:00, 'monday 9am', ISO 8601 (local unless it "
            "names a zone), or 30m, 2h ago.  [default: now]",
        ),
    ] = "",
    utc: Utc = False,
    interval: Interval = 10,
    form: Annotated[str, output(*_OUTPUTS)] = "text",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Follow denied flows as they are written.

    All NSGs of the accounts, until Ctrl-C: the lines of 'nsgflow flows', with each flow's own
    time. On a terminal that is local, denied flows are red, allowed ones green, and the last
    line says how old the newest record is. --action, or a --filter that names action, shows
    others than denied ones. Azure writes a record a minute; logs of a new NSG, and of the
    next hour, are found within 30 s.
    """
    with session(verbose=verbose, color=color, utc=utc):
        import os
        import time
        from datetime import UTC, datetime
        from itertools import count

        from nsgflow_core.cli.clock import clock, noted
        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.formats import flow_writer
        from nsgflow_core.cli.inventories import estate_of, judge_of
        from nsgflow_core.cli.nothing_found import no_such_names
        from nsgflow_core.cli.progress import foot
        from nsgflow_core.cli.query import Defaults, Query
        from nsgflow_core.cli.reading import known
        from nsgflow_core.cli.times import Span, moment
        from nsgflow_core.errors import BadInputError
        from nsgflow_core.estate.explain import line

        form = one_of("--output", form, _OUTPUTS)
        now = datetime.now(UTC)
        begin = moment(since, now, utc=utc) if since else None
        if begin is not None and begin > now:
            raise BadInputError(f"--since {since!r} has not come yet: it is {noted(now)}")
        span = Span(begin, datetime.max.replace(tzinfo=UTC)) if begin else None
        read = opened(Sources(accounts, account_name), os.environ)
        if isinstance(read, FileLogs):
            raise BadInputError("tail follows accounts: 'nsgflow denied' reads files")
        from nsgflow_core.cli.following import Tailing

        query = Query(wanted, Defaults(probes=True), span)
        knowledge = estate_of(estate, os.environ) or known(os.environ)
        if explain and form == "json":
            raise BadInputError("--explain is for text: 'nsgflow denied --explain' has it as JSON")
        query = Query(wanted, Defaults(probes=True), span, knowledge)
        tailing = Tailing(read, query.filter, begin, wanted.nsg_name or (), knowledge.inventory)
        explained = None
        if explain:
            judge = judge_of(rules, knowledge)
            explained = lambda flow: line(judge, flow)  # noqa: E731 - said once
        write = flow_writer(
            form,
            knowledge,
            explained,
            named=bool(estate.inventory),
            times=clock(milliseconds=True),
        )
        told: dict[str, str] = {}
        with foot() as show:
            for rounds in count():
                found, failures = tailing.round(datetime.now(UTC))
                write(found)
                for what, why in failures.items():
                    if told.get(what) != why:
                        note(f"{why}; trying again")
                told = failures
                if not rounds and not found:
                    there, vnets = tailing.names | query.names, tailing.vnets
                    for said in no_such_names(query.asked_names, there, vnets=vnets):
                        note(said)
                show(tailing.summary(datetime.now(UTC)))
                time.sleep(interval)
