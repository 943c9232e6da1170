"""The lines of get_nsg_logs, and its totals.

v1      time NSG rule A|D I|O source port destination port
v2, v4  time NSG rule A|D I|O source protocol port destination port state counters
"""

from nsgflow_core.cli.harmless import printable
from nsgflow_core.logs.path import LogPath
from nsgflow_core.model import Flow, Group


def nsg_name(log: LogPath, group: Group) -> str:
    """The NSG as a line names it: from the path of its own log, else its name, else the aclID."""
    if log.kind == "nsg":
        return log.resource.rpartition("/")[2]
    return group.acl_name or group.acl_group


class Lines:
    """Writes flows as lines, fastest when called in their order."""

    def __init__(self) -> None:
        self._group: Group | None = None
        self._log: LogPath | None = None
        self._prefix = ""

    def line(self, log: LogPath, flow: Flow) -> str:
        """One flow, without the end of the line."""
        group = flow.group
        if group is not self._group or log is not self._log:
            self._group, self._log = group, log
            fields = (group.record.time, nsg_name(log, group), group.rule)
            self._prefix = printable(" ".join(fields))
        ports = "" if flow.src_port is None else flow.src_port, _blank(flow.dst_port)
        decision = "D" if flow.denied else "A"
        direction = "I" if flow.inbound else "O"
        if group.record.version == 1:
            return (
                f"{self._prefix} {decision} {direction} {flow.src} {ports[0]} {flow.dst} {ports[1]}"
            )
        return (
            f"{self._prefix} {decision} {direction} "
            f"{flow.src} {flow.protocol.lower()} {ports[0]} {flow.dst} {ports[1]} {flow.state} "
            f"src2dst: {_blank(flow.packets_sent)}/{_blank(flow.bytes_sent)} "
            f"dst2src: {_blank(flow.packets_received)}/{_blank(flow.bytes_received)}"
        )


def _blank(number: int | None) -> int | str:
    return "" if number is None else number


class Totals:
    """Sums of the counters; absent ones count as 0."""

    def __init__(self) -> None:
        self._sums = [0, 0, 0, 0]

    def add(self, flow: Flow) -> None:
        """Count a flow."""
        self._sums[0] += flow.packets_sent or 0
        self._sums[1] += flow.bytes_sent or 0
        self._sums[2] += flow.packets_received or 0
        self._sums[3] += flow.bytes_received or 0

    def lines(self) -> list[str]:
        """The two lines of totals."""
        sent, sent_bytes, received, received_bytes = self._sums
        return [
            f"Totals src2dst -> {sent} packets and {sent_bytes} bytes",
            f"Totals dst2src -> {received} packets and {received_bytes} bytes",
        ]
