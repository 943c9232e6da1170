"""`nsgflow dead-letters`: what the deployed function put aside: list it, show it, send it.

All text of a dead letter comes from a log, and so from whoever could make Azure write it: what
could steer a terminal is shown as an escape, in JSON too.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import translate
from typing import Any

import typer

from nsgflow_core.cli.formats import write_csv, write_table
from nsgflow_core.cli.session import Status, note, sentence
from nsgflow_core.cli.times import moment
from nsgflow_core.config import Settings, from_env
from nsgflow_core.delivery.dead_letters import INPUT, PREFIX, DeadLetters, Letter, Listed
from nsgflow_core.delivery.resend import Plan, ResendingSink, plan, send
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER, LogPath, parse_path
from nsgflow_core.storage import blob_service, credential

OUTPUTS = ("table", "json", "csv")
SHOW_OUTPUTS = ("text", "json")
_COLUMNS = ("id", "written", "hour", "log", "mac", "kind", "entries", "omitted", "bytes", "reason")
_NAME = re.compile(
    re.escape(PREFIX) + r"[^/]+/[^/]+/(?P<path>.+/PT1H\.json)/\d+-(?:\d+-)?(?P<kind>\w+)\.json",
    re.IGNORECASE,
)
_ID_DIGITS = re.compile(r"[0-9a-f]{4,8}")
_WORKERS = 8
_SHOWN = 2000
"""Characters of an entry that are shown as text; JSON has all that was kept."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters: written since a time, of NSGs by name, of a kind; "" means all."""

    since: str = ""
    nsg: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter in the listing, with what its name says."""

    listed: Listed
    log: LogPath
    kind: str

    @property
    def id(self) -> str:
        """Eight hex digits to name it by."""
        return hashlib.blake2b(self.listed.name.encode(), digest_size=4).hexdigest()


def list_letters(environ: Mapping[str, str], choice: Choice, output: str) -> None:
    """Write a line for each dead letter.

    Raises:
        NsgflowError: the settings are wrong, or the state cannot be read.
    """
    if output not in OUTPUTS:
        raise BadInputError(f"--output {output!r} is not one of {', '.join(OUTPUTS)}")
    letters = _letters(from_env(environ))
    found = _chosen(letters, choice)
    with ThreadPoolExecutor(_WORKERS) as pool:
        rows = list(pool.map(lambda one: _row(letters, one), found))
    if output == "json":
        for row in rows:
            _write_json(row)
    elif output == "csv":
        write_csv(_COLUMNS, ({key: escaped(str(row[key])) for key in _COLUMNS} for row in rows))
    elif rows:
        write_table(_COLUMNS, [[escaped(str(row[key])) for key in _COLUMNS] for row in rows])
    else:
        note("there are no dead letters of that kind" if any(_fields(choice)) else "none")


def show_letter(environ: Mapping[str, str], name: str, output: str) -> None:
    """Write all of one dead letter.

    Raises:
        NsgflowError: there is none of that name, or the state cannot be read.
    """
    if output not in SHOW_OUTPUTS:
        raise BadInputError(f"--output {output!r} is not one of {', '.join(SHOW_OUTPUTS)}")
    letters = _letters(from_env(environ))
    (found,) = _named(_chosen(letters, Choice()), [name])
    letter = letters.read(found.listed)
    if output == "json":
        _write_json({"id": found.id, "name": found.listed.name, **_plain(letter)})
        return
    for line in _lines(found, letter):
        sys.stdout.write(line + "\n")


def resend_letters(
    environ: Mapping[str, str],
    names: Sequence[str],
    choice: Choice,
    *,
    everything: bool,
    dry_run: bool,
) -> None:
    """Send dead letters to the sinks, or with `dry_run` say what would be sent.

    Raises:
        NsgflowError: the settings are wrong, or the state cannot be read.
        typer.Exit: some letter, or a part of one, is still there.
    """
    if not names and not everything:
        raise BadInputError("name the dead letters to send ('nsgflow dead-letters list'), or --all")
    settings = from_env(environ)
    letters = _letters(settings)
    found = _chosen(letters, choice)
    if names:
        found = _named(found, names)
    sinks = _sinks(settings)
    if not sinks:
        raise BadInputError(
            "there is nothing to deliver to: set NSGFLOW_LOGS_ENDPOINT and NSGFLOW_LOGS_RULE_ID, "
            "or NSGFLOW_WEBHOOK_URL"
        )
    services = [blob_service(at) for at in settings.connections.values()]
    accounts = {str(service.account_name): service for service in services}
    work = _Resending(letters, FlowLogs(accounts), frozenset(accounts), sinks)
    done = [work.one(one, dry_run=dry_run) for one in found]
    if not found:
        note("there are no such dead letters")
    if not all(done):
        raise typer.Exit(Status.INCOMPLETE)


@dataclass(frozen=True, slots=True)
class _Resending:
    letters: DeadLetters
    source: FlowLogs
    accounts: frozenset[str]
    sinks: Mapping[str, ResendingSink]

    def one(self, found: Found, *, dry_run: bool) -> bool:
        """Send one letter and say what became of it; whether nothing of it is left."""
        try:
            letter = self.letters.read(found.listed)
            self._check(letter)
            made = plan(letter, self.source, self.sinks)
            if dry_run:
                self._say(found, letter, made, "would be sent")
                return not (made.left or letter.omitted)
            left = send(letter, made, self.sinks, self.letters)
            self.letters.settle(found.listed, letter, left)
        except NsgflowError as exc:
            note(f"{found.id}: {escaped(sentence(exc))}; it is left as it is")
            return False
        self._say(found, letter, made, "accepted")
        if len(left) > len(made.left):
            note(f"{found.id}: {len(left) - len(made.left)} were refused again and are kept")
        return not (left or letter.omitted)

    def _check(self, letter: Letter) -> None:
        """A letter that is not from one of our flow logs is none of ours.

        Raises:
            BadInputError: it is not.
        """
        if letter.kind == INPUT and letter.account not in self.accounts:
            raise BadInputError(f"no connection reads the account {letter.account[:40]!r}")
        if letter.container not in (NSG_CONTAINER, VNET_CONTAINER):
            raise BadInputError(f"{letter.container[:80]!r} holds no flow logs")

    def _say(self, found: Found, letter: Letter, made: Plan, what: str) -> None:
        counts = ", ".join(f"{count} to {name}" for name, count in sorted(made.counts.items()))
        rest = f"; {len(made.left)} entries stay" if made.left else ""
        sys.stdout.write(f"{found.id}  {counts or 'nothing'} {what}{rest}\n")
        for reason in made.why:
            note(f"{found.id}: stays: {escaped(reason)}")
        if letter.omitted:
            note(f"{found.id}: {letter.omitted} entries did not fit: replay the log for those")


def escaped(text: str) -> str:
    """Text with what could steer a terminal or break a line written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )


def _write_json(value: object) -> None:
    # ASCII only: a C1 control or a change of writing direction would pass as plain UTF-8.
    sys.stdout.write(json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n")


def _letters(settings: Settings) -> DeadLetters:
    try:
        host = blob_service(settings.host_storage)
    except ValueError as exc:
        raise BadInputError(f"AzureWebJobsStorage cannot be used: {exc}") from exc
    return DeadLetters(host.get_container_client(settings.state_container))


def _sinks(settings: Settings) -> dict[str, ResendingSink]:
    # Imported here because listing needs neither.
    from nsgflow_core.sinks.log_analytics import LogAnalyticsSink  # noqa: PLC0415
    from nsgflow_core.sinks.webhook import WebhookSink  # noqa: PLC0415

    sinks: dict[str, ResendingSink] = {}
    if settings.logs is not None:
        sinks[LogAnalyticsSink.name] = LogAnalyticsSink(settings.logs, credential())
    if settings.webhook is not None:
        sinks[WebhookSink.name] = WebhookSink(settings.webhook)
    return sinks


def _fields(choice: Choice) -> tuple[str, str, str]:
    return choice.since, choice.nsg, choice.kind


def _chosen(letters: DeadLetters, choice: Choice) -> list[Found]:
    accepts = _test(choice)
    return [found for listed in letters.list() if (found := _found(listed)) and accepts(found)]


def _found(listed: Listed) -> Found | None:
    """None for a blob that is not named as a dead letter is."""
    named = _NAME.fullmatch(listed.name)
    if named is None:
        return None
    try:
        return Found(listed, parse_path(named["path"]), named["kind"])
    except BadInputError:
        return None


def _test(choice: Choice) -> Callable[[Found], bool]:
    since = moment(choice.since, datetime.now(UTC)) if choice.since else None
    pattern = re.compile(translate(choice.nsg or "*"), re.IGNORECASE)

    def accepts(found: Found) -> bool:
        return (
            (since is None or found.listed.written >= since)
            and pattern.fullmatch(_log_name(found.log)) is not None
            and choice.kind in ("", found.kind)
        )

    return accepts


def _named(found: Sequence[Found], names: Sequence[str]) -> list[Found]:
    """The letters of these ids, or beginnings of ids, or names of blobs.

    Raises:
        BadInputError: there is none of a name, or more than one.
    """
    wanted: dict[str, Found] = {}
    for name in names:
        begins = name.lower() if _ID_DIGITS.fullmatch(name.lower()) else None
        fits = [
            one
            for one in found
            if one.listed.name == name or (begins and one.id.startswith(begins))
        ]
        if len(fits) != 1:
            how_many = "no dead letter has" if not fits else f"{len(fits)} dead letters have"
            raise BadInputError(f"{how_many} the id {name!r}: see 'nsgflow dead-letters list'")
        wanted[fits[0].listed.name] = fits[0]
    return list(wanted.values())


def _log_name(log: LogPath) -> str:
    return log.resource.rpartition("/")[2]


def _row(letters: DeadLetters, found: Found) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": found.id,
        "written": f"{found.listed.written.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "hour": f"{found.log.hour:%Y-%m-%dT%H:00Z}",
        "log": _log_name(found.log),
        "mac": found.log.mac,
        "kind": found.kind,
        "bytes": found.listed.size,
        "name": found.listed.name,
    }
    try:
        letter = letters.read(found.listed)
    except BadInputError as exc:
        return row | {"entries": 0, "omitted": 0, "reason": str(exc)}
    reason = letter.entries[0].reason if letter.entries else ""
    return row | {"entries": len(letter.entries), "omitted": letter.omitted, "reason": reason}


def _plain(letter: Letter) -> dict[str, Any]:
    return {
        "account": letter.account,
        "container": letter.container,
        "path": letter.path,
        "kind": letter.kind,
        "omitted": letter.omitted,
        "entries": [
            {
                "offset": entry.offset,
                "ordinal": entry.ordinal,
                "id": entry.id,
                "reason": entry.reason,
                "bytes": entry.size,
                "encoding": entry.encoding,
                "data": entry.data,
            }
            for entry in letter.entries
        ],
    }


def _lines(found: Found, letter: Letter) -> Iterator[str]:
    yield f"id       {found.id}"
    yield f"name     {escaped(found.listed.name)}"
    yield f"log      {escaped(str(letter.ref))}"
    yield f"kind     {escaped(letter.kind)}"
    yield f"entries  {len(letter.entries)}, {letter.omitted} more did not fit"
    for entry in letter.entries:
        place = f"byte {entry.offset}" + (f", flow {entry.ordinal}" if entry.ordinal else "")
        alert = f", alert {escaped(entry.id)}" if entry.id else ""
        yield ""
        yield f"{place}{alert}, {entry.size} bytes: {escaped(entry.reason)}"
        text = entry.content.decode(errors="backslashreplace")
        more = " …" if len(text) > _SHOWN or len(entry.content) < entry.size else ""
        yield f"    {escaped(text[:_SHOWN])}{more}"
