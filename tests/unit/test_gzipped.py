"""gzip as it is met: members behind each other, padding, cuts and damage."""

import gzip
import io
import random
from io import BufferedReader

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.cli.gzipped import Members

TEXT = "".join(f"{random.Random(4).getrandbits(128):x} {n}\n" for n in range(20_000)).encode()
WHOLE = gzip.compress(TEXT, mtime=0)


class Slowly(io.RawIOBase):
    """Bytes as a pipe hands them out: some at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__()
        self.data, self.size = data, size

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: memoryview) -> int:  # type: ignore[override]
        """The next few."""
        size = min(self.size, len(into))
        piece, self.data = self.data[:size], self.data[size:]
        into[: len(piece)] = piece
        return len(piece)


def read(data: bytes, size: int = 1 << 20) -> tuple[bytes, list[str]]:
    """What is read of a file, and what is wrong with it."""
    members = Members(BufferedReader(Slowly(data, size)))
    return BufferedReader(members).read(), members.problems


@given(
    st.lists(
        st.tuples(st.binary(max_size=40), st.text("\0\n\r\t ", max_size=5)), min_size=1, max_size=6
    ),
    st.sampled_from([1, 2, 3, 7, 1000]),
)
def test_members_with_padding_between_them(parts: list[tuple[bytes, str]], size: int) -> None:
    """Empty ones too, however few bytes come at a time: all of it, and nothing is wrong."""
    data = b"".join(gzip.compress(text, mtime=0) + padding.encode() for text, padding in parts)
    assert read(data, size) == (b"".join(text for text, _ in parts), [])


@pytest.mark.parametrize(
    ("behind", "count"), [(b"\nbye\n", 4), (b"\x1f\x8b", 2), (b"PK" * 99, 198)]
)
def test_what_is_behind_gzip_is_told(behind: bytes, count: int) -> None:
    """And what is before it is read."""
    text, problems = read(WHOLE + behind)
    assert text == TEXT
    (said,) = problems
    assert said.startswith(f"the {count} bytes from byte {len(WHOLE) + len(behind) - count} on are")


def test_what_is_between_members_is_told() -> None:
    """Both are read."""
    text, problems = read(WHOLE + b"?" * 100_000 + WHOLE)
    assert text == TEXT * 2
    assert problems == [f"the 100000 bytes from byte {len(WHOLE)} on are no gzip"]


@given(st.integers(20, len(WHOLE) - 1), st.sampled_from([999, 1 << 16, 1 << 20]))
def test_a_member_that_is_cut(at: int, size: int) -> None:
    """What is before the cut is read, and all of the member behind it."""
    text, problems = read(WHOLE[:at], size)
    assert TEXT.startswith(text)
    assert len(text) >= len(TEXT) * (at - 1000) / len(WHOLE) - 70_000
    assert problems == [f"it breaks off at byte {at}"]

    text, problems = read(WHOLE[:at] + gzip.compress(b"more" * 99, mtime=0), size)
    assert text.endswith(b"more" * 99)
    assert TEXT.startswith(text[: -4 * 99])
    (said,) = problems
    assert said.endswith(f"and is read again from byte {at} on")


@given(st.integers(10, len(WHOLE) - 1), st.integers(1, 255))
def test_a_byte_that_is_another(at: int, change: int) -> None:
    """Damage is told, or is not in what is read; nothing before it is lost."""
    data = WHOLE[:at] + bytes([WHOLE[at] ^ change]) + WHOLE[at + 1 :]
    text, problems = read(data + gzip.compress(b"more", mtime=0))
    assert text == TEXT + b"more" if not problems else text.endswith(b"more")


@pytest.mark.parametrize("data", [WHOLE[:5], b"\x1f\x8b", b"\x1f\x8b\x08" + b"?" * 99])
def test_nothing_that_can_be_read(data: bytes) -> None:
    """Is told, too."""
    text, problems = read(data)
    assert not text
    assert len(problems) == 1
