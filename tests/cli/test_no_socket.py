"""Commands that read files, each in a process of its own in which no socket can be opened."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devtools.estate import Estate
from devtools.flowlogs import large_log
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.cli.main import Nsgflow
from nsgflow_core.estate.resource_graph import read_inventory
from tests.cli.conftest import ROOT
from tests.unit.test_inventory import Graph

_REFUSING = """
import runpy, sys
def refuse(event, arguments):
    if event.startswith("socket."):
        print("opened a socket:", event, arguments, file=sys.stderr)
        raise OSError("no socket may be opened")
sys.addaudithook(refuse)
runpy.run_module("nsgflow_core", run_name="__main__")
"""
"""The imports of a command count: some libraries try a socket when they are imported."""

_REFUSED = ("tail logs/PT1H.json", "coverage logs/PT1H.json")
"""These take no files of flows, and say so without a socket."""

COMMANDS = (
    "flows logs/PT1H.json",
    "flows logs/PT1H.json -o table --inventory network.nsgflow",
    "flows logs -o csv --nsg-name 'prod*' --display-hours 1",
    "flows logs/PT1H.json --filter 'src=internet rule=x nsg=y vm=z'",
    "denied logs/PT1H.json",
    "denied logs/PT1H.json --by vnet,nsg --explain --inventory network.nsgflow",
    "denied logs/PT1H.json --suggest --rules nsgs.json -o json",
    "denied - -o csv --every 5m",
    "why 10.0.0.4 10.0.0.5:22 logs/PT1H.json",
    "why 10.0.0.4 10.0.0.5:22 logs/PT1H.json --inventory network.nsgflow",
    "why 10.0.0.4 10.0.0.5:22 logs/PT1H.json --rules nsgs.json -o json",
    "simulate logs/PT1H.json --rules nsgs.json",
    "simulate logs/PT1H.json --rules nsgs.json --inventory network.nsgflow -o json",
    "report logs/PT1H.json --output report.html --inventory network.nsgflow",
    "export logs/PT1H.json --output flows.parquet",
    "sql 'SELECT count(*) FROM flows' logs/PT1H.json",
    "logs logs/PT1H.json",
    "logs logs --nics --inventory network.nsgflow",
    "coverage --inventory network.nsgflow",
    "inventory network.nsgflow",
    *_REFUSED,
)

_NSG = {
    "id": "/subscriptions/1/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/a",
    "name": "a",
    "securityRules": [],
    "defaultSecurityRules": [],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, rules and an inventory."""
    place = tmp_path_factory.mktemp("offline")
    (place / "logs").mkdir()
    (place / "logs/PT1H.json").write_bytes(large_log(3, 20, 0.5, 2, 1))
    (place / "nsgs.json").write_text(json.dumps([_NSG]))
    estate = Estate()
    vnet = estate.vnet("hub", web="10.0.0.0/24")
    estate.guard(f"{vnet}/subnets/web", estate.nsg("web-nsg", "1-1"))
    write_file(place / "network.nsgflow", Kept(time.time(), read_inventory(Graph(estate)), b"", []))
    return place


@pytest.mark.parametrize("typed", COMMANDS)
def test_with_files_no_socket_is_opened(folder: Path, typed: str) -> None:
    """Nor are the function's settings followed, which name storage in the network."""
    command, *words = shlex.split(typed)
    done = subprocess.run(
        [sys.executable, "-c", _REFUSING, command, *words],
        input=(folder / "logs/PT1H.json").read_bytes(),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)}
        | {"AzureWebJobsStorage": "UseDevelopmentStorage=true"},
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = done.stderr.decode()
    assert "socket" not in told
    assert done.returncode == (2 if typed in _REFUSED else 0), told


def test_each_command_that_takes_files_is_tried() -> None:
    """A new one has a line above."""
    takes = {"inventory"} | {
        name
        for name in Nsgflow.helps
        if (file := ROOT / "nsgflow_core" / "cli" / f"{name}.py").exists()
        and re.search(r"\bSources\b", file.read_text())
    }
    assert takes == {typed.split()[0] for typed in COMMANDS}
