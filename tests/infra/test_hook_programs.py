"""The hooks as programs: as azd starts them, whoever is signed in, on consoles of all kinds."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nsgflow_hooks import events, signin
from nsgflow_hooks.environment import outputs
from nsgflow_hooks.errors import HookError
from nsgflow_hooks.start import start

from devtools import bicep, templates
from tests.infra.azure_world import SUBSCRIPTION, TOKEN, World

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / "infra" / "hooks"
NAMES = ["preprovision", "postdeploy", "predown", "postdown"]


def pythons() -> list[str]:
    """Every Python that azd may find here: macOS brings 3.9."""
    return list(dict.fromkeys([sys.executable, *here(range(9, 15))]))


def here(minors: range) -> list[str]:
    """The Pythons 3 of these versions."""
    found = []
    for minor in minors:
        if shutil.which(f"python3.{minor}"):
            # A version manager's shim does not run with an empty PATH; what it starts does.
            words = [f"python3.{minor}", "-c", "import sys; print(sys.executable)"]
            run = subprocess.run(words, capture_output=True, text=True, check=False)
            found += [run.stdout.strip()] if run.returncode == 0 else []
        found += map(str, (Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
    return list(dict.fromkeys(found))


PYTHONS = pythons()
OLD = here(range(6, 9))

# Prints what the file beside it says, and notes what it was asked.
STUB = f"""#!{sys.executable}
import pathlib, sys
at = pathlib.Path(__file__)
with at.with_suffix(".asked").open("a") as asked:
    asked.write(repr(sys.argv[1:]) + "\\n")
if not at.with_suffix(".says").exists():
    sys.exit("ERROR: not logged in, run `" + at.name + " login`")
print(at.with_suffix(".says").read_text())
"""
# The hook itself, against a world on loopback in place of the public cloud.
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
from nsgflow_hooks import preprovision
from nsgflow_hooks.arm import Azure
from nsgflow_hooks.signin import SignIn
from nsgflow_hooks.start import start
azure = Azure(SignIn(), sys.argv[1], sys.argv[1], lambda seconds: None)
start(lambda: preprovision.main(azure=azure))
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with an azd and an az in which nobody is signed in."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("azd", "az"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    return folder


def sign_in(tools: Path, name: str, text: str) -> None:
    """Have azd or az print this."""
    (tools / f"{name}.says").write_text(text)


def asked(tools: Path, name: str) -> str:
    """What azd or az was asked."""
    at = tools / f"{name}.asked"
    return at.read_text() if at.exists() else ""


def preprovision(
    world: World, tools: Path, python: str = sys.executable, **environ: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run the hook, somewhere else than in its folder."""
    return subprocess.run(
        [python, "-B", "-c", PROGRAM, world.server.url, str(HOOKS)],
        env={
            "PATH": str(tools),
            "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
            "AZURE_LOCATION": "westeurope",
            "AZURE_ENV_NAME": "prod",
            **environ,
        },
        cwd=tools,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("python", PYTHONS)
def test_only_azd_is_signed_in(world: World, tools: Path, python: str) -> None:
    """As in a pipeline; notices before azd's JSON do not matter."""
    token = json.dumps({"token": TOKEN, "expiresOn": "2030-01-01T00:00:00Z"})
    sign_in(tools, "azd", f"WARNING: a new version is available\n{token}")
    run = preprovision(world, tools, python)

    assert (run.returncode, asked(tools, "az")) == (1, "")
    assert b"NSGFLOW_FLOW_LOG_ACCOUNTS is not set" in run.stderr
    assert "https://management.azure.com/.default" in asked(tools, "azd")
    assert TOKEN.encode() not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "says",
    [None, "", "not json", "{}", "[1]", '{"token": null}', '{"token": "a\\nb"}', '{"token": "€"}'],
)
def test_az_will_do_where_azd_has_no_token(world: World, tools: Path, says: str | None) -> None:
    """Whatever is the matter with azd."""
    if says is not None:
        sign_in(tools, "azd", says)
    sign_in(tools, "az", json.dumps({"accessToken": TOKEN}))
    run = preprovision(world, tools)

    assert run.returncode == 1
    assert b"NSGFLOW_FLOW_LOG_ACCOUNTS is not set" in run.stderr


def test_notices_around_a_token_do_not_matter(world: World, tools: Path) -> None:
    """Braces in them neither."""
    sign_in(tools, "azd", f"try {{x}}\n{json.dumps({'token': TOKEN})}\nnew: {{y}}, {{")
    run = preprovision(world, tools)

    assert b"NSGFLOW_FLOW_LOG_ACCOUNTS is not set" in run.stderr
    assert asked(tools, "az") == ""


def test_who_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, tools: Path) -> None:
    """In words, for each that was asked."""
    for name in ("azd", "az"):
        (tools / name).write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr(signin, "_COMMAND_SECONDS", 0.2)

    with pytest.raises(HookError, match=r"(?s)azd: no answer within .* az: no answer within"):
        signin.SignIn().token("https://management.azure.com")


def test_nobody_is_signed_in(world: World, tools: Path) -> None:
    """Both reasons are said, and no traceback."""
    (tools / "az").unlink()
    run = preprovision(world, tools)
    said = run.stderr.decode()

    assert run.returncode == 1
    assert "nobody is signed in. Run: azd auth login" in said
    assert "azd: ERROR: not logged in" in said
    assert "az: not installed" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_consoles_of_every_encoding(world: World, tools: Path, encoding: str) -> None:
    """A name that the console cannot print does not end the hook in a traceback."""
    sign_in(tools, "azd", json.dumps({"token": TOKEN}))
    run = preprovision(
        world,
        tools,
        PYTHONIOENCODING=encoding,
        NSGFLOW_FLOW_LOG_ACCOUNTS='[{"resourceId": "/subscriptions/日本 … é"}]',
        PYTHONUTF8="1" if encoding == "utf-8" else "0",
    )
    said = run.stderr.decode(encoding)

    assert run.returncode == 1
    assert "its resourceId is no storage account's" in said
    assert "Traceback" not in said
    assert ("日本" in said) == (encoding == "utf-8")


def test_a_topic_that_exists_is_kept_by_azd(world: World, tools: Path) -> None:
    """What is found goes into azd's environment, by azd."""
    account = (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/network"
        "/providers/Microsoft.Storage/storageAccounts/flowlogs"
    )
    world.lists[f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.eventgrid/systemtopics"] = [
        {"id": f"{account}/t", "name": "theirs", "properties": {"source": account}}
    ]
    sign_in(tools, "azd", json.dumps({"token": TOKEN}))
    preprovision(world, tools, NSGFLOW_FLOW_LOG_ACCOUNTS=json.dumps([{"resourceId": account}]))
    kept = asked(tools, "azd").splitlines()[-1]

    assert "'env', 'set', 'NSGFLOW_FLOW_LOG_ACCOUNTS'" in kept
    assert '"systemTopicName": "theirs"' in kept
    assert "'--environment', 'prod'" in kept


def test_looking_can_be_switched_off(world: World, tools: Path) -> None:
    """Whoever knows better is not held up."""
    run = preprovision(world, tools, NSGFLOW_PREFLIGHT="off")

    assert (run.returncode, world.asked) == (0, [])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("old", OLD or [pytest.param("", marks=pytest.mark.skip("none is here"))])
def test_a_python_that_is_too_old_is_told_so(tools: Path, name: str, old: str) -> None:
    """One line, and no traceback about some syntax."""
    run = subprocess.run(
        [old, "-B", HOOKS / f"{name}.py"],
        env={"PATH": str(tools)},
        cwd=tools,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.startswith("nsgflow: the hooks need Python 3.9 or newer, and this is Python ")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("python", PYTHONS)
def test_each_hook_starts(tools: Path, name: str, python: str) -> None:
    """From any folder, with any Python that azd may find; without azd it says what is missing."""
    run = subprocess.run(
        [python, "-B", HOOKS / f"{name}.py"],
        env={"PATH": str(tools)},
        cwd=tools,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in run.stderr
    assert run.returncode == (0 if name in {"predown", "postdown"} else 1)
    assert ("is not set" in run.stderr or "not set: " in run.stderr) == bool(run.returncode)


def test_a_folder_that_one_may_not_write_to(capsys: pytest.CaptureFixture[str]) -> None:
    """The system's own words with the path, and no traceback."""

    def hook() -> int:
        raise PermissionError(13, "Permission denied", "/clone/.azure")

    with pytest.raises(SystemExit, match="1"):
        start(hook)
    assert capsys.readouterr().err == "nsgflow: [Errno 13] Permission denied: '/clone/.azure'\n"


def test_azd_runs_each_hook() -> None:
    """azure.yaml names every hook, one program for all systems."""
    text = (ROOT / "azure.yaml").read_text()
    runs = re.findall(r"(?m)^  (\w+):\n    run: \./(\S+)$", text)

    assert runs == [(name, f"infra/hooks/{name}.py") for name in NAMES]
    assert sorted(at.stem for at in HOOKS.glob("*.py")) == sorted(NAMES)
    assert not re.search(r"posix|windows|shell", text)


def test_azd_installs_nothing_for_the_hooks() -> None:
    """Azd installs what the nearest requirements.txt names; above it would be the whole app's."""
    lines = (HOOKS / "requirements.txt").read_text().splitlines()

    assert [line for line in lines if not line.startswith("#")] == []


def test_the_hooks_need_nothing_but_python() -> None:
    """Every import is of the standard library, or of the hooks."""
    names = set()
    for at in HOOKS.rglob("*.py"):
        names |= set(re.findall(r"(?m)^\s*(?:from|import) (\w+)", at.read_text(encoding="utf-8")))

    assert names - set(sys.stdlib_module_names) == {"nsgflow_hooks"}


def test_the_template_that_the_hook_deploys_takes_what_it_gives() -> None:
    """infra/events.json has the parameters that the hook gives, and reads the key itself."""
    template = json.loads(events.TEMPLATE.read_text(encoding="utf-8"))
    deployed = outputs(
        {
            "AZURE_LOCATION": "westeurope",
            "AZURE_RESOURCE_GROUP": "rg",
            "AZURE_FUNCTION_APP_NAME": "func",
            "NSGFLOW_DEAD_LETTER_STORAGE_ID": "/x",
            "NSGFLOW_DEAD_LETTER_CONTAINER": "c",
            "NSGFLOW_EVENT_SOURCES": [
                {
                    "connection": "FlowLogs",
                    "subscriptionId": SUBSCRIPTION,
                    "resourceGroup": "network",
                    "systemTopicName": "t",
                    "deadLetter": True,
                }
            ],
        },
        SUBSCRIPTION,
        "",
    )
    given = events.parameters(deployed, list(deployed.sources))

    taken = template["parameters"]
    optional = {name for name, at in taken.items() if "defaultValue" in at or at.get("nullable")}
    assert set(taken) - optional <= set(given) <= set(taken)
    (source,) = given["sources"]["value"]
    assert set(source) == set(template["definitions"]["eventSource"]["properties"])
    assert "listKeys(" in json.dumps(template)


def test_the_template_that_the_hook_deploys_is_current() -> None:
    """infra/events.json is infra/events.bicep, compiled."""
    if bicep.find() is None:
        pytest.skip("no Bicep compiler here")

    assert templates.compiled("events") == templates.EVENTS.read_text()
