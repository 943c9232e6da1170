"""What one run of the digests leaves for the next, and where that and the ledgers are."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.ledger import Seen
from nsgflow_core.digests.life import Life
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.rows import Marks, Row, Watched
from nsgflow_core.digests.silences import Held, Silence
from nsgflow_core.errors import NsgflowError


class StateChangedError(NsgflowError):
    """Somebody else wrote the state: the digest is theirs to post."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Something that a person did, as they call it, at a time in seconds since the epoch."""

    at: float
    text: str


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that one run tells the next; times are seconds since the epoch.

    `completed` is when ledgers were last read, and `seen` how far, by hour and row; the hours in
    `unread` could not be read. `waiting`
    and `others` are counted and in no digest yet. `told` says when each group was last told.
    `pending` is the digest that may not have been accepted yet, with the ids of all groups it
    tells in `telling`. `attempted` is when a digest was last posted; none is before `not_before`.
    `trusted` says that the receiver took something since it last refused everything; then a
    digest whose content it refuses is posted with only `shown` groups (-1 is all). `lives` are
    the groups that were told and are not over, and `over` says of those that ended lately until
    when nothing more can begin of them, in milliseconds. `silences` are all that were made and may
    hold, and `held` is what they hold back, by their ids. `marks` are in the order of their times.
    """

    completed: float = 0.0
    seen: dict[str, dict[str, Seen]] = {}
    waiting: tuple[Tally, ...] = ()
    others: int = 0
    told: dict[str, float] = {}
    pending: Digest | None = None
    telling: tuple[str, ...] = ()
    attempted: float = 0.0
    not_before: float = 0.0
    trusted: bool = False
    shown: int = -1
    unread: tuple[str, ...] = ()
    lives: dict[str, Life] = {}
    over: dict[str, int] = {}
    marks: tuple[Mark, ...] = ()
    held: dict[str, Held] = {}
    silences: tuple[Silence, ...] = ()

    @property
    def to_post(self) -> Digest | None:
        """The pending digest, as it is to be posted."""
        if self.pending is None or self.shown < 0:
            return self.pending
        return self.pending.cut(self.shown)


class StateStore(Protocol):
    """Where the state is; `digest_state.DigestState` is the real one."""

    def read(self) -> tuple[State, str]:
        """The state and its ETag; an empty one and "" where there is none."""

    def write(self, state: State, etag: str) -> str:
        """Write the state over the one that was read; its new ETag.

        Raises:
            StateChangedError: it is not as it was read.
        """


class Ledgers(Protocol):
    """Where ledgers are; `ledgers.Ledgers` is the real one and documents the methods."""

    def rows(self, hour: datetime, *, everything: bool = False) -> Iterable[Row]: ...  # noqa: D102
    def marks(self) -> Marks: ...  # noqa: D102
    def unwatch(self, watched: Watched) -> None: ...  # noqa: D102
