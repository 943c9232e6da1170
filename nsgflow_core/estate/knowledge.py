"""What nsgflow knows of Azure besides the logs: service tags and the inventory.

A snapshot never changes; a newer one replaces it as a whole. Whoever enriches takes one and keeps
to it, so that the rows of a batch agree with each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.service_tags import ServiceTags


class FarEnd(msgspec.Struct, frozen=True, gc=False):
    """The far end of flows: the type it gives them, and what is known of it; "" where unknown.

    `vnet` is the id of its VNet.
    """

    flow_type: str
    vm: str
    subnet: str
    tags: str
    vnet: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A snapshot; None is what is switched off, or not there yet.

    `made_ms` is when the inventory was made, in milliseconds since the epoch. `expected` says that
    there should be one. `met` has the GUIDs of NSGs that no inventory knew, and the time of their
    first flow; it stays when a newer snapshot comes.

    `seen` remembers far ends by VNet and address, as enrich.py found them: who is denied tries
    again. It goes with the snapshot, so that nothing old outlives it.
    """

    tags: ServiceTags | None = None
    inventory: Inventory | None = None
    seen: dict[tuple[str, str], FarEnd] = field(default_factory=dict, compare=False, repr=False)
    expected: bool = field(default=False, compare=False)
    made_ms: int = field(default=0, compare=False)
    met: dict[str, int] = field(default_factory=dict, compare=False, repr=False)


NOTHING = Knowledge()
"""With this, enrichment says what ids, ports and addresses tell by themselves."""

Knowing = Callable[[], Knowledge]
"""Gives the newest snapshot."""


def nothing() -> Knowledge:
    """The snapshot of whoever has none."""
    return NOTHING
