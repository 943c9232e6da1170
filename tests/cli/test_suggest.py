"""`nsgflow denied --suggest` from end to end: an inventory, a log, a terminal; no network.

`python -m tests.cli.test_suggest` writes the expected files anew, to be reviewed.
"""

import csv
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import hcl2
import pytest
from typer.testing import CliRunner

from devtools.estate import Estate, rule
from devtools.flowlogs import Group, Nic, nsg_record
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.cli.main import app
from nsgflow_core.estate.resource_graph import read_inventory
from tests.cli.conftest import at
from tests.cli.terminal import on_terminal
from tests.unit.test_inventory import Graph

GOLDEN = Path(__file__).with_name("golden")
HOUR = at("2026-03-04T05:00")
SECONDS = int(HOUR.timestamp())
WIDTHS = (80, 120)


def world(folder: Path) -> tuple[str, str]:
    """A log of the NSG of the web servers, whose flows the NSG of the database would deny next."""
    estate = Estate()
    vnet = estate.vnet("hub", web="10.0.0.0/24", db="10.0.1.0/24")
    deny = {"name": "DenyAll", "properties": rule(4000, "Deny", protocol="*")}
    out = {"name": "DenyOut", "properties": rule(300, "Deny", direction="Outbound")}
    web = estate.nsg("web-nsg", "1-1", out)
    estate.guard(f"{vnet}/subnets/web", web)
    estate.guard(f"{vnet}/subnets/db", estate.nsg("db-nsg", "2-2", deny))
    servers = estate.group("web-servers")
    for number in (4, 5):
        at_web, mac = f"{vnet}/subnets/web", f"00-0D-3A-00-00-0{number}"
        estate.nic(at_web, mac, f"10.0.0.{number}", vm=f"web{number}", groups=[servers])
    estate.nic(f"{vnet}/subnets/db", "00-0D-3A-00-01-04", "10.0.1.4", vm="db")
    book = folder / "book.nsgflow"
    write_file(book, Kept(time.time(), read_inventory(Graph(estate)), b""))
    nic = Nic(nsg="WEB-NSG", mac="000D3A000004", ip="10.0.0.4")
    tuples = [
        *(f"{SECONDS + 1},10.0.0.{host},10.0.1.4,5000,1433,T,O,D,B,,,," for host in (4, 5)),
        *(f"{SECONDS + 2},10.0.0.{host},10.0.1.4,5000,1434,T,O,D,B,,,," for host in (4, 5)),
    ]
    record = nsg_record(nic, HOUR, [Group("UserRule_DenyOut", tuple(tuples))]).data
    log = folder / "PT1H.json"
    log.write_bytes(
        b'{"records":[' + record.replace(nic.nsg_id.encode(), web.upper().encode()) + b"]}"
    )
    return str(log), str(book)


def run(*words: str, status: int = 0) -> str:
    """What a command writes to no terminal."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.mark.parametrize("width", WIDTHS)
def test_the_whole_of_it_on_a_terminal(tmp_path: Path, width: int) -> None:
    """The table, and below it a rule for each end, each proven with the other."""
    log, book = world(tmp_path)
    shown = on_terminal(["denied", log, "--inventory", book, "--suggest"], width)
    assert shown == (GOLDEN / f"suggest.{width}.txt").read_text()
    assert max(map(len, shown.splitlines())) <= width or "/applicationSecurityGroups/" in shown


def test_a_file_of_proposals_has_nothing_else(tmp_path: Path) -> None:
    """--as alone suggests, and stdout is the file."""
    log, book = world(tmp_path)
    words = ("denied", log, "--inventory", book)
    assert len(hcl2.loads(run(*words, "--as", "terraform"))["resource"]) == 2
    assert run(*words, "--suggest", "--as", "bicep") == run(*words, "--as", "bicep")
    lines = run(*words, "--as", "az").splitlines()
    assert any(line.startswith("az ") for line in lines)
    assert all(line.startswith(("#", "az ")) for line in lines if line)
    assert "'pulumi' is not one of az, bicep, terraform" in CliRunner().invoke(
        app, [*words, "--as", "pulumi"]
    ).output.replace("\n", " ")


@pytest.mark.parametrize("form", ["az", "bicep", "terraform"])
def test_json_and_csv_have_proposals_in_each_form(tmp_path: Path, form: str) -> None:
    """With verdict, reasons and what else is let in; CSV the rules alone."""
    log, book = world(tmp_path)
    words = ("denied", log, "--inventory", book, "--suggest", "--as", form, "-o")
    found: list[dict[str, Any]] = [*map(json.loads, run(*words, "json").splitlines())]
    assert [row["port"] for row in found] == [1433, 1434]
    for row in found:
        assert row["proof"] == {"verdict": "allowed", "still": [], "because": [], "also": []}
        assert row["proposal"].count("nsgflow-allow-") == 2
    (first, _) = csv.DictReader(io.StringIO(run(*words, "csv")))
    assert "nsgflow-allow-out-tcp-ports-" in first["proposal"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        log, book = world(Path(name))
        for width in WIDTHS:
            shown = on_terminal(["denied", log, "--inventory", book, "--suggest"], width)
            (GOLDEN / f"suggest.{width}.txt").write_text(shown)
