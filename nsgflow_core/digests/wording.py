"""What a digest says, in plain words; each format escapes them its own way."""

import re
import shlex
import unicodedata
from collections.abc import Callable

from nsgflow_core.digests.groups import MANY_PORTS, MAX_PORTS, Tally
from nsgflow_core.digests.message import LATE, MAX_ENDED, UNKNOWN, Digest, Ended
from nsgflow_core.digests.now import MAX_NOW
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.silences import Held
from nsgflow_core.estate.causes import NO_REASON, dropper, protocol_name
from nsgflow_core.estate.enrich import service_name
from nsgflow_core.estate.scope import INSIDE, INTERNET, OUTBOUND
from nsgflow_core.model import flow_time

SCOPES = {
    INSIDE: "inside the network",
    OUTBOUND: "to the internet",
    INTERNET: "from the internet",
}

_TWICE = " (in NSG and VNet flow logs: the same flow may count twice)"
_MAGNITUDES = (
    (1_000_000, "millions of"),
    (100_000, "hundreds of thousands of"),
    (10_000, "tens of thousands of"),
    (1_000, "thousands of"),
    (100, "hundreds of"),
    (0, "dozens of"),
)
_MAX_NAME = 100
_VERBS = {UNKNOWN: "Not known whether over: ", LATE: "Was over already: "}
_NAMES = 4
_SILENCES = 3
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_BLANK = re.compile(
    "[\N{COMBINING GRAPHEME JOINER}\N{HANGUL CHOSEONG FILLER}\N{HANGUL JUNGSEONG FILLER}"
    "\N{HANGUL FILLER}\N{HALFWIDTH HANGUL FILLER}\N{BRAILLE PATTERN BLANK}"
    "\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""What shows nothing and is in none of these categories: fillers and selectors of variants."""
_MARKS = re.compile(
    r"([\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{2})"
    r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""More marks on one letter than any language has: they run over the lines around it."""
_LINK = re.compile(r":(?=//)|\bwww(?=\.)", re.IGNORECASE)
"""What makes readers take a text for a link, whatever they are sent it as."""


def plain(text: str, limit: int = _MAX_NAME) -> str:
    """A text on one line, without what does not show or turns the line around, and not too long."""
    head = text[: 4 * limit]  # more cannot be shown, and would only cost time
    kept = "".join(" " if unicodedata.category(char) in _INVISIBLE else char for char in head)
    kept = _MARKS.sub(r"\1", _BLANK.sub(" ", kept))
    kept = _LINK.sub(r"\g<0> ", kept)
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def headline(digest: Digest) -> str:
    """The whole digest in a few words, without any name from outside."""
    groups = len(digest.groups) + digest.more_groups
    flows = _some(digest.flows, "denied flow")
    said = [f"{flows} in {_some(groups, 'group')}"] if groups else []
    over = sum(at.because not in (UNKNOWN, LATE) for at in digest.ended) + digest.more_ended
    lost = sum(at.because == UNKNOWN for at in digest.ended)
    if over:
        said.append(f"{_some(over, 'group')} over")
    elif digest.silenced and not groups:
        said.append(f"{_some(digest.flows, 'denied flow')} held back by silences")
    elif lost and not groups:
        said.append(f"{_some(lost, 'group')} followed no longer")
    return ", ".join(said) or flows


def life(digest: Digest, tally: Tally) -> tuple[str, str]:
    """Whether a group is new or goes on, and since when; "" where it is not followed."""
    about = digest.about.get(tally.key.id) if digest.about else None
    if about is None:
        return "", ""
    if not about.times:
        return "New: ", ""
    return "Still: ", f"since {_time(about.began)} UTC, {_some(about.flows, 'flow')} in all"


def ended(at: Ended) -> tuple[str, str]:
    """What is over, and how that is known; it names its beginning."""
    one = Tally(at.key, at.flows, at.began, at.last, name=at.name)
    who, name, why, reason = denied_by(one)
    verb = _VERBS.get(at.because, "Over: ")
    where = f" on {_some(at.interfaces, 'interface')}" if at.interfaces > 1 else ""
    how = (
        f"{plain(at.said, MAX_NOW)}; began {_time(at.began)}, last {_time(at.last)} UTC,"
        f" {_some(at.flows, 'flow')} in all{where}"
    )
    return f"{verb}{port(one)} {direction(one)}, {who}{name}{why}{reason}", how


def port(tally: Tally) -> str:
    """Protocol and destination port with its service, or the busiest of several ports."""
    key = tally.key
    protocol = plain(protocol_name(key.protocol), 40)
    if key.port is None:
        return protocol
    ports = [*tally.ports] if key.port == MANY_PORTS else [key.port]
    if not ports:
        return f"{protocol}, many ports"
    if len(ports) > 1:
        more = ", …" if len(ports) == MAX_PORTS else ""
        return f"{protocol} ports {', '.join(map(str, ports))}{more}"
    service = service_name(key.protocol, ports[0])
    return f"{protocol} {ports[0]} ({service})" if service else f"{protocol} {ports[0]}"


def nsg(tally: Tally) -> str:
    """The NSG's name, or what the log has in place of it; what else dropped the flows."""
    if tally.key.cause:
        return dropper(tally.key.cause)
    return plain(tally.name or tally.key.name or tally.key.acl) or "unknown NSG"


def rule(tally: Tally) -> str:
    """The rule that denied, or the reason where none did."""
    return plain(tally.key.rule) or (NO_REASON if tally.key.cause else "unknown rule")


def denied_by(tally: Tally) -> tuple[str, str, str, str]:
    """Who denied: words, the name to stress, words, and the other name to stress."""
    if tally.key.cause:
        return "dropped by ", nsg(tally), ", reason ", rule(tally)
    if tally.key.source:
        return "NSG ", nsg(tally), ", all tried by ", plain(tally.key.source)
    return "NSG ", nsg(tally), ", rule ", rule(tally)


def now(tally: Tally) -> str:
    """What the rules say now, "" where nobody knows the network."""
    return plain(tally.now, MAX_NOW)


def why(digest: Digest, tally: Tally) -> str:
    """The command that shows what stands in the way of one of the flows; "" where none is known.

    It may be pasted into a shell, whatever the log said.
    """
    if not tally.examples.values or tally.key.cause:
        return ""
    src, dst, number = tally.examples.values[0].split(" ")
    at = f"[{dst}]" if ":" in dst and number else dst
    target = f"{at}:{number}" if number and number != "0" else dst
    protocol = plain(tally.key.protocol, 40).lower()
    kind = [] if protocol == "tcp" else ["--protocol", protocol]
    return shlex.join(["nsgflow", "why", plain(src), plain(target), *digest.look, *kind])


def before(digest: Digest, tally: Tally) -> list[str]:
    """What was done before a group that is new began: the last change on its path, and mark."""
    lines = digest.before.get(tally.key.id, ()) if digest.before else ()
    return [plain(line, MAX_NOW) for line in lines]


def direction(tally: Tally) -> str:
    """As seen from the network interface, and where it went."""
    way = "inbound" if tally.key.inbound else "outbound"
    where = SCOPES.get(tally.key.scope, "")
    return f"{way}, {where}" if where else way


def flows(tally: Tally) -> str:
    """How many flows, between how many ends."""
    return (
        f"{_some(tally.flows, 'flow')} from {_distinct(tally.sources, 'source')}"
        f" to {_distinct(tally.targets, 'destination')}"
        f"{f' on {tally.interfaces:,} interfaces' if tally.interfaces > 1 else ''}"
        f"{_TWICE if tally.twice else ''}"
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
    if digest.more_ended:
        verb = "is" if digest.more_ended == 1 else "are"
        said.append(f"{_some(digest.more_ended, 'more group')} {verb} over.")
    said += [_silenced(at) for at in digest.silenced[:_SILENCES]]
    if more := digest.silenced[_SILENCES:]:
        flows = _some(sum(at.flows for at in more), "flow")
        said.append(f"{_some(len(more), 'more silence')} that held back {flows} are over.")
    if digest.behind_groups:
        said.append(
            f"{_some(digest.behind_groups, 'group')} from the internet with"
            f" {_some(digest.behind_flows, 'flow')} so far: told when nothing inside is denied at"
            " the same NSG any more."
        )
    if digest.held_groups:
        said.append(
            f"{_some(digest.held_groups, 'group')} told before went on, with"
            f" {_some(digest.held_flows, 'flow')} so far; a later message counts them."
        )
    return said


def _silenced(at: Held) -> str:
    groups = f"{_about(at.groups)} groups" if not at.groups.complete else ""
    groups = groups or _some(at.groups.distinct, "group")
    why = f" ({plain(at.why)})" if at.why else ""
    return (
        f"The silence of {plain(at.terms)}{why} is over: it held back {_some(at.flows, 'flow')} in"
        f" {groups}."
    )


def fit(digest: Digest, render: Callable[[Digest], bytes], fits: Callable[[bytes], bool]) -> bytes:
    """A digest rendered with as much as fits of its groups and ends; the rest is in its totals."""
    shown, over = len(digest.groups), min(len(digest.ended), MAX_ENDED)
    while True:
        body = render(digest.cut(shown).cut_ended(over))
        if fits(body) or not (shown or over):
            return body
        if over > shown // 2:
            over -= 1
        else:
            shown -= 1


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _distinct(sample: Sample, what: str) -> str:
    if sample.complete:
        return _some(sample.distinct, what)
    return f"{_about(sample)} {what}s"


def _about(sample: Sample) -> str:
    """An estimate to as many digits as it has, or its order of magnitude."""
    number = sample.distinct
    if not number:
        return "many"
    if not sample.exact_enough:
        return next(words for least, words in _MAGNITUDES if number >= least)
    digits = 3 if str(number).startswith("1") else 2  # cut at two, 105 would be 5 % off
    step = 10 ** max(len(str(number)) - digits, 0)
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
