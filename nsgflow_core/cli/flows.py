"""`nsgflow flows`: the flows of the newest logs, or of a span of time."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, Sources, Wanted, When, one_of, output, takes_options
from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Color, Verbose

_OUTPUTS = ("text", "table", "json", "csv")


@takes_options
def flows(  # noqa: PLR0913 - one parameter for each option
    *,
    sources: Sources,
    estate: Estate,
    wanted: Wanted,
    when: When,
    display_allowed: Annotated[
        bool, typer.Option("--display-allowed", help="Show allowed flows as well as denied ones.")
    ] = False,
    aggregate: Annotated[
        bool, typer.Option("--aggregate", help="Add up packets and bytes at the end.")
    ] = False,
    form: Annotated[str, output(*_OUTPUTS)] = "text",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show flows of the newest logs, or of a span of time.

    Denied inbound ones of the newest hourly log of each NSG, if nothing else is asked for. Takes
    the flags of get_nsg_logs and prints its lines: the first column is the record's time, as
    there; -o table, json and csv have the flow's own. With --display-hours the newest hour comes
    first, as there; with --since the oldest. Within an hour flows are in the order of their
    times. A --filter that names action, direction or lb replaces the default for it; with any
    flag that get_nsg_logs has not, naming an address, a port, a rule or an NSG shows both
    directions, and probes.
    """
    with session(verbose=verbose, color=color, utc=when.utc):
        import os
        import sys
        from collections.abc import Iterator

        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.formats import write_flows
        from nsgflow_core.cli.inventories import estate_of
        from nsgflow_core.cli.query import Defaults
        from nsgflow_core.cli.reading import reading
        from nsgflow_core.cli.text import Totals
        from nsgflow_core.cli.twice import Twice
        from nsgflow_core.logs.columns import Columns

        form = one_of("--output", form, _OUTPUTS)
        totals, twice = Totals(), Twice()

        def counted(found: Iterator[Columns]) -> Iterator[Columns]:
            for some in found:
                totals.add(some)
                twice.look_at(some)
                yield some

        accounts = opened(sources, os.environ)
        defaults = Defaults(
            allowed=display_allowed,
            direction="in",
            offers_allowed=True,
            hourly=True,
            lifted=_in_our_words(wanted, when, estate, form),
        )
        knowledge = estate_of(estate, os.environ, offline=isinstance(accounts, FileLogs))
        with reading(accounts, wanted, when, defaults, knowledge) as work:
            found = work.columns()
            if aggregate:
                found = counted(found)
            write_flows(found, form, work.knowledge, named=bool(estate.inventory))
            if aggregate:
                # What reads JSON or CSV would trip over other lines.
                target = sys.stdout if form in ("text", "table") else sys.stderr
                target.writelines(line + "\n" for line in totals.lines())
                twice.tell("in the totals")


def _in_our_words(wanted: Wanted, when: When, estate: Estate, form: str) -> bool:
    """Whether more is asked for than get_nsg_logs has flags for."""
    return bool(
        wanted.filter_terms
        or wanted.action
        or when.since
        or when.until
        or estate.inventory
        or form != "text"
    )
