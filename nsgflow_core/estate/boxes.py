"""The fewest rules that fit some flows and no others.

A rule fits every combination of its sources, destinations and ports: a box. Flows that were denied
are points, and what is wanted is the fewest boxes that hold all points and nothing else. Values
that always come together are one value here, and points that no chain of boxes can join are apart;
what is left is small as a rule, and then the answer is the best there is. To find the fewest is
hard in general, so a large rest is covered greedily.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations, product
from math import prod
from typing import NamedTuple, TypeVar

Port = int | None
_Value = TypeVar("_Value", str, Port)
_Point = tuple[int, int, int]
_Masks = tuple[int, int, int]
"""A box by the numbers of its sources, destinations and ports, each as the bits of a number."""

_SMALL = 256
"""Points of a part that is covered in the best way."""
_MOST_BOXES = 400
_MOST_STEPS = 4_000
_ORDERS = tuple(permutations(range(3)))


class Box(NamedTuple):
    """What one rule fits; the one port None stands for all of them."""

    sources: frozenset[str]
    destinations: frozenset[str]
    ports: frozenset[Port]


def fewest(wanted: Mapping[tuple[str, Port], Iterable[str]]) -> list[Box]:
    """Few boxes that hold the sources of each destination and port, and nothing else.

    The order in which they are given does not matter.
    """
    cells = {key: sorted(set(found)) for key, found in sorted(wanted.items(), key=_place)}
    holding: dict[str, list[int]] = {}
    for number, found in enumerate(cells.values()):
        for source in found:
            holding.setdefault(source, []).append(number)
    sources = _alike({source: tuple(found) for source, found in sorted(holding.items())})
    number_of = {source: at for at, alike in enumerate(sources) for source in alike}
    by_destination: dict[str, list[object]] = {}
    by_port: dict[Port, list[object]] = {}
    inside: dict[tuple[str, Port], tuple[int, ...]] = {}
    for (destination, port), found in cells.items():
        kinds = tuple(sorted({number_of[source] for source in found}))
        inside[destination, port] = kinds
        by_destination.setdefault(destination, []).append((port, kinds))
        by_port.setdefault(port, []).append((destination, kinds))
    destinations = _alike({key: tuple(found) for key, found in by_destination.items()})
    ports = _alike({key: tuple(found) for key, found in by_port.items()})
    points = _points(inside, destinations, ports)
    return [
        Box(
            frozenset(one for at in _bits(box[0]) for one in sources[at]),
            frozenset(one for at in _bits(box[1]) for one in destinations[at]),
            frozenset(one for at in _bits(box[2]) for one in ports[at]),
        )
        for part in _parts(points)
        for box in _cover(part)
    ]


def _place(entry: tuple[tuple[str, Port], object]) -> tuple[str, int]:
    (destination, port), _ = entry
    return destination, -1 if port is None else port


def _alike(said: Mapping[_Value, tuple[object, ...]]) -> list[list[_Value]]:
    """Values of which the same is said, together, in their order."""
    found: dict[tuple[object, ...], list[_Value]] = {}
    for value, what in said.items():
        found.setdefault(what, []).append(value)
    return list(found.values())


def _points(
    inside: Mapping[tuple[str, Port], tuple[int, ...]],
    destinations: Sequence[Sequence[str]],
    ports: Sequence[Sequence[Port]],
) -> list[_Point]:
    """A point for each combination of what is alike."""
    first = {some[0]: at for at, some in enumerate(destinations)}
    number = {some[0]: at for at, some in enumerate(ports)}
    return [
        (source, first[destination], number[port])
        for (destination, port), kinds in inside.items()
        if destination in first and port in number
        for source in kinds
    ]


def _parts(points: Sequence[_Point]) -> Iterator[list[_Point]]:
    """Points by what can be in boxes together: each differs from some other in one value."""
    lines: dict[tuple[int, int, int], list[int]] = {}
    for at, point in enumerate(points):
        for key in _lines_of(point):
            lines.setdefault(key, []).append(at)
    seen = [False] * len(points)
    for begin in range(len(points)):
        if seen[begin]:
            continue
        seen[begin] = True
        part = [begin]
        for at in part:  # grows while it is read
            for key in _lines_of(points[at]):
                for other in lines.pop(key, ()):
                    if not seen[other]:
                        seen[other] = True
                        part.append(other)
        yield [points[at] for at in sorted(part)]


def _lines_of(point: _Point) -> tuple[tuple[int, int, int], ...]:
    """The lines through a point: which value is left open, and the other two."""
    return (0, point[1], point[2]), (1, point[0], point[2]), (2, point[0], point[1])


class _Part:
    """Points that are covered together; `lines` has what lies along each line."""

    def __init__(self, points: Sequence[_Point]) -> None:
        self.numbers = {point: at for at, point in enumerate(points)}
        self.lines: dict[tuple[int, int, int], int] = {}
        for point in points:
            for key in _lines_of(point):
                self.lines[key] = self.lines.get(key, 0) | 1 << point[key[0]]

    def grown(self, point: _Point, order: Sequence[int]) -> _Masks:
        """The largest box around a point that is longest along the first way, then the second."""
        first, second, third = order
        through = {key[0]: key for key in _lines_of(point)}
        length = self.lines[through[first]]
        at = list(point)

        def as_long(here: int, there: int) -> bool:
            at[second], at[third] = here, there
            return not length & ~self.lines.get(_lines_of((at[0], at[1], at[2]))[first], 0)

        wide = [one for one in _bits(self.lines[through[second]]) if as_long(one, point[third])]
        high = [
            one
            for one in _bits(self.lines[through[third]])
            if all(as_long(other, one) for other in wide)
        ]
        masks = [0, 0, 0]
        masks[first] = length
        masks[second] = sum(1 << one for one in wide)
        masks[third] = sum(1 << one for one in high)
        return masks[0], masks[1], masks[2]

    def held(self, box: _Masks) -> int:
        """The points in a box, as the bits of a number."""
        mask = 0
        for source in _bits(box[0]):
            for destination in _bits(box[1]):
                for port in _bits(box[2]):
                    mask |= 1 << self.numbers[source, destination, port]
        return mask


def _cover(points: Sequence[_Point]) -> list[_Masks]:
    part = _Part(points)
    found = None
    if len(points) <= _SMALL:
        boxes = _largest({part.grown(point, order) for point in points for order in _ORDERS})
        found = {box: part.held(box) for box in boxes}
    chosen = _greedy(part, points, found)
    if found is not None:
        chosen = _best(found, chosen, len(points))
    return sorted(_trimmed(chosen))


def _trimmed(boxes: Sequence[_Masks]) -> list[_Masks]:
    """Boxes without what others hold as well, the small ones first: none says a thing twice."""
    times = Counter(point for box in boxes for point in product(*map(_bits, box)))
    found = []
    for box in sorted(boxes, key=lambda one: (prod(mask.bit_count() for mask in one), one)):
        kept = list(box)
        for way in range(3):
            for value in _bits(kept[way]):
                slice_ = [*kept]
                slice_[way] = 1 << value
                points = list(product(*map(_bits, slice_)))
                if kept[way] != slice_[way] and all(times[point] > 1 for point in points):
                    kept[way] &= ~(1 << value)
                    times.subtract(points)
        found.append((kept[0], kept[1], kept[2]))
    return found


def _largest(boxes: set[_Masks]) -> list[_Masks]:
    """Every box that lies in no other: two that touch make another, until none is new."""
    known = set(boxes)
    new = sorted(boxes)
    while new and len(known) < _MOST_BOXES:
        made = {
            joined
            for one in new
            for other in sorted(known)
            for joined in _joined(one, other)
            if joined not in known
        }
        new = sorted(box for box in made if not any(_within(box, big) for big in known))
        new = [box for box in new if not any(box != big and _within(box, big) for big in new)]
        known = {box for box in known if not any(_within(box, big) for big in new)} | set(new)
    return sorted(known)


def _joined(one: _Masks, other: _Masks) -> Iterator[_Masks]:
    """What two boxes hold between them: longer one way, and no more than both the others."""
    for way in range(3):
        a, b, c = (one[at] | other[at] if at == way else one[at] & other[at] for at in range(3))
        if a and b and c:
            yield a, b, c


def _within(one: _Masks, other: _Masks) -> bool:
    return not (one[0] & ~other[0] or one[1] & ~other[1] or one[2] & ~other[2])


def _greedy(
    part: _Part, points: Sequence[_Point], boxes: Mapping[_Masks, int] | None = None
) -> list[_Masks]:
    """Boxes that hold all points, each time the one that holds most that are left.

    Without `boxes` to choose from, of those around the first point that is left.
    """
    left = (1 << len(points)) - 1
    chosen: dict[_Masks, int] = {}
    while left:
        if boxes is not None:
            choice: Mapping[_Masks, int] = boxes
        else:
            point = points[(left & -left).bit_length() - 1]
            around = sorted({part.grown(point, order) for order in _ORDERS})
            choice = {box: part.held(box) for box in around}
        best = max(choice, key=lambda box: ((choice[box] & left).bit_count(), box))
        chosen[best] = choice[best]
        left &= ~choice[best]
    return _needed(chosen)


def _needed(chosen: Mapping[_Masks, int]) -> list[_Masks]:
    """Without those whose points others hold."""
    times: dict[int, int] = {}
    for held in chosen.values():
        for at in _bits(held):
            times[at] = times.get(at, 0) + 1
    kept = []
    for box, held in chosen.items():
        if any(times[at] == 1 for at in _bits(held)):
            kept.append(box)
            continue
        for at in _bits(held):
            times[at] -= 1
    return kept


def _best(boxes: Mapping[_Masks, int], known: list[_Masks], count: int) -> list[_Masks]:
    """The fewest of these boxes that hold all points; `known` is an answer to be bettered."""
    order = sorted(boxes)
    holding: list[list[_Masks]] = [[] for _ in range(count)]
    near = [0] * count
    for box in order:
        for at in _bits(boxes[box]):
            holding[at].append(box)
            near[at] |= boxes[box]
    best = known
    steps = 0

    def apart(left: int) -> int:
        """How many points no two of which one box holds: as many boxes are needed at least."""
        number = 0
        while left:
            left &= ~near[(left & -left).bit_length() - 1]
            number += 1
        return number

    def search(left: int, chosen: list[_Masks]) -> None:
        nonlocal best, steps
        steps += 1
        if not left:
            best = list(chosen)
            return
        if steps > _MOST_STEPS or len(chosen) + apart(left) >= len(best):
            return
        point = min(_bits(left), key=lambda at: (len(holding[at]), at))
        for box in sorted(holding[point], key=lambda box: -(boxes[box] & left).bit_count()):
            if len(chosen) + 1 < len(best):
                search(left & ~boxes[box], [*chosen, box])

    search((1 << count) - 1, [])
    return best


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
