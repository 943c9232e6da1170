"""The inventory at the terminal: of Azure as who is signed in sees it, of the function, or a file.

What Azure answers is kept for a day below the user's cache folder. A file holds the same: an
inventory and service tags, to be carried to where nobody is signed in.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from nsgflow_core.cli.options import MAGIC, Estate
from nsgflow_core.cli.session import note, sentence
from nsgflow_core.cli.state import packed_inventory_of
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.rule_files import Files, RuleFiles
from nsgflow_core.estate.service_tags import ServiceTags, compile_tags
from nsgflow_core.estate.verdict import Judge

AZURE, APP = "azure", "app"
_DAY = 24 * 3600.0
_SECONDS = 300.0
_NO_APP = (
    "the function's inventory is not there: name the function's AzureWebJobsStorage in the "
    "environment, and set NSGFLOW_INVENTORY=resourcegraph in the function"
)


class Kept(msgspec.Struct, frozen=True):
    """An inventory as a file holds it; `made` is in seconds since the epoch."""

    made: float
    inventory: bytes
    tags: bytes

    def knowledge(self) -> Knowledge:
        """What it says.

        Raises:
            BadInputError: it is of another release.
        """
        tags = ServiceTags(self.tags) if self.tags else None
        return Knowledge(tags, Inventory(self.inventory))


def judge_of(rules: Sequence[str] | None, knowledge: Knowledge) -> Judge:
    """The rules that a command is given, on top of what is known.

    Raises:
        BadInputError: a file cannot be read.
    """
    files = RuleFiles()
    for name in rules or ():
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
    if source == APP:
        return Knowledge(None, Inventory(packed_of_app(environ)))
    kept = of_azure(environ, refresh=estate.refresh) if source == AZURE else read_file(source)
    return kept.knowledge()


def packed_of_app(environ: Mapping[str, str]) -> bytes:
    """The deployed function's inventory, packed.

    Raises:
        NsgflowError: there is none, or it cannot be read.
    """
    packed = packed_inventory_of(environ)
    if packed is None:
        raise BadInputError(_NO_APP)
    return packed


def read_file(name: str) -> Kept:
    """What `nsgflow inventory --export` wrote.

    Raises:
        BadInputError: it is not that.
    """
    data = _bytes_of(name)
    if not data.startswith(MAGIC):
        raise BadInputError(f"{name} is no inventory: 'nsgflow inventory --export' writes one")
    try:
        return msgspec.msgpack.decode(data[len(MAGIC) :], type=Kept)
    except msgspec.DecodeError as exc:
        raise BadInputError(f"{name} is no inventory: {exc}") from exc


def write_file(name: Path, kept: Kept) -> None:
    """Write an inventory for `read_file`, readable by its owner alone.

    Raises:
        BadInputError: it cannot be written.
    """
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
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
    cloud = environ.get("AZURE_CLOUD") or "AZURE_PUBLIC_CLOUD"
    place = cache_folder(environ) / f"inventory-{cloud.lower()}.nsgflow"
    if not refresh:
        with suppress(BadInputError):
            kept = read_file(str(place))
            kept.knowledge()
            if 0 <= time.time() - kept.made < _DAY:
                return kept
    kept = _asked(cloud)
    write_file(place, kept)
    return kept


def _asked(cloud: str) -> Kept:
    from nsgflow_core.estate.arm import CLOUDS, ResourceManager  # noqa: PLC0415 - dear to import
    from nsgflow_core.estate.resource_graph import read_inventory  # noqa: PLC0415
    from nsgflow_core.storage import credential  # noqa: PLC0415

    if cloud not in CLOUDS:
        raise BadInputError(f"AZURE_CLOUD {cloud!r} is not one of {', '.join(CLOUDS)}")
    note("asking Azure Resource Graph for the inventory; it is kept for a day (--refresh)")
    manager = ResourceManager(CLOUDS[cloud], credential(), time.monotonic() + _SECONDS)
    try:
        inventory = read_inventory(manager)
        tags = b""
        try:
            tags = compile_tags(manager.service_tags())
        except NsgflowError as exc:
            note(f"without service tags: {sentence(exc)}")
    finally:
        manager.close()
    return Kept(time.time(), inventory, tags)


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
        raise BadInputError(f"cannot read {name}: {exc.strerror}") from exc
