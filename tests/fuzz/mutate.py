"""A small mutation fuzzer: seeded, so that every input can be made again from its number."""

import random

TOKENS = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\0", b"\xff"),
    *(b"null", b"true", b"-1", b"1e999", b"0" * 40, b"9" * 40, b"NaN", b'{"time":', b"]}"),
    *(b'{"records":[', b'"flowTuples":[', b'"flowRecords":', b'"properties":', b'"flows":['),
    *(b'"rule":', b'"aclID":', b'"Version":4', b'"flowLogVersion":2', b",D", b",D,B,,,,"),
    *(b"[" * 2000, b'{"a":' * 500, b"::1", b"fe80::1%0", b"1.2.3.4", b"65536", b",I,D", b"\r\n"),
)


def mutate(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with up to six changes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        here, there = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
        first, second = min(here, there), max(here, there)
        match rng.randrange(7):
            case 0 if data:
                data[here % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[first : min(second, first + 64)]
            case 2:
                data[here:here] = data[first : min(second, first + 512)]
            case 3:
                data[here:here] = rng.choice(TOKENS)
            case 4:
                end = first + rng.randrange(1, 8)
                data[first:end] = rng.choice(TOKENS)
            case 5:
                other = rng.choice(seeds)
                cut = rng.randrange(len(other) + 1)
                data[here:] = other[cut:]
            case _:
                del data[second:]
    return bytes(data[:65536])
