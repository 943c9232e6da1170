"""What a command that takes long says on stderr while it works."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nsgflow_core.cli.read import Tally

_SLOW = 1.0
"""Seconds after which a read counts as long, and shows its progress."""
_SELDOM = 60.0
"""Seconds between the lines that stand for the foot of a terminal."""


@contextmanager
def progress() -> Iterator[Callable[[Tally], None]]:
    """A bar on stderr for a read that takes long; nothing where stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals pay for it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("reading {task.fields[logs]} logs"),
        BarColumn(),
        DownloadColumn(),
        console=Console(stderr=True),
        transient=True,
        # Lines that go to the same terminal are put above the bar.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=True,
    )
    task = bar.add_task("", total=None, logs=0)
    begun = time.monotonic()

    def show(tally: Tally) -> None:
        bar.update(task, completed=tally.bytes_read, total=tally.bytes_known, logs=tally.logs)
        if time.monotonic() - begun > _SLOW:
            bar.start()

    try:
        yield show
    finally:
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
    from rich.console import Console  # noqa: PLC0415 - only terminals pay for it
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # Lines that go to the same terminal are put above the foot; a pipe is left alone.
    with Live(
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
        redirect_stdout=sys.stdout.isatty(),
    ) as live:
        yield lambda text: live.update(Text(text, style="dim"), refresh=True)
