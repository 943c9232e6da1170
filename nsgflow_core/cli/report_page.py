"""The report as one HTML file: nothing is fetched, and no text of a log is more than text.

Script and style are inlined and allowed by their digests alone (CSP Level 3,
https://www.w3.org/TR/CSP3/#external-hash); what stands in the script is numbers.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import msgspec

from nsgflow_core.cli.harmless import printable
from nsgflow_core.cli.minutes import Timeline
from nsgflow_core.model import second_of

_FOLDER = Path(__file__).with_name("page")
_LONGEST = 300
"""Characters of a text of a log that are shown."""

_WHOLE, _WHOLE_IN_CELL = 40, 35
"""Letters of a word that stands in one line; a GUID has 36, which may be two in a table."""

_MINUTE = 60

_NAMES = ("", "long")
"""Kinds of columns that have names of a log."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what it is of, its columns and their kinds, its rows.

    Kinds are "", number, whole, when and long; `more` says what was left out.
    """

    id: str
    title: str
    about: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]
    more: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What stands in a report: texts as they are, escaped when it is written."""

    title: str
    about: Sequence[str]
    totals: Sequence[tuple[str, str]]
    timeline: Timeline
    tables: Sequence[Table]
    proposals: Sequence[str]
    proposals_about: str
    foot: str


def text(words: str) -> str:
    """A text of a log as HTML: no markup, nothing that steers, its direction its own."""
    if len(words) > _LONGEST:
        words = f"{words[:_LONGEST]}…"
    return f"<bdi>{_unbroken(words, _WHOLE_IN_CELL)}</bdi>" if words else ""


def _unbroken(words: str, whole: int = _WHOLE) -> str:
    """A line as HTML that is not broken within a word, unless that is too long for a line."""
    return " ".join(_word(word, whole) for word in words.split(" "))


def _word(word: str, whole: int) -> str:
    if len(word) > whole:
        return f'<span class="long">{_plain(word)}</span>'
    return f"<span>{_plain(word)}</span>" if "-" in word else _plain(word)


def written(page: Page) -> str:
    """The whole file."""
    style = _asset("uPlot.min.css") + _asset("report.css")
    columns = (page.timeline.times, page.timeline.inbound, page.timeline.outbound)
    numbers = msgspec.json.encode({"seconds": page.timeline.seconds, "columns": columns}).decode()
    licence = _asset("uPlot.LICENSE")
    script = (
        f"/*\n{licence}*/\n{_asset('uPlot.iife.min.js')}\n"
        f"const TIMELINE = {numbers};\n{_asset('report.js')}"
    )
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    sections = [
        ("time", "Time line", _timeline(page.timeline)),
        *((table.id, table.title, _table(table)) for table in page.tables),
        ("proposals", "Proposals", _proposals(page)),
    ]
    links = "".join(
        f'<li><a href="#{name}">{_plain(title)}</a></li>' for name, title, _ in sections
    )
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{_plain(title)}</h2>{inner}</section>\n'
        for name, title, inner in sections
    )
    totals = "".join(
        f"<div><dt>{_plain(name)}</dt><dd>{_plain(value)}</dd></div>" for name, value in page.totals
    )
    about = "".join(f"<p>{_unbroken(line)}</p>" for line in page.about)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_plain(page.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">To the content</a>\n'
        f"<header><h1>{_plain(page.title)}</h1>{about}</header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'
        f'<main id="main" tabindex="-1">\n<dl class="totals">{totals}</dl>\n{body}</main>\n'
        f"<footer><p>{_plain(page.foot)}</p></footer>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _plain(words: str) -> str:
    return html.escape(printable(words))


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(inlined: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()}'"


def _timeline(line: Timeline) -> str:
    if not line.times:
        return "<p>There is nothing to show.</p>"
    totals = [came + went for came, went in zip(line.inbound, line.outbound, strict=True)]
    most = max(range(len(totals)), key=totals.__getitem__)
    begun = [_begin(at, line.seconds) for at in line.times]
    told = (
        f"Denied flows in {len(totals)} bars of {_width(line.seconds)}; the most, "
        f"{totals[most]:,}, from {begun[most]}. The table below has all numbers."
    )
    rows = [
        (at, f"{came:,}", f"{went:,}")
        for at, came, went in zip(begun, line.inbound, line.outbound, strict=True)
        if came or went
    ]
    columns = [("from (UTC)", "whole"), ("inbound", "number"), ("outbound", "number")]
    about = f"Denied flows by time, {_width(line.seconds)} a row; times without any are left out."
    table = _table(Table("numbers", "", about, columns, rows))
    return (
        f'<figure><div id="chart" role="img" aria-label="{_plain(told)}"></div>'
        '<figcaption><span class="one"><span class="key in"></span>inbound</span> '
        '<span class="one"><span class="key out"></span>outbound;</span> '
        f"each bar is {_width(line.seconds)}, times are UTC</figcaption></figure>"
        f"<details><summary>The numbers of the time line</summary>{table}</details>"
    )


def _width(seconds: int) -> str:
    units = ((86_400, "day"), (3_600, "hour"), (_MINUTE, "minute"), (1, "second"))
    number, name = next((seconds // size, name) for size, name in units if seconds % size == 0)
    return f"{number} {name}{'s' * (number > 1)}"


def _begin(seconds: int, bar: int) -> str:
    """When a bar of so many seconds begins, to the second where bars are shorter than minutes."""
    text = second_of(seconds).replace("T", " ")
    return text[:-3] if bar % _MINUTE == 0 else text


def _table(table: Table) -> str:
    """A table that scrolls by itself, from the keyboard too.

    The region has its caption for a name, since landmarks of one name cannot be told apart.
    """
    if not table.rows:
        return f"<p>{_plain(table.about)}</p><p>There are none.</p>"
    heads = "".join(
        f'<th scope="col"{_kind(kind)}>{_plain(name)}</th>' for name, kind in table.columns
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{_kind(kind)}>{text(cell) if kind in _NAMES else _plain(cell)}</td>"
            for (_, kind), cell in zip(table.columns, row, strict=True)
        )
        + "</tr>\n"
        for row in table.rows
    )
    more = f'<p class="dim">{_plain(table.more)}</p>' if table.more else ""
    return (
        f'<div class="wide" role="region" tabindex="0" aria-labelledby="{table.id}-about">'
        f'<table class="sorted"><caption id="{table.id}-about">'
        f"<span>{_plain(table.about)}</span></caption>"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>{more}"
    )


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _proposals(page: Page) -> str:
    about = f"<p>{_plain(page.proposals_about)}</p>"
    return about + "".join(map(_block, _together(page.proposals)))


def _together(proposals: Sequence[str]) -> Iterator[str]:
    """The proposals, those that follow each other without a command as one."""
    for command, some in groupby(proposals, _has_command):
        if command:
            yield from some
        else:
            yield "\n".join(some)


def _has_command(proposal: str) -> bool:
    return not all(line.startswith("#") for line in proposal.splitlines())


def _block(words: str) -> str:
    lines: Iterable[str] = (_unbroken(line) for line in words.rstrip("\n").split("\n"))
    return f'<pre tabindex="0"><code dir="ltr">{chr(10).join(lines)}</code></pre>\n'
