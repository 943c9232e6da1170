"""That what the shell has set is forgotten: all that the product reads, and what tools read."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devtools import shell
from nsgflow_core.config import KNOWN

ROOT = Path(__file__).resolve().parents[2]
_READ = re.compile(
    r"""environ(?:\.get\(|\[)\s*"(\w+)"|"(\w+)" in (?:os\.)?environ|"([A-Z]+_[A-Z_]+)\"""",
)


def read_by_the_product() -> set[str]:
    """Names of environment variables in the product's source, and of its settings."""
    files = [ROOT / "function_app.py", *(ROOT / "nsgflow_core").rglob("*.py")]
    names = {name for at in files for found in _READ.findall(at.read_text()) for name in found}
    names |= KNOWN
    return {
        name
        for name in names - {""}
        if name.startswith(("NSGFLOW_", "AZURE_", "IDENTITY_")) or name.endswith(("_KEY", "_COLOR"))
    }


def test_the_tests_run_without_it() -> None:
    """Here and in each child."""
    assert [name for name in os.environ if shell.is_forgotten(name)] == []
    child = "import os; print(*os.environ)"
    told = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    # Of its own accord Python sets LC_CTYPE where it has no locale.
    named = [name for name in told.stdout.split() if name != "LC_CTYPE"]
    assert [name for name in named if shell.is_forgotten(name)] == []


def test_all_that_the_product_reads_is_forgotten() -> None:
    """A variable that the product reads and the tests keep would let them depend on the shell."""
    names = read_by_the_product()

    assert {"NSGFLOW_WEBHOOK_URL", "AZURE_CLIENT_ID", "STORAGE_ACCOUNT_KEY", "NO_COLOR"} <= names
    assert [name for name in sorted(names) if not shell.is_forgotten(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        *("NSGFLOW_X", "AzureWebJobsStorage__accountName", "FlowLogs2", "AZURE_STORAGE_KEY"),
        *("https_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE", "TZ", "COLUMNS", "PYTHONIOENCODING"),
    ],
)
def test_it_is_taken_out_and_all_else_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this process, and of an environment made for a child."""
    monkeypatch.setenv(name, "x")
    assert name not in shell.without(os.environ)
    assert shell.without(os.environ)["PATH"] == os.environ["PATH"]

    shell.forget()

    assert name not in os.environ


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone is the system's")
def test_the_time_zone_is_forgotten_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zone of a running process changes only when it is told so."""
    before = time.tzname
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert time.tzname == ("JST", "JST")

    shell.forget()

    assert time.tzname == before
