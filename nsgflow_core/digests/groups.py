"""Denied flows counted in groups, for alerts that people read. Pure.

A group answers "which NSG, which rule, which port". Its counts only ever grow: the checkpoint of
each blob carries a ledger of them, and whoever reads it takes what came since it last did. So
nothing has to be written back to the checkpoint, and nothing can be taken twice.

What comes in from the internet is one group for all ports of a rule: a scan of a thousand ports
is one thing that happened, and would otherwise bury what broke inside.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice

import msgspec
from msgspec.structs import replace

from nsgflow_core.estate import addresses
from nsgflow_core.estate.enrich import acl_name
from nsgflow_core.model import Flow

INSIDE = "inside"
OUTBOUND = "outbound"
INTERNET = "internet"
SCOPES = (INSIDE, OUTBOUND, INTERNET)
"""Where a flow goes, what matters first in front: between hosts of one's own, out to the
internet, and in from it."""

MANY_PORTS = -1
"""The port of a group that stands for all ports of its rule."""

MAX_PORTS = 12
"""The most ports that such a group names."""

MAX_LEDGER = 30_000
"""Largest ledger in UTF-16 units: a string in a table may have 32 Ki of them
(https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
"""

_MAX_GROUPS = 64
_MAX_FOLDED = 16
_MAX_NAMES = 20_000  # UTF-16 units of a ledger's keys, so that counts and samples have room
_SAMPLE = 12
_MAX_NAME = 256
_HASHES = 2**32


class Key(msgspec.Struct, frozen=True, array_like=True):
    """What makes flows one group, on whichever network interface they were denied.

    `acl` is the NSG's resource id or v4's aclID, `name` the NSG's name where known; `port` is
    the destination's, None where there is none, or MANY_PORTS; `scope` one of SCOPES.
    """

    acl: str
    name: str
    rule: str
    inbound: bool
    protocol: str
    port: int | None
    scope: str

    @property
    def id(self) -> str:
        """The group in 16 hex digits."""
        return hashlib.blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Which different values there were: all of them, or those whose hashes are the smallest.

    Such samples merge into the sample of the union, and tell how many values there were.
    """

    values: tuple[str, ...] = ()
    complete: bool = True

    @property
    def distinct(self) -> int:
        """How many different values there were; an estimate unless `complete`."""
        if self.complete or not self.values:
            return len(self.values)
        # Of n even hashes the k-th smallest lies at about k/n of their range.
        return max(round((len(self.values) - 1) * _HASHES / (_hash(self.values[-1]) + 1)), 2)

    def union(self, other: "Sample", size: int = _SAMPLE) -> "Sample":
        """The sample of the values of both, of at most `size` values."""
        values = sorted({*self.values, *other.values}, key=_hash)
        # Behind the end of an incomplete sample there are values that it does not show.
        ends = [
            _hash(each.values[-1]) if each.values else -1
            for each in (self, other)
            if not each.complete
        ]
        if ends:
            values = [value for value in values if _hash(value) <= min(ends)]
        return Sample(tuple(values[:size]), not ends and len(values) <= size)

    def cut(self, size: int) -> "Sample":
        """The same with at most `size` values."""
        return Sample(self.values[:size], self.complete and len(self.values) <= size)


@lru_cache(maxsize=65536)
def _hash(value: str) -> int:
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=4).digest())


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """A group and what was counted in it.

    `first` and `last` are times of flows in milliseconds since the epoch; `sources` and
    `targets` are the ends of the flows, by name or address; `ports` has the busiest ports of a
    group of many.
    """

    key: Key
    flows: int
    first: int
    last: int
    sources: Sample = Sample()
    targets: Sample = Sample()
    ports: dict[int, int] = {}

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
        )

    @property
    def folded(self) -> "Tally":
        """The same in the group that stands for all ports of the rule."""
        port = self.key.port
        if port is None or port == MANY_PORTS:
            return self
        return replace(self, key=replace(self.key, port=MANY_PORTS), ports={port: self.flows})


def _busiest(first: Mapping[int, int], second: Mapping[int, int]) -> dict[int, int]:
    return dict((Counter(first) + Counter(second)).most_common(MAX_PORTS))


class Ledger(msgspec.Struct, frozen=True, array_like=True):
    """What was counted in one blob, in groups that stay where they are in the list.

    `id` changes when a ledger is begun anew; `others` counts flows in groups that found no room.
    """

    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex[:8])
    groups: tuple[Tally, ...] = ()
    others: int = 0


Labels = Callable[[Flow], tuple[str, str]]
"""What the source and the destination of a flow are called."""


def by_address(flow: Flow) -> tuple[str, str]:
    """Hosts called by their addresses."""
    return flow.src, flow.dst


def count(flows: Iterable[Flow], labels: Labels = by_address) -> list[Tally]:
    """Flows counted in their groups."""
    found: dict[Key, list[Flow]] = {}
    for flow in flows:
        found.setdefault(_key(flow), []).append(flow)
    return [_tally(key, of_key, labels) for key, of_key in found.items()]


def _key(flow: Flow) -> Key:
    group = flow.group
    scope = _scope(flow.src, flow.dst)
    port = flow.dst_port
    if scope == INTERNET and port is not None:
        port = MANY_PORTS
    return Key(
        group.acl_group[:_MAX_NAME],
        (group.acl_name or acl_name(group.acl_group))[:_MAX_NAME],
        group.rule[:_MAX_NAME],
        flow.inbound,
        flow.protocol,
        port,
        scope,
    )


def _scope(src: str, dst: str) -> str:
    if addresses.address_class(src) == addresses.INTERNET:
        return INTERNET
    return OUTBOUND if addresses.address_class(dst) == addresses.INTERNET else INSIDE


def _tally(key: Key, flows: Sequence[Flow], labels: Labels) -> Tally:
    times = [flow.time_ms for flow in flows]
    ends = {labels(flow) for flow in flows}
    ports: Counter[int] = Counter()
    if key.port == MANY_PORTS:
        ports.update(at for flow in flows if (at := flow.dst_port) is not None)
    return Tally(
        key,
        len(flows),
        min(times),
        max(times),
        Sample().union(Sample(tuple({src[:_MAX_NAME] for src, _ in ends}))),
        Sample().union(Sample(tuple({dst[:_MAX_NAME] for _, dst in ends}))),
        dict(ports.most_common(MAX_PORTS)),
    )


def merge(tallies: Iterable[Tally]) -> dict[Key, Tally]:
    """Tallies of one group made one."""
    merged: dict[Key, Tally] = {}
    for tally in tallies:
        known = merged.get(tally.key)
        merged[tally.key] = known.merged(tally) if known else tally
    return merged


def add(ledger: Ledger | None, tallies: Iterable[Tally]) -> Ledger:
    """A ledger with more counted in it, begun if there is none.

    When it has no room for further groups, their ports are folded into one group a rule; when
    there is no room for that either, their flows are counted among the others.
    """
    ledger = ledger or Ledger()
    groups = {tally.key: tally for tally in ledger.groups}
    room = _MAX_NAMES - sum(map(_cost, groups))
    others = ledger.others
    for tally in sorted(tallies, key=rank):
        for kept, most in ((tally, _MAX_GROUPS), (tally.folded, _MAX_GROUPS + _MAX_FOLDED)):
            if known := groups.get(kept.key):
                groups[kept.key] = known.merged(kept)
                break
            if len(groups) < most and (cost := _cost(kept.key)) <= room:
                groups[kept.key] = kept
                room -= cost
                break
        else:
            others += tally.flows
    return Ledger(ledger.id, tuple(groups.values()), others)


def _cost(key: Key) -> int:
    return _units(msgspec.json.encode(key).decode()) + 80  # its counters and times, at most


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def encode(ledger: Ledger) -> str:
    """A ledger as JSON of at most MAX_LEDGER UTF-16 units: samples shrink until it fits."""
    size = _SAMPLE
    while True:
        text = msgspec.json.encode(ledger).decode()
        if _units(text) <= MAX_LEDGER or not size:
            return text
        size //= 2
        ledger = replace(ledger, groups=tuple(_cut(tally, size) for tally in ledger.groups))


def _cut(tally: Tally, size: int) -> Tally:
    ports = dict(islice(tally.ports.items(), size))
    sources, targets = tally.sources.cut(size), tally.targets.cut(size)
    return replace(tally, sources=sources, targets=targets, ports=ports)


_LEDGER = msgspec.json.Decoder(Ledger)


def decode(text: str) -> Ledger:
    """A ledger as `encode` wrote it."""
    return _LEDGER.decode(text)


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """How far a ledger was read: the counts of its groups, in their order, and of the others."""

    ledger: str = ""
    flows: tuple[int, ...] = ()
    others: int = 0


def unseen(ledger: Ledger, seen: Seen) -> tuple[list[Tally], int]:
    """What a ledger counted since it was last read: by group, and among the others.

    Ends and times of a group are those of the whole ledger.
    """
    if seen.ledger != ledger.id:
        seen = Seen()
    before = seen.flows + (0,) * (len(ledger.groups) - len(seen.flows))
    fresh = [
        replace(tally, flows=tally.flows - read)
        for tally, read in zip(ledger.groups, before, strict=False)
        if tally.flows > read
    ]
    return fresh, ledger.others - seen.others


def read_to(ledger: Ledger) -> Seen:
    """A ledger read to its end."""
    return Seen(ledger.id, tuple(tally.flows for tally in ledger.groups), ledger.others)


def rank(tally: Tally) -> tuple[int, bool, int, bytes]:
    """Sorts what matters first to the front.

    What never leaves the network comes first, then what cannot get out, then what the internet
    tries; within each a service's own port before the ports of many, then the number of flows.
    """
    key = tally.key
    return (
        SCOPES.index(key.scope),
        key.port == MANY_PORTS,
        -tally.flows,
        msgspec.json.encode(key),
    )
