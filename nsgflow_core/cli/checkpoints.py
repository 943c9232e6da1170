"""`nsgflow checkpoints`: how far each sink got in each log, and how far behind it is."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, LogNames, one_of, output, takes_options
from nsgflow_core.cli.session import note, session
from nsgflow_core.cli.shared import Color, Utc, Verbose

_OUTPUTS = ("table", "json", "csv")


@takes_options
def checkpoints(  # noqa: PLR0913 - one parameter for each option
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="From this hour on: 14:00, 'monday 9am', ISO 8601 (local unless it names a zone), "
            "or 30m, 2h, 3d ago.  [default: 2h]",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Before this hour, given like --since."),
    ] = None,
    nsg: LogNames = None,
    utc: Utc = False,
    estate: Estate,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only where a sink is behind its log.")
    ] = False,
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show how far the deployed function got, by log.

    For each sink the bytes that it is behind its log, and since when. Takes the function's own
    settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…) from the environment. Logs without any
    checkpoint are shown without a sink. With --inventory each log has VM, subnet and NSGs, and
    --nsg takes these NSGs as well.
    """
    with session(verbose=verbose, color=color, utc=utc, of_app=True):
        import os
        import time
        from datetime import UTC, datetime

        from nsgflow_core.cli import lag
        from nsgflow_core.cli.clock import noted
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.progress import working
        from nsgflow_core.cli.state import Entries, open_state, whole_hours
        from nsgflow_core.cli.times import span

        form = one_of("--output", form, _OUTPUTS)
        hours = whole_hours(span(since, until, 2, datetime.now(UTC), utc=utc))
        state = open_state(os.environ)
        knowledge = estate_of(estate, os.environ)
        inventory = knowledge.inventory if knowledge is not None else None
        all_of_them = Entries(state, hours, nsg or (), inventory)
        with working("listing logs and checkpoints"):
            found = [
                row
                for entry in all_of_them
                for row in lag.rows(entry, time.time(), inventory)
                if not stale or row["lagBytes"] or row["failures"]
            ]
        if form != "table" or found:
            lag.write(found, form, named=inventory is not None)
        said = all_of_them.missing(any_found=bool(found))
        if form == "table" and not found and not said:
            none = f"that time ({noted(hours[0])} to {noted(hours[-1])})"
            said = [
                "nothing is behind" if stale else f"there are no logs and no checkpoints of {none}"
            ]
        for one in said:
            note(one)
        all_of_them.finish()
