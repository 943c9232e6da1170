"""Logs in which no tuple is like another: addresses, ports and counters all differ.

Caches help on what repeats, and real logs repeat much; whoever keeps every flow of a busy network
sees little of that. So the dear case is measured on these.
"""

import datetime as dt
import random
from collections.abc import Iterator
from typing import Literal

from devtools.flowlogs import CLOSER, HEAD, Group, Nic, nsg_record, vnet_record

_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def distinct_log(
    records: int, tuples: int, denied_share: float, version: Literal[2, 4], seed: int = 1
) -> bytes:
    """A whole PT1H.json, denied tuples under a rule of their own; the same seed, the same bytes."""
    rng = random.Random(seed)
    nic = Nic()
    denied = round(tuples * denied_share)
    made: list[bytes] = []
    for number in range(records):
        time = _HOUR + dt.timedelta(seconds=3600 * (number + 1) / records)
        texts = list(_tuples(tuples, denied, version, time, rng))
        groups = [
            Group(rule, tuple(of_rule))
            for rule, of_rule in (
                ("UserRule_AllowApp", texts[denied:]),
                ("DefaultRule_DenyAllInBound", texts[:denied]),
            )
            if of_rule
        ]
        record = (
            vnet_record(nic, time, groups)
            if version == 4
            else nsg_record(nic, time, groups, version=version)
        )
        made.append(record.data)
    return HEAD + b",".join(made) + CLOSER


def _tuples(
    count: int, denied: int, version: Literal[2, 4], time: dt.datetime, rng: random.Random
) -> Iterator[str]:
    last = int(time.timestamp() * 1000)
    for number in range(count):
        is_denied = number < denied
        ports = f"{rng.randrange(1024, 65536)},{rng.randrange(1, 65536)}"
        ends = f"{_address(rng)},{_address(rng)},{ports}"
        moment, direction = last - rng.randrange(60_000), rng.choice("IO")
        numbers = ",".join(str(rng.randrange(1, 10 ** rng.randrange(1, 8))) for _ in range(4))
        if version == 4:
            state = "D" if is_denied else rng.choice("BCE")
            counters = "0,0,0,0" if is_denied else numbers
            kind = rng.choice(("6", "6", "17"))
            yield f"{moment},{ends},{kind},{direction},{state},NX,{counters}"
        else:
            decision, state = ("D", "B") if is_denied else ("A", rng.choice("CE"))
            counters = ",,," if is_denied else numbers
            kind = rng.choice("TTU")
            yield f"{moment // 1000},{ends},{kind},{direction},{decision},{state},{counters}"


def _address(rng: random.Random) -> str:
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))
