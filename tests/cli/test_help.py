"""`--help`: at once, complete, and the same in every place."""

import subprocess
import sys
import tomllib

import pytest
import typer

from nsgflow_core import terms
from nsgflow_core.cli.lazy_group import LazyGroup
from nsgflow_core.cli.main import app
from tests.cli.conftest import ROOT

_SLOW = ("azure", "rich", "msgspec", "requests", "concurrent", "pydantic")


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


def test_version() -> None:
    """As the package has it, and without what asks which packages are installed."""
    script = (
        "import sys\nfrom nsgflow_core.cli.main import app\n"
        "try:\n app(['--version'])\nexcept SystemExit:\n pass\n"
        f"sys.exit(', '.join(m for m in sys.modules if m in {(*_SLOW, 'email', 'zipfile')!r}))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (done.stdout, done.stderr) == (f"nsgflow {project['version']}\n", "\n")


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


@pytest.mark.parametrize("words", ["", "filter", *map(" ".join, _COMMANDS)])
def test_help_fits_sixty_columns(words: str) -> None:
    """No word is broken, and no line but what is typed is longer."""
    narrow, wide = help_of(words, 60), help_of(words, 120)
    assert [word for word in narrow.split() if word not in wide.split()] == []
    long = [line for line in narrow.splitlines() if len(line) > 60]
    assert [line for line in long if not line.startswith("  nsgflow ")] == []


def help_of(words: str, columns: int = 80) -> str:
    """What `nsgflow help` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", "help", *words.split()],
        cwd=ROOT,
        env={"COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_help_is_a_command_too() -> None:
    """The same as --help, of groups and the commands below them as well."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for words in ("", "denied", "silence", "dead-letters list"):
        assert f"## {f'nsgflow {words}'.strip()}\n\n```\n{help_of(words)}```\n" in text


def test_help_of_filter_terms_is_what_the_docs_say() -> None:
    """Every key with its example and meaning; docs/configuration.md has the same words."""
    shown = " ".join(help_of("filter").split())
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert terms.KEYS
    for key, told in terms.KEYS.items():
        assert f" {told.example} {terms.plain(f'{told.values}: {told.matches}')}" in shown
        assert f"| `{key}` | {told.values} | `{told.example}` | {told.matches} |" in text
    for example, passes in terms.EXAMPLES:
        assert f"{example} {passes}" in shown
        assert f"| `{example}` | {passes} |" in text


def test_help_of_what_there_is_not() -> None:
    """A near name is offered."""
    command = [sys.executable, "-m", "nsgflow_core", "help", "denid"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean 'denied'?" in done.stderr
