"""What ids, ports and addresses alone tell about a flow.

Pure and cached; nothing here asks a service. The registry of service names is IANA's
(https://www.iana.org/assignments/service-names-port-numbers), the first name listed for a
port; it is read at the first row, not at start-up.
"""

from functools import cache, lru_cache
from pathlib import Path

import msgspec

from nsgflow_core import addresses
from nsgflow_core.model import Flow

FLOW_TYPES = (
    "IntraVNet",
    "InterVNet",
    "S2S",
    "P2S",
    "AzurePublic",
    "ExternalPublic",
    "UnknownPrivate",
    "Unknown",
)

_SERVICES = Path(__file__).with_name("services.json")


@lru_cache(maxsize=4096)
def acl_name(acl_id: str) -> str:
    """The name of an NSG from its resource id, as given; "" when the id is none."""
    head, _, name = acl_id.rstrip("/").rpartition("/")
    return name if head.lower().endswith("/networksecuritygroups") else ""


@cache
def _services() -> dict[str, dict[int, str]]:
    return msgspec.json.decode(_SERVICES.read_bytes(), type=dict[str, dict[int, str]])


def service_name(protocol: str, port: int | None) -> str:
    """The IANA service name of a destination port, "" where there is none."""
    if port is None or protocol not in ("TCP", "UDP"):
        return ""
    return _services()[protocol.lower()].get(port, "")


@lru_cache(maxsize=65536)
def _type_by_other_side(address: str) -> str:
    match addresses.address_class(address):
        case addresses.INTERNET:
            return "ExternalPublic"
        case addresses.PRIVATE | addresses.CGNAT:
            return "UnknownPrivate"
        case addresses.AZURE_PLATFORM:
            return "AzurePublic"
        case _:
            return "Unknown"


def flow_type(flow: Flow) -> str:
    """FlowType as Traffic Analytics defines it, as far as addresses tell.

    The log's own interface is one side: the destination of an inbound flow, the source of an
    outbound one. The type says what the other side is. Without service tags Azure's public
    addresses cannot be told from others: all but its platform addresses are `ExternalPublic`;
    without an inventory every private address is `UnknownPrivate`.
    https://learn.microsoft.com/azure/network-watcher/traffic-analytics-schema
    """
    return _type_by_other_side(flow.src if flow.outcome.inbound else flow.dst)
