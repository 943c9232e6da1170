"""`nsgflow silence TERMS`: holds back what people would be told of some groups, for a while."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.session import note, session
from nsgflow_core.cli.shared import Utc, Verbose


def add(
    terms: Annotated[
        list[str],
        typer.Argument(metavar="TERMS", help="Filter terms, such as 'nsg=prod-* port=1433'."),
    ],
    *,
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="LENGTH", help="How long: 30m, 2h, 3d."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Until when: the next 17:00, 'monday 9am', ISO 8601 (local unless it names a "
            "zone).",
        ),
    ] = None,
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="The reason, told when it is over.")
    ] = "",
    utc: Utc = False,
    verbose: Verbose = False,
) -> None:
    """Hold back groups that match TERMS, for a while.

    They are counted, and what was held back is told when the silence is over. Keys are nsg, rule,
    direction, proto, port, src, dst and ip. Holds for digests (Slack, Teams, PagerDuty) of all
    webhooks within a minute. Takes the function's own settings from the environment.
    """
    with session(verbose=verbose, utc=utc, of_app=True):
        import os
        from datetime import UTC, datetime

        from nsgflow_core.cli.clock import noted
        from nsgflow_core.cli.digest_states import states_of
        from nsgflow_core.cli.silence import silences
        from nsgflow_core.digests.silences import check

        now = datetime.now(UTC)
        end = silences.end_of(length, until, now, utc=utc)
        made = silences.silence(check(" ".join(terms)).terms, end, now, why)
        silences.add(states_of(os.environ), made, now.timestamp())
        note(f"until {noted(end, seconds=True)}")
        typer.echo(made.id)
