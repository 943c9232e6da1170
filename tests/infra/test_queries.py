"""Every query is type-checked with the Kusto language service against the tables that it reads."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from devtools import bicep
from devtools.queries import (
    EACH_MINUTE,
    FILLED_IN,
    FUNCTIONS,
    INFRA,
    PARAMETERS,
    ROOT,
    SAVED,
    WORKBOOK,
    Rule,
    of_docs,
    of_workbook,
    rules,
    with_parameters,
    with_values,
)

needs_compiler = pytest.mark.skipif(bicep.find() is None, reason="no Bicep compiler here")

STANDARD = "TenantId:string, Type:string, _ResourceId:string, _SubscriptionId:string"
APP_TRACES = (
    "TimeGenerated:datetime, Message:string, SeverityLevel:int, Properties:dynamic, "
    "Measurements:dynamic, ItemCount:int, OperationName:string, OperationId:string, "
    "ParentId:string, AppRoleName:string, AppRoleInstance:string, AppVersion:string, "
    f"SDKVersion:string, IKey:string, SourceSystem:string, {STANDARD}"
)
APP_EXCEPTIONS = (
    "TimeGenerated:datetime, ProblemId:string, ExceptionType:string, OuterType:string, "
    "OuterMessage:string, InnermostType:string, InnermostMessage:string, SeverityLevel:int, "
    "Details:dynamic, Properties:dynamic, Measurements:dynamic, ItemCount:int, "
    "OperationName:string, OperationId:string, ParentId:string, AppRoleName:string, "
    f"AppRoleInstance:string, AppVersion:string, SDKVersion:string, IKey:string, {STANDARD}"
)

# Fields of ASIM's NetworkSession schema 0.2.6 and of its common fields, as far as the parser has
# them: https://learn.microsoft.com/azure/sentinel/normalization-schema-network and
# https://learn.microsoft.com/azure/sentinel/normalization-common-fields.
ASIM_MANDATORY = {
    "TimeGenerated": "datetime",
    "Type": "string",
    "EventCount": "int",
    "EventStartTime": "datetime",
    "EventEndTime": "datetime",
    "EventType": "string",
    "EventResult": "string",
    "EventProduct": "string",
    "EventVendor": "string",
    "EventSchema": "string",
    "EventSchemaVersion": "string",
    "Dvc": "string",
}
ASIM_OTHERS = {
    "EventSeverity": "string",
    "EventOriginalUid": "string",
    "EventOriginalType": "string",
    "DvcAction": "string",
    "DvcId": "string",
    "DvcIdType": "string",
    "DvcInterface": "string",
    "NetworkRuleName": "string",
    "Rule": "string",
    "NetworkDirection": "string",
    "NetworkProtocol": "string",
    "NetworkApplicationProtocol": "string",
    "NetworkBytes": "long",
    "NetworkPackets": "long",
    "Src": "string",
    "SrcIpAddr": "string",
    "SrcPortNumber": "int",
    "SrcBytes": "long",
    "SrcPackets": "long",
    "SrcHostname": "string",
    "SrcMacAddr": "string",
    "Dst": "string",
    "DstIpAddr": "string",
    "DstPortNumber": "int",
    "DstBytes": "long",
    "DstPackets": "long",
    "DstHostname": "string",
    "DstMacAddr": "string",
    "IpAddr": "string",
    "Hostname": "string",
    "AdditionalFields": "dynamic",
}


@cache
def checked() -> dict[str, Any]:
    """The language service's findings and result columns of every query."""
    schema = json.loads((ROOT / "nsgflow_core" / "schema.json").read_text())
    columns = ", ".join(f"{at['name']}:{at['type']}" for at in schema["columns"])
    queries = {name: with_values(text) for name, text in SAVED.items()}
    queries["ASimNetworkSessionNSGFlow"] = f"let disabled = false;\n{queries[FUNCTIONS[0]]}"
    queries |= {
        f"workbook {name} {choice}": with_parameters(with_values(query), choice)
        for name, query in of_workbook().items()
        for choice in (0, 1)
    }
    queries |= of_docs()
    queries |= {
        "wrong column": "NSGFlow_CL | where SourceIp == '10.0.0.4'",
        "wrong type": "NSGFlow_CL | where DestPort has '22'",
        "wrong syntax": "NSGFlow() | where",
        "wrong function": "NSGFlows()",
    }
    ask = {
        "tables": {
            schema["table"]: f"{columns}, {STANDARD}",
            "AppTraces": APP_TRACES,
            "AppExceptions": APP_EXCEPTIONS,
        },
        "functions": {"NSGFlow": {"parameters": "()", "body": f"{{{SAVED['NSGFlow']}}}"}},
        "queries": queries,
    }
    run = subprocess.run(
        ["node", ROOT / "devtools" / "kusto_check.cjs"],
        input=json.dumps(ask),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


@pytest.mark.parametrize("name", ["wrong column", "wrong type", "wrong syntax", "wrong function"])
def test_the_check_sees_mistakes(name: str) -> None:
    """A query with a mistake is found out, so that finding nothing means something."""
    assert [at["severity"] for at in checked()[name]["diagnostics"]] == ["Error"]


@pytest.mark.parametrize("name", SAVED)
def test_query_is_right(name: str) -> None:
    """The language service has nothing to say about the query."""
    assert checked()[name]["diagnostics"] == []


@pytest.mark.parametrize("choice", [0, 1], ids=["nothing chosen", "something chosen"])
@pytest.mark.parametrize("name", of_workbook())
def test_workbook_query_is_right(name: str, choice: int) -> None:
    """The workbook's query is right whatever is chosen."""
    assert checked()[f"workbook {name} {choice}"]["diagnostics"] == []


@pytest.mark.parametrize("name", of_docs())
def test_documented_query_is_right(name: str) -> None:
    """What README and docs print runs as it stands there."""
    assert checked()[name]["diagnostics"] == []


def test_what_is_shown_of_a_flow_is_said_in_the_same_words() -> None:
    """NSG, rule and port are told in one way wherever a query of the table tells them.

    The table's plan Basic takes no functions, so that each query has the words itself.
    """
    asked = {name for name, text in SAVED.items() if "NSGFlow_CL\n" in text} - {FUNCTIONS[0]}
    words = SAVED["NSGFlow"].partition("by FlowId\n")[2]

    assert len(asked) == 7
    assert {name for name in asked if words in SAVED[name]} == asked


@needs_compiler
def test_every_query_is_deployed() -> None:
    """The text of each file stands in one of the two templates."""
    templates = [bicep.template(INFRA / name) for name in ("main.bicep", "events.bicep")]
    loaded = [text for template in templates for text in _loaded(template)]

    assert {name for name, text in SAVED.items() if text not in loaded} == set()


def _loaded(node: Any) -> Iterator[str]:
    """What a template has loaded from files, in itself and in its modules."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key.startswith("$fxv#") and isinstance(value, str):
                yield value
            else:
                yield from _loaded(value)
    if isinstance(node, list):
        for item in node:
            yield from _loaded(item)


@needs_compiler
def test_functions_are_called_as_they_are_saved() -> None:
    """A function is saved by the name of its file."""
    table = bicep.template(INFRA / "modules" / "table.bicep")

    assert tuple(sorted(re.findall(r'"functionAlias": "(\w+)"', json.dumps(table)))) == FUNCTIONS


def test_function_removes_duplicates_and_keeps_every_column() -> None:
    """NSGFlow() has the columns of the table."""
    schema = json.loads((ROOT / "nsgflow_core" / "schema.json").read_text())
    columns = checked()["NSGFlow"]["columns"]

    assert columns.items() >= {at["name"]: at["type"] for at in schema["columns"]}.items()
    assert "NSGFlow_CL\n| summarize take_any(*) by FlowId\n" in SAVED["NSGFlow"]


def test_parser_has_the_fields_of_asim() -> None:
    """The parser has each mandatory field, no field that ASIM lacks, and ASIM's types."""
    columns = checked()["ASimNetworkSessionNSGFlow"]["columns"]

    assert columns == ASIM_MANDATORY | ASIM_OTHERS


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule.query))
def test_rule_measures_what_its_query_has(rule: Rule) -> None:
    """The measure is a number of the result, dimensions are strings, and time is none of it."""
    columns = checked()[rule.query]["columns"]

    assert columns[rule.measure] in {"long", "int", "real"}
    assert {columns[name] for name in rule.dimensions} <= {"string"}
    assert "datetime" not in columns.values()


def test_every_alert_query_is_a_rule() -> None:
    """Each alert query has its rule; that of each minute is a simple log alert."""
    names = {rule.query for rule in rules()} | {"alert-denied-watched-minute"}

    assert names == {name for name in SAVED if name.startswith("alert-")}


@pytest.mark.parametrize("name", [name for name in SAVED if name.startswith("alert-")])
def test_alert_query_has_only_values_that_are_filled_in(name: str) -> None:
    """What is to be filled in has a value in the template."""
    assert set(re.findall(r"\{\{(\w+)\}\}", SAVED[name])) <= FILLED_IN


@pytest.mark.parametrize("name", [name for name in SAVED if name.startswith("alert-")])
def test_alert_query_takes_no_more_than_a_rule_may(name: str) -> None:
    """Rules refuse take, limit, search and union; each minute's refuse much more."""
    query = re.sub(r"//.*", "", SAVED[name])
    words = {"take", "limit", "search", "union"}
    if name.endswith("-minute"):
        words |= {"let", "print", "datatable", "ingestion_time", "NSGFlow", "summarize", "dynamic"}

    assert words & set(re.findall(r"\b[A-Za-z]\w*\b", query)) == set()


def test_rules_over_rows_look_at_when_they_were_ingested() -> None:
    """Rows are later than their own time, so rules over rows go by ingestion_time()."""
    over_rows = [rule for rule in rules() if "NSGFlow_CL" in SAVED[rule.query]]

    assert len(over_rows) == 2
    for rule in over_rows:
        minutes = [
            int(at) for at in re.findall(r"ingestion_time\(\) > ago\((\d+)m\)", SAVED[rule.query])
        ]

        assert minutes >= [int(rule.frequency.removeprefix("PT").removesuffix("M"))]


def test_every_rule_has_a_runbook() -> None:
    """A heading of docs/operations.md has the name that the alert has."""
    operations = (ROOT / "docs" / "operations.md").read_text()
    headings = " ".join(re.findall(r"^### (.*)$", operations, re.MULTILINE))
    names = {rule.name for rule in rules()} | {EACH_MINUTE}

    assert names <= set(re.findall(r"[a-z-]+", headings))


@pytest.mark.parametrize("query", SAVED.values(), ids=SAVED)
def test_lines_are_looked_up_by_names_that_the_code_logs(query: str) -> None:
    """Events and fields of summary lines are those of telemetry.py."""
    telemetry = (ROOT / "nsgflow_core" / "telemetry.py").read_text()
    service = (ROOT / "nsgflow_core" / "service.py").read_text()
    known = set(re.findall(r'"(\w+)":', telemetry)) | set(
        re.findall(r"(\w+)=", telemetry + service)
    )

    assert set(re.findall(r"Line\.(\w+)", query)) <= known | {"event"}
    events = set(re.findall(r"nsgflow\.([a-z]+)", query))
    assert events <= set(re.findall(r'"nsgflow\.(\w+)"', telemetry))


def test_workbook_looks_up_names_that_the_code_logs() -> None:
    """The workbook's fields of summary lines are those of telemetry.py too."""
    for query in of_workbook().values():
        test_lines_are_looked_up_by_names_that_the_code_logs(query)


def test_workbook_is_whole() -> None:
    """Parameters are time, NSG, address and port; tabs lead to groups that exist."""
    items = {item["name"]: item for item in WORKBOOK["items"]}
    parameters = [at["name"] for at in items["parameters"]["content"]["parameters"]]
    tabs = [at["subTarget"] for at in items["tabs"]["content"]["links"]]

    assert parameters == ["TimeRange", "Nsg", "Ip", "Port"]
    assert [items[tab]["conditionalVisibility"]["value"] for tab in tabs] == tabs
    asked = {at for text in of_workbook().values() for at in re.findall(r"[^{]\{([\w:]+)\}", text)}
    assert asked == set(PARAMETERS)
    assert WORKBOOK["fallbackResourceIds"] == ["{{workspaceId}}"]
