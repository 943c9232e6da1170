"""Dead letters as people and programs are shown them.

All text of a dead letter comes from a log, and so from whoever could make Azure write it: what
could steer a terminal is shown as an escape, in JSON too.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from nsgflow_core.cli.dead_letters.letters import Found, log_name
from nsgflow_core.cli.harmless import escaped
from nsgflow_core.cli.names import joined
from nsgflow_core.cli.session import sentence
from nsgflow_core.delivery.dead_letters import DeadLetters, Letter
from nsgflow_core.errors import BadInputError, NsgflowError

_SHOWN = 2000
"""Characters of an entry that are shown as text; JSON has all that was kept."""


def line(letters: DeadLetters, found: Found) -> dict[str, Any]:
    """A dead letter in a line: where it is from, what it holds, the first reason.

    `unread` says why it could not be read; "" where it could.
    """
    row: dict[str, Any] = {
        "id": found.id,
        "written": f"{found.listed.written.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "hour": f"{found.log.hour:%Y-%m-%dT%H:00Z}",
        "log": log_name(found.log),
        "mac": found.log.mac,
        "kind": found.kind,
        "bytes": found.listed.size,
        "name": found.listed.name,
    }
    try:
        letter = letters.read(found.listed)
    except BadInputError as exc:
        return row | {"entries": 0, "omitted": 0, "reason": str(exc), "unread": ""}
    except NsgflowError as exc:
        return row | {"entries": None, "omitted": None, "reason": "", "unread": sentence(exc)}
    reason = letter.entries[0].reason if letter.entries else ""
    return row | {
        "entries": len(letter.entries),
        "omitted": letter.omitted,
        "reason": reason,
        "unread": "",
    }


def plain(letter: Letter) -> dict[str, Any]:
    """All of a dead letter for JSON."""
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


def lines(found: Found, letter: Letter, names: Mapping[str, Any]) -> Iterator[str]:
    """All of a dead letter as text, with what its interface is called."""
    yield f"id       {found.id}"
    yield f"name     {escaped(found.listed.name)}"
    yield f"log      {escaped(str(letter.ref))}"
    for what, name in joined(names).items():
        yield f"{what:<8} {escaped(name)}"
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
