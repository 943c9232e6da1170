"""`nsgflow logs`: which flow logs there are to read, and how old the newest record of each is."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.numbers import parts
from nsgflow_core.cli.options import Estate, Sources, one_of, output, takes_options
from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Color, Utc, Verbose

_OUTPUTS = ("table", "json", "csv")


@takes_options
def logs(  # noqa: PLR0913 - one parameter for each option
    *,
    sources: Sources,
    estate: Estate,
    nsg_name: Annotated[
        list[str] | None,
        typer.Option(
            "--nsg-name",
            "--nsg",
            metavar="NSG",
            help="Only logs of this NSG, or VNet flow log, by name (takes *) or resource id; "
            "repeated, or with commas: of any of them.",
            callback=parts,
        ),
    ] = None,
    nics: Annotated[
        bool, typer.Option("--nics", help="A row for each network interface, by its MAC.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Count the logs from then on, given as to 'nsgflow flows'.  [default: 24h; of "
            "files all]",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Count the logs before then.")
    ] = None,
    utc: Utc = False,
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show which flow logs there are to read.

    Of which NSGs (as --nsg-name takes them), VNets and network interfaces, how many hours and how
    much, and how old the newest record is: what has been silent for long is shown as well. The
    NSGs of a VNet flow log are those of its newest records; with --inventory they have names.
    """
    with session(verbose=verbose, color=color, utc=utc):
        import os
        from datetime import UTC, datetime

        from nsgflow_core.cli import log_forms
        from nsgflow_core.cli.clock import clock
        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.listed_logs import find, finish
        from nsgflow_core.cli.reading import known
        from nsgflow_core.cli.times import span
        from nsgflow_core.estate.knowledge import NOTHING

        form = one_of("--output", form, _OUTPUTS)
        now = datetime.now(UTC)
        asked = span(since, until, 24, now, utc=utc) if since or until else None
        accounts = opened(sources, os.environ)
        offline = isinstance(accounts, FileLogs)
        knowledge = estate_of(estate, os.environ, offline=offline)
        if knowledge is None:
            knowledge = NOTHING if offline else known(os.environ)
        found = find(accounts, nsg_name or (), asked, now, knowledge.inventory)
        shown = log_forms.Shown(now, clock(), knowledge.inventory, nics)
        log_forms.write(found.lists, form, shown)
        finish(found)
