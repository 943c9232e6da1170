"""`nsgflow tail`: follows denied flows as they are written."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import (
    Interval,
    Sources,
    Verbose,
    Wanted,
    one_of,
    output,
    takes_options,
)
from nsgflow_core.cli.session import note, sentence, session

_OUTPUTS = ("text", "json")
_LONGEST_WAIT = 60.0


@takes_options
def tail(
    *,
    sources: Sources,
    wanted: Wanted,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Begin with flows from then on: ISO 8601 (UTC), or 30m, 2h ago.  [default: now]",
        ),
    ] = "",
    interval: Interval = 10,
    form: Annotated[str, output(*_OUTPUTS)] = "text",
    verbose: Verbose = False,
) -> None:
    """Follow denied flows as they are written.

    All NSGs of the accounts, until Ctrl-C; on a terminal denied flows are red, allowed ones
    green, and the last line says how old the newest record is. A --filter that names action
    shows others than denied ones.
    """
    with session(verbose=verbose):
        import os
        import time
        from concurrent.futures import ThreadPoolExecutor
        from datetime import UTC, datetime

        from nsgflow_core.cli.accounts import sign_in
        from nsgflow_core.cli.following import WORKERS, Tailing
        from nsgflow_core.cli.formats import flow_writer
        from nsgflow_core.cli.progress import foot
        from nsgflow_core.cli.query import Defaults, flow_filter
        from nsgflow_core.cli.times import Span, moment

        form = one_of("--output", form, _OUTPUTS)
        begin = moment(since, datetime.now(UTC)) if since else None
        span = Span(begin, datetime.max.replace(tzinfo=UTC)) if begin else None
        accounts = sign_in(sources.account_name or (), os.environ)
        accepted = flow_filter(wanted, Defaults(probes=True), span)
        tailing = Tailing(accounts, accepted, begin, wanted.nsg_name or ())
        write = flow_writer(form)
        failures = 0
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="tail") as pool, foot() as show:
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
                time.sleep(min(interval * 2**failures, max(_LONGEST_WAIT, interval)))
