"""`nsgflow flows`: each flag against logs of our own, with the lines it must print."""

# ruff: noqa: E501 - a line of output stands in a line

import csv
import io
import json
import random

import pytest

from devtools.flowlogs import (
    BlobWriter,
    Group,
    Nic,
    nsg_path,
    nsg_record,
    random_record,
    vnet_path,
    vnet_record,
)
from devtools.nic import NSG_CONTAINER
from nsgflow_core.columns import columns
from tests.cli.conftest import Store, at

HOUR = at("2026-03-04T05:00")
WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
DB = Nic(nsg="DB-NSG", mac="000D3A0000A2")
NET = Nic(mac="000D3A0000A3")
T1 = "2026-03-04T05:10:00.0000000Z"

RDP = f"{T1} WEB-NSG UserRule_DenyRdp D I 198.51.100.7 tcp 50001 10.5.16.4 3389 B src2dst: / dst2src: /"
PROBE = f"{T1} WEB-NSG UserRule_DenyRdp D I 168.63.129.16 tcp 50002 10.5.16.4 80 B src2dst: / dst2src: /"
SQL = f"{T1} WEB-NSG UserRule_DenySqlOut D O 10.5.16.4 udp 50003 203.0.113.9 1433 B src2dst: / dst2src: /"
HTTPS = f"{T1} WEB-NSG UserRule_AllowHttps A I 198.51.100.8 tcp 50004 10.5.16.4 443 E src2dst: 5/500 dst2src: 4/4000"
OLD = f"{T1} DB-NSG DefaultRule_DenyAllInBound D I 198.51.100.7 50005 10.5.16.4 5432"
VNET = f"{T1} {NET.acl} UserRule_DenyRdp D I 198.51.100.7 tcp 50006 10.5.16.4 3389 D src2dst: 0/0 dst2src: 0/0"


@pytest.fixture
def logs(store: Store) -> Store:
    """A log of each version, in the order RDP, PROBE, SQL, HTTPS, OLD, VNET of their times."""
    seconds = int(HOUR.timestamp()) + 540
    when = HOUR.replace(minute=10)
    web = [
        Group(
            "UserRule_DenyRdp",
            (
                f"{seconds},198.51.100.7,10.5.16.4,50001,3389,T,I,D,B,,,,",
                f"{seconds + 1},168.63.129.16,10.5.16.4,50002,80,T,I,D,B,,,,",
            ),
        ),
        Group(
            "UserRule_AllowHttps",
            (f"{seconds + 3},198.51.100.8,10.5.16.4,50004,443,T,I,A,E,5,500,4,4000",),
        ),
        Group(
            "UserRule_DenySqlOut", (f"{seconds + 2},10.5.16.4,203.0.113.9,50003,1433,U,O,D,B,,,,",)
        ),
    ]
    old = Group(
        "DefaultRule_DenyAllInBound", (f"{seconds + 4},198.51.100.7,10.5.16.4,50005,5432,T,I,D",)
    )
    net = Group(
        "UserRule_DenyRdp",
        (f"{seconds + 5}000,198.51.100.7,10.5.16.4,50006,3389,6,I,D,NX,0,0,0,0",),
    )
    store.log(nsg_path(WEB, HOUR), [nsg_record(WEB, when, web).data])
    store.log(nsg_path(DB, HOUR), [nsg_record(DB, when, [old], version=1).data])
    store.log(vnet_path(NET, HOUR, "short"), [vnet_record(NET, when, [net]).data])
    return store


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", [RDP, OLD, VNET]),
        ("--display-lb", [RDP, PROBE, OLD, VNET]),
        ("--display-allowed", [RDP, HTTPS, OLD, VNET]),
        ("--display-direction out", [SQL]),
        ("--display-direction both", [RDP, SQL, OLD, VNET]),
        ("--version 1", [OLD]),
        ("--version 2", [RDP]),
        ("--version 4", [VNET]),
        ("--display-allowed --only-non-zero", [HTTPS, VNET]),
        ("--display-allowed --flow-state e", [HTTPS]),
        ("--flow-state B", [RDP]),
        ("--flow-state d", [VNET]),
        ("--ip 203.0.113.9 --display-direction both", [SQL]),
        ("--ip 198.51.100.7", [RDP, OLD, VNET]),
        ("--port 3389", [RDP, VNET]),
        ("--port 50005", [OLD]),
        ("--port 5432,3389", [RDP, OLD, VNET]),
        ("--port 5432,3389 --port 50005", [OLD]),
        (f"--nsg WEB-NSG,{NET.acl}", [RDP, VNET]),
        ("--nsg-name 'web-*, db-nsg'", [RDP, OLD]),
        ("--nsg-name web-nsg", [RDP]),
        (f"--nsg-name {NET.acl.upper()}", [VNET]),
        ("--nsg-name 'WEB*'", [RDP]),
        (f"--nsg-name {WEB.nsg_id.lower()}", [RDP]),
        (f"--nsg-name WEB-NSG --nsg-name {NET.acl}", [RDP, VNET]),
        ("--filter 'port=5432,1433' --filter direction=in", [OLD]),
        ("--display-direction IN --flow-state b", [RDP]),
        ("--filter 'port=5432,1433'", [SQL, OLD]),
        ("--filter 'port=5432,1433 direction=in,out'", [SQL, OLD]),
        ("--filter action=allowed", [HTTPS]),
        ("--filter FlowStatus=Allowed", [HTTPS]),
        ("--filter 'FlowDirection=Outbound'", [SQL]),
        ("--filter 'DestPort=5432,1433'", [SQL, OLD]),
        ("--action allowed", [HTTPS]),
        ("--action both", [RDP, HTTPS, OLD, VNET]),
        ("--action denied", [RDP, OLD, VNET]),
        ("--action both --filter action=allowed", [HTTPS]),
        ("--filter 'lb=yes'", [PROBE]),
        ("--filter 'nsg=db-*'", [OLD]),
        ("--since 2026-03-04T05:09:04Z --until 2026-03-04T05:09:05", [OLD]),
        ("--since 2026-03-04 --until 2026-03-04T05:09:02+00:00", [RDP]),
        ("--since 2026-03-04T06:09:05+01:00 --until 2026-03-05", [VNET]),
        ("--version 1 --aggregate", [OLD, "Totals src2dst -> 0 packets and 0 bytes", "Totals dst2src -> 0 packets and 0 bytes"]),
        ("--display-allowed --aggregate --port 443", [HTTPS, "Totals src2dst -> 5 packets and 500 bytes", "Totals dst2src -> 4 packets and 4000 bytes"]),
    ],
)  # fmt: skip
def test_flags_choose_flows(logs: Store, flags: str, expected: list[str]) -> None:
    """Each flag shows the flows it says, in the order of their times."""
    assert logs.output(f"flows {flags}").splitlines() == expected


def test_hours_are_counted_for_each_nsg_and_all_its_nics(store: Store) -> None:
    """Two hours are the two newest with logs of an NSG, whatever other NSGs and NICs have."""
    second = Nic(nsg="WEB-NSG", mac="000D3A0000B1")

    def put(nic: Nic, hour: int, port: int) -> None:
        moment = HOUR.replace(hour=hour)
        text = f"{int(moment.timestamp()) + port},192.0.2.1,10.5.16.4,{port},22,T,I,D,B,,,,"
        record = nsg_record(nic, moment, [Group("R", (text,))])
        store.log(nsg_path(nic, moment), [record.data])

    logs = [(WEB, 5, 1), (second, 5, 2), (WEB, 3, 3), (second, 2, 4)]
    for nic, hour, port in [*logs, (DB, 1, 5), (DB, 0, 6), (DB, 23, 7)]:
        put(nic, hour, port)
    ports = [line.split()[7] for line in store.output("flows --display-hours 2").splitlines()]
    assert ports == ["7", "1", "2", "3", "5"]
    ports = [line.split()[7] for line in store.output("flows").splitlines()]
    assert ports == ["7", "1", "2"]
    span = "--since 2026-03-04 --until 2026-03-05"
    ports = [line.split()[7] for line in store.output(f"flows {span}").splitlines()]
    assert ports == ["6", "5", "4", "3", "1", "2", "7"]


def test_logs_of_many_nics_and_windows_come_in_order(store: Store) -> None:
    """Whatever the logs' sizes, every flow comes once, in the order of time."""
    rng = random.Random(1)
    sent: list[str] = []
    for number, records in enumerate((1, 40, 400)):
        nic = Nic(nsg=f"NSG{number}", mac=f"000D3A0000C{number}")
        made = [
            random_record(nic, HOUR.replace(minute=index * 60 // records), rng, tuples=60)
            for index in range(records)
        ]
        store.log(nsg_path(nic, HOUR), [record.data for record in made])
        sent += [flow.text for record in made for flow in record.flows]
    shown = store.output("flows --display-allowed --display-direction both -o json --display-lb")
    rows = [json.loads(line) for line in shown.splitlines()]
    assert len(rows) == len(sent)
    assert len({row["FlowId"] for row in rows}) == len(sent)
    times = [row["FlowTime"] for row in rows]
    assert times == sorted(times)


def test_json_has_a_row_of_the_table_on_each_line(logs: Store) -> None:
    """A line of JSON is the row that would go to the table, with its columns and FlowId."""
    rows = [json.loads(line) for line in logs.output("flows --output json").splitlines()]
    assert [set(row) for row in rows] == [set(columns())] * 3
    assert [row["FlowLogVersion"] for row in rows] == [2, 1, 4]
    assert rows[2]["SrcIp"] == "198.51.100.7"
    assert rows[2]["FlowStatus"] == "Denied"


def test_csv_has_a_header_and_empty_fields(logs: Store) -> None:
    """CSV has the table's columns in their order; what is unknown is empty."""
    rows = list(csv.reader(io.StringIO(logs.output("flows -o csv"))))
    assert rows[0] == list(columns())
    assert [row[rows[0].index("BytesSrcToDest")] for row in rows[1:]] == ["", "", "0"]


def test_table_is_not_cut_in_a_pipe(logs: Store) -> None:
    """A table that goes to no terminal is as wide as it must be, with nothing folded."""
    lines = logs.output("flows -o table --version 4").splitlines()
    assert lines[0].split() == [
        "time", "nsg", "vnet", "rule", "action", "direction", "protocol", "source", "sport",
        "destination", "port", "state", "sent", "received",
    ]  # fmt: skip
    assert lines[1].split() == [
        "2026-03-04T05:09:05.000Z", NET.acl, NET.vnet, "UserRule_DenyRdp", "denied", "in", "TCP",
        "198.51.100.7", "50006", "10.5.16.4", "3389", "D", "0/0", "0/0",
    ]  # fmt: skip


def test_both_vnet_path_forms_are_read(store: Store) -> None:
    """VNet flow logs are found below resource ids and below joined names."""
    text = f"{int(HOUR.timestamp())}000,198.51.100.7,10.5.16.4,%d,3389,6,I,D,NX,0,0,0,0"
    for form, port, mac in (("id", 1, "A"), ("short", 2, "B")):
        nic = Nic(mac=f"000D3A00000{mac}", acl_id=WEB.nsg_id)
        record = vnet_record(nic, HOUR, [Group("R", (text % port,))])
        store.log(vnet_path(nic, HOUR, "id" if form == "id" else "short"), [record.data])
    lines = store.output("flows").splitlines()
    assert [line.split()[1] for line in lines] == ["WEB-NSG", "WEB-NSG"]
    assert {line.split()[7] for line in lines} == {"1", "2"}


def test_control_characters_do_not_reach_the_terminal(store: Store) -> None:
    """A rule's name can neither break a line nor steer a terminal."""
    text = f"{int(HOUR.timestamp())},198.51.100.7,10.5.16.4,1,22,T,I,D,B,,,,"
    record = nsg_record(WEB, HOUR, [Group("a\x1b[31m\nb", (text,))])
    store.log(nsg_path(WEB, HOUR), [record.data])
    (line,) = store.output("flows").splitlines()
    assert line.split()[2] == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}b"


def test_blobs_that_azure_wrote_in_blocks_are_read(store: Store) -> None:
    """A log made of blocks, and one of head and closer only, read like any other."""
    container = store.service.create_container(NSG_CONTAINER)
    writer = BlobWriter(container, nsg_path(WEB, HOUR))
    made = [random_record(WEB, HOUR, random.Random(n), tuples=10) for n in range(3)]
    for record in made:
        writer.append(record.data)
    BlobWriter(container, nsg_path(DB, HOUR)).open()
    flags = "--display-allowed --display-direction both"
    assert len(store.output(f"flows {flags}").splitlines()) == 30
