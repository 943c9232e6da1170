"""`nsgflow mark`, on the state of digests in a real blob store."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from azure.storage.blob import ContainerClient

from nsgflow_core.cli import marking
from nsgflow_core.digests.memory import Mark, State
from nsgflow_core.digests.state import DigestState
from tests.cli.conftest import Store

HOOK = {"NSGFLOW_WEBHOOK_URL": "https://hooks.example.com/s", "NSGFLOW_WEBHOOK_FORMAT": "slack"}


@pytest.fixture
def container(store: Store) -> Iterator[ContainerClient]:
    """A state container of its own."""
    made = store.service.get_container_client("marks")
    yield made
    if made.exists():
        made.delete_container()


def test_marks_are_kept_and_shown(store: Store, container: ContainerClient) -> None:
    """In the states of all webhooks for people, beside what is there; the newest first."""
    environ = store.environ(
        **HOOK,
        NSGFLOW_STATE_CONTAINER="marks",
        NSGFLOW_WEBHOOK_3_URL="https://hooks.example.com/t",
        NSGFLOW_WEBHOOK_3_FORMAT="teams",
        NSGFLOW_WEBHOOK_4_URL="https://hooks.example.com/events",
    )
    DigestState(container).write(State(completed=5.0), "")
    first = store.nsgflow("mark 'deploy 4711'", environ)
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr.startswith("nsgflow: marked at ")
    assert first.stderr.endswith("Z: deploy 4711\n")
    store.nsgflow("mark --at 2h 'an\x1b[31m older\none'", environ)
    shown = store.nsgflow("mark", environ)
    assert [line.partition("  ")[2] for line in shown.stdout.splitlines()] == [
        "deploy 4711",
        "an�[31m older one",
    ]
    states = [DigestState(container, name).read()[0] for name in ("webhook", "webhook_3")]
    assert states[0].completed == 5.0
    assert [[mark.text for mark in state.marks] for state in states] == [
        ["an\x1b[31m older one", "deploy 4711"]
    ] * 2
    assert {blob.name for blob in container.list_blobs()} == {
        "digest/state.json",
        "digest/webhook_3.json",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("x" * 201, "a mark has at most 200 characters; this has 201"),
        ("x --at 2999-01-01", "2999-01-01T00:00:00Z is still to come"),
        ("x --at 20d", "is longer ago than marks are kept (14 days)"),
        ("x --at soon", "'soon' is no time"),
        ("'' --at 5m", "say what was done, and not only when"),
    ],
)
def test_marks_that_cannot_be(
    store: Store, container: ContainerClient, arguments: str, said: str
) -> None:
    """Said in one line; nothing is written."""
    environ = store.environ(**HOOK, NSGFLOW_STATE_CONTAINER="marks")
    result = store.nsgflow(f"mark {arguments}", environ)
    assert result.returncode == 2
    assert said in result.stderr
    assert not container.exists()


def test_without_a_webhook_for_people(store: Store) -> None:
    """There is nobody to tell."""
    result = store.nsgflow("mark x", store.environ())
    assert result.returncode == 2
    assert "no webhook is for people" in result.stderr


def test_the_function_may_write_at_the_same_time(
    container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second reads again: neither is lost."""
    write = DigestState.write
    beside = DigestState(container)

    def raced(self: DigestState, state: State, etag: str) -> str:
        if not etag and self is not beside:
            monkeypatch.setattr(DigestState, "write", write)
            beside.write(State(completed=7.0, marks=(Mark(1e12, "theirs"),)), "")
        return write(self, state, etag)

    monkeypatch.setattr(DigestState, "write", raced)
    now = datetime.now(UTC)
    marking.add([DigestState(container)], "mine", now, now)
    state = beside.read()[0]
    assert state.completed == 7.0
    assert [mark.text for mark in state.marks] == ["mine", "theirs"]
    assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state
