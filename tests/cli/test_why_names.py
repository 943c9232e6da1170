"""`nsgflow why` of VMs that share a name or an address with others: it is one that is meant."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from devtools.estate import Estate, rule
from devtools.flowlogs import Group, Nic, vnet_record
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.cli.main import app
from nsgflow_core.estate.resource_graph import read_inventory
from tests.cli.conftest import at
from tests.unit.test_inventory import Graph

HOUR = at("2026-03-04T05:00")
MS = int(HOUR.timestamp() * 1000)
ONE, OTHER = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2))
DENY_SQL = {"name": "DenySql", "properties": rule(200, "Deny", port="1433")}
ALLOW_SQL = {"name": "AllowSql", "properties": rule(200, "Allow", port="1433")}


def run(*words: str, status: int = 0) -> str:
    """What a command says, errors included."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.output


def why(*words: str) -> dict[str, Any]:
    """The answer as JSON."""
    found: dict[str, Any] = json.loads(run("why", *words, "-o", "json"))
    return found


def built(
    group: str, subscription: str, rules: dict[str, Any], mac: str, address: str, spare: str
) -> Estate:
    """A VNet `hub` with a VM `web1` under an NSG of its own, and another VM."""
    estate = Estate(group, subscription)
    vnet = estate.vnet("hub", default="10.0.0.0/23")
    estate.guard(f"{vnet}/subnets/default", estate.nsg("default-nsg", f"g-{mac}", rules))
    estate.nic(f"{vnet}/subnets/default", mac, address, vm="web1")
    estate.nic(f"{vnet}/subnets/default", mac[:-1] + "9", spare, vm=f"other{spare[-1]}")
    return estate


def kept(path: Path, *estates: Estate) -> str:
    """The inventory of all of them, as a file."""
    first, *others = estates
    for other in others:
        for table, rows in other.tables.items():
            first.tables[table] += rows
    write_file(path, Kept(time.time(), read_inventory(Graph(first)), b""))
    return str(path)


def logged(path: Path, *records: bytes) -> str:
    """A file of records."""
    path.write_bytes(b'{"records":[' + b",".join(records) + b"]}")
    return str(path)


@pytest.fixture
def landing_zones(tmp_path: Path) -> str:
    """Two subscriptions whose groups, VNets and VMs have the same names."""
    return kept(
        tmp_path / "zones.nsgflow",
        built("net-rg", ONE, DENY_SQL, "00-0D-3A-00-00-01", "10.0.0.4", "10.0.0.6"),
        built("net-rg", OTHER, ALLOW_SQL, "00-0D-3A-00-01-01", "10.0.1.4", "10.0.1.6"),
    )


@pytest.fixture
def twins(tmp_path: Path) -> str:
    """Two groups whose VMs have the same name and the same address."""
    return kept(
        tmp_path / "twins.nsgflow",
        built("one", ONE, DENY_SQL, "00-0D-3A-00-00-01", "10.0.0.4", "10.0.0.6"),
        built("two", ONE, ALLOW_SQL, "00-0D-3A-00-01-01", "10.0.0.4", "10.0.0.7"),
    )


def test_a_name_that_two_subscriptions_have_is_asked_back(landing_zones: str) -> None:
    """Nobody is answered about the wrong one."""
    names = f"{ONE}/net-rg/web1, {OTHER}/net-rg/web1"
    for name in ("web1", "net-rg/web1"):
        said = run("why", "8.8.8.8", f"{name}:1433", "--inventory", landing_zones, status=2)
        assert f"is {names}: give one of these" in said
    root = f"/subscriptions/{OTHER}/resourceGroups/net-rg/providers/Microsoft.Compute"
    for name in (f"{OTHER}/net-rg/web1", f"{root}/virtualMachines/web1"):
        found = why("8.8.8.8", f"{name}:1433", "--inventory", landing_zones)
        assert found["flow"]["dst"] == "10.0.1.4"
        assert found["now"]["verdict"] == "allowed"
    assert (
        why("8.8.8.8", f"{ONE}/net-rg/web1:1433", "--inventory", landing_zones)["now"]["verdict"]
        == "denied"
    )


def tuple_of(second: int, src: str, outcome: str) -> str:
    """A flow to SQL at the address that both have."""
    return f"{MS + second * 1000},{src},10.0.0.4,5000,1433,6,I,{outcome},NX,0,0,0,0"


def test_of_twins_the_one_that_was_named_is_judged_and_looked_up(
    twins: str, tmp_path: Path
) -> None:
    """Its rules, its records; the other's are of another machine."""
    one = Nic(mac="000D3A000001", ip="10.0.0.4", resource_group="one", vnet="hub")
    two = Nic(mac="000D3A000101", ip="10.0.0.4", resource_group="two", vnet="hub")
    log = logged(
        tmp_path / "PT1H.json",
        vnet_record(one, HOUR, [Group("DenySql", (tuple_of(1, "8.8.8.8", "D"),) * 3, "g-1")]).data,
        vnet_record(two, HOUR, [Group("AllowSql", (tuple_of(2, "8.8.8.8", "B"),), "g-2")]).data,
    )
    for group, verdict, flows in (("one", "denied", 3), ("two", "allowed", 1)):
        found = why("8.8.8.8", f"{group}/web1:1433", log, "--inventory", twins)
        assert found["now"]["verdict"] == verdict
        assert {layer["acl"].split("/")[4] for layer in found["now"]["layers"]} == {group}
        assert [row["flows"] for row in found["recorded"]] == [flows]
        assert f"10.0.0.4 ({group}/web1)" in run(
            "why", "8.8.8.8", f"{group}/web1:1433", log, "--inventory", twins
        )
    root = f"/subscriptions/{ONE}/resourceGroups/two/providers/Microsoft.Network"
    named = ("--nsg", f"{root}/networkSecurityGroups/default-nsg", "--direction", "in")
    found = why("8.8.8.8", "two/web1:1433", log, "--inventory", twins, *named)
    assert found["now"]["verdict"] == "allowed"


def test_the_far_end_decides_which_twin_an_address_is(twins: str) -> None:
    """From a VM that is known, an address is the one that its VNet has."""
    for source, verdict in (("other6", "denied"), ("other7", "allowed")):
        found = why(source, "10.0.0.4:1433", "--inventory", twins)
        assert found["now"]["verdict"] == verdict, found


def test_what_cannot_be_told_of_an_address_says_what_to_type(twins: str) -> None:
    """Each of the VMs that have it, which typed in its place is answered."""
    words = ("8.8.8.8", "10.0.0.4:1433", "--inventory", twins)
    text = " ".join(run("why", *words).split())
    mend = "say one/web1 or two/web1 in its place"
    assert f"10.0.0.4 is in several VNets: which is meant is not known; {mend}" in text
    assert any(mend in reason for reason in why(*words)["now"]["unknown"])
    for name, verdict in (("one/web1", "denied"), ("two/web1", "allowed")):
        found = why("8.8.8.8", f"{name}:1433", "--inventory", twins)
        assert found["now"]["verdict"] == verdict


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """Two VNets with an interface of no VM at one address."""
    found = []
    for number, group in enumerate(("one", "two")):
        estate = Estate(group, ONE)
        subnet = f"{estate.vnet('hub', default='10.0.0.0/24')}/subnets/default"
        estate.guard(subnet, estate.nsg("web-nsg", f"g-{number}", DENY_SQL))
        estate.nic(subnet, f"00-0D-3A-00-00-0{number}", "10.0.0.4")
        found.append(estate)
    return kept(tmp_path / "bare.nsgflow", *found)


def test_an_interface_without_a_vm_is_named_by_its_id(bare: str) -> None:
    """In the mend, and as an end of the flow: by its name and its id."""
    reasons = why("8.8.8.8", "10.0.0.4:1433", "--inventory", bare)["now"]["unknown"]
    (reason,) = [one for one in reasons if "several VNets" in one]
    assert reason.endswith("; say one/nic1 or two/nic1 in its place")
    root = f"/subscriptions/{ONE}/resourceGroups/two/providers/Microsoft.Network"
    for name in ("two/nic1", f"{ONE}/two/NIC1", f"{root}/networkInterfaces/nic1"):
        found = why("8.8.8.8", f"{name}:1433", "--inventory", bare)
        assert found["flow"]["dst"] == "10.0.0.4"
        assert [layer["acl"].split("/")[4] for layer in found["now"]["layers"]] == ["two"]
    said = run("why", "8.8.8.8", "nic1:1433", "--inventory", bare, status=2)
    assert "DST 'nic1' is one/nic1, two/nic1: give one of these" in said


def test_the_interface_of_the_log_decides(twins: str, tmp_path: Path) -> None:
    """Where one alone of those that share an address has logged the flow, it is meant."""
    one = Nic(mac="000D3A000001", ip="10.0.0.4", resource_group="one", vnet="hub")
    two = Nic(mac="000D3A000101", ip="10.0.0.4", resource_group="two", vnet="hub")
    of_one = vnet_record(one, HOUR, [Group("DenySql", (tuple_of(1, "8.8.8.8", "D"),), "g-1")])
    of_two = vnet_record(two, HOUR, [Group("AllowSql", (tuple_of(2, "8.8.8.8", "B"),), "g-2")])
    words = ("8.8.8.8", "10.0.0.4:1433", "--inventory", twins)
    for records, verdict in (
        ((of_one,), "denied"),
        ((of_two,), "allowed"),
        ((of_one, of_two), "unknown"),
    ):
        log = logged(tmp_path / "PT1H.json", *(record.data for record in records))
        assert why(*words, log)["now"]["verdict"] == verdict


def test_of_nsgs_of_one_name_the_one_that_was_meant_is_asked(twins: str, tmp_path: Path) -> None:
    """By its group, by the VM that was given, also where a file stands in for the other."""
    words = ("8.8.8.8", "10.0.0.4:1433", "--inventory", twins, "--direction", "in")
    said = run("why", *words, "--nsg", "Default-NSG", status=2)
    assert "'Default-NSG' is one/default-nsg, two/default-nsg: give one of these" in said
    root = f"/subscriptions/{ONE}/resourceGroups/one/providers/Microsoft.Network"
    rules = tmp_path / "rules.json"
    nsg = {"id": f"{root}/networkSecurityGroups/default-nsg", "name": "default-nsg"}
    rules.write_text(json.dumps([nsg | {"securityRules": [ALLOW_SQL]}]))
    for files, verdicts in (
        ((), ("denied", "allowed")),
        (("--rules", str(rules)), ("allowed",) * 2),
    ):
        for group, verdict in zip(("one", "two"), verdicts, strict=True):
            for asked in (
                (*words, "--nsg", f"{group}/default-nsg"),
                (words[0], f"{group}/web1:1433", *words[2:], "--nsg", "default-nsg"),
            ):
                now = why(*asked, *files)["now"]
                assert now["verdict"] == verdict
                assert [layer["acl"].split("/")[4] for layer in now["layers"]] == [group]
        run("why", *words, "--nsg", "default-nsg", *files, status=2)
