"""`nsgflow simulate`: what changed rules would do to flows that were seen."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from nsgflow_core.cli.completing import several
from nsgflow_core.cli.options import (
    Estate,
    Rules,
    Sources,
    Wanted,
    When,
    one_of,
    output,
    takes_options,
)
from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Color, Verbose

_OUTPUTS = ("table", "json", "markdown")
_CHANGES = ("newly-denied", "newly-allowed", "unknown")


@takes_options
def simulate(  # noqa: PLR0913 - one parameter for each option
    *,
    sources: Sources,
    estate: Estate,
    rules: Rules = None,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="CHANGES",
            help="End with status 4 where one of these is there, separated by commas: "
            f"{', '.join(_CHANGES)}.",
            autocompletion=several(_CHANGES),
        ),
    ] = "",
    wanted: Wanted,
    when: When,
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Judge flows that were seen by changed rules.

    Each flow is judged by the NSG that its log names, with the rules of --rules in the place of
    the inventory's: newly denied, newly allowed, unchanged, or unknown and why. For reviews, and
    for pipelines (--fail-on, -o markdown).
    """
    with session(verbose=verbose, color=color, utc=when.utc):
        import os

        from nsgflow_core.cli import simulations
        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.inventories import estate_of, judge_of
        from nsgflow_core.cli.query import Defaults
        from nsgflow_core.cli.reading import reading
        from nsgflow_core.cli.session import Status, note
        from nsgflow_core.errors import BadInputError
        from nsgflow_core.estate.knowledge import NOTHING
        from nsgflow_core.estate.simulation import Simulation, totals

        form = one_of("--output", form, _OUTPUTS)
        refused = [
            one_of("--fail-on", word.strip(), _CHANGES)
            for word in fail_on.split(",")
            if word.strip()
        ]
        if not rules:
            raise BadInputError("there are no changed rules: name them with --rules FILE")
        accounts = opened(sources, os.environ)
        offline = isinstance(accounts, FileLogs)
        knowledge = estate_of(estate, os.environ, offline=offline)
        defaults = Defaults(allowed=True, probes=True, ordered=False)
        ended: typer.Exit | None = None
        found: Mapping[Any, int] = {}
        try:
            with reading(accounts, wanted, when, defaults, knowledge) as work:
                judge = judge_of(rules, work.knowledge or NOTHING)
                simulation = Simulation(judge)
                for one in work.flows():
                    simulation.add(one.flow)
                kinds = simulation.kinds()
                found = totals(kinds)
                only_denied = simulation.denied > 0 and not simulation.allowed
                if only_denied:
                    note(simulations.ONLY_DENIED)
                simulations.write(kinds, form, judge.shown, only_denied=only_denied)
        except typer.Exit as exc:
            ended = exc
        if any(found.get(change) for change in refused):
            raise typer.Exit(Status.CHANGED)
        if ended is not None:
            raise ended
