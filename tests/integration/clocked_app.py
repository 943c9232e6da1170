"""function_app.py on the clock of a test: the real one, moved by the seconds in a file."""

import os
import time
from pathlib import Path

from function_app import app
from nsgflow_core.service import Service

__all__ = ["app"]

MOVED = Path(os.environ["NSGFLOW_TEST_CLOCK"])


def moved_clock() -> float:
    """Seconds since the epoch."""
    return time.time() + float(MOVED.read_text() or 0)


# The app makes its service with the default clock, so that is the one to replace.
Service.__init__.__defaults__ = (moved_clock, *(Service.__init__.__defaults__ or ())[1:])
