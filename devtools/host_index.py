"""What a function_app.py declares, found and called as the Python worker does it.

Functions are found through `app.get_functions()`; a blob function gets its client through the
binding extension's own converter.
"""

import dataclasses
import importlib.util
import itertools
import json
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func
from azurefunctions.extensions.base import Datum, SdkType, get_binding_registry

from devtools.queue_trigger import QueueFunction


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
class ModelBindingData:
    """The reference to a blob as it crosses from the host to the worker, in place of content."""

    content: bytes
    version: str = "1.0"
    source: str = "AzureStorageBlobs"
    content_type: str = "application/json"


_numbers = itertools.count()


def import_app(app_path: Path) -> ModuleType:
    """Import the file anew.

    Raises:
        IndexingError: it is no Python file.
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
    return module


class Functions(typing.NamedTuple):
    """The functions of an app, by their triggers."""

    blobs: list[BlobFunction]
    timers: list[TimerFunction]
    queues: list[QueueFunction]


def index_app(app_path: Path) -> Functions:
    """Import the file anew and list its functions.

    Raises:
        IndexingError: no `app`, an unknown trigger, or a blob parameter that takes no SDK type.
    """
    return functions_of(import_app(app_path), app_path)


def functions_of(module: ModuleType, app_path: Path) -> Functions:
    """The functions of an imported file; raises as `index_app` does."""
    app = getattr(module, "app", None)
    if not isinstance(app, func.FunctionApp):
        raise IndexingError(f"{app_path} has no FunctionApp named app")
    blobs: list[BlobFunction] = []
    timers: list[TimerFunction] = []
    queues: list[QueueFunction] = []
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
        elif properties["type"] == "queueTrigger":
            where = properties["queueName"], properties["connection"]
            queues.append(QueueFunction(name, *where, properties["name"], call))
        else:
            raise IndexingError(f"{name}: {properties['type']} is unknown")
    return Functions(blobs, timers, queues)


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


def client_of(function: BlobFunction, container: str, name: str) -> Any:  # an SDK client
    """The client that the worker hands to a blob function."""
    content = {"Connection": function.connection, "ContainerName": container, "BlobName": name}
    datum = Datum(ModelBindingData(json.dumps(content).encode()), "model_binding_data")
    converter = get_binding_registry().get("blobTrigger")
    metadata = {"BlobTrigger": Datum(f"{container}/{name}", "string")}
    return converter.decode(datum, trigger_metadata=metadata, pytype=function.annotation)
