"""Files, folders and standard input in the place of accounts."""

import datetime as dt
import gzip
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from nsgflow_core.cli.main import app

HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
LOGS = {version: large_log(3, 20, 0.5, version, 1) for version in (2, 4)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is opened, whatever the settings name."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")


def run(*words: str, status: int = 0) -> str:
    """The output of a command."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.output


def lines(*sources: str) -> int:
    """How many flows are shown."""
    return len(
        run("flows", *sources, "--display-allowed", "--display-direction", "both").splitlines()
    )


def test_a_file_a_folder_and_gzip(tmp_path: Path) -> None:
    """As azcopy keeps them, and loose ones; NDJSON is the same records one a line."""
    nic = Nic()
    for version, path in ((2, nsg_path(nic, HOUR)), (4, vnet_path(nic, HOUR))):
        kept = tmp_path / "copy" / path
        kept.parent.mkdir(parents=True)
        kept.write_bytes(LOGS[version])
    loose = tmp_path / "PT1H.json.gz"
    loose.write_bytes(gzip.compress(LOGS[2]))
    by_line = tmp_path / "flows.ndjson"
    by_line.write_bytes(
        LOGS[4].removeprefix(b'{"records":[').removesuffix(b"]}").replace(b'},{"time', b'}\n{"time')
    )

    assert lines(str(tmp_path / "copy")) == 120
    assert lines(str(loose)) == lines(str(by_line)) == 60
    assert "PROD-WEB-NSG" in run("flows", str(loose), "--display-direction", "both")
    assert lines(str(loose), "--since", "2026-01-01T12:30") < 60
    assert lines(str(tmp_path / "copy"), "--since", "2026-01-01T13:00") == 1  # why there is nothing


@pytest.mark.parametrize("words", ["flows", "flows -o json", "flows -o table", "denied"])
def test_files_need_no_sdk(words: str, tmp_path: Path) -> None:
    """What reads files imports nothing that signs in, asks the network or judges rules."""
    log = tmp_path / "PT1H.json"
    log.write_bytes(LOGS[2])
    unneeded = ("azure", "requests", "urllib3", "ssl", "asyncio", "rich", "cryptography")
    script = (
        "import sys\nfrom nsgflow_core.cli.main import app\n"
        f"try:\n app({[*words.split(), str(log)]!r})\nexcept SystemExit as exc:\n"
        " assert not exc.code\n"
        f"found = [name for name in sys.modules if name.split('.')[0] in {unneeded!r}]\n"
        "found += [name for name in ('nsgflow_core.estate.verdict',) if name in sys.modules]\n"
        "sys.exit('imported: ' + ', '.join(found) if found else None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "PROD-WEB-NSG" in done.stdout


def test_standard_input() -> None:
    """Compressed or not."""
    for data in (LOGS[4], gzip.compress(LOGS[4])):
        shown = subprocess.run(
            [sys.executable, "-m", "nsgflow_core", "denied", "-", "--by", "direction", "-o", "csv"],
            input=data,
            capture_output=True,
            check=True,
        ).stdout
        counts = [int(line.split(b",")[1]) for line in shown.splitlines()[1:]]
        assert sum(counts) == 30


def test_what_is_no_file(tmp_path: Path) -> None:
    """It is named; and so are files next to accounts, and what tail cannot follow."""
    (tmp_path / "x.json").write_text("{}")
    assert "there is no file" in run("denied", "gone.json", status=2)
    assert "not both" in run("denied", str(tmp_path / "x.json"), "myaccount", status=2)
    assert "tail follows accounts" in run("tail", str(tmp_path / "x.json"), status=2)
