"""Flow logs for the tests of the pipeline, with what is in them told by an independent reader."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

from devtools.flowlogs import CLOSER, HEAD, Nic, random_record
from devtools.truth import flows_of_log

_START = datetime(2021, 11, 23, 8, tzinfo=UTC)


def records(
    count: int,
    seed: int = 0,
    tuples: int = 8,
    denied: float = 0.4,
    version: Literal[1, 2, 4] = 2,
) -> list[bytes]:
    """The JSON texts of some records."""
    rng = random.Random(seed)
    return [
        random_record(
            Nic(),
            _START + timedelta(minutes=number + 1),
            rng,
            version=version,
            tuples=tuples,
            denied_share=denied,
        ).data
        for number in range(count)
    ]


def log(texts: Sequence[bytes]) -> bytes:
    """The whole blob."""
    return HEAD + b",".join(texts) + CLOSER


def azure_blocks(texts: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """One block a record, as Azure writes them, with head and closer."""
    data = [(f"d{number}", b"," * (number > 0) + text) for number, text in enumerate(texts)]
    return [("head", HEAD), *data, ("tail", CLOSER)]


def cut(content: bytes, places: Sequence[int], name: str = "c") -> list[tuple[str, bytes]]:
    """The same bytes in blocks that end at these places."""
    edges = sorted({0, len(content), *(at % (len(content) + 1) for at in places)})
    return [(f"{name}{start}-{end}", content[start:end]) for start, end in pairwise(edges)]


def denied_texts(texts: Sequence[bytes]) -> Counter[str]:
    """How often each denied tuple stands in the log."""
    return Counter(flow.text for flow in flows_of_log(log(texts)) if flow.denied)
