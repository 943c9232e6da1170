"""The README of get_nsg_logs: its commands, with its flags, print its lines.

https://github.com/erjosito/get_nsg_logs has them; the logs here are built to hold those flows.
"""

# ruff: noqa: E501 - commands and lines stand as they are given there

import json

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record
from tests.cli.conftest import Store, at

NVA = Nic(nsg="NVA-NSG", mac="000D3A000001")
VM = Nic(nsg="FWTESTVM-NSG", mac="000D3A000002")
OUT = "DefaultRule_AllowInternetOutBound"


def record(nic: Nic, time: str, group: Group, version: int = 2) -> bytes:
    """A record with its time to the tenth of a microsecond, as Azure writes it."""
    made = nsg_record(nic, at(time[:19]), [group], version=1 if version == 1 else 2)
    return json.dumps(json.loads(made.data) | {"time": time}).encode()


def test_dropped_and_allowed_inbound_of_six_hours(store: Store) -> None:
    """Version 1: time, NSG, rule, decision, direction, source and destination with ports."""
    time = "2018-09-21T09:49:57.3055150Z"
    tuples = [
        f"{1537523300 + number},10.90.15.47,10.139.149.70,{port},23,T,I,A"
        for number, port in enumerate((29014, 29014, 32069, 29014, 29014, 32069))
    ]
    probe = "1537523320,168.63.129.16,10.139.149.70,40000,23,T,I,A"
    outbound = "1537523320,10.139.149.70,10.90.15.47,40000,23,T,O,A"
    rule = Group("DefaultRule_AllowVnetInBound", (*tuples, probe, outbound))
    store.log(nsg_path(NVA, at("2018-09-21T09:00")), [record(NVA, time, rule, version=1)])
    command = "flows --display-hours 6 --display-direction in --display-allowed"
    assert (
        store.output(command)
        == """\
2018-09-21T09:49:57.3055150Z NVA-NSG DefaultRule_AllowVnetInBound A I 10.90.15.47 29014 10.139.149.70 23
2018-09-21T09:49:57.3055150Z NVA-NSG DefaultRule_AllowVnetInBound A I 10.90.15.47 29014 10.139.149.70 23
2018-09-21T09:49:57.3055150Z NVA-NSG DefaultRule_AllowVnetInBound A I 10.90.15.47 32069 10.139.149.70 23
2018-09-21T09:49:57.3055150Z NVA-NSG DefaultRule_AllowVnetInBound A I 10.90.15.47 29014 10.139.149.70 23
2018-09-21T09:49:57.3055150Z NVA-NSG DefaultRule_AllowVnetInBound A I 10.90.15.47 29014 10.139.149.70 23
2018-09-21T09:49:57.3055150Z NVA-NSG DefaultRule_AllowVnetInBound A I 10.90.15.47 32069 10.139.149.70 23
"""
    )


def test_version_2_of_port_80_with_totals(store: Store) -> None:
    """Version 2: protocol, state and counters besides, the newest hour first, sums at the end."""
    late = "1571264410,192.168.1.4,104.28.19.94,39884,80,T,O,A,E,6,419,4,629"
    begun = "1571264400,192.168.1.4,104.28.19.94,39884,80,T,O,A,B,,,,"
    other = "1571264410,192.168.1.4,104.28.19.94,39884,443,T,O,A,E,1,2,3,4"
    first = "1571261500,192.168.1.4,51.137.52.221,54326,80,T,O,A,E,17,1787,120,172007"
    second = "1571261510,192.168.1.4,91.189.88.24,34680,80,T,O,A,E,25,1875,66,93416"
    old = "1571257510,192.168.1.4,91.189.88.24,34680,80,T,O,A,E,25,1875,66,93416"
    for time, tuples in (
        ("2019-10-16T22:20:16.9434260Z", (begun, late, other)),
        ("2019-10-16T21:32:16.8646597Z", (first, second)),
        ("2019-10-16T20:25:16.8646597Z", (old,)),
    ):
        store.log(nsg_path(VM, at(time[:13])), [record(VM, time, Group(OUT, tuples))])
    command = "flows --version 2 --display-allowed --display-direction both --only-non-zero --port 80 --display-hours 2 --aggregate"
    assert (
        store.output(command)
        == """\
2019-10-16T22:20:16.9434260Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 39884 104.28.19.94 80 E src2dst: 6/419 dst2src: 4/629
2019-10-16T21:32:16.8646597Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 54326 51.137.52.221 80 E src2dst: 17/1787 dst2src: 120/172007
2019-10-16T21:32:16.8646597Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 34680 91.189.88.24 80 E src2dst: 25/1875 dst2src: 66/93416
Totals src2dst -> 48 packets and 4081 bytes
Totals dst2src -> 190 packets and 266052 bytes
"""
    )


def test_one_request_by_address_and_source_port(store: Store) -> None:
    """A flag given twice counts as given last, and --port finds the source port as well."""
    tuples = (
        "1571296336,192.168.1.4,104.28.19.94,38264,80,T,O,A,B,,,,",
        "1571296336,192.168.1.4,104.28.19.94,38264,80,T,O,A,E,6,419,4,629",
        "1571296337,192.168.1.4,104.28.19.94,38265,80,T,O,A,E,7,419,4,629",
        "1571296337,192.168.1.4,104.28.19.95,38264,80,T,O,A,E,8,419,4,629",
    )
    time = "2019-10-17T07:12:17.6127249Z"
    store.log(nsg_path(VM, at(time[:13])), [record(VM, time, Group(OUT, tuples))])
    command = "flows --version 2 --display-allowed --display-direction out --only-non-zero --port 80 --aggregate --display-hours 2 --ip 104.28.19.94 --port 38264"
    assert (
        store.output(command)
        == """\
2019-10-17T07:12:17.6127249Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 38264 104.28.19.94 80 E src2dst: 6/419 dst2src: 4/629
Totals src2dst -> 6 packets and 419 bytes
Totals dst2src -> 4 packets and 629 bytes
"""
    )


def test_half_open_connections(store: Store) -> None:
    """Records come in order, and tuples of one time as they were written."""
    time = "2019-10-17T06:41:17.5858392Z"
    earlier = "1571293990,192.168.1.4,104.28.19.94,56228,80,T,O,A,C,6,420,8,4498"
    ended = [
        f"1571294412,192.168.1.4,104.28.19.94,{port},80,T,O,A,E,2,108,1,60"
        for port in (2301, 2300, 2302)
    ]
    store.log(
        nsg_path(VM, at("2019-10-17T06:00")),
        [
            record(VM, "2019-10-17T06:33:17.5758719Z", Group(OUT, (earlier,))),
            record(VM, time, Group(OUT, tuple(ended))),
        ],
    )
    command = "flows --version 2 --display-allowed --display-direction out --only-non-zero --port 80 --aggregate --ip 104.28.19.94"
    assert (
        store.output(command)
        == """\
2019-10-17T06:33:17.5758719Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 56228 104.28.19.94 80 C src2dst: 6/420 dst2src: 8/4498
2019-10-17T06:41:17.5858392Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 2301 104.28.19.94 80 E src2dst: 2/108 dst2src: 1/60
2019-10-17T06:41:17.5858392Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 2300 104.28.19.94 80 E src2dst: 2/108 dst2src: 1/60
2019-10-17T06:41:17.5858392Z FWTESTVM-NSG DefaultRule_AllowInternetOutBound A O 192.168.1.4 tcp 2302 104.28.19.94 80 E src2dst: 2/108 dst2src: 1/60
Totals src2dst -> 12 packets and 744 bytes
Totals dst2src -> 11 packets and 4678 bytes
"""
    )
