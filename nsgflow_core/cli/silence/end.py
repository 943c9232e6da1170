"""`nsgflow silence end`: ends a silence before its time."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Verbose


def end(
    name: Annotated[str, typer.Argument(metavar="ID", help="As list shows it.")],
    *,
    verbose: Verbose = False,
) -> None:
    """End a silence before its time; what it held back is told."""
    with session(verbose=verbose, of_app=True):
        import os

        from nsgflow_core.cli.digest_states import states_of
        from nsgflow_core.cli.silence import silences

        silences.end(states_of(os.environ), name)
