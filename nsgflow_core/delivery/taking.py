"""What is read of a window goes to the sinks that want it, some hundreds of flows at a time."""

from collections.abc import Mapping

from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.young import is_young
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import Position
from nsgflow_core.sinks.sink import Sink


class Taking:
    """Gathers the flows of a window for each sink, as they are read.

    `read` counts all of them, `young` those that a filter by NSG let pass only since the inventory
    may not know their NSG yet.
    """

    def __init__(self, sinks: Mapping[str, Sink], start: Position, knowledge: Knowledge) -> None:
        self.gathered = {name: sink.gather() for name, sink in sinks.items()}
        self.read = self.young = 0
        self._sinks = sinks
        self._start = start
        self._knowledge = knowledge
        self._looks = any(each.looks for each in self.gathered.values())

    def take(self, flows: Columns) -> Columns | None:
        """Hand flows to those that want them; gives back those that are looked at later."""
        self.read += len(flows)
        # Only of a record that was left half delivered can flows lie before the start.
        ahead = flows.from_place(self._start) if self._start.ordinal else flows
        for name, sink in self._sinks.items():
            if wanted := sink.filter.wanted(ahead, self._knowledge):
                self.gathered[name].add(wanted)
                if "nsg" in sink.filter.keys:
                    self.young += sum(is_young(flow, self._knowledge) for flow in wanted)
        return flows.denied() if self._looks else None
