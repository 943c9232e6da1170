"""What changed before groups of denied flows began, asked of Azure's history for their digest."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from nsgflow_core.digests.changed import changed
from nsgflow_core.digests.digest import Changed
from nsgflow_core.digests.groups import Tally
from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.arm import Cloud, ResourceManager
from nsgflow_core.estate.changes import Change, read_changes
from nsgflow_core.estate.knowledge import Knowing
from nsgflow_core.storage import credential

_SECONDS = 8.0
"""A digest is not kept waiting for longer: it comes without then."""


def history(cloud: Cloud, knowledge: Knowing, warn: Callable[[str], None], *, who: bool) -> Changed:
    """What digests ask; with `who` changes say who made them. Where Azure refuses, `warn` is told.

    Reader on what rules come from is enough, as for the inventory.
    """

    def ask(ids: Iterable[str]) -> Sequence[Change]:
        manager = ResourceManager(cloud, credential(), time.monotonic() + _SECONDS)
        try:
            return read_changes(manager, ids, who=who)
        finally:
            manager.close()

    def changed_before(begun: Mapping[str, int], groups: Sequence[Tally]) -> Mapping[str, str]:
        try:
            return changed(begun, groups, knowledge().inventory, ask)
        except NsgflowError as exc:
            warn(f"a digest says nothing of what changed before: {exc}")
            return {}

    return changed_before
