"""Every query over flows is run, and its answer compared with the same question asked in Python.

The queries are KQL on DuckDB (devtools/kql.py); the rows are those that the product makes of what
the generator wrote. The workbook's are in test_workbook_run.py, those over nsgflow's own lines in
test_lines_run.py, and test_alerts_run.py runs the alert rules.
"""

import datetime as dt
from collections.abc import Callable

import pytest

from devtools.kql import INGESTED, Workspace
from devtools.queries import FUNCTIONS, SAVED, of_docs, with_values
from devtools.table_rows import APP, NOW, TEST, WEB, Row
from tests.infra.asked import (
    Answer,
    comparable,
    denied,
    each_once,
    grouped,
    nsg,
    of,
    port,
    rule,
    time,
)

DAY = dt.timedelta(days=1)
WEEK = dt.timedelta(days=7)
WEB_LABEL = "shop-rg/prod-web-nsg"


def dropped_flows(rows: list[Row]) -> Answer:
    """The dropped flows of 10.0.0.4 in four hours."""
    mine = [
        row
        for row in denied(rows, dt.timedelta(hours=4))
        if APP.ip in (row["SrcIp"], row["DestIp"])
    ]
    keys = (nsg, of("AclGroup"), rule, of("FlowDirection"), port, of("SrcIp"), of("DestIp"))
    return [
        {
            **dict(
                zip(
                    ("Nsg", "AclGroup", "Rule", "FlowDirection", "Port", "SrcIp", "DestIp"),
                    key,
                    strict=True,
                )
            ),
            "Flows": len(group),
            "SourcePorts": {row["SrcPort"] for row in group},
            "First": min(map(time, group)),
            "Last": max(map(time, group)),
            "Logs": {row["FlowLogVersion"] for row in group},
        }
        for key, group in grouped(mine, *keys).items()
    ]


def newly_denied_pairs(rows: list[Row]) -> Answer:
    """Pairs of the last four hours that were not there in the seven days before."""
    inside = [
        row
        for row in denied(rows, WEEK)
        if row["FlowDirection"] == "Outbound"
        or row["FlowType"] not in ("ExternalPublic", "AzurePublic")
    ]
    keys = (nsg, of("FlowDirection"), of("SrcIp"), of("DestIp"), port)
    return [
        {
            **dict(zip(("Nsg", "FlowDirection", "SrcIp", "DestIp", "Port"), key, strict=True)),
            "Flows": len(group),
            "First": min(map(time, group)),
            "Last": max(map(time, group)),
            "Rules": set(map(rule, group)),
            "Logs": {row["FlowLogVersion"] for row in group},
        }
        for key, group in grouped(inside, *keys).items()
        if min(map(time, group)) > NOW - dt.timedelta(hours=4)
    ]


def top_denied_ports(rows: list[Row]) -> Answer:
    """Every port of a day."""
    groups = grouped(denied(rows, DAY), port, of("L7Protocol"), of("FlowDirection"))
    return [
        {
            **dict(zip(("Port", "L7Protocol", "FlowDirection"), key, strict=True)),
            "Flows": len(group),
            "Sources": len({row["SrcIp"] for row in group}),
            "Destinations": len({row["DestIp"] for row in group}),
            "Nsgs": set(map(nsg, group)),
            "Rules": set(map(rule, group)),
            "Last": max(map(time, group)),
            "Logs": {row["FlowLogVersion"] for row in group},
        }
        for key, group in groups.items()
    ]


def whole(rows: list[Row]) -> Answer:
    """NSGFlow(): every flow of two days once, with three columns more."""
    times = ("TimeGenerated", "FlowTime", "RecordTime")
    return [
        row
        | {name: dt.datetime.fromisoformat(row[name]) for name in times}
        | {"Nsg": nsg(row), "Rule": rule(row), "Port": port(row)}
        for row in each_once(row for row in rows if time(row) > NOW - 2 * DAY)
    ]


def readme(rows: list[Row]) -> Answer:
    """Flows by NSG, rule and port; an NSG in two cases is one."""
    inside = each_once(row for row in rows if time(row) > NOW - 2 * DAY)
    names = ("AclGroup", "AclRule", "FlowDirection", "L4Protocol", "DestPort")
    return [
        {
            **dict(zip(names, key, strict=True)),
            "Flows": len(group),
            "Last": max(map(time, group)),
            "Nsg": max(row["AclName"] for row in group),
        }
        for key, group in grouped(inside, *map(of, names)).items()
    ]


def watched(rows: list[Row]) -> Answer:
    """Flows to ports 22 and 3389 or of prod-web-nsg that were ingested in six minutes."""
    late = [
        row
        for row in rows
        if row["FlowStatus"] == "Denied"
        and NOW - dt.timedelta(minutes=6) < row[INGESTED] <= NOW
        and (row["DestPort"] in (22, 3389) or row["AclName"].lower() == "prod-web-nsg")
    ]
    return [
        {**dict(zip(("Nsg", "Rule", "Port"), key, strict=True)), "Flows": len(group)}
        for key, group in grouped(each_once(late), nsg, rule, port).items()
    ]


def surge(rows: list[Row]) -> Answer:
    """The NSG that denied more than five times its usual; here none did 500."""
    return []


def watched_each_minute(rows: list[Row]) -> Answer:
    """The watched rows of two days, repeats included."""
    return [
        {"Nsg": nsg(row), "Rule": rule(row), "Port": port(row), "FlowTime": time(row)}
        | {name: row[name] for name in ("SrcIp", "DestIp", "FlowDirection")}
        for row in rows
        if row["FlowStatus"] == "Denied"
        and time(row) > NOW - 2 * DAY
        and row[INGESTED] <= NOW
        and (row["DestPort"] in (22, 3389) or row["AclName"].lower() == "prod-web-nsg")
    ]


def surge_first_look(rows: list[Row]) -> Answer:
    """The runbook's query, for the web server's NSG."""
    mine = [row for row in denied(rows, dt.timedelta(hours=1)) if nsg(row) == WEB_LABEL]
    names = ("Rule", "FlowDirection", "SrcIp", "DestIp", "Port")
    keys = (rule, of("FlowDirection"), of("SrcIp"), of("DestIp"), port)
    return [
        {
            **dict(zip(names, key, strict=True)),
            "Flows": len(group),
            "First": min(map(time, group)),
            "Last": max(map(time, group)),
        }
        for key, group in grouped(mine, *keys).items()
    ]


QUESTIONS: dict[str, tuple[Callable[[list[Row]], Answer], dt.timedelta]] = {
    "NSGFlow": (whole, 2 * DAY),
    "dropped-flows": (dropped_flows, WEEK),
    "newly-denied-pairs": (newly_denied_pairs, 2 * WEEK),
    "top-denied-ports": (top_denied_ports, WEEK),
    "alert-denied-watched": (watched, dt.timedelta(hours=1)),
    "alert-denied-watched-minute": (watched_each_minute, 2 * DAY),
    "alert-surge": (surge, DAY),
    "README 1": (readme, 2 * DAY),
    "operations 7": (surge_first_look, 2 * DAY),
}


def test_every_query_over_flows_is_run() -> None:
    """No query of infra/queries, README or the docs is left out here."""
    asked = {name for name, query in (SAVED | of_docs()).items() if "NSGFlow" in query}

    assert asked == {*QUESTIONS, FUNCTIONS[0]}


@pytest.mark.parametrize("name", QUESTIONS)
def test_query_answers_as_python_does(name: str, workspace: Workspace, rows: list[Row]) -> None:
    """Saved queries, alert rules and queries of the docs, over their own time range."""
    question, span = QUESTIONS[name]
    query = with_values((SAVED | of_docs())[name]).replace("the one of the alert", WEB_LABEL)
    expected = question(rows)
    answer = workspace.ask(query, NOW, span)

    assert bool(expected) is (name != "alert-surge")
    if "\n| top 50 " in query:
        counts = sorted((row["Flows"] for row in expected), reverse=True)
        assert [row["Flows"] for row in answer] == counts[:50]
        assert set(comparable(answer)) <= set(comparable(expected))
    else:
        assert comparable(answer) == comparable(expected)


def test_parser_of_asim_tells_each_flow(workspace: Workspace, rows: list[Row]) -> None:
    """The parser has each flow once, with ends, verdict, rule and names of protocols."""
    query = f"let disabled = false;\n{SAVED[FUNCTIONS[0]]}"
    answer = {row["EventOriginalUid"]: row for row in workspace.ask(query, NOW, 2 * DAY)}
    inside = each_once(row for row in rows if time(row) > NOW - 2 * DAY)

    assert len(answer) == len(inside)
    for row in inside:
        told = answer[row["FlowId"]]
        assert (told["SrcIpAddr"], told["DstIpAddr"]) == (row["SrcIp"], row["DestIp"])
        assert told["DvcAction"] == ("Deny" if row["FlowStatus"] == "Denied" else "Allow")
        assert told["Dvc"] == (row["AclName"].lower() or row["AclGroup"])
        assert told["NetworkRuleName"] == rule(row)
        assert told["DvcInterface"].replace(":", "") == row["MacAddress"]
        assert told["NetworkBytes"] == (
            None if row["BytesSrcToDest"] is None else row["BytesSrcToDest"] + row["BytesDestToSrc"]
        )
    names = {row["NetworkProtocol"] for row in answer.values()}
    assert names == {"TCP", "UDP", "ICMP", "IPv6-ICMP", "ESP", "AH", "GRE", "SCTP", "99"}
    assert workspace.ask(query.replace("= false", "= true"), NOW, 2 * DAY) == []


def test_what_no_nsg_did_is_told_as_what_it_is(workspace: Workspace) -> None:
    """VNet encryption, Azure's platform, and protocols without ports."""
    answer = workspace.ask(
        f"NSGFlow() | where MacAddress == '{TEST.mac}' and FlowTime == ago(20m)"
        "| project Nsg, Rule, Port",
        NOW,
        DAY,
    )
    told = {(row["Nsg"], row["Rule"], row["Port"]) for row in answer}
    deny = ("test-rg/prod-web-nsg", "DefaultRule_DenyAllInBound")

    assert told >= {
        ("VNet encryption", "NX_NOT_ACCEPTED", "TCP 1433"),
        ("Azure platform", "PlatformRule", "TCP 80"),
        *(
            (*deny, port)
            for port in ("ICMP", "ICMPv6", "ESP", "AH", "GRE", "SCTP 80", "protocol 99")
        ),
    }


def test_one_nsg_in_two_cases_is_one(workspace: Workspace, rows: list[Row]) -> None:
    """The rows have the NSG's name in two cases of letters; what is shown has it once."""
    mine = [row for row in rows if row["MacAddress"] == WEB.mac]
    answer = workspace.ask(f"NSGFlow() | where MacAddress == '{WEB.mac}' | distinct Nsg", NOW, DAY)

    assert {row["AclName"] for row in mine} == {"PROD-WEB-NSG", "Prod-Web-Nsg"}
    assert answer == [{"Nsg": WEB_LABEL}]
