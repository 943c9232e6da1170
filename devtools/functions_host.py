"""A small Functions host: it treats function_app.py as the real one does.

What it imitates, and from where:
- functions are found through `app.get_functions()`, as the Python worker does;
- a blob function gets its client through the binding extension's own converter;
- events wait in a queue that redelivers at once, five times, and then gives up (poison), and N run
  side by side (host.json, `extensions.blobs`):
  https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-blob-trigger
- nothing serialises two events of one blob, and every run sees the newest content.

As a process of its own (`python -m devtools.functions_host --app function_app.py`) it reads JSON
lines: {"blob": {"container": …, "name": …, "connection": …}}, {"timer": "sweep"}, {"drain": true};
and writes JSON lines: {"ready": [function names]} first, {"invocation": {…}} whenever one ends,
{"drained": true}. It ends when its input does.
"""

import argparse
import contextlib
import dataclasses
import functools
import importlib.util
import itertools
import json
import os
import queue
import sys
import threading
import time
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import azure.functions as func
from azure.functions.timer import TimerRequest
from azurefunctions.extensions.base import Datum, SdkType, get_binding_registry

DEFAULT_POISON_THRESHOLD = 5


class IndexingError(RuntimeError):
    """function_app.py declares something that the real host would not start."""


@dataclasses.dataclass(frozen=True)
class BlobFunction:
    """A function with a blob trigger.

    Attributes:
        container: first part of the trigger's path; events reach functions by it.
        connection: name of the setting, or prefix of the settings, of its storage account.
        source: `EventGrid` or `LogsAndContainerScan`.
        parameter: name of the parameter that takes the blob.
        annotation: its type, one of the binding extension's.
    """

    name: str
    container: str
    connection: str
    source: str
    parameter: str
    annotation: type
    call: Callable[..., object]


@dataclasses.dataclass(frozen=True)
class TimerFunction:
    """A function with a timer trigger; the host keeps no clock and fires it on request."""

    name: str
    schedule: str
    parameter: str
    call: Callable[..., object]


@dataclasses.dataclass(frozen=True)
class Message:
    """An event in the queue; `attempt` counts from 1."""

    function: str
    container: str
    name: str
    attempt: int


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


@dataclasses.dataclass(frozen=True)
class ModelBindingData:
    """The reference to a blob as it crosses from the host to the worker, in place of content."""

    content: bytes
    version: str = "1.0"
    source: str = "AzureStorageBlobs"
    content_type: str = "application/json"


_numbers = itertools.count()


def index_app(app_path: Path) -> tuple[list[BlobFunction], list[TimerFunction]]:
    """Import the file anew and list its functions.

    Raises:
        IndexingError: no `app`, an unknown trigger, or a blob parameter that takes no SDK type.
    """
    folder = str(app_path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as the worker does, so that its own packages are found
    module_name = f"function_app_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(module_name, app_path)
    if spec is None or spec.loader is None:
        raise IndexingError(f"{app_path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    app = getattr(module, "app", None)
    if not isinstance(app, func.FunctionApp):
        raise IndexingError(f"{app_path} has no FunctionApp named app")
    blobs: list[BlobFunction] = []
    timers: list[TimerFunction] = []
    for function in app.get_functions():
        name = str(function.get_function_name())
        trigger = function.get_trigger()
        if trigger is None or len(function.get_bindings()) != 1:
            raise IndexingError(f"{name}: one trigger alone is expected")
        properties = trigger.get_dict_repr()
        call = function.get_user_function()
        if properties["type"] == "blobTrigger":
            blobs.append(_blob_function(name, properties, call))
        elif properties["type"] == "timerTrigger":
            timers.append(TimerFunction(name, properties["schedule"], properties["name"], call))
        else:
            raise IndexingError(f"{name}: {properties['type']} is unknown")
    return blobs, timers


class FunctionsHost:
    """The host; a context manager that starts its threads and waits for what runs at its end.

    Attributes:
        blob_functions: as indexed; also timer_functions.
        parallelism: how many blob functions run side by side.
        poison_threshold: deliveries of an event before it is given up.
        invocations: every finished run in order of its end.
        failures: those of them that raised.
        poison: events given up, as last delivered.
        dropped: events whose blob was gone; only counted when drop_missing is on.
    """

    def __init__(
        self,
        app_path: Path,
        host_json: Path | None = None,
        *,
        drop_missing: bool = False,
        on_invocation: Callable[[Invocation], None] | None = None,
    ) -> None:
        """Index the app.

        Args:
            app_path: function_app.py; it reads its settings from the environment when imported.
            host_json: for `extensions.blobs`; without it, or where it says nothing, the real
                host's defaults hold.
            drop_missing: ask for the blob first and drop its event when it is gone, as the real
                host does at the cost of a request.
            on_invocation: called with every finished run.
        """
        settings = json.loads(host_json.read_text()) if host_json is not None else {}
        blobs = settings.get("extensions", {}).get("blobs", {})
        self.parallelism = int(blobs.get("maxDegreeOfParallelism", 8 * (os.cpu_count() or 1)))
        self.poison_threshold = int(blobs.get("poisonBlobThreshold", DEFAULT_POISON_THRESHOLD))
        self.blob_functions, self.timer_functions = index_app(app_path)
        self.invocations: list[Invocation] = []
        self.failures: list[Invocation] = []
        self.poison: list[Message] = []
        self.dropped = 0
        self._drop_missing = drop_missing
        self._on_invocation = on_invocation
        self._queue: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._outstanding = 0
        self._idle = threading.Condition()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._work, name=f"functions-{number}")
            for number in range(self.parallelism)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What still waits is forgotten, as a host that is stopped leaves it in its queue.
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def blob_created(self, container: str, name: str, connection: str | None = None) -> None:
        """Queue the event of a written blob for the function of its container.

        Args:
            container: of the blob; with `connection` it tells the function.
            name: of the blob.
            connection: needed when several connections have a function for the container.

        Raises:
            LookupError: no function, or more than one, takes it.
        """
        takers = [
            function
            for function in self.blob_functions
            if function.container == container and connection in {None, function.connection}
        ]
        if len(takers) != 1:
            raise LookupError(f"{len(takers)} functions take {container} of {connection}")
        with self._idle:
            self._outstanding += 1
        self._queue.put(Message(takers[0].name, container, name, 1))

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
        with self._idle:
            if not self._idle.wait_for(lambda: self._outstanding == 0, timeout):
                raise TimeoutError(f"{self._outstanding} events are left after {timeout} s")

    def _work(self) -> None:
        functions = {function.name: function for function in self.blob_functions}
        while (message := self._queue.get()) is not None:
            function = functions[message.function]
            invocation = self._run(message, functools.partial(self._invoke, function, message))
            if invocation.error and message.attempt < self.poison_threshold:
                self._queue.put(dataclasses.replace(message, attempt=message.attempt + 1))
                continue
            with self._idle:
                if invocation.error:
                    self.poison.append(message)
                self._outstanding -= 1
                self._idle.notify_all()

    def _invoke(self, function: BlobFunction, message: Message) -> None:
        client = _decode(function, message.container, message.name)
        if self._drop_missing and not client.exists():
            self.dropped += 1
            return
        function.call(**{function.parameter: client})

    def _run(self, message: Message, call: Callable[[], object]) -> Invocation:
        started = time.monotonic()
        error = ""
        try:
            call()
        except Exception as raised:  # noqa: BLE001  # whatever a function raises fails its run only
            error = f"{type(raised).__name__}: {raised}"
        ended = time.monotonic()
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


def _blob_function(
    name: str, properties: dict[str, Any], call: Callable[..., object]
) -> BlobFunction:
    parameter = properties["name"]
    annotation = typing.get_type_hints(call).get(parameter)
    if not (isinstance(annotation, type) and issubclass(annotation, SdkType)):
        raise IndexingError(f"{name}: {parameter} is not annotated with an SDK type")
    return BlobFunction(
        name,
        properties["path"].split("/", 1)[0],
        properties["connection"],
        properties.get("source", "LogsAndContainerScan"),
        parameter,
        annotation,
        call,
    )


def _decode(function: BlobFunction, container: str, name: str) -> Any:  # an SDK client
    content = {"Connection": function.connection, "ContainerName": container, "BlobName": name}
    datum = Datum(ModelBindingData(json.dumps(content).encode()), "model_binding_data")
    converter = get_binding_registry().get("blobTrigger")
    metadata = {"BlobTrigger": Datum(f"{container}/{name}", "string")}
    return converter.decode(datum, trigger_metadata=metadata, pytype=function.annotation)


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
        _say(ready=blobs + [function.name for function in host.timer_functions])
        _serve_lines(host, iter(sys.stdin.readline, ""))


if __name__ == "__main__":
    main()
