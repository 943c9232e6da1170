"""Rows of the table: what the generator wrote, as the product reads and encodes it."""

import datetime as dt
import json
import random
from collections.abc import Iterable
from typing import Any

from devtools import flowlogs
from devtools.flowlogs import Group, Record, nsg_record, random_record, vnet_record
from devtools.insights import EXCEPTIONS, TRACES
from devtools.kql import INGESTED, Workspace
from devtools.nic import NSG_CONTAINER, SUBSCRIPTION, VNET_CONTAINER, Nic, nsg_path, vnet_path
from devtools.queries import FUNCTIONS, SAVED
from nsgflow_core.columns import columns
from nsgflow_core.logs.flows import read_stretch
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks.rows import encoder

Row = dict[str, Any]
NOW = dt.datetime(2026, 6, 3, 12, 0, tzinfo=dt.UTC)
ARRIVAL = dt.timedelta(seconds=90)


def nsg_id(group: str, name: str) -> str:
    """An NSG's resource id, in the case that it was given."""
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"
        f"/providers/Microsoft.Network/networkSecurityGroups/{name}"
    )


# One NSG in both kinds of log, so in two cases of letters; one of the same name in another group;
# one that is only a GUID.
WEB = Nic(acl_id=nsg_id("Shop-Rg", "Prod-Web-Nsg"))
TEST = Nic(
    mac="000D3AF87857",
    ip="10.9.0.4",
    nsg="PROD-WEB-NSG",
    resource_group="TEST-RG",
    acl_id=nsg_id("test-rg", "prod-web-nsg"),
)
APP = Nic(mac="000D3AF87858", ip="10.0.0.4", nsg="APP-NSG", resource_group="TEST-RG")


def new_workspace() -> Workspace:
    """A workspace with the table, its functions, and Application Insights' tables, all empty."""
    flows = columns() | {"Type": "string"}
    tables = {"NSGFlow_CL": flows, "AppTraces": TRACES, "AppExceptions": EXCEPTIONS}
    return Workspace(tables, {FUNCTIONS[1]: SAVED[FUNCTIONS[1]]})


def rows_of(nic: Nic, records: Iterable[Record]) -> list[Row]:
    """The rows that the product makes of a NIC's records, each ingested soon after its record."""
    rows: list[Row] = []
    by_hour: dict[tuple[bool, str], list[Record]] = {}
    for record in records:
        by_hour.setdefault((record.version == 4, record.time[:13]), []).append(record)
    for (is_vnet, hour), written in by_hour.items():
        start = dt.datetime.fromisoformat(f"{hour}:00:00Z")
        path = vnet_path(nic, start) if is_vnet else nsg_path(nic, start)
        ref = BlobRef("flows", VNET_CONTAINER if is_vnet else NSG_CONTAINER, path)
        data = flowlogs.HEAD + b",".join(record.data for record in written) + flowlogs.CLOSER
        reading = read_stretch(data, 0, ref, parse_path(path), last=True, denied_only=False)
        encode = encoder(ref)
        rows += [json.loads(encode(flow)) for part in reading.flows for flow in part]
        if sum(map(len, reading.flows)) != sum(len(record.flows) for record in written):
            raise ValueError(f"{ref}: not every flow was read")
    for row in rows:
        row["Type"] = "NSGFlow_CL"
        row[INGESTED] = dt.datetime.fromisoformat(row["RecordTime"]) + ARRIVAL
    return rows


def ms(moment: dt.datetime) -> int:
    """Milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def denied_v4(at: dt.datetime, ends: str, number: int, count: int = 1) -> tuple[str, ...]:
    """Tuples of denied inbound flows; `ends` is source, target, ports; `number` the protocol."""
    return tuple(f"{ms(at) - at_ms},{ends},{number},I,D,NX,0,0,0,0" for at_ms in range(count))


def denied_v2(at: dt.datetime, ends: str, count: int = 1) -> tuple[str, ...]:
    """The same in an NSG log, of TCP."""
    second = ms(at) // 1000
    return tuple(f"{second},{ends},T,I,D,B,,,," for _ in range(count))


def oddities(at: dt.datetime) -> list[Record]:
    """What was no NSG's doing, and protocols without ports."""
    dropped = f"{ms(at)},10.9.0.5,10.9.0.4,50001,1433,6,I,D,NX_NOT_ACCEPTED,0,0,0,0"
    platform = f"{ms(at)},10.9.0.4,168.63.129.16,50002,80,6,O,D,NX,0,0,0,0"
    deny = "DefaultRule_DenyAllInBound"
    portless = [
        text
        for number in (1, 58, 50, 51, 47, 99)
        for text in denied_v4(at, "10.9.0.6,10.9.0.4,0,0", number)
    ]
    groups = [
        Group("unspecified", (dropped,), acl="unspecified"),
        Group("PlatformRule", (platform,), acl="00000000-0000-0000-0000-000000000000"),
        Group(deny, (*portless, *denied_v4(at, "10.9.0.6,10.9.0.4,70,80", 132))),
    ]
    return [vnet_record(TEST, at, groups)]


def rollout(at: dt.datetime, source: str, port: int) -> list[Record]:
    """One flow from inside that is denied, in the NSG log and in the VNet log of one NIC."""
    deny = "DefaultRule_DenyAllInBound"
    ends = f"{source},{WEB.ip},50648,{port}"
    return [
        nsg_record(WEB, at, [Group(deny, denied_v2(at, ends))]),
        vnet_record(WEB, at, [Group(deny, denied_v4(at, ends, 6))]),
    ]


def estate() -> list[Row]:
    """Eight days of four logs; every seventh row was delivered twice."""
    rng = random.Random(12)
    rows: list[Row] = []
    for minutes in (2, 5, 20, 70, 200, 300, 1000, 2000, 6000, 11_000):
        at = NOW - dt.timedelta(minutes=minutes)
        rows += rows_of(WEB, [random_record(WEB, at, rng, version=2, denied_share=0.4)])
        rows += rows_of(WEB, [random_record(WEB, at, rng, version=4, denied_share=0.4)])
        rows += rows_of(TEST, [random_record(TEST, at, rng, version=4, denied_share=0.4)])
        rows += rows_of(APP, [random_record(APP, at, rng, version=4, denied_share=0.4)])
    recent, past = NOW - dt.timedelta(minutes=20), NOW - dt.timedelta(hours=40)
    rows += rows_of(TEST, oddities(recent))
    rows += rows_of(WEB, rollout(recent, "10.5.16.9", 1433) + rollout(past, "10.5.16.9", 1433))
    rows += rows_of(WEB, rollout(recent, "10.5.16.10", 22))
    again = [row | {INGESTED: row[INGESTED] + dt.timedelta(minutes=1)} for row in rows[::7]]
    return rows + again
