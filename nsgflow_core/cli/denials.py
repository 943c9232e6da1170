"""Denied flows in groups: what the flows of each have in common, and how they are shown."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsgflow_core.cli.formats import write_csv, write_json_lines
from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.names import vnet_name
from nsgflow_core.cli.proposals import Planner, Proposal, Wish, merged, no_rule, wishes
from nsgflow_core.cli.read import Found, nsg_name
from nsgflow_core.cli.tables import write_table
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import explain
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.judgement import denial_line
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.model import Flow, flow_time

DEFAULT_BY = "nsg,rule,direction,protocol,destination,port"

_Value = str | int | None
_KEYS: dict[str, Callable[[Found, Inventory | None], _Value]] = {
    "nsg": lambda found, _: nsg_name(found.log.path, found.flow.group),
    "rule": lambda found, _: found.flow.group.rule,
    "direction": lambda found, _: "in" if found.flow.inbound else "out",
    "protocol": lambda found, _: found.flow.protocol,
    "source": lambda found, _: found.flow.src,
    "destination": lambda found, _: found.flow.dst,
    "port": lambda found, _: found.flow.dst_port,
    "mac": lambda found, _: found.flow.group.mac,
    "account": lambda found, _: found.log.ref.account,
    "vnet": lambda found, inventory: vnet_name(found.flow, inventory),
}

Key = tuple[_Value, ...]


@dataclass(slots=True)
class Denials:
    """What the denied flows of one group have in common; times in milliseconds.

    `vnets` has the VNets of NSGs that VNet flow logs name by a GUID alone.
    """

    acl_group: str
    first: int
    last: int
    example: Flow
    flows: int = 0
    sources: set[str] = field(default_factory=set)
    vnets: set[str] = field(default_factory=set)

    def add(self, found: Found) -> None:
        """Count a flow."""
        self.flows += 1
        self.sources.add(found.flow.src)
        self.first = min(self.first, found.flow.time_ms)
        self.last = max(self.last, found.flow.time_ms)


def parse_by(by: str) -> list[str]:
    """The keys to group by.

    Raises:
        BadInputError: names one that there is not, or none.
    """
    keys = [key.strip().lower() for key in by.split(",") if key.strip()]
    unknown = [key for key in keys if key not in _KEYS]
    if unknown or not keys:
        wrong = unknown[0] if unknown else ""
        raise BadInputError(f"--by {wrong!r} is not one of {', '.join(_KEYS)}")
    return list(dict.fromkeys(keys))


def group(
    found: Iterable[Found], keys: Sequence[str], inventory: Inventory | None = None
) -> list[tuple[Key, Denials]]:
    """Denied flows by these keys, the busiest group first."""
    getters = [_KEYS[key] for key in keys]
    at = keys.index("nsg") if "nsg" in keys else None
    groups: dict[Key, tuple[Key, Denials]] = {}
    for item in found:
        values = tuple(get(item, inventory) for get in getters)
        acl = item.flow.group.acl_group if at is not None else ""
        # An NSG is told by its id: in different resource groups NSGs may have one name, and its
        # own logs write it in capitals, those of the VNet as it was made.
        key = values if at is None else (*values[:at], acl, *values[at + 1 :])
        if (entry := groups.get(key)) is None:
            when = item.flow.time_ms
            entry = groups[key] = (values, Denials(acl, when, when, item.flow))
        entry[1].add(item)
        if acl and not acl.startswith("/") and (vnet := vnet_name(item.flow, inventory)):
            entry[1].vnets.add(vnet)
    return sorted(groups.values(), key=lambda entry: (-entry[1].flows, list(map(str, entry[0]))))


def write(
    keys: Sequence[str],
    groups: Sequence[tuple[Key, Denials]],
    output: str,
    *,
    suggest: bool,
    inventory: Inventory | None = None,
    judge: Judge | None = None,
) -> None:
    """Write the groups, and with `suggest` the rules that would let them through.

    With an inventory the proposals name the rule that denied and a free priority before it. With
    a judge a flow of each group is judged by the rules as they are now.
    """
    proposals = _proposals(keys, groups, inventory) if suggest else []
    if output == "table":
        _write_table(keys, groups)
        if judge is not None:
            _write_lines(groups, judge)
        for number, (_, made) in enumerate(proposals, 1):
            sys.stdout.write("\n" + made.text(f"{number}. "))
        return
    found_rows = [_row(keys, *entry) for entry in groups]
    if judge is not None:
        _explain(found_rows, groups, judge, whole=output == "json")
    if suggest:
        for row in found_rows:
            row |= {"proposal": "", "warnings": []}
        for numbers, made in proposals:
            for row in (found_rows[number] for number in numbers):
                row["proposal"] = "\n".join(filter(None, (row["proposal"], made.command)))
                row["warnings"] += [one for one in made.warnings if one not in row["warnings"]]
    if output == "json":
        write_json_lines(found_rows)
    else:
        columns = [*keys, "flows", "sources", "first", "last"]
        columns += ["now"] * (judge is not None) + ["proposal"] * suggest
        write_csv(columns, ({name: row[name] for name in columns} for row in found_rows))


def _write_lines(groups: Sequence[tuple[Key, Denials]], judge: Judge) -> None:
    """A line for each group: one of its flows, and what the rules say of it now."""
    sys.stdout.write("\n" * bool(groups))
    for number, (_, denials) in enumerate(groups, 1):
        flow = denials.example
        said = f"{number}. {flow.src} to {flow.dst}: {explain.line(judge, flow)}"
        sys.stdout.write(printable(said) + "\n")


def _explain(
    rows: Sequence[dict[str, Any]],
    groups: Sequence[tuple[Key, Denials]],
    judge: Judge,
    *,
    whole: bool,
) -> None:
    """Put into each row what the rules say now, as a whole or in one line."""
    for row, (_, denials) in zip(rows, groups, strict=True):
        now = explain.judged(judge, denials.example)
        row["now"] = now.to_json() if whole else denial_line(now)


def _proposals(
    keys: Sequence[str], groups: Sequence[tuple[Key, Denials]], inventory: Inventory | None
) -> list[tuple[Sequence[int], Proposal]]:
    """Proposals, each with the numbers of the groups that it is for, the busiest first."""
    apart: list[Wish] = []
    helpless: list[tuple[Sequence[int], Proposal]] = []
    for number, (values, denials) in enumerate(groups):
        group = dict(zip(keys, values, strict=True))
        found = wishes(number, group, denials.acl_group, sorted(denials.sources))
        apart += found
        if not found:
            helpless.append(([number], no_rule(str(group["rule"]))))
    planner = Planner(inventory)
    made = [(one.groups, planner.proposal(one)) for one in merged(apart)]
    return sorted([*made, *helpless], key=lambda entry: min(entry[0]))


def _row(keys: Sequence[str], values: Key, denials: Denials) -> dict[str, Any]:
    return dict(zip(keys, values, strict=True)) | {
        "flows": denials.flows,
        "sources": len(denials.sources),
        "first": flow_time(denials.first),
        "last": flow_time(denials.last),
    }


def _write_table(keys: Sequence[str], groups: Sequence[tuple[Key, Denials]]) -> None:
    if not groups:
        return
    nameless = "vnet" not in keys and any(denials.vnets for _, denials in groups)
    cells = []
    for values, denials in groups:
        row = _row(keys, values, denials)
        counts = [row["flows"], row["sources"]]
        times = [row["first"], row["last"]]
        vnets = [", ".join(sorted(denials.vnets))] if nameless else []
        found = (*counts, *values, *vnets, *times)
        cells.append(["" if cell is None else str(cell) for cell in found])
    extra = ["vnet"] if nameless else []
    write_table(["flows", "sources", *keys, *extra, "first", "last"], cells)
