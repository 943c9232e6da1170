"""NSGs that are younger than the inventory: VNet flow logs name them by GUIDs it does not know.

An NSG of a rollout is minutes old and the inventory up to an hour. So a GUID that is not in it may
stand for any NSG, until an inventory that was made after a flow of it does not have it either:
then it is one that the app may not read, or no NSG at all.
"""

import re

from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.model import Flow

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NO_ONE = "00000000-0000-0000-0000-000000000000"
_LAG_MS = 5 * 60 * 1000
"""How long Resource Graph may take to know of a resource."""
_MOST_MET = 4096
_VNET_LOG = 4


def is_young(flow: Flow, knowledge: Knowledge) -> bool:
    """Whether the NSG of a flow may be one that the inventory does not know yet."""
    if not (knowledge.expected or knowledge.inventory is not None) or not _is_unknown(flow):
        return False
    if knowledge.inventory is None:
        return True
    known_to = knowledge.made_ms - _LAG_MS
    if not knowledge.made_ms or flow.time_ms < known_to:  # of an age that is not known, or newer
        return False
    if len(knowledge.met) >= _MOST_MET:
        knowledge.met.clear()
    return knowledge.met.setdefault(flow.group.acl_group.lower(), flow.time_ms) >= known_to


def _is_unknown(flow: Flow) -> bool:
    """Whether the NSG is named by a GUID alone."""
    group = flow.group
    return (
        group.record.version == _VNET_LOG
        and not group.acl_name
        and group.acl_group != _NO_ONE
        and _GUID.fullmatch(group.acl_group) is not None
    )


def foreign(knowledge: Knowledge, most: int) -> list[str]:
    """GUIDs that an inventory made after their first flow does not have, so many at most."""
    known_to = knowledge.made_ms - _LAG_MS
    return sorted(guid for guid, first in knowledge.met.items() if first < known_to)[:most]
