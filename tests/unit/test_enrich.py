"""What ids, ports and addresses alone tell: names, services, flow types."""

import pytest

from nsgflow_core.estate import enrich
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made


def flow(src: str, dst: str, *, inbound: bool) -> Flow:
    """A flow between two addresses."""
    group = Group(Record(0, 1, "", 4, ""), "", "", "", "")
    outcome = Outcome(443, "TCP", inbound, True, "D", "NX", 0, 0, 0, 0)  # noqa: FBT003
    return made(group, 0, "", 0, src, dst, 50000, outcome)


@pytest.mark.parametrize(
    ("acl", "expected"),
    [
        (
            "/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/W",
            "W",
        ),
        (
            "/subscriptions/s/resourceGroups/r/providers/x/networkSecurityGroups/Prod-Web",
            "Prod-Web",
        ),
        (
            "/subscriptions/s/resourceGroups/r/providers/x/networkSecurityGroups/Prod-Web/",
            "Prod-Web",
        ),
        ("/subscriptions/s/resourceGroups/r/providers/x/virtualNetworks/v", ""),
        ("00000000-1234-abcd-ef00-c1c2c3c4c5c6", ""),
        ("unspecified", ""),
        ("", ""),
    ],
)
def test_acl_name(acl: str, expected: str) -> None:
    """An NSG's resource id names it, as written; nothing else does."""
    assert enrich.acl_name(acl) == expected


@pytest.mark.parametrize(
    ("protocol", "port", "expected"),
    [
        ("TCP", 22, "ssh"),
        ("TCP", 443, "https"),
        ("TCP", 3389, "ms-wbt-server"),
        ("TCP", 1433, "ms-sql-s"),
        ("UDP", 53, "domain"),
        ("UDP", 123, "ntp"),
        ("TCP", 65535, ""),
        ("TCP", None, ""),
        ("ICMP", 22, ""),
        ("47", 22, ""),
    ],
)
def test_service_name(protocol: str, port: int | None, expected: str) -> None:
    """The IANA service name of TCP and UDP ports, nothing where there is none."""
    assert enrich.service_name(protocol, port) == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("8.8.8.8", "ExternalPublic"),
        ("2606:4700::1", "ExternalPublic"),
        ("10.0.0.9", "UnknownPrivate"),
        ("100.64.0.1", "UnknownPrivate"),
        ("fd00::1", "UnknownPrivate"),
        ("168.63.129.16", "AzurePublic"),
        ("169.254.169.254", "AzurePublic"),
        ("169.254.0.1", "Unknown"),
        ("224.0.0.1", "Unknown"),
        ("0.0.0.0", "Unknown"),
    ],
)
def test_flow_type_is_of_the_other_side(other: str, expected: str) -> None:
    """The other side is the source of inbound flows and the destination of outbound ones."""
    assert enrich.flow_type(flow(other, "10.5.16.4", inbound=True)) == expected
    assert enrich.flow_type(flow("10.5.16.4", other, inbound=False)) == expected


def test_flow_types_are_those_of_the_contract() -> None:
    """The values that `type` takes are those the row's column has."""
    assert set(enrich.FLOW_TYPES) == {
        "IntraVNet",
        "InterVNet",
        "S2S",
        "P2S",
        "AzurePublic",
        "ExternalPublic",
        "UnknownPrivate",
        "Unknown",
    }
