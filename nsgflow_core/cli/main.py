"""The command line put together: its commands, each in a file of its own.

A command's file is imported when the command is asked for, and imports what it works with when it
runs: `nsgflow --help` costs little more than importing typer, however many commands there are.
"""

from typing import Annotated, Any

import typer

from nsgflow_core import __version__
from nsgflow_core.cli.lazy_group import SETTINGS, LazyGroup
from nsgflow_core.cli.shared import Color, Utc, Verbose, leading, shared

_ENVIRONMENT = """Sign-in: AZURE_STORAGE_CONNECTION_STRING, or STORAGE_ACCOUNT_KEY or a SAS
with --account-name, else whoever is signed in here (az login, managed identity).

Exit status: 0 done; 1 failed; 2 wrong usage or settings; 3 something could not be read and was
skipped; 4 what --fail-on names is there; 130 interrupted; 141 the reader of the pipe went away.
NO_COLOR switches colours off, --color always or never comes before it."""


class DeadLetters(LazyGroup):
    """The commands below `dead-letters`."""

    package = "nsgflow_core.cli.dead_letters"
    helps = {  # noqa: RUF012 - read only
        "list": "Show a line for each dead letter.",
        "show": "Show all of one dead letter.",
        "resend": "Send dead letters to the sinks after all.",
    }


class Silence(LazyGroup):
    """The commands below `silence`, of which `add` need not be said."""

    package = "nsgflow_core.cli.silence"
    helps = {  # noqa: RUF012 - read only
        "add": "Hold back groups that match TERMS, for a while.",
        "list": "Show the silences that hold.",
        "end": "End a silence before its time; what it held back is told.",
    }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Terms in the place of a command are those of a new silence."""
        at = leading(args)
        if args[at:] and args[at] not in (*self.helps, "-h", "--help"):
            args = [*args[:at], "add", *args[at:]]
        return super().parse_args(ctx, args)


class Nsgflow(LazyGroup):
    """The commands, in the order in which help lists them."""

    package = "nsgflow_core.cli"
    helps = {  # noqa: RUF012 - read only
        "flows": "Show flows of the newest logs, or of a span of time.",
        "denied": "Show which NSG, rule and port deny the most.",
        "why": "Show what stands in the way of a flow.",
        "simulate": "Judge flows that were seen by changed rules.",
        "coverage": "Show which flow logs record each network interface.",
        "report": "Write what was denied as one HTML file.",
        "export": "Write flows to a Parquet file.",
        "sql": "Ask flows in SQL.",
        "logs": "Show which flow logs there are to read.",
        "tail": "Follow denied flows as they are written.",
        "checkpoints": "Show how far the deployed function got, by log.",
        "replay": "Have the deployed function send hours again.",
        "inventory": "Show what is known of the network, or move it.",
        "run": "Run the pipeline in a loop, without Functions.",
        "check": "Check what stands in the way, each with its mend.",
        "dead-letters": "List, show and resend what was put aside.",
        "silence": "Hold back what people are told, for a while.",
        "mark": "Mark what you did, such as a deployment.",
        "help": "Show the help of a command, or of filter terms.",
        "completion": "Print what a shell needs to complete commands.",
    }
    groups = {  # noqa: RUF012 - read only
        "dead-letters": typer.Typer(
            cls=DeadLetters,
            callback=shared,
            help="""List, show and resend what was put aside.

            Flows that could not be read, and rows or alerts that were refused alone. Takes the
            function's own settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…) from the
            environment.""",
            no_args_is_help=True,
            add_completion=False,
            rich_markup_mode=None,
            context_settings=SETTINGS,
        ),
        "silence": typer.Typer(
            cls=Silence,
            callback=shared,
            help="""Hold back what people are told, for a while.

            `nsgflow silence TERMS --for 2h` makes a silence. Takes the function's own settings
            (AzureWebJobsStorage, FlowLogs, NSGFLOW_…) from the environment.""",
            no_args_is_help=True,
            add_completion=False,
            rich_markup_mode=None,
            context_settings=SETTINGS,
        ),
    }


app = typer.Typer(
    cls=Nsgflow,
    help="Which NSG, which rule, which port: Azure flow logs, straight from the storage account.",
    epilog=_ENVIRONMENT,
    no_args_is_help=True,
    add_completion=False,
    # Plain help comes in a third of the time of the decorated one.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _version(value: bool) -> None:  # noqa: FBT001 - how typer calls it
    if value:
        typer.echo(f"nsgflow {__version__}")
        raise typer.Exit


@app.callback()
def _nsgflow(
    ctx: typer.Context,
    *,
    color: Color = "auto",
    utc: Utc = False,
    verbose: Verbose = False,
    version: Annotated[  # noqa: ARG001 - answered before this runs
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    shared(ctx, color=color, utc=utc, verbose=verbose)
