"""`nsgflow sql`: flows asked in SQL."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, Sources, Wanted, When, one_of, output, takes_options
from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Color, Verbose

_OUTPUTS = ("table", "json", "csv")


@takes_options
def sql(
    *,
    query: Annotated[
        str,
        typer.Argument(
            metavar="SQL",
            help="What to ask of the table flows, in DuckDB's SQL, for example 'SELECT AclRule, "
            "count(*) FROM flows GROUP BY ALL ORDER BY 2 DESC'.",
            show_default=False,
        ),
    ],
    sources: Sources,
    estate: Estate,
    wanted: Wanted,
    when: When,
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Ask flows in SQL.

    The table flows has every flow of the last sixty minutes, allowed ones and probes too, if
    nothing else is asked for; of files all. Its columns are those of docs/columns.md. A source
    may also be what 'nsgflow export' wrote. The SQL reaches no other file, no network and no
    extension. Needs DuckDB (pip install duckdb).
    """
    with session(verbose=verbose, color=color, utc=when.utc):
        import os

        from nsgflow_core.cli import answers
        from nsgflow_core.cli.database import database
        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.query import Defaults
        from nsgflow_core.cli.reading import reading

        form = one_of("--output", form, _OUTPUTS)
        answers.check_order(query, sources.sources or ())
        if files := answers.parquet_files(sources, wanted, when, estate):
            with database() as flows:
                flows.load_parquet(files)
                answers.write(flows, query, form)
            return
        answers.check(query)
        accounts = opened(sources, os.environ)
        knowledge = estate_of(estate, os.environ, offline=isinstance(accounts, FileLogs))
        defaults = Defaults(allowed=True, probes=True, ordered=False)
        with (
            database() as flows,
            reading(accounts, wanted, when, defaults, knowledge) as work,
        ):
            flows.load(work.columns(), work.knowledge)
            answers.write(flows, query, form)
