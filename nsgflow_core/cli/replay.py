"""`nsgflow replay`: has the deployed function send hours again."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli import completing
from nsgflow_core.cli.options import SINK_NAMES, SINKS, Estate, LogNames, one_of, takes_options
from nsgflow_core.cli.session import note, session
from nsgflow_core.cli.shared import Color, Utc, Verbose


@takes_options
def replay(  # noqa: PLR0913 - one parameter for each option
    *,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="From this hour on: 14:00, 'monday 9am', ISO 8601 (local unless it names a zone), "
            "or 30m, 2h, 3d ago.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Before this hour, given like --since."),
    ] = None,
    utc: Utc = False,
    nsg: LogNames = None,
    estate: Estate,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            "--sink",
            metavar="SINK",
            help=f"Only to this sink, may be repeated: {SINK_NAMES}.",
            autocompletion=completing.one_of(SINKS),
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be sent.")
    ] = False,
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Have the deployed function send hours again.

    Its sweep does so within five minutes; rows keep their FlowId, alerts their id. Takes the
    function's own settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…) from the environment, and
    is safe while it runs.
    """
    with session(verbose=verbose, color=color, utc=utc, of_app=True):
        import os
        from datetime import UTC, datetime

        from nsgflow_core.cli import cursors
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.progress import working
        from nsgflow_core.cli.state import Entries, open_state, whole_hours
        from nsgflow_core.cli.times import span

        sinks = [one_of("--sink", name, SINKS) for name in sink or ()]
        now = datetime.now(UTC)
        hours = whole_hours(span(since, until, 1, now, utc=utc))
        state = open_state(os.environ)
        knowledge = estate_of(estate, os.environ)
        inventory = knowledge.inventory if knowledge is not None else None
        cursors.refuse_forgotten(state, hours, now)
        all_of_them = Entries(state, hours, nsg or (), inventory)
        with working("listing logs and checkpoints"):
            chosen = [entry for entry in all_of_them if entry.log is not None]
        missing = all_of_them.missing(any_found=bool(chosen))
        if not chosen:
            why = "; ".join(missing) or "there are no logs of these hours"
            note(f"{why}: nothing to send again")
        else:
            for said in missing:
                note(said)
            if dry_run:
                cursors.show_again(state, chosen, sinks, inventory)
            else:
                cursors.move(state, chosen, sinks)
        all_of_them.finish()
