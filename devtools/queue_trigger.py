"""A queue trigger as the Functions host listens to one.

What it imitates, of the host's queue extension (WebJobs Storage.Queues 5.3):
- Get Messages of `batchSize` whenever at most `newBatchThreshold` run, each hidden for 10 minutes;
- an empty queue is asked less and less often, from 100 ms up to `maxPollingInterval`;
- a run that raises makes its message visible again after `visibilityTimeout`, and the last of
  `maxDequeueCount` deliveries moves it to the queue `<name>-poison`;
- with `messageEncoding` base64, the default, a text that is none goes there without a run.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue
"""

import base64
import binascii
import contextlib
import dataclasses
import functools
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter
from azure.storage.queue import QueueClient, QueueMessage

_HIDDEN_SECONDS = 600
_FIRST_WAIT = 0.1
_JITTER = 0.2


@dataclasses.dataclass(frozen=True)
class QueueFunction:
    """A function with a queue trigger.

    Attributes:
        queue: name of the queue.
        connection: name of the setting, or prefix of the settings, of its storage account.
        parameter: name of the parameter that takes the message.
    """

    name: str
    queue: str
    connection: str
    parameter: str
    call: Callable[..., object]


@dataclasses.dataclass(frozen=True)
class QueueOptions:
    """`extensions.queues` of host.json, with the host's defaults; times in seconds."""

    max_polling_interval: float = 60.0
    visibility_timeout: int = 0
    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    encoded: bool = True

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Those of a section of host.json."""
        batch = int(section.get("batchSize", 16))
        return cls(
            _seconds(section.get("maxPollingInterval", "00:01:00")),
            round(_seconds(section.get("visibilityTimeout", "00:00:00"))),
            batch,
            int(section.get("newBatchThreshold", batch // 2)),
            int(section.get("maxDequeueCount", 5)),
            section.get("messageEncoding", "base64").lower() == "base64",
        )


def _seconds(span: str) -> float:
    hours, minutes, seconds = span.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


class QueueTrigger:
    """Listens to the queue of one function; a context manager that begins and ends it.

    Attributes:
        name: of the function.
        queue: client of the queue.
        given_up: texts of the messages that went to the poison queue.
    """

    def __init__(
        self,
        function: QueueFunction,
        options: QueueOptions,
        connection_string: str,
        run: Callable[[int, Callable[[], object]], str],
    ) -> None:
        """Listen with `run`: given the number of the delivery and the call, it says what failed."""
        self.name = function.name
        self._function = function
        self._options = options
        self._run = run
        client = functools.partial(QueueClient.from_connection_string, connection_string)
        self.queue: QueueClient = client(function.queue)
        self._poison: QueueClient = client(f"{function.queue}-poison")
        self.given_up: list[str] = []
        self._wake = threading.Condition()
        self._running = 0
        self._stopped = False
        self._listener = threading.Thread(target=self._listen, name=f"queue-{function.name}")
        self._pool = ThreadPoolExecutor(options.batch_size + options.new_batch_threshold)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What runs is waited for; what waits stays in the queue.
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        self._listener.join()
        self._pool.shutdown()
        self.queue.close()
        self._poison.close()

    def left(self) -> int:
        """How many messages the queue holds, those that are hidden or run included."""
        try:
            return int(self.queue.get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return 0

    def _listen(self) -> None:
        wait = _FIRST_WAIT
        while True:
            with self._wake:
                self._wake.wait_for(
                    lambda: self._stopped or self._running <= self._options.new_batch_threshold
                )
                if self._stopped:
                    return
            messages = self._fetch()
            with self._wake:
                self._running += len(messages)
            for message in messages:
                self._pool.submit(self._work, message)
            wait = _FIRST_WAIT if messages else min(2 * wait, self._options.max_polling_interval)
            if not messages:
                jitter = random.uniform(1 - _JITTER, 1)
                with self._wake:
                    self._wake.wait_for(lambda: self._stopped, wait * jitter)

    def _fetch(self) -> list[QueueMessage]:
        most = self._options.batch_size
        pages = self.queue.receive_messages(
            messages_per_page=most, max_messages=most, visibility_timeout=_HIDDEN_SECONDS
        ).by_page()
        try:
            return list(next(pages, ()))
        except AzureError:  # no such queue yet, or out of reach: asked again as if it were empty
            return []

    def _work(self, message: QueueMessage) -> None:
        try:
            self._deliver(message)
        finally:
            with self._wake:
                self._running -= 1
                self._wake.notify_all()

    def _deliver(self, message: QueueMessage) -> None:
        text = message.content
        attempt = int(message.dequeue_count or 1)
        if self._options.encoded:
            try:
                text = base64.b64decode(text, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                self._give_up(message)
                return
        metadata = {"Id": Datum(f'"{message.id}"', "json"), "DequeueCount": Datum(attempt, "int")}
        converted = QueueMessageInConverter.decode(Datum(text, "string"), trigger_metadata=metadata)
        call = functools.partial(self._function.call, **{self._function.parameter: converted})
        if not self._run(attempt, call):
            self.queue.delete_message(message)
        elif attempt >= self._options.max_dequeue_count:
            self._give_up(message)
        else:
            self.queue.update_message(message, visibility_timeout=self._options.visibility_timeout)

    def _give_up(self, message: QueueMessage) -> None:
        with contextlib.suppress(ResourceExistsError):
            self._poison.create_queue()
        self._poison.send_message(message.content)
        self.queue.delete_message(message)
        self.given_up.append(message.content)


def wait_empty(triggers: list[QueueTrigger], timeout: float) -> int:
    """Wait until the queues are empty; how many messages are left after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (left := sum(trigger.left() for trigger in triggers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
