"""`nsgflow coverage` over an exported inventory: what programs and people get."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from devtools.estate import Estate
from nsgflow_core.cli.inventories import Kept, read_file, write_file
from nsgflow_core.cli.main import app
from nsgflow_core.cli.options import MAGIC
from nsgflow_core.estate.flow_logs import read_flow_logs
from nsgflow_core.estate.resource_graph import read_inventory
from tests.cli.conftest import ROOT
from tests.unit.test_coverage import Azure

MADE = 1_772_600_000.0
NO_ACCOUNT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("AZURE_", "NSGFLOW_", "STORAGE_"))
}


def run(*words: str, status: int = 0) -> str:
    """What `nsgflow coverage` prints."""
    result = CliRunner().invoke(app, ["coverage", *words])
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.fixture(scope="module")
def estate() -> Estate:
    """An interface of each kind; the name of a flow log that would steer a terminal."""
    made = Estate()
    vnet = made.vnet("hub", web="10.0.0.0/24", db="10.0.1.0/24", ends="10.0.2.0/24")
    bare = made.vnet("bare", app="10.9.0.0/24")
    web_nsg, db_nsg = made.nsg("web-nsg", "g-1"), made.nsg("db-nsg", "g-2")
    own = made.nsg("own-nsg", "g-3")
    made.guard(f"{vnet}/subnets/web", web_nsg)
    made.guard(f"{vnet}/subnets/db", db_nsg)
    made.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4", vm="web1")
    made.nic(f"{vnet}/subnets/db", "00-0D-3A-00-00-02", "10.0.1.4", vm="db1")
    made.nic(f"{bare}/subnets/app", "00-0D-3A-00-00-03", "10.9.0.4", vm="app1")
    made.nic(f"{bare}/subnets/app", "00-0D-3A-00-00-04", "10.9.0.5", vm="app2", nsg=own)
    made.endpoint(made.nic(f"{vnet}/subnets/ends", "", "10.0.2.4"))
    made.scale_set_nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-05", "10.0.0.9", "pool", 3)
    everything = {"recordTypes": "", "enabledFilteringCriteria": ""}
    made.flow_log("hub-log", vnet, **everything)
    made.flow_log("web-\x1b[31mlog", f"{vnet}/subnets/web", **everything | {"recordTypes": "D"})
    made.flow_log("db-nsg-log", db_nsg)
    made.flow_log("app-log", bare, **everything, enabled=False)
    made.flow_log("own-log", own)
    return made


@pytest.fixture(scope="module")
def inventory(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `nsgflow inventory --export` would write of it."""
    azure = Azure(estate)
    path = tmp_path_factory.mktemp("coverage") / "estate.nsgflow"
    write_file(path, Kept(MADE, read_inventory(azure), b"", read_flow_logs(azure)))
    return str(path)


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in set(os.environ) - set(NO_ACCOUNT):
        monkeypatch.delenv(key)


def lines(*words: str, status: int = 0) -> list[dict[str, Any]]:
    """The rows as JSON."""
    return [json.loads(line) for line in run(*words, "-o", "json", status=status).splitlines()]


def test_an_inventory_without_flow_logs(estate: Estate, tmp_path: Path) -> None:
    """`why` does not say of an interface that it is not logged: its log may be at hand."""
    path = tmp_path / "estate.nsgflow"
    write_file(path, Kept(MADE, read_inventory(Azure(estate)), b"", []))
    words = ["why", "10.0.0.4", "10.0.1.4:1433", "--inventory", str(path)]
    shown = CliRunner().invoke(app, words).stdout
    assert shown.count("the inventory knows no flow logs, so it cannot tell what is logged") == 2
    assert "not logged" not in shown


def test_rows_for_programs(inventory: str) -> None:
    """The most urgent first, each with every flow log over it, and totals."""
    *found, last = lines("--inventory", inventory)
    assert [(row["vm"], row["logged"]) for row in found] == [
        ("prod/app1", "not-logged"),
        ("prod/db1", "twice"),
        ("prod/app2", "once"),
        ("prod/pool_3", "once"),
        ("prod/web1", "once"),
        ("", "private-endpoint"),
    ]
    assert last == {
        "totals": {
            "not-logged": 1, "in-part": 0, "unknown": 0, "twice": 1, "once": 3,
            "private-endpoint": 1,
            "filtered": 2, "filter-unknown": 0, "nsg-logs": 2,
        },
        "made": "2026-03-04T04:53:20.000Z",
    }  # fmt: skip
    web = found[4]
    assert (web["subnet"], web["mac"], web["addresses"], web["filtered"], web["nsgLogs"]) == (
        "prod/hub/web", "000D3A000001", ["10.0.0.4"], True, False,
    )  # fmt: skip
    assert [(log["level"], log["state"], log["recordTypes"]) for log in web["logs"]] == [
        ("subnet", "logging", "D"),
        ("vnet", "overridden", ""),
    ]
    assert (web["newest"], web["newestBecause"]) == (None, "no storage account was named")


def test_pipelines(inventory: str) -> None:
    """Status 4 where something is there that --fail-on names."""
    for word in ("not-logged", "twice", "filtered", "nsg-logs", "in-part,twice"):
        run("--inventory", inventory, "--fail-on", word, status=4)
    run("--inventory", inventory, "--fail-on", "in-part")
    run("--inventory", inventory, "--fail-on", "nonsense", status=2)


def test_only_what_is_asked_for(inventory: str) -> None:
    """The totals stay those of all."""
    *found, last = lines("--inventory", inventory, "--only", "not-logged,nsg-logs")
    assert [row["vm"] for row in found] == ["prod/app1", "prod/db1", "prod/app2"]
    assert last["totals"]["once"] == 3
    *found, _ = lines("--inventory", inventory, "--only", "filtered")
    assert [row["vm"] for row in found] == ["prod/pool_3", "prod/web1"]
    assert run("--inventory", inventory, "--only", "in-part").startswith("6 network interfaces")
    run("--inventory", inventory, "--only", "once", status=2)


def test_csv_and_text(inventory: str) -> None:
    """A row and a line for each interface; nothing in them steers a terminal."""
    shown = run("--inventory", inventory, "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert len(rows) == 6
    assert (rows[1]["logged"], rows[1]["nsgLogs"], rows[1]["filtered"]) == (
        "twice",
        "true",
        "false",
    )
    assert rows[1]["flowLogs"].count("/flowLogs/") == 2
    text = run("--inventory", inventory, "-o", "text")
    assert "\x1b" not in shown + text
    assert (
        "prod/app1 (nic3) in bare/app: not logged; the flow log app-log is switched off\n" in text
    )
    assert text.endswith("on NSG logs, which end on 2027-09-30; as of 2026-03-04T04:53:20.000Z\n")


GOLDEN = Path(__file__).parent / "golden"


def on_terminal(inventory: str, width: int) -> str:
    """What a terminal of this width shows, without the bold of the header."""
    controller, terminal = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "nsgflow_core", "coverage", "--inventory", inventory],
        env=NO_ACCOUNT | {"COLUMNS": str(width), "TERM": "xterm"}, cwd=ROOT,
        stdout=terminal, stderr=subprocess.DEVNULL,  # where the age of the inventory is told
    )  # fmt: skip
    os.close(terminal)
    drawn = b""
    try:
        while piece := os.read(controller, 65536):
            drawn += piece
    except OSError:  # the other end is closed
        pass
    os.close(controller)
    assert done.wait(30) == 0
    return re.sub(r"\x1b\[\d*m", "", drawn.decode().replace("\r\n", "\n"))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_on_a_terminal(inventory: str, width: int) -> None:
    """Folded to its width, with every word there."""
    shown = [line.rstrip() for line in on_terminal(inventory, width).splitlines()]
    expected = (GOLDEN / f"coverage-{width}.txt").read_text(encoding="utf-8").splitlines()
    assert shown[: len(expected)] == expected
    assert " ".join(shown[len(expected) :]) == (
        "6 network interfaces: 1 not logged, 1 twice, 3 once, 1 private endpoint, 2 filtered, "
        "2 on NSG logs, which end on 2027-09-30; as of 2026-03-04 04:53:20Z"
    )
    assert max(map(len, shown)) <= width


def test_files_of_before_there_were_flow_logs(inventory: str, tmp_path: Path) -> None:
    """They still load; that they have no flow logs is said, and no interface is called a hole."""
    kept = read_file(inventory)
    older = tmp_path / "older.nsgflow"
    told = {"made": kept.made, "inventory": kept.inventory, "tags": kept.tags}
    older.write_bytes(MAGIC + msgspec.msgpack.encode(told))
    assert read_file(str(older)).flow_logs is None
    result = CliRunner().invoke(app, ["coverage", "--inventory", str(older)])
    assert result.exit_code == 2
    assert "has no flow logs: export it again" in result.stderr


@pytest.mark.parametrize(
    ("flags", "status"), [((), 3), (("--fail-on", "not-logged"), 3), (("--fail-on", "unknown"), 4)]
)
def test_no_flow_logs_are_not_no_logging(
    inventory: str, tmp_path: Path, flags: tuple[str, ...], status: int
) -> None:
    """Where no flow log is known nothing is: neither rows nor the exit status say more."""
    bare = tmp_path / "bare.nsgflow"
    write_file(bare, msgspec.structs.replace(read_file(inventory), flow_logs=[]))
    result = CliRunner().invoke(app, ["coverage", "--inventory", str(bare), *flags])
    assert result.exit_code == status
    assert "not logged" not in result.stdout
    assert "5 unknown, 1 private endpoint; as of" in result.stdout
    assert "what is logged is not known: there are none, or who" in result.stderr
    only = CliRunner().invoke(
        app, ["coverage", "--inventory", str(bare), "--only", "not-logged", "-o", "csv"]
    )
    assert len(only.stdout.splitlines()) == 1


@pytest.mark.parametrize(("flags", "status"), [("not-logged", 0), ("filtered", 3)])
def test_what_was_not_told_of_filters_passes_no_pipeline(
    tmp_path: Path, flags: str, status: int
) -> None:
    """Where someone asks for it."""
    made = Estate()
    vnet = made.vnet("hub", web="10.0.0.0/24")
    made.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4", vm="web1")
    made.flow_log("hub-log", vnet)
    azure = Azure(made)
    path = tmp_path / "estate.nsgflow"
    write_file(path, Kept(MADE, read_inventory(azure), b"", read_flow_logs(azure)))
    result = CliRunner().invoke(app, ["coverage", "--inventory", str(path), "--fail-on", flags])
    assert result.exit_code == status
    assert ("whether 1 network interface is filtered was not told" in result.stderr) is (
        status == 3
    )


def test_files_of_logs_are_refused(inventory: str, tmp_path: Path) -> None:
    """They tell nothing of what is not in them."""
    log = tmp_path / "PT1H.json"
    log.write_text("{}")
    result = CliRunner().invoke(app, ["coverage", str(log), "--inventory", inventory])
    assert result.exit_code == 2
    assert "coverage takes storage accounts" in result.stderr


def test_why_says_which_flow_logs_are_over_the_ends(inventory: str) -> None:
    """Where nothing was recorded: that is the first thing it can mean."""
    result = CliRunner().invoke(app, ["why", "app1", "web1:443", "--inventory", inventory])
    assert result.exit_code == 0
    said = result.stdout.split("recorded of it.\n")[1].splitlines()[:2]
    assert said[1] == ("10.9.0.4 (prod/app1): not logged: the flow log app-log is switched off")
    assert said[0].startswith("10.0.0.4 (prod/web1): logged once by web-")
    assert said[0].endswith("log (subnet) (flows are left out)")


def test_namesakes_are_told_apart(tmp_path: Path) -> None:
    """VNets and VMs by their resource groups; where these are namesakes too, by subscriptions."""
    prod, test, other = (
        Estate(group, subscription)
        for group, subscription in (("Prod", "s1"), ("Test", "s1"), ("Test", "s2"))
    )
    for number, one in enumerate((prod, test, other)):
        vnet = one.vnet("hub", web="10.0.0.0/24")
        one.nic(f"{vnet}/subnets/web", f"00-0D-3A-00-00-0{number}", "10.0.0.4", vm="app")
        one.flow_log("hub-flowlog", vnet)
    alone = prod.vnet("alone", web="10.1.0.0/24")
    prod.nic(f"{alone}/subnets/web", "00-0D-3A-00-00-03", "10.1.0.4", vm="db")
    for name, resources in prod.tables.items():
        resources.extend(test.tables[name] + other.tables[name])
    path = tmp_path / "estate.nsgflow"
    azure = Azure(prod)
    write_file(path, Kept(MADE, read_inventory(azure), b"", read_flow_logs(azure)))
    lines = run("--inventory", str(path), "-o", "text").splitlines()[:-1]
    assert [line.partition(" (VNet)")[0] for line in lines] == [
        "prod/db (nic2) in alone/web: not logged; no flow log is over it, and it has no NSG",
        "prod/app (nic1) in prod/hub/web: once; prod/hub-flowlog",
        "s1/test/app (nic1) in s1/test/hub/web: once; s1/test/hub-flowlog",
        "s2/test/app (nic1) in s2/test/hub/web: once; s2/test/hub-flowlog",
    ]
