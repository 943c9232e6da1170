"""What deployments would make, in short: tests/infra/snapshots, from tests/infra/deployments.

    python -m devtools.predicted

Each text has a line for what one set of parameters makes. The first set is written in full, the
others as what they add to it and take from it, so that a change of infra/ shows what it changes.
nsgflow's resource group is (own) there.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools import bicep

FOLDER = bicep.ROOT / "tests" / "infra"
FIRST = "one-account"
NAMES_ONLY = ("given-names", "longest-names")
ROLES = {
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
}
"""https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""

# Texts with files of their own: queries, the workbook, the columns.
_LONG = {"serializedData", "query", "columns", "description", "displayName"}


@dataclass(frozen=True)
class Role:
    """A role assignment: the role's name, the resource id of who gets it and of what it is on."""

    name: str
    principal: str
    scope: str


def role(resource: Mapping[str, Any]) -> Role:
    """The role assignment that a predicted resource is.

    Raises:
        ValueError: it is none that is understood.
    """
    properties = resource["properties"]
    principal = re.search(r"reference\('([^']+)'", properties["principalId"])
    scope = re.match(r"\[extensionResourceId\('([^']+)'", resource["id"])
    subscription = re.match(r"\[subscriptionResourceId\('([^']+)'", resource["id"])
    if principal is None or not (scope or subscription):
        raise ValueError(f"no role assignment: {resource['id']}")
    where = scope[1] if scope else f"/subscriptions/{subscription[1]}" if subscription else ""
    return Role(ROLES[properties["roleDefinitionId"].rpartition("/")[2]], principal[1], where)


def settings(resources: list[dict[str, Any]]) -> dict[str, str]:
    """The app's settings; a value that only Azure knows is an expression in brackets."""
    (app,) = [at for at in resources if at["type"] == "Microsoft.Web/sites"]
    given = app["properties"]["siteConfig"]["appSettings"]
    named = {at["name"]: at["value"] for at in given}
    if len(named) != len(given):
        raise ValueError("a setting is there twice")
    return named


def lines(predicted: Mapping[str, Any]) -> list[str]:
    """A line for each thing that is made, in order of the alphabet."""
    own = predicted["outputs"]["AZURE_RESOURCE_GROUP"]
    found = set(_lines(predicted["predictedResources"])) | set(_outputs(predicted))
    return sorted(line.replace(f"/{own}", "/(own)") for line in found)


def _lines(resources: list[dict[str, Any]]) -> Iterator[str]:
    for resource in resources:
        when = f" if {_short(resource['condition'])}" if "condition" in resource else ""
        if resource["type"] == "Microsoft.Authorization/roleAssignments":
            has = role(resource)
            yield f"role {has.name}: {_short(has.principal)} on {_short(has.scope)}{when}"
            continue
        where = _short(resource["id"])
        yield f"{where}{when}"
        for key, value in _leaves(resource):
            yield f"{where} {key} = {_short('…' if key in _LONG else value)}"


def _outputs(predicted: Mapping[str, Any]) -> Iterator[str]:
    for name, value in predicted["outputs"].items():
        yield f"output {name} = {_short(value)}"


def _leaves(resource: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    left_out = {"id", "type", "name", "apiVersion", "condition", "dependsOn"}
    for key, value in resource.items():
        if key == "properties" and isinstance(value, dict):
            for inner, what in value.items():
                if inner == "siteConfig":
                    for setting in what.pop("appSettings", []):
                        yield f"setting {setting['name']}", setting["value"]
                if what is not None:
                    yield inner, what
        elif key not in left_out and value is not None:
            yield key, value


def _short(value: object) -> str:
    text = (
        value
        if isinstance(value, str)
        else json.dumps(_without_long(value), sort_keys=True, ensure_ascii=False)
    )
    text = re.sub(r"reference\('([^']*)'(?:, '[\d-]+')?(?:, 'full')?\)", r"<\1>", text)
    text = text.replace(f"/subscriptions/{bicep.SUBSCRIPTION}/resourceGroups/", "/")
    text = re.sub(r"(\d)\1{7}-\1{4}-\1{4}-\1{4}-\1{12}", r"\1", text)
    text = re.sub(r"/subscriptions/(\d)/resourceGroups/", r"/\1/", text)
    return re.sub(r"/providers/Microsoft\.\w+/", "/", text)


def _without_long(value: object) -> object:
    if isinstance(value, dict):
        return {k: "…" if k in _LONG else _without_long(v) for k, v in value.items()}
    return [_without_long(at) for at in value] if isinstance(value, list) else value


def texts() -> dict[str, str]:
    """The text of each set of parameters, by its name."""
    sets = {
        path.stem: lines(json.loads(json.dumps(bicep.snapshot(path))))
        for path in sorted((FOLDER / "deployments").glob("*.bicepparam"))
    }
    first = sets.pop(FIRST)
    found = {
        name: "\n".join(at for at in others if " " not in at) + "\n"
        if name in NAMES_ONLY
        else _changes(first, others)
        for name, others in sets.items()
    }
    return {FIRST: "\n".join(first) + "\n", **found}


def _changes(first: list[str], others: list[str]) -> str:
    gone = [(at, "-") for at in set(first) - set(others)]
    new = [(at, "+") for at in set(others) - set(first)]
    return "".join(f"{sign} {at}\n" for at, sign in sorted(gone + new))


def path_of(name: str) -> Path:
    """Where the text of a set is kept."""
    return FOLDER / "snapshots" / f"{name}.txt"


def main() -> None:
    """Write the texts."""
    found = texts()
    for path in (FOLDER / "snapshots").glob("*.txt"):
        if path.stem not in found:
            path.unlink()
    for name, text in found.items():
        path_of(name).write_text(text)


if __name__ == "__main__":
    main()
