"""The small Functions host delivers as the real one does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.azurite import ACCOUNT, ACCOUNT_KEY
from devtools.functions_host import FunctionsHost, IndexingError

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
        json.dumps({"extensions": {"blobs": {"maxDegreeOfParallelism": 2}}})
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
    assert host.parallelism == 2
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
    assert said[0] == {"ready": ["good", "bad", "sweep"]}
    assert [next(iter(line)) for line in said[1:]] == [*["invocation"] * 5, "drained", "invocation"]
    assert said[-1]["invocation"]["function"] == "sweep"
