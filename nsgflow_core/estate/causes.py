"""What dropped a flow where no rule of an NSG did, and what protocols without ports are called.

A VNet flow log names no NSG for what VNet encryption drops (`unspecified`, with the reason in the
tuple's encryption), and GUID zero for what Azure's platform drops
(https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format).
"""

from nsgflow_core.model import Flow

RULE = ""
ENCRYPTION = "encryption"
PLATFORM = "platform"

_UNSPECIFIED = "unspecified"
_NO_ONE = "00000000-0000-0000-0000-000000000000"
_PLATFORM_RULE = "platformrule"
_WITH_PORTS = frozenset(("TCP", "UDP", "132"))
_NAMES = {"47": "GRE", "50": "ESP", "51": "AH", "132": "SCTP"}
"""https://www.iana.org/assignments/protocol-numbers"""


def cause(flow: Flow) -> str:
    """RULE, ENCRYPTION or PLATFORM."""
    group = flow.group
    if _UNSPECIFIED in (group.acl_group.lower(), group.rule.lower()):
        return ENCRYPTION
    if group.acl_group == _NO_ONE or group.rule.lower() == _PLATFORM_RULE:
        return PLATFORM
    return RULE


def has_ports(protocol: str) -> bool:
    """Whether a protocol, named as flows name it, has ports."""
    return protocol in _WITH_PORTS


def protocol_name(protocol: str) -> str:
    """A protocol in words: `TCP`, `ICMPv6`, `GRE (protocol 47)`, `protocol 99`."""
    if not protocol.isdigit():
        return protocol
    if protocol == "58":
        return "ICMPv6"
    name = _NAMES.get(protocol)
    return f"{name} (protocol {protocol})" if name else f"protocol {protocol}"
