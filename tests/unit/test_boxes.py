"""Boxes: they hold the points that are asked for, no other, and are as few as can be."""

import itertools
import random
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.estate.boxes import Box, Port, fewest

Cells = dict[tuple[str, Port], set[str]]
Points = frozenset[tuple[str, str, Port]]

CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["d1", "d2", "d3", "d4"]), st.sampled_from([1, 2, 3, None])),
    st.sets(st.sampled_from(["s1", "s2", "s3", "s4"]), min_size=1),
)


def points_of(cells: Mapping[tuple[str, Port], Iterable[str]]) -> Points:
    """What is asked for."""
    return frozenset((src, dst, port) for (dst, port), found in cells.items() for src in found)


def points_in(boxes: Iterable[Box]) -> Points:
    """What boxes hold."""
    return frozenset(point for box in boxes for point in itertools.product(*box))


def least(points: Points) -> int:
    """The fewest boxes there can be, by trying all of them."""
    values = [sorted({point[at] for point in points}, key=str) for at in range(3)]
    some = [
        [pick for size in range(1, len(of) + 1) for pick in itertools.combinations(of, size)]
        for of in values
    ]
    inside = [
        held
        for sides in itertools.product(*some)
        if (held := frozenset(itertools.product(*sides))) <= points
    ]
    largest = [held for held in inside if not any(held < other for other in inside)]

    def can(left: Points, boxes: int) -> bool:
        if not left:
            return True
        first = min(left, key=str)
        return boxes > 0 and any(can(left - held, boxes - 1) for held in largest if first in held)

    return next(number for number in itertools.count() if can(points, number))


@given(CELLS)
def test_boxes_hold_what_is_asked_for_and_no_more(cells: Cells) -> None:
    """Every point, and none besides; no box is empty."""
    boxes = fewest(cells)
    assert points_in(boxes) == points_of(cells)
    assert all(side for box in boxes for side in box)


@given(CELLS, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(cells: Cells, rng: random.Random) -> None:
    """The same points give the same boxes."""
    entries = [(cell, rng.sample(sorted(found), len(found))) for cell, found in cells.items()]
    rng.shuffle(entries)
    assert fewest(dict(entries)) == fewest(cells)


@pytest.mark.parametrize("seed", range(60))
def test_there_are_no_fewer(seed: int) -> None:
    """Where all answers can be tried, none is better."""
    rng = random.Random(seed)
    share = rng.choice((0.3, 0.5, 0.7, 0.9))
    cells: Cells = {
        (f"d{dst}", port): found
        for dst in range(rng.choice((3, 4)))
        for port in range(3)
        if (found := {f"s{src}" for src in range(4) if rng.random() < share})
    }
    assert len(fewest(cells)) == least(points_of(cells))


def test_a_cross_is_two_boxes() -> None:
    """A point may be in two; what is said twice is not said."""
    cells: Cells = {("d1", 1): {"s2"}, ("d2", 1): {"s1", "s2", "s3"}, ("d3", 1): {"s2"}}
    boxes = fewest(cells)
    assert len(boxes) == 2
    assert sum(len(box.sources) * len(box.destinations) for box in boxes) == 5


def test_what_is_large_is_covered_too() -> None:
    """Without an answer that is surely the best, but a right one."""
    rng = random.Random(1)
    cells: Cells = {
        (f"d{dst}", port): {f"s{src}" for src in range(9) if rng.random() < 0.6} | {"s9"}
        for dst in range(12)
        for port in range(12)
    }
    boxes = fewest(cells)
    assert points_in(boxes) == points_of(cells)
    assert len(boxes) < len(cells)
