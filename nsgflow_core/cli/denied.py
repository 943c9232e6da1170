"""`nsgflow denied`: denied flows grouped, so that the rule and port in the way stand on top."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import (
    Estate,
    Explain,
    Grouped,
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

_OUTPUTS = ("table", "json", "csv")
_FORMS = ("az", "bicep", "terraform")


@takes_options
def denied(  # noqa: PLR0913 - one parameter for each option
    *,
    sources: Sources,
    grouped: Grouped,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest",
            help="Propose the fewest rules that would let them through, to be reviewed, each "
            "tried on every layer that the inventory knows; what would let the internet in is a "
            "comment, and scans from there are left alone.",
        ),
    ] = False,
    written_as: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="|".join(_FORMS),
            help="Write nothing but the proposals, as a file to be run, deployed or applied.",
        ),
    ] = "",
    estate: Estate,
    rules: Rules = None,
    explain: Explain = False,
    wanted: Wanted,
    when: When,
    form: Annotated[str, output(*_OUTPUTS)] = "table",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show which NSG, rule and port deny the most.

    The denied flows of the last sixty minutes, if nothing else is asked for, in groups, the
    busiest on top: how many, from how many sources, when first and last. A flow counts as often
    as it is logged: an allowed one when it begins, goes on and ends.
    """
    with session(verbose=verbose, color=color, utc=when.utc):
        import os

        from nsgflow_core.cli import denials, denied_forms
        from nsgflow_core.cli import grouped as asking
        from nsgflow_core.cli.clock import clock
        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.inventories import estate_of, judge_of
        from nsgflow_core.cli.progress import working
        from nsgflow_core.cli.reading import reading
        from nsgflow_core.cli.tables import terminal_width
        from nsgflow_core.cli.twice import Twice
        from nsgflow_core.errors import BadInputError

        form = one_of("--output", form, _OUTPUTS)
        asked = asking.parse(grouped, wanted)
        alone = bool(written_as) and form == "table"
        suggest = suggest or bool(written_as)
        written_as = one_of("--as", written_as or _FORMS[0], _FORMS)
        if suggest and sorted(asked.keys) != sorted(denials.DEFAULT_BY.split(",")):
            raise BadInputError("--suggest needs the default grouping: leave out --by")
        if suggest and not asked.denied:
            raise BadInputError("--suggest is for denied flows: leave out --action")
        accounts = opened(sources, os.environ)
        knowledge = estate_of(estate, os.environ, offline=isinstance(accounts, FileLogs))
        with (
            reading(accounts, asked.wanted, when, asked.defaults, knowledge) as work,
            asked.gathering(work.knowledge, scoped=suggest) as gathering,
        ):
            asked.check(work.knowledge)
            judge = judge_of(rules, work.knowledge) if explain or suggest else None
            twice = Twice()
            gathering.take(twice.beside(work.flows()))
            groups = gathering.groups(asked.sort)
            shown = denied_forms.Shown(
                asked.keys,
                clock(),
                groups[len(groups[: grouped.top]) :],
                counters=not asked.denied,
                bars=asked.bars(groups, work.span, table=form == "table"),
                judge=judge if explain else None,
                called=gathering.called(),
            )
            groups = groups[: grouped.top]
            proposed = None
            if suggest and judge is not None:
                from nsgflow_core.cli import proposals

                with working("working out proposals"):
                    some = proposals.at_hand(groups)
                    proposed = proposals.suggest(some, judge, written_as, width=terminal_width())
            if alone and proposed is not None:
                proposed.write()
            else:
                denied_forms.write(groups, form, shown, proposed)
            twice.tell()
