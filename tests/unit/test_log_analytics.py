"""The table's sink: bodies under the limit, rows complete, answers understood."""

import gzip
import json
import time
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.rest import HttpRequest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nsgflow_core.config import LogsSettings
from nsgflow_core.errors import DataRefusedError, RefusedError, TransientError
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.columns import Columns, of_blob
from nsgflow_core.model import BlobRef, Flow, Group, Position, Record
from nsgflow_core.sinks import log_analytics, rows
from nsgflow_core.sinks.log_analytics import Bodies, LogAnalyticsSink
from nsgflow_core.sinks.patience import Patience
from tests.made import Outcome, made

REF = BlobRef("acct", "container", "path/PT1H.json")
LIMIT = 1_000_000
END = Position(1_000_000)


class Credential:
    """A credential that is never asked."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """No token."""
        raise AssertionError(scopes, options)


def flow(ordinal: int, rule: str = "r", offset: int = 12) -> Flow:
    """A denied flow of a rule."""
    group = Group(Record(offset, offset + 1, "2018-11-13T12:00:35Z", 2, "/n"), "/n", "n", rule, "")
    outcome = Outcome(443, "TCP", True, True, "B", "", None, None, None, None)  # noqa: FBT003
    text = "1542110402,10.0.0.1,10.0.0.2,5,443,T,I,D,B,,,,"
    return made(group, ordinal, text, 1542110402000, "10.0.0.1", "10.0.0.2", 5, outcome)


def in_parts(flows: list[Flow], size: int = 3) -> list[Columns]:
    """Flows as they come from a reader, so many in one."""
    return [of_blob(REF, flows[at : at + size]) for at in range(0, len(flows), size)]


def batches_of(parts: list[Columns]) -> list[Any]:
    """Their batches."""
    bodies = Bodies(rows.lines_of())
    for part in parts:
        bodies.add(part)
    return list(bodies.batches())


class Answer:
    """What the service answers."""

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code = status
        self.reason = "reason"
        self.headers = headers


class Sink:
    """A sink whose client is ours: it keeps bodies, and answers or raises what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Answer | Exception) -> None:
        self.bodies: list[bytes] = []
        self.requests: set[tuple[str, str, str]] = set()
        self.answers = list(answers)
        made = LogsSettings(
            "https://dce.ingest.monitor.azure.com/", "dcr-1", "Custom-X_CL", compile_terms("")
        )
        self.sink = LogAnalyticsSink(made, Credential())
        monkeypatch.setattr(self.sink._client, "send_request", self.send_request)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def send_request(self, request: HttpRequest, **options: Any) -> Answer:
        """Take a request as the client does."""
        answer = self.answers.pop(0) if self.answers else Answer(204)
        if isinstance(answer, Exception):
            raise answer
        if answer.status_code == 204:
            self.requests.add((request.method, request.url, request.headers["Content-Encoding"]))
            self.bodies.append(request.content)
        return answer

    def deliver(self, *flows: Flow, seconds: float = 60) -> Any:
        """Deliver the flows."""
        wanted = [of_blob(REF, [one]) for one in flows]
        gathered = self.sink.gather()
        for part in wanted:
            gathered.add(part)
        return self.sink.deliver(REF, gathered, Position(0), END, Patience(seconds, seconds))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows accepted."""
        return [row for body in self.bodies for row in json.loads(gzip.decompress(body))]


@given(st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 3)), min_size=0, max_size=12))
@settings(deadline=None, max_examples=60)
def test_batches_stay_under_the_limit(made: list[tuple[int, int]]) -> None:
    """No body is over 1,000,000 bytes unpacked, and together they are the rows, in order."""
    flows = [
        flow(ordinal, "\u00e4" * (length // 2), offset)
        for offset, (length, count) in enumerate(made)
        for ordinal in range(count)
    ]
    batches = batches_of(in_parts(flows))
    bodies = [b"[%b]" % b",".join(item.payload for item in batch) for batch in batches]

    encode = rows.encoder(REF)
    assert [item.payload for batch in batches for item in batch] == [encode(f) for f in flows]
    assert all(len(body) <= LIMIT for body in bodies)
    assert all(batches)
    assert [gzip.decompress(log_analytics._gzip(batch)) for batch in batches] == bodies


def test_batches_are_filled() -> None:
    """A batch ends only where the next row would not fit any more."""
    batches = batches_of(in_parts([flow(number) for number in range(5000)], 512))
    sizes = [sum(len(item.payload) + 1 for item in batch) + 1 for batch in batches]

    assert len(batches) > 2
    assert all(LIMIT - 2000 < size <= LIMIT for size in sizes[:-1])


def test_batch_of_exactly_the_limit() -> None:
    """Separators and brackets are counted: one byte over the limit is another batch."""
    size = len(rows.encoder(REF)(flow(0, "")))
    most = [flow(number, "r" * 62_000) for number in range(15)]
    pad = LIMIT - 2 - len(most) * (size + 62_001) - size

    exact = batches_of(in_parts([*most, flow(15, "r" * pad)]))
    over = batches_of(in_parts([*most, flow(15, "r" * (pad + 1))]))
    assert len(exact) == 1
    assert len(b",".join(item.payload for item in exact[0])) + 2 == LIMIT
    assert len(over) == 2


def test_items_know_their_place() -> None:
    """Each row is one flow and ends behind its tuple."""
    ((first, second),) = batches_of(in_parts([flow(3), flow(9, offset=500)]))

    assert (first.after, first.flows) == (Position(12, 4), 1)
    assert (second.after, second.flows) == (Position(500, 10), 1)


def test_rows_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows go gzipped, as a JSON array, to the rule and stream of the settings."""
    sink = Sink(monkeypatch)
    done = sink.deliver(*[flow(number) for number in range(3000)])

    assert (done.reached, done.accepted, done.error) == (END, 3000, None)
    assert [row["FlowId"] for row in sink.rows] == [
        rows.flow_id(REF, flow(number)) for number in range(3000)
    ]
    path = "dataCollectionRules/dcr-1/streams/Custom-X_CL?api-version=2023-01-01"
    assert sink.requests == {("POST", f"https://dce.ingest.monitor.azure.com/{path}", "gzip")}
    assert len(sink.bodies) > 1


def test_no_flows_make_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing wanted, nothing sent."""
    sink = Sink(monkeypatch)

    assert (sink.deliver().reached, sink.bodies) == (END, [])


def test_a_fault_of_ours_is_the_tables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be made a row is told by the delivery: while reading, other sinks have it too."""
    sink = Sink(monkeypatch)
    monkeypatch.setattr(rows, "times_of", lambda _: 1 / 0)
    gathered = sink.sink.gather()
    gathered.add(of_blob(REF, [flow(0)]))
    gathered.add(of_blob(REF, [flow(1)]))

    assert gathered.total == 2
    with pytest.raises(ZeroDivisionError):
        sink.sink.deliver(REF, gathered, Position(0), END, Patience(60, 60))


def test_row_over_the_limit_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that no call may carry is refused without asking, and its neighbours go."""
    sink = Sink(monkeypatch)
    # No field is over its own limit; escaped, they are six times as long.
    text = "\x01" * rows.MAX_FIELD
    large = replace(flow(1, text, 13), group=replace(flow(1, text, 13).group, acl_name=text))
    large = replace(large, group=replace(large.group, acl_group=text))
    done = sink.deliver(flow(0), large, flow(2, offset=14))

    assert (done.reached, done.accepted, done.error) == (END, 2, None)
    assert [one.item.after for one in done.refused] == [Position(13, 2)]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient_answers_are_tried_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Busy answers, without Retry-After too, are tried again, and the body is whole again."""
    sink = Sink(monkeypatch, Answer(status), Answer(status))
    done = sink.deliver(flow(0), flow(1))

    assert (done.accepted, done.error, len(sink.rows)) == (2, None, 2)


@pytest.mark.parametrize(
    "error", [ServiceRequestError("reset"), ServiceResponseError("cut"), HttpResponseError("cut")]
)
def test_lost_connections_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A connection that broke is transient."""
    done = Sink(monkeypatch, error).deliver(flow(0))

    assert (done.accepted, done.error) == (1, None)


def test_retry_after_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait longer than the delivery has is handed on, not slept."""
    sink = Sink(monkeypatch, Answer(429, **{"Retry-After": "60"}))
    done = sink.deliver(flow(0), seconds=10)

    assert isinstance(done.error, TransientError)
    assert (done.error.retry_after, done.reached) == (60, Position(0))


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_refusals_move_nothing(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Credentials and configuration at fault: an error, and the place stays."""
    done = Sink(monkeypatch, Answer(status)).deliver(flow(0))

    assert type(done.error) is RefusedError
    assert (done.reached, done.accepted) == (Position(0), 0)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_data_is_halved(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A batch refused for its content is sent again in halves."""
    sink = Sink(monkeypatch, Answer(status))
    done = sink.deliver(flow(0), flow(1), flow(2), flow(3))

    assert (done.accepted, done.error) == (4, None)
    assert [len(json.loads(gzip.decompress(body))) for body in sink.bodies] == [2, 2]
    encode = rows.encoder(REF)
    assert sink.rows == [json.loads(encode(flow(number))) for number in range(4)]


@pytest.mark.parametrize("answered", [False, True])
def test_no_token_is_a_refusal(answered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no token can be had someone must act; nothing moves, whatever its service answers."""
    answer: Any = Answer(400)
    error = ClientAuthenticationError("no identity", response=answer if answered else None)
    done = Sink(monkeypatch, error).deliver(flow(0))

    assert isinstance(done.error, RefusedError)
    assert not isinstance(done.error, DataRefusedError)
    assert done.reached == Position(0)


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [
        ("https://d.westeurope-1.ingest.monitor.azure.com", "https://monitor.azure.com/.default"),
        ("https://d.usgovvirginia-1.ingest.monitor.azure.us", "https://monitor.azure.us/.default"),
        ("https://d.usgovvirginia-1.ingest.monitor.azure.us/", "https://monitor.azure.us/.default"),
        ("https://D.CHINANORTH3-1.INGEST.MONITOR.AZURE.CN", "https://monitor.azure.cn/.default"),
        ("https://localhost:8443", "https://monitor.azure.com/.default"),
        ("https://azure.us.example", "https://monitor.azure.com/.default"),
    ],
)
def test_scope_is_of_the_endpoints_cloud(endpoint: str, scope: str) -> None:
    """Tokens are asked for in the cloud that the endpoint is in."""
    assert log_analytics.token_scope(endpoint) == scope
