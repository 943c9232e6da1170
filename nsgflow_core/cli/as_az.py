"""Proposed rules as commands of az.

Options: https://learn.microsoft.com/cli/azure/network/nsg/rule#az-network-nsg-rule-create
"""

import shlex
from collections.abc import Sequence

from nsgflow_core.cli.harmless import escaped
from nsgflow_core.cli.nsg_target import Target, group_id, nsg_target
from nsgflow_core.estate.proposals import Proposal

PRIORITY = "PRIORITY-TO-CHOOSE"
COMMENT, VERB = "#", "run"
_NOWHERE = Target("SUBSCRIPTION", "RESOURCE-GROUP", "NSG-NAME")
_AFTER = "    "


class Az:
    """Writes commands; `width` is where lines are folded, 0 for nowhere."""

    def __init__(self, proposals: Sequence[Proposal], width: int = 0) -> None:
        self._width = width
        self._placeholders: dict[int, str] = {}
        counts: dict[tuple[str, bool], int] = {}
        for one in proposals:
            if not one.rule.priority:
                way = (one.nsg.lower(), one.rule.inbound)
                counts[way] = number = counts.get(way, 0) + 1
                self._placeholders[id(one)] = PRIORITY if number == 1 else f"{PRIORITY}-{number}"

    def head(self) -> str:
        """What stands before all rules."""
        return ""

    def placeholder(self, one: Proposal) -> str:
        """What stands for a priority that is to be chosen."""
        return self._placeholders.get(id(one), "")

    def rule(self, one: Proposal) -> str:
        """The command that makes a rule."""
        rule = one.rule
        target = nsg_target(one.nsg) or _NOWHERE
        words = [
            *("az", "network", "nsg", "rule", "create"),
            *("--subscription", target.subscription, "--resource-group", target.group),
            *("--nsg-name", target.name, "--name", rule.name),
            *("--priority", str(rule.priority or self._placeholders[id(one)])),
            *("--access", "Allow"),
            *("--direction", "Inbound" if rule.inbound else "Outbound"),
            *("--protocol", rule.protocol),
            *_side("source", rule.sources),
            *("--source-port-ranges", "*"),
            *_side("destination", rule.destinations),
            *("--destination-port-ranges", *rule.destination_ports),
        ]
        return self._folded([shlex.quote(escaped(word)) for word in words])

    def _folded(self, words: Sequence[str]) -> str:
        """A command in lines that a shell takes for one."""
        text = " ".join(words)
        if not self._width or len(text) <= self._width:
            return text
        lines = [words[0]]
        for word in words[1:]:
            # The end of a line is for the blank and the backslash that continue it.
            if len(lines[-1]) + 1 + len(word) + 2 > self._width:
                lines.append(_AFTER + word)
            else:
                lines[-1] += f" {word}"
        return " \\\n".join(lines)


def _side(end: str, texts: Sequence[str]) -> Sequence[str]:
    if texts[0].startswith("/"):
        return f"--{end}-asgs", *map(group_id, texts)
    return f"--{end}-address-prefixes", *texts
