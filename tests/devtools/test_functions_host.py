"""The small Functions host delivers as the real one does."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.azurite import ACCOUNT, ACCOUNT_KEY
from devtools.functions_host import FunctionsHost
from devtools.host_index import IndexingError
from devtools.host_queue import WorkQueue
from devtools.http_server import Fault, Response, Server, serve

APP = """
import threading
import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp()
seen = []
together = threading.Barrier(2)

@app.function_name("good")
@app.blob_trigger(arg_name="client", path="good/{name}", connection="FlowLogs",
                  source=func.BlobSource.EVENT_GRID)
def good(client: blob.BlobClient) -> None:
    together.wait(10)
    seen.append((client.container_name, client.blob_name))

@app.function_name("bad")
@app.blob_trigger(arg_name="client", path="bad/{name}", connection="FlowLogs",
                  source=func.BlobSource.EVENT_GRID)
def bad(client: blob.BlobClient) -> None:
    raise ValueError(client.blob_name)

running = threading.Semaphore(0)
go = threading.Event()

@app.function_name("long")
@app.blob_trigger(arg_name="client", path="long/{name}", connection="FlowLogs",
                  source=func.BlobSource.EVENT_GRID)
def long(client: blob.BlobClient) -> None:
    if client.blob_name.startswith("slow"):
        running.release()
        go.wait(20)
    seen.append((client.container_name, client.blob_name))

@app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=False)
def sweep(timer: func.TimerRequest) -> None:
    if timer.past_due:
        raise ValueError("late")
"""


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting that the app's connection names."""
    monkeypatch.setenv(
        "FlowLogs",
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint=http://127.0.0.1:1/{ACCOUNT};",
    )


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A function_app.py of two blob functions and a timer."""
    (tmp_path / "host.json").write_text(
        json.dumps({"extensions": {"blobs": {"maxDegreeOfParallelism": 4}}})
    )
    path = tmp_path / "function_app.py"
    path.write_text(APP)
    return path


def test_events_run_side_by_side_with_their_own_client(app: Path) -> None:
    """N of host.json run at once, each with the client of its blob (two must meet to pass)."""
    with FunctionsHost(app, app.parent / "host.json") as host:
        host.blob_created("good", "a/b=1/PT1H.json")
        host.blob_created("good", "c")
        host.drain(20)
    assert (host.parallelism, host.fetch, host.threshold) == (4, 3, 1)
    assert [(run.attempt, run.error) for run in host.invocations] == [(1, ""), (1, "")]
    assert {run.name for run in host.invocations} == {"a/b=1/PT1H.json", "c"}


def test_a_failing_event_is_delivered_five_times_then_poison(app: Path) -> None:
    """A raising function gets its event again at once, five times in all; then it is given up."""
    with FunctionsHost(app, app.parent / "host.json") as host:
        host.blob_created("bad", "x")
        host.drain(20)
    assert [run.attempt for run in host.failures] == [1, 2, 3, 4, 5]
    assert [(message.name, message.attempt) for message in host.poison] == [("x", 5)]
    assert host.failures[0].error == "ValueError: x"


def test_timers_fire_on_request(app: Path) -> None:
    """A timer runs when asked, is told whether it is late, and is not redelivered."""
    with FunctionsHost(app) as host:
        assert host.fire_timer("sweep").error == ""
        assert host.fire_timer("sweep", past_due=True).error == "ValueError: late"
        assert (len(host.invocations), host.poison) == (2, [])
        with pytest.raises(LookupError):
            host.blob_created("elsewhere", "x")


def test_a_blob_parameter_without_sdk_type_is_refused(tmp_path: Path) -> None:
    """Anything but an SDK type would make the host load the whole blob."""
    path = tmp_path / "function_app.py"
    path.write_text(APP.replace("client: blob.BlobClient", "client: func.InputStream"))
    with pytest.raises(IndexingError, match="good: client"):
        FunctionsHost(path)


def test_it_serves_orders_as_a_process(app: Path) -> None:
    """Orders go in and finished runs come out as JSON lines; it ends with its input."""
    orders = [
        {"blob": {"container": "bad", "name": "x", "connection": "FlowLogs"}},
        {"drain": True},
        {"timer": "sweep"},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "devtools.functions_host", "--app", str(app)],
        input="".join(json.dumps(order) + "\n" for order in orders),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0] == {"ready": ["good", "bad", "long", "sweep"]}
    assert [next(iter(line)) for line in said[1:]] == [*["invocation"] * 5, "drained", "invocation"]
    assert said[-1]["invocation"]["function"] == "sweep"


def sixteen(app: Path) -> Path:
    """The host.json of the product's parallelism."""
    path = app.parent / "sixteen.json"
    path.write_text(json.dumps({"extensions": {"blobs": {"maxDegreeOfParallelism": 16}}}))
    return path


@pytest.mark.parametrize(("slow", "others_run"), [(7, True), (8, False)])
def test_eight_long_runs_stop_the_intake(app: Path, slow: int, *, others_run: bool) -> None:
    """Nine are fetched once at most seven run: with eight long ones, nothing more begins."""
    with FunctionsHost(app, sixteen(app)) as host:
        for number in range(slow):
            host.blob_created("long", f"slow{number}")
        for _ in range(slow):
            assert host.app.running.acquire(timeout=10)
        for number in range(20):
            host.blob_created("long", f"fast{number}")
        time.sleep(0.5)
        assert (len(host.app.seen) == 20, bool(host.app.seen)) == (others_run, others_run)
        host.app.go.set()
        host.drain(20)
    assert len(host.app.seen) == 20 + slow


def test_functions_are_chosen_by_name_alone(app: Path) -> None:
    """Any container's blob runs; a name in other case, or of nobody, vanishes."""
    with FunctionsHost(app) as host:
        host.post("long", "elsewhere", "x")
        host.post("Long", "long", "x")
        host.post("nobody", "long", "x")
        host.drain(20)
    assert (host.app.seen, host.vanished, host.poison) == ([("elsewhere", "x")], 2, [])


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A storage account that answers every look with the status of its `faults`, or 200."""
    with serve(lambda _: Response(200)) as server:
        monkeypatch.setenv(
            "FlowLogs",
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={server.url}/{ACCOUNT};",
        )
        yield server


def test_the_host_looks_three_times_and_drops_what_is_gone(app: Path, account: Server) -> None:
    """Three requests a run; 404 drops the event without one."""
    with FunctionsHost(app, look=True) as host:
        host.post("long", "long", "x")
        host.drain(20)
        assert (account.requests, len(host.invocations)) == (3, 1)
        account.faults = lambda _: Fault(status=404)
        host.post("long", "long", "x")
        host.drain(20)
    assert (host.dropped, len(host.invocations)) == (1, 1)


@pytest.mark.parametrize("status", [403, 400])
def test_a_look_that_is_refused_ends_the_host(app: Path, account: Server, status: int) -> None:
    """No run, no release: another instance gets the message when its time is over."""
    queue = WorkQueue(hidden_seconds=1.0)
    account.faults = lambda _: Fault(status=status)
    with FunctionsHost(app, look=True, queue=queue) as host:
        host.post("long", "long", "x")
        with pytest.raises(TimeoutError, match="Host is shutting down"):
            host.drain(0.6)
    account.faults = None
    with FunctionsHost(app, look=True, queue=queue) as other:
        assert queue.wait_empty(0.1) == 1
        other.drain(20)
    assert [(run.name, run.attempt) for run in other.invocations] == [("x", 2)]


def test_five_deliveries_are_all_whoever_dies_over_them(app: Path, account: Server) -> None:
    """An event that five hosts could not even look at is poison, and never ran."""
    queue = WorkQueue(hidden_seconds=0.05)
    account.faults = lambda _: Fault(status=403)
    for number in range(6):
        with FunctionsHost(app, look=True, queue=queue) as host:
            if number == 0:
                host.post("long", "long", "x")
            with contextlib.suppress(TimeoutError):
                host.drain(0.3)
    assert [(message.name, message.attempt) for message in queue.poison] == [("x", 5)]
    assert account.requests == 5


def test_two_instances_share_the_events(app: Path) -> None:
    """Each event runs once, on either."""
    queue = WorkQueue()
    with FunctionsHost(app, queue=queue) as one, FunctionsHost(app, queue=queue) as two:
        for number in range(40):
            (one, two)[number % 2].post("long", "long", f"{number}")
        one.drain(20)
    assert sorted([*one.app.seen, *two.app.seen]) == sorted(
        ("long", f"{number}") for number in range(40)
    )
    assert one.app.seen
    assert two.app.seen


def test_a_run_past_the_function_timeout_has_failed(app: Path) -> None:
    """It is delivered again."""
    path = app.parent / "hurry.json"
    path.write_text(json.dumps({"functionTimeout": "00:00:00.2"}))
    with FunctionsHost(app, path) as host:
        host.post("long", "long", "slow")
        assert host.app.running.acquire(timeout=10)
        time.sleep(0.4)
        host.app.go.set()
        host.drain(20)
    assert [run.error.partition(":")[0] for run in host.invocations] == [
        "FunctionTimeoutException",
        "",
    ]
