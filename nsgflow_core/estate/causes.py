"""What dropped a flow where no rule of an NSG did, and what protocols without ports are called.

A VNet flow log names no NSG for what VNet encryption drops (`unspecified`, with the reason in the
tuple's encryption), and GUID zero for what Azure's platform drops
(https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format).
"""

from nsgflow_core.model import Flow

RULE = ""
ENCRYPTION = "encryption"
PLATFORM = "platform"

_DROPPERS = {ENCRYPTION: "VNet encryption", PLATFORM: "Azure's platform"}
NO_REASON = "no reason given"
_UNSPECIFIED = "unspecified"
_NO_ONE = "00000000-0000-0000-0000-000000000000"
_PLATFORM_RULE = "platformrule"
_WITH_PORTS = frozenset(("TCP", "UDP", "132"))
_NAMES = {"47": "GRE", "50": "ESP", "51": "AH", "132": "SCTP"}
"""https://www.iana.org/assignments/protocol-numbers"""


def cause(acl_group: str, rule: str) -> str:
    """RULE, ENCRYPTION or PLATFORM, by what a log has in the places of NSG and rule."""
    if _UNSPECIFIED in (acl_group.lower(), rule.lower()):
        return ENCRYPTION
    if acl_group == _NO_ONE or rule.lower() == _PLATFORM_RULE:
        return PLATFORM
    return RULE


def dropper(kind: str) -> str:
    """What dropped flows where no rule did, in words."""
    return _DROPPERS.get(kind, "Azure")


def reason(flow: Flow) -> str:
    """The rule, or what there is of a reason where none denied: encryption's is in the tuple."""
    kind = cause(flow.group.acl_group, flow.group.rule)
    return flow.encryption if kind == ENCRYPTION else flow.group.rule


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
