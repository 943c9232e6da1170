"""Tables fit a terminal, break no word, and hold nothing that steers it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.cli import tables

TITLES = ("NSG", "rule", "source", "port")
ROW = ("WEB-NSG", "UserRule_DenyRdp", "198.51.100.7", "3389")


def drawn(titles: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> list[str]:
    """The lines of a table."""
    heading, lines = tables.drawn(
        titles, [list(column) for column in zip(*rows, strict=True)], width
    )
    return (heading + lines).splitlines()


def test_as_wide_as_it_must_be() -> None:
    """Columns are two spaces apart, and no line ends in spaces."""
    assert drawn(TITLES, [ROW, ("", "x", "", "")], 0) == [
        "NSG      rule              source        port",
        "WEB-NSG  UserRule_DenyRdp  198.51.100.7  3389",
        "         x",
    ]


def test_wide_letters_take_two_columns() -> None:
    """What stands behind them is in line with the rest."""
    lines = drawn(("a", "b"), [("资源", "x"), ("e\u0301", "y")], 0)
    assert lines == ["a     b", "资源  x", "e\u0301     y"]


@given(
    st.lists(st.tuples(*[st.text(st.sampled_from("ab资\u0301 "), max_size=5)] * 3), min_size=1),
    st.sampled_from((1, 40)),
    st.text(st.sampled_from("ab资"), max_size=9),
)
def test_where_there_is_room_as_row_by_row(
    rows: list[tuple[str, ...]], times: int, late: str
) -> None:
    """Each cell is filled up to the widest of its column, be many alike or not, no line too far."""
    rows = [*rows * times, ("a", late, "")]
    widths = [max(map(tables.width_of, column)) for column in zip("abc", *rows, strict=True)]
    assert drawn(("a", "b", "c"), rows, 0) == [
        "  ".join(map(tables.padded, row, widths)).rstrip() for row in [("a", "b", "c"), *rows]
    ]


def test_too_wide_goes_on_below_between_columns() -> None:
    """A row that does not fit is continued, indented."""
    assert drawn(TITLES, [ROW], 40) == [
        "NSG      rule              source",
        "    port",
        "WEB-NSG  UserRule_DenyRdp  198.51.100.7",
        "    3389",
    ]


def test_sentences_are_wrapped_in_their_column() -> None:
    """A cell of words is broken between them where that is enough."""
    assert drawn(("n", "why"), [("1", "the rule denies it"), ("2", "no")], 14) == [
        "n  why",
        "1  the rule",
        "   denies it",
        "2  no",
    ]


@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from("ab资 "), max_size=90)] * 4).map(
            lambda row: tuple(" ".join(cell.split()) for cell in row)
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(60, 200),
)
def test_fits_and_breaks_no_word(rows: list[tuple[str, ...]], width: int) -> None:
    """No line is wider than the terminal unless a word is; every word stands whole."""
    lines = drawn(TITLES, rows, width)
    longest = max(tables.width_of(word) for row in rows for cell in row for word in cell.split(" "))
    assert max(map(tables.width_of, lines)) <= max(width, longest + 4)
    words = [word for word in " ".join(lines).split() if word != "-"]
    assert sorted(words) == sorted(
        " ".join(cell for row in (TITLES, *rows) for cell in row).split()
    )


def test_a_cell_wider_than_the_terminal_is_wrapped() -> None:
    """Where each column has lines of its own, too."""
    long = "the rules of this NSG are not known, nor those of any other here"
    assert drawn(TITLES, [("WEB-NSG", long, "198.51.100.7", "3389")], 30) == [
        "NSG",
        "    rule",
        "    source        port",
        "WEB-NSG",
        "    the rules of this NSG are",
        "    not known, nor those of",
        "    any other here",
        "    198.51.100.7  3389",
    ]


def test_a_line_of_empty_cells_is_not_left_out() -> None:
    """What stands in the lines behind it would seem to stand below other headings."""
    titles = ("source-of-the-flows", "their-destination", "port")
    heading = ["source-of-the-flows", "    their-destination", "    port"]
    assert drawn(titles, [("", "", "22")], 22) == [*heading, "-", "    -", "    22"]
    assert drawn(titles, [("", "web", ""), ("db", "", "")], 22) == [*heading, "-", "    web", "db"]


def test_nothing_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and line feeds are replaced."""
    tables.write_table(("a",), [("b\n\u202ec",)])
    assert capsys.readouterr().out == "a\nb\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}c\n"
