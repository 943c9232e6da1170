"""The commands below `nsgflow dead-letters`, their options and help.

As in `main`, nothing of the core is imported before a command runs.
"""

# ruff: noqa: PLC0415 - see above; and an option is a parameter

from typing import Annotated

import typer

from nsgflow_core.cli import options

app = typer.Typer(
    help="""List, show and resend what was put aside.

    Flows that could not be read, and rows or alerts that were refused alone. Takes the
    function's own settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…) from the environment.""",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Since = Annotated[
    str,
    typer.Option(
        "--since", metavar="TIME", help="Written since then: ISO 8601 (UTC), or 30m, 2h, 3d ago."
    ),
]
Nsg = Annotated[
    str,
    typer.Option(
        "--nsg",
        metavar="NAME",
        help="Only of this NSG, or VNet flow log, as the paths of logs name it; takes *.",
    ),
]
Kind = Annotated[
    str,
    typer.Option(
        "--kind",
        metavar="input|table|webhook",
        help="Only what could not be read (input), or what this sink refused.",
    ),
]


@app.command("list")
def list_letters(
    *,
    since: Since = "",
    nsg: Nsg = "",
    kind: Kind = "",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="table|json|csv", help="How to show them.")
    ] = "table",
    verbose: options.Verbose = False,
) -> None:
    """Show a line for each dead letter.

    Its id for the other commands, the log and hour it is from, what it holds and the first
    reason.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.dead_letters import Choice
        from nsgflow_core.cli.dead_letters import list_letters as run

        run(os.environ, Choice(since, nsg, kind), output)


@app.command()
def show(
    *,
    letter: Annotated[str, typer.Argument(metavar="ID", help="As 'dead-letters list' shows it.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="text|json", help="How to show it.")
    ] = "text",
    verbose: options.Verbose = False,
) -> None:
    """Show all of one dead letter.

    Each piece with its place, its reason and its bytes; control characters as escapes.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.dead_letters import show_letter as run

        run(os.environ, letter, output)


@app.command()
def resend(
    *,
    letters: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="As 'dead-letters list' shows them."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, or all that the other options leave.")
    ] = False,
    since: Since = "",
    nsg: Nsg = "",
    kind: Kind = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent; change nothing.")
    ] = False,
    verbose: options.Verbose = False,
) -> None:
    """Send dead letters to the sinks after all.

    What could not be read is read with this version's parser; what a sink refused is posted to
    it again. Rows keep their FlowId and alerts their id. A letter is deleted when all of it was
    accepted; what is left of it stays. Exit status 3 if something stays.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.dead_letters import Choice, resend_letters

        resend_letters(
            os.environ,
            letters or (),
            Choice(since, nsg, kind),
            everything=everything,
            dry_run=dry_run,
        )
