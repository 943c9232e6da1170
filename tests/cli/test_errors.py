"""Mistakes: one sentence each, `nsgflow: ` what is wrong and what to do, and status 2."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devtools.estate import Estate
from devtools.flowlogs import large_log
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.estate.resource_graph import read_inventory
from tests.cli.conftest import ROOT
from tests.unit.test_inventory import Graph

_RULES = {
    "id": "/subscriptions/1/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/"
    "web-nsg",
    "name": "web-nsg",
    "securityRules": [
        {
            "name": "Ranged",
            "properties": {
                "priority": 100,
                "direction": "Inbound",
                "access": "Allow",
                "protocol": "*",
                "sourceAddressPrefix": "10.4.0.0-10.4.0.9",
                "sourcePortRange": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": "*",
            },
        }
    ],
    "defaultSecurityRules": [],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, rules, an inventory, and what is none of these."""
    place = tmp_path_factory.mktemp("mistakes")
    (place / "PT1H.json").write_bytes(large_log(3, 20, 0.5, 2, 1))
    (place / "nsgs.json").write_text(json.dumps([_RULES]))
    (place / "day.parquet").write_bytes(b"PAR1 rows PAR1")
    (place / "tags.json").write_text(json.dumps({"changeNumber": 7, "values": []}))
    (place / "notes.txt").write_text("not an inventory")
    (place / "empty").mkdir()
    estate = Estate()
    vnet = estate.vnet("hub", web="10.0.0.0/24")
    estate.guard(f"{vnet}/subnets/web", estate.nsg("web-nsg", "1-1"))
    write_file(place / "network.nsgflow", Kept(time.time(), read_inventory(Graph(estate)), b""))
    return place


def run(typed: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type a command there, with nothing set."""
    return subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *shlex.split(typed)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


_CIDR = "10.4.0.0/29,10.4.0.8/31"
_NO_INVENTORY = (
    "is no inventory: give what 'nsgflow inventory --export' wrote; NSGs in JSON go behind "
    "--rules, logs before --inventory"
)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("denid", "no such command 'denid'. Did you mean 'denied'? ('nsgflow --help' tells more)"),
        (
            "denied --sinc 1h PT1H.json",
            (
                "no such option: --sinc (Possible options: --ip, --since, --version) "
                "('nsgflow denied --help' tells more)"
            ),
        ),
        ("why 10.0.0.1", "missing argument 'DST[:PORT]' ('nsgflow why --help' tells more)"),
        (
            "flows PT1H.json --port 70000",
            (
                "--port '70000' is too large: give a port from 0 to 65535 "
                "('nsgflow flows --help' tells more)"
            ),
        ),
        (
            "flows PT1H.json --port 22 --port https",
            (
                "--port 'https' is no whole number: give a port from 0 to 65535 "
                "('nsgflow flows --help' tells more)"
            ),
        ),
        (
            "denied PT1H.json --top 0",
            (
                "--top '0' is too small: give a whole number from 1 on "
                "('nsgflow denied --help' tells more)"
            ),
        ),
        (
            "denied PT1H.json --top many",
            (
                "--top 'many' is no whole number: give a whole number from 1 on "
                "('nsgflow denied --help' tells more)"
            ),
        ),
        (
            "flows PT1H.json --version two",
            "--version 'two' is not one of 1, 2, 4 ('nsgflow flows --help' tells more)",
        ),
        (
            "tail mylogs --interval nan",
            (
                "--interval 'nan' is too small: give seconds from 1 to 86400 "
                "('nsgflow tail --help' tells more)"
            ),
        ),
        (
            "denied PT1H.json --by sorce",
            "--by 'sorce' is nothing to group by: did you mean 'source'?",
        ),
        (
            "denied PT1H.json --sort flwos",
            (
                "--sort 'flwos' is not one of flows, sources, packets, bytes, first, last, nsg, "
                "rule, direction, protocol, destination, port: did you mean 'flows'?"
            ),
        ),
        (
            "denied PT1H.json --display-direction inbound",
            "--display-direction 'inbound' is not one of in, out, both: did you mean 'in'?",
        ),
        (
            "denied PT1H.json --filter srcc=10.0.0.1",
            (
                "unknown key 'srcc' in 'srcc=10.0.0.1', did you mean 'src'? (keys: action, "
                "direction, ip, src, dst, port, sport, proto, nsg, rule, state, mac, type, vm, "
                "subnet, vnet, tag, lb, nonzero)"
            ),
        ),
        (
            "denied PT1H.json --filter DstPort=22",
            (
                "unknown key 'dstport' in 'DstPort=22', did you mean 'port'? (keys: action, "
                "direction, ip, src, dst, port, sport, proto, nsg, rule, state, mac, type, vm, "
                "subnet, vnet, tag, lb, nonzero)"
            ),
        ),
        (
            "tail mylogs --display-allowed",
            (
                "no such option: --display-allowed: say --action both ('nsgflow tail --help' "
                "tells more)"
            ),
        ),
        (
            "denied PT1H.json --filter SrcVm=web1",
            (
                "unknown key 'srcvm' in 'SrcVm=web1': src=group/name asks for the VM of the "
                "source, vm= for that of either end"
            ),
        ),
        (
            "why 10.0.0.1 10.0.0.2 --port 22",
            "no such option: --port: say DST:PORT ('nsgflow why --help' tells more)",
        ),
        (
            "why 10.0.0.1 10.0.0.2 --filter port=22",
            (
                "no such option: --filter: SRC and DST[:PORT] say which flow ('nsgflow why "
                "--help' tells more)"
            ),
        ),
        (
            "denied PT1H.json --filter action=deny",
            (
                "bad value in 'action=deny': 'deny' is not one of allowed, denied: did you mean "
                "'denied'?"
            ),
        ),
        (
            "completion fsh",
            ("SHELL 'fsh' is not one of bash, zsh, fish, powershell: did you mean 'fish'?"),
        ),
        (
            "help dead-letters lst",
            (
                "no such command 'lst'. Did you mean 'list'? ('nsgflow dead-letters --help' tells "
                "more)"
            ),
        ),
        ("denied gone.json", "there is no file gone.json: give a file, a folder, - or an account"),
        (
            "denied empty",
            "there are no flow logs in empty: give a folder that has PT1H.json below it",
        ),
        (
            "denied PT1H.json mylogs",
            "PT1H.json is a file and mylogs an account: give files or accounts, not both",
        ),
        *(
            (f"{typed} {name}", f"{name} {said}")
            for typed in ("denied", "logs", "report -o x.html")
            for name, said in (
                (
                    "nsgs.json",
                    (
                        "has rules of NSGs and no flows: give it behind --rules, as to "
                        "'nsgflow why' or 'nsgflow simulate', beside logs"
                    ),
                ),
                (
                    "network.nsgflow",
                    "is an inventory and no log: give it behind --inventory, beside logs",
                ),
                (
                    "tags.json",
                    (
                        "has service tags and no flows: --inventory azure brings them, the "
                        "function takes them by NSGFLOW_SERVICE_TAGS"
                    ),
                ),
                ("day.parquet", "is no flow log but Parquet, which 'nsgflow sql' reads"),
            )
        ),
        ("denied PT1H.json -o xml", "--output 'xml' is not one of table, json, csv"),
        (
            "denied PT1H.json --filter src=10.4.0.0-10.4.0.9",
            f"bad value in 'src=10.4.0.0-10.4.0.9': a range is written as CIDR: say {_CIDR}",
        ),
        (
            "denied PT1H.json --ip 10.4.0.0-10.4.0.9",
            (
                "--ip '10.4.0.0-10.4.0.9': bad value in 'ip=10.4.0.0-10.4.0.9': a range is "
                f"written as CIDR: say {_CIDR}"
            ),
        ),
        (
            "denied PT1H.json --filter src=10.4",
            (
                "bad value in 'src=10.4': '10.4' is neither an address, a network such as "
                "10.0.0.0/8, private nor internet"
            ),
        ),
        ("denied PT1H.json --inventory notes.txt", f"notes.txt {_NO_INVENTORY}"),
        ("denied PT1H.json --inventory nsgs.json", f"nsgs.json {_NO_INVENTORY}"),
        (
            "denied PT1H.json --inventory gone.nsgflow",
            "cannot read gone.nsgflow: No such file or directory",
        ),
        (
            "why 10.0.0.1 10.0.0.2 --inventory network.nsgflow --nsg web-nsk --direction in",
            "no NSG is named 'web-nsk', did you mean 'web-nsg'?",
        ),
        (
            "why 10.0.0.1 10.0.0.2 --rules nsgs.json --nsg NOPE --direction in",
            "no NSG is named 'NOPE'; there are web-nsg",
        ),
        (
            "why 10.0.0.1 10.0.0.2 --rules nsgs.json --nsg web-nsg",
            "--nsg and --direction go together: give both, or none",
        ),
        (
            "why web1 10.0.0.2",
            "SRC 'web1' is no address: give one, or --inventory, which knows names of VMs",
        ),
        (
            "why 10.0.0.1 fd00::1",
            "10.0.0.1 and fd00::1 are of IPv4 and IPv6: give addresses of one of them",
        ),
        ("simulate PT1H.json", "there are no changed rules: name them with --rules FILE"),
        (
            "denied PT1H.json --display-hours 0",
            (
                "--display-hours '0' is too small: give a whole number from 1 on "
                "('nsgflow denied --help' tells more)"
            ),
        ),
    ],
)
def test_mistakes(folder: Path, typed: str, said: str) -> None:
    """Named, with the mend."""
    done = run(typed, folder)
    assert done.stderr == f"nsgflow: {said}\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_a_log_behind_inventory_is_a_log(folder: Path) -> None:
    """--inventory alone is Azure's, and a log that follows is read: here nobody is signed in."""
    done = run("denied --inventory PT1H.json", folder)
    assert done.stderr.startswith("nsgflow: asking Azure Resource Graph for the inventory")
    assert done.returncode == 1


def test_an_end_behind_inventory_is_an_end(folder: Path) -> None:
    """--inventory may stand before an address or a VM, too."""
    done = run("why --inventory 10.0.0.1 10.0.0.2 --protocol tpc", folder)
    assert done.stderr.startswith("nsgflow: asking Azure Resource Graph for the inventory")


def test_ranges_in_rules_are_told_as_such(folder: Path) -> None:
    """A rule with one is not taken for a service tag."""
    done = run("why 10.0.0.1 10.0.0.2:1 --rules nsgs.json --nsg web-nsg --direction in", folder)
    assert done.returncode == 0
    assert f"10.4.0.0-10.4.0.9 is no prefix: a range is written as CIDR, {_CIDR}" in done.stdout


def test_near_words_are_taken(folder: Path) -> None:
    """Of what can only be meant."""
    for typed, meant in (
        ("help filters", "help filter"),
        ("help terms", "help filter"),
        ("completion pwsh", "completion powershell"),
    ):
        assert run(typed, folder).stdout == run(meant, folder).stdout != ""


def test_what_is_no_log_loses_no_log(folder: Path) -> None:
    """It is told, with status 3, and the logs beside it are read."""
    for typed in ("denied nsgs.json PT1H.json", "logs nsgs.json PT1H.json"):
        done = run(typed, folder)
        assert (done.returncode, done.stderr.count("\n")) == (3, 1)
        assert done.stderr.startswith("nsgflow: skipped: nsgs.json has rules of NSGs")
        assert "PROD-WEB-NSG" in done.stdout


def test_help_of_a_group_is_no_mistake(folder: Path) -> None:
    """Without a command below it, its help."""
    done = run("dead-letters", folder)
    assert (done.stdout + done.stderr).startswith("Usage: nsgflow dead-letters")
