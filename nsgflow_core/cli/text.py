"""The lines of get_nsg_logs, and its totals.

v1      time NSG rule A|D I|O source port destination port
v2, v4  time NSG rule A|D I|O source protocol port destination port state counters
"""

from collections.abc import Callable, Sequence
from operator import attrgetter

from nsgflow_core.cli.harmless import printable
from nsgflow_core.logs.columns import Columns, Place
from nsgflow_core.logs.weave import woven
from nsgflow_core.model import PROTOCOLS
from nsgflow_core.sinks.rows import Kept

_DECISIONS = {"D": "D"} | dict.fromkeys("ABCE", "A")
_PROTOCOLS = {str(number): str(number) for number in range(256)} | {
    code: name.lower() for code, name in PROTOCOLS.items()
}


_nsg: Callable[[Place], str] = attrgetter("nsg")


def writer(nsg: Callable[[Place], str] = _nsg) -> Callable[[Columns, Sequence[str]], str]:
    """A function that makes the lines of flows, with their ends, as `text_of` does.

    `nsg` says how the NSG of a place is shown.
    """

    def named(place: Place) -> str:
        return f"{nsg(place)} {place.group.rule} "

    records = Kept(lambda place: printable(f"{place.group.record.time} {named(place)}"))
    names = Kept(lambda place: printable(named(place)))

    def text(flows: Columns, times: Sequence[str]) -> str:
        begun: Sequence[str | Sequence[str]] = (records.of(flows.places),)
        if times:
            begun = (times, " ", names.of(flows.places))
        versions = flows.versions
        states, _ = flows.states(versions)
        if 1 not in versions:
            return _woven(flows, begun, states)
        if versions == {1}:
            return _woven(flows, begun, None)
        short, long = (_split(_woven(flows, begun, of)) for of in (None, states))
        mixed = [
            of_v1 if place.group.record.version == 1 else of_others
            for place, of_v1, of_others in zip(flows.places, short, long, strict=True)
        ]
        return "\n".join([*mixed, ""])

    return text


def text_of(flows: Columns, times: Sequence[str] = (), nsg: Callable[[Place], str] = _nsg) -> str:
    """Flows as lines, with their ends; with these times in the place of records'."""
    return writer(nsg)(flows, times)


def lines(
    flows: Columns, times: Sequence[str] = (), nsg: Callable[[Place], str] = _nsg
) -> list[str]:
    """The same lines one by one, without their ends."""
    return _split(text_of(flows, times, nsg))


def _split(text: str) -> list[str]:
    return text.split("\n")[:-1]


def _woven(
    flows: Columns, begun: Sequence[str | Sequence[str]], states: Sequence[str] | None
) -> str:
    """The lines with their states and counters, or as version 1 has them, which has none."""
    protocols = list(map(_PROTOCOLS.__getitem__, flows.protocol_code))
    counters = (
        " ", states or "", " src2dst: ", flows.packets_sent, "/", flows.bytes_sent,
        " dst2src: ", flows.packets_received, "/", flows.bytes_received,
    )  # fmt: skip
    pieces = (
        *begun,
        list(map(_DECISIONS.__getitem__, flows.decision)),
        " ", flows.direction_code,
        " ", flows.src,
        *((" ", protocols) if states is not None else ()),
        " ", flows.src_port,
        " ", flows.dst,
        " ", flows.dst_port,
        *(counters if states is not None else ()),
        "\n",
    )  # fmt: skip
    return woven(pieces, len(flows.texts))


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
