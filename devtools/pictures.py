"""The pictures of the README, of the demo's data; `python -m devtools.docs` writes them.

What the command line prints on a terminal becomes an SVG that asks for nothing; the report is
photographed by headless Chromium where there is one. The same data makes the same SVG; of the
report the digest of its page is kept beside the picture, since browsers differ by their fonts.
"""

import contextlib
import datetime as dt
import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from devtools import shell
from devtools.demo_estate import tables
from devtools.demo_traffic import whole_logs
from devtools.resource_manager import run
from nsgflow_core.cli.inventories import Kept, write_file
from nsgflow_core.estate.resource_graph import read_inventory

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
START = dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)
COLUMNS = 128

_NETWORK = ("--inventory", "network.nsgflow")
_BY = ("--by", "nsg,rule,destination,port")
_INSIDE = ("--filter", "!src=internet")
_COMMANDS = {
    "denied.svg": ("denied", "logs", *_NETWORK, *_BY, *_INSIDE),
    "why.svg": ("why", "web1", "sql1:1433", "logs", *_NETWORK),
}
_REPORT = ("report", "logs", *_NETWORK, *_INSIDE, "-o", "denied.html")
DIGEST = "report.sha256"
_OF_NOW = {
    r"Made by nsgflow [\d.]+ at [^.]*\.": "Made by nsgflow.",
    r" UTC, \d+ \w+ old\.": " UTC.",
}
_SIZE = "1200,1150"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# Fonts that the reader has: a picture in a README may fetch none.
_FORMAT = re.sub(r"@font-face {{.*?}}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace"
)
# Light enough on dark, as a terminal is; a frame of its own, whatever stands around it.
_THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255),
     (188, 140, 255), (57, 197, 207), (177, 186, 196)],
)  # fmt: skip


class _Tables:
    """Resource Graph as far as `read_inventory` asks it, without a server in between."""

    def query(self, query: str, page: int = 0) -> Iterator[dict[str, Any]]:  # noqa: ARG002
        """The rows of a query over the demo's network."""
        yield from run(query, tables())


def write_network(place: Path, made: float) -> None:
    """The demo's network as `nsgflow inventory --export` writes it."""
    write_file(place, Kept(made, read_inventory(_Tables()), b"", []))


@contextlib.contextmanager
def data() -> Iterator[Path]:
    """A folder with the demo's logs and network, as of a day that never changes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in whole_logs(START).items():
            place = folder / "logs" / path
            place.parent.mkdir(parents=True)
            place.write_bytes(content)
        write_network(folder / "network.nsgflow", START.timestamp())
        yield folder


def svg(folder: Path, words: tuple[str, ...]) -> str:
    """What a command prints on a terminal, under the line that was typed."""
    shown = Console(record=True, width=COLUMNS, file=io.StringIO())
    shown.print(Text(f"$ nsgflow {shlex.join(words)}\n", "dim"))
    shown.print(Text.from_ansi(_on_a_terminal(folder, words)))
    name = f"nsgflow-{words[0]}"
    return shown.export_svg(title="nsgflow", code_format=_FORMAT, theme=_THEME, unique_id=name)


def _environment() -> dict[str, str]:
    settings = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "TZ": "UTC"}
    return shell.without(os.environ) | settings


def _on_a_terminal(folder: Path, words: tuple[str, ...]) -> str:
    """What a command writes to stdout where that is a terminal."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "nsgflow_core", *words]
    with (
        open(ours, "rb", buffering=0) as screen,  # noqa: PTH123 - a descriptor
        subprocess.Popen(command, cwd=folder, env=_environment(), stdout=theirs) as running,
    ):
        os.close(theirs)
        written = b""
        with contextlib.suppress(OSError):  # how the end of a terminal reads on Linux
            while part := screen.read(65536):
                written += part
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return written.decode().replace("\r\n", "\n").rstrip("\n")


def report(folder: Path) -> Path:
    """The report of the data, as of a time that never changes."""
    command = [sys.executable, "-m", "nsgflow_core", *_REPORT]
    subprocess.run(command, cwd=folder, env=_environment(), check=True, capture_output=True)
    page = folder / "denied.html"
    text = page.read_text()
    for of_now, of_any_day in _OF_NOW.items():
        text, number = re.subn(of_now, of_any_day, text)
        if number != 1:
            raise RuntimeError(f"the page says {number} times what today changes: {of_now}")
    page.write_text(text)
    return page


def photograph(page: Path, picture: Path) -> None:
    """A picture of a page, as headless Chromium shows it.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    if CHROMIUM is None:
        raise FileNotFoundError("chromium")
    subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={page.parent / 'profile'}", f"--window-size={_SIZE}",
            "--virtual-time-budget=2000", f"--screenshot={picture}", page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )  # fmt: skip


def made(folder: Path) -> dict[str, str]:
    """The pictures that are text, by name, and the digest of the page that is photographed."""
    texts = {name: svg(folder, words) for name, words in _COMMANDS.items()}
    return texts | {DIGEST: f"{hashlib.sha256(report(folder).read_bytes()).hexdigest()}\n"}


def current() -> dict[str, str]:
    """The same of the demo's data, by their paths below docs/."""
    with data() as folder:
        return {f"{FOLDER.name}/{name}": text for name, text in made(folder).items()}


def photograph_report() -> None:
    """Make the picture of the report.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    with data() as folder:
        photograph(report(folder), FOLDER / "report.png")
