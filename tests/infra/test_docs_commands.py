"""The commands of docs/deployment.md, run as they are printed against stubs that know az."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import release

ROOT = Path(__file__).parents[2]
APP = ("function_app.py", "host.json", "requirements.txt", "nsgflow_core")
TEXT = (ROOT / "docs" / "deployment.md").read_text()

# az, as far as the docs use it: what may follow each command, and what it prints with --output tsv.
# https://learn.microsoft.com/cli/azure/reference-index
COMMANDS = {
    "account show": ({"query", "output"}, "11111111-1111-1111-1111-111111111111"),
    "deployment sub create": ({"name", "location", "template-file", "parameters"}, ""),
    "eventgrid system-topic delete": ({"yes", "resource-group", "name"}, ""),
    "eventgrid system-topic event-subscription delete": (
        {"yes", "resource-group", "system-topic-name", "name"},
        "",
    ),
    "functionapp deployment source config-zip": (
        {"build-remote", "src", "resource-group", "name"},
        "",
    ),
    "functionapp list": ({"resource-group", "query", "output"}, "func-abc"),
    "functionapp list-flexconsumption-locations": ({"output"}, "westeurope"),
    "group delete": ({"yes", "name"}, ""),
    "identity list": ({"resource-group", "query", "output"}, "principal"),
    "resource delete": ({"ids"}, ""),
    "resource list": ({"resource-group", "query", "output"}, "/c\n/d"),
    "resource update": ({"api-version", "set", "ids"}, ""),
    "role assignment delete": ({"ids"}, ""),
    "role assignment list": ({"all", "subscription", "assignee", "query", "output"}, "/a\n/b"),
}

STUB = f"""#!{sys.executable}
import json, pathlib, sys

name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with (pathlib.Path(sys.argv[0]).parent / "asked").open("a") as asked:
    asked.write(json.dumps([name, *words]) + "\\n")
commands = {COMMANDS!r}
if name == "az":
    options = [word for word in words if word.startswith("--")]
    command = " ".join(words[: words.index(options[0])])
    if command not in commands:
        sys.exit(f"az: {{command!r}} is misspelled or not recognized by the system.")
    allowed, prints = commands[command]
    wrong = [option for option in options if option[2:] not in allowed]
    if wrong:
        sys.exit(f"az: unrecognized arguments: {{wrong}}")
    for option, word in zip(words, words[1:]):
        if option in {{"--template-file", "--src"}} and not pathlib.Path(word).is_file():
            sys.exit(f"az: no such file: {{word}}")
    print(prints)
"""


def blocks(heading: str) -> list[str]:
    """The shell blocks of a section."""
    section = re.search(rf"(?ms)^## {heading}\n(.*?)(?=^## |\Z)", TEXT)
    assert section is not None
    return re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clone's files and a release's, and stubs that write down what they are asked."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    for name in ("az", "python3"):
        (stubs / name).write_text(STUB)
        (stubs / name).chmod(0o755)
    for name in ("infra", "nsgflow_core", "function_app.py", "host.json", "requirements.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(folder: Path, script: str) -> list[list[str]]:
    """Run a block as it is printed; what was asked of the stubs."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": f"{folder / 'stubs'}:/usr/bin:/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in (folder / "stubs" / "asked").read_text().splitlines()]


def option(words: list[str], name: str) -> str:
    """What follows an option."""
    return words[words.index(f"--{name}") + 1]


def test_three_steps_with_a_release(folder: Path) -> None:
    """Template, package, hook; nothing of the clone is needed."""
    (folder / "infra").unlink()
    (folder / "main.json").write_text("{}")
    release.write_zip(folder / "nsgflow.zip", release.app_files())
    release.write_zip(folder / "nsgflow-hooks.zip", release.hook_files())
    program = "import sys, zipfile; zipfile.ZipFile(sys.argv[2]).extractall()"
    unzip = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{program}" "$@"\n'
    (folder / "stubs" / "unzip").write_text(unzip)
    (folder / "stubs" / "unzip").chmod(0o755)
    asked = run(folder, blocks("Without azd")[0])

    deployed, _, code, hook = asked
    assert option(deployed, "template-file") == "main.json"
    accounts = next(word for word in deployed if word.startswith("flowLogAccounts="))
    assert list(json.loads(accounts.partition("=")[2])[0]) == ["resourceId"]
    assert option(code, "name") == "func-abc"
    assert hook[0] == "python3"
    assert (folder / hook[1]).is_file()
    assert (folder / "infra" / "events.json").is_file()
    assert hook[2] == option(deployed, "name")


def test_the_first_two_steps_from_a_clone(folder: Path) -> None:
    """The package has the app, and no caches."""
    zipping = folder / "stubs" / "zip"
    zipping.write_text(STUB + "open(words[1], 'w').close()\n")
    zipping.chmod(0o755)
    asked = run(folder, blocks("Without azd")[1])

    assert [words[0] for words in asked] == ["az", "zip", "az", "az"]
    assert option(asked[0], "template-file") == "infra/main.bicep"
    assert all((ROOT / name).exists() for name in asked[1][3:-2])
    assert {"function_app.py", "host.json", "requirements.txt", "nsgflow_core"} == set(
        asked[1][3:-2]
    )


def test_looking_first_without_azd(folder: Path) -> None:
    """The hook is there, and gets what it needs."""
    script = blocks("Without azd")[2]
    asked = run(folder, script)

    assert (ROOT / asked[-1][1]).is_file()
    given = set(re.findall(r"\b([A-Z_]{6,})=", script))
    assert given == {
        "AZURE_SUBSCRIPTION_ID",
        "AZURE_LOCATION",
        "AZURE_ENV_NAME",
        "NSGFLOW_FLOW_LOG_ACCOUNTS",
    }


def test_uninstalling_by_hand(folder: Path) -> None:
    """On macOS too: each role goes, one by one; of a group that was there, only what is ours."""
    script, made, there_before = blocks("Uninstall")
    asked = run(folder, script)
    deleted = [" ".join(words[1:4]) for words in asked if "delete" in words]

    assert deleted.count("role assignment delete") == 4
    assert "group delete" not in script
    assert "xargs" not in script
    ours = '[?tags."azd-env-name"==`nsgflow`]'
    assert [option(words, "query") for words in asked[:2]] == [
        f"{ours}.principalId",
        f"{ours}.name",
    ]
    assert run(folder, made)[-1][1:] == ["group", "delete", "--yes", "--name", "rg-nsgflow"]
    listed, gone = run(folder, there_before)[-2:]
    assert option(listed, "query") == f"{ours}.id"
    assert gone[1:] == ["resource", "delete", "--ids", "/c", "/d"]
    names = {word for words in asked for word in words if word.startswith("func-abc-")}
    assert names == {"func-abc-nsg-FlowLogs", "func-abc-vnet-FlowLogs"}


@pytest.mark.parametrize("section", ["Filtered flow logs"])
def test_other_commands_are_known_to_az(folder: Path, section: str) -> None:
    """Options that az has."""
    for script in blocks(section):
        assert run(folder, script)


def test_the_way_of_a_newcomer_is_ten_lines() -> None:
    """Everything else is behind it."""
    first = TEXT.index("## In ten lines")
    commands = [line for block in blocks("In ten lines") for line in block.splitlines()]

    assert len(commands) <= 10
    assert all(line.startswith("azd ") for line in commands)
    assert first < TEXT.index("## Prerequisites")


def test_every_section_is_in_the_list() -> None:
    """Nobody has to scroll to find out."""
    headings = [at.lower().replace(" ", "-") for at in re.findall(r"(?m)^## (.+)$", TEXT)]

    assert re.findall(r"(?m)^- \[.*\]\(#(.*)\)$", TEXT) == headings[1:]
