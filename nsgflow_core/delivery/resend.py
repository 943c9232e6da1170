"""Dead letters delivered after all.

What could not be read is read again by today's parser, from the bytes that were kept or, where
those do not tell all, from the flow log; its flows go to every sink that wants them, judged with
what is known of the network. What a sink refused is posted to it again as it was. FlowIds and the
ids of alerts are those of the first delivery.

What nobody takes stays: flows that no filter lets through, or that are too old to alert.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nsgflow_core.delivery.dead_letters import INPUT, Entry, Letter, entry_of
from nsgflow_core.delivery.parts import DeadLetterStore
from nsgflow_core.errors import BadInputError, NsgflowError, TransientError
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.columns import of_blob
from nsgflow_core.logs.leftover import CUT_OFF, HEAD_BYTES, leftover
from nsgflow_core.logs.path import parse_path
from nsgflow_core.logs.records import RawRecord
from nsgflow_core.logs.source import (
    LARGEST_RECORD,
    BlobChangedError,
    BlobGoneError,
    BlockList,
    Source,
)
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

    def young(self, flows: Sequence[Flow]) -> Sequence[Flow]:
        """Those of some flows that are not too old for it."""

    def resend(self, items: Sequence[Item], seconds: float) -> Delivery:
        """Send rows or alerts as they are; see `Sink.deliver`. There is at least one."""


@dataclass(slots=True)
class Plan:
    """What a letter holds for whom: flows or items by sink, and the entries left in it.

    `why` says of each entry that is left what keeps it; `unwanted` counts those that are left
    only because no sink takes their flows.
    """

    flows: dict[str, list[Flow]] = field(default_factory=dict)
    items: dict[str, list[Item]] = field(default_factory=dict)
    left: list[Entry] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    unwanted: int = 0

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


@dataclass(slots=True)
class Outcome:
    """What became of a letter: its entries that are left, and what was accepted, by sink.

    `again` counts the entries that were refused again. With `errors`, by sink, the letter must
    stay as it is.
    """

    left: list[Entry]
    accepted: dict[str, int] = field(default_factory=dict)
    again: int = 0
    errors: dict[str, NsgflowError] = field(default_factory=dict)


def plan(
    letter: Letter,
    source: Source,
    sinks: Mapping[str, ResendingSink],
    knowledge: Knowledge = NOTHING,
    *,
    drop: bool = False,
) -> Plan:
    """What of a letter can be sent now; nothing is sent yet.

    With `drop` entries whose flows no sink takes are not left.

    Raises:
        BadInputError: it is not as nsgflow writes it, or its sink is not configured.
        TransientError, RefusedError: the flow log could not be read.
    """
    if letter.kind == INPUT:
        return _Rereading(letter, source, sinks, knowledge, drop=drop).plan()
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
) -> Outcome:
    """Send what was planned. A sink that fails keeps no other from its part."""
    outcome = Outcome(list(made.left))
    for name, found in made.flows.items():
        if found:
            patience = Patience(_SECONDS, _SECONDS)
            flows = sinks[name].gather()
            flows.add(of_blob(letter.ref, found))
            delivery = sinks[name].deliver(letter.ref, flows, Position(0), _END, patience)
            _note(outcome, name, delivery, _END)
            if delivery.refused:  # a dead letter of its own, as from the pipeline
                dead_letters.put_refused(letter.ref, name, delivery.refused)
    for name, items in made.items.items():
        if items:
            delivery = sinks[name].resend(items, _SECONDS)
            _note(outcome, name, delivery, items[-1].after)
            again = list(_still_refused(letter, delivery.refused))
            outcome.again += len(again)
            outcome.left += again
    return outcome


def _note(outcome: Outcome, name: str, delivery: Delivery, end: Position) -> None:
    if delivery.accepted:
        outcome.accepted[name] = delivery.accepted
    if delivery.error is not None:
        outcome.errors[name] = delivery.error
    elif delivery.reached != end:
        reason = f"{name}: not everything was accepted within {_SECONDS:g} s"
        outcome.errors[name] = TransientError(reason)


def _still_refused(letter: Letter, refused: Sequence[Refusal]) -> Iterator[Entry]:
    contents = {refusal.item.payload for refusal in refused}
    return (entry for entry in letter.entries if entry.content in contents)


class _Rereading:
    """One letter of input read again."""

    def __init__(
        self,
        letter: Letter,
        source: Source,
        sinks: Mapping[str, ResendingSink],
        knowledge: Knowledge,
        *,
        drop: bool,
    ) -> None:
        self._letter = letter
        self._source = source
        self._sinks = sinks
        self._knowledge = knowledge
        self._drop = drop
        self._log = parse_path(letter.path)
        self._denied_only = all(sink.filter.denied_only for sink in sinks.values())
        self._accepts = {name: sink.filter.knowing(knowledge) for name, sink in self._sinks.items()}
        self._wanted: dict[str, dict[Position, Flow]] = {name: {} for name in sinks}
        self._found: list[Flow] = []
        self._blocks: BlockList | None = None
        self._plan = Plan()

    def plan(self) -> Plan:
        """See `plan`."""
        for entry in self._letter.entries:
            self._found = []
            before = len(self._plan.left)
            try:
                self._read(entry)
            except (BlobGoneError, BlobChangedError):
                self._plan.keep(entry, "its flow log is gone or is just being written")
            taken = self._take()
            if not taken and len(self._plan.left) == before and not self._is_done(entry):
                self._leave_unwanted(entry)
        for name, wanted in self._wanted.items():
            self._plan.flows[name] = [wanted[position] for position in sorted(wanted)]
        return self._plan

    def _take(self) -> bool:
        """Hand the flows of an entry to the sinks that want them; whether one does."""
        taken = False
        for name, sink in self._sinks.items():
            wanted = sink.young(list(filter(self._accepts[name], self._found)))
            self._wanted[name] |= {flow.position: flow for flow in wanted}
            taken = taken or bool(wanted)
        return taken

    def _is_done(self, entry: Entry) -> bool:
        """Whether an entry says that a log was cut off, and the log has gone on since."""
        return entry.reason.startswith(CUT_OFF)

    def _leave_unwanted(self, entry: Entry) -> None:
        if self._drop:
            return
        self._plan.unwanted += 1
        old = any(accepts(flow) for accepts in self._accepts.values() for flow in self._found)
        what = "its flows are too old to alert" if old else "no filter lets its flows through"
        self._plan.keep(entry, what)

    def _read(self, entry: Entry) -> None:
        kept = entry.content if len(entry.content) == entry.size else b""
        stretch = records.split(kept, entry.offset, last=True)
        if not stretch.records:  # the log may tell more: of what was clipped, or mended since
            now = self._bytes(entry.offset, entry.offset + entry.size)
            stretch = records.split(now, entry.offset, last=True)
        if not stretch.records:
            if not self._goes_on(entry):
                self._read_record(entry)
            return
        bad = list(stretch.bad)
        for raw in stretch.records:
            self._keep_flows(raw, bad, lambda _: True)
        for piece in bad:
            self._plan.keep(entry_of(piece), piece.reason)

    def _goes_on(self, entry: Entry) -> bool:
        """Whether a log that was cut off goes on now, with no record at just that place."""
        if not entry.reason.startswith(CUT_OFF):
            return False
        rest = self._bytes(entry.offset, entry.offset + _FIRST_READ)
        head = self._bytes(0, HEAD_BYTES)
        bad = leftover(head, rest, entry.offset, over=True)
        return bad is None or bad.reason != entry.reason

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
        read = flows.read(
            raw,
            self._log,
            bad,
            denied_only=self._denied_only,
            inventory=self._knowledge.inventory,
        )
        self._found += filter(wanted, read)

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
