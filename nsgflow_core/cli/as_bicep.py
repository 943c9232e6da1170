"""Proposed rules as a Bicep file.

The resource: https://learn.microsoft.com/azure/templates/microsoft.network/networksecuritygroups/securityrules
"""

import shlex
from collections.abc import Sequence

from nsgflow_core.cli.harmless import escaped
from nsgflow_core.cli.nsg_target import group_target, identifier, nsg_target, resource_identifier
from nsgflow_core.estate.proposals import Proposal
from nsgflow_core.estate.rules import FIRST_PRIORITY, LAST_PRIORITY

COMMENT, VERB = "//", "deploy"
_TYPE = "Microsoft.Network/networkSecurityGroups"
_ASG_TYPE = "Microsoft.Network/applicationSecurityGroups"
_VERSION = "2024-05-01"
_LONGEST = 120
"""Where `bicep format` breaks a line."""


class Bicep:
    """Writes resources below their NSGs, one after the other: an NSG takes one change at a time.

    Where there are several resource groups, the file is for all of them, and each rule is made in
    its own alone. What is not known is a parameter.
    """

    def __init__(self, active: Sequence[Proposal]) -> None:
        self._several = len({_scope(one.nsg) for one in active}) > 1
        self._nsgs = {_called(one.nsg): one.nsg for one in active}
        self._open = [one for one in active if not one.rule.priority]
        self._scopes = sorted({scope for one in active if (scope := _scope(one.nsg))})
        self._after: dict[str, str] = {}
        before: dict[str, str] = {}
        for one in active:
            key, name = one.nsg.lower(), identifier(one.rule.name)
            if key in before:
                self._after[name] = before[key]
            before[key] = name

    def head(self) -> str:
        """Parameters, and the NSGs; before them how to deploy the file."""
        lines = []
        for subscription, group in self._scopes:
            words = (
                *("az", "deployment", "group", "create", "--subscription", subscription),
                *("--resource-group", group, "--template-file", "FILE"),
            )
            lines.append(f"// {shlex.join(map(escaped, words))}")
        for subscription, group in self._scopes if self._several else ():
            lines += [
                "",
                f"var {_here(subscription, group)} = {_id_is(subscription)} && {_name_is(group)}",
            ]
        for one in self._open:
            said = f"{one.no_priority}, so the priority is for you to choose"
            lines += [
                "",
                f"@description({_text(said)})",
                f"@minValue({FIRST_PRIORITY})",
                f"@maxValue({LAST_PRIORITY})",
                f"param priority_{identifier(one.rule.name)} int",
            ]
        for nsg in self._nsgs.values():
            lines += self._nsg(nsg)
        return "\n".join(lines) + "\n\n" if lines else ""

    def _nsg(self, nsg: str) -> list[str]:
        name, target = _called(nsg), nsg_target(nsg)
        lines = [""]
        said = f"the NSG that logs call {escaped(nsg) or 'nothing'}"
        if target is None:
            lines += [f"@description({_text(f'The name of {said}')})", f"param name_{name} string"]
            if self._several:
                lines += ["", f"@description({_text(f'The resource group of {said}')})"]
                lines.append(f"param group_{name} string")
            lines.append("")
        called = f"name_{name}" if target is None else _text(target.name)
        return [
            *lines,
            f"resource {name} '{_TYPE}@{_VERSION}' existing = {{",
            f"  name: {called}",
            "}",
        ]

    def rule(self, one: Proposal) -> str:
        """A resource."""
        rule = one.rule
        name = identifier(rule.name)
        priority = str(rule.priority) if rule.priority else f"priority_{name}"
        after = self._after.get(name)
        lines = [
            f"resource {name} '{_TYPE}/securityRules@{_VERSION}' = {self._condition(one.nsg)}{{",
            f"  parent: {_called(one.nsg)}",
            f"  name: {_text(rule.name)}",
            "  properties: {",
            f"    priority: {priority}",
            "    access: 'Allow'",
            f"    direction: '{'Inbound' if rule.inbound else 'Outbound'}'",
            f"    protocol: {_text(rule.protocol)}",
            *_side("source", rule.sources),
            "    sourcePortRange: '*'",
            *_side("destination", rule.destinations),
            *_values("destinationPortRange", rule.destination_ports),
            "  }",
            *(["  dependsOn: [", f"    {after}", "  ]"] if after else []),
            "}",
        ]
        return "\n".join(lines)

    def _condition(self, nsg: str) -> str:
        if not self._several:
            return ""
        target = nsg_target(nsg)
        if target is None:
            group = f"group_{_called(nsg)}"
            return f"if (toLower(resourceGroup().name) == toLower({group})) "
        return f"if ({_here(target.subscription, target.group)}) "


def _called(nsg: str) -> str:
    """What an NSG is called by: one of a name, which is that of the group deployed to.

    Bicep takes no two: https://aka.ms/bicep/core-diagnostics#BCP121
    """
    target = nsg_target(nsg)
    return resource_identifier("nsg", nsg if target is None else f"{_TYPE}/{target.name}")


def _here(subscription: str, group: str) -> str:
    """What says whether the deployment is to a resource group."""
    return resource_identifier("in", f"{subscription}/{group}")


def _id_is(subscription: str) -> str:
    return f"toLower(subscription().subscriptionId) == {_text(subscription)}"


def _name_is(group: str) -> str:
    return f"toLower(resourceGroup().name) == {_text(group)}"


def _scope(nsg: str) -> tuple[str, str] | None:
    target = nsg_target(nsg)
    return None if target is None else (target.subscription.lower(), target.group.lower())


def _side(end: str, texts: Sequence[str]) -> list[str]:
    target = group_target(texts[0])
    if target is None:
        return _values(f"{end}AddressPrefix", texts, "es")
    parts = [_text(part) for part in (target.subscription, target.group, _ASG_TYPE, target.name)]
    named = [f"        id: resourceId({', '.join(parts)})"]
    if len(named[0]) > _LONGEST:
        inside = [f"          {part}," for part in parts]
        inside[-1] = inside[-1].removesuffix(",")
        named = ["        id: resourceId(", *inside, "        )"]
    return [f"    {end}ApplicationSecurityGroups: [", "      {", *named, "      }", "    ]"]


def _values(name: str, texts: Sequence[str], plural: str = "s") -> list[str]:
    if len(texts) == 1:
        return [f"    {name}: {_text(texts[0])}"]
    return [f"    {name}{plural}: [", *(f"      {_text(text)}" for text in texts), "    ]"]


def _text(text: str) -> str:
    """A text of Bicep, in which nothing is evaluated.

    https://learn.microsoft.com/azure/azure-resource-manager/bicep/data-types#strings
    """
    kept = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    made = "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in kept)
    return f"'{made}'"
