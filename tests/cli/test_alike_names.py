"""Estates whose NSGs, VNets and VMs share names: each is told from the others, everywhere."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from devtools.estate import Estate, rule
from devtools.flowlogs import Group, Nic, nsg_record, vnet_record
from nsgflow_core.cli.files import FileLogs
from nsgflow_core.cli.formats import flow_writer
from nsgflow_core.cli.inventories import read_file
from nsgflow_core.cli.main import app
from nsgflow_core.cli.options import Wanted, When
from nsgflow_core.cli.query import Defaults
from nsgflow_core.cli.reading import reading
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import Knowledge
from tests.cli.conftest import at
from tests.cli.test_why_names import kept, logged

HOUR = at("2026-03-04T05:00")
MS = int(HOUR.timestamp() * 1000)
ONE, OTHER = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2))
GUIDS = ("7b5d0000-AAAA-bbbb-cccc-000000000001", "7b5d0000-aaaa-bbbb-cccc-000000000002")
DENY_SQL = {"name": "DenySql", "properties": rule(200, "Deny", port="1433")}
NSGS = "Microsoft.Network/networkSecurityGroups"
UNKNOWN = "99999999-AAAA-0000-0000-000000000009"


class Case(NamedTuple):
    """A file of logs, and the inventory of its estate."""

    logs: str
    inventory: str


def run(*words: str) -> str:
    """What a command writes to stdout."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def said(*words: str) -> str:
    """What a command says on stderr."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.stderr


def rows(*words: str) -> list[dict[str, Any]]:
    """The rows of `denied` as JSON."""
    return [json.loads(line) for line in run("denied", *words, "-o", "json").splitlines()]


def built(group: str, subscription: str, guid: str, mac: str, address: str) -> Estate:
    """A VNet `Hub` with a VM `Web1` under an NSG `Web-NSG`."""
    estate = Estate(group, subscription)
    vnet = estate.vnet("Hub", Default=f"{address.rpartition('.')[0]}.0/24")
    estate.guard(f"{vnet}/subnets/Default", estate.nsg("Web-NSG", guid.lower(), DENY_SQL))
    estate.nic(f"{vnet}/subnets/Default", mac, address, vm="Web1")
    return estate


def denied(
    group: str, subscription: str, guid: str, mac: str, address: str, sources: Iterable[str]
) -> bytes:
    """A record of a VNet flow log: each source was denied SQL once."""
    nic = Nic(mac=mac, ip=address, subscription=subscription, resource_group=group, vnet="Hub")
    tuples = tuple(
        f"{MS + n},{src},{address},50{n:03},1433,6,I,D,NX,0,0,0,0" for n, src in enumerate(sources)
    )
    return vnet_record(nic, HOUR, [Group("UserRule_DenySql", tuples, guid)]).data


def internet(count: int) -> list[str]:
    """Addresses on the internet."""
    return [f"8.8.8.{number}" for number in range(1, count + 1)]


@pytest.fixture
def groups(tmp_path: Path) -> Case:
    """Two resource groups whose VNets, NSGs and VMs are named alike, at one address."""
    estates = [
        built("Shop", ONE, GUIDS[0], "00-0D-3A-00-00-01", "10.0.0.4"),
        built("Other", ONE, GUIDS[1], "00-0D-3A-00-00-02", "10.0.0.4"),
    ]
    logs = logged(
        tmp_path / "PT1H.json",
        denied("Shop", ONE, GUIDS[0], "000D3A000001", "10.0.0.4", internet(5)),
        denied("Other", ONE, GUIDS[1], "000D3A000002", "10.0.0.4", internet(2)),
    )
    return Case(logs, kept(tmp_path / "estate", *estates))


@pytest.fixture
def subscriptions(tmp_path: Path) -> Case:
    """Two subscriptions of one layout, the groups named alike too."""
    estates = [
        built("net-rg", ONE, GUIDS[0], "00-0D-3A-00-00-01", "10.0.0.4"),
        built("net-rg", OTHER, GUIDS[1], "00-0D-3A-00-00-02", "10.0.1.4"),
    ]
    logs = logged(
        tmp_path / "PT1H.json",
        denied("net-rg", ONE, GUIDS[0], "000D3A000001", "10.0.0.4", internet(7)),
        denied("net-rg", OTHER, GUIDS[1], "000D3A000002", "10.0.1.4", internet(2)),
    )
    return Case(logs, kept(tmp_path / "estate", *estates))


@pytest.mark.parametrize(
    ("value", "flows"),
    [
        ("web-nsg", 7),
        ("other/web-nsg", 2),
        (f"{ONE}/shop/Web-*", 5),
        (f"{OTHER}/shop/web-nsg", 0),
        ("*/web-nsg", 7),
        (GUIDS[0].lower(), 5),
        (GUIDS[1].upper(), 2),
        (
            f"/subscriptions/{ONE}/resourceGroups/Other/providers/{NSGS}/Web-NSG",
            2,
        ),
    ],
)
def test_an_nsg_is_found_by_all_that_it_is_called(groups: Case, value: str, flows: int) -> None:
    """By its name, with its group, its id, and the GUID of logs that the name stands for."""
    where = (groups.logs, "--inventory", groups.inventory, "-o", "json")
    for asked in (("--filter", f"nsg={value}"), ("--nsg-name", value)):
        assert len(run("flows", *where, *asked).splitlines()) == flows, asked
    assert len(run("flows", *where, "--filter", f"!nsg={value}").splitlines()) == 7 - flows


def test_a_group_without_such_an_nsg_gives_a_hint(groups: Case) -> None:
    """Where the group is mistyped, the NSG that was read is near."""
    for asked in (("--filter", "nsg=shopp/web-nsg"), ("--nsg-name", "shopp/web-nsg")):
        told = said("denied", groups.logs, "--inventory", groups.inventory, *asked)
        assert "named 'shopp/web-nsg', did you mean 'shop/web-nsg'?" in told


def test_an_nsg_is_spelled_as_the_inventory_has_it(tmp_path: Path) -> None:
    """Its own logs write it in capitals, those of its VNet have a GUID."""
    estate = built("Shop", ONE, GUIDS[0], "00-0D-3A-00-00-01", "10.0.0.4")
    nic = Nic("000D3A000001", "10.0.0.4", "Web-NSG", ONE, "Shop")
    own = f"{MS // 1000},8.8.8.8,10.0.0.4,6000,1433,T,I,D,B,,,,"
    logs = logged(
        tmp_path / "PT1H.json",
        denied("Shop", ONE, GUIDS[0].upper(), "000D3A000001", "10.0.0.4", internet(5)),
        nsg_record(nic, HOUR, [Group("UserRule_DenySql", (own,))], version=2).data,
    )
    where = (logs, "--inventory", kept(tmp_path / "estate", estate))
    assert [(row["nsg"], row["flows"]) for row in rows(*where, "--by", "nsg")] == [("Web-NSG", 6)]
    lines = run("flows", *where, "--display-direction", "both").splitlines()
    assert {line.split()[1] for line in lines if "UserRule" in line} == {"Web-NSG"}
    flows = [json.loads(line) for line in run("flows", *where, "-o", "json").splitlines()]
    assert {flow["AclName"] for flow in flows} == {"Web-NSG"}


def test_vms_of_two_subscriptions_are_named_with_them(subscriptions: Case) -> None:
    """Where group and name are alike, the subscription stands in front; filters take all of it."""
    where = (subscriptions.logs, "--inventory", subscriptions.inventory)
    by_vm = [(row["vm"], row["flows"]) for row in rows(*where, "--by", "vm")]
    assert by_vm == [(f"{ONE}/net-rg/web1", 7), (f"{OTHER}/net-rg/web1", 2)]
    by_subnet = [(row["subnet"], row["flows"]) for row in rows(*where, "--by", "subnet")]
    assert by_subnet == [(f"{ONE}/net-rg/hub/default", 7), (f"{OTHER}/net-rg/hub/default", 2)]
    for vm, flows in ((f"{OTHER}/net-rg/web1", 2), ("net-rg/web1", 9), ("web1", 9)):
        found = run("flows", *where, "--filter", f"vm={vm}", "-o", "json")
        assert len(found.splitlines()) == flows, vm


@pytest.fixture(params=["memory", "disk"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where groups are held: what tells them apart must hold on disk, too."""
    if request.param == "disk":
        monkeypatch.setattr("nsgflow_core.cli.gathering.HELD", 1)
    return str(request.param)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("vnet", ("shop/hub", "other/hub")),
        ("vm", ("shop/web1", "other/web1")),
        ("subnet", ("shop/hub/default", "other/hub/default")),
    ],
)
def test_alike_things_are_groups_of_their_own(
    groups: Case, by: str, names: tuple[str, str]
) -> None:
    """Each with as much of its name as tells it from the other."""
    found = rows(groups.logs, "--inventory", groups.inventory, "--by", by)
    assert [(row[by], row["flows"]) for row in found] == list(zip(names, (5, 2), strict=True))


@pytest.mark.usefixtures("held")
def test_two_vms_at_one_address_are_two_destinations(groups: Case) -> None:
    """None is counted under the name of the other."""
    found = rows(groups.logs, "--inventory", groups.inventory, "--by", "destination")
    assert [(row["destination"], row["destinationName"], row["flows"]) for row in found] == [
        ("10.0.0.4", "shop/web1", 5),
        ("10.0.0.4", "other/web1", 2),
    ]


@pytest.mark.usefixtures("held")
def test_nsgs_of_one_name_are_shown_with_their_groups(groups: Case) -> None:
    """In the table; JSON and CSV have the name as ever, and the id beside it."""
    where = (groups.logs, "--inventory", groups.inventory, "--by", "nsg")
    table = [line.split()[2] for line in run("denied", *where).splitlines()[1:3]]
    assert table == ["shop/Web-NSG", "other/Web-NSG"]
    ids = [
        f"/subscriptions/{ONE}/resourcegroups/{group}/providers/{NSGS}/web-nsg".lower()
        for group in ("shop", "other")
    ]
    assert [(row["nsg"], row["aclGroup"]) for row in rows(*where)] == [
        ("Web-NSG", one) for one in ids
    ]
    found = csv.DictReader(io.StringIO(run("denied", *where, "-o", "csv")))
    assert [(row["nsg"], row["aclGroup"]) for row in found] == [("Web-NSG", one) for one in ids]


@pytest.mark.usefixtures("held")
def test_a_guid_in_two_spellings_is_one_nsg(tmp_path: Path) -> None:
    """Also where no inventory tells its name."""
    logs = logged(
        tmp_path / "PT1H.json",
        denied("Shop", ONE, UNKNOWN, "000D3A000001", "10.0.0.4", internet(2)),
        denied("Shop", ONE, UNKNOWN.lower(), "000D3A000001", "10.0.0.4", internet(3)),
    )
    assert [row["flows"] for row in rows(logs, "--by", "nsg")] == [5]


@pytest.mark.usefixtures("held")
def test_a_report_tells_alike_nsgs_and_vms_apart(subscriptions: Case, tmp_path: Path) -> None:
    """It has the rules that `denied` has, and no sum of two."""
    page = tmp_path / "denied.html"
    run("report", subscriptions.logs, "--inventory", subscriptions.inventory, "-o", str(page))
    text = page.read_text(encoding="utf-8")
    assert "rules that denied</dt><dd>2<" in text
    for subscription in (ONE, OTHER):
        assert f"{subscription}/net-rg/Web-NSG" in text
        assert f"({subscription}/net-rg/web1)" in text


def test_the_rules_now_are_those_of_the_interface_that_logged(groups: Case) -> None:
    """The log says which of two VMs at one address it is of."""
    where = (groups.logs, "--inventory", groups.inventory, "--by", "nsg", "--explain")
    for row in rows(*where):
        assert row["now"]["unknown"] == []
        assert [layer["acl"] for layer in row["now"]["denying"]] == [row["aclGroup"]]


def test_answers_have_the_names_of_both_ends(groups: Case, tmp_path: Path) -> None:
    """`why` and `simulate` too, in JSON and in text."""
    where = (groups.logs, "--inventory", groups.inventory)
    found = json.loads(run("why", "8.8.8.1", "other/web1:1433", *where, "-o", "json"))
    assert found["names"] == {"src": "", "dst": "other/web1"}
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"name": "unused", "securityRules": []}]))
    lines = run("simulate", "--rules", str(rules), *where, "-o", "json").splitlines()[:-1]
    names = [{one["dstName"] for one in json.loads(line)["examples"]} for line in lines]
    assert names == [{"shop/web1"}, {"other/web1"}]
    text = run("simulate", "--rules", str(rules), *where)
    assert "10.0.0.4 (other/web1)" in " ".join(text.split())


def test_a_vnet_is_found_as_it_is_shown(subscriptions: Case) -> None:
    """With the subscription in front, where groups and VNets of two are named alike."""
    words = (subscriptions.logs, "--inventory", subscriptions.inventory)
    shown = {row["vnet"]: row["flows"] for row in rows(*words, "--by", "vnet")}
    assert sorted(shown.values()) == [2, 7]
    for name, flows in shown.items():
        (found,) = rows(*words, "--by", "vnet", "--filter", f"vnet={name}")
        assert found["flows"] == flows
        (rest,) = rows(*words, "--by", "vnet", "--filter", f"!vnet={name}")
        assert rest["flows"] == 9 - flows


def test_logs_finds_an_nsg_by_group_and_by_guid(groups: Case) -> None:
    """And does not say then that there is none."""
    words = ("logs", groups.logs, "--inventory", groups.inventory, "--nsg-name")
    for name in ("other/web-nsg", GUIDS[1]):
        assert "Web-NSG" in run(*words, name)
        assert "there are no logs of an NSG" not in said(*words, name)
    nothing = CliRunner().invoke(app, [*words, "nowhere/web-nsg"])
    assert "there are no logs of an NSG named 'nowhere/web-nsg'" in nothing.stderr


def cells(table: str, title: str) -> list[str]:
    """The cells of a column of a table: what stands below its title."""
    lines = [line for line in table.splitlines() if line.strip()]
    start = lines[0].index(title)
    return [line[start:].split()[0] for line in lines[1:]]


def shown_nsgs(case: Case, tmp_path: Path) -> dict[str, list[str]]:
    """The NSGs of a case as commands show them to people, those of one name told apart."""
    where = (case.logs, "--inventory", case.inventory)
    ids = [row["aclGroup"] for row in rows(*where, "--by", "nsg")]
    rules = tmp_path / "rules.json"
    allow = {"name": "AllowSql", "properties": rule(100, "Allow", port="1433")}
    found = [{"id": one, "name": "Web-NSG", "securityRules": [allow]} for one in ids]
    rules.write_text(json.dumps(found))
    simulated = ("simulate", "--rules", str(rules), *where)
    names = [row["destinationName"] for row in rows(*where)]
    why = [run("why", "8.8.8.1", f"{name}:1433", *where) for name in names]
    explained = run("denied", *where, "--explain").splitlines()
    found_why = [text.partition("Recorded")[2].partition("The rules now") for text in why]
    return {
        "denied": cells(run("denied", *where, "--by", "nsg"), "nsg")[:2],
        "flows": [line.split()[1] for line in run("flows", *where).splitlines()],
        "flows table": cells(run("flows", *where, "-o", "table"), "nsg"),
        "simulate": cells(run(*simulated), "nsg")[:2],
        "simulate markdown": [
            line.split("|")[3].strip().replace("\\", "")
            for line in run(*simulated, "-o", "markdown").splitlines()
            if "newly" in line and line.startswith("|")
        ],
        "why": [text.partition(") of ")[2].partition(",")[0] for text in why],
        "why recorded": [cells(text.partition("\n")[2], "nsg")[0] for text, _, _ in found_why],
        "why now": [cells(text.partition("\n")[2], "name")[0] for _, _, text in found_why],
        "explained": [
            line.partition("now denied by ")[2].partition(" (")[0]
            for line in explained
            if "now denied by" in line
        ],
    }


@pytest.mark.parametrize("fixture", ["groups", "subscriptions"])
def test_nsgs_of_one_name_are_told_apart_in_one_way(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `denied` has them: whoever reads `web-nsg` in one command cannot mean two."""
    monkeypatch.setenv("COLUMNS", "300")
    found = shown_nsgs(request.getfixturevalue(fixture), tmp_path)
    both = set(found["denied"])
    assert len(both) == 2
    assert all(name.endswith("/Web-NSG") for name in both)
    assert {command: set(names) for command, names in found.items()} == dict.fromkeys(found, both)


def test_one_of_two_is_shown_as_beside_the_other(groups: Case) -> None:
    """Also where the other has no flows: its name alone would be both, in the next filter."""
    where = (groups.logs, "--inventory", groups.inventory)
    (line,) = run("denied", *where, "--filter", "vm=other/web1", "--by", "nsg").splitlines()[1:]
    assert line.split()[:3] == ["2", "2", "other/Web-NSG"]


@pytest.fixture
def twins(tmp_path: Path) -> Case:
    """Two groups whose VMs `Web1` and `Db1` have the same names and addresses; each Db1 denied."""
    found, records = [], []
    for number, group in enumerate(("Shop", "Other"), 1):
        estate = built(group, ONE, GUIDS[number - 1], f"00-0D-3A-00-00-0{number}", "10.0.0.4")
        subnet = f"/subscriptions/{ONE}/resourceGroups/{group}/providers/Microsoft.Network"
        subnet += "/virtualNetworks/Hub/subnets/Default"
        estate.nic(subnet, f"00-0D-3A-00-01-0{number}", "10.0.0.5", vm="Db1")
        found.append(estate)
        sources = ("10.0.0.4",) * number
        mac = f"000D3A00010{number}"
        records.append(denied(group, ONE, GUIDS[number - 1], mac, "10.0.0.5", sources))
    return Case(logged(tmp_path / "PT1H.json", *records), kept(tmp_path / "estate", *found))


@pytest.mark.usefixtures("held")
def test_ends_are_counted_by_what_they_are(twins: Case, tmp_path: Path) -> None:
    """Two VMs at one address are two sources, and two destinations, as they are two groups."""
    where = (twins.logs, "--inventory", twins.inventory)
    for by in ("source", "destination", "source,destination", "nsg", "vm"):
        found = rows(*where, "--by", by)
        assert [(row["flows"], row["sources"]) for row in found] == [(2, 1), (1, 1)], by
        total = run("denied", *where, "--by", by).splitlines()[-1].split()
        assert total[:2] == ["3", "2"], by
    assert [(row["flows"], row["sources"]) for row in rows(*where, "--by", "port")] == [(3, 2)]
    page = tmp_path / "denied.html"
    run("report", *where, "-o", str(page))
    text = page.read_text(encoding="utf-8")
    for what in ("rules that denied", "sources", "destinations"):
        assert f"{what}</dt><dd>2<" in text, what
    for name in ("other/db1", "shop/db1", "other/web1", "shop/web1"):
        assert f"({name})" in text


@pytest.mark.usefixtures("held")
def test_proposals_decide_as_the_rules_now_do(twins: Case, tmp_path: Path) -> None:
    """By the interfaces that logs are of: no proposal doubts which VM an address is."""
    where = (twins.logs, "--inventory", twins.inventory)
    for row in rows(*where, "--suggest"):
        assert row["proof"]["verdict"] == "allowed", row["proof"]
        assert row["proposal"].count("az network nsg rule create") == 1
        assert f"--resource-group {row['destinationName'].partition('/')[0]}" in row["proposal"]
    for form in ("az", "bicep", "terraform"):
        text = run("denied", *where, "--as", form)
        assert "several VNets" not in text
        assert text.count("PROVEN: with it every layer lets") == 2
    page = tmp_path / "denied.html"
    run("report", *where, "-o", str(page))
    assert "several VNets" not in page.read_text(encoding="utf-8")


COUNTED = frozenset(("flows", "sources", "first", "last", "packets", "bytes"))


def identities(found: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What tells each row from the others: all that is in it but counts and times."""
    return [
        tuple(json.dumps(value) for key, value in row.items() if key not in COUNTED)
        for row in found
    ]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "by", ["", "nsg", "rule", "nsg,rule", "vnet", "source", "destination", "vm", "rule,destination"]
)
def test_each_row_for_programs_is_told_apart_by_what_is_in_it(
    twins: Case, tmp_path: Path, by: str, *, named: bool
) -> None:
    """Reasons of encryption, NSGs and VNets of one name, VMs at one address: a field says which."""
    if by == "vm" and not named:
        pytest.skip("needs an inventory")
    nic = Nic("000D3A000101", "10.0.0.5", "Web-NSG", ONE, "Shop", "Hub")
    texts = tuple(
        f"{MS},10.0.0.4,10.0.0.5,5000,1433,6,I,D,{reason},0,0,0,0"
        for reason in ("NX_DISABLED", "NX_NOT_SUPPORTED", "X_UNSUPPORTED")
    )
    own = f"{MS // 1000},8.8.8.8,10.0.0.5,6000,1433,T,I,D,B,,,,"
    nics = [Nic("000D3A000101", "10.0.0.5", "Web-NSG", ONE, g, "Hub") for g in ("Shop", "x", "y")]
    records = [
        nsg_record(one, HOUR, [Group("UserRule_DenySql", (own,))], version=2) for one in nics
    ]
    texts_of_acls = [
        vnet_record(
            nic, HOUR, [Group("UserRule_DenySql", (texts[2],), f"{odd}/networkSecurityGroups/n")]
        )
        for odd in ("a", "b")
    ]
    odd = logged(
        tmp_path / "odd.json",
        vnet_record(nic, HOUR, [Group("unspecified", texts, "unspecified")]).data,
        *(one.data for one in (*records, *texts_of_acls)),
    )
    words = [twins.logs, odd, *(("--by", by) if by else ())]
    words += ["--inventory", twins.inventory] if named else []
    for found in (
        rows(*words),
        list(csv.DictReader(io.StringIO(run("denied", *words, "-o", "csv")))),
    ):
        told = identities(found)
        assert len(set(told)) == len(told), sorted(told)


def test_logs_tells_nsgs_vnets_and_flow_logs_apart(subscriptions: Case) -> None:
    """As `denied` does; what is listed can be asked for."""
    words = ("logs", subscriptions.logs, "--inventory", subscriptions.inventory)
    for flags in ((), ("--nics",)):
        text = run(*words, *flags, "-o", "csv")
        found = list(csv.DictReader(io.StringIO(text)))
        assert {row["nsgs"] for row in found} == {
            f"{ONE}/net-rg/Web-NSG",
            f"{OTHER}/net-rg/Web-NSG",
        }
        assert {row["vnet"] for row in found} == {f"{ONE}/net-rg/hub", f"{OTHER}/net-rg/hub"}
        assert len({row["name"] for row in found}) == 2
    for row in found:
        for name in (row["nsgs"], row["name"]):
            (line,) = run(*words, "--nsg-name", name, "-o", "json").splitlines()
            assert json.loads(line)["vnet"] == row["vnet"]


def test_followed_flows_are_told_apart_too(
    groups: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of `tail`, with names behind them and without."""
    inventory = Inventory(read_file(groups.inventory).inventory)
    with reading(
        FileLogs([groups.logs]), Wanted(), When(), Defaults(), Knowledge(inventory=inventory)
    ) as work:
        found = list(work.flows())
    for named in (True, False):
        flow_writer("text", Knowledge(inventory=inventory), named=named)(found)
        names = {line.split()[1] for line in capsys.readouterr().out.splitlines()}
        assert names == {"shop/Web-NSG", "other/Web-NSG"}
