"""What a sweep owes to whom: judged from a checkpoint and a listing, without a request. Pure."""

from collections.abc import Collection

import msgspec
from msgspec.structs import replace

from nsgflow_core.delivery.checkpoint import Checkpoint
from nsgflow_core.delivery.cursor import Cursor, beginning
from nsgflow_core.logs.listing import ListedBlob


class Owed(msgspec.Struct, frozen=True):
    """Why a blob should be run.

    `sinks` names those it is for, as far as is known; `failures` is how often in a row the one
    of them that fares best has failed with it. `marked` says that its checkpoint is pending, so
    that a later sweep finds it without a listing. With `waits` a run would find nobody due, and
    is not made.
    """

    sinks: frozenset[str] = frozenset()
    failures: int = 0
    marked: bool = False
    waits: bool = False


def owed(
    row: Checkpoint | None, blob: ListedBlob | None, sinks: Collection[str], now: float
) -> Owed | None:
    """What is owed of a blob by its checkpoint and its place in a listing; one may be missing.

    `sinks` are those that this process has. None means that nothing is to be done.
    """
    if row is None:
        return Owed()
    ours = _ours(row, sinks)
    if blob is None:
        behind = {name: at for name, at in ours.items() if at.behind_since}
        changed = False
    else:
        seen = (blob.size, blob.etag)
        behind = {name: at for name, at in ours.items() if (at.seen, at.etag) != seen}
        changed = bool(behind) or not row.cursors
    if not changed and not row.pending:
        return None
    if row.owner or not behind:
        # A claim that was left behind, or a mark; only of others' sinks does it say for whom.
        others = any(at.behind_since for name, at in row.cursors.items() if name not in sinks)
        return Owed(marked=row.pending, waits=others and not changed and not row.owner)
    return Owed(
        frozenset(behind),
        min(at.failures for at in behind.values()),
        row.pending,
        all(at.not_before > now for at in behind.values()),
    )


def _ours(row: Checkpoint, sinks: Collection[str]) -> dict[str, Cursor]:
    """The cursors of these sinks; one that is new will begin where the furthest stands."""
    if not row.cursors:
        return {}
    furthest = max(row.cursors.values(), key=lambda at: at.position)
    begun = replace(beginning(row.cursors), behind_since=furthest.behind_since)
    return {name: row.cursors.get(name, begun) for name in sinks}
