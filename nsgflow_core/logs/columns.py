"""Flows as columns of text, in which they go from the reader to whoever wants them.

Nearly all of them are only written again, as rows or lines, and a number that is written again
need not become one. Whoever wants single flows has them made.

Tuples are read some hundreds at once; see `fields`. Those that are shown in the order of their
times are put in order before they are read.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import chain, compress, repeat
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import astuple

from nsgflow_core.logs.fields import TOGETHER, Fields, fields_of, numbers_of, times_of
from nsgflow_core.logs.lenient import note_bad
from nsgflow_core.logs.tuples import TupleList, read_tuple
from nsgflow_core.model import Bad, BlobRef, Flow, Group, Position

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
    """Flows in some order, of one log or of many; the fields of `Flow`, a list of each.

    Addresses are canonical; ports and counters are text that needs no change, "" where there is
    none.
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

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self.flows())

    def __getitem__(self, part: slice) -> "Columns":
        return Columns(*[column[part] for column in _all(self)])

    def where(self, wanted: Sequence[object]) -> "Columns":
        """The flows that are wanted: there is a value for each, true or false."""
        return Columns(*[list(compress(column, wanted)) for column in _all(self)])

    def denied(self) -> "Columns":
        """The flows that were denied."""
        if self.decision.count("D") == len(self):
            return self
        return self.where([decision == "D" for decision in self.decision])

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

    def positions(self) -> list[Position]:
        """Where the flows stand in their blobs."""
        offsets = (place.group.record.offset for place in self.places)
        return list(map(Position, offsets, self.ordinals))

    def from_place(self, start: Position) -> "Columns":
        """The flows that do not lie before a place of their blob."""
        return self.where([at >= start for at in self.positions()])

    def unread(self) -> "Unread":
        """The same with nothing read of it."""
        return Unread(self.places, self.ordinals, self.texts)

    def flows(self) -> list[Flow]:
        """The flows themselves."""
        src_port, dst_port, *counters = (numbers_of(getattr(self, name)) for name in _NUMBER_FIELDS)
        codes: Any = (self.protocol_code, self.direction_code, self.decision, self.detail)
        groups = [place.group for place in self.places]
        return list(
            map(
                Flow, self.times, self.src, self.dst, src_port, dst_port, *codes, *counters,
                groups, self.ordinals, self.texts,
            )
        )  # fmt: skip


def _all(flows: "Columns | Unread") -> tuple[Sequence[Any], ...]:
    return astuple(flows)


class Unread(msgspec.Struct, gc=False):
    """Flows that were read, of which their tuples are kept: fields take five times as much room."""

    places: Sequence[Place]
    ordinals: Sequence[int]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, part: slice) -> "Unread":
        return Unread(*[column[part] for column in _all(self)])

    def read(self) -> Columns:
        """The flows, read once more."""
        fields = _fields(self.places, self.texts)
        times = times_of(fields.times) if fields else None
        return _columns(self.places, self.ordinals, self.texts, times, fields, _unexpected)


def _unexpected(place: Place, bad: Bad) -> None:
    # Not with the reason, which may hold an address.
    raise AssertionError(f"{place.ref}: what was read before is bad at {bad.offset}")


def joined(parts: Sequence[Unread]) -> Unread:
    """The flows of all parts, one part behind the other."""
    columns = zip(*map(_all, parts), strict=True) if parts else ([], [], [])
    return Unread(*[list(chain.from_iterable(some)) for some in columns])


def read_lists(
    lists: Sequence[TupleList],
    place_of: Callable[[Group], Place],
    bad: list[Bad],
    *,
    denied_only: bool,
) -> Iterator[Columns]:
    """The flows of lists of tuples, in their order; what cannot be read is added to `bad`."""
    kinds = {each.group.record.version == _VNET for each in lists}
    if len(kinds) > 1:
        for each in lists:
            yield from read_lists([each], place_of, bad, denied_only=denied_only)
        return
    places: list[Place] = []
    ordinals: list[int] = []
    texts: list[str] = []
    for each in lists:
        if len(each.texts) == 1:  # most of what little is denied; to extend a list takes longer
            places.append(place_of(each.group))
            ordinals.append(each.ordinals[0])
            texts.append(each.texts[0])
            continue
        places += repeat(place_of(each.group), len(each.texts))
        ordinals += each.ordinals
        texts += each.texts
    for at in range(0, len(texts), TOGETHER):
        part = slice(at, at + TOGETHER)
        fields = fields_of(texts[part], vnet=True in kinds)
        times = times_of(fields.times) if fields else None
        some = _columns(
            places[part], ordinals[part], texts[part], times, fields,
            lambda _, piece: note_bad(bad, piece),
        )  # fmt: skip
        kept = some.denied() if denied_only else some
        if kept:
            yield kept


def read_flows(lists: Sequence[TupleList], bad: list[Bad], *, denied_only: bool) -> list[Flow]:
    """The same, for whoever wants single flows."""
    place_of = partial(Place, BlobRef("", "", ""))
    return list(chain(*read_lists(lists, place_of, bad, denied_only=denied_only)))


def placed(each: TupleList, place: Place, bad: list[Bad]) -> list[Placed]:
    """The tuples of a list with their times; those whose time makes no sense are added to `bad`."""
    width = _WIDTHS[place.group.record.version]
    times = _times([text[: width + 1] for text in each.texts], width)
    if times is None:
        flows = read_flows([each], bad, denied_only=False)
        return [(flow.time_ms, place, flow.ordinal, flow.text) for flow in flows]
    return list(zip(times, repeat(place), each.ordinals, each.texts, strict=False))


def _times(heads: Sequence[str], width: int) -> list[int] | None:
    """The times that texts begin with, with the commas behind them, in milliseconds.

    None where one is unusual.
    """
    text, digits = "".join(heads), _WIDTHS[_VNET]
    if width < digits:  # seconds: made milliseconds as text, which costs less than to multiply each
        text = text.replace(",", f"{'0' * (digits - width)},")
    try:
        times = _INTS.decode(f"[{text}0]")
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    # So many numbers of so many digits leave room for nothing but the commas.
    if times.pop() or len(times) != len(heads):
        return None
    if min(times, default=0) < 10 ** (digits - 1) or max(times) >= 10**digits:
        return None
    return times


def of_flows(flows: Sequence[Flow], places: Sequence[Place]) -> Columns:
    """Flows that are read already, as columns."""
    texts = (list(map(attrgetter(name), flows)) for name in _TEXT_FIELDS)
    numbers = (
        ["" if number is None else str(number) for number in map(attrgetter(name), flows)]
        for name in _NUMBER_FIELDS
    )
    return Columns(
        places,
        [flow.ordinal for flow in flows],
        [flow.text for flow in flows],
        [flow.time_ms for flow in flows],
        *texts,
        *numbers,
    )


def of_blob(ref: BlobRef, flows: Sequence[Flow]) -> Columns:
    """Flows of one blob that are read already, as columns."""
    places = {group: Place(ref, group) for group in {flow.group for flow in flows}}
    return of_flows(flows, [places[flow.group] for flow in flows])


def read(items: Sequence[Placed], tell: Callable[[Place, Bad], None]) -> Columns:
    """The columns of tuples; what cannot be read is told, and left out."""
    times, places, ordinals, texts = zip(*items, strict=True)
    return _columns(places, ordinals, texts, times, _fields(places, texts), tell)


def _fields(places: Sequence[Place], texts: Sequence[str]) -> Fields | None:
    """The fields of tuples of any logs; None where they are of both kinds, or one is unusual."""
    kinds = {place.group.record.version == _VNET for place in set(places)}
    return fields_of(texts, vnet=True in kinds) if len(kinds) == 1 else None


def _columns(
    places: Sequence[Place],
    ordinals: Sequence[int],
    texts: Sequence[str],
    times: Sequence[int] | None,
    fields: Fields | None,
    tell: Callable[[Place, Bad], None],
) -> Columns:
    """The columns of tuples whose times and fields are known, unless something is unusual."""
    if fields is None or times is None:
        return _one_by_one(places, ordinals, texts, tell)
    return Columns(
        places, ordinals, texts, times, fields.src, fields.dst, fields.protocol_code,
        fields.direction_code, fields.decision, fields.detail, *fields.numbers,
    )  # fmt: skip


def _one_by_one(
    places: Iterable[Place],
    ordinals: Iterable[int],
    texts: Iterable[str],
    tell: Callable[[Place, Bad], None],
) -> Columns:
    """Tuples with something unusual among them."""
    flows: list[Flow] = []
    kept: list[Place] = []
    for place, ordinal, text in zip(places, ordinals, texts, strict=True):
        found = read_tuple(place.group, ordinal, text)
        if isinstance(found, Bad):
            tell(place, found)
        else:
            flows.append(found)
            kept.append(place)
    return of_flows(flows, kept)
