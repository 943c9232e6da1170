"""`nsgflow why`: what stands in the way of a flow, on every layer."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

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
from nsgflow_core.cli.shared import Color, Utc, Verbose

_OUTPUTS = ("text", "json")


@takes_options
def why(  # noqa: PLR0913 - one parameter for each option
    *,
    src: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="Address, VM or network interface that begins the flow."
        ),
    ],
    dst: Annotated[
        str,
        typer.Argument(
            metavar="DST[:PORT]",
            help="Address, VM or network interface, and port; IPv6 as [address]:port.",
        ),
    ],
    sources: Sources,
    estate: Estate,
    rules: Rules = None,
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="tcp|udp|icmp|N", help="What is asked about.")
    ] = "tcp",
    nsg: Annotated[
        str,
        typer.Option(
            "--nsg-name", "--nsg", metavar="NSG", help="Ask only this NSG, in --direction."
        ),
    ] = "",
    direction: Annotated[
        str, typer.Option("--direction", metavar="in|out", help="With --nsg: its direction.")
    ] = "",
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Look at flows from then on, given as to 'nsgflow flows'.  [default: 1h; of files "
            "all]",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Look at flows before then.")
    ] = None,
    utc: Utc = False,
    who: Annotated[
        bool,
        typer.Option("--who", help="With --inventory azure: who made the changes."),
    ] = False,
    form: Annotated[str, output(*_OUTPUTS)] = "text",
    color: Color = "auto",
    verbose: Verbose = False,
) -> None:
    """Show what stands in the way of a flow.

    What was recorded of it, what each layer of rules says now (security admin rules, NSG of the
    subnet, NSG of the network interface, at both ends), the first that denies and every other.
    Rules come from the inventory, or from --rules; what cannot be decided is said, with why. With
    --inventory of Azure also what changed on its path since it was last recorded, of up to 14
    days.
    """
    with session(verbose=verbose, color=color, utc=utc):
        import os

        from nsgflow_core.cli import rule_changes, whys
        from nsgflow_core.cli.asked import parse
        from nsgflow_core.cli.coverages import of_ends
        from nsgflow_core.cli.files import FileLogs, are_named, opened
        from nsgflow_core.cli.inventories import APP, AZURE, estate_of, judge_of, kept_of
        from nsgflow_core.cli.query import Defaults
        from nsgflow_core.cli.reading import known, reading
        from nsgflow_core.errors import BadInputError

        form = one_of("--output", form, _OUTPUTS)
        live = estate.inventory == AZURE
        way = _way(nsg, direction)
        if who and not live:
            raise BadInputError("--who is of changes that Azure tells: give --inventory azure too")
        accounts = opened(sources, os.environ) if are_named(sources, os.environ) else None
        offline = isinstance(accounts, FileLogs)
        kept = None
        if estate.inventory not in ("", APP):
            kept = kept_of(estate.inventory, os.environ, refresh=estate.refresh)
            knowledge = kept.knowledge()
        else:
            knowledge = estate_of(estate, os.environ, offline=offline) or known(os.environ)
        judge = judge_of(rules, knowledge)
        asked = parse(src, dst, protocol, knowledge.inventory)
        recorded = whys.Recorded(judge, asked)
        wanted = Wanted(filter_terms=[f"src={asked.src} dst={asked.dst}"])

        def tell() -> None:
            inventory, asked = knowledge.inventory, recorded.settled()
            names = asked.names(inventory)
            at = asked.nics(inventory) if inventory is not None else {}
            logged = of_ends(inventory, kept.flow_logs if kept else None, at, names)
            now = whys.one_nsg(judge, nsg, way, asked) if nsg else recorded.judge()
            answer = whys.answer(asked, recorded.rows(), now)
            if inventory is not None:
                answer["names"] = {"src": names[asked.src], "dst": names[asked.dst]}
            if live and kept and inventory is not None:
                ends = [] if nsg else [nic for nics in at.values() for nic in nics]
                ids = rule_changes.path_ids(inventory, ends, now)
                answer["changes"] = rule_changes.asked(
                    os.environ, ids, now, answer, made=kept.made, who=who
                )
            read = accounts is not None
            whys.write(answer, form, names, judge.shown, logs=read, logged=logged)

        if accounts is None:
            tell()
            return
        when = When(since=since, until=until, utc=utc)
        defaults = Defaults(allowed=True, probes=True)
        with reading(accounts, wanted, when, defaults, knowledge) as work:
            for found in work.flows():
                recorded.add(found.flow)
            tell()


def _way(nsg: str, direction: str) -> str:
    """The direction in which one NSG is asked, "" where all of them are."""
    if bool(nsg) != bool(direction):
        from nsgflow_core.errors import BadInputError

        raise BadInputError("--nsg and --direction go together: give both, or none")
    return one_of("--direction", direction, ("in", "out")) if direction else ""
