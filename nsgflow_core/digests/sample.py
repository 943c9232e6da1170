"""How many different values there were, and which: exact while they are few, a sketch beyond.

A sketch is a HyperLogLog (Flajolet et al., 2007) of 512 registers, one character each, read with
the estimator of Ertl (https://arxiv.org/abs/1702.01284), which needs no tables: its standard
error is 1.04 / sqrt(512), so 19 of 20 figures are within a tenth. Where that many characters find
no room it is folded into 64, which tell the order of magnitude and no figure.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import msgspec

MAX_VALUES = 12
"""So many values are kept, and counted exactly."""
EXAMPLES = 4
"""So many are kept of more."""
REGISTERS = 512
COARSE = 64

_BITS = 32
_FIRST = ord("A")
_EMPTY = chr(_FIRST) * REGISTERS


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Which different values there were: all of them, or some examples and a sketch of all.

    Samples merge into the sample of the union, in any order. `sketch` is "" while `complete`,
    and where it found no room or was written before there were sketches.
    """

    values: tuple[str, ...] = ()
    complete: bool = True
    sketch: str = ""

    @property
    def distinct(self) -> int:
        """How many different values there were: an estimate unless `complete`, 0 if unknown."""
        return len(self.values) if self.complete else round(_estimate(self.sketch))

    @property
    def exact_enough(self) -> bool:
        """Whether `distinct` is worth a figure: it is right, or within a tenth mostly."""
        return self.complete or len(self.sketch) >= REGISTERS

    def union(self, other: "Sample") -> "Sample":
        """The sample of the values of both."""
        values = tuple(sorted({*self.values, *other.values}, key=_hash))
        if self.complete and other.complete and len(values) <= MAX_VALUES:
            return Sample(values)
        few, many = (self, other) if self.complete else (other, self)
        sketch = many.as_sketch
        if few.complete and len(sketch) == REGISTERS:  # to merge sketches takes longer
            sketch = _with(sketch, few.values)
        else:
            sketch = _merged(sketch, few.as_sketch)
        return Sample(values[:EXAMPLES], complete=False, sketch=sketch)

    def cut(self, size: int, registers: int) -> "Sample":
        """The same with at most `size` values, and a sketch of so many registers or none."""
        if self.complete and len(self.values) <= size:
            return self
        sketch = _folded(self.as_sketch, registers) if registers else ""
        return Sample(self.values[:size], complete=False, sketch=sketch)

    @property
    def as_sketch(self) -> str:
        """The sketch of all values, of few as well."""
        return _sketch(self.values) if self.complete else self.sketch


def sample_of(values: set[str]) -> Sample:
    """The sample of these values."""
    ordered = sorted(values, key=_hash)
    if len(ordered) <= MAX_VALUES:
        return Sample(tuple(ordered))
    return Sample(tuple(ordered[:EXAMPLES]), complete=False, sketch=_sketch(ordered))


def _sketch(values: Iterable[str]) -> str:
    return _with(_EMPTY, values)


def _with(sketch: str, values: Iterable[str]) -> str:
    """A sketch of all its registers, with more values."""
    registers = bytearray(sketch, "ascii")
    for value in values:
        index, rank = _place(_hash(value))
        registers[index] = max(registers[index], _FIRST + rank)
    return registers.decode("ascii")


@lru_cache(maxsize=8192)
def _hash(value: str) -> int:
    digest = hashlib.blake2b(value.encode(errors="replace"), digest_size=_BITS // 8)
    return int.from_bytes(digest.digest())


def _place(number: int) -> tuple[int, int]:
    """The register of a hash, by its first bits, and how many zeros begin the rest, and one."""
    rest_bits = _BITS - REGISTERS.bit_length() + 1
    rest = number & ((1 << rest_bits) - 1)
    return number >> rest_bits, rest_bits - rest.bit_length() + 1


def _merged(first: str, second: str) -> str:
    """The sketch of both; none where one is missing, since that says nothing of its values."""
    size = min(len(first), len(second))
    return "".join(map(max, _folded(first, size), _folded(second, size))) if size else ""


def _folded(sketch: str, size: int) -> str:
    """A sketch with fewer registers: bits that told registers apart begin the rest."""
    while len(sketch) > size:
        # The last bit of the register's number comes before the zeros that were counted.
        pairs = zip(sketch[::2], sketch[1::2], strict=True)
        sketch = "".join(
            max("A" if even == "A" else chr(ord(even) + 1), "A" if odd == "A" else "B")
            for even, odd in pairs
        )
    return sketch


def _estimate(sketch: str) -> float:
    """Ertl's improved raw estimator (algorithm 6)."""
    size = len(sketch)
    if not size:
        return 0.0
    most = _BITS - size.bit_length() + 1
    counts = Counter(ord(character) - _FIRST for character in sketch)
    if counts[0] == size:
        return 0.0
    total = size * _tau(1 - counts[most + 1] / size)
    for rank in range(most, 0, -1):
        total = 0.5 * (total + counts[rank])
    return size * size / (2 * math.log(2) * (total + size * _sigma(counts[0] / size)))


def _sigma(x: float) -> float:
    weight, total, before = 1.0, x, -1.0
    while total != before:
        x *= x
        before = total
        total += x * weight
        weight += weight
    return total


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    weight, total, before = 1.0, 1 - x, -1.0
    while total != before:
        x = math.sqrt(x)
        before = total
        weight /= 2
        total -= (1 - x) ** 2 * weight
    return total / 3
