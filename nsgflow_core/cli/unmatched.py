"""Filter terms that no flow can match, for want of knowledge or by their spelling, and the mend."""

from collections.abc import Iterable

from nsgflow_core.cli.nothing_found import nearest
from nsgflow_core.estate.enrich import SUBNET, VM, whole_name
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.namesakes import full_name, path_name
from nsgflow_core.estate.simulation import rule_name
from nsgflow_core.matches import is_name

_NAMED = ("subnet", "vm")
"""Keys whose values only an inventory has."""
_ENDS = ("ip", "src", "dst")
"""Keys whose values may be names that only an inventory has."""
_KINDS = {"subnet": "subnet", "vm": "VM", "vnet": "VNet"}
"""Keys whose values an inventory has, and what these are."""
_PLACES = frozenset(("intervnet", "intravnet", "p2s", "s2s"))
"""Flow types, in lower case, that only an inventory tells."""


def without_knowledge(terms: str, knowledge: Knowledge) -> list[str]:
    """A sentence for what the terms of a filter ask and nobody knows here."""
    asked = {key: values for key, values, _ in _terms(terms)}
    said = []
    if knowledge.inventory is None:
        ends = [key for key in _ENDS if any(map(is_name, asked.get(key, ())))]
        if named := [*(key for key in _NAMED if key in asked), *ends]:
            keys = " and ".join(f"{key}=" for key in named)
            said.append(f"without --inventory no name is known that {keys} could match")
        if "vnet" in asked:
            said.append(
                "without --inventory vnet= matches the VNet that a VNet flow log is of, and none "
                "of the other end"
            )
        if types := [value for value in asked.get("type", ()) if value.lower() in _PLACES]:
            said.append(f"without --inventory no flow is known to be {' or '.join(types)}")
    if knowledge.tags is None:
        if "tag" in asked:
            said.append("no service tags are known that tag= could match: --inventory azure has")
        elif any(value.lower() == "azurepublic" for value in asked.get("type", ())):
            said.append(
                "without service tags Azure's public addresses are ExternalPublic: --inventory "
                "azure tells them apart"
            )
    return said


def misnamed(terms: str, knowledge: Knowledge) -> list[str]:
    """A sentence for each name that nothing has, where nothing was found; with the nearest."""
    said = []
    for key, values, negated in _terms(terms):
        if negated or any("*" in value for value in values):
            continue
        if key == "rule":
            said += [
                f"some logs write Azure's rules with a prefix (DefaultRule_): rule=*{bare} "
                "finds both"
                for bare in map(rule_name, values)
            ]
        elif key in _ENDS and knowledge.inventory is not None:
            there = {name for kind in _NAMED for name in _names(kind, knowledge.inventory) if name}
            said += [
                f"the inventory has no VM or subnet named {value!r}{_nearest(value, there)}"
                for value in filter(is_name, values)
                if not _is_there(value, there)
            ]
        elif key in _KINDS and knowledge.inventory is not None:
            there = set(filter(None, _names(key, knowledge.inventory)))
            said += [
                f"the inventory has no {_KINDS[key]} named {value!r}{_nearest(value, there)}"
                for value in values
                if not _is_there(value, there)
            ]
    return said


def _is_there(value: str, there: Iterable[str]) -> bool:
    wanted = f"/{path_name(value).strip('/').lower()}"
    return any(f"/{name}".endswith(wanted) for name in there)


def _nearest(value: str, there: Iterable[str]) -> str:
    """The nearest name that there is, of as many parts as the value has."""
    name = path_name(value).strip("/")
    parts = name.count("/") + 1
    return nearest(name, sorted({"/".join(one.split("/")[-parts:]) for one in there}))


def _terms(terms: str) -> Iterable[tuple[str, list[str], bool]]:
    """Key and values of each term, and whether it is negated; the terms are known to be right."""
    for term in terms.split():
        key, _, values = term.partition("=")
        yield key.removeprefix("!").lower(), values.split(","), key.startswith("!")


def _names(key: str, inventory: Inventory) -> Iterable[str]:
    """The names of VMs, subnets or VNets, in lower case, with all that they are in in front."""
    if key == "vm":
        return (whole_name(one.vm, inventory.subnet(one).vnet, VM) for one in inventory.nics)
    if key == "subnet":
        return (whole_name(one.name, one.vnet, SUBNET) for one in inventory.subnets)
    return map(full_name, inventory.vnet_names())
