"""The Bicep files agree with each other, with the code and with the documentation."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsgflow_core import config
from nsgflow_core.model import BlobRef, Group, Record
from nsgflow_core.sinks import rows
from tests.made import Outcome, made

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
MODULES = sorted((INFRA / "modules").iterdir())

KNOWN_AHEAD = frozenset(("NSGFLOW_INVENTORY", "NSGFLOW_SERVICE_TAGS"))
"""Settings of the contract that the Bicep sets and the code may not read yet."""

NOT_ON_FLEX = re.compile(
    r"FUNCTIONS_(WORKER_RUNTIME|EXTENSION_VERSION|WORKER_PROCESS_COUNT|MAX_HTTP_CONCURRENCY)"
    r"|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD|WEBSITE_\w+"
)
SCHEMA = json.loads((ROOT / "nsgflow_core" / "schema.json").read_text())


def ident(path: Path) -> str:
    """A file as test reports name it."""
    return path.relative_to(ROOT).as_posix()


def body(text: str, start: int) -> str:
    """What is between the first bracket from `start` on and the one that closes it."""
    pairs = {"{": "}", "[": "]", "(": ")"}
    depth: list[str] = []
    quoted, begin, pos = False, start, start
    while True:
        if not quoted and text.startswith("//", pos):
            pos = text.index("\n", pos)
        char = text[pos]
        if char == "'" and text[pos - 1] != "\\":
            quoted = not quoted
        elif not quoted and char in pairs:
            if not depth:
                begin = pos + 1
            depth.append(pairs[char])
        elif not quoted and depth and char == depth[-1]:
            depth.pop()
            if not depth:
                return text[begin:pos]
        pos += 1


def keys(block: str) -> list[str]:
    """The names of an object's members, not of those within them."""
    found, level = [], 0
    for line in block.splitlines():
        code = re.sub(
            r"'(?:\\.|[^'\\])*'", lambda match: "'" + "x" * (len(match[0]) - 2) + "'", line
        )
        code = code.partition("//")[0]
        if level == 0 and (match := re.match(r"\s*(?:'([^']*)'|(\w+))\s*:", line)):
            found.append(match[1] or match[2])
        level += len(re.findall(r"[\[({]", code)) - len(re.findall(r"[\])}]", code))
    return found


def declared(path: Path) -> dict[str, bool]:
    """The parameters of a file, and whether each may be left out."""
    if path.suffix == ".json":
        parameters = json.loads(path.read_text())["parameters"]
        return {name: "defaultValue" in value for name, value in parameters.items()}
    return {
        match[1]: "=" in match[2] or match[2].rstrip().endswith("?")
        for match in re.finditer(r"^param (\w+) (.*)$", path.read_text(), re.MULTILINE)
    }


def uses() -> Iterator[tuple[Path, str, Path, set[str]]]:
    """Each module that is used: by which file, as what, its file, the parameters given."""
    for path in FILES:
        text = path.read_text()
        for match in re.finditer(r"^module (\w+) '([^']+)'", text, re.MULTILINE):
            block = text[match.start() :]
            params = re.search(r"^\s+params: \{", block, re.MULTILINE)
            assert params is not None
            inner = body(block, params.start())
            given = keys(inner) if "\n" in inner else re.findall(r"(\w+):", inner)
            yield path, match[1], (path.parent / match[2]).resolve(), set(given)


def object_of(path: Path, name: str) -> str:
    """The inside of a variable's object."""
    text = path.read_text()
    return body(text, text.index(f"var {name} = "))


def test_the_offline_type_check_finds_nothing() -> None:
    """Where the offline type check is, it has neither errors nor warnings."""
    default = ROOT.parent / "shared" / "tools" / "bicep-check" / "bicep-check"
    checker = Path(os.environ.get("TEST_BICEP_CHECK", default))
    if not checker.exists():
        pytest.skip("no offline type check here")
    run = subprocess.run(
        [sys.executable, checker, INFRA], capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    assert "0 error(s), 0 warning(s)" in run.stdout, run.stdout


@pytest.mark.parametrize("name", ["main", "events"])
def test_bicep_builds_and_lints(name: str) -> None:
    """Where the Bicep compiler is, both templates build and lint without a word."""
    if (bicep := shutil.which("bicep")) is None:
        pytest.skip("no bicep here")
    for command in (["build", "--stdout"], ["lint"]):
        run = subprocess.run(
            [bicep, *command, INFRA / f"{name}.bicep"], capture_output=True, text=True, check=False
        )

        assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=ident)
def test_brackets_and_quotes_close(path: Path) -> None:
    """Every bracket and quote of a file is closed in its order."""
    text = f"{{{path.read_text()}\n}}"

    assert len(body(text, 0)) == len(text) - 2


@pytest.mark.parametrize("path", FILES, ids=ident)
def test_nothing_comes_from_a_registry(path: Path) -> None:
    """Files use resources and modules of their own only, so that they build offline."""
    references = re.findall(r"^module \w+ '([^']+)'", path.read_text(), re.MULTILINE)

    assert [at for at in references if not (path.parent / at).exists()] == []
    assert [at for at in references if re.match(r"(br|ts)[:/]", at)] == []


def test_modules_get_the_parameters_they_have() -> None:
    """A module is given every parameter that it requires, and none that it lacks."""
    for path, name, target, given in uses():
        known = declared(target)

        assert given - set(known) == set(), f"{path.name}: {name}"
        assert {at for at in known if not known[at]} - given == set(), f"{path.name}: {name}"


def test_every_module_is_used() -> None:
    """No module is left lying about."""
    assert sorted({target for _, _, target, _ in uses()}) == MODULES


@pytest.mark.parametrize("path", [*FILES, *INFRA.rglob("role-assignment.json")], ids=ident)
def test_parameters_say_whether_they_are_required(path: Path) -> None:
    """Descriptions begin with Required or Optional, as is true of the parameter."""
    if path.suffix == ".json":
        described = {
            name: value["metadata"]["description"]
            for name, value in json.loads(path.read_text())["parameters"].items()
        }
    else:
        described = {
            match[2]: match[1]
            for match in re.finditer(
                r"^@description\('((?:\\.|[^'\\])*)'\)\n(?:@.*\n)*param (\w+)",
                path.read_text(),
                re.MULTILINE,
            )
        }
    words = {True: "Optional. ", False: "Required. "}
    wrong = [
        name
        for name, optional in declared(path).items()
        if not described.get(name, "").startswith(words[optional])
    ]

    assert wrong == []


def test_members_of_types_say_whether_they_are_required() -> None:
    """Members of types are described as parameters are."""
    text = (INFRA / "types.bicep").read_text()
    found = list(re.finditer(r"@description\('(\w+)\. .*'\)\n\s+(\w+): (.*)", text))
    for match in found:
        end = match[3]
        if end == "{":
            start = match.end() - 1
            end = text[start + len(body(text, start)) + 2 :].partition("\n")[0]

        assert (match[1] == "Optional") == end.endswith("?"), match[2]
    assert len(found) == len(re.findall(r"^\s+\w+: ", text, re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=ident)
def test_outputs_are_described(path: Path) -> None:
    """Every output says what it is."""
    text = path.read_text()
    described = re.findall(r"^@description\(.*\)\noutput (\w+)", text, re.MULTILINE)

    assert described == re.findall(r"^output (\w+)", text, re.MULTILINE)


def test_outputs_of_main_are_what_azd_reads() -> None:
    """The outputs are named as the environment variables that azd makes of them."""
    names = re.findall(r"^output (\w+)", (INFRA / "main.bicep").read_text(), re.MULTILINE)

    assert [name for name in names if not re.fullmatch(r"(AZURE|NSGFLOW)_[A-Z_]+", name)] == []


def test_settings_are_those_that_the_code_reads() -> None:
    """The app gets every setting of nsgflow, and nothing that is none."""
    given = keys(object_of(INFRA / "modules" / "function-app.bicep", "nsgflowSettings"))

    assert set(given) == config._KNOWN | KNOWN_AHEAD
    assert len(given) == len(set(given))


def test_the_code_takes_the_settings_as_given() -> None:
    """Values of the form that the Bicep makes stop nothing, with two accounts."""
    app = INFRA / "modules" / "function-app.bicep"
    samples = {
        "CONNECTIONS": "FlowLogs,FlowLogs2",
        "LOGS_ENDPOINT": "https://dcr-x.westeurope-1.ingest.monitor.azure.com",
        "LOGS_RULE_ID": "dcr-00000000000000000000000000000000",
        "LOGS_STREAM": SCHEMA["stream"],
        "WEBHOOK_URL": "https://example.org/hook",
        "WEBHOOK_SECRET": "whsec_c2VjcmV0",
        "WEBHOOK_FORMAT": re.findall(r"param webhookFormat string = '(\w+)'", main())[0],
        "SERVICE_TAGS": "",
        "INVENTORY": "resourcegraph",
        "WORKSPACE_ID": "/subscriptions/0/resourceGroups/r/providers"
        "/Microsoft.OperationalInsights/workspaces/w",
        "STATE_TABLE": re.findall(r"var stateTable = '(.*)'", main())[0],
        "STATE_CONTAINER": re.findall(r"var stateContainer = '(.*)'", main())[0],
    }
    environ = {f"NSGFLOW_{name}": value for name, value in samples.items()}
    environ |= {
        key: "action=denied" if key.endswith("FILTER") else "EventGrid" if "TRIGGER" in key else "3"
        for key in keys(object_of(app, "nsgflowSettings"))
        if key not in environ
    }
    environ |= {
        key: f"https://host.{key.rpartition('__')[2]}.core.windows.net/"
        for key in keys(object_of(app, "platformSettings"))
        if key.endswith("Uri")
    }
    text = app.read_text()
    for key in keys(body(text, text.index("connection => {"))):
        for name in ("FlowLogs", "FlowLogs2"):
            environ[key.replace("${connection.name}", name)] = "https://logs.example.org/"
    settings = config.from_env(environ)

    assert list(settings.connections) == ["FlowLogs", "FlowLogs2"]
    assert settings.host_storage.blob_url
    assert settings.host_storage.table_url
    assert set(settings.unknown) <= KNOWN_AHEAD


def main() -> str:
    """The text of main.bicep."""
    return (INFRA / "main.bicep").read_text()


def test_settings_are_allowed_on_flex_consumption() -> None:
    """No setting is one that Flex Consumption refuses."""
    text = (INFRA / "modules" / "function-app.bicep").read_text()

    assert NOT_ON_FLEX.findall(text) == []


def test_webhook_url_and_secret_come_from_the_vault() -> None:
    """The webhook's URL and secret reach the app only as references to Key Vault."""
    given = re.findall(r"^\s+webhook(?:Url|Secret): (empty.*)$", main(), re.MULTILINE)

    assert len(given) == 2
    assert all("'@Microsoft.KeyVault(SecretUri=" in value for value in given)
    names = re.findall(r"secrets/([\w-]+)\)'", main())
    assert sorted(names) == sorted(
        re.findall(r"name: '(webhook-\w+)'", (INFRA / "modules" / "key-vault.bicep").read_text())
    )


def test_connections_sign_in_with_the_identity() -> None:
    """Each connection has its blob and queue service and the identity, and no key."""
    text = (INFRA / "modules" / "function-app.bicep").read_text()
    block = body(text, text.index("connection => {"))

    assert [key.replace("${connection.name}", "") for key in keys(block)] == [
        "__blobServiceUri",
        "__queueServiceUri",
        "__credential",
        "__clientId",
    ]


def test_columns_of_table_stream_and_row_are_the_schema() -> None:
    """Table and stream take their columns from the file that the row is made by."""
    for name in ("table", "data-collection-rule"):
        text = (INFRA / "modules" / f"{name}.bicep").read_text()

        assert "loadJsonContent('../../nsgflow_core/schema.json')" in text
        assert "columns: map(schema.columns, column => {" in text
        assert [at["name"] for at in SCHEMA["columns"] if f"'{at['name']}'" in text] == []
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


def test_events_go_to_the_functions_that_there_are() -> None:
    """Each event subscription names a function of the app and that function's container."""
    script = (
        "import json, function_app as app\n"
        "found = {at.get_function_name(): at.get_bindings_dict()['bindings'][0].get('path')"
        " for at in app.app.get_functions()}\n"
        "print(json.dumps(found))"
    )
    storage = "UseDevelopmentStorage=true"
    environ = dict.fromkeys(("AzureWebJobsStorage", "FlowLogs", "Other_1"), storage)
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environ | {"NSGFLOW_CONNECTIONS": "FlowLogs,Other_1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    registered = json.loads(run.stdout.splitlines()[-1])
    text = (INFRA / "modules" / "event-subscriptions.bicep").read_text()
    kinds = re.findall(r"\{ kind: '(\w+)', container: '([\w-]+)' \}", text)
    subscribed = {
        f"{kind}_{connection}": f"{container}/{{name}}"
        for kind, container in kinds
        for connection in ("FlowLogs", "Other_1")
    }

    assert subscribed == {name: path for name, path in registered.items() if path}
    assert "functionName=Host.Functions.${item.kind}_${connection}&code=${key}'" in text
    assert "subjectBeginsWith: '/blobServices/default/containers/${item.container}/blobs/'" in text
    assert "subjectEndsWith: '/PT1H.json'" in text


def test_worker_threads_match_the_blobs_that_the_host_hands_over() -> None:
    """A worker has a thread for each blob that it is given at a time, and one for the sweep."""
    host = json.loads((ROOT / "host.json").read_text())
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())
    text = (INFRA / "modules" / "function-app.bicep").read_text()
    parallel = host["extensions"]["blobs"]["maxDegreeOfParallelism"]

    assert parallel == 16
    assert "var host = loadJsonContent('../../host.json')" in text
    assert "var workerThreads = host.extensions.blobs.maxDegreeOfParallelism + 2" in text
    assert "PYTHON_THREADPOOL_THREAD_COUNT: string(workerThreads)" in text
    assert sample["Values"]["PYTHON_THREADPOOL_THREAD_COUNT"] == str(parallel + 2)


def test_summary_lines_of_every_connection_are_let_through() -> None:
    """host.json lets through the lines of FlowLogs, settings those of other connections."""
    levels = json.loads((ROOT / "host.json").read_text())["logging"]["logLevel"]
    text = (INFRA / "modules" / "function-app.bicep").read_text()
    set_here = re.findall(r"'AzureFunctionsJobHost__logging__logLevel__(.*)': '(\w+)'", text)

    assert set_here == [
        (name.replace("FlowLogs", "${connection.name}"), level)
        for name, level in levels.items()
        if "FlowLogs" in name
    ]
    assert "connection => connection.name != 'FlowLogs'" in text


def test_default_connection_is_the_codes_default() -> None:
    """The first account is the connection FlowLogs unless it is named."""
    assert "(index == 0 ? 'FlowLogs' : 'FlowLogs${index + 1}')" in main()


def test_dead_letters_are_deleted_where_they_are_written() -> None:
    """The lifecycle rule is on the prefix that dead letters have."""
    from nsgflow_core.delivery import dead_letters  # noqa: PLC0415

    text = (INFRA / "modules" / "host-storage.bicep").read_text()

    assert f"'${{stateContainer}}/{dead_letters.PREFIX}'" in text


def test_parameters_file_gives_what_main_takes() -> None:
    """main.parameters.json names parameters of main.bicep, and all that are required."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    known = declared(INFRA / "main.bicep")

    assert set(given) - set(known) == set()
    assert {name for name in known if not known[name]} - set(given) == set()


def test_secrets_are_secure_everywhere() -> None:
    """A parameter for a secret is secure in each file that has it."""
    secret = re.compile(
        r"^(?:@.*\n)*param (webhookUrl|webhookSecret|alertWebhookUrl|key) string", re.MULTILINE
    )
    found = [match[0] for path in FILES for match in secret.finditer(path.read_text())]

    assert len(found) == 7
    assert [text for text in found if "@secure()" not in text] == []


def test_types_shared_with_events_have_the_members_that_main_gives() -> None:
    """The sources that main.bicep puts out are what events.bicep takes."""
    text = main()
    given = keys(body(text, text.index(": {", text.index("output NSGFLOW_EVENT_SOURCES"))))
    types = (INFRA / "types.bicep").read_text()
    block = body(types, types.index("type eventSource = "))

    assert given == re.findall(r"^\s+(\w+): ", block, re.MULTILINE)


def test_azd_finds_service_and_hooks() -> None:
    """azure.yaml names the service as the app is tagged, and hooks that exist."""
    text = (ROOT / "azure.yaml").read_text()
    tag = re.findall(
        r"'azd-service-name': '(\w+)'", (INFRA / "modules" / "function-app.bicep").read_text()
    )
    hooks = re.findall(r"run: \./(\S+)", text)

    assert re.findall(r"^services:\n  (\w+):", text, re.MULTILINE) == tag
    assert sorted(ROOT / at for at in hooks) == sorted((INFRA / "hooks").glob("*.py"))


def test_abbreviations_are_all_used() -> None:
    """Names begin with abbreviations.json, which has no others."""
    abbreviations = json.loads((INFRA / "abbreviations.json").read_text())

    assert set(abbreviations) == set(re.findall(r"\babbreviations\.(\w+)\}", main()))


def test_linter_is_strict() -> None:
    """bicepconfig.json switches no rule off."""
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]

    assert rules["enabled"] is True
    assert {rule["level"] for rule in rules["rules"].values()} <= {"error", "warning"}


def test_reading_is_all_that_the_app_may_do_with_flow_logs() -> None:
    """Without the switch the app has one role on a flow-log account: to read blobs."""
    reader = re.findall(r"storageBlobDataReader: '([\w-]+)'", main())
    default = re.findall(r": \[(roleIds\.\w+)\]\n", main())

    assert reader == ["2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"]
    assert default == ["roleIds.storageBlobDataReader"]


def test_documentation_names_parameters_rules_and_variables() -> None:
    """docs/deployment.md has every parameter, alert rule and variable of azd."""
    text = (ROOT / "docs" / "deployment.md").read_text()
    rules = re.findall(
        r"name: '(nsgflow-[\w-]+)'", (INFRA / "modules" / "alerts.bicep").read_text()
    )
    variables = re.findall(r"\$\{(NSGFLOW_\w+)", (INFRA / "main.parameters.json").read_text())
    names = [*declared(INFRA / "main.bicep"), *rules, *variables]

    assert [name for name in names if f"`{name}`" not in text] == []
