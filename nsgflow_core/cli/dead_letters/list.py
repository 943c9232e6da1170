"""`nsgflow dead-letters list`: a line for each dead letter."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, Letters, one_of, output, takes_options
from nsgflow_core.cli.session import Status, note, session
from nsgflow_core.cli.shared import Color, Verbose

_OUTPUTS = ("table", "json", "csv")
_COLUMNS = ("id", "written", "hour", "log", "mac", "kind", "entries", "omitted", "bytes", "reason")
_WORKERS = 8


@takes_options
def list_(
    *,
    which: Letters,
    estate: Estate,
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show a line for each dead letter.

    Its id for the other commands, the log and hour it is from, what it holds and the first
    reason. With --inventory also VM, subnet and NSGs of its interface, and --nsg takes these NSGs
    as well.
    """
    with session(verbose=verbose, color=color, utc=which.utc, of_app=True):
        import os
        from concurrent.futures import ThreadPoolExecutor

        from nsgflow_core.cli.clock import text_clock
        from nsgflow_core.cli.dead_letters.letters import chosen, letters
        from nsgflow_core.cli.dead_letters.shown import line
        from nsgflow_core.cli.formats import write_csv, write_json_lines
        from nsgflow_core.cli.harmless import escaped
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.names import interface_names, joined
        from nsgflow_core.cli.progress import working
        from nsgflow_core.cli.state import settings_of
        from nsgflow_core.cli.tables import write_table

        form = one_of("--output", form, _OUTPUTS)
        kept = letters(settings_of(os.environ))
        knowledge = estate_of(estate, os.environ)
        inventory = knowledge.inventory if knowledge is not None else None
        found = chosen(kept, which, inventory)
        with working("reading dead letters"), ThreadPoolExecutor(_WORKERS) as pool:
            rows = list(pool.map(lambda one: line(kept, one), found))
        columns = list(_COLUMNS)
        if inventory is not None:
            columns[columns.index("kind") : columns.index("kind")] = ["vm", "subnet", "nsgs"]
            for row, one in zip(rows, found, strict=True):
                row.update(interface_names(one.log, inventory))
        unread = [(row["id"], why) for row in rows if (why := row.pop("unread"))]
        if form == "json":
            write_json_lines(rows)
        elif form == "csv":
            write_csv(columns, ({key: row[key] for key in columns} for row in map(joined, rows)))
        elif rows:
            times = text_clock()
            for row in rows:
                row.update({key: times(row[key]) for key in ("written", "hour")})
            write_table(
                columns,
                [
                    ["" if row[key] is None else escaped(str(row[key])) for key in columns]
                    for row in map(joined, rows)
                ],
            )
        else:
            note(
                "there are no dead letters of that kind"
                if which != Letters(utc=which.utc)
                else "none"
            )
        for letter, why in unread:
            note(f"not read: {letter}: {why}")
        if unread:
            raise typer.Exit(Status.INCOMPLETE)
