"""Flows of many logs come in the order of time, with no more held than must be."""

from heapq import merge
from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.cli.read import in_order

Item = tuple[int, str]


@given(
    st.lists(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=4), min_size=1, max_size=4)
)
def test_as_a_merge_of_sorted_streams(logs: list[list[list[int]]]) -> None:
    """Those of one time stand in the order of the logs, and in a log as they were written."""
    streams, whole = [], []
    for log, windows in enumerate(logs):
        made: list[list[Item]] = []
        for number, window in enumerate(windows):
            begin = number * 7  # windows overlap in time
            made.append([(begin + time, f"{log}.{number}.{at}") for at, time in enumerate(window)])
        rest = [(number + 1) * 7 for number in range(len(made))]
        streams.append(iter(list(zip(made, rest, strict=True))))
        whole.append(sorted((item for window in made for item in window), key=itemgetter(0)))

    found = [item for ready in in_order(streams, itemgetter(0)) for item in ready]

    assert found == list(merge(*whole, key=itemgetter(0)))


def test_holds_what_may_still_be_overtaken() -> None:
    """What lies behind the slowest log waits for it, and is handed out as soon as it may be."""
    fast = iter([([(1, "a"), (5, "a")], 5), ([(9, "a")], 9)])
    slow = iter([([(2, "b")], 3), ([(6, "b")], 20)])

    handed_out = in_order([fast, slow], itemgetter(0))
    assert next(handed_out) == [(1, "a"), (2, "b")]
    assert [item for ready in handed_out for item in ready] == [(5, "a"), (6, "b"), (9, "a")]
