"""How coverage is shown: rows for programs, a table or lines for people, and totals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nsgflow_core.cli.clock import clock, text_clock
from nsgflow_core.cli.formats import write_csv, write_json_lines
from nsgflow_core.cli.names import labelled
from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.tables import write_table, write_text
from nsgflow_core.estate.coverage import LOGGED, NO_FLOW_LOGS, Covered, coverage
from nsgflow_core.estate.flow_logs import FlowLog
from nsgflow_core.estate.inventory import Inventory, Nic
from nsgflow_core.estate.namesakes import Namesakes, told_apart
from nsgflow_core.model import flow_time

NOT_NAMED = "no storage account was named"
_WORDS = {
    "not-logged": "not logged",
    "in-part": "in part",
    "unknown": "unknown",
    "twice": "twice",
    "once": "once",
    "private-endpoint": "private endpoint",
}
_COLUMNS = ("logged", "interface", "subnet", "flow logs", "newest record", "remarks")
_NEWEST = _COLUMNS.index("newest record")
_CSV = (
    *("logged", "vm", "nic", "subnet", "mac", "addresses", "nsgs", "flowLogs", "filtered"),
    *("nsgLogs", "newest", "because"),
)
_LEVELS = {"nsg": "NSG", "nic": "NIC", "subnet": "subnet", "vnet": "VNet", "": "unknown target"}

Row = dict[str, Any]


class Newest(NamedTuple):
    """The time of the newest record, in ISO 8601; else why it is not known."""

    time: str = ""
    because: str = ""


Newests = Mapping[tuple[str, str], Newest]
"""The newest records, by the id of the flow log and the MAC."""


def logging(found: Sequence[Covered]) -> list[tuple[FlowLog, str]]:
    """The flow logs that record, each with the MAC of an interface: those that have records."""
    return [(log, one.nic.mac) for one in found for log in one.logging if one.nic.mac]


def rows(found: Sequence[Covered], newest: Newests | None) -> list[Row]:
    """A row for each network interface as `-o json` has it, the most urgent first.

    `newest` is None where no storage account was named.
    """
    covered = sorted(found, key=_urgency)
    if newest is None:
        not_named = Newest("", NOT_NAMED)
        newest = {(log.id, mac): not_named for log, mac in logging(covered)}
    return [_row(one, newest) for one in covered]


def _urgency(one: Covered) -> tuple[int, str, str, str]:
    return LOGGED.index(one.logged), one.subnet, one.nic.vm, one.id


def _row(one: Covered, newest: Newests) -> Row:
    logs = []
    for covering in one.logs:
        log = covering.log
        told = newest.get((log.id, one.nic.mac), Newest())
        logs.append(
            {
                "id": log.id,
                "level": log.level,
                "state": covering.state,
                "storage": log.storage,
                "recordTypes": log.record_types,
                "enabledFilteringCriteria": log.criteria,
                "newest": told.time or None,
                "because": told.because,
            }
        )
    times = [log["newest"] for log in logs if log["newest"]]
    untold = [log["because"] for log in logs if log["because"]]
    return {
        "nic": one.id,
        "vm": one.nic.vm,
        "subnet": one.subnet,
        "mac": one.nic.mac,
        "addresses": list(one.nic.addresses),
        "nsgs": list(one.nsgs),
        "logged": one.logged,
        "because": one.because,
        "filtered": one.filtered,
        "nsgLogs": one.on_nsg_logs,
        "newest": max(times, default=None),
        "newestBecause": "" if times else next(iter(untold), ""),
        "logs": logs,
    }


def totals(found: Sequence[Row]) -> dict[str, int]:
    """How many interfaces are what; `filter-unknown` are those of which nobody told."""
    made: dict[str, int] = dict.fromkeys(LOGGED, 0)
    for row in found:
        made[row["logged"]] += 1
    recorded = [row for row in found if row["logged"] in ("once", "twice", "in-part")]
    made["filtered"] = sum(row["filtered"] is True for row in recorded)
    made["filter-unknown"] = sum(row["filtered"] is None for row in recorded)
    made["nsg-logs"] = sum(row["nsgLogs"] for row in found)
    return made


def unknown(found: Mapping[str, int], refused: Sequence[str]) -> list[str]:
    """What could not be told that was asked for, in sentences."""
    said = []
    if found["unknown"]:
        said.append(
            f"{NO_FLOW_LOGS}, so what is logged is not known: there are none, or who is signed in "
            "may not see them (Reader on the resource group of the Network Watchers)"
        )
    if "filtered" in refused and (untold := found["filter-unknown"]):
        said.append(
            f"whether {counted(untold, 'network interface is', 'network interfaces are')} filtered "
            "was not told: give who is signed in the role Reader on the Network Watchers"
        )
    return said


def is_any(row: Row, words: Sequence[str]) -> bool:
    """Whether one of these words is true of an interface; no words are true of each."""
    said = {"filtered": row["filtered"] is True, "nsg-logs": row["nsgLogs"]}
    return not words or any(said.get(word, row["logged"] == word) for word in words)


def write(found: Sequence[Row], form: str, all_of_them: Mapping[str, int], made: float) -> None:
    """Write rows to stdout, and the totals of all.

    `made` is when Azure was asked, in seconds since the epoch.
    """
    if form == "json":
        write_json_lines(found)
        write_json_lines([{"totals": all_of_them, "made": flow_time(round(made * 1000))}])
        return
    if form == "csv":
        write_csv(_CSV, map(_flat, found))
        return
    vms, vnets = told_apart((row["vm"] for row in found), 2), told_apart(map(_vnet, found))
    names = {row["nic"]: _interface(row["nic"], vms[row["vm"]]) for row in found}
    interfaces = Namesakes(names)
    ids = (log["id"] for row in found for log in row["logs"])
    logs = Namesakes({one.lower(): one.rpartition("/")[2] for one in ids})
    cells = [
        _cells(row, interfaces.shown(row["nic"], names[row["nic"]]), vnets[_vnet(row)], logs)
        for row in found
    ]
    if form == "text":
        write_text(*map(_line, cells))
    elif cells:
        shown = [
            at for at in range(len(_COLUMNS)) if at != _NEWEST or any(row[at] for row in cells)
        ]
        write_table([_COLUMNS[at] for at in shown], [[row[at] for at in shown] for row in cells])
    write_text(summary(all_of_them, made))


def summary(found: Mapping[str, int], made: float) -> str:
    """One line on all of them."""
    count = sum(found[what] for what in LOGGED)
    said = [f"{found[what]:,} {_WORDS[what]}" for what in LOGGED if found[what]]
    said += [f"{found['filtered']:,} filtered"] if found["filtered"] else []
    if found["nsg-logs"]:
        said.append(f"{found['nsg-logs']:,} on NSG logs, which end on 2027-09-30")
    when = clock()(round(made * 1000))
    return f"{count:,} network interfaces: {', '.join(said) or 'none'}; as of {when}"


def of_ends(
    inventory: Inventory | None,
    logs: Sequence[FlowLog] | None,
    ends: Mapping[str, Sequence[Nic]],
    names: Mapping[str, str],
) -> list[str]:
    """A line for each interface at some addresses, by what these are called: what records it.

    No line where it is not known which flow logs there are.
    """
    if inventory is None or logs is None:
        return []
    at = {id(nic): address for address, nics in ends.items() for nic in nics}
    return [
        f"{labelled(at[id(one.nic)], one.nic.vm or names[at[id(one.nic)]])}: {_said(one)}"
        for one in coverage(inventory, logs)
        if id(one.nic) in at
    ]


def _said(covered: Covered) -> str:
    logs = ", ".join(f"{log.name} ({_LEVELS[log.level]})" for log in covered.logging)
    if covered.because == NO_FLOW_LOGS:
        return f"{NO_FLOW_LOGS}, so it cannot tell what is logged"
    if covered.logged in ("not-logged", "private-endpoint"):
        return f"{_WORDS[covered.logged]}: {covered.because}"
    kept = " (flows are left out)" if covered.filtered else ""
    return f"logged {_WORDS[covered.logged]} by {logs}{kept}"


def _logging(row: Row) -> list[Row]:
    return [log for log in row["logs"] if log["state"] == "logging"]


def _flat(row: Row) -> Row:
    return {
        key: row[key] for key in ("logged", "vm", "nic", "subnet", "mac", "newest", "because")
    } | {
        "addresses": " ".join(row["addresses"]),
        "nsgs": " ".join(row["nsgs"]),
        "flowLogs": " ".join(log["id"] for log in _logging(row)),
        "filtered": "" if row["filtered"] is None else str(row["filtered"]).lower(),
        "nsgLogs": str(row["nsgLogs"]).lower(),
    }


def _interface(nic: str, vm: str) -> str:
    """What a network interface is called, by its id and what its VM is called."""
    name = nic.rpartition("/")[2]
    return f"{vm} ({name})" if vm else name


def _vnet(row: Row) -> str:
    """`group/vnet` of an interface's subnet, with the subscription where two have such a one."""
    return str(row["subnet"]).rpartition("/")[0]


def _cells(row: Row, interface: str, vnet: str, logs: Namesakes) -> list[str]:
    names = [
        f"{logs.shown(log['id'].lower(), '')} ({_LEVELS[log['level']]})" for log in _logging(row)
    ]
    newest = text_clock()(row["newest"] or "")
    if row["newestBecause"] not in ("", NOT_NAMED):
        newest = "unknown"
    return [
        _WORDS[row["logged"]],
        interface,
        f"{vnet}/{row['subnet'].rpartition('/')[2]}",
        ", ".join(names),
        newest,
        "; ".join(_remarks(row, logs)),
    ]


def _remarks(row: Row, logs: Namesakes) -> Iterable[str]:
    if row["because"]:
        yield row["because"]
    for log in row["logs"]:
        name = logs.shown(log["id"].lower(), "")
        if log["state"] == "overridden":
            yield f"{name} gives way"
        elif log["state"] == "off" and not row["because"]:
            yield f"{name} is switched off"
        elif log["state"] == "logging":
            yield from _left_out(name, log)
    if row["newestBecause"] not in ("", NOT_NAMED):
        yield row["newestBecause"]


def _left_out(name: str, log: Row) -> Iterable[str]:
    types, criteria = log["recordTypes"], log["enabledFilteringCriteria"]
    told = FlowLog("", "", "", enabled=True, record_types=types, criteria=criteria)
    if log["level"] == "nsg":
        return
    if told.filtered is None:
        yield f"whether {name} is filtered was not told"
    elif told.filtered:
        parts = [f"recordTypes {types}"] if types else []
        parts += [criteria] if criteria else []
        yield f"{name} keeps only {', '.join(parts)}"


def _line(cells: Sequence[str]) -> str:
    logged, name, subnet, logs, newest, remarks = cells
    said = [part for part in (logs, f"newest {newest}" if newest else "", remarks) if part]
    return f"{name} in {subnet}: {logged}" + "".join(f"; {part}" for part in said)
