"""What the values of a filter term match, for each key: predicates and judgements of flows.

`judgement` serves the keys of which an inventory or service tags may tell more, `predicate` those
of which flows alone tell. A value that a key cannot have raises ValueError, which says what it may
be.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence

from nsgflow_core.errors import did_you_mean
from nsgflow_core.estate import addresses, enrich, scope, young
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.namesakes import full_name, path_name
from nsgflow_core.model import Flow

Predicate = Callable[[Flow], bool]
Judge = Callable[[Knowledge], Predicate]

_ACTIONS = {"allowed": False, "denied": True}
_PLATFORM_PROBE = "168.63.129.16"
_OWN_RULE = "userrule_"
"""What most logs have in front of the names of rules that are not Azure's own, in lower case."""
_LAST_PORT = 65535
_LAST_PROTOCOL = 255
_SRC, _DST = 0, 1
_ENDS = {"ip": (_SRC, _DST), "src": (_SRC,), "dst": (_DST,)}
_WORDS = frozenset(("private", "internet"))
_LIKE_NETWORK = re.compile(r"\d+\.[\d.]*/.*|[^/]*:.*|[^/]*\.[^/]*/\d*|\d+/\d*", re.ASCII)
"""What is meant as an address or network, well or badly written."""
_LETTER = re.compile(r"[^:]*[^\W\d_]").match
"""What a name has, and no IPv4 address."""
_OWN_CLASSES = frozenset((addresses.PRIVATE, addresses.CGNAT, addresses.INTERNET))
"""Classes of addresses of one's own, where they are not on the internet."""


def judgement(key: str, values: list[str], *, negated: bool) -> Judge | None:
    """How to judge a term with a snapshot of knowledge, None where that makes no difference."""
    if key == "nsg":
        return _nsg(values, negated=negated)
    if key in _NAMED:
        return _named(_NAMED[key], values, negated=negated)
    if key == "type":
        judge = _flow_type(values)
    elif key in _ENDS and any(value.lower() in _WORDS or is_name(value) for value in values):
        judge = _scoped(_ENDS[key], values)
    else:
        return None
    return (lambda knowledge: _negation(judge(knowledge))) if negated else judge


def is_name(value: str) -> bool:
    """Whether an end of flows is asked for by `group/name` or a resource id, not its address."""
    inner = value.strip("/")
    return "/" in inner and _LIKE_NETWORK.fullmatch(inner) is None


def predicate(key: str, values: list[str], *, negated: bool) -> Predicate:
    """What a term asks of a flow, where what is known of the network makes no difference."""
    seen = _SEEN[key](values)
    return _negation(seen) if negated else seen


def decisions(values: list[str]) -> set[bool]:
    """The decisions that values of `action` name: True for denied flows, False for allowed ones."""
    return _one_of(values, _ACTIONS)


def _negation(predicate: Predicate) -> Predicate:
    return lambda flow: not predicate(flow)


def _one_of(values: list[str], names: dict[str, bool]) -> set[bool]:
    unknown = [value for value in values if value.lower() not in names]
    if unknown:
        near = did_you_mean(unknown[0], names, {"both": ",".join(names)})
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(names)}{near and f': {near}'}")
    return {names[value.lower()] for value in values}


def _action(values: list[str]) -> Predicate:
    wanted = decisions(values)
    return lambda flow: flow.denied in wanted


def _direction(values: list[str]) -> Predicate:
    wanted = _one_of(values, {"in": True, "out": False})
    return lambda flow: flow.inbound in wanted


def _names(get: Callable[[Flow], str]) -> Callable[[list[str]], Predicate]:
    def compiled(values: list[str]) -> Predicate:
        pattern = re.compile("|".join(map(_wildcard, values)), re.IGNORECASE | re.DOTALL)

        def predicate(flow: Flow) -> bool:
            name = get(flow)
            return name != "" and pattern.fullmatch(name) is not None

        return predicate

    return compiled


def _rule(values: list[str]) -> Predicate:
    """Rules by name; one's own with or without the prefix, which only some logs and tools have."""
    also = [_less_prefix(value) for value in values if "*" not in value]
    whole = _names(lambda flow: flow.group.rule)([*values, *also])
    bare = _names(lambda flow: _less_prefix(flow.group.rule))(values)
    return lambda flow: whole(flow) or bare(flow)


def _less_prefix(rule: str) -> str:
    return rule[len(_OWN_RULE) :] or rule if rule[: len(_OWN_RULE)].lower() == _OWN_RULE else rule


def _wildcard(name: str, star: str = ".*") -> str:
    if not name:
        raise ValueError("an empty name")
    return star.join(map(re.escape, name.split("*")))


def _nsg(values: list[str], *, negated: bool) -> Judge:
    """NSGs by their names; one that the inventory cannot know yet passes, negated or not.

    `name` is found wherever it is, `group/name` in that resource group; a resource id is one NSG,
    and so is the GUID that VNet flow logs have, also where the inventory puts a name in its place.
    """
    named = _names(lambda flow: flow.group.acl_name or flow.group.acl_group)(values)
    placed = [value for value in values if "/" in value]
    whole = _placed(placed)

    def is_there(flow: Flow) -> bool:
        acl = flow.group.acl_group
        return any(map(whole.fullmatch, (acl, full_name(acl), path_name(acl))))

    def alone(flow: Flow) -> bool:
        return (named(flow) or (bool(placed) and is_there(flow))) != negated

    def judge(knowledge: Knowledge) -> Predicate:
        if knowledge is NOTHING:
            return alone
        inventory = knowledge.inventory
        known = map(inventory.acl, values) if inventory is not None else ()
        ids = {acl.id for acl in known if acl is not None}

        def predicate(flow: Flow) -> bool:
            if ids and flow.group.acl_group in ids:
                return not negated
            return alone(flow) or young.is_young(flow, knowledge)

        return predicate

    return judge


def _named(
    names: Callable[[Flow, Knowledge], Iterable[str]], values: list[str], *, negated: bool
) -> Judge:
    """Either end by a name that the inventory or service tags give it, or by its resource id.

    `group/vnet/subnet` is found by `subnet` and `vnet/subnet` too, and `*` stays within a part.
    Until an inventory that is expected is there every flow passes: what a filter lets go is gone.
    """
    pattern = _placed(values)

    def judge(knowledge: Knowledge) -> Predicate:
        if knowledge.expected and knowledge.inventory is None and names is not enrich.tags:
            return lambda _: True
        return lambda flow: any(map(pattern.fullmatch, names(flow, knowledge))) != negated

    return judge


def _placed(values: Iterable[str]) -> re.Pattern[str]:
    """Names with what they are in in front, of which as much as is given must fit.

    Those of the inventory are in lower case, which a few letters have in other ways than `re`
    folds them.
    """
    names = [path_name(f"/{value.strip('/')}" if "/" in value else value) for value in values]
    parts = "|".join(_wildcard(name.strip("/").lower(), "[^/]*") for name in names)
    return re.compile(f"(?:.*/)?(?:{parts})", re.IGNORECASE | re.DOTALL)


_NAMED = {"vm": enrich.vms, "subnet": enrich.subnets, "vnet": enrich.vnets, "tag": enrich.tags}


def _mac(values: list[str]) -> Predicate:
    plain = [value.replace("-", "").replace(":", "") for value in values]
    wrong = [value for value in plain if not re.fullmatch(r"[0-9A-Fa-f*]{1,12}", value)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no MAC address")
    return _names(lambda flow: flow.group.mac)(plain)


def _state(values: list[str]) -> Predicate:
    wanted = {value.upper() for value in values}
    if not wanted <= set("BCED"):
        raise ValueError("states are B, C, E and D")
    return lambda flow: flow.state in wanted


def _flow_type(values: list[str]) -> Judge:
    known = {name.lower(): name for name in enrich.FLOW_TYPES}
    for value in values:
        if "*" not in value and value.lower() not in known:
            near = did_you_mean(value, enrich.FLOW_TYPES)
            raise ValueError(
                f"{value!r} is not one of {', '.join(enrich.FLOW_TYPES)}{near and f': {near}'}"
            )
    pattern = re.compile("|".join(map(_wildcard, values)), re.IGNORECASE)
    wanted = {name for name in enrich.FLOW_TYPES if pattern.fullmatch(name)}

    def judge(knowledge: Knowledge) -> Predicate:
        return lambda flow: enrich.flow_type(flow, knowledge) in wanted

    return judge


def _ports(get: Callable[[Flow], int | None]) -> Callable[[list[str]], Predicate]:
    def compiled(values: list[str]) -> Predicate:
        wanted: set[int] = set()
        for value in values:
            found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", value, re.ASCII)
            if found is None:
                number = enrich.port_of(value)
                mend = f": say {number}" if number else ""
                raise ValueError(f"{value!r} is neither a port nor a range{mend}")
            first, last = int(found[1]), int(found[2] or found[1])
            if not first <= last <= _LAST_PORT:
                raise ValueError(f"{value!r} is outside 0-{_LAST_PORT} or backwards")
            wanted.update(range(first, last + 1))
        return lambda flow: get(flow) in wanted

    return compiled


def _protocol(values: list[str]) -> Predicate:
    names = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "6": "TCP", "17": "UDP", "1": "ICMP"}
    wanted: set[str] = set()
    for value in values:
        name = names.get(value.lower())
        if name is None:
            if not re.fullmatch(r"\d{1,3}", value, re.ASCII) or int(value) > _LAST_PROTOCOL:
                raise ValueError(f"{value!r} is neither tcp, udp, icmp nor a protocol number")
            name = names.get(str(int(value)), str(int(value)))
        wanted.add(name)
    return lambda flow: flow.protocol in wanted


def _scoped(ends: Sequence[int], values: list[str]) -> Judge:
    """Ends by the words `private` and `internet`, or by the names of their VMs and subnets.

    An inventory tells what belongs to a VNet, and names. Until one that is expected is there every
    flow passes where names are asked for.
    """
    names = list(filter(is_name, values))
    plain = [value for value in values if not is_name(value)]
    tests = [_address(value) for value in plain if value.lower() not in _WORDS]
    words = {value.lower() for value in plain} & _WORDS
    alone, pattern = _by_address(ends, plain), _placed(names)

    def judge(knowledge: Knowledge) -> Predicate:
        if knowledge.inventory is None:
            return (lambda _: True) if names and knowledge.expected else alone

        def fits(end: int, ip: str, flow: Flow) -> bool:
            return (
                any(test(ip) for test in tests)
                or (
                    bool(words)
                    and _word(ip, outside=scope.on_internet(flow, knowledge)[end]) in words
                )
                or (bool(names) and any(map(pattern.fullmatch, enrich.names(flow, knowledge)[end])))
            )

        def predicate(flow: Flow) -> bool:
            return any(fits(end, (flow.src, flow.dst)[end], flow) for end in ends)

        return predicate

    return judge


def _word(ip: str, *, outside: bool) -> str:
    """The word for an address, of which it is known whether it is on the internet."""
    if outside:
        return "internet"
    return "private" if addresses.address_class(ip) in _OWN_CLASSES else ""


def _address(value: str) -> Callable[[str], bool]:
    match value.lower():
        case "private":
            return lambda ip: addresses.address_class(ip) in (addresses.PRIVATE, addresses.CGNAT)
        case "internet":
            return lambda ip: addresses.address_class(ip) == addresses.INTERNET
        case text:
            network = _network(text.replace("[", "").replace("]", ""))
            return lambda ip: addresses.within(ip, network)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        if networks := addresses.cidrs(text):
            raise ValueError(f"a range is written as CIDR: say {networks}") from None
        named = "; a VM or subnet is named as group/name, or by its id" if _LETTER(text) else ""
        raise ValueError(
            f"{text!r} is neither an address, a network such as 10.0.0.0/8, private nor internet"
            f"{named}"
        ) from None


def _by_address(ends: Sequence[int], values: list[str]) -> Predicate:
    tests = [_address(value) for value in values]
    if len(ends) > 1:
        return lambda flow: any(test(flow.src) or test(flow.dst) for test in tests)
    if ends[0] == _SRC:
        return lambda flow: any(test(flow.src) for test in tests)
    return lambda flow: any(test(flow.dst) for test in tests)


def _ends(key: str) -> Callable[[list[str]], Predicate]:
    return lambda values: _by_address(_ENDS[key], values)


def _load_balancer(values: list[str]) -> Predicate:
    wanted = _one_of(values, {"yes": True, "no": False})
    return lambda flow: (flow.src == _PLATFORM_PROBE) in wanted


def _nonzero(values: list[str]) -> Predicate:
    wanted = _one_of(values, {"yes": True, "no": False})
    return lambda flow: any(flow.counters) in wanted


_SEEN: dict[str, Callable[[list[str]], Predicate]] = {
    "action": _action,
    "direction": _direction,
    "ip": _ends("ip"),
    "src": _ends("src"),
    "dst": _ends("dst"),
    "port": _ports(lambda flow: flow.dst_port),
    "sport": _ports(lambda flow: flow.src_port),
    "proto": _protocol,
    "rule": _rule,
    "state": _state,
    "mac": _mac,
    "lb": _load_balancer,
    "nonzero": _nonzero,
}
