"""What is denied in the schedules of alerts, and what is let through beside it and behind it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from msgspec.structs import replace

from nsgflow_core.digests.groups import Key, Tally, example_of, key_of
from nsgflow_core.digests.sample import Sample
from nsgflow_core.model import Flow, Group, Record

HOSTS = Sample(("10.0.0.1", "10.0.0.2"))
_RECORD = Record(0, 0, "", 2, "")
_BESIDE = 25.0
_EVERY = 300.0
_AFTER = 36
"""So many flows of each kind follow its end, one each `_EVERY` seconds."""


class Allowed(NamedTuple):
    """A flow that was let through; `same` says that one like it may have been denied."""

    flow: Flow
    same: bool


@dataclass(frozen=True)
class Fault:
    """Flows that are denied on some logs from a time to another.

    They come from its `sources` in turn, or in `blocks` one behind the other; in each log another
    one begins. They go to `one_host`, or to another in each log. `mended` says that rules change
    when it has ended; then so many of the sources as `through` says are let through in each log,
    or, where that is `narrow`, the one that was denied in it last. Where it `flaps` they are so in
    between, too.
    """

    number: int
    nsg: str
    sources: tuple[str, ...]
    logs: tuple[str, ...]
    begins: float
    ends: float
    every: float
    mended: bool
    through: int
    flaps: bool
    blocks: bool
    one_host: bool
    narrow: bool
    _denials: dict[str, list[Tally]] = field(default_factory=dict)
    _allowances: dict[str, list[Allowed]] = field(default_factory=dict)

    @cached_property
    def key(self) -> Key:
        """Its group."""
        return key_of(self._denied(self.sources[0], self.logs[0], 0))

    def denied(self, log: str, begin: float, end: float) -> list[Tally]:
        """What is denied in a log between two times."""
        if log not in self.logs:
            return []
        if log not in self._denials:
            self._denials[log] = [*self._all_denied(log)]
        return [each for each in self._denials[log] if begin * 1000 <= each.last < end * 1000]

    def _all_denied(self, log: str) -> Iterator[Tally]:
        for number, at in enumerate(self._times):
            flow = self._denied(self._source(number, log), log, at)
            yield Tally(
                self.key,
                1,
                flow.time_ms,
                flow.time_ms,
                HOSTS,
                Sample(("10.0.1.1",)),
                now="now denied by it" if self.mended else "",
                examples=Sample((example_of(flow),)),
            )

    def allowed(self, log: str, begin: float, end: float) -> list[Allowed]:
        """What is let through in a log between two times, the same and what only looks like it."""
        if log not in self.logs:
            return []
        if log not in self._allowances:
            self._allowances[log] = [*self._all_allowed(log)]
        return [each for each in self._allowances[log] if begin <= each.flow.time_ms // 1000 < end]

    def _all_allowed(self, log: str) -> Iterator[Allowed]:
        for number in range(4):
            yield self._same(self._source(number, log), log, self.begins - 60 * (number + 1))
        for number, at in enumerate(self._times):
            yield self._other(number, log, at + _BESIDE)
            if self.flaps:
                yield self._same(self._source(number, log), log, at + 2 * _BESIDE)
        last = self._source(len(self._times) - 1, log)
        for number in range(_AFTER):
            at = self.ends + _BESIDE + number * _EVERY
            yield self._other(number, log, at)
            source = last if self.narrow else self.sources[number % len(self.sources)]
            if self.narrow or source in self.sources[: self.through]:
                yield self._same(source, log, at + _BESIDE)

    @cached_property
    def _times(self) -> list[float]:
        times = [self.begins]
        while (at := times[-1] + self.every) < self.ends:
            times.append(at)
        return times

    def _source(self, number: int, log: str) -> str:
        count = len(self.sources)
        turn = number * count // len(self._times) if self.blocks else number
        return self.sources[(turn + self.logs.index(log)) % count]

    def _denied(self, source: str, log: str, at: float) -> Flow:
        return self._flow(source, log, at, "D")

    def _same(self, source: str, log: str, at: float) -> Allowed:
        return Allowed(self._flow(source, log, at, "A"), same=True)

    def _other(self, number: int, log: str, at: float) -> Allowed:
        """Of another NSG, the other direction, an open connection, or another log's."""
        source = self._source(number // 4, log)
        flow = self._flow(source, log, at, "A")
        match number % (3 if self.one_host or len(self.logs) == 1 else 4):
            case 0:
                flow.group = replace(flow.group, acl_group="/nsgs/other")
            case 1:
                flow.direction_code = "O"
            case 2:
                flow.detail = "C"
            case _:
                other = self.logs[self.logs.index(log) - 1]
                return Allowed(self._flow(source, other, at, "A"), same=True)
        return Allowed(flow, same=False)

    def _flow(self, source: str, log: str, at: float, decision: str) -> Flow:
        rule = f"rule{self.number}" if decision == "D" else "allowed"
        group = Group(_RECORD, f"/nsgs/{self.nsg}", "n", rule, "")
        host = f"10.0.1.{1 if self.one_host else int(log[:12], 16) + 1}"
        return Flow(
            int(at) * 1000,
            source,
            host,
            50_000,
            1000 + self.number,
            "T",
            "I",
            decision,  # type: ignore[arg-type]  # one of its letters
            "B",
            group=group,
        )
