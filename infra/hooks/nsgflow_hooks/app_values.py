"""Values that azd passes on as they are and the app, or Azure, refuses only when it is deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

SCHEMA = Path(__file__).parents[3] / "nsgflow_core" / "schema.json"
ALWAYS_SENT = ("TimeGenerated", "FlowTime", "FlowId")

Problem = tuple[str, str]
"""What is wrong, and NAME VALUE that would do."""

_APP = "NSGFLOW_APP_SETTINGS"
_GROUP = "NSGFLOW_RESOURCE_GROUP_NAME"
_OMIT = "NSGFLOW_LOGS_OMIT"
_SCOPES = "NSGFLOW_INVENTORY_SCOPES"
_SWITCH = re.compile(r"AzureWebJobs[._].+[._]Disabled", re.IGNORECASE)
GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SCOPE = re.compile(
    rf"{GUID}|/subscriptions/{GUID}/?|/providers/[^/]+/managementGroups/[^/]+/?", re.IGNORECASE
)


def problems(
    environ: Mapping[str, str], numbers: tuple[str, ...], choices: Mapping[str, tuple[str, ...]]
) -> Iterator[Problem]:
    """What is wrong with names, columns, scopes and settings; numbers and choices are by name."""
    yield from _group(environ)
    for column in _columns(environ.get(_OMIT, "")):
        yield f"{_OMIT}: {column}", f"{_OMIT} SourceBlob"
    for scope in _list(environ.get(_SCOPES)):
        if not isinstance(scope, str) or not _SCOPE.fullmatch(scope.strip()):
            wanted = "/providers/Microsoft.Management/managementGroups/NAME"
            said = f"{scope!r} is neither the id of a subscription (a GUID) nor {wanted}"
            yield f"{_SCOPES}: {said}", f"{_SCOPES} '[]'"
    for name, value in _object(environ.get(_APP)).items():
        for said in _setting(name, value, numbers, choices):
            yield f"{_APP}: {name} {said}", f"{_APP} '{{…}}'"


def _group(environ: Mapping[str, str]) -> Iterator[Problem]:
    """https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules."""
    given = environ.get(_GROUP, "")
    environment = environ.get("AZURE_ENV_NAME", "")
    name = given or f"rg-{environment}"
    if re.fullmatch(r"[-\w.()]{0,89}[-\w()]", name):
        return
    of = _GROUP if given else f"AZURE_ENV_NAME is {environment!r}, which makes the name"
    wanted = "letters, digits, - _ . ( and ), 90 at most, and no . at its end"
    better = re.sub(r"[^-A-Za-z0-9_]+", "-", name)[:90].strip("-") or "rg-nsgflow"
    yield f"{of} {name!r}: a resource group's name has {wanted}", f"{_GROUP} {better}"


def _columns(text: str) -> Iterator[str]:
    """What is wrong with a list of columns that are not sent, as the app reads it."""
    if text.strip().lower() in ("", "none"):
        return
    known = {str(column["name"]).lower(): column["name"] for column in _schema()}
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name.lower() not in known:
            yield f"{name!r} is no column of the table (docs/columns.md has them)"
        elif known[name.lower()] in ALWAYS_SENT:
            yield f"{known[name.lower()]} is always sent"


def _setting(
    name: str, value: object, numbers: tuple[str, ...], choices: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """What is wrong with one setting of the app; its value is not shown, it may be a secret."""
    # As the template makes a text of it.
    text = str(value)
    allowed = choices.get(name)
    if isinstance(value, (dict, list)) or value is None:
        yield "is no text, number or truth value"
    elif name.upper().startswith("NSGFLOW_") and name != name.upper():
        yield f"is written {name.upper()}: the app tells letters of other cases apart"
    elif _SWITCH.fullmatch(name) and text.lower() not in ("true", "false", "1", "0"):
        yield "is neither true nor false, so the function would go on"
    elif name in numbers and not re.fullmatch("[0-9]+", text):
        yield "is no number"
    elif allowed is not None and text not in allowed:
        yield f"is not {' or '.join(each or 'empty' for each in allowed)}"
    elif name == _OMIT:
        yield from _columns(text)


def _schema() -> list[dict[str, object]]:
    columns: list[dict[str, object]] = json.loads(SCHEMA.read_text(encoding="utf-8"))["columns"]
    return columns


def _list(text: str | None) -> list[object]:
    """An empty one where it is none, which is told elsewhere."""
    found = _parsed(text)
    return found if isinstance(found, list) else []


def _object(text: str | None) -> dict[str, object]:
    found = _parsed(text)
    return found if isinstance(found, dict) else {}


def _parsed(text: str | None) -> object:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None
