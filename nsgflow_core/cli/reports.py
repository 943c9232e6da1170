"""What a report says of denied flows: its tables, cut to what a page holds."""

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from nsgflow_core import __version__
from nsgflow_core.cli import proposals
from nsgflow_core.cli.denials import Groups
from nsgflow_core.cli.gathering import at_hand, span_of
from nsgflow_core.cli.minutes import Timeline
from nsgflow_core.cli.names import labelled
from nsgflow_core.cli.nothing_found import counted, since
from nsgflow_core.cli.options import Wanted, When
from nsgflow_core.cli.read import Tally
from nsgflow_core.cli.report_page import Page, Table, written
from nsgflow_core.cli.reported import Rule, distinct, rules_of
from nsgflow_core.estate import explain
from nsgflow_core.estate.knowledge import Knowledge
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
_SOURCES = 200_000
"""Sources of these that are looked at, where not all are in memory."""

PAIR = ("source", "destination", "protocol", "port")
"""What flows are grouped by, to tell who wanted to reach whom."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Denied flows by the default keys of `nsgflow denied`, and by PAIR; the busiest first.

    `called` says by their ids how NSGs are called that share a name with others.
    """

    groups: Groups
    pairs: Groups
    timeline: Timeline
    called: Mapping[str, str]


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


def age_of(knowledge: Knowledge, now: datetime) -> str:
    """Of when the names and rules are; "" where there is no inventory."""
    if knowledge.inventory is None:
        return ""
    made = datetime.fromtimestamp(knowledge.made_ms / 1000, UTC)
    age = f"{since(made, now)} old" if made <= now else "by a clock that is ahead"
    return f"The inventory (names, rules) is of {made:%Y-%m-%d %H:%M} UTC, {age}."


def _flag(field: Field[Any]) -> str:
    """An option by its longest name."""
    return "--filter" if field.name == "filter_terms" else f"--{field.name.replace('_', '-')}"


def _values(value: Any) -> list[str]:
    if isinstance(value, bool) or not value:
        return [""] if value else []
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def report(seen: Seen, judge: Judge, told: Sequence[str], *, knows: bool) -> str:
    """The HTML of a report; `told` are sentences that say what it is of.

    Where the judge knows rules, it has what they say now of a flow of each group.
    """
    some = at_hand(seen.groups[:_PROPOSED], _PROPOSED, _SOURCES)
    texts = list(proposals.suggest(some, judge, "az").texts()) if some else []
    if said := proposals.cut_sources(some):
        told = [*told, f"{said}."]
    rules = rules_of(seen.groups, seen.called)
    for most in _ROWS:
        page = written(_page(seen, rules, judge if knows else None, told, texts, most))
        if len(page.encode()) <= _LARGEST:
            break
    return page


def _page(
    seen: Seen,
    rules: Sequence[Rule],
    judge: Judge | None,
    told: Sequence[str],
    texts: Sequence[str],
    most: int,
) -> Page:
    groups = seen.groups
    first, last = span_of(groups) if groups else (0, 0)
    span = f"From {_time(first)} to {_time(last)} UTC." if groups else "No flow was denied."
    shown = _fitting(texts, most)
    return Page(
        title="Denied flows",
        about=[line for line in (span, *told) if line],
        totals=[
            ("denied flows", f"{sum(rule.flows for rule in rules):,}"),
            ("rules that denied", f"{len(rules):,}"),
            ("sources", f"{distinct(seen.pairs, PAIR, 'source'):,}"),
            ("destinations", f"{distinct(seen.pairs, PAIR, 'destination'):,}"),
        ],
        timeline=seen.timeline,
        tables=[
            _rules(rules, most),
            _pairs(seen.pairs, most),
            _groups(seen, judge, most),
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
    has = "others, by --filter" if groups > _PROPOSED else "all"
    more = f" {shown} of {made}{of} are shown; 'nsgflow denied --suggest' has {has}." * cut
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


def _rules(rules: Sequence[Rule], most: int) -> Table:
    rows = [
        [f"{one.flows:,}", one.nsg, one.rule, one.direction, f"{one.sources:,}",
         f"{one.destinations:,}"]
        for one in rules[:most]
    ]  # fmt: skip
    columns = [
        ("flows", "number"), ("NSG", ""), ("rule", ""), ("direction", "whole"),
        ("sources", "number"), ("destinations", "number"),
    ]  # fmt: skip
    about = "The rules that denied, the busiest first."
    return Table("rules", "Rules", about, columns, rows, _more(len(rules), len(rows)))


def _pairs(pairs: Groups, most: int) -> Table:
    rows = [
        [
            f"{one.flows:,}",
            *map(labelled, map(str, (source, destination)), one.names or ("", "")),
            str(protocol),
            "" if port is None else str(port),
            _time(one.first),
            _time(one.last),
        ]
        for (source, destination, protocol, port), one in pairs[:most]
    ]
    columns = [
        ("flows", "number"), ("source", ""), ("destination", ""), ("protocol", "whole"),
        ("port", "number"), ("first (UTC)", "when"), ("last (UTC)", "when"),
    ]  # fmt: skip
    about = "Who wanted to reach whom, the busiest first."
    more = _more(len(pairs), len(rows))
    return Table("pairs", "Who to whom", about, columns, rows, more)


def _groups(seen: Seen, judge: Judge | None, most: int) -> Table:
    groups, knows = seen.groups, judge is not None
    rows = []
    for (nsg, rule, direction, protocol, destination, port), denials in groups[:most]:
        name = denials.names[1] if denials.names is not None else ""
        now = [explain.line(judge, denials.example)] if judge is not None else []
        rows.append(
            [
                f"{denials.flows:,}",
                f"{denials.source_count:,}",
                seen.called.get(denials.acl_group, str(nsg)),
                *map(str, (rule, direction, protocol)),
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
        ("first (UTC)", "when"), ("last (UTC)", "when"),
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
