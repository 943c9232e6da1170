"""What the rules say now of a group of denied flows, in one line."""

from functools import lru_cache
from typing import TYPE_CHECKING

from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.model import Flow

if TYPE_CHECKING:
    from nsgflow_core.estate.inventory import Inventory
    from nsgflow_core.estate.service_tags import ServiceTags
    from nsgflow_core.estate.verdict import Judge

MAX_NOW = 300
"""Characters of the line that are kept: it goes into the state of digests."""


def now(flow: Flow, knowledge: Knowledge) -> str:
    """What every layer says of a flow, "" where there is no inventory."""
    if knowledge.inventory is None:
        return ""
    from nsgflow_core.estate.explain import line  # noqa: PLC0415 - at the first denied flow

    return line(judge_of(knowledge.inventory, knowledge.tags), flow)[:MAX_NOW]


@lru_cache(maxsize=2)  # by identity: of the newest snapshot, and of the one before under way
def judge_of(inventory: "Inventory", tags: "ServiceTags | None") -> "Judge":
    """The rules of a snapshot, ready to be asked."""
    from nsgflow_core.estate.verdict import Judge  # noqa: PLC0415

    return Judge(inventory, tags)
