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
_ENCRYPTED = "X"
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


def cause_of(flow: Flow) -> str:
    """`cause` of a flow: what was let through, or is encrypted, no encryption dropped."""
    kind = cause(flow.group.acl_group, flow.group.rule)
    spared = not flow.denied or flow.encryption == _ENCRYPTED
    return RULE if kind == ENCRYPTION and spared else kind


def reason(flow: Flow) -> str:
    """The rule; where encryption dropped a flow and no rule is named, what its tuple says."""
    rule = flow.group.rule
    if rule.lower() not in ("", _UNSPECIFIED) or cause_of(flow) != ENCRYPTION:
        return rule
    return flow.encryption


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
