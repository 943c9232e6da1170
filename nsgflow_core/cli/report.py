"""`nsgflow report`: denied flows as one HTML file, to read and to pass on."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import Estate, Rules, Sources, Wanted, When, takes_options
from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Verbose


@takes_options
def report(
    *,
    sources: Sources,
    to: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE.html", help="The file to write.", show_default=False
        ),
    ],
    estate: Estate,
    rules: Rules = None,
    wanted: Wanted,
    when: When,
    verbose: Verbose = False,
) -> None:
    """Write what was denied as one HTML file.

    The denied flows of the last sixty minutes, if nothing else is asked for: when, which rules,
    who to whom, what the rules say now (with --inventory or --rules), and the rules that would
    let them through, to be reviewed. The file opens offline, fetches nothing, and is at most 1.5
    MB.
    """
    with session(verbose=verbose, utc=when.utc):
        import os
        from datetime import UTC, datetime

        from nsgflow_core.cli import denials, exporting, reports
        from nsgflow_core.cli.files import FileLogs, opened
        from nsgflow_core.cli.gathering import Gathering
        from nsgflow_core.cli.inventories import estate_of, judge_of
        from nsgflow_core.cli.minutes import Minutes
        from nsgflow_core.cli.progress import working
        from nsgflow_core.cli.query import Defaults, action_of
        from nsgflow_core.cli.reading import reading
        from nsgflow_core.cli.twice import Twice
        from nsgflow_core.errors import BadInputError

        if action_of(wanted) == "allowed" or (wanted.action and action_of(wanted) != "denied"):
            raise BadInputError(
                "a report is of denied flows: say 'nsgflow export' for allowed ones"
            )
        accounts = opened(sources, os.environ)
        knowledge = estate_of(estate, os.environ, offline=isinstance(accounts, FileLogs))
        defaults = Defaults(always_denied=True, ordered=False)
        keys = denials.DEFAULT_BY.split(",")
        with (
            exporting.part_of(to, exporting.HTML) as part,
            reading(accounts, wanted, when, defaults, knowledge) as work,
            Gathering(keys, work.knowledge) as by_rule,
            Gathering(reports.PAIR, work.knowledge, scoped=False) as by_pair,
        ):
            judge = judge_of(rules, work.knowledge)
            minutes, twice = Minutes(), Twice()
            by_rule.take(by_pair.beside(twice.beside(minutes.beside(work.flows()))))
            if work.shown or work.complete:
                knows = bool(rules) or work.knowledge.inventory is not None
                told = (
                    reports.asked(wanted, when),
                    reports.read(work.tally),
                    reports.age_of(work.knowledge, datetime.now(UTC)),
                )
                timeline, called = minutes.timeline(), by_rule.called()
                seen = reports.Seen(by_rule.groups(), by_pair.groups(), timeline, called)
                with working("making the report"):
                    page = reports.report(seen, judge, told, knows=knows)
                    part.write_text(page, encoding="utf-8")
                exporting.put(part, to, work.shown)
            twice.tell()
