"""The rules of one list, compiled to an answer: which rule decides about a flow.

Security rules are asked in the order of their priorities, the lowest number first, each direction
by itself, and the first that matches the five-tuple decides
(https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#security-rules).
Each value of the five-tuple becomes a set of the rules that it fits, as the bits of a number, and
is remembered: the rules that a flow fits are what the five sets share, and the lowest bit is the
rule that decides.

A set has each rule twice: those that are sure to fit, and those that may. What a service tag or a
group holds is not always known, and a rule that may fit leaves the answer open unless every rule
that could decide says the same.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

from nsgflow_core.estate import addresses
from nsgflow_core.estate.ranges import Network, network
from nsgflow_core.estate.rules import NOT_TOLD, Rule

Verdict = Literal["allowed", "denied", "unknown"]

ANY = frozenset(("*", "any", "all"))
"""What stands for everything, whatever its case."""
ALLOW, DENY, ALWAYS_ALLOW = "Allow", "Deny", "AlwaysAllow"

_NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "esp": "50", "ah": "51"}
"""Protocols that rules name, by what IANA numbers them; one may write the number as well."""
_WITH_PORTS = frozenset(("6", "17", "132", "33", "136"))
"""Protocols whose ports may be left open in a question; the others have none."""
_LAST_PORT = 65535
_MOST_REMEMBERED = 65_536
_REASONS = 3


class Members(Protocol):
    """Which addresses service tags and groups hold; `members.Members` is the real one."""

    def holds(self, prefix: str, address: str) -> bool | str:
        """Whether a tag or group holds a canonical address; a text says why nobody knows."""


class Packet(NamedTuple):
    """What rules are asked about; addresses are canonical, a port that is left open is None.

    `protocol` is a name or IANA's number, in any case.
    """

    src: str
    dst: str
    protocol: str
    src_port: int | None
    dst_port: int | None


class Answer(NamedTuple):
    """The rule that decides, what it says, and why that is not known.

    `verdict` is unknown if and only if `because` has a text. Where no rule fits, `rule` is None
    and the flow passes. `rule` is None too where the answer is unknown.
    """

    verdict: Verdict
    rule: Rule | None
    because: str = ""


PASSES = Answer("allowed", None)


class Acl:
    """The rules of one direction of an NSG, or the security admin rules of a VNet.

    `ranks` are places in the order of asking, one for each rule in their own order where it is
    not that of priorities alone: rules of one rank have no order among them.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        members: Members,
        *,
        inbound: bool,
        ranks: Callable[[Rule], tuple[int, ...]] = lambda rule: (rule.priority,),
    ) -> None:
        ordered = sorted((rule for rule in rules if rule.inbound == inbound), key=ranks)
        self.rules: Sequence[Rule] = ordered
        self._members = members
        self._count = count = len(ordered)
        self._sources = _Ends([rule.sources for rule in ordered], members)
        self._destinations = _Ends([rule.destinations for rule in ordered], members)
        self._source_ports = _Ports([rule.source_ports for rule in ordered])
        self._destination_ports = _Ports([rule.destination_ports for rule in ordered])
        self._protocols: dict[str, int] = {}
        self._answers: dict[int, Answer | None] = {}
        self._reasons: dict[tuple[int, ...], Answer] = {}
        self._low = (1 << count) - 1
        self._before = _up_to_rank([ranks(rule) for rule in ordered])
        self._saying: dict[str, int] = {}
        for at, rule in enumerate(ordered):
            self._saying[rule.access] = self._saying.get(rule.access, 0) | 1 << at

    def decide(self, packet: Packet) -> Answer:
        """The answer to a packet."""
        src, dst, protocol, src_port, dst_port = packet
        if (fits := self._protocols.get(protocol)) is None:
            fits = self._protocol(protocol)
        if (sources := self._sources.seen.get(src)) is None:
            sources = self._sources.of(src)
        if (destinations := self._destinations.seen.get(dst)) is None:
            destinations = self._destinations.of(dst)
        if src_port is None or dst_port is None:
            return self._decide_open(packet, fits & sources & destinations)
        if (src_ports := self._source_ports.seen.get(src_port)) is None:
            src_ports = self._source_ports.of(src_port)
        if (dst_ports := self._destination_ports.seen.get(dst_port)) is None:
            dst_ports = self._destination_ports.of(dst_port)
        fits &= sources & destinations & src_ports & dst_ports
        try:
            answer = self._answers[fits]
        except KeyError:
            if len(self._answers) >= _MOST_REMEMBERED:
                self._answers.clear()
            answer = self._answers[fits] = self._answer(fits)
        return answer or self._unknown(packet, fits)

    def fitting(self, packet: Packet) -> list[Rule]:
        """Every rule that fits a packet, or may; the first of them need not be the one to decide.

        Both ports are told, or the protocol has none.
        """
        src, dst, protocol, src_port, dst_port = packet
        fits = self._protocol(protocol) & self._sources.of(src) & self._destinations.of(dst)
        for ports, port in ((self._source_ports, src_port), (self._destination_ports, dst_port)):
            fits &= ports.none if port is None else ports.of(port)
        may = fits >> self._count  # what is sure may be, too
        return [rule for at, rule in enumerate(self.rules) if may >> at & 1]

    def forget(self, address: str) -> None:
        """Ask anew what an address belongs to: `members` has learned of it."""
        self._sources.seen.pop(address, None)
        self._destinations.seen.pop(address, None)

    def _decide_open(self, packet: Packet, fits: int) -> Answer:
        """The answer where a port is left open."""
        number = _number(packet.protocol)
        for ports, port in (
            (self._source_ports, packet.src_port),
            (self._destination_ports, packet.dst_port),
        ):
            if port is not None:
                fits &= ports.of(port)
            elif number in _WITH_PORTS:
                fits &= ports.open
            else:
                fits &= ports.none
        return self._answer(fits) or self._unknown(packet, fits)

    def _answer(self, fits: int) -> Answer | None:
        """What the sets have in common says; None where that is not known."""
        sure, may = fits & self._low, fits >> self._count
        if not may:
            return PASSES
        if not sure:
            # Nothing is sure to fit: it is open whether anything does, and passing is no rule.
            return PASSES if not may & ~self._saying.get(ALLOW, 0) else None
        at = (sure & -sure).bit_length() - 1
        rule = self.rules[at]
        if may & self._before[at] & ~self._saying[rule.access]:
            return None
        return Answer("denied" if rule.access == DENY else "allowed", rule)

    def _unknown(self, packet: Packet, fits: int) -> Answer:
        """Why it is not known: what may fit before anything is sure to."""
        sure, may = fits & self._low, fits >> self._count
        if sure:
            may &= self._before[(sure & -sure).bit_length() - 1]
        key = (
            fits,
            self._sources.of(packet.src),
            self._destinations.of(packet.dst),
            0 if packet.src_port is None else 1,
            0 if packet.dst_port is None else 1,
        )
        if (known := self._reasons.get(key)) is None:
            if len(self._reasons) >= _MOST_REMEMBERED:
                self._reasons.clear()
            known = self._reasons[key] = Answer("unknown", None, self._reason(packet, may))
        return known

    def _reason(self, packet: Packet, may: int) -> str:
        said: dict[str, None] = {}
        for at, rule in enumerate(self.rules):
            if may >> at & 1:
                said |= dict.fromkeys(self._doubts(packet, rule))
        if not said:
            return "rules of the same priority say different things"
        reasons = list(said)
        more = f", and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
        return "; ".join(reasons[:_REASONS]) + more

    def _doubts(self, packet: Packet, rule: Rule) -> Iterable[str]:
        """What is not known of a rule, for one packet."""
        for prefixes, address in ((rule.sources, packet.src), (rule.destinations, packet.dst)):
            found = [held(prefix, address, self._members) for prefix in prefixes]
            if True not in found:
                yield from (why for why in found if isinstance(why, str))
        if packet.src_port is None and not _every_port(rule.source_ports):
            yield f"rule {rule.name!r} asks for the source port, which is left open"
        if packet.dst_port is None and not _every_port(rule.destination_ports):
            yield f"rule {rule.name!r} asks for the port, which is left open"
        for text in (*rule.source_ports, *rule.destination_ports):
            if text == NOT_TOLD:
                yield f"the file does not tell all ports of rule {rule.name!r}"
            elif _ports(text) is None:
                yield f"rule {rule.name!r}: {text!r} is no range of ports that is understood"

    def _protocol(self, protocol: str) -> int:
        number = _number(protocol)
        fits = 0
        for at, rule in enumerate(self.rules):
            wanted = rule.protocol.casefold()
            if not wanted or wanted in ANY or _number(wanted) == number:
                fits |= 1 << at
        fits |= fits << self._count
        if len(self._protocols) < _MOST_REMEMBERED:
            self._protocols[protocol] = fits
        return fits


def held(prefix: str, address: str, members: Members) -> bool | str:
    """Whether a prefix of a rule holds a canonical address; a text says why nobody knows."""
    if prefix.casefold() in ANY:
        return True
    if (net := _network(prefix)) is not None:
        return addresses.within(address, net)
    return members.holds(prefix, address)


class _Ends:
    """Which rules each address fits, at one end."""

    def __init__(self, prefixes: Sequence[Sequence[str]], members: Members) -> None:
        self._members = members
        self._count = len(prefixes)
        self.seen: dict[str, int] = {}
        nets: dict[Network, int] = {}
        self._named: dict[str, int] = {}
        self._always = 0
        for at, texts in enumerate(prefixes):
            bit = 1 << at
            if not texts:  # a security admin rule leaves out what is any
                self._always |= bit
            for text in texts:
                if text.casefold() in ANY:
                    self._always |= bit
                elif (net := _network(text)) is not None:
                    nets[net] = nets.get(net, 0) | bit
                else:
                    self._named[text] = self._named.get(text, 0) | bit
        self._stretches = {version: _stretches(nets, version) for version in (4, 6)}

    def of(self, address: str) -> int:
        """The rules that an address is sure to fit, and above them those that it may."""
        if (known := self.seen.get(address)) is not None:
            return known
        version, number = addresses.value(address)
        starts, masks = self._stretches[version]
        sure = self._always | masks[bisect_right(starts, number) - 1]
        may = 0
        for text, rules in self._named.items():
            answer = self._members.holds(text, address)
            if answer is True:
                sure |= rules
            elif answer:
                may |= rules
        if len(self.seen) >= _MOST_REMEMBERED:
            self.seen.clear()
        fits = self.seen[address] = sure | (sure | may) << self._count
        return fits


class _Ports:
    """Which rules each port fits.

    `open` are those for a port that is left open, `none` those for a protocol without ports.
    """

    def __init__(self, ranges: Sequence[Sequence[str]]) -> None:
        count = len(ranges)
        self.seen: dict[int, int] = {}
        self._count = count
        self._spans: list[tuple[int, int, int]] = []
        self._doubtful = self.none = 0
        for at, texts in enumerate(ranges):
            bit = 1 << at
            if _every_port(texts):
                self.none |= bit
            for text in texts or ("*",):
                if (span := _ports(text)) is None:
                    self._doubtful |= bit
                else:
                    self._spans.append((*span, bit))
        every = (1 << count) - 1
        self.open = self.none | every << count
        self.none |= self.none << count

    def of(self, port: int) -> int:
        """The rules that a port is sure to fit, and above them those that it may."""
        if (known := self.seen.get(port)) is not None:
            return known
        sure = 0
        for first, last, bit in self._spans:
            if first <= port <= last:
                sure |= bit
        fits = self.seen[port] = sure | (sure | self._doubtful) << self._count
        return fits


def _stretches(nets: Mapping[Network, int], version: int) -> tuple[list[int], list[int]]:
    """The first addresses of stretches of one set of rules, in order, and the set of each."""
    turns: dict[int, list[tuple[int, bool]]] = {0: []}
    for net, rules in nets.items():
        if net.version == version:
            turns.setdefault(int(net.network_address), []).append((rules, True))
            turns.setdefault(int(net.broadcast_address) + 1, []).append((rules, False))
    starts = sorted(turns)
    masks: list[int] = []
    inside: dict[int, int] = {}
    for start in starts:
        for rules, begins in turns[start]:
            inside[rules] = inside.get(rules, 0) + (1 if begins else -1)
        mask = 0
        for rules, times in inside.items():
            if times:
                mask |= rules
        masks.append(mask)
    return starts, masks


def _up_to_rank(ranks: Sequence[tuple[int, ...]]) -> list[int]:
    """For each rule the set of those that are asked before it, or have its rank."""
    found = [0] * len(ranks)
    upper = len(ranks)
    for at in range(len(ranks) - 1, -1, -1):
        if at + 1 < len(ranks) and ranks[at] != ranks[at + 1]:
            upper = at + 1
        found[at] = (1 << upper) - 1
    return found


_NETWORK = re.compile(r"[0-9a-f:.]+(?:/\d{1,3})?", re.IGNORECASE)


def _network(text: str) -> Network | None:
    """A prefix or an address; None for a name."""
    if not _NETWORK.fullmatch(text.strip()):
        return None
    try:
        return network(text)
    except ValueError:
        return None


def _ports(text: str) -> tuple[int, int] | None:
    """The first and last port of a range; None for what is none."""
    text = text.strip()
    if text.casefold() in ANY:
        return 0, _LAST_PORT
    first, dash, last = text.partition("-")
    if first.strip().isdecimal() and (last.strip().isdecimal() if dash else not last):
        return int(first), int(last if dash else first)
    return None


def _every_port(texts: Sequence[str]) -> bool:
    spans = sorted(span for text in texts or ("*",) if (span := _ports(text)) is not None)
    if not spans or spans[0][0] > 0 or max(last for _, last in spans) < _LAST_PORT:
        return False
    return all(following[0] <= span[1] + 1 for span, following in pairwise(spans))


def _number(protocol: str) -> str:
    return _NUMBERS.get(protocol.casefold(), protocol.casefold())
