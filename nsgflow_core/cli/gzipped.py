"""gzip as it is met: members behind each other, padding, and what was cut or damaged.

What can be read is read, and the rest is told, as gzip(1) does with what follows its data. A
member that is damaged ends where that is seen, and reading goes on with the next one
(https://www.rfc-editor.org/rfc/rfc1952: each begins with the same three bytes).
"""

import io
import zlib
from collections import deque
from collections.abc import Generator
from io import BufferedReader
from typing import Any

MAGIC = b"\x1f\x8b"
_BEGIN = MAGIC + b"\x08"
_PADDING = b"\0\t\n\r "
_FORMAT = 31  # zlib's number for gzip with a window of any size
_PIECE = 64 * 1024
_HELD = 2  # pieces
_SLICE = 64
"""Bytes of a damaged piece that are read at once, so that little before the damage is lost."""
_PROBED = 4096
"""Bytes by which a member that may begin in the midst of others is told from chance."""


class Members(io.RawIOBase):
    """What the members of a file hold, one behind the other.

    `problems` says what is wrong with the file, as of what was read so far.
    """

    def __init__(self, file: BufferedReader) -> None:
        super().__init__()
        self.problems: list[str] = []
        self._file = file
        self._taken = 0
        self._texts = self._members()
        self._text = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: Any) -> int:
        """The next bytes."""
        while not self._text:
            text = next(self._texts, None)
            if text is None:
                return 0
            self._text = memoryview(text)
        size = min(len(into), len(self._text))
        into[:size], self._text = self._text[:size], self._text[size:]
        return size

    def _more(self) -> bytes:
        piece = self._file.read(_PIECE)
        self._taken += len(piece)
        return piece

    def _members(self) -> Generator[bytes, None, None]:
        raw = self._more()
        while raw := raw.lstrip(_PADDING) or self._more():
            if raw[:1] in _PADDING:
                continue
            while len(raw) < len(_BEGIN) and (more := self._more()):
                raw += more
            if raw.startswith(_BEGIN):
                raw = yield from self._member(raw)
            else:
                place = self._taken - len(raw)
                raw, skipped = self._next(raw)
                self.problems.append(f"the {skipped} bytes from byte {place} on are no gzip")

    def _member(self, raw: bytes) -> Generator[bytes, None, bytes]:
        """The text of a member; returns what is behind it.

        A piece is handed out when two more are sound, too: the beginning of another member may
        pass for a while for more of one that was cut.
        """
        member = zlib.decompressobj(_FORMAT)
        held: deque[tuple[Any, bytes, bytes]] = deque()
        while not member.eof:
            before = member.copy()
            try:
                text = member.decompress(raw)
            except zlib.error:
                text = b""
                sound = False
            else:
                sound = bool(raw)
            held.append((before, raw, text))
            if not sound:
                return (yield from self._damaged(held[0][0], b"".join(raw for _, raw, _ in held)))
            if len(held) > _HELD:
                yield held.popleft()[2]
            raw = member.unused_data if member.eof else self._more()
        yield from (text for _, _, text in held)
        return raw

    def _damaged(self, member: Any, raw: bytes) -> Generator[bytes, None, bytes]:
        """The text of pieces until their damage shows; returns the next member and what follows."""
        place = self._taken - len(raw)
        following, skipped = self._next(raw[1:])
        good = place
        for at in range(0, 1 + skipped, _SLICE):
            try:
                yield member.decompress(raw[at : min(at + _SLICE, 1 + skipped)])
            except zlib.error:
                break
            good = place + at + _SLICE
        if following:
            self.problems.append(
                f"it is damaged at byte {min(good, place + 1 + skipped)}, and is read again from "
                f"byte {place + 1 + skipped} on"
            )
        elif good < self._taken:
            self.problems.append(f"it is damaged at byte {good}")
        else:
            self.problems.append(f"it breaks off at byte {self._taken}")
        return following

    def _next(self, raw: bytes) -> tuple[bytes, int]:
        """The next member with what was read behind it, and how many bytes are before it."""
        skipped = 0
        while True:
            at = raw.find(_BEGIN)
            if at >= 0:
                raw, skipped = raw[at:], skipped + at
                while len(raw) < _PROBED and (more := self._more()):
                    raw += more
                if _is_member(raw[:_PROBED]):
                    return raw, skipped
                raw, skipped = raw[1:], skipped + 1
                continue
            kept = raw[-2:]  # where it may begin
            skipped += len(raw) - len(kept)
            if not (more := self._more()):
                return b"", skipped + len(kept)
            raw = kept + more


def _is_member(raw: bytes) -> bool:
    try:
        zlib.decompressobj(_FORMAT).decompress(raw)
    except zlib.error:
        return False
    return True
