"""Hostile bytes: a hundred thousand mutated logs, and large ones made to hurt.

TEST_FUZZ=5000000 makes the run longer, TEST_HURT=256 the large ones smaller, in KiB.
"""

import gc
import os
import random
import resource
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nsgflow_core.logs import flows, records
from nsgflow_core.model import Bad
from nsgflow_core.sinks.webhook import MAX_ALERT, encode_alert
from tests.fuzz.generate import CORPUS, corpus
from tests.fuzz.mutate import mutate
from tests.fuzz.target import LOG, REF, run

EXECUTIONS = int(os.environ.get("TEST_FUZZ", "100000"))
PARTS = 8
SECONDS_EACH = 1.0
GROWTH = 200 * 1024
"""What the process may grow by in a part, in KiB: its caches are bounded."""
MIB = 1024 * 1024
HURT = 1024 * int(os.environ.get("TEST_HURT", "1024"))
"""Bytes of a log that is made to hurt, and a quarter of those of the larger one."""


def test_the_corpus_is_the_generators() -> None:
    """What is kept in the repository is what the generator makes."""
    assert {path.name: path.read_bytes() for path in CORPUS.iterdir()} == corpus()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_mutated_logs(part: int) -> None:
    """No crash, no hang, no growth, and every row within its limits."""
    seeds = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    made = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(part, EXECUTIONS, PARTS):
        rng = random.Random(number)
        data = mutate(rng, seeds)
        begun = time.thread_time()
        try:
            made += len(run(data, last=rng.random() < 0.5, denied_only=rng.random() < 0.5))
        except Exception as exc:
            raise AssertionError(f"input {number}: {type(exc).__name__}: {exc}") from exc
        assert time.thread_time() - begun < SECONDS_EACH, f"input {number} is slow"
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert made > EXECUTIONS / PARTS, "most inputs must get through to rows"
    assert growth < GROWTH


@settings(max_examples=500, deadline=None)
@given(data=st.binary(max_size=400), last=st.booleans())
@example(data=b"", last=True)
@example(data=b'{"records":[]}', last=True)
def test_any_bytes(data: bytes, last: bool) -> None:
    """Bytes that never were a log are read as well."""
    run(data, last=last, denied_only=True)


def tuples(text: bytes, count: int, rule: bytes = b"r") -> bytes:
    """A log of one record with a tuple so many times."""
    listed = b",".join([b'"' + text + b'"'] * count)
    return (
        b'{"records":[{"time":"2026-11-23T08:00:00Z","macAddress":"000D3AF87856",'
        b'"properties":{"Version":2,"flows":[{"rule":"' + rule + b'","flows":[{"flowTuples":['
        + listed + b"]}]}]}}]}"
    )  # fmt: skip


DENIED = b"1795420800,10.0.0.4,10.0.0.5,1,3389,T,I,D,B,,,,"
HURTFUL: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda size: b'{"records":[' + b"[" * size,
    "braces": lambda size: b'{"records":[' + b'{"a":' * (size // 5),
    "openings": lambda size: b'{"records":[' * (size // 12),
    "starts": lambda size: b'{"time":' * (size // 8),
    "cut starts": lambda size: b'{"time":"' * (size // 9),
    "closed starts": lambda size: b'{"time":1,' * (size // 10) + b"]}",
    "wrong records": lambda size: b'{"records":[' + b'{"time":1}x,' * (size // 12) + b"]}",
    "open text": lambda size: b'{"records":[{"time":"' + b"x" * size,
    "backslashes": lambda size: b'{"records":[{"time":"' + b"\\" * size + b'"}]}',
    "quotes": lambda size: b'{"records":[' + b'"' * size + b"]}",
    "commas": lambda size: b'{"records":[' + b"," * size + b"]}",
    "white space": lambda size: b'{"records":[' + b" \n" * (size // 2) + b"x]}",
    "closings": lambda size: b"]}" * (size // 2),
    "number": lambda size: b'{"records":[{"time":' + b"9" * size + b"}]}",
    "fraction": lambda size: b'{"records":[{"time":0.' + b"9" * size + b"}]}",
    "exponent": lambda size: b'{"records":[{"Version":1e' + b"9" * size + b"}]}",
    "version": lambda size: tuples(DENIED, 1).replace(b":2,", b":" + b"9" * size + b","),
    "nul": lambda size: b"\0" * size,
    "no utf-8": lambda size: b'{"records":[{"time":"' + b"\xff" * size + b'"}]}',
    "rule": lambda size: tuples(DENIED, 100, b"r" * size),
    "rule of controls": lambda size: tuples(DENIED, 10, b"\\u0001" * (size // 6)),
    "rule and bad tuples": lambda size: tuples(b"x", size // 40, b"r" * (size // 4)),
    "empty tuples": lambda size: tuples(b"", size // 3),
    "commas in a tuple": lambda size: tuples(b"," * size, 1),
    "a number in a tuple": lambda size: tuples(b"9" * size + DENIED[10:], 1),
    "numbers as tuples": lambda size: tuples(b"", 1).replace(b'""', b"1," * (size // 2) + b"1"),
    "nested tuples": lambda size: tuples(b"", 1).replace(b'""', b"[" * size),
    "escaped tuples": lambda size: tuples(b"\\u002cD", size // 10),
    "ds": lambda size: tuples(b"D" * size, 1),
    "same key": lambda size: b'{"records":[{' + b'"time":"x",' * (size // 11) + b'"a":1}]}',
    "bare values": lambda size: b'{"records":[' + b"1," * (size // 2) + b"1]}",
    "no list": lambda size: tuples(b"", 1).replace(
        b'{"flowTuples":[""]}', b"1," * (size // 2) + b"1"
    ),
}


@pytest.mark.parametrize("name", HURTFUL)
@pytest.mark.parametrize("last", [True, False], ids=["closed", "open"])
def test_time_and_memory_follow_the_size(name: str, last: bool) -> None:
    """Four times the bytes take about four times the time, and memory is a multiple of both."""
    seconds = []
    for size in (HURT, 4 * HURT):
        data = HURTFUL[name](size)
        gc.collect()
        begun = time.thread_time()
        run(data, last=last, denied_only=True)
        seconds.append(time.thread_time() - begun)

    assert seconds[1] < max(8 * seconds[0], 1.0)
    assert seconds[1] < 20
    data = HURTFUL[name](MIB // 16)  # tracing costs much
    run(data, last=last, denied_only=True)  # fills the caches, which are bounded
    tracemalloc.start()
    try:
        run(data, last=last, denied_only=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < max(100 * len(data), 16 * MIB)


def test_an_alert_of_a_huge_rule_is_small() -> None:
    """A megabyte of rule in thousands of groups is looked at one by one, and left out."""
    text = b",".join(
        b'"' + DENIED.replace(b",1,", b",%d," % n).replace(b"3389", b"%d" % n) + b'"'
        for n in range(1, 400)
    )
    data = tuples(b"", 1, b"r" * MIB).replace(b'""', text)
    (raw,) = records.split(data, 0, last=True).records
    bad: list[Bad] = []
    found = flows.read(raw, LOG, bad, denied_only=True)
    tracemalloc.start()
    try:
        alert = encode_alert(REF, found[0].group.record, found)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (len(found), bad) == (399, [])
    assert len(alert) <= MAX_ALERT
    assert peak < 16 * MIB
