"""Times as they are shown: local on a terminal, UTC in files, pipes and with --utc, everywhere."""

import re
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devtools.estate import Estate
from devtools.flowlogs import NSG_CONTAINER, Group, Nic, nsg_path, nsg_record
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.delivery.dead_letters import DeadLetters
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.model import Bad, BlobRef
from tests.cli.conftest import Store
from tests.cli.terminal import ending_on_terminal, on_terminal
from tests.unit.test_inventory import Graph

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one time zone for all processes")

ZONE = "XXX-9"
LOCAL = re.compile(r"(\d\d:\d\d(:\d\d(\.\d+)?)?|UTC)\+09:00")
OF_UTC = re.compile(r"T?\d\d(:\d\d)*(\.\d+)?( UTC|Z)")
WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
MADE = 1_772_600_000.0


@pytest.fixture
def environ(store: Store, tmp_path: Path) -> dict[str, str]:
    """A function with a log, a dead letter, a silence and a mark; files of a log and a network."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = int(hour.timestamp())
    texts = (f"{start},192.0.2.1,10.5.16.4,2,22,T,I,D,B,,,,",)
    record = nsg_record(WEB, hour, [Group("UserRule_Deny", texts)]).data
    store.log(nsg_path(WEB, hour), [record])
    (tmp_path / "log.json").write_bytes(b'{"records":[' + record + b"]}")
    inventory = read_inventory(Graph(Estate()))
    write_file(tmp_path / "net.nsgflow", Kept(MADE, inventory, b"", []))
    state = store.service.get_container_client("nsgflow-state")
    ref = BlobRef("devstoreaccount1", NSG_CONTAINER, nsg_path(WEB, hour))
    DeadLetters(state).put_bad(ref, [Bad(12, "no record", b"?")], 0)
    made = store.environ(
        NSGFLOW_WEBHOOK_URL="https://x.example",
        NSGFLOW_WEBHOOK_FORMAT="slack",
        TZ=ZONE,
    )
    for command in ("silence port=22 --for 2h", "mark 'web 2.4'"):
        assert store.nsgflow(command, made).returncode == 0
    return made


COMMANDS = (
    ["denied"],
    ["flows", "-o", "table"],
    ["flows", "--ip", "10.99.0.1", "--since", "2h"],
    ["denied", "{log}", "--by", "rule,RecordTime"],
    ["denied", "{log}", "--ip", "10.99.0.1", "--since", "2026-11-26"],
    ["sql", "SELECT FlowTime, [RecordTime] AS RecordTimes FROM flows", "{log}"],
    ["logs"],
    ["why", "192.0.2.1", "10.5.16.4:22", "{log}"],
    ["coverage", "--inventory", "{net}"],
    ["inventory", "{net}"],
    ["checkpoints"],
    ["checkpoints", "--since", "2026-02-01", "--until", "2026-02-02"],
    ["replay", "--since", "2h", "--dry-run"],
    ["dead-letters", "list"],
    ["silence", "list"],
    ["silence", "port=23", "--for", "2h"],
    ["mark"],
    ["mark", "now"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_times_alike(
    words: Sequence[str], environ: dict[str, str], tmp_path: Path, store: Store
) -> None:
    """With their offset: of the zone on a terminal, of UTC with --utc and in pipes."""
    files = {"{log}": tmp_path / "log.json", "{net}": tmp_path / "net.nsgflow"}
    typed = [str(files.get(word, word)) for word in words]
    kept = environ | ({"AZURE_STORAGE_CONNECTION_STRING": ""} if "coverage" in words else {})
    shown = on_terminal(typed, 200, **kept)
    assert LOCAL.search(shown), shown
    assert not OF_UTC.search(shown), shown
    for there in (
        on_terminal(["--utc", *typed], 200, **kept),
        _in_a_pipe(store, typed, kept),
    ):
        assert OF_UTC.search(there), there
        assert "+09:00" not in there


def _in_a_pipe(store: Store, words: Sequence[str], environ: dict[str, str]) -> str:
    done = store.nsgflow(shlex.join(words), environ)
    return done.stdout + done.stderr


def test_errors_name_times_as_the_terminal_shows_them(environ: dict[str, str]) -> None:
    """What is wrong with a time is said in the zone in which it was given."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    given = ["flows", "--since", f"{tomorrow:%Y-%m-%d}", "--until", "2026-11-20 10:00"]
    said = " ".join(ending_on_terminal(given, 200, 2, environ).split())
    assert "end at 2026-11-20 10:00:00+09:00" in said
