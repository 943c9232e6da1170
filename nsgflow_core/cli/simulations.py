"""How a simulation is shown: JSON lines, a table, or a page of Markdown."""

import sys
from collections.abc import Callable, Sequence

from nsgflow_core.cli.formats import write_json_lines
from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.names import labelled
from nsgflow_core.cli.tables import write_table, write_text
from nsgflow_core.estate.simulation import CHANGES, Change, Kind, Seen, as_json, totals

ONLY_DENIED = (
    "the logs hold denied flows only: what was allowed cannot be judged, so nothing can be newly "
    "denied here"
)
_COLUMNS = ("flows", "change", "nsg", "direction", "recorded", "now", "for example")
_ON_A_PAGE = 40
_ORDER: tuple[Change, ...] = ("newly-denied", "newly-allowed", "unknown", "none")


def write(
    kinds: Sequence[tuple[Kind, Seen]],
    form: str,
    shown: Callable[[str, str], str],
    *,
    only_denied: bool,
) -> None:
    """Write what was found to stdout; where ends have names people see them beside addresses.

    `shown` says how to say an NSG of an id and a name.
    """
    if form == "json":
        write_json_lines(as_json(kind, seen) for kind, seen in kinds)
        write_json_lines([{"totals": totals(kinds)}])
        return
    by_change = sorted(kinds, key=lambda entry: _ORDER.index(entry[0].change))
    if form == "markdown":
        sys.stdout.write(_page(by_change, shown, only_denied=only_denied))
        return
    if kinds:
        write_table(_COLUMNS, [_cells(*entry, shown) for entry in by_change])
    write_text(_summary(kinds))


def _summary(kinds: Sequence[tuple[Kind, Seen]]) -> str:
    found = totals(kinds)
    words = {"none": "unchanged"} | {change: change.replace("-", " ") for change in CHANGES[1:]}
    return ", ".join(f"{found[change]:,} {words[change]}" for change in _ORDER)


def _cells(kind: Kind, seen: Seen, shown: Callable[[str, str], str]) -> list[str]:
    was = "denied" if kind.was_denied else "allowed"
    now = kind.because if kind.outcome == "unknown" else f"{kind.outcome} by {kind.rule}"
    first = seen.examples[0] if seen.examples else None
    example = ""
    if first is not None:
        port = "" if first["port"] is None else f" {first['port']}"
        source, destination = (
            labelled(first[end], first.get(f"{end}Name", "")) for end in ("src", "dst")
        )
        example = f"{source} > {destination} {first['protocol']}{port}"
    return [
        str(seen.flows),
        kind.change,
        shown(kind.nsg, kind.nsg.rpartition("/")[2]),
        "in" if kind.inbound else "out",
        f"{was} by {kind.recorded_rule}",
        now,
        example,
    ]


def _page(
    kinds: Sequence[tuple[Kind, Seen]], shown: Callable[[str, str], str], *, only_denied: bool
) -> str:
    """One page for a pull request: a summary, and what changes, the gravest first."""
    lines = ["## Rules judged by flows that were seen", "", f"**{_summary(kinds)}**", ""]
    if only_denied:
        lines += [f"> {ONLY_DENIED[0].upper()}{ONLY_DENIED[1:]}.", ""]
    changed = [entry for entry in kinds if entry[0].change != "none"]
    if changed:
        lines += [_row(_COLUMNS), _row(["---:", *["---"] * (len(_COLUMNS) - 1)])]
        lines += [_row(_cells(*entry, shown)) for entry in changed[:_ON_A_PAGE]]
    if len(changed) > _ON_A_PAGE:
        left = sum(seen.flows for _, seen in changed[_ON_A_PAGE:])
        lines += ["", f"{len(changed) - _ON_A_PAGE} more lines, of {left:,} flows, are not shown."]
    if not changed:
        lines.append("No flow that was seen would fare otherwise.")
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_markdown, cells)) + " |"


def _markdown(text: str) -> str:
    """A cell of Markdown: names come from logs, and may hold anything."""
    kept = printable(text)
    if set(kept) <= set("-:"):
        return kept
    return "".join(_ENTITIES.get(char, f"\\{char}" if char in _STEERING else char) for char in kept)


_STEERING = frozenset("\\`*_[]|!#~")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
