"""`nsgflow coverage`: which flow logs record each network interface."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from collections.abc import Sequence
from typing import Annotated

import typer

from nsgflow_core.cli.completing import several
from nsgflow_core.cli.options import AccountNames, Estate, Sources, one_of, output, takes_options
from nsgflow_core.cli.session import note, session
from nsgflow_core.cli.shared import Color, Utc, Verbose

FAILURES = ("not-logged", "in-part", "twice", "filtered", "nsg-logs", "unknown")
"""What can be wrong with how an interface is logged; `coverages.totals` counts them."""
_OUTPUTS = ("table", "text", "json", "csv")


@takes_options
def coverage(  # noqa: PLR0913 - one parameter for each option
    *,
    accounts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ACCOUNT]...",
            help="Storage accounts whose newest records are looked for.",
            show_default=False,
        ),
    ] = None,
    account_name: AccountNames = None,
    estate: Estate,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="WHAT",
            help="End with status 4 where one of these is there, separated by commas: "
            f"{', '.join(FAILURES)}.",
            autocompletion=several(FAILURES),
        ),
    ] = "",
    only: Annotated[
        str,
        typer.Option(
            "--only",
            metavar="WHAT",
            help="Show only interfaces of which one of these is true, the same words; totals are "
            "of all.",
            autocompletion=several(FAILURES),
        ),
    ] = "",
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    utc: Utc = False,
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show which flow logs record each network interface.

    Logged by which flow log (of its NSG, itself, its subnet or VNet), twice or not at all, with
    flows left out or not, still on NSG logs, which end on 2027-09-30; and the newest record in
    the storage accounts that are named. Interfaces and flow logs are Azure's (--inventory azure),
    or those of 'nsgflow inventory --export'. For pipelines: --fail-on. Where no flow log is known
    nothing can be told, and the exit status is 3.
    """
    with session(verbose=verbose, color=color, utc=utc):
        import os
        import sys

        from nsgflow_core.cli import coverages
        from nsgflow_core.cli.files import FileLogs, are_named, opened
        from nsgflow_core.cli.inventories import AZURE, kept_of, with_flow_logs
        from nsgflow_core.cli.progress import working
        from nsgflow_core.cli.session import Status
        from nsgflow_core.errors import BadInputError
        from nsgflow_core.estate.coverage import coverage as covered
        from nsgflow_core.estate.inventory import Inventory

        form = one_of("--output", form, _OUTPUTS)
        refused = _words("--fail-on", fail_on, FAILURES)
        shown = _words("--only", only, FAILURES)
        sources = Sources(accounts, account_name)
        read = opened(sources, os.environ) if are_named(sources, os.environ) else ()
        if isinstance(read, FileLogs):
            raise BadInputError("coverage takes storage accounts; give the inventory's file to "
                                "--inventory")  # fmt: skip
        source = estate.inventory or AZURE
        kept = kept_of(source, os.environ, refresh=estate.refresh)
        kept = with_flow_logs(kept, source, os.environ)
        found = list(covered(Inventory(kept.inventory), kept.flow_logs or ()))
        newest = None
        if read:
            from nsgflow_core.cli.newest import newest_records  # a file needs no SDK

            with working("looking for the newest records"):
                newest = newest_records(read, coverages.logging(found))
        rows = coverages.rows(found, newest)
        totals = coverages.totals(rows)
        coverages.write([row for row in rows if coverages.is_any(row, shown)], form, totals,
                        kept.made)  # fmt: skip
        sys.stdout.flush()
        unknown = coverages.unknown(totals, refused)
        for reason in unknown:
            note(reason)
        if any(totals[word] for word in refused):
            raise typer.Exit(Status.CHANGED)
        if unknown:
            raise typer.Exit(Status.INCOMPLETE)


def _words(flag: str, given: str, words: Sequence[str]) -> list[str]:
    return [one_of(flag, word.strip(), words) for word in given.split(",") if word.strip()]
