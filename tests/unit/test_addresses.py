"""Addresses: canonical form, class and membership, for both versions of IP."""

import ipaddress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nsgflow_core.estate import addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[fe80::1]", "fe80::1"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("2001:db8::1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
    ],
)
def test_canonical(text: str, expected: str) -> None:
    """IPv4 is a dotted quad, IPv6 as RFC 5952 has it, without brackets."""
    assert addresses.canonical(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.4/32",
        "[1.2.3.4]",
        "::1::",
        ":::",
        "1:2:3:4:5:6:7:8:9",
        "host.example",
        "1.2.3.4\x00",
        "\uff11.2.3.4",
        "\ud800",
        "fe80::1%eth0",
        'fe80::1%"',
    ],
)
def test_no_address(text: str) -> None:
    """What is no address raises, whatever it is; zones are no part of an address in a log."""
    with pytest.raises(ValueError, match=r"."):
        addresses.canonical(text)


@given(st.ip_addresses())
@settings(deadline=None)
def test_canonical_of_every_spelling(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Compressed, expanded, upper-case and bracketed spellings are one address."""
    if address.version == 4:
        assert addresses.canonical(str(address)) == str(address)
        return
    for text in (str(address), address.exploded, address.exploded.upper(), f"[{address}]"):
        assert addresses.canonical(text) == address.compressed


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", "internet"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("9.255.255.255", "internet"),
        ("11.0.0.0", "internet"),
        ("172.15.255.255", "internet"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "internet"),
        ("192.168.0.0", "private"),
        ("192.169.0.0", "internet"),
        ("100.63.255.255", "internet"),
        ("100.64.0.0", "cgnat"),
        ("100.127.255.255", "cgnat"),
        ("100.128.0.0", "internet"),
        ("127.0.0.1", "loopback"),
        ("168.63.129.15", "internet"),
        ("168.63.129.16", "azure-platform"),
        ("168.63.129.17", "internet"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "azure-platform"),
        ("169.254.169.255", "link-local"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.255", "documentation"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("0.0.0.0", "reserved"),
        ("198.18.0.1", "reserved"),
        ("2606:4700::1", "internet"),
        ("::", "reserved"),
        ("::1", "loopback"),
        ("::ffff:808:808", "reserved"),
        ("2001:db8::1", "documentation"),
        ("fc00::", "private"),
        ("fdff:ffff::1", "private"),
        ("fe00::1", "internet"),
        ("fe80::1", "link-local"),
        ("fe80::1234:5678:9abc", "azure-platform"),
        ("febf::1", "link-local"),
        ("ff02::1", "multicast"),
    ],
)
def test_classes(address: str, expected: str) -> None:
    """Classes are those of the IANA registries and Azure's platform, edges included."""
    assert addresses.address_class(address) == expected


@given(st.ip_addresses(v=4))
@settings(deadline=None, max_examples=300)
def test_private_agrees_with_rfc_1918(address: ipaddress.IPv4Address) -> None:
    """Private of IPv4 is RFC 1918 and nothing else."""
    nets = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    expected = any(address in ipaddress.ip_network(net) for net in nets)

    assert (addresses.address_class(str(address)) == "private") == expected


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 32))
@settings(deadline=None)
def test_within_agrees_with_ipaddress(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    base: ipaddress.IPv4Address | ipaddress.IPv6Address,
    length: int,
) -> None:
    """Membership in a network is that of `ipaddress`; the other version is never inside."""
    for one in (address, base):
        network = ipaddress.ip_network(f"{base}/{length}", strict=False)
        assert addresses.within(addresses.canonical(str(one)), network) == (one in network)


def test_value_tells_versions_apart() -> None:
    """The same number in IPv4 and IPv6 is two addresses."""
    assert addresses.value("0.0.0.1") == (4, 1)
    assert addresses.value("::1") == (6, 1)
    assert addresses.value("10.0.0.1") == (4, 167772161)


@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), max_size=20))
@example(["2001:db8::1", "100::1", "9.9.9.9", "9.99.0.0", "9.100.0.0", "100.64.0.1", "10.0.0.1"])
def test_classes_of_many_are_those_of_each(found: list[str]) -> None:
    """A short cut by the first octet takes no IPv6 address for one of IPv4."""
    assert addresses.address_classes(found) == [addresses.address_class(one) for one in found]
