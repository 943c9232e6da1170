"""`nsgflow logs`: what there is to read, how much, and how old the newest record is.

`python -m tests.cli.test_logs` writes the expected files anew, to be reviewed.
"""

import json
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record, vnet_path, vnet_record
from nsgflow_core.cli.main import app
from tests.cli.conftest import Store, at
from tests.cli.terminal import on_terminal
from tests.cli.test_names import GUID, estate_file, nsg_id

GOLDEN = Path(__file__).with_name("golden")
WIDTHS = (80, 120)
HOUR = at("2026-03-04T05:00")
WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
WEB_2 = Nic(nsg="WEB-NSG", mac="000D3A0000A2")
DB = Nic(mac="000D3A000002", ip="10.0.1.4")
OTHER = "2b2b3c4d-0000-0000-0000-000000000002"
BERLIN = {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}


def nsg_log(nic: Nic, when: datetime) -> bytes:
    """A record of one flow."""
    text = f"{int(when.timestamp())},192.0.2.1,10.5.16.4,5000,22,T,I,D,B,,,,"
    return nsg_record(nic, when, [Group("UserRule_Deny", (text,))]).data


def vnet_log(when: datetime, *acls: str, nic: Nic = DB) -> bytes:
    """A record of a flow of each NSG."""
    text = f"{int(when.timestamp())}000,10.0.0.4,10.0.1.4,5000,1433,6,I,D,NX,0,0,0,0"
    groups = [Group("UserRule_DenySql", (text,), acl) for acl in acls]
    return vnet_record(nic, when, groups).data


def folder(root: Path) -> str:
    """Logs as azcopy keeps them: an NSG's of two interfaces, one silent, and a VNet flow log's."""
    minute = timedelta(minutes=1)
    made = {
        nsg_path(WEB, HOUR): [nsg_log(WEB, HOUR + minute), nsg_log(WEB, HOUR + 2 * minute)],
        nsg_path(WEB, HOUR + 60 * minute): [nsg_log(WEB, HOUR + 61 * minute)],
        nsg_path(WEB_2, HOUR): [nsg_log(WEB_2, HOUR + minute)],
        vnet_path(DB, HOUR): [vnet_log(HOUR + 3 * minute, GUID, OTHER)],
    }
    for path, records in made.items():
        file = root / "logs" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(b'{"records":[' + b",".join(records) + b"]}")
    return str(root / "logs")


def shown(root: Path, width: int) -> str:
    """All the tables on a terminal, with the ages masked."""
    logs, book = folder(root), estate_file(root)
    tables = [
        on_terminal(["logs", logs, *words], width, **BERLIN)
        for words in ([], ["--inventory", book], ["--inventory", book, "--nics", "--utc"])
    ]
    return re.sub(r"\d+ d$", "N d", "\n".join(tables), flags=re.MULTILINE)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_whole_of_it_on_a_terminal(tmp_path: Path, width: int) -> None:
    """GUIDs, names of an inventory, a row for each interface; local times and UTC."""
    expected = GOLDEN / f"logs.{width}.txt"
    assert shown(tmp_path, width) == expected.read_text(encoding="utf-8")


def run(*words: str, status: int = 0) -> str:
    """What `nsgflow logs` writes to no terminal."""
    result = CliRunner().invoke(app, ["logs", *words])
    assert result.exit_code == status, result.output
    return result.stdout


def rows(*words: str) -> list[dict[str, Any]]:
    """What JSON has, without what changes by the day."""
    found: list[dict[str, Any]] = [
        json.loads(line) for line in run(*words, "-o", "json").splitlines()
    ]
    for row in found:
        for each in (row, *row["interfaces"]):
            assert each.pop("age") > 0
    return found


def test_programs_get_every_interface(tmp_path: Path) -> None:
    """An object for each NSG and VNet flow log, with its interfaces."""
    net, web = rows(folder(tmp_path))
    assert web["interfaces"] == [
        {
            "mac": "000D3A0000A1", "vm": "", "hours": 2, "logs": 2,
            "bytes": web["bytes"] - web["interfaces"][1]["bytes"], "nsgs": ["WEB-NSG"],
            "newest": "2026-03-04T06:01:00Z", "because": "",
        },
        {
            "mac": "000D3A0000A2", "vm": "", "hours": 1, "logs": 1,
            "bytes": web["interfaces"][1]["bytes"], "nsgs": ["WEB-NSG"],
            "newest": "2026-03-04T05:01:00Z", "because": "",
        },
    ]  # fmt: skip
    del web["interfaces"], web["bytes"], net["interfaces"], net["bytes"]
    account = str(tmp_path / "logs")
    assert web == {
        "name": "WEB-NSG", "kind": "nsg", "nsgs": ["WEB-NSG"], "vnet": "", "hours": 2, "logs": 3,
        "newest": "2026-03-04T06:01:00Z", "account": account,
        "resource": WEB.nsg_id.upper(),
    }  # fmt: skip
    assert (net["kind"], net["nsgs"], net["vnet"]) == ("vnet", [GUID, OTHER], DB.vnet)


def test_csv(tmp_path: Path) -> None:
    """A row for each NSG and VNet flow log, or each interface."""
    logs = folder(tmp_path)
    first, *lines = run(logs, "-o", "csv").splitlines()
    assert first == "nsgs,kind,name,vnet,nics,hours,logs,bytes,newest,age,account,resource"
    assert [line.split(",")[:7] for line in lines] == [
        [f"{GUID} {OTHER}", "vnet", "SHOP-FLOWLOG", DB.vnet, "1", "1", "1"],
        ["WEB-NSG", "nsg", "WEB-NSG", "", "2", "2", "3"],
    ]
    first, *lines = run(logs, "-o", "csv", "--nics").splitlines()
    assert first.startswith("nsgs,kind,name,vnet,mac,vm,hours,")
    assert [line.split(",")[4] for line in lines] == [DB.mac, WEB.mac, WEB_2.mac]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--nsg-name", "web*"], ["WEB-NSG"]),
        (["--nsg", GUID], ["vnet"]),
        (["--nsg-name", WEB.nsg_id], ["WEB-NSG"]),
        (["--since", "2026-03-04T06:00Z", "--until", "2026-03-04T06:30Z"], ["WEB-NSG"]),
    ],
)
def test_what_is_asked_for(tmp_path: Path, words: list[str], names: list[str]) -> None:
    """By the names that other commands take, and by time."""
    found = rows(folder(tmp_path), *words)
    assert [row["name"] if row["kind"] == "nsg" else row["kind"] for row in found] == names


def test_a_name_that_is_not_there_gets_the_nearest(tmp_path: Path) -> None:
    """As in every command."""
    result = CliRunner().invoke(app, ["logs", folder(tmp_path), "--nsg", "WBE-NSG"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "there are no logs of an NSG named 'WBE-NSG', did you mean 'WEB-NSG'?" in result.stderr


def test_a_file_that_is_of_several(tmp_path: Path) -> None:
    """Whose path says of what: all that its records are of, each with its own hours and age."""
    minute = timedelta(minutes=1)
    made = [
        nsg_log(WEB, HOUR + minute),
        vnet_log(HOUR + 3 * minute, GUID, OTHER),
        nsg_log(WEB_2, HOUR + 4 * minute),
        nsg_log(WEB, HOUR + 61 * minute),
    ]
    file = tmp_path / "mixed.json"
    file.write_bytes(b'{"records":[' + b",".join(made) + b"]}")
    empty = tmp_path / "empty.json"
    empty.write_text('{"a": 1}')
    result = CliRunner().invoke(app, ["logs", str(file), str(empty), "-o", "json"])
    assert result.stderr == f"nsgflow: skipped: {empty}: there is no record of a flow log in it\n"
    assert result.exit_code == 3
    found = {row["name"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert [
        (row["nsgs"], row["hours"], row["bytes"], row["newest"], len(row["interfaces"]))
        for row in found.values()
    ] == [
        ([GUID, OTHER], 1, len(made[1]), "2026-03-04T05:03:00Z", 1),
        (["WEB-NSG"], 2, sum(map(len, (made[0], made[2], made[3]))), "2026-03-04T06:01:00Z", 2),
    ]
    span = ["--since", "2026-03-04T06:00Z", "--until", "2026-03-04T06:30Z"]
    result = CliRunner().invoke(app, ["logs", str(file), *span, "-o", "json"])
    (row,) = map(json.loads, result.stdout.splitlines())
    assert (row["name"], row["hours"], row["bytes"]) == ("WEB-NSG", 1, len(made[3]))


APP = Nic(mac="000D3A000003", ip="10.0.2.4")
APP_NSG = f"{APP.nsg_id.rpartition('/')[0]}/app-nsg"


def test_each_interface_has_its_own_nsgs(tmp_path: Path) -> None:
    """Several logs of one VNet flow log in files: not all the NSGs of it for each of them."""
    files = []
    for name, nic, acls in (("db", DB, (GUID, GUID.upper())), ("app", APP, (APP_NSG,))):
        file = tmp_path / f"{name}.json"
        file.write_bytes(b'{"records":[' + vnet_log(HOUR, *acls, nic=nic) + b"]}")
        files.append(str(file))
    table = [line.split()[:4] for line in run(*files, "--nics").splitlines()]
    assert table[1:] == [
        [GUID, "SHOP-FLOWLOG", DB.vnet, DB.mac],
        ["app-nsg", "SHOP-FLOWLOG", APP.vnet, APP.mac],
    ]
    (one,) = rows(*files)
    assert one["nsgs"] == [GUID, "app-nsg"]
    assert [each["nsgs"] for each in one["interfaces"]] == [[GUID], ["app-nsg"]]
    book = ["--inventory", estate_file(tmp_path)]
    for asked in ("db-nsg", nsg_id()):
        (one,) = rows(*files, *book, "--nsg", asked)
        assert (one["nsgs"], one["logs"]) == (["db-nsg"], 1)
        assert [each["mac"] for each in one["interfaces"]] == [DB.mac]


@pytest.mark.parametrize("minutes", [200, 15_000])
def test_an_nsg_that_is_far_from_the_end(tmp_path: Path, minutes: int) -> None:
    """Of which the newest records have no flow; what was looked at is said where it is not found.

    15,000 records are more than is looked at.
    """
    minute = timedelta(seconds=1)
    records = [vnet_log(HOUR, OTHER), *[vnet_log(HOUR + minute, GUID)] * minutes]
    path = tmp_path / "logs" / vnet_path(DB, HOUR)
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"records":[' + b",".join(records) + b"]}")
    assert path.stat().st_size > 16 * 1024
    result = CliRunner().invoke(app, ["logs", str(tmp_path / "logs"), "--nsg", OTHER])
    assert (OTHER in result.stdout) is (minutes == 200)
    assert ("the newest log was looked at, at most its last 4 MiB" in result.stderr) is (
        minutes > 200
    )


def test_a_vnet_flow_log_by_its_id(tmp_path: Path) -> None:
    """As help promises; in both forms in which paths have had it."""
    book = folder(tmp_path)
    (one,) = rows(book, "--nsg", "SHOP-FLOWLOG")
    (same,) = rows(book, "--nsg", one["resource"].lower())
    assert same == one


def test_names_with_escapes_in_json(tmp_path: Path) -> None:
    """A group called Grüne is written as it is or with an escape: both are read."""
    for number, written in enumerate(("Grüne", r"Gr\u00fcne")):
        flow = vnet_log(HOUR, APP_NSG.replace("SHOP-RG", "Grüne")).decode()
        data = flow.replace("SHOP-RG", "Grüne").replace("Grüne", written)
        path = tmp_path / str(number) / vnet_path(DB, HOUR)
        path.parent.mkdir(parents=True)
        path.write_text(f'{{"records":[{data}]}}', encoding="utf-8")
        (row,) = rows(str(tmp_path / str(number)), "--nsg", "app-nsg")
        assert (row["nsgs"], row["vnet"]) == (["app-nsg"], DB.vnet)


def test_an_account_tells_what_is_silent(store: Store) -> None:
    """The last 24 hours are counted; what has nothing in them is shown by its newest log."""
    now = datetime.now(UTC)
    for ago in (timedelta(minutes=2), timedelta(hours=3), timedelta(days=2)):
        when = now - ago
        hour = when.replace(minute=0, second=0, microsecond=0)
        store.log(nsg_path(WEB, hour), [nsg_log(WEB, when)])
    store.log(vnet_path(DB, HOUR), [vnet_log(HOUR, GUID)])
    done = store.nsgflow("logs -o json")
    net, web = (json.loads(line) for line in done.stdout.splitlines())
    assert (web["hours"], web["logs"]) == (2, 2)
    assert 100 < web["age"] < 200
    assert (net["hours"], net["newest"]) == (1, "2026-03-04T05:00:00Z")
    assert done.stderr == (
        "nsgflow: hours, logs and size are of the last 24 hours: --since counts others\n"
    )
    whole = store.nsgflow("logs -o json --since 3d --nsg WEB-NSG")
    assert json.loads(whole.stdout)["logs"] == 3
    assert whole.stderr == ""


def test_an_end_that_is_no_record_is_told(store: Store) -> None:
    """A log of a head alone, and one whose time makes no sense: the others are shown."""
    store.log(nsg_path(WEB, HOUR), [nsg_log(WEB, HOUR)])
    store.put(nsg_path(WEB_2, HOUR), b'{"records":[]}')
    done = store.nsgflow("logs -o json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["newest"] == "2026-03-04T05:00:00Z"
    assert "WEB-NSG: there is no record in it" in done.stderr


def test_a_long_record_is_read_to_its_time(tmp_path: Path) -> None:
    """It may be larger than what is read at first; its time stands at its beginning."""
    text = f"{int(HOUR.timestamp())},192.0.2.1,10.5.16.4,5000,22,T,I,D,B,,,,"
    record = nsg_record(WEB, HOUR, [Group("UserRule_Deny", (text,) * 20_000)]).data
    assert len(record) > 1_000_000
    file = tmp_path / "PT1H.json"
    file.write_bytes(b'{"records":[' + record + b"]}")
    assert rows(str(file))[0]["newest"] == "2026-03-04T05:00:00Z"


if __name__ == "__main__":
    for columns in WIDTHS:
        with tempfile.TemporaryDirectory() as made:
            (GOLDEN / f"logs.{columns}.txt").write_text(
                shown(Path(made), columns), encoding="utf-8"
            )
