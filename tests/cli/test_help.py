"""`--help`: at once, complete, and the same in every place."""

import subprocess
import sys

import pytest
import typer

from nsgflow_core.cli.lazy_group import LazyGroup
from nsgflow_core.cli.main import app
from tests.cli.conftest import ROOT

_SLOW = ("azure", "rich", "msgspec", "requests", "concurrent")


def commands(group: LazyGroup, *above: str) -> list[tuple[str, ...]]:
    """The words of every command and group."""
    context = typer.Context(group)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(context):
        found.append((*above, name))
        if isinstance(below := group.get_command(context, name), LazyGroup):
            found += commands(below, *above, name)
    return found


def root() -> LazyGroup:
    """The whole command line."""
    group = typer.main.get_group(app)
    assert isinstance(group, LazyGroup)
    return group


_ROOT = root()
_COMMANDS = commands(_ROOT)


@pytest.mark.parametrize("words", [(), *_COMMANDS], ids=" ".join)
def test_help_imports_nothing_slow(words: tuple[str, ...]) -> None:
    """Neither Azure's packages nor what the core is built with are imported for a help."""
    script = (
        "import sys\nfrom nsgflow_core.cli.main import app\n"
        f"try:\n app({[*words, '--help']!r})\nexcept SystemExit:\n pass\n"
        f"sys.exit(', '.join(m for m in sys.modules if m.split('.')[0] in {_SLOW!r}) or None)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_the_list_of_commands_says_what_each_says_of_itself(words: tuple[str, ...]) -> None:
    """The list has the first paragraph of a command's help, which it does not import."""
    *above, name = words
    group = _ROOT
    for word in above:
        below = group.get_command(typer.Context(group), word)
        assert isinstance(below, LazyGroup)
        group = below
    command = group.get_command(typer.Context(group), name)
    assert command is not None
    assert group.helps[name] == str(command.help).partition("\n\n")[0]


def test_docs_have_every_command() -> None:
    """docs/cli.md has a section for each command, those of dead letters included."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for words in _COMMANDS:
        assert f"## nsgflow {' '.join(words)}\n" in text
