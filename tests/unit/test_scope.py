"""Where flows go: the near end, the inventory and the service tags together."""

import pytest

from devtools.estate import Estate
from nsgflow_core.digests import groups
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.scope import INSIDE, INTERNET, OUTBOUND, on_internet, scope
from nsgflow_core.filter import compile_terms
from tests.unit.test_inventory import flow, read
from tests.unit.test_service_tags import load


@pytest.mark.parametrize(
    ("src", "dst", "inbound", "expected"),
    [
        ("10.0.0.9", "10.0.0.4", True, INSIDE),
        ("8.8.8.8", "10.0.0.4", True, INTERNET),
        ("10.0.0.4", "8.8.8.8", False, OUTBOUND),
        # The near end is the interface's own: a public address there is the VNet's.
        ("10.0.0.9", "20.0.0.4", True, INSIDE),
        ("20.0.1.5", "20.0.0.4", True, INSIDE),
        ("20.0.0.4", "20.0.1.5", False, INSIDE),
        ("45.1.2.3", "20.0.0.4", True, INTERNET),
        ("20.0.0.4", "45.1.2.3", False, OUTBOUND),
        ("ace:cab:deca:dee::5", "ace:cab:deca:deb::4", True, INSIDE),
        ("2606:4700::1", "ace:cab:deca:deb::4", True, INTERNET),
        ("224.0.0.1", "10.0.0.4", True, INSIDE),
    ],
)
def test_without_an_inventory(src: str, dst: str, inbound: bool, expected: str) -> None:
    """The near end tells whether the range is public, and what is close to it is in it."""
    assert scope(flow(src, dst, inbound=inbound, mac="")) == expected


def test_a_service_is_never_inside() -> None:
    """Even where it lies close to a public near end; a place in Azure says nothing."""
    one = flow("20.0.1.5", "20.0.0.4", mac="")
    storage = Knowledge(load({"Storage.WestEurope": ["20.0.1.0/24"]}))
    somewhere = Knowledge(load({"AzureCloud.westeurope": ["20.0.0.0/16"]}))

    assert scope(one, storage) == INTERNET
    assert scope(one, somewhere) == INSIDE
    regions = {"AzureCloud": ["20.0.0.0/16"], "AzureCloud.westeurope": ["20.0.0.0/16"]}
    assert scope(one, Knowledge(load(regions))) == INSIDE
    assert scope(one, Knowledge(load({"AzureCloud": ["20.0.0.0/16"]}))) == INSIDE
    assert scope(one, Knowledge(load({**regions, "Sql": ["20.0.0.0/16"]}))) == INTERNET


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    """A VNet with a public range, one with a private one, a VPN site, and a NIC in each VNet."""
    made = Estate()
    public = made.vnet("Public", App="20.0.0.0/23")
    private = made.vnet("Private", App="10.0.0.0/24")
    made.nic(f"{public}/subnets/App", "00-0D-3A-00-00-01", "20.0.0.4", vm="Db")
    made.nic(f"{public}/subnets/App", "00-0D-3A-00-00-02", "20.0.1.5", vm="Web")
    made.nic(f"{private}/subnets/App", "00-0D-3A-00-00-03", "10.0.0.4", vm="Old")
    for number, name in enumerate(("Twin", "Double"), 4):  # one range in two VNets
        twin = made.vnet(name, App="50.0.0.0/24")
        made.nic(f"{twin}/subnets/App", f"00-0D-3A-00-00-0{number}", f"50.0.0.{number}")
    made.site("Campus", "141.20.0.0/16")
    return Knowledge(inventory=read(made))


@pytest.mark.parametrize(
    ("src", "dst", "inbound", "mac", "expected"),
    [
        ("20.0.1.5", "20.0.0.4", True, "000D3A000001", INSIDE),
        ("20.0.1.200", "20.0.0.4", True, "000D3A000001", INSIDE),  # in the subnet, no NIC's
        ("20.0.9.9", "20.0.0.4", True, "000D3A000001", INTERNET),  # close, and outside the VNet
        ("20.0.1.5", "10.0.0.4", True, "000D3A000003", INSIDE),  # from the other VNet
        ("141.20.3.3", "10.0.0.4", True, "000D3A000003", INSIDE),  # a site's own range
        ("8.8.8.8", "10.0.0.4", True, "000D3A000003", INTERNET),
        ("10.0.0.4", "20.0.0.4", False, "000D3A000003", INSIDE),
        ("10.0.0.4", "8.8.8.8", False, "000D3A000003", OUTBOUND),
        # An appliance passes on what is not its own.
        ("10.0.0.9", "8.8.8.8", True, "000D3A000003", OUTBOUND),
        ("8.8.8.8", "10.0.0.9", False, "000D3A000003", INTERNET),
        ("192.168.77.7", "8.8.8.8", False, "000D3A000003", OUTBOUND),
        # Which of two VNets with one range is meant, the interface tells.
        ("50.0.0.77", "50.0.0.4", True, "000D3A000004", INSIDE),
        ("50.0.0.77", "8.8.8.8", False, "000D3A000005", OUTBOUND),
        # An interface that is not known is found by its address.
        ("20.0.9.9", "20.0.0.4", True, "", INTERNET),
    ],
)
def test_with_an_inventory(
    src: str, dst: str, inbound: bool, mac: str, expected: str, knowledge: Knowledge
) -> None:
    """Its VNets and sites are inside, whatever their addresses look like."""
    one = flow(src, dst, inbound=inbound, mac=mac)
    assert scope(one, knowledge) == expected
    source, destination = on_internet(one, knowledge)
    for terms, passes in (("src=internet", source), ("dst=internet", destination)):
        assert compile_terms(terms).knowing(knowledge)(one) is passes
        assert compile_terms(f"!{terms}").knowing(knowledge)(one) is not passes


def test_digests_judge_so(knowledge: Knowledge) -> None:
    """A port that is denied inside is named, and hosts by their VMs."""
    (only,) = groups.count([flow("20.0.1.5", "20.0.0.4")], knowledge)
    assert (only.key.scope, only.key.port) == (INSIDE, 443)
    assert (only.sources.values, only.targets.values) == (("prod/web",), ("prod/db",))


@pytest.mark.parametrize(
    ("terms", "passes"),
    [
        ("src=private dst=private", True),
        ("!src=internet", True),
        ("src=internet", False),
        ("ip=internet", False),
        ("ip=private", True),
        ("src=internet,20.0.1.5", True),
        ("dst=10.0.0.0/8,private", True),
    ],
)
def test_the_words_of_filters_do_so_too(terms: str, passes: bool, knowledge: Knowledge) -> None:
    """Where there is an inventory; service tags alone change nothing."""
    compiled = compile_terms(terms)
    inside = flow("20.0.1.5", "20.0.0.4")

    assert compiled.knowing(knowledge)(inside) is passes
    assert compiled.asks_knowledge
    for nothing_told in (NOTHING, Knowledge(load({"Storage": ["20.60.0.0/16"]}))):
        by_address = compiled.knowing(nothing_told)(inside)
        assert by_address is compiled.accepts(inside)
        assert by_address is (terms in ("src=internet", "ip=internet", "src=internet,20.0.1.5"))


@pytest.mark.parametrize("word", ["private", "internet"])
def test_neither_word_is_for_what_is_neither(word: str, knowledge: Knowledge) -> None:
    """Multicast and Azure's platform stay out of both."""
    for src in ("224.0.0.5", "168.63.129.16", "169.254.0.7"):
        assert not compile_terms(f"src={word}").knowing(knowledge)(flow(src, "10.0.0.4"))


def test_both_ends_are_told(knowledge: Knowledge) -> None:
    """By direction, whichever is the interface's."""
    outbound = flow("10.0.0.4", "8.8.8.8", inbound=False, mac="000D3A000003")
    assert on_internet(outbound, knowledge) == (False, True)
    assert on_internet(flow("8.8.8.8", "10.0.0.4", mac=""), NOTHING) == (True, False)
