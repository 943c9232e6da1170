"""The examples in help: every command has some, and each does what a user would see it do."""

import datetime as dt
import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from nsgflow_core.cli.examples import EXAMPLES
from nsgflow_core.filter import compile_terms
from tests.cli.conftest import Store
from tests.cli.test_help import commands, root

_EXAMPLES = [(words, typed) for words, found in EXAMPLES.items() for _, typed in found]
_FILES = {"", "flows", "denied", "why", "simulate", "report", "export", "sql", "help", "completion"}
"""Commands whose examples run on files alone, less those that ask Azure."""
_STATE = {"checkpoints", "replay", "dead-letters list", "silence", "silence add", "silence list"}
_STATE |= {"mark", "dead-letters resend"}
"""Commands whose examples run on the state of a deployed function, less those with an id."""
_WIDTH = 78
_RULES = {
    "id": "/subscriptions/1/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/"
    "web-nsg",
    "name": "web-nsg",
    "securityRules": [],
    "defaultSecurityRules": [],
}


def on_files(words: str, typed: str) -> bool:
    """Whether an example needs nothing but files."""
    return words in _FILES and not re.search("--inventory|fish|zsh", typed)


def on_state(words: str, typed: str) -> bool:
    """Whether an example needs the state of a deployed function, and nothing in it."""
    return words in _STATE and not typed.endswith(("9f2c", "4be1"))


def test_every_command_has_examples() -> None:
    """Groups too, and the command line as a whole; they name no command that there is not."""
    assert set(EXAMPLES) == {"", *map(" ".join, commands(root()))}
    assert all(found and found[0][1] for found in EXAMPLES.values())


@pytest.mark.parametrize(("words", "typed"), _EXAMPLES)
def test_examples_are_commands(words: str, typed: str) -> None:
    """They fit 80 columns, are of the command whose help has them, and typer takes them."""
    assert len(typed) <= _WIDTH
    assert f"nsgflow {words}".strip() in typed
    lexer = shlex.shlex(typed, posix=True, punctuation_chars="|<>()")
    lexer.whitespace_split = True
    tokens = list(lexer)
    begin = tokens.index("nsgflow") + 1
    end = next((at for at, word in enumerate(tokens) if at > begin and word in "|>)"), None)
    context: Any = root().make_context("nsgflow", tokens[begin:end])
    while hasattr(context.command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, left = context.command.resolve_command(context, rest)
        context = command.make_context(name, left, parent=context)
    for terms in context.params.get("filter_terms") or ():
        compile_terms(terms)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name: logs, rules, and what was exported."""
    place = tmp_path_factory.mktemp("examples")
    hour = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    for version, path in ((2, nsg_path(Nic(), hour)), (4, vnet_path(Nic(), hour))):
        log = place / "mylogs" / path
        log.parent.mkdir(parents=True)
        log.write_bytes(large_log(3, 20, 0.5, version, 1))  # type: ignore[arg-type]
    data = large_log(3, 20, 0.5, 2, 1)
    (place / "PT1H.json").write_bytes(data)
    (place / "PT1H.json.gz").write_bytes(gzip.compress(data))
    (place / "nsgs.json").write_text(json.dumps([_RULES]))
    made = run("nsgflow export PT1H.json -o day.parquet", place)
    assert made.returncode == 0, made.stderr
    return place


def run(typed: str, place: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Type a line into a shell there."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {typed}"],
        cwd=place,
        env={"PATH": path, "HOME": str(place)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "typed"), [example for example in _EXAMPLES if on_files(*example)]
)
def test_examples_run_on_files(folder: Path, words: str, typed: str) -> None:
    """Those that need no account: typed into a shell as they stand."""
    if "powershell" in typed:
        typed = typed.partition("|")[0]
    done = run(typed, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout or re.search("-o |<\\(|--since|--filter", typed)


@pytest.mark.parametrize(
    ("words", "typed"), [example for example in _EXAMPLES if on_state(*example)]
)
def test_examples_run_on_state(store: Store, tmp_path: Path, words: str, typed: str) -> None:
    """Those that take the settings of the deployed function."""
    store.log(nsg_path(Nic(), dt.datetime.now(dt.UTC)), [])
    settings = {
        "AZURE_STORAGE_CONNECTION_STRING": store.azurite.connection_string,
        "NSGFLOW_WEBHOOK_URL": "https://hooks.example.com/x",
        "NSGFLOW_WEBHOOK_FORMAT": "slack",
    }
    done = run(typed, tmp_path, **settings)
    assert done.returncode == 0, done.stderr
