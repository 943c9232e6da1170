"""`nsgflow denied`: groups of denied flows, and proposals for the rules they would need."""

import csv
import io
import json
from collections.abc import Sequence

import pytest

from devtools.estate import Estate
from devtools.flowlogs import Group, Nic, nsg_path, nsg_record, vnet_path, vnet_record
from nsgflow_core.estate.inventory import Acl, pack_inventory
from nsgflow_core.estate.library import INVENTORY_BLOB
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.rules import Rule
from tests.cli.conftest import Store, at
from tests.unit.test_inventory import Graph

HOUR = at("2026-03-04T05:00")
SECONDS = int(HOUR.timestamp())
WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
NET = Nic(mac="000D3A0000A3")


def put(store: Store, rule: str, tuples: Sequence[str]) -> None:
    """A log of one rule."""
    store.log(nsg_path(WEB, HOUR), [nsg_record(WEB, HOUR, [Group(rule, tuple(tuples))]).data])


def inbound(second: int, source: str, port: int, protocol: str = "T") -> str:
    """A denied inbound tuple."""
    return f"{SECONDS + second},{source},10.5.16.4,5000,{port},{protocol},I,D,B,,,,"


@pytest.fixture
def logs(store: Store) -> Store:
    """Three denied flows to 3389, one to 22, one in a VNet flow log; an allowed one and a probe."""
    put(
        store,
        "UserRule_Deny",
        [
            inbound(9, "192.0.2.1", 3389),
            inbound(1, "192.0.2.2", 3389),
            inbound(5, "192.0.2.1", 3389),
            inbound(3, "192.0.2.1", 22),
            inbound(4, "168.63.129.16", 22),
            f"{SECONDS},192.0.2.1,10.5.16.4,5000,443,T,I,A,B,,,,",
        ],
    )
    out = f"{SECONDS}007,10.5.16.4,203.0.113.9,5000,1433,6,O,D,NX,0,0,0,0"
    store.log(vnet_path(NET, HOUR), [vnet_record(NET, HOUR, [Group("Block", (out,))]).data])
    return store


def test_groups_are_counted_with_the_busiest_on_top(logs: Store) -> None:
    """Count, distinct sources, first and last time by NSG, rule, direction, protocol, end."""
    lines = [" ".join(line.split()) for line in logs.output("denied").splitlines()]
    one, three = "2026-03-04T05:00:01.000Z", "2026-03-04T05:00:03.000Z"
    seven, nine = "2026-03-04T05:00:00.007Z", "2026-03-04T05:00:09.000Z"
    assert lines == [
        "flows sources nsg rule direction protocol destination port vnet first last",
        f"3 2 WEB-NSG UserRule_Deny in TCP 10.5.16.4 3389 {one} {nine}",
        f"1 1 WEB-NSG UserRule_Deny in TCP 10.5.16.4 22 {three} {three}",
        f"1 1 {NET.acl} Block out TCP 203.0.113.9 1433 {NET.vnet} {seven} {seven}",
        f"5 3 all 3 groups {seven} {nine}",
    ]


def test_grouping_can_be_chosen(logs: Store) -> None:
    """--by takes any of the keys, in any order."""
    shown = logs.output("denied --by port,source -o json --display-direction in").splitlines()
    found = [json.loads(line) for line in shown]
    assert [(row["port"], row["source"], row["flows"], row["sources"]) for row in found] == [
        (3389, "192.0.2.1", 2, 1),
        (22, "192.0.2.1", 1, 1),
        (3389, "192.0.2.2", 1, 1),
    ]


def test_csv_and_filter(logs: Store) -> None:
    """CSV has the same columns; --filter and --display-lb choose what is counted."""
    shown = logs.output("denied --by nsg,port -o csv --filter port=22 --display-lb")
    assert shown == (
        "nsg,port,flows,sources,first,last,vnet,aclGroup\n"
        "WEB-NSG,22,2,2,2026-03-04T05:00:03.000Z,2026-03-04T05:00:04.000Z,"
        f",{WEB.nsg_id.lower()}\n"
    )


def test_the_vnet_of_a_guid_stands_in_every_form(logs: Store) -> None:
    """As the table has it: in a column of its own, empty where NSGs have names."""
    rows = csv.DictReader(io.StringIO(logs.output("denied -o csv")))
    assert [row["vnet"] for row in rows] == ["", "", NET.vnet]
    found = map(json.loads, logs.output("denied -o json").splitlines())
    assert [row["vnet"] for row in found] == ["", "", NET.vnet]
    for by, vnet in (("vnet", NET.vnet), ("nsg,vnet", NET.vnet), ("rule", None)):
        (row,) = logs.output(f"denied --filter port=1433 -o json --by {by}").splitlines()
        assert json.loads(row).get("vnet") == vnet


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("denied --by nsg,colour", "'colour' is not one of nsg, rule"),
        ("denied --by ,", "is not one of nsg, rule"),
        ("denied --by nsg --suggest", "--suggest needs the default grouping"),
        ("denied -o text", "'text' is not one of table, json, csv"),
    ],
)
def test_wrong_usage_ends_with_status_2(store: Store, command: str, said: str) -> None:
    """A wrong value is named in one sentence."""
    done = store.nsgflow(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def suggested(store: Store, flags: str = "") -> list[str]:
    """What --suggest adds to the table."""
    return store.output(f"denied --suggest {flags}").partition("\n\n")[2].splitlines()


def test_proposal_is_a_command_marked_for_review(store: Store) -> None:
    """The command names NSG, direction, sources, destination and port; not the priority."""
    put(store, "DefaultRule_DenyAllInBound", [inbound(0, "10.9.9.9", 5432)])
    rule = "DefaultRule_DenyAllInBound"
    assert suggested(store) == [
        "# 1. PROPOSAL, review it before you run it",
        ("# WARNING: PRIORITY-TO-CHOOSE must be a free number from 100 to 4096, "
        f"below that of '{rule}'"),
        ("# NOT PROVEN: there is no inventory to tell which NSGs a flow passes; "
        "the rules of NSG web-nsg are not known"),
        (f"az network nsg rule create --subscription {WEB.subscription} --resource-group shop-rg "
        "--nsg-name web-nsg --name nsgflow-allow-in-tcp-5432-918bd7bb "
        "--priority PRIORITY-TO-CHOOSE --access Allow --direction Inbound --protocol Tcp "
        "--source-address-prefixes 10.9.9.9 "
        "--source-port-ranges '*' --destination-address-prefixes 10.5.16.4 "
        "--destination-port-ranges 5432"),
    ]  # fmt: skip


def test_flows_that_both_kinds_of_log_have_are_told(store: Store) -> None:
    """An NSG log and a VNet log over one network count each flow twice; others say nothing."""
    web = Nic(nsg="WEB-NSG", mac=NET.mac)
    tail = "10.0.0.9,10.5.16.4,50648,1433"
    texts = (f"{SECONDS + 3},{tail},T,I,D,B,,,,", f"{SECONDS + 4},{tail},T,I,D,B,,,,")
    record = nsg_record(web, HOUR, [Group("UserRule_Deny", texts[:1])])
    store.log(nsg_path(web, HOUR), [record.data])
    other = vnet_record(
        NET, HOUR, [Group("UserRule_Deny", (f"{SECONDS + 4}883,{tail},6,I,D,NX,0,0,0,0",))]
    )
    store.log(vnet_path(NET, HOUR), [other.data])
    assert "both have" not in store.nsgflow("denied").stderr
    record = nsg_record(web, HOUR, [Group("UserRule_Deny", texts)])
    store.log(nsg_path(web, HOUR), [record.data])
    done = store.nsgflow("denied -o json")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.count("\n") == 2
    both = "NSG flow logs and VNet flow logs both have some of these flows: they are counted twice"
    assert both in done.stderr
    assert f"{both} here, in the totals" in store.nsgflow("flows --aggregate").stderr
    assert both not in store.nsgflow("flows").stderr
    assert both not in store.nsgflow("flows --aggregate --version 4").stderr


def security_rule(name: str, priority: int, access: str) -> Rule:
    """An inbound rule about everything."""
    every = ("*",)
    return Rule(name, priority, inbound=True, access=access, protocol="*", sources=every,
        source_ports=every, destinations=every, destination_ports=every)  # fmt: skip


def test_the_inventory_names_the_rule_and_a_free_priority(store: Store) -> None:
    """With the function's inventory a GUID becomes the NSG and the priority is a number."""
    group = "/subscriptions/s/resourcegroups/shop-rg/providers/microsoft.network"
    nsg = f"{group}/networksecuritygroups/web-nsg"
    rules = (
        security_rule("DenyDb", 200, "Deny"),
        security_rule("Ssh", 199, "Allow"),
    )
    packed = pack_inventory([], [], [nsg], {}, {NET.acl.lower(): Acl(nsg, "web-nsg")}, {nsg: rules})
    store.service.create_container("nsgflow-state").upload_blob(INVENTORY_BLOB, packed)
    text = f"{SECONDS}000,10.9.9.9,10.5.16.4,5000,5432,6,I,D,NX,0,0,0,0"
    record = vnet_record(NET, HOUR, [Group("UserRule_DenyDb", (text,))])
    store.log(vnet_path(NET, HOUR), [record.data])
    environ = store.environ(AzureWebJobsStorage=store.azurite.connection_string)
    shown = store.output("denied --suggest", environ)
    assert "denied by 'DenyDb' with priority 200; 198 was free before it" in shown
    assert "--resource-group shop-rg --nsg-name web-nsg" in shown
    assert "--priority 198 " in shown


def test_what_is_inside_a_vnet_with_a_public_range_may_be_let_in(store: Store) -> None:
    """Only an inventory tells: without it, and for the internet, the command stays a comment."""
    estate = Estate()
    vnet = estate.vnet("Public", App="20.0.0.0/23")
    estate.nic(f"{vnet}/subnets/App", "00-0D-3A-00-00-A3", "20.0.0.4", vm="Db")
    packed = read_inventory(Graph(estate))
    store.service.create_container("nsgflow-state").upload_blob(INVENTORY_BLOB, packed)
    texts = [
        f"{SECONDS}000,{source},20.0.0.4,5000,{port},6,I,D,NX,0,0,0,0"
        for source, port in (("20.0.1.5", 1433), ("20.0.9.9", 5432))
    ]
    record = vnet_record(NET, HOUR, [Group("UserRule_Deny", tuple(texts))])
    store.log(vnet_path(NET, HOUR), [record.data])
    known = store.environ(AzureWebJobsStorage=store.azurite.connection_string)
    starts = {}
    for environ in (known, None):
        rows = map(json.loads, store.output("denied --suggest -o json", environ).splitlines())
        starts[environ is None] = {row["port"]: row["proposal"].split()[0] for row in rows}
    assert starts == {False: {1433: "az", 5432: "#"}, True: {1433: "#", 5432: "#"}}


@pytest.fixture
def named(store: Store) -> dict[str, str]:
    """A VNet flow log whose GUID the function's inventory knows; settings that lead to it."""
    nsg = (
        "/subscriptions/s/resourcegroups/g/providers/microsoft.network/networksecuritygroups/ml-nsg"
    )
    packed = pack_inventory([], [], [nsg], {}, {NET.acl.lower(): Acl(nsg, "ml-nsg")}, {nsg: ()})
    store.service.create_container("nsgflow-state").upload_blob(INVENTORY_BLOB, packed)
    text = f"{SECONDS}000,10.9.9.9,10.5.16.4,5000,5432,6,I,D,NX,0,0,0,0"
    record = vnet_record(NET, HOUR, [Group("UserRule_DenyDb", (text,))])
    store.log(vnet_path(NET, HOUR), [record.data])
    return store.environ(AzureWebJobsStorage=store.azurite.connection_string)


@pytest.mark.parametrize(
    "command",
    [
        "denied",
        "denied -o json",
        "denied -o csv --nsg-name ML-NSG",
        "denied --by vnet,nsg",
        "flows",
        "flows -o table --nsg-name 'ml*'",
        "flows -o json --filter nsg=ml-nsg",
    ],
)
def test_the_inventory_names_the_nsg_of_vnet_flow_logs(
    store: Store, named: dict[str, str], command: str
) -> None:
    """In every form, and for choosing; no GUID is left."""
    shown = store.output(command, named)
    assert "ml-nsg" in shown
    assert NET.acl not in shown


def test_the_vnet_of_a_known_nsg_is_told_to_programs(store: Store, named: dict[str, str]) -> None:
    """As --by vnet knows it, by the log or by the inventory; the table names the NSG alone."""
    row = json.loads(store.output("denied -o json", named))
    assert (row["nsg"], row["vnet"]) == ("ml-nsg", NET.vnet)
    (cells,) = csv.DictReader(io.StringIO(store.output("denied -o csv", named)))
    assert cells["vnet"] == NET.vnet
    assert "vnet" not in store.output("denied", named).splitlines()[0]

    estate = Estate()
    vnet = estate.vnet("Hub", App="10.5.16.0/24")
    estate.nic(f"{vnet}/subnets/App", "00-0D-3A-00-00-A1", "10.5.16.4", vm="Web")
    packed = read_inventory(Graph(estate))
    container = store.service.get_container_client("nsgflow-state")
    container.upload_blob(INVENTORY_BLOB, packed, overwrite=True)
    put(store, "UserRule_Deny", [f"{SECONDS},192.0.2.1,10.5.16.4,5,22,T,I,D,B,,,,"])
    words = "denied --filter nsg=web-nsg -o json"
    (row,) = map(json.loads, store.output(words, named).splitlines())
    (by,) = map(json.loads, store.output(f"{words} --by vnet", named).splitlines())
    assert row["vnet"] == by["vnet"] == "hub"


def test_vnet_flow_logs_can_be_grouped_by_their_vnet(logs: Store) -> None:
    """Without an inventory the VNet is what a person knows the place by."""
    row = json.loads(logs.output("denied --by vnet,port --filter port=1433 -o json"))
    assert (row["vnet"], row["port"]) == (NET.vnet, 1433)


def test_names_that_cannot_be_had_stop_nothing(logs: Store) -> None:
    """Settings that are wrong cost the names, and that is said."""
    done = logs.nsgflow("denied", logs.environ(AzureWebJobsStorage="x"))
    assert done.returncode == 0
    assert NET.acl in done.stdout
    assert "without names" in done.stderr


def test_management_port_is_warned_of(store: Store) -> None:
    """Opening SSH, RDP and their like is warned of, to the internet most of all."""
    put(store, "UserRule_Deny", [inbound(0, "8.8.8.8", 3389)])
    shown = "\n".join(suggested(store))
    assert "WARNING: some sources are addresses of the internet" in shown
    assert "NOT TO BE RUN AS IT IS" in shown
    assert "\n# az network nsg rule create " in shown
    assert "WARNING: port 3389 (RDP) is a management port and this opens it to addresses" in shown


def test_a_scan_from_the_internet_is_let_alone(store: Store) -> None:
    """Many sources of one port are no reason for a rule, and that is said; others are named."""
    sources = [f"8.8.{number}.8" for number in range(30)]
    put(store, "UserRule_Deny", [inbound(0, source, 443) for source in sources])
    shown = "\n".join(suggested(store))
    assert "# 1. no rule to propose" in shown
    assert "30 addresses of the internet tried TCP 443 of 10.5.16.4, and a scan looks" in shown
    assert "az network" not in shown
    assert all(line.startswith("#") for line in shown.splitlines())
    put(store, "UserRule_Deny", [inbound(0, f"10.0.{n}.8", 443, "U") for n in range(30)])
    shown = "\n".join(suggested(store))
    assert "--protocol Udp --source-address-prefixes 10.0.0.8 10.0.1.8 10.0.2.8 " in shown


def test_no_rule_is_proposed_where_none_can_help(store: Store) -> None:
    """A security admin rule is above every NSG; an NSG known by id only must be filled in."""
    out = f"{SECONDS}007,10.5.16.4,203.0.113.9,5000,1433,6,O,D,NX,0,0,0,0"
    groups = [Group("BlockHighRiskPorts", (out,)), Group("UserRule_Deny", (out, out))]
    store.log(vnet_path(NET, HOUR), [vnet_record(NET, HOUR, groups).data])
    shown = suggested(store)
    assert f"# WARNING: the log names the NSG only as {NET.acl}: fill in" in "\n".join(shown)
    assert shown[-2] == "# 2. no rule to propose"
    assert "'BlockHighRiskPorts' is no rule of an NSG" in shown[-1]


def test_what_a_log_says_cannot_break_out_of_the_command(store: Store) -> None:
    """Names from logs are quoted for the shell and cleaned for the terminal."""
    put(store, "UserRule_$(reboot)\n'", [inbound(0, "10.9.9.9", 5432)])
    shown = suggested(store)
    assert [line.partition(" ")[0] for line in shown] == ["#", "#", "#", "az"]
    assert "reboot" not in shown[-1]


def test_what_a_log_says_cannot_steer_a_terminal_from_the_command(store: Store) -> None:
    """Control characters of any kind are escapes within the command and the warnings."""
    net = Nic(mac="000D3A0000A4", acl_id="web\x1b[2J\u009b\u202e")
    text = f"{SECONDS}000,10.9.9.9,10.5.16.4,5000,5432,6,I,D,NX,0,0,0,0"
    record = vnet_record(net, HOUR, [Group("UserRule_\x1b]0;\x07", (text,))])
    store.log(vnet_path(net, HOUR), [record.data])
    shown = store.output("denied --suggest")
    assert not [letter for letter in shown if not letter.isprintable() and letter != "\n"]
    assert "az network nsg rule create" in shown


def test_json_carries_the_proposal(store: Store) -> None:
    """With JSON the proposal and its warnings are fields of each group."""
    put(store, "UserRule_Deny", [inbound(0, "10.9.9.9", 22)])
    row = json.loads(store.output("denied --suggest -o json"))
    assert row["proposal"].startswith("az network nsg rule create ")
    assert "SSH" in row["warnings"][0]
