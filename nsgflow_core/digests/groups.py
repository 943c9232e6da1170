"""Denied flows counted in groups, for alerts that people read. Pure.

A group answers "which NSG, which rule, which port". `ledger` keeps what was counted.

What comes in from the internet is one group for all ports of a rule: a scan of a thousand ports
is one thing that happened, and would otherwise bury what broke inside.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests.now import now
from nsgflow_core.digests.sample import Sample, sample_of
from nsgflow_core.estate import causes
from nsgflow_core.estate.enrich import acl_name, ends
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.scope import INSIDE, INTERNET, OUTBOUND, scope
from nsgflow_core.model import Flow

CLASSES = (INSIDE, causes.ENCRYPTION, OUTBOUND, causes.PLATFORM, INTERNET)
"""Scopes of what rules denied, and what else drops flows; what matters first in front."""

MANY_PORTS = -1
"""The port of a group that stands for all ports of its rule."""

MAX_PORTS = 12
"""The most ports that such a group names."""

MAX_LOGS = 1024
"""The most logs of which a group remembers when each had it last."""

MANY_LOGS = ""
"""Stands for the logs of a group that are not known by name."""

_MAX_EXAMPLES = 4

_MAX_NAME = 256
_NSG_LOG, _VNET_LOG = 1, 2
_VNET_VERSION = 4


class Key(msgspec.Struct, frozen=True, array_like=True):
    """What makes flows one group, on whichever network interface they were denied.

    `acl` is the NSG's resource id or v4's aclID, `name` the NSG's name where known; both lower
    case, as the kinds of log do not agree on it. `port` is the destination's, None where there is
    none, or MANY_PORTS; `scope` one of SCOPES. `cause` is what dropped them where no rule did,
    and `rule` the reason then. `source` is the one host that a group is of which stands for many
    ports, rules and NSGs: a scan.
    """

    acl: str
    name: str
    rule: str
    inbound: bool
    protocol: str
    port: int | None
    scope: str
    cause: str = causes.RULE
    source: str = ""

    @property
    def id(self) -> str:
        """The group in 16 hex digits."""
        parts = msgspec.structs.astuple(self)
        # As it was made before there were sources.
        made = msgspec.json.encode(parts if self.source else parts[:-1])
        return hashlib.blake2b(made, digest_size=8).hexdigest()

    @property
    def order(self) -> int:
        """The place of its class in CLASSES; behind them for one of another release."""
        kind = self.cause or self.scope
        return CLASSES.index(kind) if kind in CLASSES else len(CLASSES)


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """A group and what was counted in it.

    `first` and `last` are times of flows in milliseconds since the epoch; `sources` and
    `targets` are the ends of the flows, by name or address; `ports` has the busiest ports of a
    group of many. `name` is the NSG's as it is shown, and `logs` says which kinds of log did.
    `now` is what the rules said of one of its flows when they were last asked, "" without an
    inventory. `examples` are flows of it that differ, as `source destination port`, all of them
    or a few. `seen_in` says when each log had it last, by the log's name; `interfaces` is how many
    network interfaces had it, 0 where that was not counted.
    """

    key: Key
    flows: int
    first: int
    last: int
    sources: Sample = Sample()
    targets: Sample = Sample()
    ports: dict[int, int] = {}
    name: str = ""
    logs: int = 0
    now: str = ""
    examples: Sample = Sample((), complete=False)
    seen_in: dict[str, int] = {}
    interfaces: int = 0

    @property
    def twice(self) -> bool:
        """Whether NSG and VNet flow logs both told of it: then they may tell of the same flows."""
        return self.logs == _NSG_LOG | _VNET_LOG

    def merged(self, other: "Tally") -> "Tally":
        """Both together, under this one's key."""
        return Tally(
            self.key,
            self.flows + other.flows,
            min(self.first, other.first),
            max(self.last, other.last),
            self.sources.union(other.sources),
            self.targets.union(other.targets),
            _busiest(self.ports, other.ports),
            _better(self.name, other.name),
            self.logs | other.logs,
            max((at.now != "", at.last, at.now) for at in (self, other))[2],
            few(self.examples, other.examples),
            newest(self.seen_in, other.seen_in),
            max(self.interfaces, other.interfaces),
        )

    @property
    def folded(self) -> "Tally":
        """The same in the group that stands for all ports of the rule."""
        port = self.key.port
        if port is None or port == MANY_PORTS:
            return self
        return replace(self, key=replace(self.key, port=MANY_PORTS), ports={port: self.flows})


def _better(first: str, second: str) -> str:
    """The name that is not all in capitals, as NSG logs write it; the same whoever is first."""
    return max(first, second, key=lambda name: (name != "", name != name.upper(), name))


def few(first: Sample, second: Sample) -> Sample:
    """Examples of both: all that there are, or some."""
    values = tuple(sorted({*first.values, *second.values}))
    complete = first.complete and second.complete and len(values) <= _MAX_EXAMPLES
    return Sample(values[:_MAX_EXAMPLES], complete)


def newest(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """When each log had a group last; what is too much to remember is one, MANY_LOGS."""
    if not first or not second:
        return dict(first or second)
    made = dict(first)
    for name, last in second.items():
        known = name if name in made or len(made) < MAX_LOGS else MANY_LOGS
        made[known] = max(made.get(known, 0), last)
    return made


def interfaces_of(logs: Iterable[str]) -> int:
    """How many network interfaces logs are of: their names begin with its MAC."""
    return len({name.partition(":")[0] for name in logs if name != MANY_LOGS})


def shown(tally: Tally) -> Tally:
    """A group as a message has it: with the number of its interfaces for the names of its logs."""
    return replace(tally, seen_in={}, interfaces=interfaces_of(tally.seen_in))


def _busiest(first: Mapping[int, int], second: Mapping[int, int]) -> dict[int, int]:
    return dict((Counter(first) + Counter(second)).most_common(MAX_PORTS))


def count(flows: Iterable[Flow], knowledge: Knowledge = NOTHING) -> list[Tally]:
    """Flows counted in their groups; hosts are called by their VMs where those are known."""
    found: dict[Key, list[Flow]] = {}
    for flow in flows:
        found.setdefault(key_of(flow, knowledge), []).append(flow)
    return [_tally(key, of_key, knowledge) for key, of_key in found.items()]


def key_of(flow: Flow, knowledge: Knowledge = NOTHING) -> Key:
    """The group of a flow."""
    group = flow.group
    where, cause = scope(flow, knowledge), causes.cause_of(flow)
    port = flow.dst_port if causes.has_ports(flow.protocol) else None
    if where == INTERNET and port is not None:
        port = MANY_PORTS
    return Key(
        group.acl_group[:_MAX_NAME].lower(),
        _name(flow)[:_MAX_NAME].lower(),
        causes.reason(flow)[:_MAX_NAME],
        flow.inbound,
        flow.protocol,
        port,
        where,
        cause,
    )


def _name(flow: Flow) -> str:
    return flow.group.acl_name or acl_name(flow.group.acl_group)


def _shown(flow: Flow, knowledge: Knowledge) -> str:
    """The NSG's name, with its resource group where the inventory has another of that name."""
    inventory, acl = knowledge.inventory, flow.group.acl_group
    if inventory is None or inventory.acl(acl) is None:
        return _name(flow)
    return inventory.nsg_shown(acl.lower())


def _tally(key: Key, flows: Sequence[Flow], knowledge: Knowledge) -> Tally:
    times = [flow.time_ms for flow in flows]
    hosts = {_hosts(flow, knowledge) for flow in flows}
    ports: Counter[int] = Counter()
    if key.port == MANY_PORTS:
        ports.update(at for flow in flows if (at := flow.dst_port) is not None)
    logs = _VNET_LOG if flows[0].group.record.version == _VNET_VERSION else _NSG_LOG
    return Tally(
        key,
        len(flows),
        min(times),
        max(times),
        sample_of({src[:_MAX_NAME] for src, _ in hosts}),
        sample_of({dst[:_MAX_NAME] for _, dst in hosts}),
        dict(ports.most_common(MAX_PORTS)),
        _shown(flows[0], knowledge)[:_MAX_NAME],
        logs,
        now(flows[-1], knowledge) if key.cause == causes.RULE else "",
        _examples(flows),
    )


def example_of(flow: Flow) -> str:
    """A flow as `Tally.examples` has it: its ends and its destination port."""
    return f"{flow.src} {flow.dst} {'' if flow.dst_port is None else flow.dst_port}"


def _examples(flows: Iterable[Flow]) -> Sample:
    """Flows that differ in their ends or port."""
    found: set[str] = set()
    for flow in flows:
        found.add(example_of(flow))
        if len(found) > _MAX_EXAMPLES:
            break
    return few(Sample(tuple(found)), Sample())


def _hosts(flow: Flow, knowledge: Knowledge) -> tuple[str, str]:
    """What the source and the destination of a flow are called."""
    if knowledge is NOTHING:
        return flow.src, flow.dst
    seen = ends(flow, knowledge)
    return seen.src_vm or flow.src, seen.dest_vm or flow.dst


def merge(tallies: Iterable[Tally]) -> dict[Key, Tally]:
    """Tallies of one group made one."""
    merged: dict[Key, Tally] = {}
    for tally in tallies:
        known = merged.get(tally.key)
        merged[tally.key] = known.merged(tally) if known else tally
    return merged


def known_key(key: Key) -> Key:
    """A stored key as it is made today; the first releases kept the case of names."""
    return replace(key, acl=key.acl.lower(), name=key.name.lower())


def rank(tally: Tally) -> tuple[int, bool, int, bytes]:
    """Sorts what matters first to the front.

    What never leaves the network comes first, then what cannot get out, then what the internet
    tries; within each a service's own port before the ports of many, then the number of flows.
    """
    key = tally.key
    return key.order, key.port == MANY_PORTS, -tally.flows, msgspec.json.encode(key)
