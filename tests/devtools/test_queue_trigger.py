"""The small host listens to a queue as the real one does."""

import base64
import time
from collections.abc import Callable, Iterator

import pytest
from azure.storage.queue import QueueClient

from devtools.azurite import Azurite
from devtools.queue_trigger import QueueFunction, QueueOptions, QueueTrigger, wait_empty

QUICK = QueueOptions(0.1, 0, 2, 1, 3, encoded=False)


class App:
    """A function that fails as often as it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self.failures = 0

    def run(self, attempt: int, call: Callable[[], object]) -> str:
        """As the host runs it."""
        call()
        self.seen = [*self.seen[:-1], (attempt, self.seen[-1][1])]
        if self.failures:
            self.failures -= 1
            return "failed"
        return ""

    def function(self, queue: str) -> QueueFunction:
        """The function over a queue."""

        def call(message: object) -> None:
            self.seen.append((0, message.get_body()))  # type: ignore[attr-defined]  # a QueueMessage

        return QueueFunction("events", queue, "AzureWebJobsStorage", "message", call)


@pytest.fixture
def queue(storage: Azurite, request: pytest.FixtureRequest) -> Iterator[QueueClient]:
    """A queue of its own for each test."""
    name = request.node.name.replace("_", "-")[:40].strip("-")
    with QueueClient.from_connection_string(storage.connection_string, name) as client:
        client.create_queue()
        yield client


def follow(storage: Azurite, queue: QueueClient, app: App, options: QueueOptions) -> QueueTrigger:
    """Work the queue off."""
    trigger = QueueTrigger(
        app.function(queue.queue_name), options, storage.connection_string, app.run
    )
    with trigger:
        assert wait_empty([trigger], 20) == 0
    return trigger


def test_it_hands_over_the_text(storage: Azurite, queue: QueueClient) -> None:
    """Each message once, and nothing is left."""
    for number in range(5):
        queue.send_message(f"message {number}")
    app = App()
    follow(storage, queue, app, QUICK)

    assert sorted(app.seen) == [(1, f"message {number}".encode()) for number in range(5)]


def test_a_failure_comes_again_after_its_time(storage: Azurite, queue: QueueClient) -> None:
    """Up to the most deliveries, and then it is poison."""
    queue.send_message("x")
    app = App()
    app.failures = 1
    begun = time.monotonic()
    trigger = follow(storage, queue, app, QueueOptions(0.1, 1, 2, 1, 3, encoded=False))
    assert [attempt for attempt, _ in app.seen] == [1, 2]
    assert time.monotonic() - begun > 1
    assert trigger.given_up == []

    queue.send_message("y")
    app.failures = 3
    trigger = follow(storage, queue, app, QUICK)
    assert trigger.given_up == ["y"]
    poison = QueueClient.from_connection_string(
        storage.connection_string, f"{queue.queue_name}-poison"
    )
    with poison:
        assert [message.content for message in poison.receive_messages()] == ["y"]


def test_what_is_no_base64_is_poison_without_a_run(storage: Azurite, queue: QueueClient) -> None:
    """Unless host.json says that messages are not encoded."""
    queue.send_message("no base64!")
    queue.send_message(base64.b64encode(b"yes").decode())
    app = App()
    trigger = follow(storage, queue, app, QueueOptions(0.1, 0, 2, 1, 3))

    assert app.seen == [(1, b"yes")]
    assert trigger.given_up == ["no base64!"]


def test_the_options_of_host_json() -> None:
    """Times are spans, and the threshold follows the batch."""
    assert QueueOptions.of({}) == QueueOptions(60.0, 0, 16, 8, 5)
    assert QueueOptions.of(
        {"maxPollingInterval": "00:00:02", "visibilityTimeout": "00:00:30", "batchSize": 4}
    ) == QueueOptions(2.0, 30, 4, 2, 5)
