"""Digests of the whole product, on a real table and blob store, to each kind of receiver."""

import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from devtools.chat import Chat, Kind, chat
from devtools.flowlogs import NSG_CONTAINER, BlobWriter, Nic, random_record
from devtools.functions_host import FunctionsHost
from devtools.host_index import index_app
from devtools.http_server import Fault
from nsgflow_core import storage
from nsgflow_core.config import from_env
from nsgflow_core.delivery.ledgers import Ledgers
from nsgflow_core.digests.memory import Mark, State, StateChangedError
from nsgflow_core.digests.silences import Silence
from nsgflow_core.digests.state import DigestState, states
from nsgflow_core.errors import NsgflowError, TransientError
from nsgflow_core.service import DEADLINE_SECONDS, Service
from tests.functional.logs import records
from tests.integration.conftest import HOUR, ROOT, Deployment

APP = ROOT / "function_app.py"
KEY = "0123456789abcdef0123456789abcdef"
WORKSPACE = (
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333/resourceGroups/ops"
    "/providers/Microsoft.OperationalInsights/workspaces/logs"
)


@pytest.fixture(params=get_args(Kind))
def receiver(
    request: pytest.FixtureRequest, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Chat]:
    """A receiver of each kind, with the deployment configured for it."""
    with chat(request.param) as running:
        configure(deployment, running, monkeypatch)
        yield running


@pytest.fixture
def slack(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """Slack alone, for what is the same for all."""
    with chat("slack") as running:
        configure(deployment, running, monkeypatch)
        yield running


def configure(deployment: Deployment, running: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the webhook at a receiver."""
    settings = {
        "NSGFLOW_WEBHOOK_URL": running.url,
        "NSGFLOW_WEBHOOK_FORMAT": running.kind,
        "NSGFLOW_WORKSPACE_ID": WORKSPACE,
        "NSGFLOW_WEBHOOK_SECRET": KEY if running.kind == "pagerduty" else "",
    }
    deployment.environment |= settings
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def interfaces(deployment: Deployment, count: int) -> list[BlobWriter]:
    """Logs of so many interfaces, each with denied flows."""
    writers = []
    for number in range(count):
        nic = Nic(mac=f"000D3A{number:06X}", ip=f"10.5.0.{number + 1}", nsg=f"NSG-{number % 2}")
        writer = deployment.nsg_log(nic)
        writer.append(*records(2, seed=number))
        writers.append(writer)
    return writers


def deliver(service: Service, *writers: BlobWriter) -> None:
    """An event of each log, side by side."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: service.deliver("FlowLogs", NSG_CONTAINER, at.path), writers))


def flows_told(receiver: Chat) -> int:
    """The flows in the headlines of all messages; of PagerDuty's, in its incidents."""
    if receiver.kind == "pagerduty":
        last = {message["dedup_key"]: message for message in receiver.messages}
        return sum(at["payload"]["custom_details"]["flows"] for at in last.values())
    found = re.findall(r'"text": "([\d,]+) denied flows? in', text(receiver.messages))
    times = 2 if receiver.kind == "slack" else 1  # the header, and what notifications show
    return sum(int(number.replace(",", "")) for number in found) // times


def text(messages: list[dict[str, Any]]) -> str:
    """All that was said."""
    return json.dumps(messages, ensure_ascii=False)


def test_many_interfaces_are_one_message(deployment: Deployment, receiver: Chat) -> None:
    """With the count of all flows, a link, and rows in the table as ever."""
    service, writers = deployment.service(), interfaces(deployment, 12)
    deliver(service, *writers)
    assert not receiver.requests
    service.digest("webhook")
    service.digest("webhook")
    deployment.clock.move(minutes=5)
    service.digest("webhook")

    assert not receiver.refusals
    denied = deployment.denied(*writers).total()
    assert flows_told(receiver) == denied
    assert receiver.kind == "pagerduty" or len(receiver.messages) == 1
    assert "PROD-WEB-NSG" in text(receiver.messages).upper()
    assert "Logs.ReactView/resourceId/%2Fsubscriptions" in text(receiver.messages)
    assert len(deployment.table.rows) == denied
    assert not deployment.webhook.requests


def test_repeats_are_held_over_restarts(deployment: Deployment, receiver: Chat) -> None:
    """By a new process too, until their time is over; then they are told with their count."""
    writers = interfaces(deployment, 2)
    first = deployment.service()
    deliver(first, *writers)
    first.digest("webhook")
    for number, writer in enumerate(writers):
        writer.append(*records(2, seed=number))
    deployment.clock.move(minutes=1)
    second = deployment.service()
    deliver(second, *writers)
    for _ in range(13):
        second.digest("webhook")
        deployment.clock.move(minutes=1)
    once = len(receiver.messages)
    assert once == len({message.get("dedup_key", "") for message in receiver.messages})
    deployment.clock.move(minutes=2)
    deployment.service().digest("webhook")

    assert len(receiver.messages) == 2 * once
    half = deployment.denied(*writers).total() // 2
    receiver.messages, again = receiver.messages[:once], receiver.messages[once:]
    assert flows_told(receiver) == half
    receiver.messages = again
    assert flows_told(receiver) == half
    assert "New: " not in text(again)


@pytest.mark.parametrize(
    "fault",
    [Fault(status=503), Fault(status=429, headers={"Retry-After": "120"}), Fault(status=403)],
    ids=["down", "busy", "forbidden"],
)
def test_nothing_is_lost_while_the_receiver_is_down(
    deployment: Deployment, receiver: Chat, fault: Fault
) -> None:
    """The failure shows, one try an interval, and then the digest that was stored arrives."""
    service, writers = deployment.service(), interfaces(deployment, 3)
    receiver.faults = lambda _: fault
    deliver(service, *writers)
    with pytest.raises(NsgflowError) as raised:
        service.digest("webhook")
    assert receiver.url not in str(raised.value)
    service.digest("webhook")
    assert receiver.requests == 1, "not before the interval is over"
    later = interfaces(deployment, 5)[3:]
    deliver(service, *later)
    receiver.faults = None
    for _ in range(8):
        deployment.clock.move(seconds=30)
        deployment.service().digest("webhook")

    assert flows_told(receiver) >= deployment.denied(*writers).total()
    assert not receiver.refusals


def test_a_lost_acknowledgement_repeats_the_same_message(
    deployment: Deployment, receiver: Chat
) -> None:
    """Byte for byte."""
    service, writers = deployment.service(), interfaces(deployment, 2)
    deliver(service, *writers)
    receiver.faults = lambda _: Fault(accept_then_reset=True)
    with pytest.raises(TransientError):
        service.digest("webhook")
    receiver.faults = None
    deployment.clock.move(seconds=31)
    deployment.service().digest("webhook")

    first, *others = receiver.bodies
    assert receiver.kind == "pagerduty" or others == [first]
    assert others.count(first) == 1


def test_a_fault_is_told_as_new_and_as_over(deployment: Deployment, receiver: Chat) -> None:
    """Its log goes on without it; PagerDuty's incidents are resolved, the others name its start."""
    service = deployment.service()
    nic = Nic(mac="000D3A000001", ip="10.5.0.1", nsg="NSG-1")
    begun = deployment.clock.now
    log = deployment.nsg_log(nic)
    log.append(random_record(nic, begun, random.Random(1), tuples=4, denied_share=1).data)
    deliver(service, log)
    service.digest("webhook")
    told = len(receiver.messages)
    deployment.clock.move(minutes=29)
    service.digest("webhook")
    log.append(random_record(nic, deployment.clock.now, random.Random(2), denied_share=0).data)
    deliver(service, log)
    deployment.clock.move(minutes=2)
    service.digest("webhook")
    assert len(receiver.messages) == told, "its log went on for less than the half hour"
    following = deployment.nsg_log(nic, HOUR + timedelta(hours=1))
    deployment.clock.move(minutes=12)
    following.append(
        random_record(nic, deployment.clock.now, random.Random(3), denied_share=0).data
    )
    deliver(service, following)
    deployment.service().digest("webhook")
    assert len(receiver.messages) == told, "nobody knows yet that nothing is left of its last hour"
    deployment.service().sweep()
    deployment.clock.move(minutes=2)
    deployment.service().digest("webhook")

    assert not receiver.refusals
    if receiver.kind == "pagerduty":
        actions = {
            action: {m["dedup_key"] for m in receiver.messages if m["event_action"] == action}
            for action in ("trigger", "resolve")
        }
        assert actions["trigger"] == actions["resolve"] != set()
    else:
        (end,) = receiver.messages[told:]
        assert "nothing of it for 30 minutes while its logs went on" in text([end])
        assert f"began {begun:%Y-%m-%d}" in text([end])


def test_a_fault_is_over_when_its_flows_are_let_through(
    deployment: Deployment, receiver: Chat
) -> None:
    """The update that shows it costs no request more, and says when and by which rule."""
    nic = Nic(mac="000D3A000001", ip="10.5.0.1", nsg="NSG-1")
    log = deployment.nsg_log(nic)

    def write(rule: str, decision: str) -> None:
        now = deployment.clock.now
        flow = f"{now.timestamp() - 10:.0f},10.9.0.4,{nic.ip},50000,1433,T,I,{decision},B,,,,"
        lists = [{"rule": rule, "flows": [{"mac": nic.mac, "flowTuples": [flow]}]}]
        time, properties = f"{now:%Y-%m-%dT%H:%M:%S}Z", {"Version": 2, "flows": lists}
        log.append(json.dumps({"time": time, "properties": properties}).encode())
        deliver(deployment.service(), log)

    write("UserRule_DenySql", "D")
    deployment.service().digest("webhook")
    told = len(receiver.messages)
    deployment.clock.move(minutes=3)
    write("UserRule_AllowSql", "A")
    deployment.service().digest("webhook")
    assert len(receiver.messages) == told, "flows come late"
    deployment.clock.move(minutes=3)
    deployment.service().digest("webhook")

    (end,) = receiver.messages[told:]
    assert not receiver.refusals
    if receiver.kind == "pagerduty":
        assert end["event_action"] == "resolve"
    else:
        assert "the same flow is let through again since" in text([end])
        assert "UserRule_AllowSql" in text([end])


@pytest.mark.parametrize("swept", [True, False])
def test_an_app_that_catches_up_says_of_nothing_too_early_that_it_is_over(
    deployment: Deployment, slack: Chat, swept: bool
) -> None:
    """Its newest hour is read first, and says nothing of those between."""
    nic = Nic(mac="000D3A000001", ip="10.5.0.1", nsg="NSG-1")
    logs: dict[int, BlobWriter] = {}

    def write(hour: int, minute: int, denied: float) -> None:
        at = HOUR + timedelta(hours=hour, minutes=minute)
        logs.setdefault(hour, deployment.nsg_log(nic, HOUR + timedelta(hours=hour)))
        rng = random.Random(1)  # the same flows each time
        logs[hour].append(random_record(nic, at, rng, tuples=4, denied_share=denied).data)

    write(0, 29, 1)
    service = deployment.service()
    deliver(service, logs[0])
    service.digest("webhook")
    assert len(slack.messages) == 1
    if swept:
        service.sweep()
    write(0, 50, 1)
    write(1, 30, 1)
    write(3, 20, 0)
    deployment.clock.move(hours=2, minutes=55)
    service = deployment.service()
    deliver(service, logs[3])
    service.digest("webhook")
    assert len(slack.messages) == 1, "there may be anything between"

    service.sweep()
    for _ in range(4):
        deployment.clock.move(minutes=5)
        service.sweep()
    said = text(slack.messages)
    assert said.count("New: ") == len(slack.messages[0]["blocks"]) - 2
    if not swept:
        assert "Over: " not in said, "the very first sweep looks at no hour so old"
        return
    assert said.count("Over: ") == said.count("New: ")
    told = sum(int(at) for at in re.findall(r"([0-9]+) flows? in all", said.partition("Over:")[2]))
    assert told == deployment.denied(*logs.values()).total()


def test_a_silence_holds_and_says_what_it_held_back(deployment: Deployment, receiver: Chat) -> None:
    """For workers that ran before it was made, until it is ended; and then what it was."""
    host = storage.blob_service(from_env(deployment.environment).host_storage)
    state = DigestState(host.get_container_client("nsgflow-state"))
    service, writers = deployment.service(), interfaces(deployment, 2)
    service.digest("webhook")
    now = deployment.clock()
    silence = Silence("a1", "direction=in,out", now + 7200, now, "change 123")
    state.change(lambda read: replace(read, silences=(silence,)))
    deliver(service, *writers)
    for _ in range(3):
        service.digest("webhook")
        deployment.clock.move(minutes=1)
    assert not receiver.requests
    assert state.read()[0].silences == (silence,)
    state.change(lambda read: replace(read, silences=()))
    deployment.service().digest("webhook")

    assert not receiver.refusals
    if receiver.kind == "pagerduty":
        assert not receiver.requests, "what a silence held back is no page"
    else:
        denied = deployment.denied(*writers).total()
        assert f"{denied} denied flows held back by silences" in text(receiver.messages)
        assert "The silence of direction=in,out (change 123) is over" in text(receiver.messages)
        assert len(receiver.messages) == 1


def test_a_webhook_that_is_new_begins_with_what_people_told_the_others(
    deployment: Deployment,
) -> None:
    """A silence holds for it too, and marks are told."""
    host = storage.blob_service(from_env(deployment.environment).host_storage)
    container = host.get_container_client("nsgflow-state")
    assert DigestState(container, "webhook_2").read() == (State(), "")
    silence = Silence("a1", "nsg=x", 1e12, 0.0)
    mark = Mark(5.0, "deploy 4711")
    DigestState(container).write(State(completed=5.0, silences=(silence,), marks=(mark,)), "")
    assert DigestState(container, "webhook_2").read() == (
        State(silences=(silence,), marks=(mark,)),
        "",
    )
    assert [at.name for at in states(container, ["webhook_3"])] == [
        "digest/state.json",
        "digest/webhook_3.json",
    ]


def test_the_sweep_tells_too(deployment: Deployment, slack: Chat) -> None:
    """What it delivers is in a digest behind it, without waiting for the timer."""
    writers = interfaces(deployment, 2)
    deployment.service().sweep()

    (message,) = slack.messages
    assert f"{deployment.denied(*writers).total()} denied flows" in text([message])


def test_a_log_of_an_old_hour(deployment: Deployment, slack: Chat) -> None:
    """It is watched before it is delivered, and told."""
    old = deployment.nsg_log(Nic(), HOUR - timedelta(hours=6))
    service = deployment.service()
    service.digest("webhook")
    deployment.clock.move(minutes=5)
    old.append(*records(2))
    deliver(service, old)
    deployment.service().digest("webhook")
    assert len(slack.messages) == 1

    table = storage.table(from_env(deployment.environment).host_storage, "nsgflowcheckpoints")
    (watched,) = Ledgers(table).marks().watched
    assert watched.hour == HOUR - timedelta(hours=6)
    deployment.clock.move(hours=1)
    service.digest("webhook")
    assert not Ledgers(table).marks().watched


def test_a_mark_outlives_every_delivery_that_trusts_it(deployment: Deployment, slack: Chat) -> None:
    """However late in its time one begins, and as long as a sweep may run."""
    assert slack.url
    old = deployment.nsg_log(Nic(), HOUR - timedelta(hours=6))
    service = deployment.service()
    table = storage.table(from_env(deployment.environment).host_storage, "nsgflowcheckpoints")
    for text in records(9):
        old.append(text)
        deliver(service, old)
        (mark,) = Ledgers(table).marks().watched
        assert mark.until >= deployment.clock() + DEADLINE_SECONDS
        deployment.clock.move(seconds=317)


def test_a_mark_that_was_renewed_stays(deployment: Deployment) -> None:
    """The timer takes away only what it saw run out."""
    table = storage.table(from_env(deployment.environment).host_storage, "nsgflowledgers")
    ledgers = Ledgers(table)
    assert not list(ledgers.marks().watched)
    ledgers.watch(HOUR, 1.0)
    (seen,) = ledgers.marks().watched
    ledgers.watch(HOUR, 2.0)
    ledgers.unwatch(seen)

    (still,) = ledgers.marks().watched
    assert (still.hour, still.until) == (HOUR, 2.0)
    ledgers.unwatch(still)
    ledgers.unwatch(still)
    assert not list(ledgers.marks().watched)


def test_the_state_is_written_only_as_it_was_read(deployment: Deployment) -> None:
    """Also where there is none yet, and not even a container."""
    service = storage.blob_service(from_env(deployment.environment).host_storage)
    state = DigestState(service.get_container_client("nsgflow-state"))
    assert state.read() == (State(), "")
    etag = state.write(State(completed=1.0), "")
    with pytest.raises(StateChangedError):
        state.write(State(completed=2.0), "")
    newer = state.write(State(completed=3.0), etag)
    with pytest.raises(StateChangedError):
        state.write(State(completed=4.0), etag)
    assert state.read() == (State(completed=3.0), newer)
    service.get_container_client("nsgflow-state").delete_blob("digest/state.json")
    with pytest.raises(StateChangedError):
        state.write(State(completed=5.0), newer)


def test_cloudevents_leaves_no_trace_of_digests(deployment: Deployment) -> None:
    """Who does not use them has no ledger in the checkpoint and no state."""
    writers = interfaces(deployment, 1)
    service = deployment.service()
    deliver(service, *writers)
    service.sweep()
    table = storage.table(from_env(deployment.environment).host_storage, "nsgflowcheckpoints")

    assert deployment.webhook.alerts
    assert not [row for row in table.list_entities() if "Alerts" in row]


@pytest.mark.parametrize(
    ("seconds", "schedule"),
    [
        ("30", "*/30 * * * * *"),
        ("7", "*/6 * * * * *"),
        ("1", "*/1 * * * * *"),
        ("60", "0 * * * * *"),
    ],
)
def test_the_timer(
    deployment: Deployment,
    slack: Chat,
    monkeypatch: pytest.MonkeyPatch,
    seconds: str,
    schedule: str,
) -> None:
    """It is registered for digests, fires once an interval at least, and tells."""
    monkeypatch.setenv("NSGFLOW_WEBHOOK_INTERVAL_SECONDS", seconds)
    _, timers, _ = index_app(APP)
    assert {(at.name, at.schedule) for at in timers} == {
        ("sweep", "0 */5 * * * *"),
        ("digest", schedule),
    }
    (writer,) = interfaces(deployment, 1)
    with FunctionsHost(APP, ROOT / "host.json") as host:
        host.blob_created(NSG_CONTAINER, writer.path)
        host.drain()
        assert not host.fire_timer("digest").error

    assert len(slack.messages) == 1
