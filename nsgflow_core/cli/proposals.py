"""The rule that would let a group of denied flows through, as a proposal to review.

Options of the command: https://learn.microsoft.com/cli/azure/network/nsg/rule#az-network-nsg-rule-create
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nsgflow_core.cli.harmless import printable
from nsgflow_core.estate import addresses
from nsgflow_core.estate.rules import Denial

PRIORITY = "PRIORITY-TO-CHOOSE"
_PROTOCOLS = {"TCP": "Tcp", "UDP": "Udp", "ICMP": "Icmp", "50": "Esp", "51": "Ah"}
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
_MOST_SOURCES = 16
"""Sources that a proposal names one by one; more are taken together as a service tag."""
_NSG_ID = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/.+/networksecuritygroups/([^/]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """An az command, "" where none can help, and what to know before running it."""

    command: str
    warnings: Sequence[str]

    def text(self, title: str) -> str:
        """The proposal in lines, everything but the command as comments of a shell."""
        what = "PROPOSAL, review it before you run it" if self.command else "no rule to propose"
        lines = [f"# {title}{what}"]
        lines += [f"# WARNING: {warning}" for warning in self.warnings]
        return "\n".join([*lines, *([self.command] if self.command else [])]) + "\n"


def proposal(
    group: Mapping[str, str | int | None],
    acl_group: str,
    sources: Sequence[str],
    known: Denial | None = None,
) -> Proposal:
    """The allow rule that one group of denied flows would need.

    `group` has the default keys of `nsgflow denied`, `sources` every source address of it, and
    `known` what the inventory knows of the rule that denied.
    """
    rule = str(group["rule"])
    if not rule.startswith(("DefaultRule", "UserRule")):
        return Proposal(
            "",
            [
                (
                    f"{printable(rule)!r} is no rule of an NSG (a security admin rule, or Azure's "
                    "own, or encryption): a rule in the NSG cannot let these flows through"
                )
            ],
        )
    inbound, port = group["direction"] == "in", group["port"]
    protocol = _PROTOCOLS.get(str(group["protocol"]), "*")
    prefixes, warnings = _prefixes(sources, inbound=inbound)
    from_internet = any(_public(source) for source in sources)
    if protocol not in ("Tcp", "Udp"):
        port = None
    if inbound and port in _MANAGEMENT:
        name = _MANAGEMENT[int(port)]
        whom = "to addresses of the internet" if from_internet else "further than it is now"
        warnings.append(
            f"port {port} ({name}) is a management port and this opens it {whom}: "
            "Azure Bastion or just-in-time access may serve better"
        )
    if protocol == "*":
        warnings.append(f"an NSG rule cannot name protocol {group['protocol']}: this allows any")
    found = _NSG_ID.fullmatch(acl_group)
    subscription, resource_group, nsg = (
        found.groups() if found else ("SUBSCRIPTION", "RESOURCE-GROUP", "NSG-NAME")
    )
    if not found:
        warnings.append(
            f"the log names the NSG only as {printable(acl_group) or 'nothing'}: fill in its name, "
            "resource group and subscription"
        )
    priority = PRIORITY
    if known is not None and known.rule is not None and known.priority is not None:
        priority = str(known.priority)
        warnings.append(
            f"denied by {printable(known.rule.name)!r} with priority {known.rule.priority}; "
            f"{priority} was free before it when the inventory was made"
        )
    else:
        warnings.append(
            f"{PRIORITY} must be a free number from 100 to 4096, below that of {printable(rule)!r}"
        )
    name = f"nsgflow-allow-{'in' if inbound else 'out'}-{str(group['protocol']).lower()}"
    command = [
        *("az", "network", "nsg", "rule", "create"),
        *("--subscription", subscription, "--resource-group", resource_group, "--nsg-name", nsg),
        *("--name", f"{name}-{'any' if port is None else port}"),
        *("--priority", priority, "--access", "Allow"),
        *("--direction", "Inbound" if inbound else "Outbound", "--protocol", protocol),
        *("--source-address-prefixes", *prefixes, "--source-port-ranges", "*"),
        *("--destination-address-prefixes", str(group["destination"])),
        *("--destination-port-ranges", "*" if port is None else str(port)),
    ]
    return Proposal(shlex.join(command), warnings)


def _public(address: str) -> bool:
    return addresses.address_class(address) == addresses.INTERNET


def _prefixes(sources: Sequence[str], *, inbound: bool) -> tuple[list[str], list[str]]:
    """Address prefixes or a service tag for these sources, and warnings about them."""
    if len(sources) <= _MOST_SOURCES:
        warnings = []
        if inbound and any(map(_public, sources)):
            warnings.append("some sources are addresses of the internet: make sure whose they are")
        return list(sources), warnings
    many = f"the flows came from {len(sources)} addresses, so this names"
    if any(map(_public, sources)):
        if all(map(_public, sources)):
            return ["Internet"], [f"{many} the whole internet as source"]
        return ["*"], [f"{many} any source, the whole internet among them"]
    return ["VirtualNetwork"], [f"{many} the whole virtual network and its peers as source"]
