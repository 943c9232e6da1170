"""Mistakes: one sentence each, `nsgflow: ` what is wrong and what to do, and status 2."""

import json
import shlex
import subprocess
import sys
import tarfile
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
    with tarfile.open(place / "day.tgz", "w:gz") as archive:
        archive.add(place / "PT1H.json", "PT1H.json")
    (place / "empty").mkdir()
    estate = Estate()
    vnet = estate.vnet("hub", web="10.0.0.0/24")
    estate.guard(f"{vnet}/subnets/web", estate.nsg("web-nsg", "1-1"))
    write_file(place / "network.nsgflow", Kept(time.time(), read_inventory(Graph(estate)), b""))
    return place


def run(typed: str, folder: Path, fed: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Type a command there, with nothing set, and what comes of a pipe if anything does."""
    return subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *shlex.split(typed)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
        stdin=subprocess.DEVNULL if fed is None else None,
        input=None if fed is None else fed.decode(),
        capture_output=True,
        text=True,
        check=False,
    )


_CIDR = "10.4.0.0/29,10.4.0.8/31"
_GONE = "cannot read netwrk.nsgflow: No such file or directory"
_EMPTY = "is empty: see that what is before the pipe ended well, and wrote a log"
_COLUMNS = "docs/columns.md has all of them"
_AND = "all terms must hold anyway, so leave it out"
_OR = "any of the values of one term may hold, as in port=22,3389; all terms must"
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
            "report PT1H.json --action both -o r.html",
            "a report is of denied flows: say 'nsgflow export' for allowed ones",
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
        ("denied PT1H.json --inventory netwrk.nsgflow", f"{_GONE}, did you mean network.nsgflow?"),
        ("denied --inventory net PT1H.json", "cannot read net: No such file or directory"),
        ("denied -", f"standard input {_EMPTY}"),
        ("logs -", f"standard input {_EMPTY}"),
        (
            "denied day.tgz",
            (
                "day.tgz is a tar archive and no log: unpack it with 'tar -xf FILE', and give the "
                "folder or the files that were in it"
            ),
        ),
        (
            "sql PT1H.json 'SELECT 1'",
            (
                "PT1H.json stands where SQL is expected: SQL comes first, then what it asks, as in "
                'nsgflow sql "SELECT 1" PT1H.json'
            ),
        ),
        (
            "sql day.parquet",
            (
                "day.parquet stands where SQL is expected: SQL comes first, then what it asks, as "
                'in nsgflow sql "SELECT count(*) FROM flows" day.parquet'
            ),
        ),
        (
            "sql 'SELECT 1; SELECT 2' PT1H.json",
            (
                "this SQL asks more than once, and has one answer: join what it asks with UNION "
                "ALL, or ask each by itself"
            ),
        ),
        *(
            (f"sql 'SELECT {word} FROM flows' PT1H.json", f"there is no column {said}")
            for word, said in (
                ("nsg", f"nsg: say AclName; {_COLUMNS}"),
                ("flows.port", f"port: say DestPort; {_COLUMNS}"),
            )
        ),
        *(
            (
                f"{command} PT1H.json {typed}",
                (
                    f"no such option: {typed.partition(' ')[0].partition('=')[0]}: {mend} "
                    f"('nsgflow {command} --help' tells more)"
                ),
            )
            for command, typed, mend in (
                ("denied", "--limit 5", "say --top N"),
                ("denied", "-n 5", "say --top N"),
                ("denied", "--group-by=nsg", "say --by KEYS"),
                ("denied", "--from 1h", "say --since TIME"),
                ("flows", "--to now", "say --until TIME"),
                ("flows", "--json", "say -o json"),
                ("flows", "-n 5", "say | head -n N behind the command"),
            )
        ),
        *(
            (
                f"denied PT1H.json --filter '{terms}'",
                f"{term!r} is not of the form key=value[,value…]: {mend}",
            )
            for terms, term, mend in (
                ("ip!=10.0.0.1", "ip!=10.0.0.1", "say !ip=10.0.0.1"),
                ("not port=22", "not", "say ! in front of the term, as in !src=internet"),
                ("port=22 and ip=10.0.0.1", "and", f"{_AND}"),
                ("port=22 OR port=23", "OR", f"{_OR}"),
                ("port>1024", "port>1024", "say port=1025-65535"),
                ("port>=1024", "port>=1024", "say port=1024-65535"),
                ("sport<1024", "sport<1024", "say sport=0-1023"),
                ("port==22", "port==22", "say port=22"),
            )
        ),
        (
            "denied PT1H.json --filter port=22,https",
            "bad value in 'port=22,https': 'https' is neither a port nor a range: say 443",
        ),
        (
            "denied PT1H.json --ip web1",
            (
                "--ip 'web1': bad value in 'ip=web1': 'web1' is neither an address, a network such "
                "as 10.0.0.0/8, private nor internet; a VM or subnet is named as group/name, or by "
                "its id"
            ),
        ),
        (
            "why 10.0.0.1 10.0.0.2:ssh",
            "DST '10.0.0.2:ssh': the port 'ssh' is no number: say 10.0.0.2:22",
        ),
        (
            "why 10.0.0.1 prod/web1:nope",
            "DST 'prod/web1:nope': the port 'nope' is no number: give its number",
        ),
        (
            "why 10.0.0.1:51515 10.0.0.2:22",
            "SRC '10.0.0.1:51515' has a port, and any source port is asked about: say 10.0.0.1",
        ),
        (
            "why [fd00::1]:51515 [fd00::2]:22",
            "SRC '[fd00::1]:51515' has a port, and any source port is asked about: say fd00::1",
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


def test_what_is_piped_is_read_where_it_is_named(folder: Path) -> None:
    """Without - an account is asked for, and the error says how what comes is read."""
    log = (folder / "PT1H.json").read_bytes()
    named = "; say - to read standard input\n"
    assert run("denied", folder, log).stderr.endswith(named)
    assert run("denied -", folder, log).returncode == 0
    alone = run("denied", folder)
    assert (alone.returncode, alone.stderr.endswith(named)) == (2, False)
    with (folder / "PT1H.json").open() as file:
        done = subprocess.run(
            [sys.executable, "-m", "nsgflow_core", "flows"],
            cwd=folder, env={"PYTHONPATH": str(ROOT), "HOME": str(folder)}, stdin=file,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.stderr.endswith(named)


def test_a_bare_name_is_taken_where_an_inventory_has_one(folder: Path) -> None:
    """In every command that reads flows with it, by flag or by filter."""
    known = "PT1H.json --inventory network.nsgflow"
    for command in ("flows", "denied", "report -o x.html", "sql 'SELECT 1'"):
        for asked in ("--ip web", "--filter src=web"):
            done = run(f"{command} {known} {asked}", folder)
            assert (done.returncode, "'web'" in done.stderr) == (0, False)
    done = run(f"denied {known} --filter src=wbe", folder)
    assert (done.returncode, "a VM or subnet is named as group/name" in done.stderr) == (2, True)


def test_a_short_span_is_told_to_the_second(folder: Path) -> None:
    """Where nothing is found in it."""
    done = run("denied PT1H.json --since 2026/11/23T9:05:05Z --until 2026/11/23T9:05:10Z", folder)
    assert "from 2026-11-23T09:05:05Z on to 2026-11-23T09:05:10Z, the newest" in done.stderr


def test_a_file_that_is_written_names_no_source(folder: Path) -> None:
    """What is written may be there already: behind --inventory an account may stand then."""
    (folder / "denied.html").touch()
    done = run("report -o denied.html --inventory mylogs", folder)
    assert done.stderr.startswith("nsgflow: asking Azure Resource Graph for the inventory")


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
