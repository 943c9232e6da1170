"""Makes the corpus: `python -m tests.fuzz.generate` writes tests/fuzz/corpus anew, always alike."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from devtools.flowlogs import CLOSER, HEAD, Nic, random_record

CORPUS = Path(__file__).with_name("corpus")
_START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def log(version: Literal[1, 2, 4], records: int = 2) -> bytes:
    """A small log of a version."""
    rng = random.Random(version)
    made = [
        random_record(
            Nic(), _START + timedelta(minutes=n), rng, version=version, tuples=4, denied_share=0.5
        ).data
        for n in range(records)
    ]
    return HEAD + b",".join(made) + CLOSER


def corpus() -> dict[str, bytes]:
    """Every file: logs as Azure writes them, as people keep them, and as nobody should."""
    v1, v2, v4 = (log(version) for version in (1, 2, 4))
    document = json.loads(v2)
    record = json.dumps(document["records"][0], separators=(",", ":")).encode()
    return {
        "v1.json": v1,
        "v2.json": v2,
        "v4.json": v4,
        "pretty.json": json.dumps(json.loads(v4), indent=2).encode(),
        "bare.json": record,
        "wrapped.json": HEAD + log(2, 1) + b"," + log(4, 1) + CLOSER,
        "open.json": v2[:-2],
        "cut.json": v2[: len(v2) // 2],
        "closed-in-the-middle.json": v2[: len(v2) // 2] + CLOSER,
        "empty.json": HEAD + CLOSER,
        "repeated-keys.json": v2.replace(b'"rule":', b'"rule":"x","rule":', 1),
        "other-types.json": v4.replace(b'"flowTuples":[', b'"flowTuples":[1,null,{},', 1),
        "no-utf8.json": v2.replace(b"UserRule", b"\xff\xfeRule", 1),
        "escapes.json": v2.replace(b"UserRule", b"\\ud800\\u0000\\u001b[31m", 1),
        "nul.json": v2.replace(b",{", b"\0,{", 1),
        "numbers.json": v2.replace(b'"Version":2', b'"Version":' + b"9" * 400, 1),
        "nested.json": HEAD + b'{"time":' + b"[" * 60 + b"]" * 60 + b"}," + record + CLOSER,
        "times.json": v4.replace(b'"time":"2026', b'"time":"99999', 1),
    }


def main() -> None:
    """Write the files."""
    CORPUS.mkdir(exist_ok=True)
    for name, data in corpus().items():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
