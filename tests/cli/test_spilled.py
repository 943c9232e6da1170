"""Groups that are too many for memory: what is said of them is the same, to the letter."""

import datetime as dt
import json
import random
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner

from devtools.flowlogs import Nic, nsg_path, random_record, vnet_path
from nsgflow_core.cli import gathering, proposals, reports, spill
from nsgflow_core.cli.main import app

HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HELD = 25
NAMES = (
    "UserRule_A",
    "UserRule_a\x00b",
    "UserRule_\u0416\u8d44",
    "None",
    "DefaultRule_DenyAllInBound",
)
DENIED = (
    (),
    ("--by", "source"),
    ("--by", "rule", "--sort", "sources"),
    ("--by", "port,nsg", "--sort", "port"),
    ("--by", "rule,protocol", "--sort", "rule"),
    ("--by", "sport", "--sort", "first"),
    ("--by", "destination,version", "--sort", "last", "--top", "7"),
    ("--top", "3", "--every", "10m"),
    ("--top", "1000"),
    ("--action", "both", "--sort", "bytes"),
    ("--action", "both", "--sort", "packets", "--top", "900", "--by", "source,destination"),
    ("--action", "allowed", "--every", "7s", "--by", "direction"),
    ("--suggest",),
    ("--suggest", "--as", "bicep", "--top", "9"),
    ("--explain",),
)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Logs of two NSGs and a VNet, some rules with names that are hard to put in order."""
    places: list[tuple[str, Nic, Literal[2, 4]]] = [
        (nsg_path(nic, HOUR), nic, 2)
        for nic in (Nic(nsg="WEB-NSG"), Nic(nsg="SQL-NSG", mac="000D3A0000B1"))
    ]
    places.append((vnet_path(Nic(mac="000D3A0000C1"), HOUR), Nic(mac="000D3A0000C1"), 4))
    for seed, (path, nic, version) in enumerate(places):
        rng = random.Random(seed)
        made = [
            random_record(
                nic, HOUR + dt.timedelta(minutes=at), rng, version=version, tuples=20,
                denied_share=0.5,
            ).data
            for at in range(0, 60, 5)
        ]  # fmt: skip
        text = (b'{"records":[' + b",".join(made) + b"]}").decode()
        text = re.sub(r'"rule":"[^"]*"', lambda _: f'"rule":{json.dumps(rng.choice(NAMES))}', text)  # noqa: B023 - used at once
        place = tmp_path / "logs" / path
        place.parent.mkdir(parents=True)
        place.write_text(text)
    return tmp_path / "logs"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules of one NSG."""
    nsg = {"id": Nic(nsg="WEB-NSG").nsg_id, "name": "WEB-NSG", "securityRules": []}
    place = tmp_path / "nsgs.json"
    place.write_text(json.dumps([nsg]))
    return place


def run(*words: str | Path, status: int = 0) -> str:
    """What a command says."""
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == status, result.output
    return result.output


def in_both(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> tuple[str, str]:
    """What a command says of groups in memory, and on disk."""
    taken = []
    take = spill.Spill.take

    def counted(self: spill.Spill, groups: object) -> None:
        taken.append(self)
        take(self, groups)  # type: ignore[arg-type]

    monkeypatch.setattr(spill.Spill, "take", counted)
    in_memory = run(*words)
    assert not taken
    with monkeypatch.context() as patch:
        patch.setattr(gathering, "HELD", HELD)
        on_disk = run(*words)
    assert len(taken) > 1
    return in_memory, on_disk


@pytest.mark.parametrize("words", DENIED, ids=" ".join)
def test_denied_is_the_same(
    monkeypatch: pytest.MonkeyPatch, logs: Path, rules: Path, words: Sequence[str]
) -> None:
    """In every form, whatever is asked for."""
    if {"--suggest", "--explain"} & set(words):
        words = (*words, "--rules", str(rules))
    for form in ("table", "json", "csv"):
        in_memory, on_disk = in_both(monkeypatch, "denied", logs, *words, "-o", form)
        assert on_disk == in_memory
        assert in_memory.count("\n") > 1


def test_the_report_is_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logs: Path, rules: Path
) -> None:
    """To the letter, but for when it was made."""
    pages = []
    words = ("report", logs, "--rules", rules, "-o", tmp_path / "denied.html")
    for held in (gathering.HELD, HELD):
        monkeypatch.setattr(gathering, "HELD", held)
        run(*words)
        page = (tmp_path / "denied.html").read_text(encoding="utf-8")
        pages.append(re.sub(r"at [-\d]+ [\d:]+ UTC\.", "", page))
    assert pages[0] == pages[1]


def test_the_report_says_which_sources_it_proposes_no_rules_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logs: Path, rules: Path
) -> None:
    """Where there are more than memory holds."""
    monkeypatch.setattr(gathering, "HELD", HELD)
    monkeypatch.setattr(reports, "_SOURCES", 3)
    run("report", logs, "--rules", rules, "-o", tmp_path / "denied.html")
    page = (tmp_path / "denied.html").read_text(encoding="utf-8")
    assert re.search(r"more sources than are looked at for rules, \d+ of \d+: the others", page)


def test_sums_may_be_larger_than_a_column(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Counters are whole numbers of any size once they are added up."""
    most = 2**63 - 1
    tuples = [
        f"{int(HOUR.timestamp())},192.0.2.{n % 50},10.0.0.4,5000,{n},T,I,A,E,{most},{most},{most},1"
        for n in range(100)
    ]
    flows = [{"rule": "UserRule_A", "flows": [{"mac": "000D3A0000A1", "flowTuples": tuples}]}]
    record = {
        "time": HOUR.isoformat(), "category": "NetworkSecurityGroupFlowEvent",
        "resourceId": Nic().nsg_id, "properties": {"Version": 2, "flows": flows},
    }  # fmt: skip
    log = tmp_path / "PT1H.json"
    log.write_text(json.dumps({"records": [record]}))
    monkeypatch.setattr(gathering, "HELD", HELD)
    (line,) = run("denied", log, "--action", "allowed", "--by", "rule", "-o", "json").splitlines()
    found = json.loads(line, parse_int=str)
    assert found["packets"] == str(200 * most)
    assert found["bytes"] == str(100 * (most + 1))
    assert found["sources"] == "50"


def test_rules_are_proposed_for_the_first(
    monkeypatch: pytest.MonkeyPatch, logs: Path, rules: Path
) -> None:
    """Where there are many groups, which is said; and of many sources some are looked at."""
    monkeypatch.setattr(gathering, "HELD", HELD)
    monkeypatch.setattr(proposals, "_GROUPS", 5)
    monkeypatch.setattr(proposals, "_SOURCES", 3)
    result = CliRunner().invoke(
        app, ["denied", str(logs), "--rules", str(rules), "--suggest", "-o", "json"]
    )
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert f"for the first 5 of {len(found)} groups" in result.stderr
    assert all(row["proposal"] == "" and row["proof"] is None for row in found[5:])
    cut = re.search(
        r"(\d+) groups? ha(?:s|ve) more sources than are looked at for rules, (\d+) of (\d+)",
        result.stderr,
    )
    assert cut is not None
    assert int(cut[1]) <= int(cut[2]) < int(cut[3]) <= sum(row["sources"] for row in found[:5])


def test_no_room_on_the_disk_is_told(monkeypatch: pytest.MonkeyPatch, logs: Path) -> None:
    """With what to do about it."""
    monkeypatch.setattr(gathering, "HELD", HELD)
    monkeypatch.setattr(spill, "_SETTINGS", ("max_page_count = 4",))
    said = run("denied", logs, status=1)
    assert "cannot be kept on disk (database or disk is full)" in said
    assert "SQLITE_TMPDIR" in said


def test_an_interrupt_ends_a_long_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is heard while the database works."""
    monkeypatch.setattr(spill, "_STEPS", 1)
    kept = spill.Spill(("source",))
    kept.take(())
    connection = kept._opened()

    def pressed() -> int:
        raise KeyboardInterrupt

    connection.set_progress_handler(pressed, 1)
    with pytest.raises(KeyboardInterrupt):
        list(kept.ask("SELECT count(*) FROM parts"))
    kept.close()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
