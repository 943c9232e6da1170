"""Denied flows in groups: what the flows of each have in common, and how they are shown."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from nsgflow_core.cli.clock import Clock
from nsgflow_core.cli.formats import write_csv, write_json_lines
from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.names import end_names, labelled, vnet_name
from nsgflow_core.cli.read import Found, nsg_name
from nsgflow_core.cli.tables import write_table
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import scope
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.model import Flow, flow_time

if TYPE_CHECKING:
    from nsgflow_core.estate.verdict import Judge

DEFAULT_BY = "nsg,rule,direction,protocol,destination,port"

_Value = str | int | None
KEYS: dict[str, Callable[[Found, Inventory | None], _Value]] = {
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

    `internet` has the sources that are on the internet, `vnets` the VNets of NSGs that VNet flow
    logs name by a GUID alone; `names` says what source and destination of the first flow are
    called, where there is an inventory.
    """

    acl_group: str
    first: int
    last: int
    example: Flow
    flows: int = 0
    sources: set[str] = field(default_factory=set)
    internet: set[str] = field(default_factory=set)
    vnets: set[str] = field(default_factory=set)
    names: tuple[str, str] | None = None

    def add(self, found: Found, knowledge: Knowledge) -> None:
        """Count a flow."""
        self.flows += 1
        if found.flow.src not in self.sources:
            self.sources.add(found.flow.src)
            if scope.on_internet(found.flow, knowledge)[0]:
                self.internet.add(found.flow.src)
        self.first = min(self.first, found.flow.time_ms)
        self.last = max(self.last, found.flow.time_ms)


class Proposed(Protocol):
    """Rules that would let groups through; `proposals.Document` is the real one."""

    def texts(self) -> Iterable[str]:
        """Each proposal, to be shown below the table."""

    def into_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put into the row of each group what is proposed for it."""


def parse_by(by: str) -> list[str]:
    """The keys to group by.

    Raises:
        BadInputError: names one that there is not, or none.
    """
    keys = [key.strip().lower() for key in by.split(",") if key.strip()]
    unknown = [key for key in keys if key not in KEYS]
    if unknown or not keys:
        wrong = unknown[0] if unknown else ""
        raise BadInputError(f"--by {wrong!r} is not one of {', '.join(KEYS)}")
    return list(dict.fromkeys(keys))


def group(
    found: Iterable[Found], keys: Sequence[str], knowledge: Knowledge = NOTHING
) -> list[tuple[Key, Denials]]:
    """Denied flows by these keys, the busiest group first."""
    inventory = knowledge.inventory
    getters = [KEYS[key] for key in keys]
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
            if inventory is not None:
                entry[1].names = end_names(item.flow, knowledge)
        entry[1].add(item, knowledge)
        if acl and not acl.startswith("/") and (vnet := vnet_name(item.flow, inventory)):
            entry[1].vnets.add(vnet)
    return sorted(groups.values(), key=lambda entry: (-entry[1].flows, list(map(str, entry[0]))))


def write(
    keys: Sequence[str],
    groups: Sequence[tuple[Key, Denials]],
    output: str,
    proposed: Proposed | None = None,
    judge: "Judge | None" = None,
    *,
    times: Clock = flow_time,
) -> None:
    """Write the groups, and the rules that are proposed for them; a table with such times.

    With a judge a flow of each group is judged by the rules as they are now.
    """
    if output == "table":
        _write_table(keys, groups, times)
        if judge is not None:
            _write_lines(groups, judge)
        for text in proposed.texts() if proposed is not None else ():
            sys.stdout.write(f"\n{text}")
        return
    found_rows = [_row(keys, *entry) for entry in groups]
    if judge is not None:
        _explain(found_rows, groups, judge, whole=output == "json")
    if proposed is not None:
        proposed.into_rows(found_rows)
    if output == "json":
        write_json_lines(found_rows)
    else:
        columns = [
            *keys,
            *(_names(keys, groups[0][1]) if groups else ()),
            "flows",
            "sources",
            "first",
            "last",
        ]
        columns += ["now"] * (judge is not None) + ["proposal"] * (proposed is not None)
        write_csv(columns, ({name: row[name] for name in columns} for row in found_rows))


def _write_lines(groups: Sequence[tuple[Key, Denials]], judge: "Judge") -> None:
    """A line for each group: one of its flows, and what the rules say of it now."""
    from nsgflow_core.estate import explain  # noqa: PLC0415 - only with rules to judge by

    sys.stdout.write("\n" * bool(groups))
    for number, (_, denials) in enumerate(groups, 1):
        flow = denials.example
        names = denials.names or ("", "")
        ends = f"{labelled(flow.src, names[0])} to {labelled(flow.dst, names[1])}"
        said = f"{number}. {ends}: {explain.line(judge, flow)}"
        sys.stdout.write(printable(said) + "\n")


def _explain(
    rows: Sequence[dict[str, Any]],
    groups: Sequence[tuple[Key, Denials]],
    judge: "Judge",
    *,
    whole: bool,
) -> None:
    """Put into each row what the rules say now, as a whole or in one line."""
    from nsgflow_core.estate import explain  # noqa: PLC0415 - only with rules to judge by
    from nsgflow_core.estate.judgement import denial_line  # noqa: PLC0415

    for row, (_, denials) in zip(rows, groups, strict=True):
        now = explain.judged(judge, denials.example)
        row["now"] = now.to_json() if whole else denial_line(now)


def _names(keys: Sequence[str], denials: Denials) -> dict[str, str]:
    """What the ends that a group is of are called, by `sourceName` and `destinationName`."""
    if denials.names is None:
        return {}
    ends = zip(("source", "destination"), denials.names, strict=True)
    return {f"{key}Name": name for key, name in ends if key in keys}


def _row(keys: Sequence[str], values: Key, denials: Denials) -> dict[str, Any]:
    group = dict(zip(keys, values, strict=True))
    return (
        group
        | _names(keys, denials)
        | {
            "flows": denials.flows,
            "sources": len(denials.sources),
            "first": flow_time(denials.first),
            "last": flow_time(denials.last),
        }
    )


def _write_table(keys: Sequence[str], groups: Sequence[tuple[Key, Denials]], times: Clock) -> None:
    if not groups:
        return
    nameless = "vnet" not in keys and any(denials.vnets for _, denials in groups)
    cells = []
    for values, denials in groups:
        row = _row(keys, values, denials)
        shown = [
            labelled("" if row[key] is None else str(row[key]), row.get(f"{key}Name", ""))
            for key in keys
        ]
        counts = [row["flows"], row["sources"]]
        ends = [times(denials.first), times(denials.last)]
        vnets = [", ".join(sorted(denials.vnets))] if nameless else []
        found = (*counts, *shown, *vnets, *ends)
        cells.append([str(cell) for cell in found])
    extra = ["vnet"] if nameless else []
    write_table(["flows", "sources", *keys, *extra, "first", "last"], cells)
