"""What is asked for by name is never hidden, what is left out is told; and when "now" is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record
from tests.cli.conftest import Store, at
from tests.cli.terminal import on_terminal

SQL = Nic(nsg="SQL-NSG", mac="000D3A0000A1")
WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A2")
HOUR = at("2026-03-04T05:00")
PROBES = "1 probe of the load balancer (--display-lb)"
OUTBOUND = "1 outbound flow (--display-direction both)"


def put(store: Store, nic: Nic, minutes: int) -> None:
    """A log with a flow denied so many minutes ago, to the port of that number."""
    when = datetime.now(UTC) - timedelta(minutes=minutes)
    text = f"{int(when.timestamp())},192.0.2.1,10.5.16.4,5000,{minutes},T,I,D,B,,,,"
    record = nsg_record(nic, when, [Group("UserRule_Deny", (text,))])
    store.log(nsg_path(nic, when.replace(minute=0, second=0, microsecond=0)), [record.data])


def ports(shown: str) -> list[str]:
    """The ports of a CSV of groups by port."""
    return [line.partition(",")[0] for line in shown.splitlines()[1:]]


def test_the_last_hour_is_sixty_minutes(store: Store) -> None:
    """A log of this hour or of the one before: what counts is when its flows were."""
    put(store, SQL, 40)
    put(store, WEB, 65)
    assert ports(store.nsgflow("denied --by port -o csv").stdout) == ["40"]
    assert ports(store.nsgflow("denied --by port -o csv --since 1h").stdout) == ["40"]
    assert ports(store.nsgflow("denied --by port -o csv --since 1h10m").stdout) == ["40", "65"]
    # get_nsg_logs' own words mean the newest hourly logs, and so does `flows` alone.
    assert ports(store.nsgflow("denied --by port -o csv --display-hours 1").stdout) == ["40", "65"]
    assert store.nsgflow("flows").stdout.count("\n") == 2


def test_logs_that_ended_long_ago_are_shown_and_told(store: Store) -> None:
    """Better than nothing; and that they are old is said before anybody trusts them."""
    put(store, SQL, 3 * 24 * 60 + 5)
    done = store.nsgflow("denied --by port -o csv")
    assert ports(done.stdout) == ["4325"]
    assert done.stderr == (
        "nsgflow: there are no logs of the last sixty minutes: these are the newest of each NSG, "
        "and the newest record is 3 d old\n"
    )


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A file with a denied flow each way, and a denied probe."""
    time = int(HOUR.timestamp())
    texts = (
        f"{time},10.5.16.4,192.0.2.9,5000,1433,T,O,D,B,,,,",
        f"{time + 1},192.0.2.7,10.5.16.4,5000,1433,T,I,D,B,,,,",
        f"{time + 2},168.63.129.16,10.5.16.4,5000,1433,T,I,D,B,,,,",
    )
    record = nsg_record(SQL, HOUR + timedelta(seconds=59), [Group("UserRule_Deny", texts)])
    file = tmp_path / "PT1H.json"
    file.write_bytes(b'{"records":[' + record.data + b"]}")
    return str(file)


Run = Callable[[str], tuple[str, str]]


@pytest.fixture
def run(log: str, store: Store) -> Run:
    """Runs a command over that file: its output, and what it says besides."""

    def run(command: str) -> tuple[str, str]:
        done = store.nsgflow(f"{command} {log}", {"PATH": "/usr/bin"})
        assert done.returncode == 0
        return done.stdout, done.stderr

    return run


@pytest.mark.parametrize(
    ("command", "lines", "left_out"),
    [
        # get_nsg_logs' flags alone keep its lines.
        ("flows", 1, f"{OUTBOUND}, {PROBES}"),
        ("flows --port 1433", 1, f"{OUTBOUND}, {PROBES}"),
        ("flows --ip 10.5.16.4 --nsg-name SQL-NSG", 1, f"{OUTBOUND}, {PROBES}"),
        ("flows --ip 10.5.16.4 --display-direction both", 2, PROBES),
        ("flows --display-lb", 2, OUTBOUND),
        # What is asked for by name, in words of ours, is shown.
        ("flows --port 1433 --since 2026-03-04T05:00Z", 3, ""),
        ("flows --filter port=1433", 3, ""),
        ("flows --filter rule=*Deny", 3, ""),
        ("flows --nsg-name SQL-NSG -o json", 3, ""),
        ("flows --filter '!src=internet'", 1, f"{OUTBOUND}, {PROBES}"),
        ("flows --filter 'port=1433 direction=in' --display-direction in", 2, ""),
        ("denied --by source -o json", 2, PROBES),
        ("denied --by source -o json --port 1433", 3, ""),
        ("denied --by source -o json --ip 10.5.16.4", 3, ""),
        ("denied --by source -o json --nsg-name SQL-NSG", 3, ""),
        ("denied --by source -o json --filter 'port=1433 lb=no'", 2, ""),
    ],
)
def test_what_is_asked_for_by_name_is_not_hidden(
    run: Run, command: str, lines: int, left_out: str
) -> None:
    """And what the defaults left out is told, with the flag that shows it."""
    shown, said = run(command)
    assert len(shown.splitlines()) == lines
    assert said == (f"nsgflow: left out by default: {left_out}\n" if left_out else "")


BERLIN = {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}
DENIED = """\
flows  sources  source        first     last
1      1        10.5.16.4     06:00:00  06:00:00
1      1        192.0.2.7     06:00:01  06:00:01
2      2        all 2 groups  06:00:00  06:00:01
times of 2026-03-04, UTC+01:00
"""
TABLE = """\
time                           nsg      rule           action  direction  protocol
    source     sport  destination  port  state  sent  received
2026-03-04 06:00:00.000+01:00  SQL-NSG  UserRule_Deny  denied  out        TCP
    10.5.16.4  5000   192.0.2.9    1433  B
2026-03-04 06:00:01.000+01:00  SQL-NSG  UserRule_Deny  denied  in         TCP
    192.0.2.7  5000   10.5.16.4    1433  B
"""


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("denied --by source", DENIED),
        ("flows -o table --display-direction both", TABLE),
    ],
)
def test_times_are_local_on_a_terminal_and_utc_elsewhere(
    log: str, run: Run, command: str, shown: str
) -> None:
    """With the offset everywhere; --utc has those of files and pipes."""
    note = f"nsgflow: left out by default: {PROBES}\n"
    assert on_terminal([*command.split(), log], 90, **BERLIN) == shown + note
    assert "2026-03-04T05:00:00.000Z" in run(command)[0]
    assert "2026-03-04T05:00:00.000Z" in on_terminal([*command.split(), log, "--utc"], 90, **BERLIN)


def test_times_of_several_days_or_offsets_are_whole(tmp_path: Path) -> None:
    """Across midnight, and across the night in which clocks are put back."""
    for number, (begin, first, last) in enumerate(
        (
            ("2026-03-04T22:30", "2026-03-04 23:30:00+01:00", "2026-03-05 00:30:00+01:00"),
            ("2026-10-25T00:30", "2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00"),
        )
    ):
        time = int(at(begin).timestamp())
        texts = tuple(
            f"{time + later},192.0.2.7,10.5.16.4,5000,1433,T,I,D,B,,,," for later in (0, 3600)
        )
        file = tmp_path / f"{number}.json"
        record = nsg_record(SQL, at(begin), [Group("UserRule_Deny", texts)]).data
        file.write_bytes(b'{"records":[' + record + b"]}")
        shown = on_terminal(["denied", str(file), "--by", "port"], 90, **BERLIN)
        assert shown.splitlines()[1:] == [f"2      1        1433  {first}  {last}"]


def test_lines_of_get_nsg_logs_keep_its_time(run: Run) -> None:
    """The record's, as it was written; the flow's own stands in the other forms."""
    assert run("flows")[0].startswith("2026-03-04T05:00:59.0000000Z SQL-NSG ")
    assert '"FlowTime":"2026-03-04T05:00:01.000Z"' in run("flows -o json")[0]
