"""`nsgflow export`: flows as a Parquet file, to keep and to pass on."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, Sources, Wanted, When, takes_options
from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Verbose


def _columns(incomplete: str) -> list[str]:
    from nsgflow_core.cli.completing import several
    from nsgflow_core.columns import columns

    return several(list(columns()))(incomplete)


@takes_options
def export(
    *,
    sources: Sources,
    to: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE.parquet", help="The file to write.", show_default=False
        ),
    ],
    omit: Annotated[
        str,
        typer.Option(
            "--omit",
            metavar="COLUMNS",
            help="Columns to leave out, separated by commas: FlowId, unlike in each row, is a "
            "seventh to a third of the file.",
            autocompletion=_columns,
        ),
    ] = "",
    estate: Estate,
    wanted: Wanted,
    when: When,
    verbose: Verbose = False,
) -> None:
    """Write flows to a Parquet file.

    Every flow of the last sixty minutes, allowed ones and probes too, if nothing else is asked
    for; of files all. The columns are those of the table (docs/columns.md), times with their time
    zone. Whole or not at all: a file of that name is replaced when everything is written. Needs
    DuckDB (pip install duckdb).
    """
    with session(verbose=verbose, utc=when.utc):
        import os

        from nsgflow_core.cli import exporting
        from nsgflow_core.cli.database import database
        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.progress import working
        from nsgflow_core.cli.query import Defaults
        from nsgflow_core.cli.reading import reading

        left_out = exporting.left_out(omit)
        accounts = opened(sources, os.environ)
        knowledge = estate_of(estate, os.environ, offline=isinstance(accounts, FileLogs))
        defaults = Defaults(allowed=True, probes=True, ordered=False)
        with (
            exporting.part_of(to, exporting.PARQUET) as part,
            database() as flows,
            reading(accounts, wanted, when, defaults, knowledge) as work,
        ):
            flows.load(work.columns(), work.knowledge)
            # What could not be read must not empty a file that was there before.
            if work.shown or work.complete:
                with working("writing Parquet"):
                    flows.write_parquet(part, left_out)
                exporting.put(part, to, work.shown)
                if not {"AclName", "AclGroup"} & set(left_out):
                    exporting.tell_shared_names(flows.names_of_several())
