"""Flows as columns of text, for whoever only shows them.

A number that is printed again need not become one.

Tuples in the order of their times are read here a thousand at once, as `tuples` reads those of a
record; see `fields`.
"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import repeat
from operator import attrgetter

import msgspec

from nsgflow_core.logs import tuples
from nsgflow_core.logs.fields import fields_of
from nsgflow_core.logs.tuples import TupleList
from nsgflow_core.model import LAST_TIME_MS, MILLISECONDS_FROM, Bad, BlobRef, Flow, Group

_VNET = 4
_WIDTHS = {1: 10, 2: 10, _VNET: 13}
"""Digits of a time of these decades: seconds, or milliseconds."""
_INTS = msgspec.json.Decoder(list[int])
_TEXT_FIELDS = ("src", "dst", "protocol_code", "direction_code", "decision", "detail")
_NUMBER_FIELDS = (
    "src_port", "dst_port", "packets_sent", "bytes_sent", "packets_received", "bytes_received",
)  # fmt: skip


class Place(msgspec.Struct, eq=False, gc=False):
    """What the tuples of one list share: the log that they stand in, and their group.

    `nsg` is the NSG as it is shown, for whoever shows it.
    """

    ref: BlobRef
    group: Group
    nsg: str = ""


Placed = tuple[int, Place, int, str]
"""A tuple not read yet: its time in milliseconds, place, ordinal in the record, and text."""


class Columns(msgspec.Struct, gc=False):
    """Flows in the order in which they are shown; the fields of `Flow`, a list of each.

    `times` are in milliseconds. Addresses are canonical; ports and counters are text that needs no
    change, "" where there is none.
    """

    places: Sequence[Place]
    ordinals: Sequence[int]
    texts: Sequence[str]
    times: Sequence[int]
    src: Sequence[str]
    dst: Sequence[str]
    protocol_code: Sequence[str]
    direction_code: Sequence[str]
    decision: Sequence[str]
    detail: Sequence[str]
    src_port: Sequence[str]
    dst_port: Sequence[str]
    packets_sent: Sequence[str]
    bytes_sent: Sequence[str]
    packets_received: Sequence[str]
    bytes_received: Sequence[str]

    @property
    def versions(self) -> set[int]:
        """The versions of the logs that the flows are of."""
        return {place.group.record.version for place in set(self.places)}

    def states(self, versions: AbstractSet[int]) -> tuple[Sequence[str], Sequence[str]]:
        """The columns of states and encryptions of flows of these versions; see `Flow`."""
        if versions == {_VNET}:
            return self.decision, self.detail
        if _VNET not in versions:
            return self.detail, [""] * len(self.detail)
        vnet = [place.group.record.version == _VNET for place in self.places]
        both = list(zip(vnet, self.decision, self.detail, strict=True))
        return (
            [decision if of_vnet else detail for of_vnet, decision, detail in both],
            [detail if of_vnet else "" for of_vnet, _, detail in both],
        )

    def far(self) -> list[str]:
        """The ends that are not the log's own interface."""
        return [
            src if direction == "I" else dst
            for direction, src, dst in zip(self.direction_code, self.src, self.dst, strict=True)
        ]

    def flows(self) -> Sequence[Flow]:
        """The flows themselves."""
        src_port, dst_port, *counters = (
            [int(text) if text != "" else None for text in getattr(self, name)]
            for name in _NUMBER_FIELDS
        )
        codes = (self.protocol_code, self.direction_code, self.decision, self.detail)
        groups = [place.group for place in self.places]
        times = [time if time >= MILLISECONDS_FROM else time // 1000 for time in self.times]
        return list(
            map(
                Flow, times, self.src, self.dst, src_port, dst_port, *codes, *counters,
                groups, self.ordinals, self.texts,
            )
        )  # fmt: skip


class _Read(Columns, kw_only=True, gc=False):
    """Columns of flows that are there already."""

    of: Sequence[Flow]

    def flows(self) -> Sequence[Flow]:
        """The flows themselves."""
        return self.of


def placed(each: TupleList, place: Place, bad: list[Bad]) -> list[Placed]:
    """The tuples of a list with their times; those whose time makes no sense are added to `bad`."""
    width = _WIDTHS[place.group.record.version]
    times = _times([text[: width + 1] for text in each.texts], width)
    if times is None:
        flows = tuples.read_lists([each], bad, denied_only=False)
        return [(flow.time_ms, place, flow.ordinal, flow.text) for flow in flows]
    if width == _WIDTHS[1]:
        times = [time * 1000 for time in times]
    return list(zip(times, repeat(place), each.ordinals, each.texts, strict=False))


def _times(heads: Sequence[str], width: int) -> list[int] | None:
    """The times that texts begin with, with the commas behind them; None where one is unusual."""
    try:
        times = _INTS.decode(f"[{''.join(heads)}0]")
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    # So many numbers of so many digits leave room for nothing but the commas.
    if times.pop() or len(times) != len(heads):
        return None
    if min(times, default=0) < 10 ** (width - 1) or max(times) >= 10**width:
        return None
    return times


def of_flows(flows: Sequence[Flow], places: Sequence[Place]) -> Columns:
    """Flows that are read already, as columns."""
    texts = (list(map(attrgetter(name), flows)) for name in _TEXT_FIELDS)
    numbers = (
        ["" if number is None else str(number) for number in map(attrgetter(name), flows)]
        for name in _NUMBER_FIELDS
    )
    return _Read(
        places,
        [flow.ordinal for flow in flows],
        [flow.text for flow in flows],
        [flow.time_ms for flow in flows],
        *texts,
        *numbers,
        of=flows,
    )


def read(items: Sequence[Placed], tell: Callable[[Place, Bad], None]) -> Columns:
    """The columns of tuples; what cannot be read is told, and left out."""
    times, places, ordinals, texts = zip(*items, strict=True)
    vnet = {place.group.record.version == _VNET for place in set(places)}
    if len(vnet) == 1 and max(times) <= LAST_TIME_MS:
        found = fields_of(texts, vnet=True in vnet, as_numbers=False)
        if found is not None:
            return Columns(
                places, ordinals, texts, times, found.src, found.dst, found.protocol_code,
                found.direction_code, found.decision, found.detail, *found.written,
            )  # fmt: skip
    return _one_by_one(items, tell)


def _one_by_one(items: Iterable[Placed], tell: Callable[[Place, Bad], None]) -> Columns:
    flows: list[Flow] = []
    places: list[Place] = []
    for _, place, ordinal, text in items:
        bad: list[Bad] = []
        alone = TupleList(place.group, (ordinal,), (text,))
        for flow in tuples.read_lists([alone], bad, denied_only=False):
            flows.append(flow)
            places.append(place)
        for piece in bad:
            tell(place, piece)
    return of_flows(flows, places)
