"""Files, folders and standard input in the place of accounts."""

import codecs
import datetime as dt
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.flowlogs import Group, Nic, large_log, nsg_path, nsg_record, vnet_path
from nsgflow_core.cli.main import app

HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_NETWORK = ("azure", "requests", "urllib3", "ssl", "asyncio", "cryptography")
LOGS = {version: large_log(3, 20, 0.5, version, 1) for version in (2, 4)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is opened, whatever the settings name."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")


def run(*words: str, status: int = 0) -> str:
    """The output of a command."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.output


def lines(*sources: str) -> int:
    """How many flows are shown."""
    return len(
        run("flows", *sources, "--display-allowed", "--display-direction", "both").splitlines()
    )


def test_pages_of_a_table_are_alike(tmp_path: Path) -> None:
    """All but the last have one length, each under its heading."""
    log = tmp_path / "PT1H.json"
    log.write_bytes(large_log(1, 1200, 1.0, 2, 1))
    drawn = run("flows", str(log), "--display-direction", "both", "-o", "table").splitlines()
    headings = [at for at, line in enumerate(drawn) if line.startswith("time ")]
    pages = [end - begin - 1 for begin, end in pairwise([*headings, len(drawn)])]
    assert sum(pages) == 1200
    assert set(pages[:-1]) == {pages[0]}
    assert pages[-1] < pages[0]


def test_a_file_a_folder_and_gzip(tmp_path: Path) -> None:
    """As azcopy keeps them, and loose ones; NDJSON is the same records one a line."""
    nic = Nic()
    for version, path in ((2, nsg_path(nic, HOUR)), (4, vnet_path(nic, HOUR))):
        kept = tmp_path / "copy" / path
        kept.parent.mkdir(parents=True)
        kept.write_bytes(LOGS[version])
    loose = tmp_path / "PT1H.json.gz"
    loose.write_bytes(gzip.compress(LOGS[2]))
    by_line = tmp_path / "flows.ndjson"
    by_line.write_bytes(
        LOGS[4].removeprefix(b'{"records":[').removesuffix(b"]}").replace(b'},{"time', b'}\n{"time')
    )

    assert lines(str(tmp_path / "copy")) == 120
    assert lines(str(loose)) == lines(str(by_line)) == 60
    assert "PROD-WEB-NSG" in run("flows", str(loose), "--display-direction", "both")
    assert lines(str(loose), "--since", "2026-01-01T12:30") < 60
    assert lines(str(tmp_path / "copy"), "--since", "2026-01-01T13:00") == 1  # why there is nothing


_RECORDS = json.loads(LOGS[2])["records"]
CLOTHES = {
    "an array": json.dumps(_RECORDS).encode(),
    "a pretty array": json.dumps(_RECORDS, indent=2).encode(),
    "an array of logs": b"[" + LOGS[2] + b"," + LOGS[2] + b"]\n",
    "logs behind each other": LOGS[2] + b"\n" + LOGS[2],
    "lines": "\r\n".join(map(json.dumps, _RECORDS)).encode(),
    "a byte order mark": codecs.BOM_UTF8 + LOGS[2],
    "UTF-16": LOGS[2].decode().encode("utf-16"),
    "UTF-16 of the other order": codecs.BOM_UTF16_BE + LOGS[2].decode().encode("utf-16-be"),
}


@pytest.mark.parametrize("content", CLOTHES.values(), ids=CLOTHES)
def test_records_in_any_clothes(tmp_path: Path, content: bytes) -> None:
    """Every flow of every record, from a file, compressed, and by a pipe with a name."""
    flows = 60 * content.count(b'"records"') or 60
    file, zipped, pipe = tmp_path / "flows.json", tmp_path / "flows.json.gz", tmp_path / "pipe"
    file.write_bytes(content)
    zipped.write_bytes(gzip.compress(content))
    assert lines(str(file)) == lines(str(zipped)) == flows
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        assert lines(str(pipe)) == flows
        writer.join()


def test_each_record_says_which_nsg_it_is_of(tmp_path: Path) -> None:
    """Logs of several NSGs and hours behind each other, as `cat` makes them: none is another's."""
    file = tmp_path / "two.json"
    made = b""
    for number, nsg in enumerate(("A-NSG", "B-NSG")):
        nic, hour = Nic(nsg=nsg, mac=f"000D3A00000{number}"), HOUR + dt.timedelta(hours=3 * number)
        text = f"{int(hour.timestamp())},192.0.2.1,10.5.16.4,5000,{number},T,I,D,B,,,,"
        made += b'{"records":[' + nsg_record(nic, hour, [Group("Deny", (text,))]).data + b"]}"
    file.write_bytes(made)
    shown = run("denied", str(file), "--by", "nsg,port", "-o", "csv").splitlines()
    assert [line.split(",")[:2] for line in shown[1:]] == [["A-NSG", "0"], ["B-NSG", "1"]]
    assert [line.split()[1] for line in run("flows", str(file)).splitlines()] == ["A-NSG", "B-NSG"]
    for words in (
        ["--nsg-name", "b*"],
        ["--filter", "nsg=B-NSG"],
        ["--since", "2026-01-01T14:30Z", "--until", "2026-01-01T15:30Z"],
    ):
        shown = run("denied", str(file), "--by", "nsg,port", "-o", "csv", *words).splitlines()
        assert [line.split(",")[:2] for line in shown[1:]] == [["B-NSG", "1"]]


def _one_flow(nic: Nic, hour: dt.datetime, port: int) -> bytes:
    text = f"{int(hour.timestamp())},192.0.2.1,10.5.16.4,5000,{port},T,I,D,B,,,,"
    return b'{"records":[' + nsg_record(nic, hour, [Group("Deny", (text,))]).data + b"]}"


def test_the_newest_hours_are_counted_for_each_nsg(tmp_path: Path) -> None:
    """Whatever others have, in whatever folders and spelling; the newest first, as in accounts."""
    logs = [("A-NSG", 0, 1), ("A-NSG", -1, 2), ("A-NSG", -3, 3), ("B-NSG", -9, 4), ("B-NSG", -8, 5)]
    for number, (nsg, hours, port) in enumerate(logs):
        nic, hour = Nic(nsg=nsg, mac=f"000D3A00000{number}"), HOUR + dt.timedelta(hours=hours)
        kept = tmp_path / f"named{number}" / nsg_path(nic, hour)
        loose = tmp_path / "loose" / f"{number}.json"
        for path in (kept, loose):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_one_flow(nic, hour, port))
    for folders in ([str(tmp_path / f"named{n}") for n in range(5)], [str(tmp_path / "loose")]):
        for hours, expected in ((1, "15"), (2, "1254"), (3, "12354"), (9, "12354")):
            shown = run("flows", *folders, "--display-hours", str(hours)).splitlines()
            assert "".join(line.split()[9] for line in shown) == expected


def test_newest_hours_that_a_file_has_behind_others(tmp_path: Path) -> None:
    """Its records tell: the newest hour, or another NSG, is not left out for its first record."""
    a, b = Nic(nsg="A-NSG", mac="000D3A000001"), Nic(nsg="B-NSG", mac="000D3A000002")
    hour = [HOUR + dt.timedelta(hours=number) for number in range(4)]
    files = {
        "many.json": _one_flow(a, hour[0], 1) + _one_flow(b, hour[0], 2) + _one_flow(a, hour[3], 3),
        "late.json": _one_flow(a, hour[2], 4),
        "old.json": _one_flow(b, HOUR - dt.timedelta(hours=1), 5),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for hours, expected in ((1, "123"), (2, "12345")):
        shown = run("flows", str(tmp_path), "--display-hours", str(hours)).splitlines()
        assert sorted(line.split()[9] for line in shown) == list(expected)


def test_what_cannot_be_read_is_named_as_it_was_typed(tmp_path: Path) -> None:
    """And not as a blob, which it is none."""
    file = tmp_path / "flows.json"
    file.write_bytes(b'{"records":[{"a":1}]}')
    said = run("denied", str(file), status=3)
    assert f"skipped: {file}: a piece is unreadable, at byte 12" in said


@pytest.mark.parametrize("words", ["flows", "flows -o json", "flows -o table", "denied"])
def test_files_need_no_sdk(words: str, tmp_path: Path) -> None:
    """What reads files imports nothing that signs in, asks the network or judges rules."""
    log = tmp_path / "PT1H.json"
    log.write_bytes(LOGS[2])
    unneeded = (*_NETWORK, "rich", "pydantic")
    script = (
        "import sys\nfrom nsgflow_core.cli.main import app\n"
        f"try:\n app({[*words.split(), str(log)]!r})\nexcept SystemExit as exc:\n"
        " assert not exc.code\n"
        f"found = [name for name in sys.modules if name.split('.')[0] in {unneeded!r}]\n"
        "found += [name for name in ('nsgflow_core.estate.verdict',) if name in sys.modules]\n"
        "sys.exit('imported: ' + ', '.join(found) if found else None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "PROD-WEB-NSG" in done.stdout


def test_standard_input() -> None:
    """Compressed or not."""
    for data in (LOGS[4], gzip.compress(LOGS[4])):
        shown = subprocess.run(
            [sys.executable, "-m", "nsgflow_core", "denied", "-", "--by", "direction", "-o", "csv"],
            input=data,
            capture_output=True,
            check=True,
        ).stdout
        counts = [int(line.split(b",")[1]) for line in shown.splitlines()[1:]]
        assert sum(counts) == 30


def piped(data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    """A command with bytes on its standard input."""
    command = [sys.executable, "-m", "nsgflow_core", "flows", *words, "--display-allowed"]
    return subprocess.run(
        [*command, "--display-direction", "both"], input=data, capture_output=True, check=False
    )


def test_what_came_before_a_cut_is_read() -> None:
    """Of gzip that breaks off: a copy was interrupted, and what there is may be all there is."""
    whole = gzip.compress(LOGS[2])
    cut = piped(whole[: len(whole) * 2 // 3], "-")
    assert cut.returncode == 3
    assert b"skipped: standard input: it breaks off at byte" in cut.stderr
    assert b"no flow" not in cut.stderr
    assert 0 < len(cut.stdout.splitlines()) < 60
    assert piped(whole, "-").stdout.startswith(cut.stdout)
    for behind in (b"\n", bytes(512), gzip.compress(b"")):
        padded = piped(whole + behind, "-")
        assert (padded.returncode, padded.stdout) == (0, piped(whole, "-").stdout)
    other = piped(whole + b"-- the end --", "-")
    assert (other.returncode, other.stdout) == (3, piped(whole, "-").stdout)
    assert b"the 13 bytes from byte" in other.stderr
    both = piped(whole[: len(whole) * 2 // 3] + whole, "-")
    assert both.returncode == 3
    assert b"it is damaged at byte" in both.stderr
    assert len(both.stdout.splitlines()) >= len(cut.stdout.splitlines()) + 60
    nothing = piped(whole[:12], "-")
    assert (nothing.returncode, nothing.stdout) == (3, b"")
    assert nothing.stderr.count(b"standard input cannot be read") == 1


def test_standard_input_that_is_given_twice_or_closed() -> None:
    """It comes once; and where there is none that is said."""
    assert piped(LOGS[2], "-", "-").stdout == piped(LOGS[2], "-").stdout
    closed = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m nsgflow_core flows - <&-"],
        capture_output=True,
        check=False,
    )
    assert closed.returncode == 2
    assert closed.stderr == b"nsgflow: standard input is closed: there is nothing to read\n"


def test_a_file_that_is_given_twice_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever name, or in a folder that is given too."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "PT1H.json").write_bytes(LOGS[2])
    (tmp_path / "link.json").symlink_to(folder / "PT1H.json")
    monkeypatch.chdir(tmp_path)
    once = lines("logs/PT1H.json")
    assert once > 0
    assert lines("logs/PT1H.json", "logs", "./logs/PT1H.json", "link.json") == once


def test_what_a_folder_has_besides(tmp_path: Path) -> None:
    """Files of other names are counted; those of a system's own are nobody's."""
    for name in ("PT1H.json", "notes.txt", "more/PT1H.log", ".DS_Store"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(LOGS[2])
    words = ["denied", str(tmp_path), "-o", "csv"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert done.stderr.splitlines()[0] == (
        f"nsgflow: left out of {tmp_path}: 2 files whose names do not end in .json, .gz, .ndjson "
        "or .jsonl"
    )


@pytest.mark.parametrize(
    ("begins", "what"),
    [
        (b"PK\x03\x04", "zip"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"BZh9", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
    ],
)
def test_what_is_compressed_otherwise(tmp_path: Path, begins: bytes, what: str) -> None:
    """It is told as what it is, with what would read it."""
    file = tmp_path / "PT1H.json"
    file.write_bytes(begins + bytes(100))
    done = CliRunner().invoke(app, ["denied", str(file)])
    assert done.exit_code == 2
    assert done.stderr.startswith(
        f"nsgflow: {file} is compressed with {what}, and gzip alone is read: unpack it"
    )


def test_what_is_no_file(tmp_path: Path) -> None:
    """It is named; and so are files next to accounts, and what tail cannot follow."""
    (tmp_path / "x.json").write_text("{}")
    assert "there is no file" in run("denied", "gone.json", status=2)
    assert "not both" in run("denied", str(tmp_path / "x.json"), "myaccount", status=2)
    assert "tail follows accounts" in run("tail", str(tmp_path / "x.json"), status=2)
