"""What there is to know of a proposed rule before it is used, in words."""

from collections.abc import Iterable, Sequence

from nsgflow_core.cli.harmless import escaped
from nsgflow_core.cli.nsg_target import nsg_target
from nsgflow_core.estate.needs import Point
from nsgflow_core.estate.proposals import Proposal
from nsgflow_core.estate.rules import Rule

_MANAGEMENT = {
    22: "SSH",
    23: "Telnet",
    135: "RPC",
    139: "NetBIOS",
    445: "SMB",
    2375: "Docker",
    2376: "Docker",
    3389: "RDP",
    5900: "VNC",
    5985: "WinRM",
    5986: "WinRM",
    6443: "Kubernetes API",
    10250: "kubelet",
}
_MOST_SAID = 3
_MOST_ALSO = 10
_MOST_TAKEN = 4_000
"""https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-networking-limits"""


def warnings(one: Proposal, placeholder: str) -> list[str]:
    """What to look at; `placeholder` stands for a priority that is to be chosen."""
    said = []
    if one.internet:
        said.append("some sources are addresses of the internet: make sure whose they are")
        said.append(
            "an internet scan looks just like this: take the comment away only for callers you know"
        )
    said += _management(one)
    said += one.besides
    longest = max(len(one.rule.sources), len(one.rule.destinations))
    if longest > _MOST_TAKEN:
        said.append(
            f"it names {longest:,} addresses, and Azure takes {_MOST_TAKEN:,} a side at most: name "
            "prefixes that hold them"
        )
    if one.also:
        more = len(one.also) - _MOST_ALSO
        found = [_point(point) for point in one.also[:_MOST_ALSO]]
        end = f", and {more} more" if more > 0 else ""
        said.append(
            f"it also lets in what was denied and is not asked for: {'; '.join(found)}{end}"
        )
    if nsg_target(one.nsg) is None:
        said.append(
            f"the log names the NSG only as {escaped(one.nsg) or 'nothing'}: fill in its "
            "name, resource group and subscription"
        )
    return [*said, _priority(one, placeholder)]


def proof(one: Proposal) -> list[str]:
    """Whether all flows pass once the rule is there, or what is in the way, or not known."""
    found = one.proof
    groups = "its group" if len(one.groups) == 1 else f"its {len(one.groups)} groups"
    needs = [f"{name} of {escaped(nsg)}" for name, nsg in found.needs]
    beside = f" and {_some(needs)}" if needs else ""
    if found.verdict == "allowed":
        return [f"PROVEN: with it{beside} every layer lets the flows of {groups} through"]
    said = []
    if needs:
        said.append(f"NEEDED AS WELL: {_some(needs)}")
    if found.still:
        said.append(f"STILL DENIED, with it, by {_some(found.still)}")
    else:
        because = [part for text in found.because for part in text.split("; ")]
        said.append(f"NOT PROVEN: {_some(because)}")
    return said


def _management(one: Proposal) -> Iterable[str]:
    whom = "to addresses of the internet" if one.internet else "further than it is now"
    if not one.rule.inbound or one.rule.protocol == "Icmp":
        return
    for port, name in _MANAGEMENT.items():
        if any(_holds(text, port) for text in one.rule.destination_ports):
            yield (
                f"port {port} ({name}) is a management port and this opens it {whom}: "
                "Azure Bastion or just-in-time access may serve better"
            )


def _holds(text: str, port: int) -> bool:
    first, _, last = text.partition("-")
    return first.isdigit() and int(first) <= port <= int(last or first)


def _priority(one: Proposal, placeholder: str) -> str:
    if one.rule.priority:
        first = one.denied_by[0]
        number = first.priority if isinstance(first, Rule) else ""
        return (
            f"denied by {escaped(_denier(first))!r} with priority {number}; "
            f"{one.rule.priority} was free before it when the inventory was made"
        )
    if one.no_room:
        return f"{escaped(one.no_priority)}: make room before it first"
    rules = ", ".join(repr(escaped(_denier(denier))) for denier in one.denied_by)
    other = "" if placeholder.endswith("CHOOSE") or "_" in placeholder else (
        " and another one than of the proposals above"
    )  # fmt: skip
    return f"{placeholder} must be a free number from 100 to 4096, below that of {rules}{other}"


def _denier(denier: Rule | str) -> str:
    return denier.name if isinstance(denier, Rule) else denier


def _some(texts: Sequence[str]) -> str:
    known = list(dict.fromkeys(map(escaped, texts)))
    more = f", and {len(known) - _MOST_SAID} more" if len(known) > _MOST_SAID else ""
    return "; ".join(known[:_MOST_SAID]) + more


def _point(point: Point) -> str:
    port = "" if point.port is None else f" {point.port}"
    return f"{point.src} to {point.dst} {point.protocol}{port}"
