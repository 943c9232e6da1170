"""`nsgflow silence list`: a line for each silence."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

from nsgflow_core.cli.options import one_of, output
from nsgflow_core.cli.session import note, session
from nsgflow_core.cli.shared import Color, Utc, Verbose

_OUTPUTS = ("table", "json", "csv")
_COLUMNS = ("id", "until", "made", "terms", "why")


def list_(
    *,
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    utc: Utc = False,
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show the silences that hold."""
    with session(verbose=verbose, color=color, utc=utc, of_app=True):
        import os
        import time

        from nsgflow_core.cli.clock import text_clock
        from nsgflow_core.cli.digest_states import states_of
        from nsgflow_core.cli.formats import write_csv, write_json_lines
        from nsgflow_core.cli.harmless import escaped
        from nsgflow_core.cli.silence.silences import known, row
        from nsgflow_core.cli.tables import write_table
        from nsgflow_core.digests.silences import active

        form = one_of("--output", form, _OUTPUTS)
        rows = [row(at) for at in active(known(states_of(os.environ)), time.time())]
        if form == "json":
            write_json_lines(rows)
        elif form == "csv":
            write_csv(_COLUMNS, rows)
        elif rows:
            times = text_clock()
            for at in rows:
                at.update({key: times(at[key]) for key in ("until", "made")})
            write_table(_COLUMNS, [[escaped(at[key]) for key in _COLUMNS] for at in rows])
        else:
            note("none")
