"""What others leave for the digests: rows of checkpoints, and hours to look at.

Whoever delivers blobs imports this and no more of what tells people.
"""

from datetime import datetime

import msgspec

from nsgflow_core.digests.ledger import Ledger
from nsgflow_core.digests.reach import Swept


class Watched(msgspec.Struct, frozen=True):
    """An hour that digests look at until a time in seconds since the epoch."""

    hour: datetime
    until: float
    etag: str


class Marks(msgspec.Struct, frozen=True):
    """What others left for the digests: hours to look at, and what sweeps have seen to."""

    watched: tuple[Watched, ...] = ()
    swept: Swept = Swept()


class Row(msgspec.Struct, frozen=True):
    """One blob: the beginning of its row's key, and what was counted in it.

    Where all rows of an hour were asked for, it has the name of its log, how far that was read, in
    milliseconds, and whether it is `whole`: nothing is known to be left in it. Until `uncounted`,
    in milliseconds, it was not counted.
    """

    key: str
    ledger: Ledger | None
    log: str = ""
    read_to: int = 0
    whole: bool = False
    uncounted: int = 0
