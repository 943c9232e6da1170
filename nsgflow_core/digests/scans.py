"""One host that is denied at many ports, rules or NSGs is one thing that happens. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from nsgflow_core.digests.groups import MANY_PORTS, Key, Tally
from nsgflow_core.digests.life import Life, only_source
from nsgflow_core.estate.causes import has_ports

MAX_ALONE = 8
"""So many groups of one source are told each by itself; with one more they are a scan."""

_MAX_NAMES = 3


def scan_key(source: str, key: Key) -> Key:
    """The group of all that one source is denied."""
    port = MANY_PORTS if has_ports(key.protocol) else None
    return Key("", "", "", key.inbound, key.protocol, port, key.scope, key.cause, source)


def fold(waiting: Iterable[Tally], lives: Mapping[str, Life]) -> tuple[Tally, ...]:
    """Groups, with those of a source that has too many made one; those told before stay."""
    folded: dict[Key, Tally] = {}
    alone: dict[Key, list[Tally]] = defaultdict(list)
    for tally in waiting:
        source = only_source(tally)
        if tally.key.source or not source or tally.key.id in lives:
            folded[tally.key] = tally
        else:
            alone[scan_key(source, tally.key)].append(tally)
    told: dict[Key, int] = defaultdict(int)
    for life in lives.values():
        if life.source and not life.key.source:
            told[scan_key(life.source, life.key)] += 1
    for key, tallies in alone.items():
        known = folded.get(key)
        if known or key.id in lives or len(tallies) + told[key] > MAX_ALONE:
            folded[key] = _scan(key, ([known] if known else []) + tallies)
        else:
            folded.update({tally.key: tally for tally in tallies})
    return tuple(folded.values())


def _scan(key: Key, tallies: list[Tally]) -> Tally:
    first, *others = (replace(tally.folded, key=key) for tally in tallies)
    for tally in others:
        first = first.merged(tally)
    names = sorted({name for tally in tallies for name in tally.name.split(", ") if name})
    more = ["…"] if len(names) > _MAX_NAMES else []
    return replace(first, name=", ".join(names[:_MAX_NAMES] + more))
