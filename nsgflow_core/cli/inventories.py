"""The inventory at the terminal: of Azure as who is signed in sees it, of the function, or a file.

What Azure answers is kept for a day below the user's cache folder. A file holds the same: an
inventory, service tags and flow logs, to be carried to where nobody is signed in.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nsgflow_core.cli.clock import noted
from nsgflow_core.cli.globs import expanded
from nsgflow_core.cli.nothing_found import since
from nsgflow_core.cli.options import MAGIC, Estate
from nsgflow_core.cli.session import note, sentence
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.flow_logs import FlowLog, read_flow_logs
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.service_tags import ServiceTags, compile_tags

if TYPE_CHECKING:
    from nsgflow_core.estate.arm import ResourceManager
    from nsgflow_core.estate.verdict import Judge

AZURE, APP = "azure", "app"
_DAY = 24 * 3600.0
_AHEAD = timedelta(minutes=5)
"""So far clocks may be apart."""
_SECONDS = 300.0
_NO_APP = (
    "the function's inventory is not there: name the function's AzureWebJobsStorage in the "
    "environment, and set NSGFLOW_INVENTORY=resourcegraph in the function"
)


APP_MEND = (
    "the function makes it anew every few hours, so 'nsgflow check' with its settings may tell why "
    "it does not"
)


class Kept(msgspec.Struct, frozen=True):
    """An inventory as a file holds it; `made` is in seconds since the epoch.

    `flow_logs` is None where they were not asked for, as in files of releases before there were.
    """

    made: float
    inventory: bytes
    tags: bytes
    flow_logs: list[FlowLog] | None = None

    def knowledge(self) -> Knowledge:
        """What it says.

        Raises:
            BadInputError: it is of another release.
        """
        tags = ServiceTags(self.tags) if self.tags else None
        return Knowledge(tags, Inventory(self.inventory), made_ms=round(self.made * 1000))


def judge_of(rules: Sequence[str] | None, knowledge: Knowledge) -> "Judge":
    """The rules that a command is given, on top of what is known.

    Raises:
        BadInputError: a file cannot be read.
    """
    from nsgflow_core.estate.rule_files import Files, RuleFiles  # noqa: PLC0415 - only judges do
    from nsgflow_core.estate.verdict import Judge  # noqa: PLC0415

    files = RuleFiles()
    for name in expanded(rules or ()):
        files.add(_bytes_of(name), name)
    return Judge(knowledge.inventory, knowledge.tags, Files(files))


def estate_of(
    estate: Estate, environ: Mapping[str, str], *, offline: bool = False
) -> Knowledge | None:
    """The inventory that a command is told to use; None where it is told nothing.

    Raises:
        NsgflowError: it cannot be had.
    """
    source = estate.inventory
    if not source:
        return NOTHING if offline else None
    return kept_of(source, environ, refresh=estate.refresh).knowledge()


def kept_of(source: str, environ: Mapping[str, str], *, refresh: bool = False) -> Kept:
    """The inventory of a source: `azure`, `app`, or what was exported to a file.

    Raises:
        NsgflowError: it cannot be had.
    """
    if source == APP:
        return of_app(environ)
    kept = of_azure(environ, refresh=refresh) if source == AZURE else read_file(source)
    mend = "--refresh asks Azure anew" if source == AZURE else "export it again for newer names"
    tell_age(kept.made, mend)
    return kept


def tell_age(made: float, mend: str) -> None:
    """Say how old an inventory is that is older than a day, or newer than now.

    `made` is in seconds since the epoch.
    """
    then, now = (datetime.fromtimestamp(at, UTC) for at in (made, time.time()))
    if now - then >= timedelta(days=1):
        note(f"the inventory is of {noted(then)}, {since(then, now)} ago: {mend}")
    elif then - now > _AHEAD:
        note(
            f"the inventory is of {noted(then)}, which is still to come: see that the clocks of "
            f"this machine and of the one that made it are right; {mend}"
        )


def with_flow_logs(kept: Kept, source: str, environ: Mapping[str, str]) -> Kept:
    """An inventory that has flow logs: where it has none, Azure is asked for them alone.

    Raises:
        NsgflowError: it is a file's, or Azure refuses.
    """
    if kept.flow_logs is not None:
        return kept
    if source not in (AZURE, APP):
        raise BadInputError(
            f"{source} has no flow logs: export it again, with 'nsgflow inventory --export FILE'"
        )
    with signed_in(environ) as manager:
        made = msgspec.structs.replace(kept, flow_logs=read_flow_logs(manager))
    if source == AZURE:
        place = _place(environ)
        kept_at = place.stat().st_mtime
        write_file(place, made)
        os.utime(place, (kept_at, kept_at))  # the rest of it is no newer for that
    return made


def of_app(environ: Mapping[str, str]) -> Kept:
    """The deployed function's inventory and service tags; an old inventory is told.

    Raises:
        NsgflowError: there is none, or it cannot be read.
    """
    from nsgflow_core.cli.state import packed_of  # noqa: PLC0415 - dear to import

    found = packed_of(environ)
    if not found.inventory:
        raise BadInputError(_NO_APP)
    tell_age(found.made, APP_MEND)
    return Kept(found.made, found.inventory, found.tags)


def read_file(name: str) -> Kept:
    """What `nsgflow inventory --export` wrote.

    Raises:
        BadInputError: it is not that.
    """
    data = _bytes_of(name)
    if not data.startswith(MAGIC):
        raise BadInputError(
            f"{name} is no inventory: give what 'nsgflow inventory --export' wrote; NSGs in JSON "
            "go behind --rules, logs before --inventory"
        )
    try:
        return msgspec.msgpack.decode(data[len(MAGIC) :], type=Kept)
    except ValueError as exc:  # which msgspec's errors and those of encodings are
        raise BadInputError(f"{name} is damaged: export it again ({exc})") from exc


def write_file(name: Path, kept: Kept) -> None:
    """Write an inventory for `read_file`, readable by its owner alone.

    Raises:
        BadInputError: it cannot be written.
    """
    try:
        name.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = name.with_name(f"{name.name}.{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(MAGIC + msgspec.msgpack.encode(kept))
        beside.replace(name)
    except OSError as exc:
        raise BadInputError(f"cannot write {name}: {exc.strerror}") from exc


def of_azure(environ: Mapping[str, str], *, refresh: bool) -> Kept:
    """What Azure answers to who is signed in, at most a day old.

    Raises:
        NsgflowError: it refuses, or is out of reach.
    """
    place = _place(environ)
    if not refresh:
        with suppress(BadInputError):
            kept = read_file(str(place))
            kept.knowledge()
            # When it was kept and not when Azure was asked: an import may be older.
            if 0 <= time.time() - place.stat().st_mtime < _DAY:
                return kept
    kept = _asked(environ)
    write_file(place, kept)
    return kept


def keep(kept: Kept, environ: Mapping[str, str]) -> None:
    """Keep an inventory for a day, as if Azure had just answered it.

    Raises:
        BadInputError: it cannot be written.
    """
    write_file(_place(environ), kept)


def _cloud(environ: Mapping[str, str]) -> str:
    return environ.get("AZURE_CLOUD") or "AZURE_PUBLIC_CLOUD"


def _place(environ: Mapping[str, str]) -> Path:
    return cache_folder(environ) / f"inventory-{_cloud(environ).lower()}.nsgflow"


@contextmanager
def signed_in(environ: Mapping[str, str]) -> "Iterator[ResourceManager]":
    """The Resource Manager of the cloud that one is signed in to.

    Raises:
        BadInputError: there is no such cloud.
    """
    from nsgflow_core.cli.progress import working  # noqa: PLC0415 - files need none of these
    from nsgflow_core.estate.arm import CLOUDS, ResourceManager  # noqa: PLC0415 - dear to import
    from nsgflow_core.storage import credential  # noqa: PLC0415

    cloud = _cloud(environ)
    if cloud not in CLOUDS:
        raise BadInputError(f"AZURE_CLOUD {cloud!r} is not one of {', '.join(CLOUDS)}")
    manager = ResourceManager(CLOUDS[cloud], credential(), time.monotonic() + _SECONDS)
    try:
        with working("asking Azure"):
            yield manager
    finally:
        manager.close()


def _asked(environ: Mapping[str, str]) -> Kept:
    from nsgflow_core.estate.resource_graph import read_inventory  # noqa: PLC0415 - dear to import

    with signed_in(environ) as manager:
        note("asking Azure Resource Graph for the inventory; it is kept for a day (--refresh)")
        inventory = read_inventory(manager)
        tags, flow_logs = b"", None
        try:
            tags = compile_tags(manager.service_tags())
        except NsgflowError as exc:
            note(f"without service tags: {sentence(exc)}")
        try:
            flow_logs = read_flow_logs(manager)
        except NsgflowError as exc:
            note(f"without flow logs: {sentence(exc)}")
    return Kept(time.time(), inventory, tags, flow_logs)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The user's cache folder, as each system has it."""
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "nsgflow"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nsgflow"
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nsgflow"


def _bytes_of(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).expanduser().read_bytes()
    except OSError as exc:
        raise BadInputError(f"cannot read {name}: {exc.strerror}{_beside(name)}") from exc


def _beside(name: str) -> str:
    """What to say behind a file that is not there: the one beside it that is called nearly so."""
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes pay for it

    place = Path(name).expanduser()
    with suppress(OSError):
        there = [] if place.exists() else [one.name for one in place.parent.iterdir()]
        if near := get_close_matches(place.name, there, 1, 0.8):
            return f", did you mean {place.with_name(near[0])}?"
    return ""
