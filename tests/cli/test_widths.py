"""Lists from 60 to 200 columns: whole, and no word of them broken.

`python -m tests.cli.test_widths` writes the expected files anew, to be reviewed.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from devtools.flowlogs import Group, Nic, nsg_path, nsg_record, vnet_path, vnet_record
from nsgflow_core.cli import denied_forms, lag, tables
from nsgflow_core.cli.gathering import Gathering
from nsgflow_core.cli.read import Found, Log
from nsgflow_core.cli.silence.silences import row as silence_row
from nsgflow_core.digests.silences import Silence
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import NOWHERE, BlobRef, Flow
from tests.cli.conftest import at
from tests.cli.terminal import answer_on_terminal, on_terminal

GOLDEN = Path(__file__).with_name("golden") / "widths"
WIDTHS = (60, 80, 120, 200)
HOUR = at("2026-03-04T05:00")
SECONDS = int(HOUR.timestamp())
_NO_ONE = "00000000-0000-0000-0000-000000000000"
_LONG = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:"
_BEGIN, _END = "2026-03-04T05:00", "2026-03-04T06:00"


def logs(folder: Path) -> str:
    """An NSG's log, and a VNet's that has what no rule denied, and protocols without ports."""
    web = Nic(nsg="PROD-WEB-FRONTEND-NSG")
    rules = [
        Group("DefaultRule_DenyAllInBound", (
            f"{SECONDS + 1},198.51.100.7,10.5.16.4,50001,3389,T,I,D,B,,,,",
            f"{SECONDS + 2},198.51.100.8,10.5.16.4,50001,3389,T,I,D,B,,,,",
        )),
        Group("UserRule_DenyEverythingFromTheOldDatacenter", (
            f"{SECONDS + 3},10.9.3.200,10.5.16.4,61234,1433,T,I,D,B,,,,",
        )),
    ]  # fmt: skip
    v4 = f"{SECONDS}000"
    net = Nic(mac="000D3A0000A3")
    drops = [
        Group("platformrule", (f"{v4},10.5.16.4,203.0.113.9,5000,25,6,O,D,NX,0,0,0,0",), _NO_ONE),
        Group("unspecified", (f"{v4},10.5.16.4,10.6.0.9,5000,443,6,O,D,X_UNSUPPORTED,0,0,0,0",),
              "unspecified"),
        Group("BlockIcmpVSix", (f"{v4},{_LONG}1,{_LONG}2,0,0,58,I,D,NX,0,0,0,0",)),
        Group("BlockTunnels", (f"{v4},192.0.2.9,10.5.16.4,0,0,50,I,D,NX,0,0,0,0",)),
    ]  # fmt: skip
    for path, record in (
        (nsg_path(web, HOUR), nsg_record(web, HOUR, rules)),
        (vnet_path(net, HOUR), vnet_record(net, HOUR, drops)),
    ):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(b'{"records":[' + record.data + b"]}")
    return str(folder)


def commands(folder: str) -> dict[str, list[str]]:
    """Commands that are asked on a terminal."""
    span = ["--since", _BEGIN, "--until", _END]
    return {
        "denied": ["denied", folder, *span],
        "flows": ["flows", folder, *span, "-o", "table", "--display-direction", "both"],
        "why": ["why", "10.9.3.200", "10.5.16.4:1433", folder, *span],
        "why-unrecorded": ["why", "10.9.3.201", "10.5.16.4:1433", folder, *span],
    }


def asked(words: list[str], width: int) -> str:
    """What a command shows on a terminal of this width, whose clock is UTC."""
    return answer_on_terminal(words, width, TZ="UTC")


def checkpoints() -> None:
    """Two sinks of a log, one behind; a log that nobody has looked at."""
    common = {"connection": "FlowLogs", "hour": "2026-03-04T05:00Z", "size": 1234567}
    calm = {"pending": False, "claimedUntil": None, "failures": 0, "notBefore": None}
    one = common | calm | {"log": "PROD-WEB-FRONTEND-NSG", "mac": "000D3AF87856"}
    late: dict[str, Any] = {"failures": 3, "notBefore": "2026-03-04T05:31:00.000Z"}
    lag.write(
        [
            one | {"sink": "table", "offset": 1234565, "lagBytes": 0, "behindSince": None},
            one
            | {"sink": "webhook_2", "offset": 0, "lagBytes": 1234567}
            | {"behindSince": "2026-03-04T05:02:00.000Z", "pending": True}
            | late,
            common
            | calm
            | {"log": "SHOP-FLOWLOG", "mac": "000D3A0000A3", "sink": "", "offset": 0}
            | {"lagBytes": 1234567, "behindSince": None},
        ],
        "table",
    )


def dead_letters() -> None:
    """One that could not be read, one that was refused."""
    from nsgflow_core.cli.dead_letters.list import _COLUMNS  # noqa: PLC0415

    log = ("2026-03-04T05:00Z", "PROD-WEB-FRONTEND-NSG", "000D3AF87856")
    written = "2026-03-04T05:07:11Z"
    tables.write_table(
        _COLUMNS,
        [
            ("9f2c41d07ab3", written, *log, "input", "2", "0", "812",
             "the tuple has 9 fields where version 2 has 13"),
            ("01ab3c9d77e1", written, *log, "webhook", "1", "14", "65012",
             "hooks.example.com answered 413 (Payload Too Large)"),
        ],
    )  # fmt: skip


def silences() -> None:
    """With a long reason."""
    made = Silence(
        "4be1a2",
        "nsg=prod-web-frontend-nsg,prod-db-nsg port=1433,1434 src=10.9.0.0/16",
        SECONDS + 7200,
        SECONDS,
        "change 4711: the old datacenter moves over the weekend, its rules come after",
    )
    columns = ("id", "until", "made", "terms", "why")
    found = silence_row(made)
    tables.write_table(columns, [[found[key] for key in columns]])


STATE: dict[str, Callable[[], None]] = {
    "checkpoints": checkpoints,
    "dead-letters": dead_letters,
    "silence": silences,
}


def drawn(draw: Callable[[], None], width: int) -> str:
    """What is written where stdout is a terminal of this width."""
    shown = io.StringIO()
    with (
        mock.patch.object(tables, "terminal_width", return_value=width),
        contextlib.redirect_stdout(shown),
    ):
        draw()
    return shown.getvalue()


def fits(shown: str, width: int) -> bool:
    """Whether a terminal breaks no line of it."""
    return all(tables.width_of(line) <= width for line in shown.splitlines())


def words(shown: str) -> list[str]:
    """All words, in no order."""
    return sorted(shown.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", commands(""))
def test_commands(tmp_path: Path, name: str, width: int) -> None:
    """As reviewed, within the terminal."""
    shown = asked(commands(logs(tmp_path))[name], width)
    assert shown == (GOLDEN / f"{name}.{width}.txt").read_text(encoding="utf-8")
    assert fits(shown, width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", STATE)
def test_state(name: str, width: int) -> None:
    """Lists of the deployed function's state; every word stands whole at any width."""
    shown = drawn(STATE[name], width)
    assert shown == (GOLDEN / f"{name}.{width}.txt").read_text(encoding="utf-8")
    assert fits(shown, width)
    assert words(shown) == words(drawn(STATE[name], 0))


@given(
    st.integers(60, 200),
    st.lists(
        st.tuples(
            st.ip_addresses().map(str),
            st.ip_addresses().map(str),
            st.from_regex(r"UserRule_[A-Z][a-z]{0,40}", fullmatch=True),
            st.uuids().map(str),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_no_address_rule_or_guid_is_broken(
    width: int, made: list[tuple[str, str, str, str]]
) -> None:
    """Each is found again as it is, whatever the width."""
    log = Log(BlobRef("a", "c", vnet_path(Nic(), HOUR)), parse_path(vnet_path(Nic(), HOUR)), 1, "")
    found = [
        Found(
            log,
            Flow(
                SECONDS * 1000,
                src,
                dst,
                5000,
                22,
                "6",
                "I",
                "D",
                group=structs.replace(NOWHERE, rule=rule, acl_group=guid),
            ),
        )
        for src, dst, rule, guid in made
    ]
    keys = ("nsg", "rule", "source", "destination")
    with Gathering(keys) as gathering:
        gathering.take(found)
        groups = gathering.groups()
    shown = drawn(lambda: denied_forms.write(groups, "table", denied_forms.Shown(keys)), width)
    assert fits(shown, width)
    for values in made:
        assert set(values) <= set(shown.split())


@pytest.mark.parametrize(
    "words",
    [
        ["logs", "--nics"],
        ["denied", "--every", "5m", "--since", _BEGIN, "--until", _END],
        ["denied", "--suggest"],
        ["denied", "--action", "both", "--by", "nsg,rule,source,destination,port,action"],
        ["flows", "-o", "table", "--display-allowed", "--display-direction", "both"],
    ],
    ids=" ".join,
)
def test_the_narrowest_terminal_holds_all_tables(tmp_path: Path, words: list[str]) -> None:
    """Only lines of `flows` and `tail`, which are those of get_nsg_logs, may be longer."""
    shown = answer_on_terminal([*words, logs(tmp_path)], 60, TZ="UTC")
    assert "PROD-WEB-FRONTEND-NSG" in shown
    assert fits(shown, 60)


def test_notes_are_wrapped_too(tmp_path: Path) -> None:
    """What is said on stderr breaks no word of a terminal either."""
    shown = on_terminal(["denied", logs(tmp_path), "--filter", "port=9", "--since", _BEGIN], 60)
    assert "no flows match" in shown
    assert fits(shown, 60)


def _write() -> None:
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = logs(Path(name))
        for width in WIDTHS:
            for command, typed in commands(folder).items():
                (GOLDEN / f"{command}.{width}.txt").write_text(asked(typed, width))
            for state, draw in STATE.items():
                (GOLDEN / f"{state}.{width}.txt").write_text(drawn(draw, width))


if __name__ == "__main__":
    _write()
