"""Proposed rules as resources of Terraform.

The resource: https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs/resources/network_security_rule
"""

from collections.abc import Sequence

from nsgflow_core.cli.nsg_target import group_id, identifier, nsg_target, resource_identifier
from nsgflow_core.estate.proposals import Proposal

COMMENT, VERB = "#", "apply"
_BASIC = 0xFFFF


class Terraform:
    """Writes resources; what is not known is a variable."""

    def __init__(self, active: Sequence[Proposal]) -> None:
        self._open = [one for one in active if not one.rule.priority]
        self._unknown = {one.nsg.lower(): one.nsg for one in active if nsg_target(one.nsg) is None}

    def head(self) -> str:
        """The variables."""
        lines: list[str] = []
        for one in self._open:
            said = f"{one.no_priority}, so the priority is for you to choose"
            lines += _variable(f"priority_{identifier(one.rule.name)}", "number", said)
        for nsg in self._unknown.values():
            said = f"of the NSG that logs call {nsg or 'nothing'}"
            name = resource_identifier("nsg", nsg)
            lines += _variable(f"name_{name}", "string", f"The name {said}")
            lines += _variable(f"group_{name}", "string", f"The resource group {said}")
        return "\n".join(lines) + "\n" if lines else ""

    def rule(self, one: Proposal) -> str:
        """A resource, laid out as `terraform fmt` has it."""
        rule, target, nsg = one.rule, nsg_target(one.nsg), resource_identifier("nsg", one.nsg)
        name = identifier(rule.name)
        group = _text(target.group) if target is not None else f"var.group_{nsg}"
        called = _text(target.name) if target is not None else f"var.name_{nsg}"
        priority = str(rule.priority) if rule.priority else f"var.priority_{name}"
        short = {
            "resource_group_name": group,
            "network_security_group_name": called,
            "name": _text(rule.name),
            "priority": priority,
            "direction": '"Inbound"' if rule.inbound else '"Outbound"',
            "access": '"Allow"',
            "protocol": _text(rule.protocol),
            "source_port_range": '"*"',
        }
        long: dict[str, Sequence[str]] = {}
        for key, texts in (
            ("source_address_prefix", rule.sources),
            ("destination_address_prefix", rule.destinations),
            ("destination_port_range", rule.destination_ports),
        ):
            if texts[0].startswith("/"):
                long[f"{key.partition('_')[0]}_application_security_group_ids"] = [
                    *map(group_id, texts)
                ]
            elif len(texts) == 1:
                short[key] = _text(texts[0])
            else:
                long[f"{key}es" if key.endswith("x") else f"{key}s"] = texts
        width = max(map(len, short))
        lines = [f'resource "azurerm_network_security_rule" "{name}" {{']
        if target is not None:
            lines.append(f"  # in subscription {_comment(target.subscription)}")
        lines += [f"  {key:{width}} = {value}" for key, value in short.items()]
        for key, several in long.items():
            lines += ["", f"  {key} = [", *(f"    {_text(text)}," for text in several), "  ]"]
        return "\n".join([*lines, "}"])


def _variable(name: str, kind: str, said: str) -> list[str]:
    return [
        f'variable "{name}" {{',
        f"  type        = {kind}",
        f"  description = {_text(said)}",
        "}",
        "",
    ]


def _comment(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _text(text: str) -> str:
    """A text of HCL, in which nothing is evaluated.

    https://developer.hashicorp.com/terraform/language/expressions/strings
    """
    kept = text.replace("\\", "\\\\").replace('"', '\\"')
    kept = kept.replace("${", "$${").replace("%{", "%%{")
    return f'"{"".join(letter if letter.isprintable() else _escape(letter) for letter in kept)}"'


def _escape(letter: str) -> str:
    number = ord(letter)
    return f"\\u{number:04x}" if number <= _BASIC else f"\\U{number:08x}"
