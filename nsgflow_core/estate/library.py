"""Where knowledge is kept: made by the sweep, in the state container, read by every instance.

One instance at a time runs the sweep, and it alone asks Microsoft's services; what it makes is
the last good copy until it makes a better one. An instance loads what has changed beside its
deliveries, never in their way.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import requests
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient

from nsgflow_core.errors import NsgflowError, RefusedError, TransientError
from nsgflow_core.estate.arm import Cloud, ResourceManager
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.service_tags import ServiceTags, compile_tags
from nsgflow_core.estate.young import foreign
from nsgflow_core.storage import credential, error_code, errors_of
from nsgflow_core.web import Session, time_limit

TAGS_BLOB = "knowledge/service-tags-2.msgpack"
INVENTORY_BLOB = "knowledge/inventory-2.msgpack"
"""The number is the format's: another release may be running beside this one."""

TAGS_SECONDS = 24 * 3600.0
INVENTORY_SECONDS = 3600.0
"""How old the copies may get before the sweep makes new ones."""

CHECK_SECONDS = 60.0
"""How often, at most, an instance asks whether its copies are the newest."""

_LARGEST_DOCUMENT = 64 * 1024 * 1024
_TIMEOUTS = (5, 30)
_DOWNLOAD_SECONDS = 120.0
_NOT_MODIFIED, _NOT_FOUND = 304, 404
_MOST_FOREIGN = 100  # metadata of a blob may have 8 KiB


@dataclass(frozen=True, slots=True)
class Sources:
    """Where knowledge comes from, as the settings say; "" where it is switched off."""

    service_tags: str
    inventory: str
    cloud: Cloud


@dataclass(frozen=True, slots=True)
class _Subject:
    """One thing to know: its field of `Knowledge`, its blob, how to make and how to load it.

    `source` is a digest of the setting, since that may hold a secret: what was made from
    another source is made anew.
    """

    field: Literal["tags", "inventory"]
    blob: str
    seconds: float
    source: str
    make: Callable[[float], bytes]
    load: Callable[[bytes], ServiceTags | Inventory]


class Library:
    """The knowledge of one instance.

    `warn` is told what went wrong: a copy that is old or missing leaves columns empty and stops
    nothing. `now` is the wall clock in seconds since the epoch.
    """

    def __init__(
        self,
        container: ContainerClient,
        sources: Sources,
        warn: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._container = container
        self._warn = warn
        self._now = now
        self._subjects = _subjects(sources)
        self._etags: dict[str, str] = {}
        self._knowledge = Knowledge(expected=True) if sources.inventory else NOTHING
        self._checked = float("-inf")
        self._lock = threading.Lock()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._loading: Future[list[str]] | None = None

    def current(self) -> Knowledge:
        """The newest snapshot that is loaded; nothing is asked or waited for."""
        return self._knowledge

    def check(self) -> None:
        """Begin to load what has changed, beside the caller, unless that was just done."""
        with self._lock:
            if not self._subjects or time.monotonic() - self._checked < CHECK_SECONDS:
                return
            if self._loading is not None and not self._loading.done():
                return
            before, self._loading = self._loading, self._loader.submit(self._load_changed)
            self._checked = time.monotonic()
        if before is not None:
            # Told here because the host files lines by the thread of the invocation.
            broken = before.exception()
            for problem in before.result() if broken is None else (f"loading: {broken!r}",):
                self._warn(problem)

    def wait(self, seconds: float) -> None:
        """Wait for the first load of this process, which this begins if nobody has.

        All of it: filters ask the inventory, which is loaded behind the tags.
        """
        self.check()
        loading = self._loading
        if loading is not None and len(self._etags) < len(self._subjects):
            with suppress(TimeoutError):
                loading.exception(timeout=seconds)

    def load(self) -> list[str]:
        """Load what there is, now, for a caller that has nothing else to do; what went wrong."""
        return self._load_changed()

    def _load_changed(self) -> list[str]:
        """Load what has another ETag than before; returns what went wrong."""
        problems: list[str] = []
        for subject in self._subjects:
            try:
                self._load(subject)
            except NsgflowError as exc:
                problems.append(f"cannot load {subject.blob}: {exc}")
        return problems

    def _load(self, subject: _Subject) -> None:
        condition: dict[str, Any] = {}
        if etag := self._etags.get(subject.blob):
            condition = {"etag": etag, "match_condition": MatchConditions.IfModified}
        with errors_of(f"read {subject.blob}"):
            try:
                download = self._container.download_blob(subject.blob, **condition)
                data = download.readall()
            except HttpResponseError as exc:
                if exc.status_code in (_NOT_MODIFIED, _NOT_FOUND):
                    return
                raise
        made: dict[str, Any] = {subject.field: subject.load(data)}
        if subject.field == "inventory":
            about = download.properties.metadata or {}
            made["made_ms"] = round(float(about.get("made", 0)) * 1000)
            known_foreign = filter(None, about.get("foreign", "").split(","))
            self._knowledge.met.update(dict.fromkeys(known_foreign, 0))
        self._knowledge = replace(self._knowledge, **made, seen={})
        self._etags[subject.blob] = download.properties.etag

    def refresh(self, seconds: float) -> Sequence[str]:
        """Make anew what is old or missing, in so many seconds; returns what was made.

        The next check loads it, however soon. What fails leaves the last good copy where it is, and
        is tried again by the next sweep.
        """
        deadline = time.monotonic() + seconds
        made: list[str] = []
        for subject in self._subjects:
            try:
                if self._is_due(subject):
                    self._keep(subject, subject.make(deadline))
                    made.append(subject.blob)
            except NsgflowError as exc:
                self._warn(f"{subject.blob} could not be made anew: {exc}")
        if made:
            with self._lock:
                self._checked = float("-inf")
        return made

    def _is_due(self, subject: _Subject) -> bool:
        with errors_of(f"look for {subject.blob}"):
            try:
                properties = self._container.get_blob_client(subject.blob).get_blob_properties()
            except ResourceNotFoundError:
                return True
        about = properties.metadata or {}
        age = self._now() - float(about.get("made", 0))
        return about.get("source") != subject.source or not 0 <= age < subject.seconds

    def _keep(self, subject: _Subject, data: bytes) -> None:
        about = {"made": str(self._now()), "source": subject.source}
        if subject.field == "inventory":
            # Whoever loads it need not find out anew which GUIDs stand for nothing in it.
            about["foreign"] = ",".join(foreign(self._knowledge, _MOST_FOREIGN))
        with errors_of(f"write {subject.blob}"):
            try:
                self._upload(subject.blob, data, about)
            except ResourceNotFoundError as exc:
                if error_code(exc) != "ContainerNotFound":
                    raise
                with suppress(ResourceExistsError):  # another worker was as early
                    self._container.create_container()
                self._upload(subject.blob, data, about)

    def _upload(self, name: str, data: bytes, about: dict[str, str]) -> None:
        self._container.upload_blob(name, data, overwrite=True, metadata=about)


def _subjects(sources: Sources) -> list[_Subject]:
    subjects: list[_Subject] = []
    if sources.service_tags:
        subjects.append(
            _Subject(
                "tags",
                TAGS_BLOB,
                TAGS_SECONDS,
                _digest(sources.service_tags),
                lambda deadline: compile_tags(_documents(sources, deadline)),
                ServiceTags,
            )
        )
    if sources.inventory:
        subjects.append(
            _Subject(
                "inventory",
                INVENTORY_BLOB,
                INVENTORY_SECONDS,
                _digest(sources.inventory),
                lambda deadline: _inventory(sources, deadline),
                Inventory,
            )
        )
    return subjects


def _digest(setting: str) -> str:
    return hashlib.sha256(setting.encode()).hexdigest()[:16]


def _documents(sources: Sources, deadline: float) -> list[bytes]:
    """The service tags as JSON, from wherever the setting says."""
    source = sources.service_tags
    if source == "arm":
        manager = ResourceManager(sources.cloud, credential(), deadline)
        try:
            return manager.service_tags()
        finally:
            manager.close()
    if "://" in source:
        return [_download(source, deadline - time.monotonic())]
    try:
        return [Path(source).read_bytes()]
    except OSError as exc:
        raise RefusedError(f"cannot read {source}: {exc.strerror}") from exc


def _download(url: str, seconds: float) -> bytes:
    """A document from the web; its URL may hold a signature, so no error shows it."""
    what = "the URL of the service tags"
    seconds = min(seconds, _DOWNLOAD_SECONDS)
    try:
        with (
            time_limit(seconds, what),
            Session() as session,
            session.get(url, timeout=_TIMEOUTS, stream=True, allow_redirects=False) as response,
        ):
            if response.status_code != requests.codes.ok:
                raise RefusedError(f"{what} answered {response.status_code}")
            data = b""
            for piece in response.iter_content(1024 * 1024):
                data += piece
                if len(data) > _LARGEST_DOCUMENT:
                    raise RefusedError(f"{what} gives more than {_LARGEST_DOCUMENT} bytes")
            return data
    except requests.exceptions.RequestException as exc:
        raise TransientError(f"{what}: {type(exc).__name__}") from exc


def _inventory(sources: Sources, deadline: float) -> bytes:
    from nsgflow_core.estate.resource_graph import read_inventory  # noqa: PLC0415 - the sweep's alone

    manager = ResourceManager(sources.cloud, credential(), deadline)
    try:
        return read_inventory(manager)
    finally:
        manager.close()
