"""Flow logs in files, folders and standard input, in the place of accounts; no socket is opened.

A path like a blob's (`…/y=2026/m=…/PT1H.json`, as azcopy keeps it) tells the NSG and the hour; what
has another is asked itself, record by record. gzip and UTF-16 are told by their first bytes, and
records that stand one a line, in an array or otherwise apart are read like those of a blob.
"""

import codecs
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple, cast
from weakref import finalize

from nsgflow_core.cli.accounts import Account, sign_in
from nsgflow_core.cli.globs import expanded
from nsgflow_core.cli.gzipped import MAGIC, Members
from nsgflow_core.cli.names import matcher
from nsgflow_core.cli.options import Sources
from nsgflow_core.cli.other_files import what_else
from nsgflow_core.cli.read import Failure, Log
from nsgflow_core.cli.session import note
from nsgflow_core.cli.streams import is_fed
from nsgflow_core.cli.times import floor
from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, LogPath, parse_path
from nsgflow_core.logs.source import BlockList
from nsgflow_core.model import BlobRef

STDIN = "-"
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARK = codecs.BOM_UTF8
_TAIL = 64
_PIECE = 1024 * 1024
_HEAD = 64 * 1024
"""Bytes in which a file tells what it is a log of."""
_ENDINGS = (".json", ".gz", ".ndjson", ".jsonl")
_PLACE = re.compile(r"\.{0,2}/|~|[^*?]*\\|[a-z]:/", re.IGNORECASE)
"""How a word begins that names a place, of Windows too, and never an account."""
_BLOB_PATH = re.compile(r"(?:resourceId|flowLogResourceID)=[/\\]", re.IGNORECASE)
_RESOURCE = re.compile(
    rb'"(resourceId|flowLogResourceID|targetResourceID)"\s*:\s*("(?:[^"\\]|\\.)*")'
)
_TIME = re.compile(rb'"time"\s*:\s*"([^"\\]*)"')
_NOTHING_CAME = (
    "standard input is empty: see that what is before the pipe ended well, and wrote a log"
)
_UNKNOWN_HOUR = datetime(1970, 1, 1, tzinfo=UTC)


def opened(sources: Sources, environ: Mapping[str, str]) -> "Sequence[Account] | FileLogs":
    """What a command reads: files, or accounts to which one is signed in.

    Raises:
        BadInputError: there is neither, or both, or a file that is not there.
    """
    given = expanded(sources.sources or ())
    files = [text for text in given if is_file(text)]
    accounts = [*(sources.account_name or ()), *(text for text in given if not is_file(text))]
    if files and accounts:
        raise BadInputError(
            f"{files[0]} is a file and {accounts[0]} an account: give files or accounts, not both"
        )
    if files:
        return FileLogs(files)
    return sign_in(accounts, environ, "; say - to read standard input" if is_fed() else "")


def are_named(sources: Sources, environ: Mapping[str, str]) -> bool:
    """Whether a command that can do without logs was told any, in its words or around it."""
    if sources.sources or sources.account_name:
        return True
    return any(
        environ.get(key) for key in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT")
    )


def is_file(text: str) -> bool:
    """Whether a source that was typed names files; else it names an account."""
    if text.lower().startswith(("/subscriptions/", "https://", "http://")):
        return False
    if text == STDIN or text.lower().endswith(_ENDINGS):
        return True
    return _PLACE.match(text) is not None or Path(text).exists()


class Hour(NamedTuple):
    """An hour of an NSG or VNet flow log, which is named by its id in lower case."""

    kind: str
    resource: str
    hour: datetime


class FileLogs:
    """The logs of some files, and where they are read: it stands in for accounts.

    `failures` has a sentence for each file that is no log, `names` the NSGs by name.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """Find the files.

        Raises:
            BadInputError: one is not there.
        """
        self.failures: dict[str, str] = {}
        self.names: set[str] = set()
        self._spool: IO[bytes] | None = None
        self._turn = Lock()
        self._places: dict[BlobRef, tuple[Path | None, int, int]] = {}
        self._logs: list[Log] = []
        self._typed: dict[str, str] = {}
        self._others: list[str] = []
        taken: set[Path] = set()
        if STDIN in texts:
            self._add(STDIN, None)
        for text in texts:
            if text == STDIN:
                continue
            path = Path(text).expanduser()
            if not path.exists():
                raise BadInputError(
                    f"there is no file {text}: give a file, a folder, - or an account"
                )
            for one in self._below(path) if path.is_dir() else [path]:
                # Given twice, or in a folder that is given too: its flows are not twice as many.
                if (whole := one.resolve()) not in taken:
                    taken.add(whole)
                    self._add(str(one), one)
        if self._others and not self._logs:
            raise BadInputError("; ".join(self._others))
        if not self._logs and not self.failures:
            raise BadInputError(
                f"there are no flow logs in {', '.join(texts)}: give a folder that has PT1H.json "
                "below it"
            )

    def hours(
        self,
        nsgs: Iterable[str],
        newest: int | None,
        span: Sequence[datetime] | None,
        held: Callable[[Log], Iterable[Hour]] | None = None,
    ) -> Iterator[list[Log]]:
        """The logs by the hour, the oldest first: of these NSGs and hours.

        Or the `newest` so many of each NSG and VNet flow log, the newest hour first. `held` tells
        what is in a file of which no path does; what has one of the newest hours is read whole.
        """
        accepts = matcher(nsgs)
        wanted = [
            log
            for log in self._logs
            if is_loose(log)
            or log.path.kind == "vnet"
            or accepts(log.path.resource.rpartition("/")[2], log.path.resource)
        ]
        by_hour: dict[datetime, list[Log]] = {}
        for log in _newest(wanted, newest, held) if newest else wanted:
            by_hour.setdefault(log.path.hour, []).append(log)
        for hour in sorted(by_hour, reverse=bool(newest)):
            logs = by_hour[hour]
            if span is not None and hour not in span:
                # What is not told by a path is read, and its flows are judged by their times.
                logs = [log for log in logs if is_loose(log)]
            if logs:
                yield logs

    def name_of(self, log: Log) -> str:
        """A file as it was typed or found."""
        return self._typed.get(str(log.ref), log.ref.path)

    def named(self, failure: Failure) -> Failure:
        """A failure of a file, with the file as it was typed or found."""
        name = self._typed.get(failure.log, failure.log)
        return Failure(name, failure.why.replace(failure.log, name))

    @property
    def loose(self) -> bool:
        """Whether there are files of which no path tells what they are: their records do."""
        return any(map(is_loose, self._logs))

    def newest_hour(self) -> datetime | None:
        """The newest hour that there is a log of."""
        return max((log.path.hour for log in self._logs), default=None)

    def list_blocks(self, ref: BlobRef) -> BlockList:
        """A file as a blob uploaded in one piece."""
        return BlockList((), self._places[ref][2], "")

    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes:  # noqa: ARG002 - a Source
        """Bytes of a file.

        Raises:
            BadInputError: it cannot be read.
        """
        path, begin, _ = self._places[ref]
        try:
            return self._bytes(path, begin + start, end - start)
        except OSError as exc:
            raise BadInputError(f"cannot read {ref.path}: {exc.strerror}") from exc

    def _bytes(self, path: Path | None, at: int, size: int) -> bytes:
        """So many bytes from there on, of a file or of what is kept."""
        if path is not None:
            with path.open("rb") as file:
                file.seek(at)
                return file.read(size)
        # Threads read side by side, and Windows opens no temporary file twice.
        spool = self._spool
        assert spool is not None  # noqa: S101 - what has no path is in it
        with self._turn:
            spool.seek(at)
            return spool.read(size)

    def _below(self, folder: Path) -> Iterator[Path]:
        """The files in a folder that may be logs, in the order of their names."""
        others = 0
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            if path.name.lower().endswith(_ENDINGS):
                yield path
            elif not path.name.startswith("."):
                others += 1
        if others:
            what = "1 file whose name does" if others == 1 else f"{others} files whose names do"
            endings = f"{', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}"
            note(f"left out of {folder}: {what} not end in {endings}")

    def _add(self, name: str, path: Path | None) -> None:
        try:
            begin, size = 0, path.stat().st_size if path is not None else 0
            with cast("BufferedReader", path.open("rb") if path is not None else _stdin()) as file:
                members = Members(file) if file.peek(2).startswith(MAGIC) else None
                opened = BufferedReader(members) if members is not None else file
                wide = opened.peek(2).startswith(_WIDE)
                # A pipe as <(zcat …) is no file.
                if path is None or members is not None or wide or not path.is_file():
                    begin, size, head = self._kept(_narrow(opened).read if wide else opened.read1)
                    path = None
                    if members is not None and members.problems:
                        self._tell(name, members.problems, nothing=not head)
                else:
                    head = file.read(_HEAD)
                    file.seek(-min(size, _TAIL), 2)
                    before, behind = _wrapping(head, file.read())
                    begin, size = before, max(size - before - behind, 0)
        except (OSError, EOFError) as exc:
            self.failures[name] = f"{_said(name)} cannot be read: {exc}"
            return
        if path is None and name == STDIN and not head.strip() and size <= len(head):
            self.failures[name] = _NOTHING_CAME
            self._others.append(_NOTHING_CAME)
            return
        if other := self._what_else(name, path, (begin, size), head):
            self.failures[name] = other
            self._others.append(other)
            return
        log = _log_path(name, head)
        container = NSG_CONTAINER if log.kind == "nsg" else VNET_CONTAINER
        at = _BLOB_PATH.search(name)
        folder, blob = (name[: at.start()], name[at.start() :]) if at else ("", name)
        ref = BlobRef(folder.rstrip("/\\") or "file", container, blob.replace("\\", "/"))
        self._places[ref] = path, begin, size
        self._typed[str(ref)] = _said(name)
        self._logs.append(Log(ref, log, size, ""))
        if log.kind == "nsg":
            self.names.add(log.resource.rpartition("/")[2])

    def _what_else(self, name: str, path: Path | None, place: tuple[int, int], head: bytes) -> str:
        begin, size = place
        return what_else(_said(name), head, size, partial(self._bytes, path, begin, size))

    def _tell(self, name: str, problems: Sequence[str], *, nothing: bool) -> None:
        """Keep what is wrong with a gzip.

        Raises:
            EOFError: there is nothing in it that can be read.
        """
        said = "; ".join(problems)
        if nothing:
            raise EOFError(said)
        self.failures[name] = f"{_said(name)}: {said}; what else is in it is read"

    def _kept(self, read: Callable[[int], bytes]) -> tuple[int, int, bytes]:
        """What is compressed, or comes once, is kept as it is read: place, size and beginning."""
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(prefix="nsgflow-")  # noqa: SIM115 - lives on
            finalize(self, self._spool.close)
        spool = self._spool
        begin = spool.seek(0, 2)
        for piece in iter(partial(read, _PIECE), b""):
            spool.write(piece)
        spool.flush()
        size = spool.tell() - begin
        spool.seek(begin)
        head = spool.read(_HEAD)
        spool.seek(-min(size, _TAIL), 2)
        before, behind = _wrapping(head, spool.read())
        return begin + before, max(size - before - behind, 0), head


def _newest(
    logs: Sequence[Log], hours: int, held: Callable[[Log], Iterable[Hour]] | None
) -> list[Log]:
    """Those of the newest so many hours of each NSG and VNet flow log, wherever they are kept."""
    of_log: list[set[Hour]] = []
    there: dict[tuple[str, str], set[datetime]] = {}
    for log in logs:
        found = set(held(log)) if held is not None and is_loose(log) and len(logs) > 1 else set()
        of_log.append(found or {Hour(log.path.kind, log.path.resource.lower(), log.path.hour)})
        for kind, resource, hour in of_log[-1]:
            there.setdefault((kind, resource), set()).add(hour)
    chosen = {Hour(*of, hour) for of, found in there.items() for hour in sorted(found)[-hours:]}
    return [log for log, found in zip(logs, of_log, strict=True) if found & chosen]


def is_loose(log: Log) -> bool:
    """Whether no path tells what is in a file: it may be of several NSGs and hours."""
    return not log.path.mac


def _said(name: str) -> str:
    return "standard input" if name == STDIN else name


def _stdin() -> IO[bytes]:
    """Standard input, as bytes.

    Raises:
        BadInputError: there is none.
    """
    if sys.stdin is None:
        raise BadInputError("standard input is closed: there is nothing to read")
    return sys.stdin.buffer


def _narrow(file: IO[bytes]) -> IO[bytes]:
    """UTF-16, as PowerShell redirects, as UTF-8."""
    return cast("IO[bytes]", codecs.EncodedFile(file, "utf-8", "utf-16", "replace"))


def _wrapping(head: bytes, tail: bytes) -> tuple[int, int]:
    """How many bytes a file has around its records: a byte order mark, the brackets of an array."""
    begin = len(_MARK) if head.startswith(_MARK) else 0
    inner = head[begin:].lstrip()
    if not inner.startswith(b"["):
        return begin, 0
    last = tail.rstrip()
    behind = len(tail) - len(last) + 1 if last.endswith(b"]") else 0
    return len(head) - len(inner) + 1, behind


def _log_path(name: str, head: bytes) -> LogPath:
    """What a file is a log of: as its path says, else as its first record does."""
    at = _BLOB_PATH.search(name)
    if at:
        try:
            return parse_path(name[at.start() :].replace("\\", "/").removesuffix(".gz"))
        except BadInputError:
            pass
    time = _TIME.search(head)
    try:
        moment = datetime.fromisoformat(time[1].decode()) if time else _UNKNOWN_HOUR
        hour = floor(moment.replace(tzinfo=moment.tzinfo or UTC))
    except ValueError:
        hour = _UNKNOWN_HOUR
    found: dict[str, str] = {}
    for key, value in _RESOURCE.findall(head):
        found.setdefault(key.decode(), json.loads(value))
    if "flowLogResourceID" in found or "targetResourceID" in found:
        return LogPath("vnet", found.get("flowLogResourceID", ""), hour, "")
    return LogPath("nsg", found.get("resourceId", f"/{name}"), hour, "")
