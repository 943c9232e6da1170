"""Names from an inventory in every command: NSGs for GUIDs, VMs and subnets beside addresses."""

import csv
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.estate import Estate, rule
from devtools.flowlogs import Group, Nic, vnet_path, vnet_record
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.cli.main import app
from nsgflow_core.estate.library import INVENTORY_BLOB
from nsgflow_core.estate.resource_graph import read_inventory
from tests.cli.conftest import Store, at
from tests.cli.test_tail import next_line, tailing
from tests.unit.test_inventory import Graph

HOUR = at("2026-03-04T05:00")
GUID = "1a2b3c4d-0000-0000-0000-000000000001"
DB = Nic(mac="000D3A000002", ip="10.0.1.4")


def estate() -> Estate:
    """Three VMs of a VNet; what is in the subnet `free` besides is in no interface."""
    made = Estate()
    vnet = made.vnet("hub", web="10.0.0.0/24", db="10.0.1.0/24", free="10.0.2.0/24")
    deny = {"name": "DenySql", "properties": rule(200, "Deny", port="1433")}
    nsg = made.nsg("db-nsg", GUID, deny)
    made.guard(f"{vnet}/subnets/db", nsg)
    made.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-01", "10.0.0.4", vm="web1")
    made.nic(f"{vnet}/subnets/web", "00-0D-3A-00-00-03", "10.0.0.5", vm="w\x1b[31meb2")
    made.nic(f"{vnet}/subnets/db", "00-0D-3A-00-00-02", "10.0.1.4", vm="db1")
    return made


def nsg_id() -> str:
    """The resource id of the NSG that the log names by GUID."""
    ids = (str(row["id"]) for row in estate().tables["resources"])
    return next(one for one in ids if "/networksecuritygroups/" in one.lower())


def record(hour: datetime, *sources: str) -> bytes:
    """Flows from these addresses to SQL of db1, denied by an NSG that has a GUID for a name."""
    begin = int(hour.timestamp())
    texts = tuple(
        f"{begin}{number:03},{source},10.0.1.4,5000,1433,6,I,D,NX,0,0,0,0"
        for number, source in enumerate(sources)
    )
    return vnet_record(DB, hour, [Group("UserRule_DenySql", texts, GUID)]).data


@pytest.fixture(scope="module")
def packed() -> bytes:
    """The inventory as it is kept."""
    return read_inventory(Graph(estate()))


def estate_file(folder: Path) -> str:
    """The inventory as a file in a folder."""
    path = folder / "estate"
    write_file(path, Kept(time.time(), read_inventory(Graph(estate())), b"", []))
    return str(path)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The inventory as a file."""
    return estate_file(tmp_path_factory.mktemp("names"))


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A VNet flow log."""
    path = tmp_path / "PT1H.json"
    flows = record(HOUR, "10.0.0.4", "10.0.2.9", "10.0.0.5", "8.8.8.8")
    path.write_bytes(b'{"records":[' + flows + b"]}")
    return str(path)


def run(*words: str) -> str:
    """The output of a command."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    return result.stdout


def test_lines_of_flows(log: str, inventory: str) -> None:
    """Lines stay those of get_nsg_logs; with --inventory names stand behind them."""
    lines = run("flows", log, "--inventory", inventory).splitlines()
    assert [line.partition(" # ")[2] for line in lines] == [
        "prod/web1 > prod/db1",
        "prod/hub/free > prod/db1",
        "prod/w\N{REPLACEMENT CHARACTER}[31meb2 > prod/db1",
        "8.8.8.8 > prod/db1",
    ]
    assert all(line.split()[1] == "db-nsg" for line in lines)
    plain = run("flows", log).splitlines()
    assert [line.split(" ", 2)[2].partition(" # ")[0] for line in lines] == [
        line.split(" ", 2)[2] for line in plain
    ]
    assert plain[0].split()[1] == GUID


def test_tables_and_rows_of_flows(log: str, inventory: str) -> None:
    """Beside the address, and in columns of their own for programs."""
    table = run("flows", log, "--inventory", inventory, "-o", "table")
    assert "10.0.0.4 (prod/web1)" in table
    assert "10.0.2.9 (prod/hub/free)" in table
    assert GUID not in table
    rows = list(
        csv.DictReader(io.StringIO(run("flows", log, "--inventory", inventory, "-o", "csv")))
    )
    assert (rows[0]["SrcVm"], rows[1]["SrcSubnet"]) == ("prod/web1", "prod/hub/free")


def test_groups_of_denied_flows(log: str, inventory: str) -> None:
    """In the table, for programs, and where a group is explained."""
    words = ("denied", log, "--inventory", inventory)
    assert "10.0.1.4 (prod/db1)" in run(*words)
    assert "1. 10.0.0.4 (prod/web1) to 10.0.1.4 (prod/db1): now denied by db-nsg" in run(
        *words, "--explain"
    )
    (row,) = map(json.loads, run(*words, "-o", "json").splitlines())
    assert (row["nsg"], row["destination"], row["destinationName"]) == (
        "db-nsg", "10.0.1.4", "prod/db1",
    )  # fmt: skip
    by_source = run(*words, "--by", "source", "-o", "csv")
    found = {row["source"]: row["sourceName"] for row in csv.DictReader(io.StringIO(by_source))}
    assert (found["10.0.0.4"], found["8.8.8.8"]) == ("prod/web1", "")
    assert "Name" not in run("denied", log, "-o", "json")


def test_judged_flows(log: str, inventory: str, tmp_path: Path) -> None:
    """`why` and `simulate` call the ends by name."""
    assert "10.0.0.4 (prod/web1) to 10.0.1.4 (prod/db1)" in run(
        "why", "10.0.0.4", "10.0.1.4:1433", log, "--inventory", inventory
    )
    own = [{"name": "AllowSql", **rule(100, "Allow", port="1433")}]
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"name": "db-nsg", "securityRules": own}]))
    for form in ("table", "markdown"):
        shown = run("simulate", "--rules", str(rules), log, "--inventory", inventory, "-o", form)
        assert "10.0.0.4 (prod/web1)" in shown
        assert "10.0.1.4 (prod/db1)" in shown


@pytest.mark.parametrize(
    ("term", "flows"),
    [
        ("vm=web1", 1),
        ("vm=prod/*", 4),
        ("subnet=free", 1),
        ("subnet=hub/web", 2),
        ("vnet=hub !vm=web1", 3),
        ("nsg=db-*", 4),
        (f"nsg={GUID}", 4),
    ],
)
def test_filters_by_name(log: str, inventory: str, tmp_path: Path, term: str, flows: int) -> None:
    """Every command that takes terms finds the same flows."""
    words = ("--inventory", inventory, "--filter", term)
    assert len(run("flows", log, *words).splitlines()) == flows
    denied = map(json.loads, run("denied", log, *words, "-o", "json").splitlines())
    assert sum(row["flows"] for row in denied) == flows
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"name": "db-nsg", "securityRules": []}]))
    simulated = run("simulate", "--rules", str(rules), log, *words, "-o", "json").splitlines()
    assert sum(json.loads(simulated[-1])["totals"].values()) == flows


@pytest.mark.parametrize("command", ["flows", "denied"])
def test_names_that_nothing_knows_are_told(log: str, inventory: str, command: str) -> None:
    """Nothing found would look as if there were no such flows."""
    told = "nsgflow: without --inventory no name is known that subnet= and vm= could match\n"
    words = (command, log, "--filter", "vm=web1 subnet=hub/web")
    assert told in CliRunner().invoke(app, words).stderr
    assert told not in CliRunner().invoke(app, [*words, "--inventory", inventory]).stderr
    assert told not in CliRunner().invoke(app, [command, log, "--filter", "vnet=hub"]).stderr


@pytest.mark.parametrize(
    ("term", "known", "told"),
    [
        ("vnet=hub", False, "vnet= matches the VNet that a VNet flow log is of, and none of the"),
        ("type=IntraVNet,s2s", False, "no flow is known to be IntraVNet or s2s"),
        ("!type=AzurePublic", False, "Azure's public addresses are ExternalPublic"),
        ("tag=Storage", True, "no service tags are known that tag= could match"),
        ("vm=wbe1", True, "the inventory has no VM named 'wbe1', did you mean 'web1'?"),
        (
            "subnet=nowhere-at-all",
            True,
            "no subnet named 'nowhere-at-all'; there are db, free, web",
        ),
        ("subnet=hub/wbe", True, "no subnet named 'hub/wbe', did you mean 'hub/web'?"),
        ("vnet=hbu", True, "the inventory has no VNet named 'hbu', did you mean 'hub'?"),
        ("vnet=nosuch", True, "the inventory has no VNet named 'nosuch'; there are hub"),
        ("vnet=prod/hub", True, ""),
        ("vm=prod/web1,prod/web9", True, ""),
        ("vm=web9*", True, ""),
        ("!vm=web9", True, ""),
        ("type=ExternalPublic", False, ""),
    ],
)
def test_terms_that_nothing_can_match_are_told(
    log: str, inventory: str, term: str, known: bool, told: str
) -> None:
    """With what is near, or what would know."""
    words = ["denied", log, "--filter", term, *(["--inventory", inventory] if known else [])]
    notes = CliRunner().invoke(app, words).stderr
    assert told in notes
    assert told or not any(word in notes for word in ("the inventory has", "without", "known"))


NAMED = [
    ["db-nsg", "prod/web1", "prod/db1", "prod/hub/web", "prod/hub/db"],
    ["db-nsg", "", "prod/db1", "prod/hub/free", "prod/hub/db"],
    ["db-nsg", "prod/w\\x1b[31meb2", "prod/db1", "prod/hub/web", "prod/hub/db"],
    ["db-nsg", "", "prod/db1", "", "prod/hub/db"],
]


def test_what_is_kept_and_asked_in_sql(log: str, inventory: str, tmp_path: Path) -> None:
    """The names are columns of the Parquet file, and of what SQL sees of logs."""
    pytest.importorskip("duckdb")
    kept = str(tmp_path / "flows.parquet")
    query = "SELECT AclName, SrcVm, DestVm, SrcSubnet, DestSubnet FROM flows ORDER BY FlowTime"
    assert run("export", log, "--inventory", inventory, "-o", kept) == ""
    for words in ([kept], [log, "--inventory", inventory]):
        answer = run("sql", query, *words, "-o", "csv")
        assert list(csv.reader(io.StringIO(answer)))[1:] == NAMED
    chosen = run("sql", query, log, "--inventory", inventory, "--filter", "vm=web1", "-o", "csv")
    assert list(csv.reader(io.StringIO(chosen)))[1:] == NAMED[:1]


def test_the_report(log: str, inventory: str, tmp_path: Path) -> None:
    """NSG, VM and subnet by name; no GUID is left."""
    page = tmp_path / "denied.html"
    run("report", log, "--inventory", inventory, "-o", str(page))
    shown = page.read_text(encoding="utf-8")
    for name in ("db-nsg", "10.0.0.4 (prod/web1)", "10.0.2.9 (prod/hub/free)"):
        assert name in shown
    assert GUID not in shown
    run(
        "report", log, "--inventory", inventory, "-o", str(page), "--filter", "subnet=prod/hub/free"
    )
    shown = page.read_text(encoding="utf-8")
    assert "10.0.2.9" in shown
    assert "10.0.0.4 (prod/web1)" not in shown


def test_by_the_name_of_the_nsg(log: str, inventory: str) -> None:
    """--nsg-name takes the name of an NSG that the log names by GUID, and its id."""
    assert (
        len(run("flows", log, "--inventory", inventory, "--nsg-name", "DB-nsg").splitlines()) == 4
    )
    acl = json.loads(
        run("flows", log, "--inventory", inventory, "-o", "json").splitlines()[0]
    )["AclGroup"]  # fmt: skip
    assert len(run("flows", log, "--inventory", inventory, "--nsg", acl).splitlines()) == 4


@pytest.mark.parametrize(("days", "told"), [(0.9, False), (3, True)])
def test_an_old_inventory_is_told(
    log: str, tmp_path: Path, packed: bytes, days: float, told: bool
) -> None:
    """From a day on: VMs and rules may have changed meanwhile."""
    path = tmp_path / "old"
    made = datetime.now(UTC) - timedelta(days=days)
    write_file(path, Kept(made.timestamp(), packed, b"", []))
    done = CliRunner().invoke(app, ["denied", log, "--inventory", str(path)])
    said = (
        f"nsgflow: the inventory is of {made:%Y-%m-%dT%H:%MZ}, 3 d ago: export it again for newer "
        "names\n"
    )
    assert (said in done.stderr) is told
    assert ("the inventory is of" in done.stderr) is told


@pytest.mark.parametrize(("hours", "told"), [(0.05, False), (30, True)])
def test_an_inventory_that_is_still_to_come_is_told(
    log: str, tmp_path: Path, packed: bytes, hours: float, told: bool
) -> None:
    """A clock is wrong somewhere, and how old it is cannot be known; minutes are let pass."""
    path = tmp_path / "new"
    made = datetime.now(UTC) + timedelta(hours=hours)
    write_file(path, Kept(made.timestamp(), packed, b"", []))
    for words in (["denied", log, "--inventory"], ["coverage", "--inventory"], ["inventory"]):
        done = CliRunner().invoke(app, [*words, str(path)], env={"AZURE_STORAGE_ACCOUNT": ""})
        said = f"the inventory is of {made:%Y-%m-%dT%H:%MZ}, which is still to come: see that the"
        assert (said in done.stderr) is told, done.stderr


def test_the_functions_inventory_has_an_age(
    store: Store, packed: bytes, log: str, tmp_path: Path
) -> None:
    """As the function noted it: told where it is old, and in the report."""
    environ = store.environ(AzureWebJobsStorage=store.azurite.connection_string)
    made = datetime.now(UTC) - timedelta(days=3)
    store.service.create_container("nsgflow-state").upload_blob(
        INVENTORY_BLOB, packed, metadata={"made": str(made.timestamp())}
    )
    done = store.nsgflow("inventory app", environ)
    assert f"the inventory is of {made:%Y-%m-%dT%H:%MZ}, 3 d ago: the function " in done.stderr
    assert f"of {made:%Y-%m-%dT%H:%M:%S}" in done.stdout
    page = tmp_path / "denied.html"
    done = store.nsgflow(f"report {log} --inventory app -o {page}", environ)
    assert done.returncode == 0, done.stderr
    said = f"The inventory (names, rules) is of {made:%Y-%m-%d %H:%M} UTC, 3 d old."
    assert said in re.sub(r"</?span>", "", page.read_text(encoding="utf-8"))


def test_the_deployed_functions_inventory(store: Store, packed: bytes, log: str) -> None:
    """`--inventory app`, from the state container; without one it is said how to have it."""
    environ = store.environ(AzureWebJobsStorage=store.azurite.connection_string)
    missing = store.nsgflow("inventory app", environ)
    assert (missing.returncode, "NSGFLOW_INVENTORY=resourcegraph" in missing.stderr) == (2, True)
    missing = store.nsgflow(f"why web1 db1:1433 {log} --inventory app", store.environ())
    assert "AzureWebJobsStorage" in missing.stderr
    store.service.create_container("nsgflow-state").upload_blob(INVENTORY_BLOB, packed)
    assert "3 network interfaces" in store.output("inventory app", environ)
    shown = store.output(f"why web1 db1:1433 {log} --inventory app", environ)
    assert "10.0.0.4 (prod/web1) to 10.0.1.4 (prod/db1)" in shown
    assert "# prod/web1 > prod/db1" in store.output(f"flows {log} --inventory app", environ)


def test_tail_names_and_explains(store: Store, inventory: str) -> None:
    """What follows has names behind its lines, and below them what the rules say now."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    path = vnet_path(DB, hour, "short")
    store.log(path, [record(hour, "10.0.0.4", "8.8.8.8")])
    since = f"{hour - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    flags = ("--since", since, "--inventory", inventory, "--filter", "vm=web1", "--explain")
    with tailing(store, *flags) as running:
        line, below = next_line(running), next_line(running)
    assert line.endswith(" # prod/web1 > prod/db1")
    assert line.split()[1] == "db-nsg"
    assert below == "    now denied by db-nsg (subnet, destination): DenySql (priority 200)"


def test_tail_of_files_is_refused_in_words(log: str) -> None:
    """Nothing is written to a file that lies there."""
    result = CliRunner().invoke(app, ["tail", log])
    assert result.exit_code == 2
    assert "tail follows accounts: 'nsgflow denied' reads files" in result.stderr
