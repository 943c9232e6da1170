"""Rows woven out of columns are those that were put together one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.logs.weave import woven


@given(st.data(), st.integers(0, 5))
def test_as_row_by_row(data: st.DataObject, count: int) -> None:
    """A text stands in every row, a column gives each its own."""
    column = st.lists(st.text(max_size=3), min_size=count, max_size=count)
    pieces = data.draw(st.lists(st.one_of(st.text(max_size=3), column), min_size=1, max_size=6))

    rows = [
        "".join(piece if isinstance(piece, str) else piece[row] for piece in pieces)
        for row in range(count)
    ]
    assert woven(pieces, count) == "".join(rows)


def test_a_column_of_another_length_is_an_error() -> None:
    """Nothing slips into the row of another flow."""
    for column in ([], ["a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="size"):
            woven(["x", column, "y"], 2)
