"""Where nobody is signed in, each command names a mend that it takes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nsgflow_core.cli.mends import asked, mend_of
from tests.cli.conftest import ROOT

SETTINGS = {
    "FlowLogs__blobServiceUri": "https://mylogs.blob.core.windows.net",
    "FlowLogs__queueServiceUri": "https://mylogs.queue.core.windows.net",
    "AzureWebJobsStorage__accountName": "hoststore",
    "NSGFLOW_WEBHOOK_URL": "http://127.0.0.1:9/x",
    "NSGFLOW_WEBHOOK_FORMAT": "slack",
}
KEY = "or set STORAGE_ACCOUNT_KEY"
STRINGS = "or set AzureWebJobsStorage and FlowLogs to connection strings"
FILE = "or name a file that 'nsgflow inventory --export' wrote, in the place of azure"


def signed_out(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command where az is not there; nothing else is tried, so that no test waits for it."""
    kept = {"PATH": str(folder), "HOME": str(folder)}
    chosen = {"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}
    return subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *shlex.split(command)], cwd=ROOT, check=False,
        env=kept | chosen | more, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "mend"),
    [
        ("flows mylogs", KEY),
        ("denied mylogs", KEY),
        ("tail mylogs", KEY),
        ("logs mylogs", KEY),
        ("why 10.0.0.4 10.0.0.5:22 mylogs", KEY),
        ("report mylogs -o {}/denied.html", KEY),
        ("why 10.0.0.4 10.0.0.5:22 --inventory", FILE),
        ("denied mylogs --inventory azure", FILE),
        ("inventory", FILE),
        ("coverage", FILE),
    ],
)
def test_commands_that_read_logs(command: str, mend: str, tmp_path: Path) -> None:
    """A key does for an account, a file for the inventory."""
    done = signed_out(command.format(tmp_path), tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(rf"sign in with az login, {re.escape(mend)}\n$", done.stderr), done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("checkpoints", "replay --since 2h", "dead-letters list", "dead-letters show abcd"),
        *("dead-letters resend --all", "silence list", "silence port=22 --for 2h"),
        *("silence end abcd", "mark", "mark now"),
    ],
)
def test_commands_of_the_function(command: str, tmp_path: Path) -> None:
    """They take its settings, and no key of their own."""
    done = signed_out(command, tmp_path, **SETTINGS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"sign in with az login, {STRINGS}\n"), done.stderr


def test_check(tmp_path: Path) -> None:
    """A line for everything, and each says to sign in; no role would help."""
    done = signed_out("check", tmp_path, **SETTINGS)
    assert (done.returncode, done.stderr) == (1, "")
    lines = [line for line in done.stdout.splitlines() if "DefaultAzureCredential" in line]
    assert [line.split(": ")[0] for line in lines] == ["MISSING FlowLogs", *["MISSING state"] * 2]
    assert all(line.endswith(f"sign in with az login, {STRINGS}") for line in lines)


def test_the_functions_inventory(tmp_path: Path) -> None:
    """It is in the function's storage, which a key of an account does not open."""
    done = signed_out("denied mylogs --inventory app", tmp_path, **SETTINGS)
    assert "or set AzureWebJobsStorage to a connection string\n" in done.stderr


def test_where_no_network_is() -> None:
    """No name of an account is wrong where the sign-in service is out of reach."""
    said = (
        "mylogs: list x: DefaultAzureCredential failed to retrieve a token: EnvironmentCredential: "
        "HTTPSConnectionPool(host='login.microsoftonline.com', port=443): Failed to resolve"
    )
    assert "reaches login.microsoftonline.com" in mend_of(said)
    with asked(of_app=True):
        assert "account's name right" in mend_of("Failed to resolve 'mylogs.blob'")
