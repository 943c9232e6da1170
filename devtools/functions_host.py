"""A small Functions host: it treats function_app.py as the real one does.

What it imitates is measured of the real host's blob extension (WebJobs Storage.Blobs 5.3.10):
- events wait in a queue (`host_queue`): delivered up to five times and then given up, at once
  again after a failure, and after ten minutes where the host died over them;
- with `maxDegreeOfParallelism` N it fetches N / 2 + 1 messages (32 at most) once no more than the
  rest of N run: with 16 it fetches 9 when at most 7 run, so eight long runs stop the intake;
- a function is chosen by its name alone: any container's blobs run, and an event for a name that
  no function has vanishes without a word;
- before a run it looks at the blob three times (`look`): one that is gone is dropped; a look that
  is refused or fails ends the host, and the message stays hidden;
- a run that takes longer than `functionTimeout` has failed;
- nothing serialises two events of one blob, and every run sees the newest content.
A function with a queue trigger gets its messages from a real queue (`queue_trigger`).

As a process of its own (`python -m devtools.functions_host --app function_app.py`) it reads JSON
lines: {"blob": {"container": …, "name": …, "connection": …}}, {"timer": "sweep"}, {"drain": true};
and writes JSON lines: {"ready": [function names]} first, {"invocation": {…}} whenever one ends,
{"drained": true}. It ends when its input does.
"""

import argparse
import dataclasses
import functools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from azure.core.exceptions import AzureError
from azure.functions.timer import TimerRequest
from azure.storage.blob import BlobClient

from devtools.events import event_of, send
from devtools.host_index import client_of, functions_of, import_app
from devtools.host_queue import Message, WorkQueue
from devtools.queue_trigger import QueueOptions, QueueTrigger, wait_empty

DEFAULT_POISON_THRESHOLD = 5
_LARGEST_FETCH = 32
_LOOKS = 3
_POLL_SECONDS = 2.0
"""How soon an instance sees what another has queued; the real host takes 2 to 60 s."""


@dataclasses.dataclass(frozen=True)
class Invocation:
    """One finished run of a function.

    Attributes:
        container: of the blob; empty for a timer, as is name.
        attempt: which delivery of its event it was, from 1.
        seconds: how long it ran.
        error: what it raised, with its type; empty when it did not.
        ended: time.monotonic() of its end.
    """

    function: str
    container: str
    name: str
    attempt: int
    seconds: float
    error: str
    ended: float


class FunctionsHost:
    """The host; a context manager that starts its threads and waits for what runs at its end.

    Attributes:
        app: the imported function_app.py.
        blob_functions: as indexed; also timer_functions.
        queue_triggers: the listeners of functions with a queue trigger.
        parallelism: how many blob functions run side by side, at most.
        fetch: how many messages it fetches once at most `threshold` run.
        poison_threshold: deliveries of an event before it is given up.
        timeout: seconds after which a run has failed.
        invocations: every finished run in order of its end.
        failures: those of them that raised.
        dropped: events whose blob was gone; only counted when it looks.
        vanished: events for functions that it does not have.
        ended: why the host has ended by itself; empty while it has not.
    """

    def __init__(
        self,
        app_path: Path,
        host_json: Path | None = None,
        *,
        look: bool = False,
        queue: WorkQueue | None = None,
        retry_seconds: float = 0.0,
        on_invocation: Callable[[Invocation], None] | None = None,
    ) -> None:
        """Index the app.

        Args:
            app_path: function_app.py; it reads its settings from the environment when imported.
            host_json: for `extensions.blobs` and `queues`; without it, or where it says nothing,
                the real host's defaults hold.
            look: look at each blob first, as the real host does at the cost of three requests.
            queue: shared with other instances of the app; its own where none is given.
            retry_seconds: before a failed event is delivered again; the real host takes 0.1 to
                0.65 s.
            on_invocation: called with every finished run.
        """
        settings = json.loads(host_json.read_text()) if host_json is not None else {}
        blobs = settings.get("extensions", {}).get("blobs", {})
        self.parallelism = int(blobs.get("maxDegreeOfParallelism", 8 * (os.cpu_count() or 1)))
        self.fetch = min(self.parallelism // 2 + 1, _LARGEST_FETCH)
        self.threshold = self.parallelism - self.fetch
        self.poison_threshold = int(blobs.get("poisonBlobThreshold", DEFAULT_POISON_THRESHOLD))
        hours, minutes, seconds = settings.get("functionTimeout", "00:30:00").split(":")
        self.timeout = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        self.app = import_app(app_path)
        self.blob_functions, self.timer_functions, queues = functions_of(self.app, app_path)
        options = QueueOptions.of(settings.get("extensions", {}).get("queues", {}))
        self.queue_triggers = [
            QueueTrigger(
                function,
                options,
                os.environ[function.connection],
                functools.partial(self._run_message, function.name),
            )
            for function in queues
        ]
        self.invocations: list[Invocation] = []
        self.failures: list[Invocation] = []
        self.dropped = 0
        self.vanished = 0
        self.ended = ""
        self._look = look
        self._retry_seconds = retry_seconds
        self._on_invocation = on_invocation
        self._functions = {function.name: function for function in self.blob_functions}
        self._queue = queue or WorkQueue()
        self._wake = threading.Condition()
        self._running = 0
        self._posted = False
        self._stopped = False
        self._listener = threading.Thread(target=self._listen, name="functions-listener")
        self._pool = ThreadPoolExecutor(self.parallelism, thread_name_prefix="functions")

    @property
    def poison(self) -> list[Message]:
        """Events given up, as last delivered."""
        return self._queue.poison

    def __enter__(self) -> Self:
        self._listener.start()
        for trigger in self.queue_triggers:
            trigger.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What still waits stays in the queue, as a host that is stopped leaves it.
        self._end("")
        for trigger in self.queue_triggers:
            trigger.__exit__(kind, error, traceback)
        self._listener.join()
        self._pool.shutdown()

    def blob_created(self, container: str, name: str, connection: str | None = None) -> None:
        """Queue the event of a written blob, as the subscription of its container would.

        With a queue trigger it is a message of Event Grid, in the queue of the first such function.

        Args:
            container: of the blob; with `connection` it tells the function.
            name: of the blob.
            connection: needed when several connections have a function for the container.

        Raises:
            LookupError: no function, or more than one, takes it.
        """
        if self.queue_triggers:
            self._announce(container, name, connection or "FlowLogs")
            return
        takers = [
            function
            for function in self.blob_functions
            if function.container == container and connection in {None, function.connection}
        ]
        if len(takers) != 1:
            raise LookupError(f"{len(takers)} functions take {container} of {connection}")
        self.post(takers[0].name, container, name)

    def post(self, function: str, container: str, name: str) -> None:
        """Queue an event as the webhook does: by the name of the function and nothing else."""
        self._queue.put(Message(function, container, name, 0))
        with self._wake:
            self._posted = True
            self._wake.notify_all()

    def _announce(self, container: str, name: str, connection: str) -> None:
        setting = os.environ[connection]
        with BlobClient.from_connection_string(setting, container, name) as blob:
            send(self.queue_triggers[0].queue, event_of(blob))

    def fire_timer(self, name: str, *, past_due: bool = False) -> Invocation:
        """Run a timer function now, in the calling thread; what it raises is in the result."""
        for function in self.timer_functions:
            if function.name == name:
                request = TimerRequest(past_due=past_due)
                message = Message(name, "", "", 1)
                call = functools.partial(function.call, **{function.parameter: request})
                return self._run(message, call)
        raise LookupError(f"no timer function is named {name}")

    def drain(self, timeout: float = 60.0) -> None:
        """Wait until every event has succeeded or been given up.

        Raises:
            TimeoutError: some are left after `timeout` seconds.
        """
        left = self._queue.wait_empty(timeout) + wait_empty(self.queue_triggers, timeout)
        if left:
            raise TimeoutError(f"{left} events are left after {timeout} s {self.ended}")

    def _end(self, why: str) -> None:
        with self._wake:
            self.ended = self.ended or why
            self._stopped = True
            self._wake.notify_all()

    def _listen(self) -> None:
        """Fetch messages whenever few enough run."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or self._running <= self.threshold)
                if self._stopped:
                    return
                self._posted = False
            taken = self._queue.fetch(self.fetch, self.poison_threshold)
            with self._wake:
                self._running += len(taken)
            for number, message in taken:
                self._pool.submit(self._work, number, message)
            if not taken:
                ahead = self._queue.next_visible()
                patience = _POLL_SECONDS if ahead is None else min(ahead + 0.001, _POLL_SECONDS)
                with self._wake:
                    self._wake.wait_for(lambda: self._stopped or self._posted, patience)

    def _work(self, number: int, message: Message) -> None:
        try:
            self._deliver(number, message)
        finally:
            with self._wake:
                self._running -= 1
                self._posted = True
                self._wake.notify_all()

    def _deliver(self, number: int, message: Message) -> None:
        function = self._functions.get(message.function)
        if function is None:
            self.vanished += 1
            self._queue.delete(number)
            return
        client = client_of(function, message.container, message.name)
        if self._look:
            try:
                there = all(client.exists() for _ in range(_LOOKS))
            except AzureError as refused:
                # The message stays hidden: nobody is left who would release it.
                self._end(f"An unhandled exception has occurred. Host is shutting down. {refused}")
                return
            if not there:
                self.dropped += 1
                self._queue.delete(number)
                return
        call = functools.partial(function.call, **{function.parameter: client})
        if self._run(message, call).error:
            self._queue.release(number, self.poison_threshold, self._retry_seconds)
        else:
            self._queue.delete(number)

    def _run_message(self, function: str, attempt: int, call: Callable[[], object]) -> str:
        return self._run(Message(function, "", "", attempt), call).error

    def _run(self, message: Message, call: Callable[[], object]) -> Invocation:
        started = time.monotonic()
        error = ""
        try:
            call()
        except Exception as raised:  # noqa: BLE001  # whatever a function raises fails its run only
            error = f"{type(raised).__name__}: {raised}"
        ended = time.monotonic()
        if ended - started > self.timeout and not error:
            error = f"FunctionTimeoutException: {self.timeout:g} s"
        invocation = Invocation(
            message.function,
            message.container,
            message.name,
            message.attempt,
            ended - started,
            error,
            ended,
        )
        self.invocations.append(invocation)
        if error:
            self.failures.append(invocation)
        if self._on_invocation is not None:
            self._on_invocation(invocation)
        return invocation


def _serve_lines(host: FunctionsHost, lines: Iterator[str]) -> None:
    for line in lines:
        order = json.loads(line)
        if "blob" in order:
            blob = order["blob"]
            host.blob_created(blob["container"], blob["name"], blob.get("connection"))
        elif "timer" in order:
            host.fire_timer(order["timer"])
        elif "drain" in order:
            host.drain(600.0)
            _say(drained=True)


def _say(**what: object) -> None:
    # One write, so that lines of several threads do not mix.
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve orders from standard input."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--app", type=Path, required=True, help="function_app.py")
    parser.add_argument("--host-json", type=Path, help="default: host.json beside the app")
    arguments = parser.parse_args()
    host_json = arguments.host_json or arguments.app.resolve().parent / "host.json"
    host = FunctionsHost(
        arguments.app,
        host_json if host_json.exists() else None,
        on_invocation=lambda invocation: _say(invocation=dataclasses.asdict(invocation)),
    )
    with host:
        blobs = [function.name for function in host.blob_functions]
        blobs += [trigger.name for trigger in host.queue_triggers]
        _say(ready=blobs + [function.name for function in host.timer_functions])
        _serve_lines(host, iter(sys.stdin.readline, ""))


if __name__ == "__main__":
    main()
