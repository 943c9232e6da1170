"""Where a package is not installed, the command says what installs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from devtools.flowlogs import large_log
from tests.cli.conftest import ROOT

ALL = "pip install 'nsgflow[cli]'"


def without(package: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command where a package is not there."""
    script = (
        "import sys\n"
        "class Nowhere:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if (name + '.').startswith({package!r} + '.'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Nowhere())\n"
        "from nsgflow_core.__main__ import main\n"
        f"sys.argv[1:] = {list(words)!r}\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True,
        env={"PATH": "/usr/bin", "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("package", "words", "said"),
    [
        ("typer", ("denied",), f"install it: {ALL}"),
        ("duckdb", ("sql", "SELECT 1", "log.json"), "pip install duckdb"),
        ("msgspec", ("denied", "log.json"), f"has msgspec is not installed: {ALL}"),
        ("azure.storage.blob", ("denied", "mylogs"), f"azure.storage.blob is not installed: {ALL}"),
        ("azure.identity", ("inventory",), f"azure.identity is not installed: {ALL}"),
        ("requests", ("logs", "mylogs"), f"has requests is not installed: {ALL}"),
    ],
)
def test_it_is_named(package: str, words: tuple[str, ...], said: str) -> None:
    """In one sentence."""
    done = without(package, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [one for one in done.stderr.splitlines() if not one.startswith("nsgflow: asking")]
    assert said in line


@pytest.mark.parametrize("package", ["rich", "isal", "duckdb", "azure"])
def test_what_is_not_needed(package: str, tmp_path: Path) -> None:
    """Files are read with few packages."""
    log = tmp_path / "log.json"
    log.write_bytes(large_log(1, 20, 1, 4, 1))
    done = without(package, "denied", str(log), "--top", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "all " in done.stdout
