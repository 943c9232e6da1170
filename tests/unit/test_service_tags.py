"""Service tags: what is most specific, and the longest prefix, against a naive reference."""

import ipaddress
import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.ranges import Network, Ranges, pack
from nsgflow_core.estate.service_tags import ServiceTags, compile_tags

V4_BASE, V6_BASE = 20 << 24, 0x2603_1030 << 96


def document(tags: Mapping[str, Sequence[str]]) -> bytes:
    """A ServiceTags JSON."""
    values = [
        {"name": name, "id": name, "properties": {"region": "", "addressPrefixes": list(prefixes)}}
        for name, prefixes in tags.items()
    ]
    return json.dumps({"changeNumber": 7, "cloud": "Public", "values": values}).encode()


def load(tags: Mapping[str, Sequence[str]]) -> ServiceTags:
    """Compiled and loaded."""
    return ServiceTags(compile_tags([document(tags)]))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"AzureCloud": ["20.0.0.0/8"]}, "AzureCloud"),
        ({"AzureCloud": ["20.0.0.0/8"], "Sql": ["20.1.0.0/16"]}, "Sql"),
        ({"Sql": ["20.0.0.0/8"], "Storage": ["20.1.0.0/16"]}, "Storage"),
        ({"Sql": ["20.1.0.0/16"], "Storage": ["20.1.0.0/16"]}, "Sql,Storage"),
        ({"Storage": ["20.1.0.0/16"], "Storage.WestEurope": ["20.1.0.0/16"]}, "Storage.WestEurope"),
        ({"AzureCloud": ["20.1.0.0/16"], "AzureCloud.uk": ["20.1.0.0/16"]}, "AzureCloud.uk"),
        ({"AzureCloud.uk": ["20.1.0.0/16"], "Sql": ["20.1.0.0/16"]}, "Sql"),
        ({"AzureCloudServices": ["20.1.0.0/16"], "Sql": ["20.1.0.0/16"]}, "AzureCloudServices,Sql"),
        ({"Sql": ["20.2.0.0/16"]}, ""),
    ],
)  # fmt: skip
def test_the_most_specific_tags(tags: Mapping[str, Sequence[str]], expected: str) -> None:
    """The longest prefix first, then services before umbrellas, and regions before the world."""
    assert load(tags).of("20.1.2.3") == expected


def test_v6_and_both_ends_of_a_prefix() -> None:
    """IPv6 below and above 64 bits, and the first and last addresses."""
    tags = load(
        {"A": ["2603:1030::/32"], "B": ["2603:1030:0:1::180/122"], "C": ["255.255.255.0/24"]}
    )

    assert [tags.of(f"2603:1030:0:1::{last}") for last in ("17f", "180", "1bf", "1c0")] == [
        "A",
        "B",
        "B",
        "A",
    ]
    assert [tags.of(ip) for ip in ("2603:102f:ffff::1", "2603:1031::")] == ["", ""]
    assert [tags.of(ip) for ip in ("255.255.254.255", "255.255.255.255")] == ["", "C"]


def test_pages_are_one_document() -> None:
    """The REST API may answer in pages."""
    pages = [document({"A": ["20.0.0.0/8"]}), document({"B": ["20.1.0.0/16"]})]

    tags = ServiceTags(compile_tags(pages))
    assert (tags.of("20.1.0.1"), tags.of("20.2.0.1"), tags.prefixes) == ("B", "A", 2)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"<html>", b'{"values":[]}', document({"A": ["20.0.0.0/99"]})]
)
def test_what_is_no_service_tags_json(data: bytes) -> None:
    """It is refused, so that the last good copy stays."""
    with pytest.raises(BadInputError):
        compile_tags([data])


@pytest.mark.parametrize("data", [b"", b"\x81", b"not msgpack"])
def test_what_was_not_compiled_is_not_loaded(data: bytes) -> None:
    """Neither is anything else in the blob's place."""
    with pytest.raises(BadInputError):
        ServiceTags(data)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A network near one of two places, so that many nest."""
    if draw(st.booleans()):
        length = draw(st.integers(8, 32))
        number = V4_BASE + draw(st.integers(0, 2**10 - 1))
        return ipaddress.ip_network((number, length), strict=False)
    length = draw(st.one_of(st.integers(24, 128), st.integers(118, 128)))
    number = V6_BASE + (draw(st.integers(0, 3)) << 63) + draw(st.integers(0, 2**10 - 1))
    return ipaddress.ip_network((number, length), strict=False)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(networks(), st.integers(1, 9), max_size=24), st.data())
def test_ranges_find_the_longest_prefix(found: dict[Network, int], data: st.DataObject) -> None:
    """The same as asking every network, at their edges and between."""
    ranges = Ranges(pack(found))
    edges = [
        (net.version, int(at) + by)
        for net in found
        for at in (net.network_address, net.broadcast_address)
        for by in (-1, 0, 1)
    ]
    inside = (4, V4_BASE + data.draw(st.integers(0, 2**11)))
    for version, number in [*edges, inside]:
        if not 0 <= number < 2 ** (32 if version == 4 else 128):
            continue
        address = ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)
        holding = [net for net in found if net.version == version and address in net]
        longest = max(holding, key=lambda net: net.prefixlen, default=None)
        assert ranges.at(version, number) == (found[longest] if longest is not None else 0)
