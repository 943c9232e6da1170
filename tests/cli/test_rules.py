"""`nsgflow why`, `simulate` and `inventory`, over files: no network is needed."""

import json
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from devtools.estate import Estate, rule
from devtools.flowlogs import Group, Nic, nsg_record
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.cli.main import app
from nsgflow_core.digests import wording
from nsgflow_core.digests.groups import Key, Tally
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.sample import Sample
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.scope import INSIDE
from tests.cli.conftest import at
from tests.cli.terminal import answer_on_terminal
from tests.unit.test_inventory import Graph

HOUR = at("2026-03-04T05:00")
SECONDS = int(HOUR.timestamp())
GROUP = "/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/Prod"
WEB = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/web-nsg"


def run(*words: str, status: int = 0) -> str:
    """The output of a command; notes on stderr are not part of it."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.fixture
def logs(tmp_path: Path) -> str:
    """A log of the NSG web-nsg: two flows denied, one allowed."""
    nic = Nic(nsg="WEB-NSG", mac="000D3A000002", ip="10.0.1.4")
    record = nsg_record(
        nic,
        HOUR,
        [
            Group("DefaultRule_DenyAllInBound", (
                f"{SECONDS},8.8.8.8,10.0.1.4,5000,443,T,I,D,B,,,,",
                f"{SECONDS + 9},8.8.8.8,10.0.1.4,5001,443,T,I,D,B,,,,",
            )),
            Group("UserRule_AllowSsh", (f"{SECONDS},10.0.0.4,10.0.1.4,5000,22,T,I,A,B,,,,",)),
        ],
    ).data.replace(nic.nsg_id.encode(), WEB.upper().encode())  # fmt: skip
    path = tmp_path / "PT1H.json"
    path.write_bytes(b'{"records":[' + record + b"]}")
    return str(path)


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """What az would list: web-nsg opens 443 and closes 22."""
    own = [
        {"name": "AllowHttps", **rule(100, "Allow", port="443")},
        {"name": "DenySsh", **rule(110, "Deny", port="22")},
    ]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([{"id": WEB, "name": "web-nsg", "securityRules": own}]))
    return str(path)


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    """Two VMs in two subnets; the NSG of the second one's subnet lets SSH in."""
    estate = Estate()
    vnet = estate.vnet("net", a="10.0.0.0/24", b="10.0.1.0/24")
    ssh = {"name": "AllowSsh", "properties": rule(100, "Allow", port="22")}
    deny = {"name": "DenyAll", "properties": rule(200, "Deny", protocol="*")}
    estate.guard(f"{vnet}/subnets/b", estate.nsg("web-nsg", "g-1", ssh))
    nic_nsg = estate.nsg("nic-nsg", "g-2", deny)
    estate.nic(f"{vnet}/subnets/a", "00-0D-3A-00-00-01", "10.0.0.4", vm="jump")
    estate.nic(f"{vnet}/subnets/b", "00-0D-3A-00-00-02", "10.0.1.4", vm="Web1", nsg=nic_nsg)
    path = tmp_path / "estate.nsgflow"
    write_file(path, Kept(time.time(), read_inventory(Graph(estate)), b""))
    return str(path)


def simulated(*words: str, status: int = 0) -> list[dict[str, Any]]:
    """The lines of a simulation as JSON."""
    shown = run("simulate", *words, "-o", "json", status=status).splitlines()
    return [json.loads(line) for line in shown]


def test_simulate(logs: str, rules: str) -> None:
    """By rule, the most first, and totals; the status says what --fail-on names."""
    *found, totals = simulated("--rules", rules, logs)

    assert [(line["change"], line["flows"]) for line in found] == [
        ("newly-allowed", 2),
        ("newly-denied", 1),
    ]
    assert found[0] == {
        "nsg": WEB.lower(),
        "direction": "in",
        "recorded": {"rule": "DenyAllInBound", "outcome": "denied"},
        "evaluated": {"rule": "AllowHttps", "outcome": "allowed", "because": None},
        "change": "newly-allowed",
        "flows": 2,
        "examples": [{"src": "8.8.8.8", "dst": "10.0.1.4", "port": 443, "protocol": "tcp"}],
    }
    assert totals == {"totals": {"none": 0, "newly-denied": 1, "newly-allowed": 2, "unknown": 0}}
    simulated("--rules", rules, logs, "--fail-on", "unknown")
    simulated("--rules", rules, logs, "--fail-on", "unknown,newly-denied", status=4)
    run("simulate", logs, status=2)
    run("simulate", "--rules", rules, logs, "--fail-on", "nonsense", status=2)


def test_simulate_for_people(logs: str, rules: str) -> None:
    """A table with a summary, and a page of Markdown in which no name is markup."""
    table = run("simulate", "--rules", rules, logs)
    assert "denied by DenySsh" in table
    assert table.endswith("1 newly denied, 2 newly allowed, 0 unknown, 0 unchanged\n")
    page = run("simulate", "--rules", rules, logs, "-o", "markdown")
    assert "| 2 | newly-allowed | web-nsg | in |" in page


def test_logs_of_denied_flows_alone_say_so(logs: str, rules: str) -> None:
    """What was allowed cannot be judged."""
    result = CliRunner().invoke(
        app, ["simulate", "--rules", rules, logs, "--filter", "action=denied"]
    )
    assert "denied flows only" in result.stderr


def why(*words: str) -> dict[str, Any]:
    """An answer as JSON."""
    found: dict[str, Any] = json.loads(run("why", *words, "-o", "json"))
    return found


def test_why_over_every_layer(logs: str, inventory: str) -> None:
    """By the names of VMs; the layer behind the one that allows denies."""
    found = why("jump", "web1:22", logs, "--inventory", inventory)

    assert found["flow"] == {"src": "10.0.0.4", "dst": "10.0.1.4", "port": 22, "protocol": "tcp"}
    assert found["recorded"][0] | {"first": "", "last": ""} == {
        "nsg": WEB.lower(),
        "rule": "AllowSsh",
        "direction": "in",
        "outcome": "allowed",
        "flows": 1,
        "first": "",
        "last": "",
    }
    now = found["now"]
    assert [(layer["layer"], layer["rule"], layer["verdict"]) for layer in now["layers"]] == [
        ("subnet", "AllowSsh", "allowed"),
        ("nic", "DenyAll", "denied"),
    ]
    assert now["verdict"] == "denied"
    assert now["denying"] == [now["layers"][1]]
    assert found["agrees"] is False
    text = run("why", "jump", "web1:22", logs, "--inventory", inventory)
    assert "10.0.1.4 (prod/web1), tcp port 22" in text
    assert "first by rule DenyAll (priority 200) of nic-nsg" in text


def test_why_of_one_nsg(logs: str, rules: str) -> None:
    """A file's NSG in one direction; and what nobody recorded."""
    found = why("8.8.8.8", "10.0.1.4:443", logs, "--rules", rules,
                "--nsg", "WEB-nsg", "--direction", "in")  # fmt: skip
    assert found["now"]["verdict"] == "allowed"
    assert found["agrees"] is False
    assert [layer["end"] for layer in found["now"]["layers"]] == ["destination"]
    unseen = why("2001:4860::8", "[fd00::4]:25", logs, "--rules", rules,
                 "--nsg", WEB, "--direction", "in")  # fmt: skip
    assert (unseen["recorded"], unseen["agrees"]) == ([], None)
    assert unseen["now"]["layers"][0]["rule"] == "DenyAllInBound"
    assert unseen["flow"]["port"] == 25


def test_why_without_an_inventory(logs: str, rules: str) -> None:
    """The NSGs that logged it are asked, and the rest is said to be unknown."""
    found = why("10.0.0.4", "10.0.1.4:22", logs, "--rules", rules)
    assert found["now"]["verdict"] == "denied"
    assert found["now"]["unknown"] == ["there is no inventory to tell which NSGs a flow passes"]
    run("why", "jump", "10.0.1.4", logs, status=2)
    run("why", "8.8.8.8", "10.0.1.4:99999", logs, status=2)
    run("why", "8.8.8.8", "10.0.1.4:22", logs, "--nsg", "web-nsg", status=2)


def test_the_inventory_moves(
    inventory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was exported elsewhere is used as if Azure had answered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "2 network interfaces, 1 VNets, 2 NSGs" in run("inventory", "--import", inventory)
    assert "2 network interfaces" in run("inventory", "--export", str(tmp_path / "again"))
    assert (tmp_path / "again").stat().st_mode & 0o077 == 0
    found = why("jump", "web1:22", "--inventory")
    assert found["now"]["verdict"] == "denied"
    run("inventory", str(tmp_path / "none"), status=2)


def test_denied_explains(logs: str, rules: str, inventory: str) -> None:
    """A line for each group, in every form; with an inventory over all layers."""
    table = run("denied", logs, "--rules", rules, "--explain")
    assert "1. 8.8.8.8 to 10.0.1.4: not known whether it passes now: there is no inventory" in table
    (row,) = map(json.loads, run("denied", logs, "--inventory", inventory, "--explain",
                                 "-o", "json").splitlines())  # fmt: skip
    assert row["now"]["verdict"] == "denied"
    assert [layer["rule"] for layer in row["now"]["denying"]] == ["DenyAllInBound", "DenyAll"]
    shown = run("denied", logs, "--inventory", inventory, "--explain", "-o", "csv")
    assert "now denied by web-nsg (subnet, destination): DenyAllInBound (priority 65500)" in shown


def test_flows_have_names(logs: str, inventory: str) -> None:
    """VMs of both ends, from an inventory in a file."""
    shown = run("flows", logs, "--filter", "action=allowed", "--inventory", inventory, "-o", "json")
    row = json.loads(shown)
    assert (row["SrcVm"], row["DestVm"]) == ("prod/jump", "prod/web1")


@pytest.mark.parametrize(
    ("protocol", "example"),
    [("TCP", "10.0.0.4 10.0.1.4 22"), ("UDP", "fd00::1 fd00::2 53"), ("ICMP", "::1 ::2 ")],
)
def test_the_command_of_a_message_runs_as_it_is_pasted(
    protocol: str, example: str, logs: str, inventory: str
) -> None:
    """Into a shell, with what it is to read behind it."""
    key = Key("/nsgs/a", "a", "r", inbound=True, protocol=protocol, port=22, scope=INSIDE)
    group = Tally(key, 1, 0, 0, examples=Sample((example,)))
    made = Digest("d", 0.0, (group,), look=(logs, "--inventory", inventory))
    command = wording.why(made, group)
    done = subprocess.run(
        ["bash", "-c", f'nsgflow() {{ {sys.executable} -m nsgflow_core "$@"; }}; {command}'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{example.split(' ', maxsplit=1)[0]}")


def test_times_of_why_are_local_on_a_terminal(logs: str, inventory: str) -> None:
    """Last as in `denied`: when it was, where whoever asks is."""
    question = ["why", "jump", "web1:22", logs, "--inventory", inventory]
    recorded = why(*question[1:])["recorded"][0]["last"]
    moment = datetime.fromisoformat(recorded).astimezone(timezone(timedelta(hours=1)))
    local = answer_on_terminal(question, 160, TZ="CET-1")
    assert moment.isoformat(" ", "seconds") in local
    assert recorded not in local
    assert recorded in answer_on_terminal([*question, "--utc"], 160, TZ="CET-1")
    assert recorded in run(*question)
