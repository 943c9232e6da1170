"""docs/nsgflow.1: the manual page, of the same definitions as docs/cli.md.

The language is that of man(7), as both groff and mandoc read it.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import typer

from nsgflow_core import __version__, terms
from nsgflow_core.cli.examples import EXAMPLES
from nsgflow_core.cli.main import app

EXIT_STATUSES = (
    ("0", "done"),
    ("1", "failed, or `check` found something wrong; the reason and its mend are on stderr"),
    ("2", "wrong usage or settings"),
    ("3", "something could not be read, or is being worked on: named on stderr, the rest shown"),
    ("4", "what `--fail-on` names is there"),
    ("130", "interrupted"),
    ("141", "the reader of the pipe went away"),
)
SIGN_IN = (
    ("a SAS behind `?` of the URL that `--account-name` takes", "for that account alone"),
    (
        "`AZURE_STORAGE_CONNECTION_STRING`",
        "for the account that it is of; also how to read Azurite",
    ),
    ("`STORAGE_ACCOUNT_KEY`", "as with get_nsg_logs"),
    ("`AZURE_STORAGE_KEY`, `AZURE_STORAGE_SAS_TOKEN`", "as with az, for `AZURE_STORAGE_ACCOUNT`"),
    (
        "none of them",
        "who is signed in (`az login`, managed identity), as Storage Blob Data Reader",
    ),
)
_CHANGED = "2026-11-26"
"""When this page last changed in what it says: readers of manuals want a date."""
_WIDTH = 72
_DEPLOYED = "checkpoints, replay, run, check, dead-letters, silence and mark"


def man_page() -> str:
    """The text of docs/nsgflow.1."""
    group = typer.main.get_group(app)
    root = typer.Context(group, info_name="nsgflow")
    lines = [
        f'.TH NSGFLOW 1 {_CHANGED} "nsgflow {__version__}" "User Commands"',
        ".nh",
        ".ad l",
        *_section("Name", ["nsgflow \\- which NSG, which rule, which port: Azure flow logs"]),
        *_section("Synopsis", [".B nsgflow", ".I COMMAND", "[OPTIONS]"]),
        *_section("Description", _paragraphs(str(group.help))),
        *_paragraphs(
            "Sources are files, folders, - for stdin, or storage accounts: by name, resource id "
            "or the URL of their blob service. With files no connection is opened."
        ),
        *_section("Commands", []),
        *_commands(root),
        *_section("Filter terms", _filter_terms()),
        *_section("Environment", _environment()),
        *_section("Exit status", _tagged(EXIT_STATUSES)),
        *_section("Examples", _examples("")),
        *_section("See also", [".BR az (1)"]),
    ]
    return "\n".join(_tidy(lines)) + "\n"


def _tidy(lines: Iterable[str]) -> Iterator[str]:
    """Without the paragraph that a heading begins anyway."""
    last = ""
    for line in lines:
        if line != ".PP" or not last.startswith((".SH", ".SS")):
            yield line
        last = line


def _commands(context: Any) -> Iterator[str]:
    """The commands of a group, those of groups below it after their group."""
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        settings = command.context_settings
        below = typer.Context(command, info_name=name, parent=context, **settings)
        words = below.command_path.partition(" ")[2]
        yield f".SS {_escaped(below.command_path)}"
        if hasattr(command, "list_commands"):
            yield from _paragraphs(str(command.help))
            yield from _examples(words)
            yield from _commands(below)
            continue
        yield ".PP"
        yield f".B {_escaped(below.command_path)}"
        yield _text(" ".join(command.collect_usage_pieces(below)))
        yield from _paragraphs(str(command.help))
        yield from _tagged(command.argument_records(below))
        yield from _tagged(command.option_records(below))
        yield from _examples(words)


def _filter_terms() -> Iterator[str]:
    for sentence in terms.GRAMMAR:
        yield from _paragraphs(sentence)
    keys = terms.KEYS.values()
    yield from _tagged((told.example, f"{told.values}: {told.matches}") for told in keys)
    yield from _paragraphs("For example:")
    yield from _tagged(terms.EXAMPLES)


def _environment() -> Iterator[str]:
    yield from _paragraphs("One signs in to storage with the first of these that is there:")
    yield from _tagged(SIGN_IN)
    yield from _paragraphs(
        f"NO_COLOR switches colours off. {_DEPLOYED} take the settings of the deployed function "
        "by their names."
    )


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f".SH {title.upper()}", *lines]


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from (".PP", _text(paragraph))


def _tagged(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What stands in bold, and beside it what is said of it."""
    for tag, told in pairs:
        yield from (".TP", f".B {_escaped(terms.plain(tag))}", _text(told))


def _examples(words: str) -> Iterator[str]:
    for told, typed in EXAMPLES[words]:
        if told:
            yield from _paragraphs(f"{told}:")
        yield from (".RS 4", ".nf", _escaped(typed), ".fi", ".RE")


def _text(text: str) -> str:
    """Words in lines, none of which begins like a request."""
    words = " ".join(terms.plain(text).split())
    wrapped = textwrap.wrap(words, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join("\\&" * line.startswith(".") + _escaped(line) for line in wrapped)


_SPECIAL = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}


def _escaped(text: str) -> str:
    """Letters that roff reads otherwise, and those that are not of ASCII."""
    return re.sub(
        r"[\\'^~\"-]|[^\x00-\x7f]",
        lambda found: _SPECIAL.get(found[0]) or f"\\[u{ord(found[0]):04X}]",
        text,
    )
