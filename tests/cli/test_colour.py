"""Colours: for terminals, unless someone says otherwise; what is typed comes before NO_COLOR."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from devtools.flowlogs import large_log
from nsgflow_core.cli.lazy_group import LazyGroup
from tests.cli.conftest import ROOT
from tests.cli.terminal import on_terminal
from tests.cli.test_help import commands, root

ESCAPE = "\x1b["
_PLAIN = {"dead-letters show"}
"""Commands that show text and have nothing to colour."""


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A log with denied flows."""
    file = tmp_path / "PT1H.json"
    file.write_bytes(large_log(3, 20, 0.5, 2, 1))
    return str(file)


def piped(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose output goes into a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *words],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("flags", "environ", "terminal", "pipe"),
    [
        ([], {}, True, False),
        (["--color", "auto"], {}, True, False),
        ([], {"NO_COLOR": "1"}, False, False),
        (["--color", "always"], {}, True, True),
        (["--color", "ALWAYS"], {"NO_COLOR": "1"}, True, True),
        (["--color=never"], {}, False, False),
        (["--color=always"], {"TERM": "dumb"}, True, True),
        ([], {"TERM": "dumb"}, False, False),
    ],
)
def test_when_there_are_colours(
    log: str, flags: list[str], environ: dict[str, str], terminal: bool, pipe: bool
) -> None:
    """On a terminal and in a pipe; stderr in a pipe has none at all."""
    for words in (["denied", log], ["flows", log, "-o", "table", "--display-direction=both"]):
        given = {"TERM": "xterm", "NO_COLOR": ""} | environ
        assert (ESCAPE in on_terminal([*words, *flags], 120, **given)) is terminal
        done = piped(*words, *flags, **given)
        assert (ESCAPE in done.stdout) is pipe
        assert ESCAPE not in done.stderr


def test_data_is_never_coloured(log: str) -> None:
    """JSON and CSV are for programs, whatever is asked for."""
    for form in ("json", "csv"):
        assert ESCAPE not in piped("denied", log, "-o", form, "--color=always").stdout


def test_a_wrong_word(log: str) -> None:
    """It is named with those that there are."""
    done = piped("denied", log, "--color", "red")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--color 'red' is not one of auto, always, never" in done.stderr


@pytest.mark.parametrize("typed", [
    "--color always denied {log}",
    "--color=ALWAYS --utc --verbose denied {log}",
    "denied --color always {log}",
    "--color never denied {log} --color always",
])  # fmt: skip
def test_flags_that_commands_share_stand_before_or_behind_them(log: str, typed: str) -> None:
    """What is behind comes first."""
    done = piped(*typed.format(log=log).split())
    assert done.returncode == 0
    assert done.stdout.startswith(f"{ESCAPE}1mflows  sources")


@pytest.mark.parametrize("typed", ["--color red completion bash", "silence --color red list"])
def test_a_wrong_word_before_a_command(typed: str) -> None:
    """It is named by commands that have no colours, too."""
    done = piped(*typed.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "--color 'red' is not one of auto, always, never" in done.stderr


def test_a_command_without_colours_lets_the_flag_be() -> None:
    """An alias may always give it."""
    for word in ("--color=always", "--utc", "--verbose"):
        assert piped(word, "completion", "bash").stdout == piped("completion", "bash").stdout


@pytest.mark.parametrize("words", commands(root()), ids=" ".join)
def test_what_draws_takes_the_option(words: tuple[str, ...]) -> None:
    """Every command with a table or lines to colour."""
    context: Any = typer.Context(root())
    for word in words:
        context = typer.Context(context.command.get_command(context, word), parent=context)
    if isinstance(context.command, LazyGroup):  # which hands it down
        return
    options = {name: param for param in context.command.params for name in param.opts}
    forms = getattr(options.get("--output"), "metavar", "") or ""
    draws = {"table", "text"} & set(forms.split("|")) or words == ("replay",)
    assert ("--color" in options) == (bool(draws) and " ".join(words) not in _PLAIN)
