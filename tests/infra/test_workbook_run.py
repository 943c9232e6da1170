"""The workbook's queries over flows are run, and compared with the same questions in Python."""

import datetime as dt
import ipaddress
import math
import statistics
from collections import Counter
from collections.abc import Callable

import pytest

from devtools.kql import INGESTED, Workspace
from devtools.queries import PARAMETERS, of_workbook, with_parameters, with_values
from devtools.table_rows import NOW, Row
from tests.infra.asked import Answer, comparable, denied, grouped, nsg, of, port, rule, time

WEB_LABEL = "shop-rg/prod-web-nsg"


def chosen(rows: list[Row], choice: int) -> list[Row]:
    """The flows of four hours that the workbook's parameters choose."""
    inside = denied(rows, dt.timedelta(hours=4))
    if not choice:
        return inside
    network = ipaddress.ip_network(PARAMETERS["Ip"][1])
    return [
        row
        for row in inside
        if nsg(row) in (WEB_LABEL, "VNet encryption")
        and any(ipaddress.ip_address(row[end]) in network for end in ("SrcIp", "DestIp"))
        and row["DestPort"] in (22, 3389)
    ]


def by_time(rows: list[Row]) -> Answer:
    """Flows by NSG, in steps of five minutes."""
    step = dt.timedelta(minutes=5)
    groups = grouped(rows, nsg, lambda row: time(row) - (time(row) - NOW) % step)
    return [
        {"Nsg": name, "FlowTime": start, "Flows": len(group)}
        for (name, start), group in groups.items()
    ]


def top_rules(rows: list[Row]) -> Answer:
    """Flows by rule."""
    return [
        {
            "Nsg": name,
            "Rule": by,
            "FlowDirection": way,
            "Flows": len(group),
            "Last": max(map(time, group)),
        }
        for (name, by, way), group in grouped(rows, nsg, rule, of("FlowDirection")).items()
    ]


def top_ports(rows: list[Row]) -> Answer:
    """Flows by port."""
    return [
        {
            "Port": to,
            "L7Protocol": service,
            "Flows": len(group),
            "Sources": len({row["SrcIp"] for row in group}),
        }
        for (to, service), group in grouped(rows, port, of("L7Protocol")).items()
    ]


def top_sources(rows: list[Row]) -> Answer:
    """Flows by source."""
    return [
        {
            "SrcIp": source,
            "SrcVm": vm.split("/")[-1],
            "FlowType": kind,
            "Flows": len(group),
            "Ports": len(set(map(port, group))),
        }
        for (source, vm, kind), group in grouped(
            rows, of("SrcIp"), of("SrcVm"), of("FlowType")
        ).items()
    ]


def flows(rows: list[Row]) -> Answer:
    """Flow by flow."""
    names = (
        "FlowDirection",
        "L7Protocol",
        "SrcIp",
        "SrcPort",
        "DestIp",
        "SrcVm",
        "DestVm",
        "FlowType",
        "MacAddress",
        "FlowId",
    )
    return [
        {"FlowTime": time(row), "Nsg": nsg(row), "Rule": rule(row), "Port": port(row)}
        | {name: row[name] for name in names}
        for row in rows
    ]


def twice(rows: list[Row]) -> Answer:
    """Interfaces in both kinds of log."""
    counts = {
        key: Counter(row["FlowLogVersion"] for row in group)
        for key, group in grouped(rows, nsg, of("MacAddress")).items()
    }
    return [
        {"Nsg": name, "MacAddress": mac, "NsgLog": count[2], "VnetLog": count[4]}
        for (name, mac), count in counts.items()
        if count[2] and count[4]
    ]


def nsgs(rows: list[Row]) -> Answer:
    """What there is to choose from."""
    return [{"Nsg": name} for name in {nsg(row) for row in rows}]


IN_WORKBOOK: dict[str, Callable[[list[Row]], Answer]] = {
    "denied-over-time": by_time,
    "top-rules": top_rules,
    "top-ports": top_ports,
    "top-sources": top_sources,
    "flows": flows,
    "twice": twice,
    "Nsg": nsgs,
}


def test_every_query_over_flows_is_run() -> None:
    """No query of the workbook is left out here."""
    asked = {name for name, query in of_workbook().items() if "NSGFlow" in query}

    assert asked == {*IN_WORKBOOK, "arrival"}


@pytest.mark.parametrize("choice", [0, 1], ids=["nothing chosen", "something chosen"])
@pytest.mark.parametrize("name", IN_WORKBOOK)
def test_workbook_answers_as_python_does(
    name: str, choice: int, workspace: Workspace, rows: list[Row]
) -> None:
    """The first tab's charts and tables, whatever is chosen."""
    query = with_parameters(with_values(of_workbook()[name]), choice)
    picked = chosen(rows, choice if name != "Nsg" else 0)
    expected = IN_WORKBOOK[name](picked)
    answer = workspace.ask(query, NOW, dt.timedelta(hours=4))

    assert expected
    if "\n| top 50 " in query and len(expected) > 50:
        assert set(comparable(answer)) <= set(comparable(expected))
        assert sum(row["Flows"] for row in answer) == sum(
            sorted((row["Flows"] for row in expected), reverse=True)[:50]
        )
    else:
        assert comparable(answer) == comparable(expected)


def test_arrival_is_the_delay_of_rows(workspace: Workspace, rows: list[Row]) -> None:
    """Median and 95th percentile of the time from a flow to its row."""
    query = with_parameters(of_workbook()["arrival"], 0)
    answer = workspace.ask(query, NOW, dt.timedelta(minutes=10))
    step = dt.timedelta(minutes=5)
    inside = [row for row in rows if NOW - 2 * step < time(row) and row[INGESTED] <= NOW]
    delays = {
        start: sorted((row[INGESTED] - time(row)).total_seconds() for row in group)
        for (start,), group in grouped(
            inside, lambda row: time(row) - (time(row) - NOW) % step
        ).items()
    }

    assert {row["TimeGenerated"].replace(tzinfo=dt.UTC) for row in answer} == set(delays)
    for row in answer:
        expected = delays[row["TimeGenerated"].replace(tzinfo=dt.UTC)]
        assert math.isclose(row["Median"], statistics.median(expected), rel_tol=0.05)
        assert expected[0] <= row["Median"] <= row["P95"] <= expected[-1]
