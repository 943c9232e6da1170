"""Dead letters delivered after all.

What could not be read is read again by today's parser, from the bytes that were kept or, where
those do not tell all, from the flow log; its flows go to every sink. What a sink refused is
posted to it again as it was. FlowIds and the ids of alerts are those of the first delivery.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nsgflow_core.delivery.dead_letters import INPUT, Entry, Letter, entry_of
from nsgflow_core.delivery.parts import DeadLetterStore, Source
from nsgflow_core.delivery.reading import LARGEST_RECORD
from nsgflow_core.errors import BadInputError, TransientError
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.blocks import BlobChangedError, BlobGoneError, BlockList
from nsgflow_core.logs.path import parse_path
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.model import Bad, Flow, Position
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Delivery, Item, Refusal, Sink

_SECONDS = 60.0
"""What one letter may spend on one sink."""
_FIRST_READ = 64 * 1024
_END = Position(2**63 - 1)
_TUPLE = re.compile(r"tuple (\d+) of the record, ")


class ResendingSink(Sink, Protocol):
    """A sink that takes what it refused once more."""

    def resend(self, items: Sequence[Item], seconds: float) -> Delivery:
        """Send rows or alerts as they are; see `Sink.deliver`. There is at least one."""


@dataclass(slots=True)
class Plan:
    """What a letter holds for whom: flows or items by sink, and the entries left in it.

    `why` says of each entry that is left what keeps it.
    """

    flows: dict[str, list[Flow]] = field(default_factory=dict)
    items: dict[str, list[Item]] = field(default_factory=dict)
    left: list[Entry] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Flows, or rows or alerts, by sink."""
        found = {name: len(flows) for name, flows in self.flows.items()}
        found |= {name: len(items) for name, items in self.items.items()}
        return {name: count for name, count in found.items() if count}

    def keep(self, entry: Entry, why: str) -> None:
        """Leave an entry in the letter."""
        self.left.append(entry)
        self.why.append(f"byte {entry.offset}: {why}")


def plan(letter: Letter, source: Source, sinks: Mapping[str, ResendingSink]) -> Plan:
    """What of a letter can be sent now; nothing is sent yet.

    Raises:
        BadInputError: it is not as nsgflow writes it, or its sink is not configured.
        TransientError, RefusedError: the flow log could not be read.
    """
    if letter.kind == INPUT:
        return _Rereading(letter, source, sinks).plan()
    if letter.kind not in sinks:
        raise BadInputError(f"the sink {letter.kind[:40]!r} is not configured here")
    made = Plan(items={letter.kind: []})
    for entry in letter.entries:
        if len(entry.content) < entry.size:
            made.keep(entry, f"only the first bytes of {entry.size} were kept")
        else:
            after = Position(entry.offset, entry.ordinal)
            made.items[letter.kind].append(Item(entry.content, after, id=entry.id))
    return made


def send(
    letter: Letter, made: Plan, sinks: Mapping[str, ResendingSink], dead_letters: DeadLetterStore
) -> list[Entry]:
    """Send what was planned, and say what is left of the letter; all else was accepted.

    Raises:
        NsgflowError: a sink failed, and the letter must stay as it is.
    """
    left = list(made.left)
    for name, found in made.flows.items():
        if found:
            delivery = sinks[name].deliver(
                letter.ref, found, Position(0), _END, Patience(_SECONDS, _SECONDS)
            )
            _check(delivery, name, _END)
            if delivery.refused:  # a dead letter of its own, as from the pipeline
                dead_letters.put_refused(letter.ref, name, delivery.refused)
    for name, items in made.items.items():
        if items:
            delivery = sinks[name].resend(items, _SECONDS)
            _check(delivery, name, items[-1].after)
            left += _still_refused(letter, delivery.refused)
    return left


def _check(delivery: Delivery, name: str, end: Position) -> None:
    if delivery.error is not None:
        raise delivery.error
    if delivery.reached != end:
        raise TransientError(f"{name}: not everything was accepted within {_SECONDS:g} s")


def _still_refused(letter: Letter, refused: Sequence[Refusal]) -> Iterator[Entry]:
    contents = {refusal.item.payload for refusal in refused}
    return (entry for entry in letter.entries if entry.content in contents)


class _Rereading:
    """One letter of input read again."""

    def __init__(self, letter: Letter, source: Source, sinks: Mapping[str, ResendingSink]) -> None:
        self._letter = letter
        self._source = source
        self._sinks = sinks
        self._log = parse_path(letter.path)
        self._denied_only = all(sink.filter.denied_only for sink in sinks.values())
        self._flows: dict[Position, Flow] = {}
        self._blocks: BlockList | None = None
        self._plan = Plan()

    def plan(self) -> Plan:
        """See `plan`."""
        for entry in self._letter.entries:
            try:
                self._read(entry)
            except (BlobGoneError, BlobChangedError):
                self._plan.keep(entry, "its flow log is gone or is just being written")
        found = [self._flows[position] for position in sorted(self._flows)]
        for name, sink in self._sinks.items():
            self._plan.flows[name] = list(filter(sink.filter.accepts, found))
        return self._plan

    def _read(self, entry: Entry) -> None:
        content = entry.content
        if len(content) < entry.size:
            content = self._bytes(entry.offset, entry.offset + entry.size)
        stretch = records.split(content, entry.offset, last=True)
        if not stretch.records:
            self._read_record(entry)
            return
        bad = list(stretch.bad)
        for raw in stretch.records:
            self._keep_flows(raw, bad, lambda _: True)
        for piece in bad:
            self._plan.keep(entry_of(piece), piece.reason)

    def _read_record(self, entry: Entry) -> None:
        """Read the piece of a record: its flows need what stands around it."""
        raw = self._record_at(entry.offset)
        if raw is None:
            self._plan.keep(entry, entry.reason)
            return
        numbered = _TUPLE.match(entry.reason)
        bad: list[Bad] = []
        if numbered is None:
            self._keep_flows(raw, bad, lambda _: True)
            still = any(piece.data == entry.content for piece in bad)
        else:
            ordinal = int(numbered[1])
            self._keep_flows(raw, bad, lambda flow: flow.ordinal == ordinal)
            still = any(piece.reason.startswith(numbered[0]) for piece in bad)
        if still:
            self._plan.keep(entry, entry.reason)

    def _keep_flows(self, raw: RawRecord, bad: list[Bad], wanted: Callable[[Flow], bool]) -> None:
        for flow in flows.read(raw, self._log, bad, denied_only=self._denied_only):
            if wanted(flow):
                self._flows[flow.position] = flow

    def _record_at(self, offset: int) -> RawRecord | None:
        """The record that begins at a place of the flow log, None when none does."""
        size = _FIRST_READ
        while True:
            data = self._bytes(offset, offset + size)
            last = len(data) < size
            stretch = records.split(data, offset, last=last)
            if stretch.records:
                first = stretch.records[0]
                return first if first.offset == offset else None
            if last or stretch.bad or size >= LARGEST_RECORD:
                return None
            size = min(4 * size, LARGEST_RECORD)

    def _bytes(self, start: int, end: int) -> bytes:
        """Bytes of the flow log, fewer where it ends before."""
        ref = self._letter.ref
        if self._blocks is None:
            self._blocks = self._source.list_blocks(ref)
        end = min(end, self._blocks.size)
        return self._source.read(ref, start, end, self._blocks.etag) if start < end else b""
