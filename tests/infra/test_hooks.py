"""The hooks, against an az that records what it is asked and answers as it is told."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / "infra" / "hooks"
SOURCES = [
    {
        "connection": "FlowLogs",
        "subscriptionId": "11111111-1111-1111-1111-111111111111",
        "resourceGroup": "network",
        "systemTopicName": "egst-flowlogs",
        "deadLetter": True,
    }
]
OUTPUTS = {
    "AZURE_LOCATION": "westeurope",
    "AZURE_RESOURCE_GROUP": "rg-nsgflow",
    "AZURE_FUNCTION_APP_NAME": "func-abc",
    "NSGFLOW_DEAD_LETTER_STORAGE_ID": "/subscriptions/1/storageAccounts/st",
    "NSGFLOW_DEAD_LETTER_CONTAINER": "eventgrid-deadletter",
    "NSGFLOW_EVENT_SOURCES": json.dumps(SOURCES),
}

# The stub answers as the files beside it say, and keeps the parameters file that it is given.
AZ = f"""#!{sys.executable}
import json, os, pathlib, sys

here, words = pathlib.Path(__file__).parent, sys.argv[1:]
with (here / "asked").open("a") as asked:
    asked.write(json.dumps(words) + "\\n")
options = dict(zip(words, words[1:]))
name = "-".join(word for word in words[:3])
if "--parameters" in options:
    (here / "parameters").write_text(pathlib.Path(options["--parameters"][1:]).read_text())
if (here / f"{{name}}.fails").exists():
    sys.exit((here / f"{{name}}.fails").read_text())
if name == "functionapp-keys-list":
    print((here / "key").read_text())
    if (here / "key.later").exists():
        (here / "key.later").rename(here / "key")
if name == "deployment-sub-show":
    outputs = json.loads((here / "outputs").read_text())
    if options["--query"] == "properties.outputs":
        print(json.dumps({{at: {{"value": value}} for at, value in outputs.items()}}))
    for part in options["--query"].split(" || "):
        value = outputs.get(part.split(".")[2]) if part.count(".") > 1 else None
        if value is not None:
            print(value if options["--output"] == "tsv" else json.dumps(value))
            break
"""


class Azure:
    """A directory with the stub, its answers and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stub = folder / "az"
        stub.write_text(AZ)
        stub.chmod(0o755)
        self.answer("key", "yes")

    def answer(self, name: str, text: str) -> None:
        """Have the stub answer with this."""
        (self.folder / name).write_text(text)

    @property
    def asked(self) -> list[list[str]]:
        """What the stub was asked."""
        path = self.folder / "asked"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters that events.bicep was deployed with."""
        given = json.loads((self.folder / "parameters").read_text())["parameters"]
        return {name: value["value"] for name, value in given.items()}


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    """An az of our own."""
    folder = tmp_path / "az"
    folder.mkdir()
    return Azure(folder)


@pytest.fixture(params=["sh", "pwsh"])
def postdeploy(request: pytest.FixtureRequest, azure: Azure, tmp_path: Path) -> Run:
    """Run the hook of a shell, as azd does, somewhere else than in its folder."""
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"no {request.param} here")
    options = ["-NoProfile", "-File"] if request.param == "pwsh" else []
    script = HOOKS / f"postdeploy.{'ps1' if request.param == 'pwsh' else 'sh'}"

    def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [shell, *options, script, *words],
            env={
                "PATH": f"{azure.folder}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "TMPDIR": str(tmp_path),
                "NSGFLOW_KEY_WAIT_SECONDS": "0",
                **environ,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def deployments(azure: Azure) -> list[list[str]]:
    """The deployments that were asked for."""
    return [words for words in azure.asked if words[:3] == ["deployment", "sub", "create"]]


@pytest.mark.parametrize("script", sorted(HOOKS.glob("*.sh")), ids=lambda path: str(path.name))
def test_shellcheck_finds_nothing(script: Path) -> None:
    """The shell hooks are as shellcheck likes them, every optional check included."""
    run = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "--shell=sh", "--severity=style", script],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize("script", sorted(HOOKS.glob("*.sh")), ids=lambda path: str(path.name))
def test_shell_hooks_can_be_run(script: Path) -> None:
    """The shell hooks are executable and say by what."""
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n")


def test_events_are_deployed_with_what_azd_passes_on(azure: Azure, postdeploy: Run) -> None:
    """With azd's variables the hook deploys events.bicep with the outputs, and says so."""
    run = postdeploy(**OUTPUTS, AZURE_SUBSCRIPTION_ID="2222")

    assert (run.returncode, run.stderr) == (0, "")
    assert "Done" in run.stdout
    assert [dict(pairwise(words))["--subscription"] for words in azure.asked] == ["2222"] * 2
    (words,) = deployments(azure)
    options = dict(pairwise(words))
    assert options["--location"] == "westeurope"
    template = Path(options["--template-file"])
    assert template.resolve() == ROOT / "infra" / "events.bicep"
    assert azure.parameters == {
        "appName": "func-abc",
        "resourceGroupName": "rg-nsgflow",
        "deadLetterStorageId": "/subscriptions/1/storageAccounts/st",
        "deadLetterContainer": "eventgrid-deadletter",
        "sources": SOURCES,
    }


@pytest.mark.parametrize("written", ["AZURE_LOCATION", "azurE_LOCATION"])
def test_events_are_deployed_from_a_named_deployment(
    azure: Azure, postdeploy: Run, written: str
) -> None:
    """Without azd the outputs come from the deployment, however they are written there."""
    first = written.partition("_")[0] == "azurE"
    outputs: dict[str, object] = {
        re.sub(r"^(\w+?)([A-Z])_", lambda at: at[1].lower() + at[2] + "_", name)
        if first
        else name: value
        for name, value in OUTPUTS.items()
    }
    assert written in outputs
    sources = next(name for name in outputs if name.endswith("EVENT_SOURCES"))
    azure.answer("outputs", json.dumps(outputs | {sources: SOURCES}))
    run = postdeploy("first")

    assert (run.returncode, run.stderr) == (0, "")
    assert azure.parameters["sources"] == SOURCES
    assert azure.parameters["appName"] == "func-abc"


def test_running_it_again_asks_for_the_same(azure: Azure, postdeploy: Run) -> None:
    """With subscriptions that exist already it deploys the same again, under the same name."""
    for _ in range(2):
        assert postdeploy(**OUTPUTS).returncode == 0
    first, second = (
        [word for word in words if not word.startswith("@")] for words in deployments(azure)
    )

    assert first == second


def test_without_the_key_nothing_is_deployed(azure: Azure, postdeploy: Run) -> None:
    """While the app has no key, the hook says what to do and fails."""
    azure.answer("key", "no")
    run = postdeploy(**OUTPUTS)

    assert run.returncode == 1
    assert "has no key blobs_extension yet" in run.stderr
    assert "deploy the code" in run.stderr
    assert deployments(azure) == []


def test_the_hook_waits_for_the_key(azure: Azure, postdeploy: Run) -> None:
    """A key that appears while the hook waits is as good as one that was there."""
    azure.answer("key", "no")
    azure.answer("key.later", "yes")
    azure.answer("sleep", "#!/bin/sh\n")
    (azure.folder / "sleep").chmod(0o755)
    run = postdeploy(**OUTPUTS, NSGFLOW_KEY_WAIT_SECONDS="20")

    assert (run.returncode, run.stderr) == (0, "")
    assert "Waiting for the app's key" in run.stdout
    assert len(deployments(azure)) == 1


def test_why_the_key_could_not_be_read_is_shown(azure: Azure, postdeploy: Run) -> None:
    """When az cannot read the key, its own words are shown."""
    azure.answer("functionapp-keys-list.fails", "ERROR: (ServiceUnavailable) Host is not running")
    run = postdeploy(**OUTPUTS)

    assert run.returncode == 1
    assert "(ServiceUnavailable) Host is not running" in run.stderr
    assert "has no key blobs_extension yet" in run.stderr
    assert deployments(azure) == []


def test_a_failed_deployment_fails_the_hook(azure: Azure, postdeploy: Run) -> None:
    """When az cannot deploy, its own words and what may help are shown."""
    azure.answer("deployment-sub-create.fails", "ERROR: Webhook validation handshake failed")
    run = postdeploy(**OUTPUTS)

    assert run.returncode == 1
    assert "Webhook validation handshake failed" in run.stderr
    assert "running this again may be enough" in run.stderr
    assert "Done" not in run.stdout


def test_the_parameters_file_is_removed(azure: Azure, postdeploy: Run, tmp_path: Path) -> None:
    """Nothing is left in the temporary folder, failed or not."""
    before = set(tmp_path.iterdir())
    postdeploy(**OUTPUTS)
    azure.answer("key", "no")
    postdeploy(**OUTPUTS)

    assert [at for at in set(tmp_path.iterdir()) - before if at.name.startswith("tmp")] == []


@pytest.mark.parametrize("missing", OUTPUTS)
def test_a_missing_output_is_named(azure: Azure, postdeploy: Run, missing: str) -> None:
    """Without one of the outputs the hook names it and asks az for nothing."""
    run = postdeploy(**{name: value for name, value in OUTPUTS.items() if name != missing})

    assert run.returncode == 1
    assert f"{missing} is not set" in run.stderr
    assert azure.asked == []


def test_a_deployment_that_is_not_there_fails_the_hook(azure: Azure, postdeploy: Run) -> None:
    """A deployment that az does not find is an error of az's, and the hook's."""
    azure.answer("deployment-sub-show.fails", "ERROR: (DeploymentNotFound) first")
    run = postdeploy("first")

    assert run.returncode == 1
    assert "(DeploymentNotFound) first" in run.stderr
    assert deployments(azure) == []


def test_without_az_the_hook_says_so(tmp_path: Path) -> None:
    """Without the Azure CLI the hook says that it is needed."""
    for tool in ("dirname", "tr", "mktemp"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    shell = str(shutil.which("sh"))
    run = subprocess.run(
        [shell, HOOKS / "postdeploy.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert "Azure CLI (az) is needed" in run.stderr


def test_the_key_is_never_asked_for() -> None:
    """The hooks ask whether there is a key, and let the template read it."""
    for script in HOOKS.glob("postdeploy.*"):
        text = re.sub(r"[\\`]\n\s*", "", script.read_text())
        asked = re.findall(r"keys list .*--output tsv --query \"(systemKeys.*)", text)

        assert asked
        assert all(text.startswith("systemKeys.blobs_extension && 'yes'") for text in asked)


def test_both_shells_ask_az_for_the_same() -> None:
    """The hooks of both shells use the same commands and options of az."""

    def commands(script: Path) -> set[tuple[str, ...]]:
        text = re.sub(r"(?m)^\s*#.*$", "", script.read_text())
        text = re.sub(r"[\\`]\n\s*", "", text)
        text = re.sub(r"\$\{subscription:\S+ \S+\}|@scope", "--subscription", text)
        found = re.findall(r"(?m)(?<![\w.])az ((?:[a-z]+ )+--[a-z].*)$", text)
        return {
            (*at.split(" --")[0].split(), *sorted(re.findall(r"--[a-z-]+", at))) for at in found
        }

    shell, powershell = commands(HOOKS / "postdeploy.sh"), commands(HOOKS / "postdeploy.ps1")

    assert len(shell) == 3
    assert shell == powershell


@pytest.mark.parametrize("suffix", ["sh", "ps1"])
def test_azd_down_is_stopped(suffix: str) -> None:
    """The hook before azd down fails and says where the right commands are."""
    script = HOOKS / f"predown.{suffix}"
    shell = shutil.which("pwsh" if suffix == "ps1" else "sh")
    if shell is None:
        assert script.read_text().endswith("\nexit 1\n")
        return
    run = subprocess.run([shell, script], capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert "docs/deployment.md" in run.stderr
