"""Samples: how many different values there were, exactly or within a tenth."""

import random
from functools import reduce
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.digests.sample import COARSE, EXAMPLES, MAX_VALUES, REGISTERS, Sample, sample_of


def addresses(count: int, rng: random.Random) -> set[str]:
    """Different addresses."""
    found: set[str] = set()
    while len(found) < count:
        found.add(f"{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}.7")
    return found


@given(st.lists(st.sets(st.integers(0, 400).map(str), max_size=40), max_size=6))
def test_samples_merge_into_the_sample_of_the_union(parts: list[set[str]]) -> None:
    """However they are merged, they come out the same."""
    whole = set[str]().union(*parts)
    merged = reduce(Sample.union, map(sample_of, parts), Sample())

    assert merged == sample_of(whole)
    assert merged == reduce(Sample.union, map(sample_of, reversed(parts)), Sample())
    assert merged.complete == (len(whole) <= MAX_VALUES)
    assert len(merged.values) == (len(whole) if merged.complete else EXAMPLES)
    assert set(merged.values) <= whole


@pytest.mark.parametrize("count", [13, 78, 300, 600, 1_300, 2_500, 10_000])
def test_nineteen_of_twenty_estimates_are_within_a_tenth(count: int) -> None:
    """Over many random sets, at every size; on the mean they are right."""
    rng = random.Random(count)
    errors = sorted(
        abs(sample_of(addresses(count, rng)).distinct / count - 1)
        for _ in range(200 if count < 2000 else 60)
    )
    assert quantiles(errors, n=20)[-1] <= 0.1
    assert sum(errors) / len(errors) < 0.05


@pytest.mark.parametrize("count", [13, 78, 1_300, 10_000])
def test_a_folded_sketch_tells_the_order_of_magnitude(count: int) -> None:
    """As the sketch of so many registers from the start would."""
    rng = random.Random(count)
    for _ in range(40):
        folded = sample_of(addresses(count, rng)).cut(EXAMPLES, COARSE)
        assert not folded.exact_enough
        assert count / 2 < folded.distinct < count * 2


def test_folding_and_merging_go_in_any_order() -> None:
    """A coarse sketch and a fine one make the coarse one of both."""
    rng = random.Random(5)
    first, second = (sample_of(addresses(500, rng)) for _ in range(2))
    coarse = first.union(second).cut(EXAMPLES, COARSE)
    assert first.cut(EXAMPLES, COARSE).union(second) == coarse
    assert first.union(second.cut(EXAMPLES, COARSE)) == coarse


def test_a_cut_sample_never_passes_for_all_there_was() -> None:
    """Whether a sketch has room or not; what is unknown stays so."""
    whole = sample_of(set(map(str, range(12))))
    fine, bare = whole.cut(6, REGISTERS), whole.cut(6, 0)
    assert whole.cut(12, 0) is whole
    assert (fine.complete, fine.distinct, fine.exact_enough) == (False, 12, True)
    assert (bare.complete, bare.distinct, bare.exact_enough) == (False, 0, False)
    assert bare.union(whole).distinct == 0
    assert not bare.union(Sample()).complete


def test_samples_of_before_there_were_sketches_are_read() -> None:
    """Complete ones are as good as new, and the others tell that there were many."""
    old = Sample(("10.0.0.1", "10.0.0.2"))
    assert old.union(Sample(("10.0.0.3",))).distinct == 3
    cut_short = Sample(tuple(map(str, range(12))), complete=False)
    assert cut_short.distinct == 0
    assert not cut_short.union(old).exact_enough
