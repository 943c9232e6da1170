"""The demo's network and its logs tell one story."""

import datetime as dt
import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.demo_estate import tables
from devtools.demo_traffic import whole_logs
from devtools.pictures import write_network
from nsgflow_core.cli.main import app

START = dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its logs."""
    folder = tmp_path_factory.mktemp("demo")
    for path, content in whole_logs(START).items():
        place = folder / path
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
    return folder


def test_its_rules_do_what_its_logs_say(folder: Path, tmp_path: Path) -> None:
    """Every rule that a log names is the one that decides, and as the log says."""
    inventory = tmp_path / "network.nsgflow"
    write_network(inventory, time.time())
    rules = tmp_path / "nsgs.json"
    resources = tables()["resources"]
    rules.write_text(json.dumps([one for one in resources if "securityRules" in one["properties"]]))
    words = ["simulate", "--rules", str(rules), str(folder), "--inventory", str(inventory)]
    words += ["-o", "json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    *groups, last = map(json.loads, result.stdout.splitlines())
    assert last["totals"]["none"] > 10_000
    wrong = [
        one
        for one in groups
        if one["recorded"] != {key: one["evaluated"][key] for key in ("rule", "outcome")}
    ]
    assert wrong == []
