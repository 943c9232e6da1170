"""What to say where nothing is found: no denied flow, no such NSG and late logs look alike."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches

from nsgflow_core.cli.names import matcher, nsgs
from nsgflow_core.cli.options import Wanted
from nsgflow_core.cli.query import Query
from nsgflow_core.cli.read import Tally
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.namesakes import full_name
from nsgflow_core.terms import in_keys

_HINTS = {
    "--display-direction both": ("outbound flow", "outbound flows"),
    "--display-lb": ("probe of the load balancer", "probes of the load balancer"),
}
_LAST_TWO = re.compile(r".*/(?=[^/]*/[^/]*$)")
"""What stands before the last two parts of a name."""
_OF_ONE_VALUE = ("src", "dst", "port", "sport", "proto", "nsg", "rule", "state", "mac")
"""Keys of filters of which a flow has one value."""
_SHOWN = 5
"""Names that are shown where none is near."""


def no_flows(query: Query, tally: Tally, span: str, *, offers_allowed: bool) -> str:
    """Why no flow was shown: what was read, and what the command's defaults left out."""
    of = counted(len(tally.resources), "NSG or VNet", "NSGs or VNets")
    said = [f"read {counted(tally.logs, 'log')} of {of}{span}, {age(tally.newest)}"]
    left_out = left_out_by_default(query)
    if query.only_denied and offers_allowed:
        left_out.append("allowed flows (--display-allowed)")
    if left_out:
        said.append(f"left out by default: {', '.join(left_out)}")
    return "; ".join(said)


def left_out_by_default(query: Query) -> list[str]:
    """How many flows of which kind a command's defaults left out, and the flag that shows them."""
    return [
        f"{counted(count, *_HINTS[flag])} ({flag})"
        for flag, count in query.left_out.items()
        if count
    ]


def never_both(wanted: Wanted) -> list[str]:
    """A sentence for each condition that stands twice, of which no flow may meet both.

    `--port 22 --port 1433` asks for flows between both ports; mostly either one is meant.
    """
    given = list(dict.fromkeys(wanted.port or ()))
    said = []
    if len(given) > 1:
        said.append(
            "--port that is repeated asks for flows between these ports: "
            f"--port {','.join(given)} asks for any of them"
        )
    if len(given := list(dict.fromkeys(wanted.ip or ()))) > 2:  # noqa: PLR2004 - a flow's ends
        said.append(
            "--ip that is repeated asks for flows between these addresses: "
            f"--ip {','.join(given)} asks for any of them"
        )
    terms = in_keys(" ".join(wanted.filter_terms or ())).split()
    for key in _OF_ONE_VALUE:
        values = list(dict.fromkeys(term[len(key) + 1 :] for term in terms if _is(key, term)))
        if len(values) > 1:
            said.append(
                f"{key}= that comes twice must hold twice: {key}={','.join(values)} asks for any"
            )
    return said


def _is(key: str, term: str) -> bool:
    return term.startswith(f"{key}=")


def no_such_names(
    asked: Iterable[str], there: Iterable[str], ids: Iterable[str] = (), *, vnets: bool
) -> list[str]:
    """A sentence for each name that fits no NSG that is there, with the nearest one that is.

    `ids` are those that are known of what is there: they tell the resource groups. `vnets` says
    that VNet flow logs were read: their NSGs are met only in flows.
    """
    known = [one for _, one in sorted({one.casefold(): one for one in sorted(there)}.items())]
    alike = shared_names(ids, known)
    placed = {_LAST_TWO.sub("", full_name(one)): one for one in ids if one.startswith("/")}
    what = "no flow that was read is of an NSG" if vnets else "there are no logs of an NSG"
    said = []
    for name in dict.fromkeys(asked):
        accepts = matcher([name])
        if "/" in name.strip("/") and not name.startswith("/"):
            if not any(accepts("", one) for one in placed.values()):
                said.append(f"{what} named {name!r}{nearest(name, sorted(placed))}")
            continue
        short = name.rstrip("/").rpartition("/")[2]
        if not any(accepts(one, "") or one.casefold() == short.casefold() for one in known):
            said.append(f"{what} named {name!r}{nearest(short, known, alike)}")
    return said


def shared_names(
    ids: Iterable[str], names: Iterable[str], inventory: Inventory | None = None
) -> dict[str, list[str]]:
    """NSGs that share a name: by it, with case folded, how to say each of them.

    `names` have the spelling; `ids` are those that were met.
    """
    spelled = {one.casefold(): one for one in names}
    met = {one.lower() for one in ids if one.startswith("/subscriptions/")}
    apart, by_name = nsgs(inventory), dict[str, list[str]]()
    for one in sorted(met):
        by_name.setdefault(one.rpartition("/")[2].casefold(), []).append(one)
        apart.meet(one, spelled.get(one.rpartition("/")[2].casefold(), one.rpartition("/")[2]))
    return {
        name: [apart.shown(one, spelled.get(name, name)) for one in alike]
        for name, alike in by_name.items()
        if len(alike) > 1
    }


def names_of_several(asked: Iterable[str], shared: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each name that was asked for and that several NSGs have."""
    return [
        f"{name!r} is the name of {len(shared[name.casefold()])} NSGs, and all of them were taken: "
        f"{', '.join(shared[name.casefold()])} (name one like that)"
        for name in dict.fromkeys(asked)
        if name.casefold() in shared
    ]


def nearest(
    name: str, known: Sequence[str], alike: Mapping[str, Sequence[str]] | None = None
) -> str:
    """What to say behind a name that there is not: the nearest one, else the first there are.

    `alike` has how to say what shares a name, by the name with case folded.
    """
    alike = alike or {}
    folded = {one.casefold(): one for one in known}
    near = get_close_matches(name.strip("*").casefold(), folded, 1, 0.6)
    if near:
        ways = alike.get(near[0]) or [folded[near[0]]]
        return f", did you mean {' or '.join(map(repr, ways))}?"
    if not known:
        return ""
    known = [way for one in known for way in alike.get(one.casefold()) or [one]]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"; there are {', '.join(known[:_SHOWN])}{more}"


def counted(number: int, what: str, several: str = "") -> str:
    """A number of things: `1 log`, `2 logs`."""
    return f"{number} {what}" if number == 1 else f"{number} {several or f'{what}s'}"


def age(newest: str, now: datetime | None = None) -> str:
    """How old the newest record is."""
    try:
        written = datetime.fromisoformat(newest)
    except ValueError:
        return "no record in them"
    if written.tzinfo is None:
        written = written.replace(tzinfo=UTC)
    return f"the newest record is {since(written, now or datetime.now(UTC))} old"


def since(then: datetime, now: datetime) -> str:
    """How long ago a moment was, in the unit that a person would say."""
    seconds = max((now - then).total_seconds(), 0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
