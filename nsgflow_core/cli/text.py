"""The lines of get_nsg_logs, and its totals.

v1      time NSG rule A|D I|O source port destination port
v2, v4  time NSG rule A|D I|O source protocol port destination port state counters
"""

from collections.abc import Sequence

from nsgflow_core.cli.harmless import printable
from nsgflow_core.logs.columns import Columns
from nsgflow_core.model import PROTOCOLS

_DECISIONS = {"D": "D"} | dict.fromkeys("ABCE", "A")
_PROTOCOLS = {str(number): str(number) for number in range(256)} | {
    code: name.lower() for code, name in PROTOCOLS.items()
}


def lines(flows: Columns, times: Sequence[str] = ()) -> list[str]:
    """Flows as lines, without the ends of the lines; with these times in the place of records'."""
    fronts = {
        place: printable(
            f"{place.nsg} {place.group.rule}"
            if times
            else f"{place.group.record.time} {place.nsg} {place.group.rule}"
        )
        for place in set(flows.places)
    }
    found = [
        f"{fronts[place]} {_DECISIONS[decision]} {direction} {src} {_PROTOCOLS[protocol]} "
        f"{src_port} {dst} {dst_port} {state} "
        f"src2dst: {sent}/{sent_bytes} dst2src: {received}/{received_bytes}"
        for (
            place, decision, direction, src, protocol, src_port, dst, dst_port, state, sent,
            sent_bytes, received, received_bytes,
        ) in zip(
            flows.places,
            flows.decision,
            flows.direction_code,
            flows.src,
            flows.protocol_code,
            flows.src_port,
            flows.dst,
            flows.dst_port,
            flows.states()[0],
            flows.packets_sent,
            flows.bytes_sent,
            flows.packets_received,
            flows.bytes_received,
            strict=True,
        )
    ]  # fmt: skip
    if 1 not in flows.versions:
        return _at(times, found)
    short = [
        f"{fronts[place]} {_DECISIONS[decision]} {direction} {src} {src_port} {dst} {dst_port}"
        for place, decision, direction, src, src_port, dst, dst_port in zip(
            flows.places,
            flows.decision,
            flows.direction_code,
            flows.src,
            flows.src_port,
            flows.dst,
            flows.dst_port,
            strict=True,
        )
    ]
    mixed = [
        of_v1 if place.group.record.version == 1 else of_others
        for place, of_v1, of_others in zip(flows.places, short, found, strict=True)
    ]
    return _at(times, mixed)


def _at(times: Sequence[str], found: list[str]) -> list[str]:
    """Lines with times before them, where there are any."""
    return [f"{time} {line}" for time, line in zip(times, found, strict=True)] if times else found


class Totals:
    """Sums of the counters; absent ones count as 0."""

    def __init__(self) -> None:
        self._sums = [0, 0, 0, 0]

    def add(self, flows: Columns) -> None:
        """Count some flows."""
        counters = (
            flows.packets_sent, flows.bytes_sent, flows.packets_received, flows.bytes_received,
        )  # fmt: skip
        for at, numbers in enumerate(counters):
            self._sums[at] += sum(int(number) for number in numbers if number != "")

    def lines(self) -> list[str]:
        """The two lines of totals."""
        sent, sent_bytes, received, received_bytes = self._sums
        return [
            f"Totals src2dst -> {sent} packets and {sent_bytes} bytes",
            f"Totals dst2src -> {received} packets and {received_bytes} bytes",
        ]
