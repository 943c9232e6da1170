"""Address ranges in a few sorted arrays: which of many nested networks holds an address.

Networks nest or lie apart, so they flatten into stretches that follow each other; finding the
one that holds an address is one binary search. A hundred thousand networks take some 2 MB, and
the packed form is the arrays' own bytes: there is nothing to parse when it is loaded.
"""

import ipaddress
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from itertools import accumulate

import msgspec

NOTHING = 0
"""The value of addresses that no network holds."""

_BLOCK = 16
_MANY = 8192
_HALF = 64
_LOW = 2**_HALF - 1
_BITS = {4: 32, 6: 128}

Network = IPv4Network | IPv6Network
Nested = Callable[[int, int], int]


class PackedRanges(msgspec.Struct, frozen=True, array_like=True):
    """The arrays as little-endian bytes; starts of IPv6 stretches in two halves of 64 bits."""

    v4_starts: bytes = b""
    v4_values: bytes = b""
    v6_high: bytes = b""
    v6_low: bytes = b""
    v6_values: bytes = b""


class Ranges:
    """Packed ranges, ready to be searched."""

    def __init__(self, packed: PackedRanges) -> None:
        self._v4_starts = _array("I", packed.v4_starts)
        self._v4_index = _index(self._v4_starts)
        self._v4_values = _array("I", packed.v4_values)
        self._v6_high = _array("Q", packed.v6_high)
        self._v6_low = _array("Q", packed.v6_low)
        self._v6_values = _array("I", packed.v6_values)

    def at(self, version: int, number: int) -> int:
        """The value of an address, given as `addresses.value` has it; `NOTHING` without one."""
        if version == 4:  # noqa: PLR2004 - IPv4
            first, last = 0, len(self._v4_starts)
            if self._v4_index:
                first, last = self._v4_index[(block := number >> _BLOCK)], self._v4_index[block + 1]
            at = bisect_right(self._v4_starts, number, first, last)
            return self._v4_values[at - 1] if at else NOTHING
        high, low = number >> _HALF, number & _LOW
        first = bisect_left(self._v6_high, high)
        last = bisect_right(self._v6_high, high, first)
        at = bisect_right(self._v6_low, low, first, last)
        return self._v6_values[at - 1] if at else NOTHING


def _index(starts: "array[int]") -> "array[int]":
    """How many starts come before each /16 of IPv4; empty where they are few.

    A search through very many would wait for memory at every step, and so looks at one /16.
    """
    if len(starts) < _MANY:
        return array("I")
    counts = [0] * (2 ** (32 - _BLOCK) + 1)
    for start in starts:
        counts[(start >> _BLOCK) + 1] += 1
    return array("I", accumulate(counts))


def pack(networks: Mapping[Network, int], nested: Nested = lambda _, inner: inner) -> PackedRanges:
    """Pack networks with their values, which are above `NOTHING`.

    `nested` decides the value inside a network that lies in others, from the value around it
    (`NOTHING` outside of all) and its own: the longest prefix wins unless it says otherwise.
    """
    starts, values = _flatten(networks, 4, nested)
    starts6, values6 = _flatten(networks, 6, nested)
    return PackedRanges(
        _bytes("I", starts),
        _bytes("I", values),
        _bytes("Q", (start >> _HALF for start in starts6)),
        _bytes("Q", (start & _LOW for start in starts6)),
        _bytes("I", values6),
    )


def _flatten(
    networks: Mapping[Network, int], version: int, nested: Nested
) -> tuple[list[int], list[int]]:
    """The first addresses of stretches of one value, in order, and the value of each."""
    ordered = sorted(
        (int(net.network_address), -int(net.broadcast_address), value)
        for net, value in networks.items()
        if net.version == version
    )
    starts: list[int] = []
    values: list[int] = []
    around: list[tuple[int, int]] = []  # last address and value of each network we are in

    def begin(start: int, value: int) -> None:
        if starts and starts[-1] == start:
            starts.pop()
            values.pop()
        if (values[-1] if values else NOTHING) != value:
            starts.append(start)
            values.append(value)

    def leave_before(start: int) -> None:
        while around and around[-1][0] < start:
            last, _ = around.pop()
            if last + 1 < start:
                begin(last + 1, around[-1][1] if around else NOTHING)

    for first, minus_last, value in ordered:
        leave_before(first)
        inside = nested(around[-1][1] if around else NOTHING, value)
        begin(first, inside)
        around.append((-minus_last, inside))
    leave_before(2 ** _BITS[version])
    return starts, values


def network(text: str) -> Network:
    """A network as Azure writes it.

    Raises:
        ValueError: the text is none.
    """
    return ipaddress.ip_network(text.strip(), strict=False)


def _array(kind: str, data: bytes) -> "array[int]":
    made = array(kind)
    made.frombytes(data)
    if sys.byteorder == "big":
        made.byteswap()
    return made


def _bytes(kind: str, numbers: Iterable[int]) -> bytes:
    made = array(kind, numbers)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()
