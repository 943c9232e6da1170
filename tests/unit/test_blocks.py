"""What a block list says of places in its blob."""

import time
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.source import BlockList
from nsgflow_core.model import BlobRef, Block

MOST_BLOCKS = 50_000


def block_list(sizes: list[int]) -> BlockList:
    """Blocks of these sizes, one behind the other."""
    ends = list(accumulate(sizes))
    blocks = [
        Block(str(number), end - size, size)
        for number, (end, size) in enumerate(zip(ends, sizes, strict=True))
    ]
    return BlockList(tuple(blocks), ends[-1] if ends else 0, '"1"')


@given(
    sizes=st.lists(st.integers(0, 9), max_size=12),
    offset=st.integers(-1, 120),
    size=st.integers(1, 20),
)
@example(sizes=[0, 0, 5, 0, 5, 0], offset=5, size=5)
def test_places_are_those_of_a_search_block_by_block(
    sizes: list[int], offset: int, size: int
) -> None:
    """The block of a byte, the blocks before it and the end of a window, empty blocks included."""
    listed = block_list(sizes)
    holders = [block for block in listed.blocks if block.offset <= offset < block.end]
    ends = [block.end for block in listed.blocks if offset < block.end <= offset + size]
    limit = min(offset + size, listed.size)

    assert listed.holding(offset) == (holders[0] if holders else None)
    assert listed.delivered(offset) == sum(block.end <= offset for block in listed.blocks)
    assert listed.window_end(offset, size) == (
        limit if limit == listed.size else max(ends, default=limit)
    )


def test_a_blob_in_one_piece_has_places_too() -> None:
    """Without blocks nothing holds a byte, and a window ends where its size says."""
    listed = BlockList((), 100, '"1"')

    assert listed.holding(5) is None
    assert listed.delivered(100) == 0
    assert [listed.window_end(0, 40), listed.window_end(80, 40)] == [40, 100]


def test_places_cost_the_same_in_the_longest_list() -> None:
    """A commit asks many times: a thousand questions to 50,000 blocks take no time to speak of."""
    listed = block_list([20_000] * MOST_BLOCKS)
    begun = time.process_time()
    for number in range(1000):
        offset = number * 1_000_000
        assert listed.holding(offset) == listed.blocks[listed.delivered(offset)]
        assert listed.window_end(offset, 4 << 20) > offset
    assert time.process_time() - begun < 1.0


def test_a_size_that_no_header_tells_is_the_end_of_the_last_block() -> None:
    """The service tells it; an emulator may not."""
    committed = [SimpleNamespace(id=name, size=size) for name, size in (("a", 12), ("b", 30))]

    def listed(_: str, raw_response_hook: Any) -> Any:
        raw_response_hook(SimpleNamespace(http_response=SimpleNamespace(headers={"ETag": '"1"'})))
        return committed, []

    client = SimpleNamespace(get_block_list=listed)
    service: Any = SimpleNamespace(get_blob_client=lambda *_: client)
    found = FlowLogs({"logs": service}).list_blocks(BlobRef("logs", "container", "path"))
    assert (found.size, found.etag) == (42, '"1"')
    assert [block.end for block in found.blocks] == [12, 42]
