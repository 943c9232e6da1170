"""As many windows of logs are on their way at once as are downloaded at once, be there few logs."""

from datetime import UTC, datetime
from threading import Barrier

import pytest

from nsgflow_core.cli.read import DOWNLOADS, Log, Reader, windows
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.source import BlockList
from nsgflow_core.model import BlobRef

HOUR = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Distant:
    """Blobs of blanks; it answers once so many requests are made as may be at once."""

    def __init__(self) -> None:
        self.met = Barrier(DOWNLOADS, timeout=10)

    def list_blocks(self, ref: BlobRef) -> BlockList:
        """Nobody asks: no blob grows."""
        raise AssertionError(ref)

    def read(self, ref: BlobRef, start: int, end: int, etag: str) -> bytes:
        """Blanks, when as many others are asked for."""
        self.met.wait()
        return b" " * (end - start)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_logs_are_downloaded_as_fast_as_many(count: int) -> None:
    """A window is parsed sooner than the next one comes, if that is asked for only then."""
    window, ahead = windows(count)
    logs = [
        Log(
            BlobRef("account", "container", f"{number}.json"),
            LogPath("nsg", f"NSG{number}", HOUR, "000D3A000000"),
            window * ahead,
            "",
        )
        for number in range(count)
    ]
    with Reader(Distant(), compile_terms(""), lambda _: None) as reader:
        assert not list(reader.columns([logs]))
    assert not any("BrokenBarrier" in str(failure) for failure in reader.tally.failures)
    assert reader.tally.bytes_read == count * window * ahead
