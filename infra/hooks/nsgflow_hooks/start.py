"""Starts a hook: errors become one message and exit status 1, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from nsgflow_hooks.console import complain, prepare
from nsgflow_hooks.errors import AzureError, HookError
from nsgflow_hooks.events import hide


def start(hook: Callable[[], int]) -> None:
    """Run the hook and leave the process with its exit status."""
    prepare()
    try:
        status = hook()
    except (HookError, AzureError) as error:
        complain(hide(str(error)))
        status = 1
    except OSError as error:  # a disk that is full, a folder that one may not write to
        complain(str(error))
        status = 1
    except KeyboardInterrupt:
        complain("interrupted; running it again goes on")
        status = 130
    sys.exit(status)
