"""NSGs that the inventory does not know yet are not filtered away, and others are."""

from dataclasses import replace

import pytest

from devtools.estate import Estate
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.young import foreign, is_young
from nsgflow_core.filter import all_of, compile_terms
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made
from tests.unit.test_inventory import read

MINUTE = 60_000
MADE = 1_795_421_000_000
NEW = "aaaaaaaa-1111-2222-3333-444444444444"
OTHER = "bbbbbbbb-1111-2222-3333-444444444444"
PROD = compile_terms("action=denied nsg=prod-*")
NOT_PROD = compile_terms("!nsg=prod-*")


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    """A VNet, and no NSG."""
    estate = Estate()
    estate.vnet("Hub", Web="10.0.0.0/24")
    return read(estate)


def flow(acl: str, minutes: int, name: str = "", version: int = 4) -> Flow:
    """A denied flow so many minutes after the inventory was made."""
    group = Group(Record(0, 1, "", version, ""), acl, name, "UserRule_X", "")
    outcome = Outcome(443, "TCP", True, True, "D", "NX", 0, 0, 0, 0)  # noqa: FBT003
    return made(group, 0, "", MADE + minutes * MINUTE, "10.0.0.1", "10.0.0.2", 50000, outcome)


def test_a_rollout(inventory: Inventory) -> None:
    """The NSG is minutes old: its flows pass; the next inventory knows it, or it is no match."""
    known = Knowledge(inventory=inventory, expected=True, made_ms=MADE)
    assert PROD.knowing(known)(flow(NEW, 10))
    assert NOT_PROD.knowing(known)(flow(NEW, 10))
    assert is_young(flow(NEW, 55), known)

    later = replace(known, made_ms=MADE + 60 * MINUTE, seen={})
    assert not PROD.knowing(later)(flow(NEW, 61)), "it was met long before and is still not there"
    assert NOT_PROD.knowing(later)(flow(NEW, 61))
    assert PROD.knowing(later)(flow(NEW, 61, "Prod-New")), "one that it has goes by its name"
    assert PROD.knowing(later)(flow(OTHER, 61)), "another one may be new again"
    assert foreign(later, 100) == [NEW]


def test_a_flow_just_before_an_inventory_is_not_judged_by_it(inventory: Inventory) -> None:
    """Resource Graph may take minutes to know."""
    known = Knowledge(inventory=inventory, expected=True, made_ms=MADE)
    assert PROD.knowing(known)(flow(NEW, -4))
    assert not PROD.knowing(known)(flow(OTHER, -6)), "older ones it would know"


def test_while_none_is_loaded_every_guid_passes() -> None:
    """Where there should be one; where there should not, a GUID is a name."""
    waiting = Knowledge(expected=True)
    assert PROD.knowing(waiting)(flow(NEW, 0))
    assert not PROD.knowing(NOTHING)(flow(NEW, 0))
    assert not PROD.accepts(flow(NEW, 0))
    assert compile_terms(f"nsg={NEW}").accepts(flow(NEW, 0))


def test_an_inventory_of_unknown_age_judges_all(inventory: Inventory) -> None:
    """As at the terminal."""
    assert not PROD.knowing(Knowledge(inventory=inventory))(flow(NEW, 10))


@pytest.mark.parametrize(
    "one",
    [
        flow("00000000-0000-0000-0000-000000000000", 10),
        flow("unspecified", 10),
        flow("", 10),
        flow("/subscriptions/s/resourcegroups/g/providers/x/networksecuritygroups/web", 10, "web"),
        flow(NEW, 10, version=2),
    ],
)
def test_what_is_no_guid_of_an_nsg_is_judged_as_ever(one: Flow, inventory: Inventory) -> None:
    """It is known by its name, or no inventory will ever have it."""
    known = Knowledge(inventory=inventory, expected=True, made_ms=MADE)
    assert not PROD.knowing(known)(one)


def test_both_filters_and_the_other_terms_still_count(inventory: Inventory) -> None:
    """What passes for its NSG must pass the rest."""
    known = Knowledge(inventory=inventory, expected=True, made_ms=MADE)
    both = all_of(compile_terms("action=denied"), compile_terms("nsg=prod-* port=22"))
    assert not both.knowing(known)(flow(NEW, 10))
    assert both.asks_knowledge


def test_guids_that_are_known_to_be_foreign_do_not_pass(inventory: Inventory) -> None:
    """Whoever made the inventory had met them."""
    known = Knowledge(inventory=inventory, expected=True, made_ms=MADE, met={NEW: 0})
    assert not PROD.knowing(known)(flow(NEW, 10))


def test_memory_is_bounded(inventory: Inventory) -> None:
    """However many GUIDs somebody makes up."""
    known = Knowledge(inventory=inventory, expected=True, made_ms=MADE)
    for number in range(10_000):
        assert is_young(flow(f"{number:08x}-1111-2222-3333-444444444444", 10), known)
    assert len(known.met) <= 4096
