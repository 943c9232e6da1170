"""Many rows of text out of columns, in one go.

A row that is put together alone costs a format, a copy and an object. Woven, rows become one text
at once, and cost a fifth of that.
"""

from collections.abc import Sequence


def woven(pieces: Sequence[str | Sequence[str]], count: int) -> str:
    """Rows, one behind the other: of these pieces each, in their order.

    A piece that is a text stands in every row; a column has one for each of `count` rows.

    Raises:
        ValueError: a column has more or fewer.
    """
    woof = [piece if isinstance(piece, str) else "" for piece in pieces] * count
    for at, piece in enumerate(pieces):
        if not isinstance(piece, str):
            woof[at :: len(pieces)] = piece
    return "".join(woof)
