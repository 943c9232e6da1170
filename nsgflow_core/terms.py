"""Filter terms as they are told: the grammar, the keys, what each takes and matches.

`filter` compiles what is listed here; `nsgflow help filter`, completion and the table in
docs/configuration.md show it. It imports nothing, so that help comes at once.
"""

from typing import NamedTuple


class Key(NamedTuple):
    """A key of a term; `values` and `matches` are Markdown of one line.

    `words` has the values that have a name, in the order in which they are offered.
    """

    values: str
    example: str
    matches: str
    words: tuple[str, ...] = ()


_ADDRESSES = ("private", "internet")
_YES_NO = ("yes", "no")

KEYS = {
    "action": Key(
        "`allowed`, `denied`", "action=denied", "the decision", words=("allowed", "denied")
    ),
    "direction": Key(
        "`in`, `out`", "direction=in", "as seen from the network interface", words=("in", "out")
    ),
    "ip": Key(
        "address, network, `private`, `internet`; a VM or subnet as `group/name`, or by id",
        "ip=10.0.0.0/8,2001:db8::/32",
        "either end",
        words=_ADDRESSES,
    ),
    "src": Key("as `ip`", "!src=internet,prod/web1", "the source", words=_ADDRESSES),
    "dst": Key("as `ip`", "dst=10.0.1.4", "the destination", words=_ADDRESSES),
    "port": Key("port or range, 0 to 65535", "port=22,3389,8000-8100", "the destination port"),
    "sport": Key("as `port`", "sport=1024-65535", "the source port"),
    "proto": Key(
        "`tcp`, `udp`, `icmp`, or a number to 255",
        "proto=tcp,47",
        "the protocol",
        words=("tcp", "udp", "icmp"),
    ),
    "nsg": Key(
        "name, `group/name`, resource id or GUID",
        "nsg=prod-*,net-rg/JUMPBOX-NSG",
        "the NSG's name; where that is unknown, `AclGroup` (v4's `aclID`)",
    ),
    "rule": Key(
        "name",
        "!rule=DefaultRule_DenyAllInBound",
        "the rule; one's own with or without `UserRule_`, Azure's with `DefaultRule_` where the "
        "log has it",
    ),
    "state": Key(
        "`B`, `C`, `E`, `D`",
        "state=b,e",
        "the flow state as written; v1 has none",
        words=("B", "C", "E", "D"),
    ),
    "mac": Key(
        "MAC address, with `-`, `:` or no separators; takes `*`",
        "mac=00-0D-3A-F8-78-56",
        "the network interface",
    ),
    "type": Key(
        "a `FlowType`; takes `*`",
        "type=ExternalPublic",
        "what the other side is",
        words=(
            *("IntraVNet", "InterVNet", "S2S", "P2S", "AzurePublic", "ExternalPublic"),
            *("UnknownPrivate", "Unknown"),
        ),
    ),
    "vm": Key(
        "name, `group/name` or resource id; takes `*`", "vm=web1,prod/db*", "the VM of either end"
    ),
    "subnet": Key(
        "name, `vnet/subnet`, `group/vnet/subnet` or resource id; takes `*`",
        "subnet=hub/web",
        "the subnet of either end",
    ),
    "vnet": Key(
        "name, `group/vnet` or resource id; takes `*`", "vnet=hub", "the VNet of either end"
    ),
    "tag": Key(
        "a service tag; takes `*`",
        "tag=Storage*,AzureMonitor",
        "the service tags of either end",
    ),
    "lb": Key(
        "`yes`, `no`",
        "lb=no",
        "whether the source is 168.63.129.16: load balancer probes and the platform",
        words=_YES_NO,
    ),
    "nonzero": Key(
        "`yes`, `no`",
        "nonzero=yes",
        "`yes`: some counter is above zero; `no`: all are zero or absent",
        words=_YES_NO,
    ),
}
"""The keys in the order in which they are told."""

ELSEWHERE = {
    **dict.fromkeys(("source", "srcip", "from"), "src"),
    **dict.fromkeys(("destination", "dest", "destip", "to"), "dst"),
    **dict.fromkeys(("dport", "destport", "dstport"), "port"),
    **dict.fromkeys(("srcport", "sourceport"), "sport"),
    **dict.fromkeys(("protocol", "l4protocol"), "proto"),
    **dict.fromkeys(("status", "flowstatus", "decision"), "action"),
    "flowdirection": "direction",
    "flowstate": "state",
    "flowtype": "type",
    "aclname": "nsg",
    "aclrule": "rule",
    "macaddress": "mac",
}
"""What keys are called elsewhere: in flow logs, in the table, by other programs."""

GRAMMAR = (
    "Terms are separated by spaces, and all must hold; a key that comes twice must hold twice.",
    "The values of a term are separated by commas, and any may hold.",
    "`!` in front of a term negates it.",
    "Keys and names fold case. Names take `*` for any text, an empty one too.",
    (
        "Names of NSGs, VMs, subnets and VNets may have in front what they are in, as far as they "
        "are shown with it: `group/name`, `subscription/group/name`."
    ),
    (
        "A flow that lacks the value which a term asks for matches no positive term, and so "
        "matches every negated one."
    ),
    "An unknown key or a bad value is an error that names it.",
)

EXAMPLES = (
    ("action=denied", "every denied flow"),
    (
        "action=denied !rule=DefaultRule_DenyAllInBound",
        "what a rule of yours denied, without the background noise of the internet",
    ),
    ("action=denied ip=private !ip=internet", "denied flows that never leave private networks"),
    (
        "action=denied direction=out port=443,1433,5432",
        "denied on the way out to HTTPS, SQL Server and PostgreSQL",
    ),
    ("action=allowed,denied lb=no", "everything but load balancer probes"),
)
"""Terms, and what passes."""


def plain(markdown: str) -> str:
    """A text for a terminal."""
    return markdown.replace("`", "")
