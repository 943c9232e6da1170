"""The queries that people get: saved, of the workbook, of the alert rules and of the docs."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
INFRA = ROOT / "infra"
SAVED = {path.stem: path.read_text() for path in sorted((INFRA / "queries").glob("*.kql"))}
"""Text of each file of infra/queries, by its name."""

FUNCTIONS = ("ASimNetworkSessionNSGFlow", "NSGFlow")
WORKBOOK = json.loads((INFRA / "workbook" / "nsgflow.workbook.json").read_text())
INSIGHTS = "/subscriptions/0/resourceGroups/r/providers/Microsoft.Insights/components/a"

VALUES = {
    "insightsId": INSIGHTS,
    "ports": "-1, 22, 3389",
    "nsgs": "'', 'prod-web-nsg'",
    "factor": "5",
    "minimum": "500",
    "failures": "5",
    "lagMinutes": "10",
    "connections": "2",
    "quiet": "1h",
}
"""What the alert rules put in place of {{name}}, in the form that it has there."""

PARAMETERS = {
    "TimeRange:grain": ["5m"],
    "Nsg": ["'*'", "'shop-rg/prod-web-nsg','VNet encryption'"],
    "Ip": ["", "10.5.0.0/16"],
    "Port": ["", "22, 3389"],
}
"""What the workbook puts in place of {name}: nothing chosen, and something."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """An alert rule with its defaults; `query` is the name of its file."""

    name: str
    frequency: str
    window: str
    query: str
    measure: str
    dimensions: tuple[str, ...]
    threshold: int


def _template() -> dict[str, Any]:
    """The compiled module of the alert rules, in the template that is kept for the hooks."""
    resources = json.loads((INFRA / "events.json").read_text())["resources"]
    found = [at for at in resources.values() if at.get("name") == "nsgflow-alerts"]
    template: dict[str, Any] = found[0]["properties"]["template"]
    return template


TEMPLATE = _template()
EACH_MINUTE = "nsgflow-denied-watched-minute"
FILLED_IN = frozenset(TEMPLATE["variables"]["values"])
"""Names that the template has a value for."""


def rules() -> list[Rule]:
    """The rules of the deployment but that of each minute, which has no window of its own."""
    return [
        Rule(
            rule["name"],
            rule["frequency"],
            rule["window"],
            _query_name(rule["query"]),
            rule["measure"],
            tuple(rule["dimensions"]),
            _default(rule["threshold"]),
        )
        for rule in TEMPLATE["variables"]["rules"]
    ]


def _query_name(expression: str) -> str:
    """The file that a rule's query was loaded from."""
    text = TEMPLATE["variables"][expression.removeprefix("[variables('").removesuffix("')]")]
    (name,) = [name for name, query in SAVED.items() if query == text]
    return name


def _default(threshold: int | str) -> int:
    """A number, or the last argument of the expression that lets a parameter replace it."""
    return threshold if isinstance(threshold, int) else int(threshold[:-2].rpartition(", ")[2])


def with_values(text: str, **values: str) -> str:
    """The query as the alert rules and the workbook fill it in."""
    for name, value in (VALUES | values).items():
        text = text.replace(f"{{{{{name}}}}}", value)
    assert "{{" not in text
    return text


def with_parameters(text: str, choice: int) -> str:
    """The query as the workbook fills it in, with one of the sample choices."""
    for name, values in PARAMETERS.items():
        text = text.replace(f"{{{name}}}", values[min(choice, len(values) - 1)])
    return text


def of_workbook() -> dict[str, str]:
    """Every query of the workbook, those of its parameters too, by the item's name."""
    found: dict[str, str] = {}

    def walk(node: Any, name: str) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, name)
        if isinstance(node, dict):
            name = node.get("name", name)
            if isinstance(query := node.get("query"), str):
                assert name not in found
                found[name] = query
            for value in node.values():
                walk(value, name)

    walk(WORKBOOK["items"], "")
    return found


def of_docs() -> dict[str, str]:
    """Every query that README and docs print, by file and number in it."""
    found: dict[str, str] = {}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text()
        blocks = re.findall(r"^```kusto\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        blocks += re.findall(r"^    (?:NSGFlow|App)\w+.*\n(?:    .*\n)*", text, re.MULTILINE)
        found |= {f"{path.stem} {number}": block for number, block in enumerate(blocks, 1)}
    return found
