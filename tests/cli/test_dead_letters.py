"""`nsgflow dead-letters`, on real storage and with both sinks."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from devtools.estate import Estate
from devtools.flowlogs import (
    NSG_CONTAINER,
    VNET_CONTAINER,
    BlobWriter,
    Group,
    Nic,
    nsg_path,
    nsg_record,
    vnet_path,
    vnet_record,
)
from devtools.http_server import Fault, Request
from devtools.identity import identity
from devtools.ingestion import Ingestion, ingestion
from devtools.meter import metered
from devtools.tls import Certificate, make_certificate
from devtools.webhook import Webhook, webhook
from nsgflow_core.config import from_env
from nsgflow_core.delivery.dead_letters import PREFIX, DeadLetters
from nsgflow_core.estate.library import INVENTORY_BLOB
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.logs.records import RawRecord, split
from nsgflow_core.model import Bad, BlobRef, Storage
from nsgflow_core.service import Service
from nsgflow_core.storage import credential, table
from tests.cli.conftest import ROOT, Store, at
from tests.cli.test_names import estate_file
from tests.unit.test_inventory import Graph

HOUR = at("2026-11-23T08:00")
WEB = Nic(nsg="WEB-NSG", mac="000D3A0000A1")
GUID = "1a2b3c4d-0000-0000-0000-000000000001"
OTHER = "5e6f7a8b-0000-0000-0000-000000000002"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class App:
    """A deployed function: its storage, its sinks and its settings."""

    store: Store
    table: Ingestion
    webhook: Webhook
    environ: dict[str, str]

    @property
    def letters(self) -> DeadLetters:
        """Its dead letters."""
        return DeadLetters(self.store.service.get_container_client("nsgflow-state"))

    def names(self) -> list[str]:
        """The dead letters that there are."""
        return [one.name for one in self.letters.list()]

    def deliver(self, ref: BlobRef) -> None:
        """Run the function over a log."""
        Service(from_env(self.environ)).deliver("FlowLogs", ref.container, ref.path)

    def run(self, command: str, status: int = 0, **environ: str) -> tuple[str, str]:
        """Run a command below dead-letters: what it wrote to stdout and stderr."""
        done = self.store.nsgflow(f"dead-letters {command}", self.environ | environ)
        assert done.returncode == status, done.stderr
        return done.stdout, done.stderr

    def listed(self, flags: str = "") -> list[dict[str, Any]]:
        """What `list` says."""
        return [json.loads(line) for line in self.run(f"list -o json {flags}")[0].splitlines()]

    def flow_ids(self) -> list[str]:
        """FlowIds of the rows that were accepted, in their order."""
        return [row["FlowId"] for row in self.table.rows]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """An authority and a server's certificate."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def app(store: Store, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An app with nothing in it."""
    schema = Path(ROOT, "nsgflow_core", "schema.json")
    with (
        identity() as signed_in,
        ingestion(schema, signed_in, certificate) as rows,
        webhook(SECRET) as receiver,
    ):
        environ = store.environ(
            FlowLogs=store.azurite.connection_string,
            AzureWebJobsStorage=store.azurite.connection_string,
            NSGFLOW_LOGS_ENDPOINT=rows.endpoint,
            NSGFLOW_LOGS_RULE_ID=rows.rule_id,
            NSGFLOW_LOGS_OMIT="none",
            NSGFLOW_WEBHOOK_URL=receiver.url,
            NSGFLOW_WEBHOOK_SECRET=SECRET,
            REQUESTS_CA_BUNDLE=str(certificate.bundle),
            NO_PROXY="127.0.0.1",
            **signed_in.environment(),
        )
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        credential.cache_clear()
        with table(Storage(store.azurite.connection_string), "nsgflowcheckpoints") as checkpoints:
            checkpoints.delete_table()  # the emulator outlives a test
        yield App(store, rows, receiver, environ)


def log(app: App, count: int = 2, tuples: int = 2, hour: datetime = HOUR) -> BlobRef:
    """A log of so many records with so many denied flows each."""
    container = app.store.service.get_container_client(NSG_CONTAINER)
    if not container.exists():
        container.create_container()
    writer = BlobWriter(container, nsg_path(WEB, hour))
    start = int(hour.timestamp())
    for number in range(count):
        texts = tuple(
            f"{start + number},192.0.2.1,10.5.16.4,{tuple_},22,T,I,D,B,,,,"
            for tuple_ in range(tuples)
        )
        writer.append(nsg_record(WEB, hour, [Group("UserRule_Deny", texts)]).data)
    return BlobRef("devstoreaccount1", NSG_CONTAINER, writer.path)


def content(app: App, ref: BlobRef) -> bytes:
    """The bytes of a log."""
    blob = app.store.service.get_blob_client(ref.container, ref.path)
    return blob.download_blob().readall()


def records(app: App, ref: BlobRef) -> list[RawRecord]:
    """The records of a log."""
    return split(content(app, ref), 0, last=True).records


def bad_record(app: App, ref: BlobRef, index: int, data: bytes | None = None) -> None:
    """A dead letter as an older parser might have left it: of a whole record."""
    record = records(app, ref)[index]
    kept = bytes(record.data) if data is None else data
    app.letters.put_bad(ref, [Bad(record.offset, "unknown flow log version 2", kept)], 0)


@pytest.mark.parametrize("flags", ["", "-o json", "-o csv"])
def test_a_letter_that_is_refused_hides_none_of_the_others(app: App, flags: str) -> None:
    """All are listed, the one that could not be read is named; status 3."""
    ref = log(app)
    bad_record(app, ref, 0)
    bad_record(app, ref, 1)
    first = app.names()[0]
    with metered(app.store.azurite) as meter:
        meter.blobs.faults = lambda at: Fault(status=403) if first in unquote(at.path) else None
        app.environ["AzureWebJobsStorage"] = meter.connection_string
        out, errors = app.run(f"list {flags}", 3)
    assert out.count("WEB-NSG") >= 2
    assert out.count("unknown flow log version 2") == 1
    assert errors.startswith("nsgflow: not read: ")
    assert "403" in errors


def test_an_inventory_names_what_letters_are_of(app: App, tmp_path: Path) -> None:
    """VM, subnet and NSGs of the interface, by which letters can be asked for too."""
    bad_record(app, log(app), 0)
    net = Nic(mac="000D3A000002", ip="10.0.1.4")
    ref = BlobRef("devstoreaccount1", VNET_CONTAINER, vnet_path(net, HOUR))
    app.letters.put_bad(ref, [Bad(12, "impossible port 'x'", b"{}")], 0)
    book = f"--inventory {estate_file(tmp_path)}"
    names = [(row["vm"], row["subnet"], row["nsgs"]) for row in app.listed(book)]
    assert sorted(names) == [("", "", []), ("prod/db1", "prod/hub/db", ["db-nsg"])]
    assert ",prod/hub/db,db-nsg,input," in app.run(f"list -o csv {book}")[0]
    assert [row["log"] for row in app.listed(f"{book} --nsg-name db-nsg")] == ["SHOP-FLOWLOG"]
    first = app.run(f"list -o csv {book}")[0].splitlines()[0]
    assert first == "id,written,hour,log,mac,vm,subnet,nsgs,kind,entries,omitted,bytes,reason"
    assert "vm" not in app.listed()[0]
    letter = app.listed(f"{book} --nsg db-nsg")[0]["id"]
    shown = app.run(f"show {letter} {book}")[0].splitlines()
    assert shown[3:6] == ["vm       prod/db1", "subnet   prod/hub/db", "nsgs     db-nsg"]
    assert "vm       " not in app.run(f"show {letter}")[0]
    assert json.loads(app.run(f"show {letter} {book} -o json")[0])["nsgs"] == ["db-nsg"]
    said, _ = app.run(f"resend --all --dry-run --nsg db-nsg {book}", 3)
    assert [line.split()[0] for line in said.splitlines()] == [letter]


def test_a_kind_that_there_is_not(app: App) -> None:
    """It is told, and not taken for a kind without letters."""
    _, said = app.run("list --kind inputs", 2)
    assert said.startswith("nsgflow: --kind 'inputs' is not one of input, table, webhook, ")
    assert said.endswith(": did you mean 'input'?\n")


def test_a_record_that_is_understood_now_goes_to_both_sinks(app: App) -> None:
    """With the FlowIds and the alert's id of an ordinary delivery; then the letter is gone."""
    ref = log(app)
    app.deliver(ref)
    ids, alerts = app.flow_ids(), [alert["id"] for alert in app.webhook.alerts]
    assert (len(ids), len(alerts)) == (4, 2)
    bad_record(app, ref, 1)
    (letter,) = app.listed()
    said, _ = app.run(f"resend {letter['id']}")

    assert said == f"{letter['id']}  2 to table, 2 to webhook accepted\n"
    assert app.flow_ids()[4:] == ids[2:]
    assert [alert["id"] for alert in app.webhook.alerts[2:]] == alerts[1:]
    assert app.names() == []


def test_a_tuple_is_read_from_its_record_in_the_log(app: App) -> None:
    """It alone is sent: its neighbours were delivered when it was put aside."""
    ref = log(app, count=1, tuples=3)
    app.deliver(ref)
    ids = app.flow_ids()
    reason = "tuple 1 of the record, rule 'UserRule_Deny': impossible port '1'"
    app.letters.put_bad(ref, [Bad(records(app, ref)[0].offset, reason, b"1,2,3")], 0)
    app.run("resend --all")

    assert app.flow_ids()[3:] == [ids[1]]
    assert app.names() == []


def test_a_record_that_was_clipped_is_read_from_the_log(app: App) -> None:
    """A letter keeps 64 KiB of a piece; the log has all of it."""
    ref = log(app, count=1, tuples=2000)
    assert len(bytes(records(app, ref)[0].data)) > 65536
    bad_record(app, ref, 0)
    said, _ = app.run("resend --all")

    assert "2000 to table, 2000 to webhook accepted" in said
    assert len(set(app.flow_ids())) == 2000
    assert app.names() == []


def test_what_is_still_bad_stays(app: App) -> None:
    """The rest is sent and leaves the letter, so that it is not sent again."""
    ref = log(app)
    first, second = records(app, ref)
    tuple_reason = "tuple 9 of the record, rule 'r': impossible time"
    entries = [
        Bad(first.offset, "unknown flow log version 2", bytes(first.data)),
        Bad(
            second.offset, "unknown flow log version 9", b'{"properties":{"Version":9,"flows":[]}}'
        ),
        Bad(second.offset + 1, tuple_reason, b"soon,192.0.2.1"),
    ]
    app.letters.put_bad(ref, entries, 0)
    said, errors = app.run("resend --all", status=3)

    assert "2 to table, 2 to webhook accepted; 2 entries stay" in said
    assert "unknown flow log version 9" in errors
    assert tuple_reason in errors
    (letter,) = app.listed()
    assert (letter["entries"], letter["kind"]) == (2, "input")
    said, _ = app.run("resend --all", status=3)
    assert "nothing accepted; 2 entries stay" in said
    assert len(app.flow_ids()) == 2


def test_a_tuple_whose_log_is_gone_stays(app: App) -> None:
    """Nothing else says what rule it was under."""
    ref = log(app)
    reason = "tuple 0 of the record, rule 'r': impossible port '1'"
    app.letters.put_bad(ref, [Bad(12, reason, b"1,2,3")], 0)
    app.store.service.get_blob_client(ref.container, ref.path).delete_blob()
    _, errors = app.run("resend --all", status=3)

    assert "its flow log is gone" in errors
    assert len(app.names()) == 1


def test_refused_rows_are_posted_again(app: App) -> None:
    """As they were, to the sink that refused them and to no other."""
    ref = log(app, count=1, tuples=3)
    app.table.refuse_row = lambda row: row["SrcPort"] == 1
    app.deliver(ref)
    assert (len(app.table.rows), len(app.webhook.alerts)) == (2, 1)
    (letter,) = app.listed()
    assert (letter["kind"], letter["entries"], letter["log"]) == ("table", 1, "WEB-NSG")
    app.run("resend --all", status=3)
    assert len(app.names()) == 1
    app.table.refuse_row = None
    said, _ = app.run("resend --all --kind table")

    assert "1 to table accepted" in said
    assert len(set(app.flow_ids())) == 3
    assert len(app.webhook.alerts) == 1
    assert app.names() == []


def test_rows_that_are_refused_again_stay(app: App) -> None:
    """Those that are accepted leave the letter."""
    ref = log(app, count=1, tuples=4)
    app.table.refuse_row = lambda row: row["SrcPort"] in (1, 2)
    app.deliver(ref)
    app.table.refuse_row = lambda row: row["SrcPort"] == 2
    _, errors = app.run("resend --all", status=3)

    assert "1 were refused again and are kept" in errors
    assert len(set(app.flow_ids())) == 3
    assert [one["entries"] for one in app.listed()] == [1]


def test_refused_alerts_keep_their_id(app: App) -> None:
    """The receiver can tell them; they are signed anew."""
    ref = log(app, count=2)
    first = records(app, ref)[0]
    app.webhook.refuse = lambda alert: bool(
        alert["data"]["groups"][0]["firstSeen"] < "2026-11-23T08:00:01"
    )
    app.deliver(ref)
    (letter,) = app.listed("--kind webhook")
    shown = json.loads(app.run(f"show {letter['id']} -o json")[0])
    (entry,) = shown["entries"]
    assert entry["offset"] == first.end
    app.webhook.refuse = None
    app.run(f"resend {letter['id'][:5]}")

    assert app.webhook.alerts[-1]["id"] == entry["id"]
    assert len(app.webhook.unique) == 2
    assert app.names() == []


def test_dry_run_sends_and_changes_nothing(app: App) -> None:
    """It says what would be sent."""
    ref = log(app)
    bad_record(app, ref, 0)
    said, _ = app.run("resend --all --dry-run")

    assert "2 to table, 2 to webhook would be sent" in said
    assert (app.table.rows, app.webhook.alerts) == ([], [])
    assert len(app.names()) == 1


def test_a_sick_sink_leaves_the_letter(app: App) -> None:
    """It is deleted only after all of it was accepted."""
    ref = log(app)
    bad_record(app, ref, 0)

    def sick(_request: Request) -> Fault:
        return Fault(status=403)

    app.webhook.server.faults = sick
    _, errors = app.run("resend --all", status=3)

    assert "the webhook answered 403; it is left as it is" in errors
    assert len(app.names()) == 1


def test_letters_are_chosen_by_id_name_time_and_kind(app: App) -> None:
    """Nothing is sent that was not asked for."""
    for hours in (0, 1):
        bad_record(app, log(app, hour=HOUR + timedelta(hours=hours)), 0)
    ids = [one["id"] for one in app.listed()]
    assert len(set(ids)) == 2
    assert app.listed("--nsg 'db*'") == app.listed("--kind table") == []
    assert app.listed("--nsg db,web-nsg") == app.listed("--nsg db --nsg web-nsg") == app.listed()
    assert len(app.listed("--nsg 'web-*' --since 5m --kind input")) == 2
    assert app.listed("--since 2100-01-01") == []
    assert "or --all" in app.run("resend", status=2)[1]
    assert "no dead letter has the id 'ffff'" in app.run("show ffff", status=2)[1]
    app.run(f"resend {app.names()[0]}")
    assert len(app.names()) == 1
    lines = app.run("list")[0].splitlines()
    assert lines[0].split()[:4] == ["id", "written", "hour", "log"]
    assert len(lines) == 2


def test_text_of_logs_cannot_steer_a_terminal(app: App) -> None:
    """Escapes, C1 controls, changes of writing direction and line breaks are shown, not sent."""
    ref = log(app)
    evil = "\x1b]0;owned\x07\x9b31m\u202e\nnsgflow: all is well\x7f"
    app.letters.put_bad(ref, [Bad(13, f"rule {evil}", evil.encode() + b"\xff\x1b[2J")], 0)
    (letter,) = app.listed()
    commands = ("list", "list -o csv", "list -o json", f"show {letter['id']}")
    for command in (*commands, f"show {letter['id']} -o json"):
        out, err = app.run(command)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out + err)
        assert "\nnsgflow: all is well" not in out
    shown, errors = app.run("resend --all", status=3)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown + errors)
    assert "\\x1b]0;owned" in app.run(f"show {letter['id']}")[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"account": "elsewhere"}, "of another flow log than its name says"),
        ({"container": "secrets"}, "of another flow log than its name says"),
        ({"kind": "pager"}, "the sink 'pager' is not configured here"),
        ({"entries": "none"}, "cannot be read"),
        (
            {
                "entries": [
                    {"offset": 1, "reason": "", "bytes": 3, "encoding": "base64", "data": "?"}
                ]
            },
            "an entry of the dead letter is malformed",
        ),
    ],
)
def test_letters_that_are_not_ours_are_left(app: App, change: dict[str, Any], said: str) -> None:
    """Whoever may write the state container does not get to choose what is read or posted."""
    ref = log(app)
    bad_record(app, ref, 0)
    state = app.store.service.get_container_client("nsgflow-state")
    (name,) = app.names()
    letter = json.loads(state.download_blob(name).readall())
    state.upload_blob(name, json.dumps(letter | change), overwrite=True)
    _, errors = app.run("resend --all", status=3)

    assert said in errors
    assert (app.table.rows, app.webhook.alerts) == ([], [])
    assert app.names() == [name]


def test_letters_of_other_places_are_left(app: App) -> None:
    """Names that agree with the content, but with no connection or no flow logs."""
    ref = log(app)
    entry = Bad(12, "not JSON", bytes(records(app, ref)[0].data))
    app.letters.put_bad(BlobRef("elsewhere", ref.container, ref.path), [entry], 0)
    app.letters.put_bad(BlobRef(ref.account, "secrets", ref.path), [entry], 0)
    _, errors = app.run("resend --all", status=3)

    assert "no connection reads the account 'elsewhere'" in errors
    assert "'secrets' holds no flow logs" in errors
    assert len(app.names()) == 2


def test_without_dead_letters_it_says_so(app: App) -> None:
    """A container that is missing has none; other blobs of it are none either."""
    assert app.run("list") == ("", "nsgflow: none\n")
    app.store.service.create_container("nsgflow-state").upload_blob(f"{PREFIX}note.txt", b"")
    assert app.run("list") == ("", "nsgflow: none\n")
    assert app.run("resend --all")[1] == "nsgflow: there are no such dead letters\n"


@pytest.fixture
def posts(app: App) -> Iterator[list[dict[str, Any]]]:
    """What a chat is sent that the webhook's URL leads to; it answers 202 to anything."""
    found: list[dict[str, Any]] = []

    def chat(request: Request) -> Fault:
        found.append(json.loads(request.body))
        return Fault(status=202)

    app.webhook.server.faults = chat
    yield found
    app.webhook.server.faults = None


@pytest.mark.parametrize("chat", ["slack", "teams"])
def test_a_chat_gets_a_digest_and_no_event_for_machines(
    app: App, posts: list[dict[str, Any]], chat: str
) -> None:
    """Of the letter's flows, at once; then the letter is gone."""
    ref = log(app)
    bad_record(app, ref, 1)
    said, _ = app.run("resend --all", NSGFLOW_WEBHOOK_FORMAT=chat, NSGFLOW_WEBHOOK_SECRET="")

    (post,) = posts
    assert "specversion" not in post
    assert "2 denied flows in 1 group" in json.dumps(post)
    assert "UserRule_Deny" in json.dumps(post)
    assert "2 to table, 2 to webhook accepted" in said
    assert app.names() == []


def test_alerts_that_were_refused_become_a_digest(app: App, posts: list[dict[str, Any]]) -> None:
    """When the format has changed since; with the flows that the alert told of."""
    ref = log(app, count=2)
    app.webhook.server.faults = None
    app.webhook.refuse = lambda alert: bool(
        alert["data"]["groups"][0]["firstSeen"] < "2026-11-23T08:00:01"
    )
    app.deliver(ref)
    app.webhook.refuse = None

    def chat(request: Request) -> Fault:
        posts.append(json.loads(request.body))
        return Fault(status=202)

    app.webhook.server.faults = chat
    secret = "0123456789abcdef0123456789abcdef"
    said, _ = app.run(
        "resend --all", NSGFLOW_WEBHOOK_FORMAT="pagerduty", NSGFLOW_WEBHOOK_SECRET=secret
    )

    (post,) = posts
    assert post["event_action"] == "trigger"
    assert len(post["dedup_key"]) == 32
    assert post["payload"]["custom_details"]["flows"] == 2
    (group,) = post["payload"]["custom_details"]["groups"]
    assert (group["nsg"], group["rule"]) == ("WEB-NSG", "UserRule_Deny")
    assert "2 to webhook accepted" in said
    assert app.names() == []


def test_what_is_too_old_to_alert_stays(app: App) -> None:
    """Where nobody else takes it, and nobody said that it may go."""
    ref = log(app)
    bad_record(app, ref, 0)
    app.environ |= {"NSGFLOW_WEBHOOK_MAX_AGE_MINUTES": "10", "NSGFLOW_LOGS_ENDPOINT": ""}
    app.environ |= {"NSGFLOW_LOGS_RULE_ID": ""}
    said, errors = app.run("resend --all", status=3)

    assert "nothing accepted; 1 entries stay" in said
    assert "its flows are too old to alert" in errors
    assert "--drop" in errors
    assert len(app.names()) == 1
    said, _ = app.run("resend --all --drop")
    assert "nothing accepted" in said
    assert app.webhook.alerts == []
    assert app.names() == []


def test_what_another_sink_takes_is_done_with(app: App) -> None:
    """The table's row is enough, however old the alert would be."""
    ref = log(app)
    bad_record(app, ref, 0)
    said, _ = app.run("resend --all", NSGFLOW_WEBHOOK_MAX_AGE_MINUTES="10")
    assert "2 to table accepted" in said
    assert app.names() == []


def test_filters_are_judged_with_what_the_function_knows(app: App) -> None:
    """A GUID goes by the name of its NSG; what no filter lets through stays."""
    estate = Estate()
    estate.nsg("Prod-Web", GUID)
    inventory = read_inventory(Graph(estate))
    container = app.store.service.get_container_client("nsgflow-state")
    if not container.exists():
        container.create_container()
    made = {"made": str(datetime.now(UTC).timestamp()), "foreign": ""}
    container.upload_blob(INVENTORY_BLOB, inventory, overwrite=True, metadata=made)
    for guid in (GUID, OTHER):
        denied = f"{HOUR.timestamp() * 1000:.0f},10.0.0.9,10.5.16.4,5,22,6,I,D,NX,0,0,0,0"
        record = vnet_record(WEB, HOUR, [Group("UserRule_X", (denied,), acl=guid)]).data
        path = vnet_path(WEB, HOUR)
        letter = BlobRef("devstoreaccount1", VNET_CONTAINER, path)
        app.letters.put_bad(letter, [Bad(12, "unknown flow log version 4", record)], 0)
        said, errors = app.run(
            "resend --all",
            0 if guid == GUID else 3,
            NSGFLOW_INVENTORY="resourcegraph",
            NSGFLOW_LOGS_FILTER="nsg=prod-*",
            NSGFLOW_WEBHOOK_FILTER="nsg=prod-*",
        )
        if guid == GUID:
            assert "1 to table, 1 to webhook accepted" in said
            assert app.table.rows[0]["AclName"] == "Prod-Web"
            assert app.names() == []
    assert "nothing accepted" in said
    assert "no filter lets its flows through" in errors
    assert len(app.names()) == 1


def test_what_one_sink_accepted_is_said_when_the_other_fails(app: App) -> None:
    """And the letter stays whole."""
    ref = log(app)
    bad_record(app, ref, 0)
    app.webhook.server.faults = lambda _: Fault(status=403)
    said, errors = app.run("resend --all", 3)

    assert "2 to table accepted" in said
    assert "it is left as it is" in errors
    assert len(app.names()) == 1


def test_a_log_that_was_cut_off_and_has_gone_on_is_done_with(app: App) -> None:
    """What came since was delivered as ever."""
    ref = log(app)
    end = records(app, ref)[-1].end
    app.letters.put_bad(ref, [Bad(end, "cut off: the log has no end", b"")], 0)
    app.run("resend --all")
    assert app.names() == []
