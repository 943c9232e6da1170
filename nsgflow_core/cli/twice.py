"""Flows that an NSG flow log and a VNet flow log both have: whoever counts them counts twice."""

from collections.abc import Iterable, Iterator

from nsgflow_core.cli.read import Found
from nsgflow_core.cli.session import note
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import PROTOCOLS

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

    def look_at(self, flows: Columns) -> None:
        """Look at some thousands at once."""
        protocols = {code: PROTOCOLS.get(code, code) for code in set(flows.protocol_code)}
        for time, place, direction, protocol, src, src_port, dst, dst_port in zip(
            flows.times, flows.places, flows.direction_code, flows.protocol_code,
            flows.src, flows.src_port, flows.dst, flows.dst_port, strict=True,
        ):  # fmt: skip
            if self.seen or len(self._kinds) >= _MOST:
                return
            group = place.group
            key = (
                time // 1000, group.mac, direction, protocols[protocol],
                src, src_port, dst, dst_port,
            )  # fmt: skip
            self._meet(key, in_vnet_log=group.record.version == _VNET_LOG)

    def _look(self, found: Found) -> None:
        flow = found.flow
        # NSG flow logs have whole seconds.
        key = (
            flow.time_ms // 1000, flow.group.mac, flow.direction_code, flow.protocol,
            flow.src, flow.src_port, flow.dst, flow.dst_port,
        )  # fmt: skip
        self._meet(key, in_vnet_log=flow.group.record.version == _VNET_LOG)

    def _meet(self, key: tuple[object, ...], *, in_vnet_log: bool) -> None:
        # A hash is a tenth of what it stands for, and no two flows of the few share one by chance.
        self.seen = self._kinds.setdefault(hash(key), in_vnet_log) != in_vnet_log

    def tell(self, where: str = "in one group or in two") -> None:
        """Say it to the person, if there was one, and where it counts."""
        if self.seen:
            note(
                "NSG flow logs and VNet flow logs both have some of these flows: they are counted "
                f"twice here, {where}; 'nsgflow coverage' says where they are logged"
            )
