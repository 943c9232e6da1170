"""What a command that takes long says on stderr while it works."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Lock, Timer
from typing import TYPE_CHECKING, Any

from nsgflow_core.cli import colour
from nsgflow_core.cli.read import Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_SLOW = 1.0
"""Seconds after which something counts as long, and its progress is shown."""
_SELDOM = 60.0
"""Seconds between the lines that stand for the foot of a terminal."""


class Unseen:
    """Progress that nobody sees."""

    def listing(self, done: int, total: int) -> None:
        """So much of what there is to ask is asked, of so much; 0 where that is not known yet."""

    def reading(self, tally: Tally) -> None:
        """So much is read."""


class _Bar(Unseen):
    """A bar that appears when it has been a while; it is told from several threads."""

    def __init__(self, bar: "Progress") -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, doing="listing", amount="")
        self._begun = time.monotonic()
        self._reading = False

    def listing(self, done: int, total: int) -> None:
        if self._reading:  # it goes on ahead of that
            return
        amount = f"{done / total:.0%}" if total else f"{done} NSGs and VNet flow logs"
        self._show(completed=done if total else 0, total=total or None, amount=amount)

    def reading(self, tally: Tally) -> None:
        from rich.filesize import decimal  # noqa: PLC0415 - loaded by now

        # Where all that was found is read, what takes long is the listing of further hours.
        self._reading = tally.bytes_read < tally.bytes_known
        self._show(
            completed=tally.bytes_read,
            total=tally.bytes_known,
            doing=f"reading {tally.logs} logs",
            amount=f"{decimal(tally.bytes_read)} of {decimal(tally.bytes_known)}",
        )

    def _show(self, **fields: Any) -> None:
        self._bar.update(self._task, **{"doing": "listing"} | fields)
        if time.monotonic() - self._begun > _SLOW:
            self._bar.start()


@contextmanager
def progress() -> Iterator[Unseen]:
    """A bar on stderr for what takes long; nothing where stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield Unseen()
        return
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.fields[doing]}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        console=_console(plain=colour.unwanted()),
        transient=True,
        # Lines that go to the same terminal are put above the bar.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=True,
    )
    try:
        yield _Bar(bar)
    finally:
        if bar.live.is_started:  # what never showed would leave an empty line on some terminals
            bar.stop()


@contextmanager
def foot() -> Iterator[Callable[[str], None]]:
    """A line at the foot of a terminal; elsewhere a line of the log a minute."""
    if sys.stderr is None or not sys.stderr.isatty():
        last = float("-inf")

        def log(text: str) -> None:
            nonlocal last
            if time.monotonic() - last >= _SELDOM:
                last = time.monotonic()
                logging.getLogger("nsgflow").info("%s", text)

        yield log
        return
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # Lines that go to the same terminal are put above the foot; a pipe is left alone.
    with Live(
        console=_console(plain=colour.unwanted()),
        transient=True,
        auto_refresh=False,
        redirect_stdout=sys.stdout.isatty(),
    ) as live:
        yield lambda text: live.update(Text(text, style="dim"), refresh=True)


@contextmanager
def working(doing: str) -> Iterator[None]:
    """Say on stderr's terminal what takes longer than a second and has no parts to count."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    lock, shown, ended = Lock(), ExitStack(), Event()
    plain = colour.unwanted()  # which the timer's thread would not know

    def show() -> None:
        with lock:
            if not ended.is_set():
                shown.enter_context(_console(plain=plain).status(doing))

    timer = Timer(_SLOW, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        ended.set()
        with lock:
            shown.close()


def _console(*, plain: bool) -> "Console":
    """Stderr's terminal, without colours if it is to be plain."""
    from rich.console import Console  # noqa: PLC0415 - only terminals pay for it

    return Console(stderr=True, no_color=True if plain else None)
