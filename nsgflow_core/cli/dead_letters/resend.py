"""`nsgflow dead-letters resend`: dead letters sent to the sinks after all."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, Letters, takes_options
from nsgflow_core.cli.session import Status, note, session
from nsgflow_core.cli.shared import Verbose


@takes_options
def resend(
    *,
    letters: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="As 'dead-letters list' shows them."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, or all that the other options leave.")
    ] = False,
    which: Letters,
    estate: Estate,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent; change nothing.")
    ] = False,
    drop: Annotated[
        bool,
        typer.Option(
            "--drop", help="Delete what no sink takes: filtered out, or too old to alert."
        ),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Send dead letters to the sinks after all.

    What could not be read is read with this version's parser; what a sink refused is posted to
    it again. Rows keep their FlowId and alerts their id. A letter is deleted when all of it was
    accepted; what is left of it stays, and so does what no sink takes, unless --drop is given.
    Exit status 3 if something stays. With --inventory --nsg takes NSGs of interfaces as well.
    """
    with session(verbose=verbose, utc=which.utc, of_app=True):
        import os

        from nsgflow_core.cli.dead_letters import letters as kept_letters
        from nsgflow_core.cli.dead_letters.resending import resending
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.state import settings_of
        from nsgflow_core.errors import BadInputError

        if not letters and not everything:
            raise BadInputError(
                "name the dead letters to send ('nsgflow dead-letters list'), or --all"
            )
        settings = settings_of(os.environ)
        kept = kept_letters.letters(settings)
        knowledge = estate_of(estate, os.environ)
        inventory = knowledge.inventory if knowledge is not None else None
        found = kept_letters.chosen(kept, which, inventory)
        if letters:
            found = kept_letters.named(found, letters)
        work = resending(settings, kept, drop=drop)
        done = [work.one(one, dry_run=dry_run) for one in found]
        if not found:
            note("there are no such dead letters")
        if not all(done):
            raise typer.Exit(Status.INCOMPLETE)
