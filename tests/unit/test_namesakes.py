"""What shares a name is told apart by as much as it takes, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.cli.names import matcher
from nsgflow_core.estate.namesakes import Namesakes, called, full_name, path_name

NSG = "/subscriptions/{}/resourcegroups/{}/providers/microsoft.network/networksecuritygroups/{}"
WORDS = ("web", "Web", "hub", "1", "a.b", "Grüne_(Prod)")
resources = st.tuples(*[st.sampled_from(WORDS)] * 3)


@given(st.lists(resources, max_size=12, unique_by=lambda one: tuple(map(str.casefold, one))))
def test_each_is_shown_as_no_other_is(found: list[tuple[str, str, str]]) -> None:
    """What is shown finds one of them alone, and one part less would find others."""
    names = {NSG.format(*(part.lower() for part in one)): one[2] for one in found}
    shown = Namesakes(names)
    for resource, name in names.items():
        label = shown.shown(resource, name)
        accepts = matcher([label])
        assert [one for one, other in names.items() if accepts(other, one)] == [resource]
        if "/" in label:
            accepts = matcher([label.partition("/")[2]])
            assert sum(accepts(other, one) for one, other in names.items()) > 1


def test_what_is_met_later_is_told_apart_too() -> None:
    """From then on; what has no whole id is told apart from nothing."""
    first, second = NSG.format("s", "one", "web"), NSG.format("s", "two", "web")
    shown = Namesakes({first: "Web"})
    assert shown.shown("web", "web") == "web"
    assert shown.shown(first, "") == "Web"
    assert shown.shown(second, "WEB") == "two/WEB"
    assert shown.shown(first, "") == "one/Web"


def test_two_of_a_name_in_one_group_are_told_by_their_ids() -> None:
    """Such as security admin configurations of two network managers."""
    manager = "/subscriptions/s/resourcegroups/g/providers/microsoft.network/networkmanagers"
    ids = [f"{manager}/{name}/securityadminconfigurations/base" for name in ("m1", "m2")]
    assert called(dict.fromkeys(ids, "base")) == {one: one for one in ids}


@pytest.mark.parametrize(
    ("resource", "full", "path"),
    [
        ("Microsoft.Network/virtualNetworks/Hub", "S/G/Hub", "S/G/Hub"),
        ("Microsoft.Network/virtualNetworks/Hub/subnets/a/", "S/G/a", "S/G/Hub/a"),
        ("Microsoft.Compute/virtualMachines/web1", "S/G/web1", "S/G/web1"),
        ("Microsoft.Compute/virtualMachineScaleSets/P/virtualMachines/3", "S/G/3", "S/G/P_3"),
    ],
)
def test_an_id_has_the_names_of_its_parts(resource: str, full: str, path: str) -> None:
    """As the inventory names VMs and subnets; what is no id stays as it is."""
    whole = f"/subscriptions/S/resourceGroups/G/providers/{resource}"
    assert (full_name(whole), path_name(whole)) == (full, path)
    assert (full_name(resource), path_name(resource)) == (resource, resource)
