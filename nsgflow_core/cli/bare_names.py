"""Ends of flows by their bare name: `dst=web1` is `dst=prod/web1` where no other is called so.

The filter's grammar takes a name by its `/`, so that a mistyped address is never a name. Here an
inventory is at hand that knows whether there is such a one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nsgflow_core.cli.options import Wanted
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.enrich import SUBNET, VM, whole_name
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.filter import compile_terms
from nsgflow_core.terms import key_of

_ENDS = ("ip", "src", "dst")


def placed(wanted: Wanted, inventory: Inventory | None) -> Wanted:
    """What is wanted, with the whole names of VMs and subnets in the place of their bare ones.

    What nothing is called stays, and is refused where it is no address.

    Raises:
        BadInputError: several are called so.
    """
    terms = [term for given in wanted.filter_terms or () for term in given.split()]
    asked = [*(wanted.ip or ()), *(one for term in terms for one in _values(term))]
    bare = {one.lower() for one in asked if _may_be_name(one)}
    if inventory is None or not bare:
        return wanted
    whole = _whole(bare, inventory)
    return replace(
        wanted,
        ip=[whole.get(one.lower(), one) for one in wanted.ip or ()] or wanted.ip,
        filter_terms=[_replaced(term, whole) for term in terms] or wanted.filter_terms,
    )


def without(filter_terms: Iterable[str] | None) -> str:
    """The terms that ask for no end by what may be its bare name, which an inventory tells."""
    terms = " ".join(filter_terms or ()).split()
    return " ".join(term for term in terms if not any(map(_may_be_name, _values(term))))


def _values(term: str) -> list[str]:
    """The values of a term that asks for an end of flows."""
    key, _, values = term.partition("=")
    return values.split(",") if key_of(key.removeprefix("!")) in _ENDS else []


def _replaced(term: str, whole: Mapping[str, str]) -> str:
    if not (values := _values(term)):
        return term
    key = term.partition("=")[0]
    return f"{key}={','.join(whole.get(one.lower(), one) for one in values)}"


def _may_be_name(value: str) -> bool:
    if not value or set(value) & set("/*:[], "):
        return False
    try:
        compile_terms(f"ip={value}")
    except BadInputError:
        return True
    return False


def _whole(bare: set[str], inventory: Inventory) -> dict[str, str]:
    """The whole name of each of these that a VM or subnet is called."""
    named = (
        *((nic.vm, inventory.subnet(nic).vnet, VM) for nic in inventory.nics),
        *((subnet.name, subnet.vnet, SUBNET) for subnet in inventory.subnets),
    )
    found: dict[str, dict[str, str]] = {}
    for shown, vnet, parts in named:
        last = shown.rpartition("/")[2].lower()
        if last in bare:
            found.setdefault(last, {})[whole_name(shown, vnet, parts)] = shown
    for name, several in found.items():
        if len(several) > 1:
            raise BadInputError(
                f"{name!r} is {' and '.join(sorted(several.values()))}: give one of these"
            )
    return {name: next(iter(one)) for name, one in found.items()}
