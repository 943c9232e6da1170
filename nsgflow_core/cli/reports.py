"""What a report says of denied flows: its tables, cut to what a page holds."""

from collections.abc import Sequence
from dataclasses import Field, fields
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from nsgflow_core import __version__
from nsgflow_core.cli import proposals
from nsgflow_core.cli.denials import Denials, Key
from nsgflow_core.cli.names import labelled
from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.options import Wanted, When
from nsgflow_core.cli.read import Tally
from nsgflow_core.cli.report_page import Page, Table, written
from nsgflow_core.cli.summary import Summary
from nsgflow_core.estate import explain
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.model import flow_time

_LARGEST = 1_500_000
"""Bytes of a report, so that it can be sent as a mail."""
_ROWS = (500, 200, 50, 10)
"""Rows of a table at most; fewer where the page would be too large."""
_PROPOSALS = 200_000
"""Characters of proposals at most."""
_PROPOSED = 2_000
"""Groups that rules are proposed for: of a scan there may be millions, and the page shows few."""

Groups = Sequence[tuple[Key, Denials]]
"""Groups by the default keys of `nsgflow denied`, the busiest first."""


def asked(wanted: Wanted, when: When) -> str:
    """Which flows a report is of, in the words of the command line."""
    given = [
        f"{_flag(each)} {value}"
        for kind in (wanted, when)
        for each in fields(kind)
        for value in _values(getattr(kind, each.name))
    ]
    return f"Asked for: {', '.join(given)}." if given else ""


def read(tally: Tally) -> str:
    """What was read for a report."""
    logs = counted(tally.logs, "log")
    missing = " Some of it could not be read." if tally.failures else ""
    return f"Read {logs} with {counted(tally.records, 'record')}.{missing}"


def _flag(field: Field[Any]) -> str:
    """An option by its longest name."""
    return "--filter" if field.name == "filter_terms" else f"--{field.name.replace('_', '-')}"


def _values(value: Any) -> list[str]:
    if isinstance(value, bool) or not value:
        return [""] if value else []
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def report(
    groups: Groups, summary: Summary, judge: Judge, told: Sequence[str], *, knows: bool
) -> str:
    """The HTML of a report; `told` are sentences that say what it is of.

    Where the judge knows rules, it has what they say now of a flow of each group.
    """
    some = groups[:_PROPOSED]
    texts = list(proposals.suggest(some, judge, "az").texts()) if some else []
    for most in _ROWS:
        page = written(_page(groups, summary, judge if knows else None, told, texts, most))
        if len(page.encode()) <= _LARGEST:
            break
    return page


def _page(
    groups: Groups,
    summary: Summary,
    judge: Judge | None,
    told: Sequence[str],
    texts: Sequence[str],
    most: int,
) -> Page:
    flows = sum(denials.flows for _, denials in groups)
    times = [(denials.first, denials.last) for _, denials in groups]
    first, last = min((at for at, _ in times), default=0), max((at for _, at in times), default=0)
    span = f"From {_time(first)} to {_time(last)} UTC." if groups else "No flow was denied."
    shown = _fitting(texts, most)
    return Page(
        title="Denied flows",
        about=[line for line in (span, *told) if line],
        totals=[
            ("denied flows", f"{flows:,}"),
            ("rules that denied", f"{len({(key[0], key[1], key[2]) for key, _ in groups}):,}"),
            ("sources", f"{len({src for src, *_ in summary.pairs}):,}"),
            ("destinations", f"{len({dst for _, dst, *_ in summary.pairs}):,}"),
        ],
        timeline=summary.timeline(),
        tables=[
            _rules(groups, most),
            _pairs(summary, most),
            _groups(groups, judge, most),
        ],
        proposals=shown,
        proposals_about=_about_proposals(len(texts), len(shown), len(groups)),
        foot=f"Made by nsgflow {__version__} at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. "
        "The chart is drawn by uPlot 1.6.32 (MIT licence). This file fetches nothing.",
    )


def _about_proposals(made: int, shown: int, groups: int) -> str:
    if not made:
        return "There is nothing to propose."
    cut = shown < made or groups > _PROPOSED
    of = f" for the {_PROPOSED:,} busiest of {groups:,} groups" if groups > _PROPOSED else ""
    more = f" {shown} of {made}{of} are shown; 'nsgflow denied --suggest' has all." * cut
    return (
        "The fewest rules that would let these flows through, as az commands. Each is to be "
        f"reviewed before it is run: a flow that is denied may be one that should be.{more}"
    )


def _fitting(texts: Sequence[str], most: int) -> list[str]:
    """The first proposals, as far as there is room."""
    used = 0

    def fits(each: str) -> bool:
        nonlocal used
        used += len(each)
        return used <= _PROPOSALS

    return list(takewhile(fits, texts[:most]))


def _rules(groups: Groups, most: int) -> Table:
    rules: dict[tuple[str, str, str], tuple[list[int], set[str], set[str]]] = {}
    for (nsg, rule, direction, _, destination, _), denials in groups:
        key = (str(nsg), str(rule), str(direction))
        made: tuple[list[int], set[str], set[str]] = ([0], set(), set())
        counted, sources, destinations = rules.setdefault(key, made)
        counted[0] += denials.flows
        sources.update(denials.sources)
        destinations.add(str(destination))
    busiest = sorted(rules.items(), key=lambda each: (-each[1][0][0], each[0]))
    rows = [
        [f"{flows:,}", *key, f"{len(sources):,}", f"{len(destinations):,}"]
        for key, ((flows,), sources, destinations) in busiest[:most]
    ]
    columns = [
        ("flows", "number"), ("NSG", ""), ("rule", ""), ("direction", "whole"),
        ("sources", "number"), ("destinations", "number"),
    ]  # fmt: skip
    about = "The rules that denied, the busiest first."
    return Table("rules", "Rules", about, columns, rows, _more(len(busiest), len(rows)))


def _pairs(summary: Summary, most: int) -> Table:
    busiest = summary.busiest(most)
    rows = [
        [
            f"{seen.flows:,}",
            labelled(source, seen.names[0]),
            labelled(destination, seen.names[1]),
            protocol,
            "" if port is None else str(port),
            _time(seen.first),
            _time(seen.last),
        ]
        for (source, destination, protocol, port), seen in busiest
    ]
    columns = [
        ("flows", "number"), ("source", ""), ("destination", ""), ("protocol", "whole"),
        ("port", "number"), ("first (UTC)", "whole"), ("last (UTC)", "whole"),
    ]  # fmt: skip
    about = "Who wanted to reach whom, the busiest first."
    more = _more(len(summary.pairs), len(rows))
    return Table("pairs", "Who to whom", about, columns, rows, more)


def _groups(groups: Groups, judge: Judge | None, most: int) -> Table:
    knows = judge is not None
    rows = []
    for (nsg, rule, direction, protocol, destination, port), denials in groups[:most]:
        name = denials.names[1] if denials.names is not None else ""
        now = [explain.line(judge, denials.example)] if judge is not None else []
        rows.append(
            [
                f"{denials.flows:,}",
                f"{len(denials.sources):,}",
                *map(str, (nsg, rule, direction, protocol)),
                labelled(str(destination), name),
                "" if port is None else str(port),
                *now,
                _time(denials.first),
                _time(denials.last),
            ]
        )
    columns = [
        ("flows", "number"), ("sources", "number"), ("NSG", ""), ("rule", ""),
        ("direction", "whole"), ("protocol", "whole"), ("destination", ""), ("port", "number"),
        *([("the rules now", "long")] if knows else []),
        ("first (UTC)", "whole"), ("last (UTC)", "whole"),
    ]  # fmt: skip
    about = "Denied flows by NSG, rule, direction, protocol, destination and port"
    if knows:
        about = f"{about}, and what every layer of rules says now of one flow of each."
    else:
        about = f"{about}. What the rules say now is told with --inventory or --rules."
    return Table("verdicts", "Verdicts", about, columns, rows, _more(len(groups), len(rows)))


def _more(there: int, shown: int) -> str:
    return f"The first {shown:,} of {there:,} are here." if there > shown else ""


def _time(milliseconds: int) -> str:
    return flow_time(milliseconds)[:19].replace("T", " ")
