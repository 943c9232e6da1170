"""The lists of logs as a table, JSON or CSV."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from nsgflow_core.cli.clock import Clock
from nsgflow_core.cli.formats import write_csv, write_json_lines
from nsgflow_core.cli.log_lists import Interface, Listed
from nsgflow_core.cli.names import acl_shown, nsgs, vnet_of_interface, vnets
from nsgflow_core.cli.nothing_found import since
from nsgflow_core.cli.tables import write_table
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.namesakes import Namesakes

_FEW = 3
"""NSGs of a VNet flow log that a table names."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


class _Apart:
    """NSGs, VNets and flow logs of some lists, those that share a name told apart."""

    def __init__(self, lists: Sequence[Listed] = (), inventory: Inventory | None = None) -> None:
        self.nsgs, self.vnets, self.logs = nsgs(inventory), vnets(inventory), Namesakes({})
        for one in lists:
            interfaces = one.interfaces.values()
            self.logs.meet(one.resource.lower(), one.name)
            for resource, name in _acls(one, interfaces, inventory).items():
                self.nsgs.meet(resource, name)
            for vnet in _vnet_ids(interfaces, inventory):
                self.vnets.meet(vnet, vnet.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Shown:
    """How lists are shown; with `nics` a row for each network interface.

    `apart` is filled in when they are.
    """

    now: datetime
    times: Clock
    inventory: Inventory | None
    nics: bool
    apart: _Apart = field(default_factory=_Apart)


def _acls(
    listed: Listed, interfaces: Iterable[Interface], inventory: Inventory | None
) -> dict[str, str]:
    """The NSGs of interfaces of a log, of VNet flow logs those at their ends: names by ids.

    An NSG that the inventory does not know is called as it is logged, in one of its spellings.
    """
    if listed.kind == "nsg":
        return {listed.resource.lower(): listed.name}
    acls = sorted({acl for each in interfaces for acl in each.newest.acls})
    known = [acl_shown(acl, inventory) for acl in acls]
    return {resource.lower(): name for name, resource in known}


def nsgs_of(
    listed: Listed, interfaces: Iterable[Interface], inventory: Inventory | None
) -> list[str]:
    """The NSGs of interfaces of a log by name."""
    return sorted(set(_acls(listed, interfaces, inventory).values()))


def write(lists: Sequence[Listed], output: str, shown: Shown) -> None:
    """Write what there is to read."""
    shown = replace(shown, apart=_Apart(lists, shown.inventory))
    if output == "json":
        write_json_lines(_object(one, shown) for one in lists)
        return
    rows = [row for one in lists for row in _rows(one, shown)]
    if output == "csv":
        write_csv(_columns(shown), rows)
    elif rows:
        _write_table(rows, shown)


def _columns(shown: Shown) -> list[str]:
    own = ["mac", "vm"] if shown.nics else ["nics"]
    return [
        *("nsgs", "kind", "name", "vnet", *own, "hours", "logs", "bytes", "newest", "age"),
        *("account", "resource"),
    ]


def _rows(one: Listed, shown: Shown) -> list[dict[str, Any]]:
    """Cells of CSV, a row for all of a list or for each of its interfaces."""
    common = {
        "nsgs": " ".join(_nsgs(one, one.interfaces.values(), shown)),
        "kind": one.kind,
        "name": _name(one, shown),
        "vnet": _vnet(one.interfaces.values(), shown),
        "account": one.account,
        "resource": one.resource,
    }
    if not shown.nics:
        return [common | {"nics": len(one.interfaces)} | _sums(one, shown)]
    return [
        common
        | {"nsgs": " ".join(_nsgs(one, [each], shown)), "vnet": _vnet([each], shown)}
        | _interface(each, shown)
        | _age(each, shown)
        for each in sorted(one.interfaces.values(), key=lambda each: each.mac)
    ]


def _nsgs(one: Listed, interfaces: Iterable[Interface], shown: Shown) -> list[str]:
    """The NSGs of interfaces of a log, as --nsg-name takes them."""
    known = _acls(one, interfaces, shown.inventory)
    return sorted({shown.apart.nsgs.shown(*each) for each in known.items()})


def _name(one: Listed, shown: Shown) -> str:
    apart = shown.apart.nsgs if one.kind == "nsg" else shown.apart.logs
    return apart.shown(one.resource.lower(), one.name)


def _object(one: Listed, shown: Shown) -> dict[str, Any]:
    return {
        "name": _name(one, shown),
        "kind": one.kind,
        "nsgs": _nsgs(one, one.interfaces.values(), shown),
        "vnet": _vnet(one.interfaces.values(), shown),
        **_sums(one, shown),
        "account": one.account,
        "resource": one.resource,
        "interfaces": [
            _interface(each, shown)
            | {"nsgs": _nsgs(one, [each], shown)}
            | _age(each, shown)
            | {"because": each.newest.because}
            for each in sorted(one.interfaces.values(), key=lambda each: each.mac)
        ],
    }


def _sums(one: Listed, shown: Shown) -> dict[str, Any]:
    interfaces = one.interfaces.values()
    return {
        "hours": len(set().union(*(each.hours for each in interfaces))),
        "logs": sum(each.logs for each in interfaces),
        "bytes": sum(each.bytes for each in interfaces),
        **_newest(one.newest, shown),
    }


def _interface(each: Interface, shown: Shown) -> dict[str, Any]:
    nic = shown.inventory.nic(each.mac) if shown.inventory is not None else None
    return {
        "mac": each.mac,
        "vm": nic.vm if nic is not None else "",
        "hours": len(each.hours),
        "logs": each.logs,
        "bytes": each.bytes,
    }


def _age(each: Interface, shown: Shown) -> dict[str, Any]:
    return _newest(each.newest.time, shown)


def _newest(newest: datetime | None, shown: Shown) -> dict[str, Any]:
    """The time of the newest record, and its age in seconds."""
    if newest is None:
        return {"newest": "", "age": None}
    age = max(round((shown.now - newest).total_seconds()), 0)
    return {"newest": f"{newest:%Y-%m-%dT%H:%M:%SZ}", "age": age}


def _vnet(interfaces: Iterable[Interface], shown: Shown) -> str:
    found = _vnet_ids(interfaces, shown.inventory)
    return " ".join(sorted(shown.apart.vnets.shown(one, one.rpartition("/")[2]) for one in found))


def _vnet_ids(interfaces: Iterable[Interface], inventory: Inventory | None) -> set[str]:
    found = {vnet_of_interface(each.mac, each.newest.target, inventory) for each in interfaces}
    return found - {""}


def _write_table(rows: Sequence[dict[str, Any]], shown: Shown) -> None:
    several = len({row["account"] for row in rows}) > 1
    has_vnet = any(row["vnet"] for row in rows)
    has_vm = any(row.get("vm") for row in rows)
    titles = ["nsg", "log", *(["vnet"] if has_vnet else [])]
    titles += ["mac", *(["vm"] if has_vm else [])] if shown.nics else ["nics"]
    titles += ["hours", "logs", "size", "newest record", "age", *(["account"] if several else [])]
    cells = []
    for row in rows:
        of_log = [_few(row["nsgs"]), row["name"] if row["kind"] == "vnet" else "NSG's own"]
        of_log += [row["vnet"]] if has_vnet else []
        of_log += [row["mac"], *([row["vm"]] if has_vm else [])] if shown.nics else [row["nics"]]
        numbers = [row["hours"], row["logs"], size(row["bytes"])]
        account = [row["account"]] if several else []
        cells.append([str(cell) for cell in (*of_log, *numbers, *_times(row, shown), *account)])
    write_table(titles, cells)


def _few(nsgs: str) -> str:
    names = nsgs.split()
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


def _times(row: dict[str, Any], shown: Shown) -> tuple[str, str]:
    if not row["newest"]:
        return "none", ""
    newest = datetime.fromisoformat(row["newest"]).astimezone(UTC)
    return shown.times(round(newest.timestamp() * 1000)), since(newest, shown.now)


def size(count: int) -> str:
    """A number of bytes as a person would say it."""
    amount, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 - a step of the units
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
