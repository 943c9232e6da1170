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

ALIASES = {
    "source": "src",
    "SrcIp": "src",
    "destination": "dst",
    "DestIp": "dst",
    "SrcPort": "sport",
    "DestPort": "port",
    "protocol": "proto",
    "L4Protocol": "proto",
    "FlowStatus": "action",
    "outcome": "action",
    "FlowDirection": "direction",
    "FlowState": "state",
    "FlowType": "type",
    "AclName": "nsg",
    "AclRule": "rule",
    "MacAddress": "mac",
}
"""Keys by the names that lists, JSON and the columns of the table have for just the same."""

ELSEWHERE = {
    **dict.fromkeys(("from", "srcaddr"), "src"),
    **dict.fromkeys(("to", "dest", "destaddr"), "dst"),
    **dict.fromkeys(("dport", "dstport"), "port"),
    "sourceport": "sport",
    **dict.fromkeys(("status", "decision"), "action"),
}
"""What keys are called by other programs, in lower case."""

NEAREST = {
    "SrcVm": "src=group/name asks for the VM of the source, vm= for that of either end",
    "DestVm": "dst=group/name asks for the VM of the destination, vm= for that of either end",
    "SrcSubnet": "src=vnet/subnet asks for the source, subnet= for either end",
    "DestSubnet": "dst=vnet/subnet asks for the destination, subnet= for either end",
    "SrcServiceTags": "tag= asks for a service tag of either end",
    "DestServiceTags": "tag= asks for a service tag of either end",
    "AclGroup": "nsg= takes names, resource ids and GUIDs",
    "TargetResourceId": "nsg= and vnet= take resource ids",
    "L7Protocol": "port= and proto= ask for a service by its port",
    "service": "port= and proto= ask for a service by its port",
    **dict.fromkeys(
        ("FlowTime", "RecordTime", "TimeGenerated", "time", "first", "last"),
        "--since and --until ask for a time",
    ),
    **dict.fromkeys(("SourceBlob", "account"), "name the log or account as SOURCE"),
    **dict.fromkeys(
        (
            *("PacketsSrcToDest", "BytesSrcToDest", "PacketsDestToSrc", "BytesDestToSrc"),
            *("packets", "bytes"),
        ),
        "nonzero=yes asks for flows that have some, and 'nsgflow sql' compares them",
    ),
    **dict.fromkeys(("FlowLogVersion", "version"), "--version asks for it"),
    **dict.fromkeys(
        ("FlowEncryption", "encryption", "FlowId"), "'nsgflow sql' asks for any column"
    ),
}
"""What lists and the table have besides, and what comes nearest to asking for it."""

_DIRECTIONS = {"inbound": "in", "outbound": "out"}
"""Directions as the table has them."""
_FOLDED = {name.lower(): key for name, key in ALIASES.items()}
_NEAREST = {name.lower(): said for name, said in NEAREST.items()}


def key_of(word: str) -> str:
    """The key that a word is, or is another name of; else the word, in lower case."""
    folded = word.lower()
    return _FOLDED.get(folded, folded)


def nearest(word: str) -> str:
    """What comes nearest to a key that there is not, where lists or the table have it."""
    return _NEAREST.get(word.lower(), "")


def _also() -> str:
    """The other names of keys, for the grammar."""
    names: dict[str, list[str]] = {}
    for name, key in ALIASES.items():
        names.setdefault(key, []).append(f"`{name}`")
    return ", ".join(f"{' and '.join(some)} for `{key}`" for key, some in names.items())


def in_keys(terms: str) -> str:
    """Terms, each with the key in the place of another name of it."""
    return " ".join(map(_in_key, terms.split()))


def _in_key(term: str) -> str:
    key, equals, values = term.partition("=")
    word = key.removeprefix("!")
    if word.lower() == "flowdirection":
        values = ",".join(_DIRECTIONS.get(value.lower(), value) for value in values.split(","))
    return f"{'!' * key.startswith('!')}{key_of(word)}={values}" if equals else term


GRAMMAR = (
    "Terms are separated by spaces, and all must hold; a key that comes twice must hold twice.",
    "The values of a term are separated by commas, and any may hold.",
    "`!` in front of a term negates it.",
    "Keys and names fold case. Names take `*` for any text, an empty one too.",
    f"Keys go by the names of lists and of the table, too: {_also()}.",
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
