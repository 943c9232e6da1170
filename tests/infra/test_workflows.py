"""The workflows: of the right form, with nothing unpinned and no right too many."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def checked(*words: "str | Path") -> str:
    """What a command has to say against them."""
    run = subprocess.run([*words, *WORKFLOWS], capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def test_they_are_of_the_form_that_github_takes() -> None:
    """By the schema of workflow files."""
    program = Path(sys.executable).with_name("check-jsonschema")

    assert checked(program, "--builtin-schema", "vendor.github-workflows") == ""


def test_nothing_is_unpinned_or_may_too_much() -> None:
    """By zizmor: actions by hash, permissions, injection, credentials that stay."""
    program = Path(sys.executable).with_name("zizmor")

    assert checked(program, "--offline", "--no-progress", "--min-severity=medium") == ""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda at: at.name)
def test_each_action_says_its_version(path: Path) -> None:
    """A hash says nothing to a person."""
    for line in re.findall(r"uses: (\S+@.*)", path.read_text()):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_deploying_takes_no_az_and_no_secret() -> None:
    """Azd alone is signed in, by OpenID Connect."""
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()

    assert "--federated-credential-provider github" in text
    assert "id-token: write" in text
    assert not re.search(r"azure/login|client-secret|(?m:^ +(?:run: )?az )", text, re.IGNORECASE)


def test_further_settings_reach_the_deployment(tmp_path: Path) -> None:
    """As variables of the steps that follow; JSON and spaces in them stay as they are."""
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    (script,) = re.findall(r"(?m)^        run: (printf .*GITHUB_ENV\"?)$", text)
    file = tmp_path / "env"
    given = 'NSGFLOW_TRIGGER_SOURCE=Queue\r\nNSGFLOW_TAGS={"a": "b c"}'
    environ = {"NSGFLOW_SETTINGS": given, "GITHUB_ENV": str(file), "PATH": os.environ["PATH"]}
    subprocess.run(["bash", "-euc", script], env=environ, check=True)

    assert file.read_text() == 'NSGFLOW_TRIGGER_SOURCE=Queue\nNSGFLOW_TAGS={"a": "b c"}\n'
    assert text.index("GITHUB_ENV") < text.index("azd provision")
