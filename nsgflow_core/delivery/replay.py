"""Cursors put back to the start of their logs, so that the next sweep sends these again.

Safe while workers deliver and sweeps look, and wherever it ends: a checkpoint is marked first,
then its hour is asked for, and then it is moved if nobody wrote to it since. A sweep that takes
the hour for done has therefore looked behind the mark, and found it.
"""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.state_table import ClaimLostError
from nsgflow_core.model import BlobRef


class Hour(NamedTuple):
    """The hour of a connection's account whose logs are to be sent again."""

    connection: str
    at: datetime


def move_back(
    checkpoints: Checkpoints,
    hour: Hour,
    refs: Sequence[BlobRef],
    sinks: Callable[[Checkpoint], Collection[str]],
) -> list[BlobRef]:
    """Put the cursors of some sinks at the start of these logs.

    Returns:
        Those that somebody works on, and that were left as they are: to be tried again.

    Raises:
        TransientError, RefusedError: of the table; what was not moved yet is as it was.
    """
    marked = [row for ref in refs if (row := _marked(checkpoints, ref, hour.at)) is not None]
    if marked:
        checkpoints.ask_sweep(hour.connection, [hour.at])
    moved = {row.ref for row in marked if _moved(checkpoints, row, sinks(row))}
    return [ref for ref in refs if ref not in moved]


def _marked(checkpoints: Checkpoints, ref: BlobRef, hour: datetime) -> Checkpoint | None:
    """The checkpoint, pending and held by nobody; None if somebody works on the blob."""
    row = checkpoints.read(ref, hour)
    if row.pending and not row.owner:
        return row
    if row.owner and row.until > time.time():
        return None
    try:
        return checkpoints.write(replace(row, owner="", until=0.0, pending=True))
    except ClaimLostError:
        return None


def _moved(checkpoints: Checkpoints, row: Checkpoint, sinks: Collection[str]) -> bool:
    again = dict.fromkeys(sinks, Cursor())
    try:
        checkpoints.write(replace(row, cursors=row.cursors | again))
    except ClaimLostError:
        return False
    return True
