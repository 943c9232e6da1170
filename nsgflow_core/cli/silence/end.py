"""`nsgflow silence end`: ends a silence before its time."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import TYPE_CHECKING, Annotated

import typer

from nsgflow_core.cli.options import Verbose
from nsgflow_core.cli.session import session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nsgflow_core.digests.silences import Silence


def end(
    name: Annotated[str, typer.Argument(metavar="ID", help="As list shows it.")],
    *,
    verbose: Verbose = False,
) -> None:
    """End a silence before its time; what it held back is told."""
    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.silence.silences import opened
        from nsgflow_core.errors import BadInputError

        def fewer(known: "Sequence[Silence]") -> "list[Silence]":
            left = [at for at in known if at.id != name]
            if len(left) == len(known):
                raise BadInputError(
                    f"there is no silence {name!r}: list shows those that there are"
                )
            return left

        opened(os.environ).change(fewer)
