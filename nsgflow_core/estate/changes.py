"""What changed of the resources that rules come from, by Resource Graph's change history.

It has changes of up to 14 days, some minutes late, of what is in Resource Graph's `resources`;
Reader is enough. A change names the properties that differ, with their values before and after
(https://learn.microsoft.com/azure/governance/resource-graph/changes/get-resource-changes).
Security admin rules are in `networkresources`, of which no page says whether changes are kept:
they are asked for by their ids in the same query, and told where Azure has them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

import msgspec

from nsgflow_core.estate.inventory import Inventory, Nic
from nsgflow_core.estate.layout import Layout

MOST = 200
"""So many changes are read, the newest; more are not asked for."""

_QUERY = """resourcechanges
| where tostring(properties.targetResourceId) in~ ({ids})
| project id, target = tostring(properties.targetResourceId),
    what = tostring(properties.changeType),
    changed = tostring(properties.changeAttributes.timestamp),{by}
    changes = properties.changes
| order by changed desc, id asc"""
_BY = """
    author = tostring(properties.changeAttributes.changedBy),"""
_ID = re.compile(r"/subscriptions/[^'\\\x00-\x1f]+", re.IGNORECASE)
"""Ids may come from files: what could end a text of a query is in no id of Azure's."""
_OF_NSG = re.compile(r"\bsecurityRules\b", re.IGNORECASE)
_OF_ALL = re.compile(r"^properties\.", re.IGNORECASE)
"""Of a route table, and of what a network manager has: all of it is rules."""
_MANAGED = "/networkmanagers/"
_OF_OTHERS = re.compile(
    r"networkSecurityGroup|routeTable|applicationSecurityGroups|virtualNetworkPeerings"
    r"|addressSpace|addressPrefix|privateIPAddress\b",
    re.IGNORECASE,
)
_ITSELF = re.compile(r"(?:etag|provisioningState|resourceGuid)$", re.IGNORECASE)
_VALUE = 200


class Property(msgspec.Struct, frozen=True):
    """One property that changed: its path, and its values as text; "" where there is none."""

    path: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True):
    """A change of a resource: when (ISO 8601, UTC), Create, Update or Delete, and of what.

    `by` is "" unless it was asked who made it.
    """

    time: str
    target: str
    kind: str
    properties: tuple[Property, ...]
    by: str = ""

    def names(self, rule: str) -> bool:
        """Whether it is of a rule of this name: the path has it, or what was put in or taken."""
        quoted = re.compile(rf"(?<![\w-]){re.escape(rule)}(?![\w-])", re.IGNORECASE)
        return any(
            quoted.search(text)
            for one in self.properties
            for text in (one.path, one.before, one.after)
        )


class Graph(Protocol):
    """Where queries are answered; `arm.ResourceManager` is the real one."""

    def query(self, query: str, page: int = 1000) -> Iterator[dict[str, Any]]: ...  # noqa: D102


def read_changes(graph: Graph, ids: Iterable[str], *, who: bool = False) -> list[Change]:
    """The changes of these resources that rules can depend on, the newest first: one query.

    Raises:
        NsgflowError: as the graph does.
    """
    wanted = sorted({one.lower() for one in ids if _ID.fullmatch(one)})
    if not wanted:
        return []
    texts = ", ".join(f"'{one}'" for one in wanted)
    query = _QUERY.format(ids=texts, by=_BY if who else "")
    found = map(_change, islice(graph.query(query, MOST), MOST))
    return [one for one in found if one is not None]


def _change(row: Mapping[str, Any]) -> Change | None:
    """A change, None where no rule can depend on what it is of."""
    target, kind = str(row["target"]).lower(), str(row["what"])
    of_rules = _OF_NSG if "/networksecuritygroups/" in target else _OF_OTHERS
    if "/routetables/" in target or _MANAGED in target:
        of_rules = _OF_ALL
    properties = tuple(
        Property(path, _text(values.get("previousValue")), _text(values.get("newValue")))
        for path, values in (row["changes"] or {}).items()
        if of_rules.search(path) and not _ITSELF.search(path) and isinstance(values, Mapping)
    )
    if not properties and kind.lower() == "update":
        return None
    return Change(
        _time(str(row["changed"])), target, kind, properties, str(row.get("author") or "")
    )


def _text(value: object) -> str:
    if value in (None, "null"):  # as Azure has it where a property was added or taken away
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"


def _time(text: str) -> str:
    """A time as this program writes it; as given where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def ends_of(inventory: Inventory, nics: Iterable[Nic]) -> set[str]:
    """The resources at network interfaces whose changes may change a verdict.

    They are NICs, NSGs, VNets, route tables, and the security admin rules in force on the VNets.
    """
    found: set[str] = set()
    layout = inventory.layout
    for nic in nics:
        vnet = inventory.subnet(nic).vnet
        found |= {layout.nics[inventory.number(nic)], vnet, *inventory.nsgs_of(nic)}
        found |= set(layout.tables[nic.subnet : nic.subnet + 1])
        found |= _admin(layout, vnet)
    return found - {""}


def _admin(layout: Layout, vnet: str) -> set[str]:
    """The security admin rules on a VNet, with all that they are in."""
    collections = set(layout.admin_of.get(vnet, ()))
    configurations = {one.partition("/rulecollections/")[0] for one in collections}
    managers = {one.partition("/securityadminconfigurations/")[0] for one in configurations}
    rules = {
        f"{name}/rules/{rule.name.lower()}"
        for admin in layout.admin
        for name, of_collection in admin.collections.items()
        if name in collections
        for rule in of_collection
    }
    return collections | configurations | managers | rules


def by_weight(ids: Iterable[str]) -> list[str]:
    """Resources in the order in which they are asked for, where that may be too many."""
    return sorted(ids, key=lambda one: (_MANAGED in one, one.count("/"), one))


def since(found: Sequence[Change], time: str) -> list[Change]:
    """Those after a time as this program writes it."""
    return [one for one in found if one.time > time]
