"""What a digest says, in plain words; each format escapes them its own way."""

import unicodedata
from collections.abc import Callable

from nsgflow_core.digests.digest import Digest
from nsgflow_core.digests.groups import (
    INSIDE,
    INTERNET,
    MANY_PORTS,
    MAX_PORTS,
    OUTBOUND,
    Sample,
    Tally,
)
from nsgflow_core.estate.enrich import service_name
from nsgflow_core.model import flow_time

SCOPES = {
    INSIDE: "inside the network",
    OUTBOUND: "to the internet",
    INTERNET: "from the internet",
}

_MAX_NAME = 100
_NAMES = 4
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def plain(text: str, limit: int = _MAX_NAME) -> str:
    """A text on one line, without what does not show or turns the line around, and not too long."""
    head = text[: 4 * limit]  # more cannot be shown, and would only cost time
    kept = "".join(" " if unicodedata.category(char) in _INVISIBLE else char for char in head)
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def headline(digest: Digest) -> str:
    """The whole digest in a few words, without any name from outside."""
    groups = len(digest.groups) + digest.more_groups
    flows = _some(digest.flows, "denied flow")
    return f"{flows} in {_some(groups, 'group')}" if groups else flows


def port(tally: Tally) -> str:
    """Protocol and destination port with its service, or the busiest of many ports."""
    key = tally.key
    protocol = plain(key.protocol, 20)
    if key.port is None:
        return protocol
    if key.port == MANY_PORTS:
        busiest = ", ".join(map(str, tally.ports))
        more = ", …" if len(tally.ports) == MAX_PORTS else ""
        return f"{protocol} ports {busiest}{more}" if busiest else f"{protocol}, many ports"
    service = service_name(key.protocol, key.port)
    return f"{protocol} {key.port} ({service})" if service else f"{protocol} {key.port}"


def nsg(tally: Tally) -> str:
    """The NSG's name, or what the log has in place of it."""
    return plain(tally.key.name or tally.key.acl) or "unknown NSG"


def rule(tally: Tally) -> str:
    """The rule that denied."""
    return plain(tally.key.rule) or "unknown rule"


def direction(tally: Tally) -> str:
    """As seen from the network interface, and where it went."""
    return f"{'inbound' if tally.key.inbound else 'outbound'}, {SCOPES[tally.key.scope]}"


def flows(tally: Tally) -> str:
    """How many flows, between how many ends."""
    return (
        f"{_some(tally.flows, 'flow')} from {_distinct(tally.sources, 'source')}"
        f" to {_distinct(tally.targets, 'destination')}"
    )


def sources(tally: Tally) -> str:
    """Some of the sources."""
    return _names(tally.sources)


def targets(tally: Tally) -> str:
    """Some of the destinations."""
    return _names(tally.targets)


def times(tally: Tally) -> str:
    """First and last flow, in UTC."""
    first, last = _time(tally.first), _time(tally.last)
    if first == last:
        return f"{first} UTC"
    same_day = first[:10] == last[:10]
    return f"{first} to {last[11:] if same_day else last} UTC"


def remainder(digest: Digest) -> list[str]:
    """What the digest does not show, in sentences; none when it shows all."""
    said = []
    if digest.more_groups:
        verb = "is" if digest.more_groups == 1 else "are"
        said.append(
            f"{_some(digest.more_groups, 'more group')} with {_some(digest.more_flows, 'flow')}"
            f" {verb} not shown."
        )
    if digest.others:
        said.append(f"{_some(digest.others, 'flow')} in groups too many to name.")
    if digest.held_groups:
        said.append(
            f"{_some(digest.held_groups, 'group')} told before went on, with"
            f" {_some(digest.held_flows, 'flow')} so far; a later message counts them."
        )
    return said


def fit(digest: Digest, render: Callable[[Digest], bytes], fits: Callable[[bytes], bool]) -> bytes:
    """A digest rendered with as many of its groups as fit; the others are in its totals."""
    shown = len(digest.groups)
    while True:
        body = render(digest.cut(shown))
        if fits(body) or not shown:
            return body
        shown -= 1


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _distinct(sample: Sample, what: str) -> str:
    if sample.complete:
        return _some(sample.distinct, what)
    return f"{_about(sample)} {what}s"


def _about(sample: Sample) -> str:
    """An estimate to two digits; the sample carries no more."""
    if not sample.values:
        return "many"
    number = sample.distinct
    step = 10 ** max(len(str(number)) - 2, 0)
    return f"about {round(number / step) * step:,}"


def _names(sample: Sample) -> str:
    shown = ", ".join(plain(value) for value in sample.values[:_NAMES])
    if not sample.values:
        return "not kept"
    more = sample.distinct - _NAMES
    if sample.complete:
        return f"{shown} and {more:,} more" if more > 0 else shown
    return f"{shown}, …"


def _time(milliseconds: int) -> str:
    return flow_time(milliseconds)[:19].replace("T", " ")
