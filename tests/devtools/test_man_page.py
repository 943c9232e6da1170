"""The manual page: every reader of such pages takes it without a warning, and it is complete."""

import shutil
import subprocess
import tomllib

import pytest

from devtools.docs import ROOT
from tests.cli.test_help import commands, root

PAGE = ROOT / "docs" / "nsgflow.1"


@pytest.mark.parametrize(
    "command",
    [
        ["mandoc", "-T", "lint", "-W", "warning"],
        ["groff", "-man", "-Tutf8", "-ww", "-z"],
        ["man", "--warnings", "-l"],
    ],
    ids=lambda command: command[0],
)
def test_readers_take_it(command: list[str]) -> None:
    """None has anything to say of it."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not here")
    environ = {"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PATH": "/usr/bin:/bin", "MANPAGER": "cat"}
    done = subprocess.run(
        [*command, str(PAGE)], env=environ, capture_output=True, text=True, check=False
    )
    said = done.stderr if command[0] == "man" else done.stderr + done.stdout
    assert (done.returncode, said) == (0, "")


def test_it_has_every_command() -> None:
    """Those below groups too, each with its help."""
    text = PAGE.read_text(encoding="ascii")
    for words in commands(root()):
        name = " ".join(words).replace("-", "\\-")
        assert f".SS nsgflow {name}\n" in text
    assert "\n.B \\-\\-suggest\n" in text
    assert "\nnsgflow denied mylogs \\-\\-since 2h\n" in text


def test_it_is_installed() -> None:
    """The package puts it where pipx and uv look for manual pages."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files = settings["tool"]["setuptools"]["data-files"]
    assert files == {"share/man/man1": ["docs/nsgflow.1"]}
