"""Silences: groups that are counted and not told until a time, by filter terms. Pure.

A silence holds back no more than it says: where a term asks for hosts or ports, all of a group's
flows that differ must be known, and all must match.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec

from nsgflow_core.digests.groups import MANY_PORTS, Tally
from nsgflow_core.digests.sample import Sample, sample_of
from nsgflow_core.errors import BadInputError
from nsgflow_core.filter import Filter, compile_terms
from nsgflow_core.matches import is_name
from nsgflow_core.model import Flow, Group, Record

MAX_SILENCES = 100
KEYS = ("nsg", "rule", "direction", "proto", "port", "src", "dst", "ip", "action")
"""What a group has of the keys of filter terms."""

_OF_FLOWS = frozenset(("src", "dst", "ip"))
_OF_ONE_NSG = frozenset(("nsg", "rule"))


class Silence(msgspec.Struct, frozen=True):
    """What `terms` match is not told until a time; times in seconds since the epoch."""

    id: str
    terms: str
    until: float
    made: float
    why: str = ""


class Held(msgspec.Struct, frozen=True, array_like=True):
    """What a silence held back: flows, and the ids of their groups, all or some."""

    terms: str
    why: str
    until: float
    flows: int = 0
    groups: Sample = Sample()


def check(terms: str) -> Filter:
    """The filter of a silence.

    Raises:
        BadInputError: it is none, or asks for what a group does not have.
    """
    made = compile_terms(terms)
    if unknown := sorted(made.keys - set(KEYS)):
        raise BadInputError(
            f"a silence cannot go by {', '.join(unknown)}: groups of flows have"
            f" {', '.join(KEYS[:-1])} alone"
        )
    if named := [value for value in _ends(made.terms) if is_name(value)]:
        raise BadInputError(
            f"a silence cannot go by the name {named[0]!r}: give the addresses that it has"
        )
    if not made.keys:
        raise BadInputError("a silence needs a term: without one it would hold back everything")
    if True not in made.decisions:
        raise BadInputError(f"{terms!r} lets no denied flow pass: there is nothing to hold back")
    return made


def _ends(terms: str) -> Iterator[str]:
    """What terms say of ends of flows."""
    for term in terms.split():
        key, _, values = term.partition("=")
        if key.removeprefix("!").lower() in _OF_FLOWS:
            yield from values.split(",")


@lru_cache(maxsize=2 * MAX_SILENCES)
def _filter(terms: str) -> Filter | None:
    try:
        return check(terms)
    except BadInputError:  # of another release
        return None


def silencing(tally: Tally, silences: Iterable[Silence]) -> Silence | None:
    """The first silence that matches a group."""
    return next((at for at in silences if _matches(at.terms, tally)), None)


def _matches(terms: str, tally: Tally) -> bool:
    found = _filter(terms)
    if found is None:
        return False
    asked = set(found.keys & _OF_FLOWS)
    if "port" in found.keys and tally.key.port == MANY_PORTS:
        asked.add("port")
    if tally.key.source and found.keys & _OF_ONE_NSG:
        return False
    examples = [_parts(at) for at in tally.examples.values]
    if not asked:
        return found.accepts(_flow(tally, "", "", tally.key.port))
    if asked == {"src"} and examples and tally.sources.complete and len(tally.sources.values) == 1:
        return found.accepts(_flow(tally, examples[0][0], "", tally.key.port))
    if not tally.examples.complete:
        return False
    return bool(examples) and all(found.accepts(_flow(tally, *at)) for at in examples)


def _parts(example: str) -> tuple[str, str, int | None]:
    src, dst, port = example.split(" ")
    return src, dst, int(port) if port else None


def _flow(tally: Tally, src: str, dst: str, port: int | None) -> Flow:
    key = tally.key
    name = (tally.name or key.name).rpartition("/")[2]  # it may have its resource group in front
    group = Group(Record(0, 0, "", 2, ""), key.acl, name, key.rule, "")
    direction = "I" if key.inbound else "O"
    return Flow(0, src, dst, None, port, key.protocol, direction, "D", group=group)  # type: ignore[arg-type]  # one of the two


def held_more(held: Held | None, silence: Silence, tally: Tally) -> Held:
    """What a silence has held back with one more group's flows."""
    known = held or Held(silence.terms, silence.why, silence.until)
    return Held(
        silence.terms,
        silence.why,
        silence.until,
        known.flows + tally.flows,
        known.groups.union(sample_of({tally.key.id})),
    )


def active(silences: Iterable[Silence], now: float) -> Sequence[Silence]:
    """Those that hold at a time."""
    return [at for at in silences if at.until > now]
