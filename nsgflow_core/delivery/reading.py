"""Reading a blob in windows, from where its sinks stand to its end."""

from datetime import UTC, datetime

from msgspec.structs import replace

from nsgflow_core.delivery.cursor import Cursor, digest
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.report import Report
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.logs import flows
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.flows import Reading, Take
from nsgflow_core.logs.leftover import HEAD_BYTES, ending, is_over
from nsgflow_core.logs.path import LogPath, log_name
from nsgflow_core.logs.source import LARGEST_RECORD, BlockList
from nsgflow_core.model import Bad
from nsgflow_core.turns import HEAVY_BYTES, turn

WINDOW = 8 * 1024 * 1024
"""Bytes read at once; progress is committed after each."""


class Reader:
    """Reads one blob for one run, and counts in its report what it reads."""

    def __init__(self, parts: Parts, log: LogPath, knowledge: Knowledge, report: Report) -> None:
        self._parts = parts
        self._log = log
        self._knowledge = knowledge
        self._report = report
        self._ref = report.ref
        self.log_name = log_name(report.ref, log)
        self._unfinished = (-1, "")

    def unchanged(self, cursor: Cursor, blocks: BlockList) -> bool:
        """Whether the bytes before a cursor are those that it was left behind."""
        if cursor.offset > blocks.size or not cursor.anchor_size:
            return False
        data = self._read(cursor.offset - cursor.anchor_size, cursor.offset, blocks)
        return digest(data) == cursor.anchor

    def _read(self, start: int, end: int, blocks: BlockList) -> bytes:
        if start >= end:
            return b""
        data = self._parts.source.read(self._ref, start, end, blocks.etag)
        self._report.bytes_read += len(data)
        return data

    def window(
        self, start: int, blocks: BlockList, take: Take, *, denied_only: bool
    ) -> tuple[bytes, Reading[Columns]]:
        """Read from `start` as far as a window goes, further if not one record ends in it.

        The flows are taken as they are read.
        """
        size = WINDOW
        end = blocks.window_end(start, size)
        data = self._read(start, end, blocks)
        while True:
            last = end == blocks.size
            with turn(heavy=len(data) > HEAVY_BYTES):
                reading = flows.read_stretch(
                    data,
                    start,
                    self._ref,
                    self._log,
                    last=last,
                    denied_only=denied_only,
                    inventory=self._knowledge.inventory,
                    take=take,
                )
            if reading.end > start or last:
                return data, reading
            if size >= LARGEST_RECORD:
                bad = Bad(start, "no record ends in 64 MiB", data)
                return data, Reading([], [bad], 0, end)
            size = min(4 * size, LARGEST_RECORD)
            begin, end = end, min(start + size, blocks.size)
            data += self._read(begin, end, blocks)

    def bad_among_denied(self, data: bytes, start: int) -> set[tuple[int, str]]:
        """Offset and reason of what cannot be read in a window, where denied flows are wanted."""
        inventory = self._knowledge.inventory
        reading = flows.read_stretch(
            data, start, self._ref, self._log, last=False, denied_only=True, inventory=inventory
        )
        return {(piece.offset, piece.reason) for piece in reading.bad}

    def judge_end(
        self, data: bytes, start: int, reading: Reading[Columns], blocks: BlockList, *, told: bool
    ) -> Reading[Columns]:
        """What a blob ends with: nothing more, a record that may go on, or what is no record.

        Such a piece is added to the reading, unless it was `told` already.
        """
        rest = data[reading.end - start :]
        head = data[:HEAD_BYTES]
        if start and not rest.strip(b", \t\r\n"):
            head = self._read(0, HEAD_BYTES, blocks)
        over = is_over(self._log.hour, datetime.fromtimestamp(self._parts.now(), UTC))
        found = ending(head, rest, reading.end, over=over)
        if found.state == "waiting":
            self._unfinished = (reading.end, blocks.etag)
        if found.bad is None:
            return reading
        self._report.unreadable = found.bad.reason
        if told:
            return reading
        end = blocks.size if found.state == "none" else reading.end
        return replace(reading, bad=[*reading.bad, found.bad], end=end)

    def waits(self, cursor: Cursor, blocks: BlockList) -> bool:
        """Whether a cursor stands before what may still become a record, if the blob grows."""
        return not cursor.ordinal and (cursor.offset, blocks.etag) == self._unfinished
