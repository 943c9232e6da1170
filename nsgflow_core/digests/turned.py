"""Whether the rules let pass by now what a group of flows was denied."""

from functools import lru_cache
from typing import TYPE_CHECKING

from nsgflow_core.digests.life import Life
from nsgflow_core.digests.now import MAX_NOW, judge_of
from nsgflow_core.estate.knowledge import Knowledge

if TYPE_CHECKING:
    from nsgflow_core.estate.inventory import Inventory
    from nsgflow_core.estate.service_tags import ServiceTags


def turned(life: Life, knowledge: Knowledge) -> str:
    """What the rules say of a group if they let pass by now all that it was denied, else "".

    They are asked only where all of its flows are known that differ, and where they were read
    after the last of them. That they deny it no longer is no news where they never did.
    """
    examples = life.examples
    asked = life.denied and examples.complete and knowledge.made_ms > life.last
    if knowledge.inventory is None or not asked or not examples.values:
        return ""
    return _turned(life.key.protocol, examples.values, knowledge.inventory, knowledge.tags)


@lru_cache(maxsize=4096)  # by identity: of the snapshots in use
def _turned(
    protocol: str, examples: tuple[str, ...], inventory: "Inventory", tags: "ServiceTags | None"
) -> str:
    from nsgflow_core.estate.acl import Packet  # noqa: PLC0415 - where they are asked
    from nsgflow_core.estate.judgement import denial_line  # noqa: PLC0415

    said = ""
    for example in examples:
        src, dst, port = example.split(" ")
        packet = Packet(src, dst, protocol, None, int(port) if port else None)
        found = judge_of(inventory, tags).judge(packet)
        if found.verdict != "allowed":
            return ""
        said = denial_line(found)[:MAX_NOW]
    return said
