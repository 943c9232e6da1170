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
        options = [
            ("az", "network", "nsg", "rule", "create"),
            _value("--subscription", target.subscription),
            _value("--resource-group", target.group),
            _value("--nsg-name", target.name),
            ("--name", rule.name),
            ("--priority", str(rule.priority or self.placeholder(one))),
            ("--access", "Allow"),
            ("--direction", "Inbound" if rule.inbound else "Outbound"),
            ("--protocol", rule.protocol),
            _side("source", rule.sources),
            ("--source-port-ranges", "*"),
            _side("destination", rule.destinations),
            ("--destination-port-ranges", *rule.destination_ports),
        ]
        return self._folded([[shlex.quote(escaped(word)) for word in one] for one in options])

    def _folded(self, options: Sequence[Sequence[str]]) -> str:
        """A command in lines that a shell takes for one; an option stays with its values."""
        texts = [" ".join(words) for words in options]
        if not self._width or sum(map(len, texts)) + len(texts) - 1 <= self._width:
            return " ".join(texts)
        room = self._width - 2  # for the blank and the backslash that continue a line
        lines = [texts[0]]
        for words, text in zip(options[1:], texts[1:], strict=True):
            if len(lines[-1]) + 1 + len(text) <= room:
                lines[-1] += f" {text}"
            elif len(_AFTER) + len(text) <= room:
                lines.append(_AFTER + text)
            else:
                lines += [_AFTER + line for line in _wrapped(words, room - 2 * len(_AFTER))]
        return " \\\n".join(lines)


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    """Words in lines, the later ones further in."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(_AFTER + word)
    return lines


def _value(option: str, value: str) -> Sequence[str]:
    """An option with its value, also where that looks like an option itself."""
    return (f"{option}={value}",) if value.startswith("-") else (option, value)


def _side(end: str, texts: Sequence[str]) -> Sequence[str]:
    if texts[0].startswith("/"):
        return f"--{end}-asgs", *map(group_id, texts)
    return f"--{end}-address-prefixes", *texts
