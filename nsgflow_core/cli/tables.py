"""Tables of text, as wide as they must be; on a terminal no wider than it is.

What is too wide for a terminal is first wrapped between the words of its cells. Where that does
not do, each row goes on in further lines, indented, from one column to the next. No word is
broken.
"""

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from tempfile import SpooledTemporaryFile

import msgspec

from nsgflow_core.cli.colour import coloured
from nsgflow_core.cli.harmless import printable

_KEPT = 32 * 1024 * 1024
"""Bytes of pages that memory keeps."""
_LENGTH = 8
"""Bytes that say how many a page has."""
_GAP = "  "
_INDENT = "    "
_NONE = "-"
"""Stands in a line of a row whose cells are all empty."""
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_SAMPLE = 32
"""Cells at the beginning of a column that tell whether many of it are alike."""
_WIDE = frozenset("WF")
_NO_WIDTH = frozenset(("Mn", "Me", "Cf"))


def terminal_width() -> int:
    """How wide the terminal is that stdout goes to; 0 where it goes to none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(letter) in _NO_WIDTH
        else 2
        if unicodedata.east_asian_width(letter) in _WIDE
        else 1
        for letter in text
    )


def padded(text: str, width: int) -> str:
    """A text with spaces behind it, so that it takes `width` columns."""
    return text + " " * (width - width_of(text))


def write_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to stdout; what could steer a terminal or break a line is replaced."""
    write_columns(titles, list(zip(*rows, strict=True)) or [()] * len(titles))


def write_columns(titles: Sequence[str], columns: Sequence[Sequence[str]]) -> None:
    """Write a table as `write_table` does, by its columns."""
    heading, drawn_rows = drawn(titles, _printable(columns), terminal_width())
    sys.stdout.write(bold(heading) + drawn_rows)


def write_pages(titles: Sequence[str], pages: Iterable[Sequence[Sequence[str]]]) -> None:
    """Write a table as `write_columns` does, of rows that come some thousands at a time.

    How wide columns are is known at the end: until then pages are kept, on disk if they are many.
    """
    width = terminal_width()
    sizes = _Sizes(titles)
    with SpooledTemporaryFile(_KEPT) as kept:
        for page in pages:
            texts = _printable(page)
            sizes.add(list(map(_Column, texts)))
            if width:
                sizes.add_words(texts)
            packed = msgspec.msgpack.encode(texts)
            kept.write(len(packed).to_bytes(_LENGTH, "big") + packed)
        heading, lines = _fitted(titles, sizes, width)
        sys.stdout.write(bold(heading))
        kept.seek(0)
        while length := kept.read(_LENGTH):
            texts = msgspec.msgpack.decode(kept.read(int.from_bytes(length, "big")))
            sys.stdout.write(lines(list(map(_Column, texts))))


def _printable(columns: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    return [
        column if "".join(column).isprintable() else list(map(printable, column))
        for column in columns
    ]


def write_text(*paragraphs: str) -> None:
    """Write sentences to stdout, each paragraph on a line; on a terminal none breaks a word."""
    width = terminal_width()
    for paragraph in map(printable, paragraphs):
        for line in wrapped(paragraph, width) if width else [paragraph]:
            sys.stdout.write(f"{line}\n")


def bold(heading: str) -> str:
    """The heading of a table, bold where colours are."""
    if not coloured():
        return heading
    return "".join(f"{_BOLD}{line}{_PLAIN}\n" for line in heading.splitlines())


def drawn(titles: Sequence[str], columns: Sequence[Sequence[str]], width: int) -> tuple[str, str]:
    """The lines of a heading, and those of all rows; texts are printable. 0 is any width."""
    measured = list(map(_Column, columns))
    sizes = _Sizes(titles)
    sizes.add(measured)
    if width and _total(sizes.widths) > width:
        sizes.add_words(columns)
    heading, lines = _fitted(titles, sizes, width)
    return heading, lines(measured)


def _fitted(
    titles: Sequence[str], sizes: "_Sizes", width: int
) -> tuple[str, Callable[[Sequence["_Column"]], str]]:
    """The lines of a heading, and what draws those of some rows."""
    widths = sizes.widths
    if not width or _total(widths) <= width:
        return _line(titles, widths), lambda columns: _plain(columns, widths)
    if (shrunk := _shrunk(sizes, width)) is not None:
        return _wrapped(titles, shrunk), lambda columns: "".join(
            _wrapped(row, shrunk) for row in _rows(columns)
        )
    blocks = _blocks(widths, width)
    narrow = [min(wide, width - len(_INDENT)) for wide in widths]
    return _in_blocks(titles, narrow, blocks), lambda columns: "".join(
        _in_blocks(row, narrow, blocks) for row in _rows(columns)
    )


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


class _Column:
    """A column of texts: how wide it is, and its cells as wide as they must be.

    Where many cells are alike each text is measured once.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        """Measure a column."""
        self.cells = cells
        self._texts: Collection[str] = cells
        if len(set(cells[:_SAMPLE])) <= _SAMPLE // 4 and len(cells) > _SAMPLE:
            self._texts = set(cells)
        self._is_ascii = "".join(self._texts).isascii()
        self.widest = max(map(len if self._is_ascii else width_of, self._texts), default=0)

    def filled(self, width: int) -> tuple[str, Sequence[str]]:
        """A form that fills each cell up to `width` columns, and what stands in it."""
        if self._is_ascii:
            return f"%-{width}s", self.cells
        return "%s", [padded(cell, width) for cell in self.cells]


def _rows(columns: Sequence[_Column]) -> Iterable[tuple[str, ...]]:
    return zip(*(column.cells for column in columns), strict=True)


class _Sizes:
    """How wide the columns of a table are, and the longest word of each."""

    def __init__(self, titles: Sequence[str]) -> None:
        self.widths = list(map(width_of, titles))
        self.words = [_longest_word([title]) for title in titles]

    def add(self, columns: Sequence[_Column]) -> None:
        """Make room for rows."""
        self.widths = [
            max(wide, column.widest) for wide, column in zip(self.widths, columns, strict=True)
        ]

    def add_words(self, columns: Sequence[Sequence[str]]) -> None:
        """Look at the words of rows, too, which a narrow terminal asks for."""
        self.words = list(map(max, self.words, map(_longest_word, columns)))


def _plain(columns: Sequence[_Column], widths: Sequence[int]) -> str:
    *others, last = columns
    filled = [column.filled(width) for column, width in zip(others, widths, strict=False)]
    # The last column needs no padding: without it few lines end in spaces.
    filled.append(("%s\n", last.cells))
    cells = [""] * (len(last.cells) * len(filled))
    for at, (_, column) in enumerate(filled):
        cells[at :: len(filled)] = column
    # All rows by one form: half of what it takes to fill each cell, and then to join all.
    form = _GAP.join([cell for cell, _ in filled]) * len(last.cells)
    drawn_rows = form % tuple(cells)
    if " \n" not in drawn_rows:
        return drawn_rows
    return "\n".join([line.rstrip() for line in drawn_rows.split("\n")])


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return _GAP.join(map(padded, cells, widths)).rstrip() + "\n"


def _shrunk(sizes: _Sizes, width: int) -> Sequence[int] | None:
    """Widths that fit, where wrapping cells between their words is enough for it."""
    least = sizes.words
    found = list(sizes.widths)
    while (over := _total(found) - width) > 0:
        room = [wide - narrow for wide, narrow in zip(found, least, strict=True)]
        if not any(room):
            return None
        at = max(range(len(found)), key=lambda number: found[number] * (room[number] > 0))
        others = [wide for number, wide in enumerate(found) if number != at and room[number]]
        step = max(1, found[at] - max(others, default=0))
        found[at] -= min(over, step, room[at])
    return found


def _longest_word(column: Iterable[str]) -> int:
    return max((width_of(word) for cell in column for word in cell.split(" ")), default=0)


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    return "".join(
        _line((cell[number] if number < len(cell) else "" for cell in cells), widths)
        for number in range(max(map(len, cells)))
    )


def wrapped(cell: str, width: int) -> list[str]:
    """A cell in lines that are as long as its words allow."""
    if width_of(cell) <= width:
        return [cell]
    found = [""]
    for word in cell.split(" "):
        longer = f"{found[-1]} {word}" if found[-1] else word
        if found[-1] and width_of(longer) > width:
            found.append(word)
        else:
            found[-1] = longer
    return found


def _blocks(widths: Sequence[int], width: int) -> list[range]:
    """Columns that stand in one line each; all lines but the first are indented."""
    blocks: list[range] = []
    begin, used = 0, 0
    for number, wide in enumerate(widths):
        more = wide + (len(_GAP) if number > begin else len(_INDENT) * bool(blocks))
        if number > begin and used + more > width:
            blocks.append(range(begin, number))
            begin, used = number, len(_INDENT) + wide
        else:
            used += more
    return [*blocks, range(begin, len(widths))]


def _in_blocks(row: Sequence[str], widths: Sequence[int], blocks: Sequence[range]) -> str:
    lines: list[str] = []
    for block in blocks:
        cells = row[block.start : block.stop]
        if not any(cells):
            if not any(row[block.stop :]):
                break
            cells = [_NONE, *cells[1:]]  # so that what follows stands below its heading
        drawn_cells = _wrapped(cells, widths[block.start : block.stop])
        lines.append(textwrap.indent(drawn_cells, _INDENT if block.start else ""))
    return "".join(lines)
