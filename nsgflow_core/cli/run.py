"""`nsgflow run`: the pipeline in a loop, without the Functions host.

The sweep is all it takes: it looks at this hour and the one before every time, and finds by
listing what the function hears of by events. Same settings, same state: either may go on where
the other stopped, or both may run at once.
"""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nsgflow_core.cli.options import Interval
from nsgflow_core.cli.session import note, sentence, session
from nsgflow_core.errors import BadInputError, NsgflowError

_STOP_SECONDS = 60.0


def run(*, interval: Interval = 10) -> None:
    """Run the pipeline in a loop, without Functions.

    For a container or a laptop, with the function's own settings (AzureWebJobsStorage, FlowLogs,
    NSGFLOW_…) and state. SIGTERM ends it when what is under way is delivered and committed.
    """
    with session(verbose=True, of_app=True):
        import os

        from nsgflow_core.cli.state import settings_of
        from nsgflow_core.service import Service

        settings = settings_of(os.environ)
        if settings.logs is None and not settings.webhooks:
            raise BadInputError(
                "there is nothing to deliver to: set NSGFLOW_LOGS_ENDPOINT and "
                "NSGFLOW_LOGS_RULE_ID, or NSGFLOW_WEBHOOK_URL"
            )
        try:
            service = Service(settings)
        except ValueError as exc:
            raise BadInputError(f"a storage setting cannot be used: {exc}") from exc
        with _asked_to_stop() as stop:
            note(f"running, a sweep every {interval:g} s")
            while not stop.is_set():
                try:
                    service.sweep()
                except NsgflowError as exc:
                    note(f"{sentence(exc)}; trying again")
                _wait(stop, interval)
            service.stop(_STOP_SECONDS)
        note("stopped")


def _wait(stop: threading.Event, seconds: float) -> None:
    """Wait so long, or until it is to stop: on Windows no wait is interrupted while it lasts."""
    until = time.monotonic() + seconds
    while not stop.is_set() and (left := until - time.monotonic()) > 0:
        stop.wait(min(left, 1))


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that the first SIGTERM or Ctrl-C sets; the second ends the process at once.

    On Windows Ctrl-Break does, too: it is what one process can send to another there.
    """
    stop = threading.Event()
    asks = {signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGINT)}
    before = {number: signal.getsignal(number) for number in asks}

    def ask(_number: int, _frame: object) -> None:
        stop.set()
        for number in before:
            signal.signal(number, signal.SIG_DFL)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
