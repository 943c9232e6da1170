"""docs/parameters.md: the parameters of infra/main.bicep as the compiled template has them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from devtools import bicep
from nsgflow_core import config

_INTRODUCTION = """\
# Parameters of the deployment

Made from `infra/main.bicep` and `infra/types.bicep`; change it there.

With `azd`, set the variable: `azd env set VARIABLE VALUE`, lists and objects as JSON.
A variable that is not set leaves the default.
Without `azd`, give the parameter: `--parameters NAME=VALUE`.
Parameters in *italics* are secret: `azd env set-secret` keeps them in a Key Vault of yours.

| parameter | variable | type | default | |
|---|---|---|---|---|
"""


def parameters() -> str:
    """The text of docs/parameters.md.

    Raises:
        bicep.BicepError: infra/main.bicep does not compile, or there is no compiler.
    """
    template = bicep.template(bicep.INFRA / "main.bicep")
    given = json.loads((bicep.INFRA / "main.parameters.json").read_text())["parameters"]
    variables = {
        name: at["value"].strip("${}").partition("=")[0]  # ${NAME=DEFAULT}
        for name, at in given.items()
    }
    rows = [
        _row(name, variables[name], parameter, template["definitions"])
        for name, parameter in template["parameters"].items()
    ]
    types = {
        reference: template["definitions"][reference]
        for parameter in template["parameters"].values()
        if (reference := _reference(parameter))
    }
    chapters = [_chapter(name, definition) for name, definition in types.items()]
    further = ", ".join(dict.fromkeys(map(_named, without_parameter())))
    if further:
        further = f"\nSettings that no other parameter makes go through `appSettings`: {further}.\n"
    return _INTRODUCTION + "\n".join(rows) + "\n" + further + "".join(chapters)


def without_parameter() -> list[str]:
    """Settings that the code knows and the template does not make; raises as parameters does."""
    template = json.dumps(bicep.template(bicep.INFRA / "main.bicep"))
    return sorted(config.KNOWN - set(re.findall(r"\bNSGFLOW_\w+", template)))


def _named(setting: str) -> str:
    """The setting; those of further webhooks are one."""
    many = re.match(r"NSGFLOW_WEBHOOK_\d_", setting)
    return "those of `NSGFLOW_WEBHOOK_2_…` to `_9_…`" if many else f"`{setting}`"


def _row(name: str, variable: str, parameter: dict[str, Any], types: dict[str, Any]) -> str:
    shown = f"*`{name}`*" if parameter.get("type") == "securestring" else f"`{name}`"
    reference = _reference(parameter)
    kind = _kind(parameter if not reference or "items" in parameter else types[reference])
    kind = f"[{kind}](#{reference.lower()})" if reference else kind
    default = _default(parameter)
    return f"| {shown} | `{variable}` | {kind} | {default} | {_text(parameter)} |"


def _reference(parameter: dict[str, Any]) -> str:
    reference: str = parameter.get("$ref", "") or parameter.get("items", {}).get("$ref", "")
    return reference.rpartition("/")[2]


def _kind(parameter: dict[str, Any]) -> str:
    if "allowedValues" in parameter and "items" not in parameter:
        return " or ".join(f"`{at}`" for at in parameter["allowedValues"])
    kind: str = parameter.get("type", "object").replace("securestring", "string")
    if "items" in parameter:
        inner = parameter["items"].get("type")
        kind = f"array of {inner}s" if inner else "array"
    low, high = parameter.get("minValue"), parameter.get("maxValue")
    if low is not None and high is not None:
        return f"{kind}, {low} to {high}"
    return kind if low is None else f"{kind}, {low} or more"


def _default(parameter: dict[str, Any]) -> str:
    if "defaultValue" not in parameter:
        return "required"
    value = parameter["defaultValue"]
    return "none" if value in ("", [], {}) else f"`{json.dumps(value).strip(chr(34))}`"


def _text(parameter: dict[str, Any]) -> str:
    text: str = parameter["metadata"]["description"]
    return re.sub(r"^(Required|Optional)\. ", "", text).replace("|", "\\|")


def _chapter(name: str, definition: dict[str, Any]) -> str:
    rows = "\n".join(_members(definition, ""))
    text = definition["metadata"]["description"]
    return f"\n## {name}\n\n{text}\n\n| member | type | |\n|---|---|---|\n{rows}\n"


def _members(definition: dict[str, Any], before: str) -> Iterator[str]:
    for name, member in definition["properties"].items():
        needed = "" if member.get("nullable") else ", required"
        yield f"| `{before}{name}` | {_kind(member)}{needed} | {_text(member)} |"
        if "properties" in member:
            yield from _members(member, f"{before}{name}.")
