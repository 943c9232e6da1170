"""`nsgflow mark`: tells digests what one did, so that they say it beside what begins after it."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Utc, Verbose


def mark(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What was done; without, show the marks.")
    ] = "",
    *,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="TIME",
            help="When it was done: 14:00, 'monday 9am', ISO 8601 (local unless it names a zone), "
            "or 5m ago.",
        ),
    ] = "now",
    utc: Utc = False,
    verbose: Verbose = False,
) -> None:
    """Mark what you did, such as a deployment.

    Groups of denied flows that begin within a day after it are told with it, in the webhooks for
    people (slack, teams, pagerduty). Takes the function's own settings (AzureWebJobsStorage,
    FlowLogs, NSGFLOW_…) from the environment.
    """
    with session(verbose=verbose, utc=utc, of_app=True):
        import os
        import sys
        from datetime import UTC, datetime

        from nsgflow_core.cli import marking
        from nsgflow_core.cli.digest_states import states_of
        from nsgflow_core.cli.times import moment
        from nsgflow_core.errors import BadInputError

        now = datetime.now(UTC)
        states = states_of(os.environ)
        if text.strip():
            marking.add(states, text, moment(at, now, utc=utc), now)
        elif at != "now":
            raise BadInputError("say what was done, and not only when")
        else:
            sys.stdout.write(marking.shown(states))
