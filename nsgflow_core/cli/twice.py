"""Flows that an NSG flow log and a VNet flow log both have: whoever counts them counts twice."""

from collections.abc import Iterable, Iterator

from nsgflow_core.cli.read import Found
from nsgflow_core.cli.session import note

_MOST = 50_000
"""Flows that are remembered, which bounds the memory: logs of both kinds share many."""
_VNET_LOG = 4


class Twice:
    """Looks on as flows go by, until it has seen one in logs of both kinds."""

    def __init__(self) -> None:
        self._kinds: dict[int, bool] = {}
        self.seen = False

    def beside(self, flows: Iterable[Found]) -> Iterator[Found]:
        """The flows as they come."""
        for found in flows:
            if not self.seen and len(self._kinds) < _MOST:
                self._look(found)
            yield found

    def _look(self, found: Found) -> None:
        flow = found.flow
        # NSG flow logs have whole seconds.
        key = hash((
            flow.time_ms // 1000, flow.group.mac, flow.direction_code, flow.protocol,
            flow.src, flow.src_port, flow.dst, flow.dst_port,
        ))  # fmt: skip
        in_vnet_log = flow.group.record.version == _VNET_LOG
        self.seen = self._kinds.setdefault(key, in_vnet_log) != in_vnet_log

    def tell(self) -> None:
        """Say it to the person, if there was one."""
        if self.seen:
            note(
                "NSG flow logs and VNet flow logs both have some of these flows: they are counted "
                "twice here, in one group or in two; 'nsgflow coverage' says where"
            )
