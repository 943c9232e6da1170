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
ALERTS = (INFRA / "modules" / "alerts.bicep").read_text()
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
"""What alerts.bicep puts in place of {{name}}, in the form that it has there."""

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


_RULE = re.compile(
    r"name: '(?P<name>nsgflow-[a-z-]+)'\n(?:    (?:enabled|displayName|severity): .*\n)+"
    r"    frequency: '(?P<frequency>\w+)'\n(?:    //.*\n)*"
    r"    window: '(?P<window>\w+)'\n"
    r"    query: loadTextContent\('\.\./queries/(?P<query>.*)\.kql'\)\n"
    r"    measure: '(?P<measure>\w+)'\n"
    r"    dimensions: \[(?P<dimensions>.*)\]\n"
    r"    threshold: (?:options[.?\w]+ \?\? )?(?P<threshold>\d+)\n"
)


def rules() -> list[Rule]:
    """The rules of alerts.bicep but that of each minute, which has no window of its own."""
    return [
        Rule(
            found["name"],
            found["frequency"],
            found["window"],
            found["query"],
            found["measure"],
            tuple(re.findall(r"'(\w+)'", found["dimensions"])),
            int(found["threshold"]),
        )
        for found in _RULE.finditer(ALERTS)
    ]


def with_values(text: str, **values: str) -> str:
    """The query as alerts.bicep and workbook.bicep fill it in."""
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
