"""The templates compile without a word, and agree with the code, host.json and the docs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nsgflow_hooks import variables

from devtools import bicep
from nsgflow_core.delivery import dead_letters
from nsgflow_core.model import BlobRef, Group, Record
from nsgflow_core.sinks import rows
from tests.made import Outcome, made

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
ENTRY_POINTS = [INFRA / "main.bicep", INFRA / "events.bicep"]
STRICT = Path(__file__).with_name("bicepconfig.strict.json")
SCHEMA = json.loads((ROOT / "nsgflow_core" / "schema.json").read_text())
HOST = json.loads((ROOT / "host.json").read_text())

compiled = pytest.mark.skipif(bicep.find() is None, reason="no Bicep compiler here")


def ident(path: Path) -> str:
    """A file as test reports name it."""
    return path.relative_to(ROOT).as_posix()


def nested(template: dict[str, Any]) -> list[dict[str, Any]]:
    """A template and every template within it."""
    found = [template]
    resources = template.get("resources", {})
    for resource in resources.values() if isinstance(resources, dict) else resources:
        if resource["type"] == "Microsoft.Resources/deployments":
            found += nested(resource["properties"]["template"])
    return found


@compiled
@pytest.mark.parametrize("path", ENTRY_POINTS, ids=ident)
def test_compiles_without_a_word(path: Path) -> None:
    """With the settings that users get: neither error nor warning."""
    done = bicep.run("build", path, "--stdout")

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) < 4 * 1024 * 1024


@compiled
@pytest.mark.parametrize("path", ENTRY_POINTS, ids=ident)
@pytest.mark.parametrize("options", [(), ("--config", STRICT)], ids=["default", "strict"])
def test_lints_without_a_word(path: Path, options: tuple[str | Path, ...]) -> None:
    """Bicep's own rules have nothing to say, nor those that only our gate asks for."""
    done = bicep.run("lint", path, *options)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_users_compile_with_the_rules_of_bicep() -> None:
    """No configuration ships: a rule that a newer Bicep sharpens stops nobody's deployment."""
    assert list(INFRA.rglob("bicepconfig.json")) == []
    assert not (ROOT / "bicepconfig.json").exists()


@compiled
@pytest.mark.parametrize("path", FILES, ids=ident)
def test_is_formatted(path: Path) -> None:
    """Each file is as `bicep format` writes it."""
    done = bicep.run("format", path, "--stdout")

    assert done.stdout == path.read_text()


@compiled
def test_every_file_is_part_of_an_entry_point() -> None:
    """No module is left lying about, and each comes from here, so that all builds offline."""
    names = {
        template.get("metadata", {}).get("name")
        for path in ENTRY_POINTS
        for template in nested(bicep.template(path))
    }
    files = {
        re.search(r"^metadata name = '(.*)'$", path.read_text(), re.MULTILINE)[1]  # type: ignore[index]
        for path in FILES
        if path.name not in {"types.bicep", "checks.bicep"}  # imported, not deployed
    }

    assert names == files | {"Role assignment"}


@compiled
@pytest.mark.parametrize("path", ENTRY_POINTS, ids=ident)
def test_parameters_and_outputs_are_described(path: Path) -> None:
    """Descriptions of parameters begin with Required or Optional, as is true of the parameter."""
    for template in nested(bicep.template(path)):
        name = template.get("metadata", {}).get("name")
        for parameter, given in template.get("parameters", {}).items():
            optional = "defaultValue" in given or given.get("nullable", False)
            word = "Optional. " if optional else "Required. "

            assert given["metadata"]["description"].startswith(word), f"{name}: {parameter}"
        for definition in template.get("definitions", {}).values():
            for member, given in members(definition):
                word = "Optional. " if given.get("nullable", False) else "Required. "

                assert given["metadata"]["description"].startswith(word), f"{name}: {member}"
        for output, given in template.get("outputs", {}).items():
            assert given["metadata"]["description"], f"{name}: {output}"


def members(definition: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The members of a type, and theirs."""
    found = []
    for name, given in definition.get("properties", {}).items():
        found += [(name, given), *members(given)]
    return found


@compiled
@pytest.mark.parametrize("path", ENTRY_POINTS, ids=ident)
def test_secrets_are_secure_all_the_way(path: Path) -> None:
    """A parameter for a secret is secure in each template that has it."""
    secrets = {"webhookUrl", "webhookSecret", "webhookHeaders", "alertWebhookUrl", "key", "value"}
    for template in nested(bicep.template(path)):
        for name, given in template.get("parameters", {}).items():
            secure = given.get("type", "").lower() in ("securestring", "secureobject")
            assert secure == (name in secrets), name


@compiled
def test_outputs_of_main_are_what_azd_reads() -> None:
    """The outputs are named as the environment variables that azd makes of them."""
    names = bicep.template(INFRA / "main.bicep")["outputs"]

    assert [name for name in names if not re.fullmatch(r"(AZURE|NSGFLOW)_[A-Z_]+", name)] == []


@compiled
def test_every_parameter_is_a_variable_of_azd() -> None:
    """Each parameter can be set with `azd env set`, and has its default in one place, the Bicep.

    azd leaves a parameter out whose variable is not set, and asks for it where it is required:
    azd up does so before any hook has run. So the list of accounts is then empty, and the hook
    says which accounts there are.
    """
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    others = {
        "environmentName": "AZURE_ENV_NAME",
        "location": "AZURE_LOCATION",
        "workspaceId": "NSGFLOW_WORKSPACE",
    }
    wanted = {
        name: others.get(name) or "NSGFLOW_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        for name in bicep.template(INFRA / "main.bicep")["parameters"]
    }

    assert {name: value["value"] for name, value in given.items()} == {
        name: f"${{{variable}}}" if name != "flowLogAccounts" else f"${{{variable}=[]}}"
        for name, variable in wanted.items()
    }
    required = {
        name
        for name, at in bicep.template(INFRA / "main.bicep")["parameters"].items()
        if "defaultValue" not in at
    }
    # azd knows the first two by itself.
    assert required == {"environmentName", "location", "flowLogAccounts"}


@compiled
def test_the_hooks_know_the_types_of_the_variables() -> None:
    """What azd reads as a truth value, a number, a list, an object or a choice, the hook checks."""
    template = bicep.template(INFRA / "main.bicep")
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    kinds: dict[str, set[str]] = {"bool": set(), "int": set(), "array": set(), "object": set()}
    choices = {}
    for name, parameter in template["parameters"].items():
        variable = re.findall(r"\w+", given[name]["value"])[0]
        if "allowedValues" in parameter and parameter["type"] == "string":
            choices[variable] = tuple(parameter["allowedValues"])
        kinds.setdefault(parameter.get("type", "object").lower(), set()).add(variable)

    assert kinds["bool"] == set(variables.SWITCHES)
    assert kinds["int"] == set(variables.NUMBERS)
    assert kinds["array"] == set(variables.LISTS)
    assert kinds["object"] | kinds["secureobject"] == set(variables.OBJECTS)
    assert kinds["secureobject"] == set(variables.SECRETS)
    assert {at: set(allowed) for at, allowed in choices.items()} == {
        at: set(allowed) for at, allowed in variables.CHOICES.items()
    }


@compiled
def test_an_output_does_not_overwrite_a_wish() -> None:
    """An output goes into the variable that a parameter comes from: they must agree."""
    mapped = re.findall(r"\$\{(\w+)[=}]", (INFRA / "main.parameters.json").read_text())
    both = set(mapped) & set(bicep.template(INFRA / "main.bicep")["outputs"])

    assert both == {"AZURE_LOCATION", "NSGFLOW_TRIGGER_SOURCE"}


def test_columns_of_the_row_are_the_schema() -> None:
    """The file that table and stream are made of has the columns of the row."""
    record = Record(12, 99, "2026-03-04T05:06:07.0000000Z", 2, "/nsg")
    outcome = Outcome(443, "TCP", True, True, "B", "", None, None, None, None)  # noqa: FBT003
    flow = made(Group(record, "/nsg", "nsg", "Deny", "000D3A"), 0, "t", 0, "::", "::", 1, outcome)
    row = json.loads(rows.encoder(BlobRef("account", "container", "path"))(flow))

    assert set(row) == {column["name"] for column in SCHEMA["columns"]}
    assert SCHEMA["stream"] == f"Custom-{SCHEMA['table']}"


def test_columns_are_such_as_azure_takes() -> None:
    """Names, types and number of the columns are within what a custom table allows."""
    names = [column["name"] for column in SCHEMA["columns"]]
    reserved = {"id", "Type", "TenantId", "UniqueId", "Title", "_ResourceId", "_SubscriptionId"}

    assert [name for name in names if not re.fullmatch(r"[A-Za-z]\w{0,44}", name)] == []
    assert set(names) & reserved == set()
    assert {column["type"] for column in SCHEMA["columns"]} <= {"datetime", "string", "int", "long"}
    assert SCHEMA["columns"][0] == SCHEMA["columns"][0] | {
        "name": "TimeGenerated",
        "type": "datetime",
    }


def functions(**environ: str) -> dict[str, str | None]:
    """The functions of function_app.py with these settings, and the path of each."""
    script = (
        "import json, function_app as app\n"
        "found = {at.get_function_name(): at.get_bindings_dict()['bindings'][0].get('path')"
        " for at in app.app.get_functions()}\n"
        "print(json.dumps(found))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"AzureWebJobsStorage": "UseDevelopmentStorage=true"} | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str | None] = json.loads(run.stdout.splitlines()[-1])
    return found


@compiled
def test_events_go_to_the_functions_that_there_are() -> None:
    """The kinds of flow logs that are subscribed are those that have functions."""
    (template,) = [
        at
        for at in nested(bicep.template(INFRA / "events.bicep"))
        if at.get("metadata", {}).get("name") == "Event subscriptions"
    ]
    storage = "UseDevelopmentStorage=true"
    registered = functions(
        NSGFLOW_CONNECTIONS="FlowLogs,Other_1", FlowLogs=storage, Other_1=storage
    )
    kinds = next(value for value in template["variables"].values() if isinstance(value, list))
    subscribed = {
        f"{at['kind']}_{connection}": f"{at['container']}/{{name}}"
        for at in kinds
        for connection in ("FlowLogs", "Other_1")
    }

    assert subscribed == {name: path for name, path in registered.items() if path}
    properties = template["resources"]["subscriptions"]["properties"]
    assert "functionName=Host.Functions.{1}_{2}&code={3}" in properties["destination"]
    assert properties["filter"]["subjectEndsWith"] == "/PT1H.json"
    assert properties["filter"]["includedEventTypes"] == ["Microsoft.Storage.BlobCreated"]


def test_lines_of_functions_are_let_through_by_their_names() -> None:
    """host.json names each function whose lines Application Insights keeps: no wildcards."""
    levels = HOST["logging"]["logLevel"]
    connections = ["FlowLogs", *(f"FlowLogs{number}" for number in range(2, 10))]
    names = functions(
        NSGFLOW_CONNECTIONS=",".join(connections),
        NSGFLOW_WEBHOOK_URL="https://example.org/hook",
        NSGFLOW_WEBHOOK_FORMAT="slack",
        **dict.fromkeys(connections, "UseDevelopmentStorage=true"),
    )
    told = {name for name, level in levels.items() if level == "Information"}

    assert told == {f"Function.{name}.User" for name in {*names, "events"}}
    assert [name for name in levels if "*" in name] == []
    assert levels["default"] == levels["Function"] == "Warning"


def test_queue_and_blob_triggers_hand_over_as_many_at_a_time() -> None:
    """A worker has a thread for each event that it is given at a time, and two for the timers."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())
    blobs, queues = HOST["extensions"]["blobs"], HOST["extensions"]["queues"]

    assert blobs["maxDegreeOfParallelism"] == queues["batchSize"] + queues["newBatchThreshold"]
    assert sample["Values"]["PYTHON_THREADPOOL_THREAD_COUNT"] == str(
        blobs["maxDegreeOfParallelism"] + 2
    )


@compiled
def test_dead_letters_are_deleted_where_they_are_written() -> None:
    """The lifecycle rule is on the prefix that dead letters have."""
    (storage,) = [
        at
        for at in nested(bicep.template(INFRA / "main.bicep"))
        if at.get("metadata", {}).get("name") == "Host storage"
    ]
    (policy,) = [at for at in storage["resources"] if at["type"].endswith("/managementPolicies")]
    (rule,) = policy["properties"]["policy"]["rules"]

    assert f"/{dead_letters.PREFIX}" in rule["definition"]["filters"]["prefixMatch"][0]


def test_azd_finds_the_service() -> None:
    """azure.yaml names the service as the app is tagged, and hooks that exist."""
    text = (ROOT / "azure.yaml").read_text()

    assert re.findall(r"^services:\n  (\w+):", text, re.MULTILINE) == ["nsgflow"]
    assert [at for at in re.findall(r"run: \./(\S+)", text) if not (ROOT / at).exists()] == []


def test_abbreviations_are_all_used() -> None:
    """Names begin with abbreviations.json, which has no others."""
    abbreviations = json.loads((INFRA / "abbreviations.json").read_text())
    text = "".join(path.read_text() for path in FILES)

    assert set(abbreviations) == set(re.findall(r"\babbreviations\.(\w+)\}", text))
