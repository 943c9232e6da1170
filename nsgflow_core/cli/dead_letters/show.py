"""`nsgflow dead-letters show`: all of one dead letter."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, Letters, one_of, output, takes_options
from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Utc, Verbose

_OUTPUTS = ("text", "json")


@takes_options
def show(
    *,
    letter: Annotated[str, typer.Argument(metavar="ID", help="As 'dead-letters list' shows it.")],
    estate: Estate,
    form: Annotated[str, output(*_OUTPUTS)] = "text",
    utc: Utc = False,
    verbose: Verbose = False,
) -> None:
    """Show all of one dead letter.

    Each piece with its place, its reason and its bytes; control characters as escapes. With
    --inventory also VM, subnet and NSGs of its interface.
    """
    with session(verbose=verbose, utc=utc, of_app=True):
        import os
        import sys

        from nsgflow_core.cli.dead_letters.letters import chosen, letters, named
        from nsgflow_core.cli.dead_letters.shown import lines, plain
        from nsgflow_core.cli.formats import write_json_lines
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.names import interface_names
        from nsgflow_core.cli.state import settings_of

        form = one_of("--output", form, _OUTPUTS)
        kept = letters(settings_of(os.environ))
        (found,) = named(chosen(kept, Letters()), [letter])
        whole = kept.read(found.listed)
        knowledge = estate_of(estate, os.environ)
        inventory = knowledge.inventory if knowledge is not None else None
        names = interface_names(found.log, inventory) if inventory is not None else {}
        if form == "json":
            head = {"id": found.id, "name": found.listed.name}
            write_json_lines([{**head, **names, **plain(whole)}])
        else:
            sys.stdout.writelines(f"{line}\n" for line in lines(found, whole, names))
