"""`nsgflow export` and `nsgflow sql`: the rows of `flows`, kept and asked."""

import datetime as dt
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from nsgflow_core.columns import columns
from tests.cli.conftest import ROOT, heeds_interrupts

HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
ALL = ("--display-allowed", "--display-direction", "both", "--display-lb")
HOSTILE = 'DefaultRule_"x",\n\'1;drop table flows--\u202e\x1b[31m</script>'


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as azcopy makes it, with logs of every version, and one with a hostile name."""
    folder = tmp_path_factory.mktemp("logs")
    nic, other = Nic(), Nic(nsg="OTHER-NSG")
    hostile = large_log(1, 5, 1, 2, 9).decode().replace("DefaultRule_DenyAllInBound", "NAME")
    hostile = hostile.replace('"NAME"', json.dumps(HOSTILE))
    for path, data in (
        (nsg_path(nic, HOUR), large_log(4, 30, 0.5, 1, 1)),
        (nsg_path(other, HOUR), large_log(4, 30, 0.5, 2, 2)),
        (vnet_path(nic, HOUR), large_log(4, 30, 0.5, 4, 3)),
        (nsg_path(nic, HOUR + dt.timedelta(hours=1)), hostile.encode()),
    ):
        place = folder / path
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
    return folder


def run(*words: str | Path, status: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command that ends with this status."""
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *map(str, words)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        **more,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def interrupted(wait: Callable[[], object], *words: str | Path) -> tuple[int, str]:
    """How a command ends that is interrupted after a while, as a shell has it, and what it says."""
    with subprocess.Popen(
        [sys.executable, "-m", "nsgflow_core", *map(str, words)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds_interrupts,  # noqa: PLW1509
    ) as process:
        wait()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    # CPython ends by the signal itself where it met it inside an `exec`, as imports have some.
    by_signal = process.returncode == -signal.SIGINT
    return 128 + signal.SIGINT if by_signal else process.returncode, said


def asked(query: str, *words: str | Path) -> list[dict[str, Any]]:
    """What SQL answers."""
    return list(map(json.loads, run("sql", query, *words, "-o", "json").stdout.splitlines()))


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in an order that is theirs, times to the microsecond as Parquet keeps them."""
    for row in rows:
        time = dt.datetime.fromisoformat(row["RecordTime"])
        row["RecordTime"] = time.astimezone(dt.UTC).isoformat()
    return sorted(rows, key=lambda row: str(row["FlowId"]))


def test_the_rows_are_those_of_flows(logs: Path, tmp_path: Path) -> None:
    """Every column of every row, whatever its version; exported or loaded, hostile names too."""
    shown = run("flows", logs, *ALL, "-o", "json").stdout.splitlines()
    expected = by_id([json.loads(line) for line in shown])
    assert any(row["AclRule"] == HOSTILE for row in expected)
    target = tmp_path / "it's.parquet"
    said = run("export", logs, "-o", target).stderr
    assert said == (
        f"nsgflow: wrote {len(expected)} flows to {target}, {target.stat().st_size} bytes\n"
    )
    assert by_id(asked("FROM flows", target)) == expected
    assert by_id(asked("FROM flows", logs)) == expected


def test_types_and_order_of_columns(logs: Path, tmp_path: Path) -> None:
    """Times have a time zone, numbers are numbers; what is omitted is not there."""
    target = tmp_path / "o.parquet"
    run("export", logs, "-o", target, "--omit", "flowid, SourceBlob", "--filter", "action=denied")
    with duckdb.connect() as connection:
        found = connection.execute("DESCRIBE FROM read_parquet($1)", [str(target)]).fetchall()
        denied = connection.execute("FROM read_parquet($1)", [str(target)]).fetchall()
    types = {"datetime": "TIMESTAMP WITH TIME ZONE", "string": "VARCHAR"}
    types |= {"int": "INTEGER", "long": "BIGINT"}
    assert {name: kind for name, kind, *_ in found} == {
        name: types[kind]
        for name, kind in columns().items()
        if name not in ("FlowId", "SourceBlob")
    }
    assert [name for name, *_ in found] == [
        name for name in columns() if name not in ("FlowId", "SourceBlob")
    ]
    shown = run("flows", logs, "--display-direction", "both", "--display-lb").stdout
    assert len(denied) == len(shown.splitlines())


def test_nothing_half_written(logs: Path, tmp_path: Path) -> None:
    """Neither an interrupt nor a full disk leaves a file, or touches the one that was there."""
    target = tmp_path / "kept.parquet"
    target.write_bytes(b"before")
    big = tmp_path / "big.json"
    big.write_bytes(large_log(40, 2000, 0.5, 2, 1))

    def begun() -> None:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".kept*")) and time.monotonic() < deadline:
            time.sleep(0.02)

    assert interrupted(begun, "export", big, "-o", target) == (130, "")
    small = (resource.RLIMIT_FSIZE, (300_000, 300_000))
    done = run("export", big, "-o", target, status=1, preexec_fn=lambda: resource.setrlimit(*small))
    assert done.stderr.count("\n") == 1
    assert target.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.json", "kept.parquet"]


def test_duckdb_is_imported_where_no_interrupt_comes(tmp_path: Path) -> None:
    """One that meets its extension module ends the process, or says that it is not installed."""
    (tmp_path / "duckdb.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(0.3)\n"
        "print('imported to its end')\n"
        "def connect(*_, **__): return open(os.devnull)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", "sql", "FROM flows", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=heeds_interrupts,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "imported to its end\n", "")


def test_what_cannot_be_read_empties_no_file(tmp_path: Path) -> None:
    """A file of before stays; where there is nothing to find there is an empty one."""
    target = tmp_path / "kept.parquet"
    target.write_bytes(b"before")
    (tmp_path / "broken.json.gz").write_bytes(b"\x1f\x8bnonsense")
    run("export", tmp_path / "broken.json.gz", "-o", target, status=3)
    assert target.read_bytes() == b"before"
    (tmp_path / "x.json").write_bytes(large_log(1, 5, 0.5, 2, 1))
    said = run("export", tmp_path / "x.json", "-o", target, "--filter", "port=1").stderr
    assert "wrote 0 flows" in said
    assert "no flows match" in said
    assert asked("SELECT count(*) AS n, max(FlowTime) AS t FROM flows", target) == [
        {"n": 0, "t": None}
    ]


def test_wrong_words_of_export(logs: Path, tmp_path: Path) -> None:
    """They are told before anything is read, with the mend."""
    for words, said in (
        (("-o", tmp_path / "x.csv"), "does not end in .parquet"),
        (("-o", "-"), "does not end in .parquet"),
        (("-o", tmp_path / "no" / "x.parquet"), "No such file or directory"),
        (("-o", tmp_path / "x.parquet", "--omit", "Nsg"), "--omit 'Nsg' is none of TimeGenerated"),
        (("-o", tmp_path / "x.parquet", "--omit", ",".join(columns())), "leaves no column"),
    ):
        assert said in run("export", logs, *words, status=2).stderr
    assert not list(tmp_path.iterdir())


_WRONG = {
    "selec 1": 'Parser Error: syntax error at or near "selec"',
    "select nsg from flows": "there is no column nsg: say AclName",
    "select colour from flows": 'Referenced column "colour" not found',
    "from flow": "Table with name flow does not exist",
    "": "there is no SQL",
    "select * from read_text('/etc/passwd')": "sql reads the table flows and nothing else",
    "copy flows to '{}/x.csv'": "sql reads the table flows and nothing else",
    "attach '{}/x.db' as other": "sql reads the table flows and nothing else",
    "install httpfs": "sql reads the table flows and nothing else",
    "load httpfs": "sql reads the table flows and nothing else",
    "from 'https://example.com/x.parquet'": "sql reads the table flows and nothing else",
    "set enable_external_access = true": "the configuration has been locked",
    "from statements": "Table with name statements does not exist",
    "select 'x'::int": "Could not convert string 'x'",
}


@pytest.mark.parametrize("query", _WRONG)
def test_sql_reaches_nothing_else(logs: Path, tmp_path: Path, query: str) -> None:
    """What is wrong or reaches out is one line and status 2."""
    done = run("sql", query.format(tmp_path), logs, status=2)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert _WRONG[query].lower() in done.stderr.lower()
    assert not list(tmp_path.iterdir())


def test_forms_of_answers(logs: Path) -> None:
    """A table, CSV without formulas, JSON with types; names of columns are told apart."""
    query = (
        "SELECT '=1+1' AS a, 2 AS a, true AS yes, NULL AS no, [1, 2] AS list, 1.50 AS price, "
        "TIMESTAMPTZ '2026-01-01 12:00:00.5+00' AS at, DATE '2026-01-01' AS day, {'k': 1} AS s, "
        f"{2**127 - 1}::HUGEINT AS big, 'a\x1b[31m' AS red"
    )
    (row,) = asked(query, logs)
    assert row == {
        "a": "=1+1",
        "a_2": 2,
        "yes": True,
        "no": None,
        "list": [1, 2],
        "price": 1.5,
        "at": "2026-01-01T12:00:00.500Z",
        "day": "2026-01-01",
        "s": {"k": 1},
        "big": 2**127 - 1,
        "red": "a\x1b[31m",
    }
    written = run("sql", query, logs, "-o", "csv").stdout
    shown = written.replace(str(2**127 - 1), "BIG").replace("a\\x1b[31m", "RED").splitlines()
    assert shown == [
        "a,a_2,yes,no,list,price,at,day,s,big,red",
        """'=1+1,2,true,,"[1,2]",1.50,2026-01-01T12:00:00.500Z,2026-01-01,"{""k"":1}",BIG,RED""",
    ]
    table = run("sql", "SELECT 'a\x1b' AS a, 1 AS n", logs).stdout
    assert table == "a   n\na\N{REPLACEMENT CHARACTER}  1\n"


def test_duckdb_writes_nothing_itself(logs: Path) -> None:
    """Its own progress bar would stand in the answer."""
    query = "SELECT current_setting('enable_progress_bar') AS bar"
    assert asked(query, logs) == [{"bar": False}]


def test_a_span_and_a_filter(logs: Path) -> None:
    """SQL asks the flows that the same flags show."""
    words = ("--since", "2026-01-01T12:10", "--filter", "action=denied direction=in")
    (row,) = asked("SELECT count(*) AS n FROM flows", logs, *words)
    assert row["n"] == len(run("flows", logs, *words).stdout.splitlines())


def test_parquet_that_is_given_twice(logs: Path, tmp_path: Path) -> None:
    """Its flows count once; names come with export."""
    target, link = tmp_path / "o.parquet", tmp_path / "link.parquet"
    run("export", logs, "-o", target)
    link.symlink_to(target)
    query = "select count(*) from flows"
    once = run("sql", query, target).stdout
    assert run("sql", query, target, target, link).stdout == once
    refused = run("sql", query, target, "--inventory", "azure", status=2).stderr
    assert refused == (
        f"nsgflow: {target} is read as it is, with the names that it was written with: give "
        "--inventory to 'nsgflow export'\n"
    )


def test_what_is_given_beside_parquet(logs: Path, tmp_path: Path) -> None:
    """Filters belong into SQL, logs into a command of their own."""
    target = tmp_path / "o.parquet"
    run("export", logs, "-o", target)
    query = "SELECT count(*) FROM flows"
    assert "WHERE" in run("sql", query, target, "--since", "2h", status=2).stderr
    assert "not both" in run("sql", query, target, logs, status=2).stderr
    assert "there is no file" in run("sql", query, tmp_path / "x.parquet", status=2).stderr
    (tmp_path / "y.parquet").write_bytes(b"nothing of the kind")
    assert run("sql", query, tmp_path / "y.parquet", status=2).stderr.count("\n") == 1


def test_an_interrupt_ends_a_long_query(logs: Path) -> None:
    """Without a word, with the status of an interrupt."""
    query = "SELECT sum(a.range * b.range % 7) FROM range(1000000) a, range(10000000) b"
    assert interrupted(lambda: time.sleep(6), "sql", query, logs) == (130, "")


def test_without_duckdb(logs: Path, tmp_path: Path) -> None:
    """The extra that is missing is named with the command that installs it."""
    (tmp_path / "duckdb.py").write_text("raise ImportError\n")
    for words in (("export", logs, "-o", tmp_path / "o.parquet"), ("sql", "FROM flows", logs)):
        done = subprocess.run(
            [sys.executable, "-m", "nsgflow_core", *map(str, words)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "pip install duckdb" in done.stderr
