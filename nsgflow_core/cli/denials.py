"""What the flows of a group have in common."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from nsgflow_core.cli.groupings import Value
from nsgflow_core.model import Flow

DEFAULT_BY = "nsg,rule,direction,protocol,destination,port"
Key = tuple[Value, ...]


def caller(address: str, name: str) -> str:
    """A source: its address, with what it is called, since several may have the address."""
    return f"{address}\n{name}" if name else address


class Denials(msgspec.Struct, eq=False, gc=False):
    """What the flows of one group have in common; times in milliseconds.

    `sources` says of each `caller` whether it is on the internet, where that was asked for; where
    they are not at hand `callers` says how many there are. `vnets` are the VNets, by id, that the
    group's NSG dropped in, where they are known; `names` says what source and destination of the
    first flow are called, where there is an inventory. `packets` and `bytes` are of both ways,
    `seconds` has the number of flows by the second: both only where they are asked for. `apart` is
    what tells the group from others whose keys read alike; see `groupings.APART`.
    """

    acl_group: str
    first: int
    last: int
    example: Flow
    flows: int = 0
    sources: dict[str, bool] = {}
    vnets: frozenset[str] = frozenset()
    names: tuple[str, str] | None = None
    packets: int = 0
    bytes: int = 0
    seconds: dict[int, int] = {}
    callers: int = 0
    apart: str = ""

    def ends(self) -> Iterator[tuple[str, str, bool]]:
        """Address and name of each source, and whether it is on the internet."""
        for source, outside in self.sources.items():
            address, _, name = source.partition("\n")
            yield address, name, outside

    @property
    def source_count(self) -> int:
        """How many sources there are, at hand or not."""
        return self.callers or len(self.sources)

    def measure(self, flow: Flow) -> None:
        """Count what a flow carried."""
        self.packets += (flow.packets_sent or 0) + (flow.packets_received or 0)
        self.bytes += (flow.bytes_sent or 0) + (flow.bytes_received or 0)

    def count_seconds(self, seconds: Iterable[tuple[int, int]]) -> None:
        """Add to the number of flows by the second."""
        for second, count in seconds:
            self.seconds[second] = self.seconds.get(second, 0) + count


Groups = Sequence[tuple[Key, Denials]]
