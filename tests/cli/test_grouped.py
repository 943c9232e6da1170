"""`nsgflow denied`: by what, in which order, allowed flows too, and when groups began and ended.

`python -m tests.cli.test_grouped` writes the expected files anew, to be reviewed.
"""

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from devtools.flowlogs import Group, Nic, nsg_record, vnet_record
from nsgflow_core.cli.groupings import parse_by
from nsgflow_core.cli.main import app
from nsgflow_core.columns import columns
from tests.cli.conftest import ROOT, at
from tests.cli.terminal import on_terminal
from tests.cli.test_names import estate_file

GOLDEN = Path(__file__).with_name("golden")
WIDTHS = (80, 120)
BERLIN = {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}
HOUR = at("2026-03-04T05:00")
SECONDS = int(HOUR.timestamp())
WEB = Nic(nsg="PROD-WEB-NSG", mac="000D3A0000A1")
COMMAND = ("--action", "both", "--every", "5m", "--top", "3")


def log(folder: Path) -> str:
    """SQL is denied for eight minutes; HTTPS is allowed all the time; and two single flows."""
    texts = [
        *(
            f"{SECONDS + 60 * minute},192.0.2.{minute % 3},10.5.16.4,5000,1433,T,I,D,B,,,,"
            for minute in range(14, 22)
            for _ in range(1 + minute % 4)
        ),
        f"{SECONDS + 600},192.0.2.1,10.5.16.4,5000,22,T,I,D,B,,,,",
        *(
            f"{SECONDS + 300 * part},192.0.2.1,10.5.16.4,5000,443,T,I,A,E,10,1400,12,90000"
            for part in range(12)
        ),
        f"{SECONDS + 301},10.5.16.4,203.0.113.9,5000,443,T,O,A,C,3,400,2,900",
    ]
    when = HOUR + timedelta(minutes=59)
    record = nsg_record(WEB, when, [Group("UserRule_Sql", tuple(texts))])
    file = folder / "PT1H.json"
    file.write_bytes(b'{"records":[' + record.data + b"]}")
    return str(file)


@pytest.fixture
def flows(tmp_path: Path) -> str:
    """Such a log."""
    return log(tmp_path)


def run(*words: str, status: int = 0) -> str:
    """What `nsgflow denied` writes to no terminal."""
    result = CliRunner().invoke(app, ["denied", *words])
    assert result.exit_code == status, result.output
    return result.stdout


def rows(*words: str) -> list[dict[str, Any]]:
    """The groups as JSON has them."""
    return [json.loads(line) for line in run(*words, "-o", "json").splitlines()]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_whole_of_it_on_a_terminal(flows: str, width: int) -> None:
    """Local times, bars, what is not shown, and what all of them are together."""
    expected = GOLDEN / f"denied.{width}.txt"
    shown = on_terminal(["denied", flows, *COMMAND], width, **BERLIN)
    assert shown == expected.read_text(encoding="utf-8")
    assert max(map(len, shown.splitlines())) <= width


def test_the_bars_need_no_letters_that_an_encoding_lacks(flows: str) -> None:
    """Digits stand for them, the largest for the most."""
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", "denied", flows, "--by", "port", "--every", "5m"],
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"}, cwd=ROOT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == (
        "flows  sources  port          first                     last"
        "                      every 5m\n"
        "20     3        1433          2026-03-04T05:14:00.000Z  2026-03-04T05:21:00.000Z  292\n"
        "1      1        22            2026-03-04T05:10:00.000Z  2026-03-04T05:10:00.000Z  9..\n"
        "21     3        all 2 groups  2026-03-04T05:10:00.000Z  2026-03-04T05:21:00.000Z  392\n"
        "bars of 5m from 2026-03-04T05:10:00.000Z to 2026-03-04T05:25:00.000Z\n"
        ". is none, the highest is the most of its line\n"
    )


def test_programs_get_the_counts_of_bars(flows: str) -> None:
    """As a list in JSON, in one cell of CSV."""
    assert [
        (row["every"], row["begin"], row["counts"]) for row in rows(flows, "--every", "5m")
    ] == [
        (300, "2026-03-04T05:10:00.000Z", [3, 14, 3]),
        (300, "2026-03-04T05:10:00.000Z", [1, 0, 0]),
    ]
    shown = run(flows, "--every", "5m", "--by", "port", "-o", "csv")
    assert shown.splitlines()[1].split(",")[-3:] == ["300", "2026-03-04T05:10:00.000Z", "3 14 3"]


def test_bars_cover_the_span_that_is_asked_for(flows: str) -> None:
    """So that it shows when a group began, and when it ended."""
    span = ("--since", "2026-03-04T05:00Z", "--until", "2026-03-04T05:30Z", "--every", "10m")
    assert [row["counts"] for row in rows(flows, *span)] == [[0, 17, 3], [0, 1, 0]]
    long = ("--since", "2026-03-04T00:00Z", "--until", "2026-03-05T00:00Z", "--every", "1m")
    assert len(rows(flows, *long)[0]["counts"]) == 1440
    result = CliRunner().invoke(app, ["denied", flows, *long])
    assert "every 30m" in result.stdout
    assert "bars of 1m do not fit: they are of 30m; -o json has all" in result.stderr


@pytest.mark.parametrize("words", [("--action", "allowed"), ("--filter", "action=allowed")])
def test_allowed_flows_have_packets_and_bytes(flows: str, words: tuple[str, str]) -> None:
    """Of both ways; and the most bytes come first where that is asked for."""
    found = list(csv.DictReader(io.StringIO(run(flows, *words, "--sort", "bytes", "-o", "csv"))))
    assert [(row["port"], row["direction"], row["packets"], row["bytes"]) for row in found] == [
        ("443", "in", "264", "1096800"),
        ("443", "out", "5", "1300"),
    ]


def test_both_are_told_apart(flows: str) -> None:
    """The action is a column by default; in a grouping of one's own where it is asked for."""
    found = rows(flows, "--action", "both")
    assert [(row["action"], row["port"], row["flows"]) for row in found] == [
        ("denied", 1433, 20),
        ("allowed", 443, 12),
        ("denied", 22, 1),
        ("allowed", 443, 1),
    ]
    mixed = rows(flows, "--action", "both", "--by", "direction")
    assert [(row["direction"], row["flows"]) for row in mixed] == [("in", 33), ("out", 1)]


@pytest.mark.parametrize(
    ("sort", "ports"),
    [
        ("flows", [1433, 22]),
        ("sources", [1433, 22]),
        ("last", [1433, 22]),
        ("first", [22, 1433]),
        ("port", [22, 1433]),
        ("PORT", [22, 1433]),
    ],
)
def test_groups_can_be_put_in_order(flows: str, sort: str, ports: list[int]) -> None:
    """By what they count, the most on top; by time; by any key."""
    assert [row["port"] for row in rows(flows, "--sort", sort)] == ports


def test_the_first_groups_and_the_sum_of_the_others(flows: str) -> None:
    """Nothing is left out without a word; programs get the groups alone."""
    lines = [
        " ".join(line.split())
        for line in run(flows, "--top", "1", "--by", "source,port").splitlines()
    ]
    assert lines == [
        "flows sources source port first last",
        "9 1 192.0.2.0 1433 2026-03-04T05:15:00.000Z 2026-03-04T05:21:00.000Z",
        "12 2 3 more groups 2026-03-04T05:10:00.000Z 2026-03-04T05:20:00.000Z",
        "21 3 all 4 groups 2026-03-04T05:10:00.000Z 2026-03-04T05:21:00.000Z",
    ]
    assert len(rows(flows, "--top", "1", "--by", "source,port")) == 1


def test_every_column_that_flows_can_share_can_be_grouped_by() -> None:
    """By its name in any case; not times, counters and ids, which tell flows apart."""
    own = {"TimeGenerated", "FlowTime", "FlowId"}
    counters = {name for name in columns() if name.startswith(("Packets", "Bytes"))}
    shared = [name for name in columns() if name not in own | counters]
    assert len(parse_by(",".join(shared))) == len(shared)
    assert parse_by("srcip,DESTPORT,l4protocol") == ["source", "port", "protocol"]
    assert parse_by("src,dst,proto,src") == ["source", "destination", "protocol"]


def test_names_of_an_inventory_can_be_grouped_by(tmp_path: Path) -> None:
    """VM, subnet and VNet of the interface that the log is of; both ends' own by the columns."""
    book, db = estate_file(tmp_path), Nic(mac="000D3A000002", ip="10.0.1.4")
    text = f"{SECONDS}000,10.0.0.4,10.0.1.4,5000,1433,6,I,D,NX,0,0,0,0"
    file = tmp_path / "PT1H.json"
    record = vnet_record(db, HOUR, [Group("UserRule_DenySql", (text,))])
    file.write_bytes(b'{"records":[' + record.data + b"]}")
    by = ("--by", "vm,subnet,SrcVm,destsubnet,type")
    assert rows(str(file), "--inventory", book, *by) == [
        {
            "vm": "prod/db1", "subnet": "prod/hub/db", "SrcVm": "prod/web1",
            "DestSubnet": "prod/hub/db", "type": "IntraVNet", "flows": 1, "sources": 1,
            "first": "2026-03-04T05:00:00.000Z", "last": "2026-03-04T05:00:00.000Z",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by", "vm"), "--by vm needs an inventory: give --inventory"),
        (("--by", "DestServiceTags"), "--by DestServiceTags needs service tags"),
        (("--by", "FlowTime"), "--by 'FlowTime' is nothing to group by: did you mean 'FlowType'?"),
        (("--sort", "colour"), "--sort 'colour' is not one of flows, sources"),
        (("--every", "0.5s"), "--every takes whole seconds"),
        (("--every", "often"), "'often' is no length of time"),
        (("--action", "none"), "--action 'none' is not one of denied, allowed, both"),
        (("--action", "allowed", "--filter", "action=denied"), "the filter leave no flow"),
        (("--action", "both", "--suggest"), "--suggest"),
        (("--since", "2016-01-01", "--every", "1s"), "bars, and 10000 are the most"),
    ],
)
def test_wrong_words_are_named(flows: str, words: tuple[str, ...], said: str) -> None:
    """Status 2, and a sentence."""
    result = CliRunner().invoke(app, ["denied", flows, *words])
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for columns_wide in WIDTHS:
            text = on_terminal(["denied", log(Path(made)), *COMMAND], columns_wide, **BERLIN)
            (GOLDEN / f"denied.{columns_wide}.txt").write_text(text, encoding="utf-8")


def test_what_encryption_dropped_is_apart_by_its_reason(tmp_path: Path) -> None:
    """Each row says why; what is encrypted, and was denied all the same, is not of them."""
    net = Nic(mac="000D3A0000A3")
    said = ("NX_NOT_ACCEPTED", "NX_HW_NOT_SUPPORTED", "NX_NOT_ACCEPTED", "X")
    texts = tuple(
        f"{SECONDS}{number:03},10.5.16.4,10.6.0.9,5000,443,6,O,D,{encryption},0,0,0,0"
        for number, encryption in enumerate(said)
    )
    record = vnet_record(net, HOUR, [Group("unspecified", texts, "unspecified")])
    file = tmp_path / "PT1H.json"
    file.write_bytes(b'{"records":[' + record.data + b"]}")
    table = run(str(file), "--by", "nsg,rule")
    assert [line.split()[0] for line in table.splitlines() if "VNet encryption" in line] == [
        "2",
        "1",
    ]
    assert "NX_NOT_ACCEPTED" in table
    assert "NX_HW_NOT_SUPPORTED" in table
    assert [row["flows"] for row in rows(str(file), "--by", "nsg,rule")] == [2, 1, 1]
