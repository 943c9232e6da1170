"""What nsgflow knows of Azure besides the logs: service tags and the inventory.

A snapshot never changes; a newer one replaces it as a whole. Whoever enriches takes one and keeps
to it, so that the rows of a batch agree with each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nsgflow_core.inventory import Inventory
from nsgflow_core.service_tags import ServiceTags


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A snapshot; None is what is switched off, or not there yet."""

    tags: ServiceTags | None = None
    inventory: Inventory | None = None


NOTHING = Knowledge()
"""With this, enrichment says what ids, ports and addresses tell by themselves."""

Knowing = Callable[[], Knowledge]
"""Gives the newest snapshot."""


def nothing() -> Knowledge:
    """The snapshot of whoever has none."""
    return NOTHING
