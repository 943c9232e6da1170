"""What was counted in one blob, kept with its checkpoint, and what is new in it. Pure.

Counts only ever grow, and groups keep their places: whoever reads a ledger takes what came since
it last did. So nothing has to be written back to the checkpoint, and nothing can be taken twice.

A reader forgets how far it read once an hour is long over. So a ledger that is added to after a
while keeps what it had counted until then, and when that was: a reader that was there meanwhile
has told it.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from itertools import islice

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests.groups import MANY_LOGS, MANY_PORTS, Key, Tally, known_key, rank
from nsgflow_core.digests.sample import COARSE, EXAMPLES, MAX_VALUES, Sample
from nsgflow_core.estate.scope import INTERNET

MAX_LEDGER = 30_000
"""Largest ledger in UTF-16 units: a string in a table may have 32 Ki of them
(https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
"""

_MAX_GROUPS = 64
_MAX_FOLDED = 16
_MAX_NAMES = 20_000  # UTF-16 units of a ledger's keys, so that counts and samples have room
_MAX_PASSED = 64
_CUTS = (
    (MAX_VALUES, EXAMPLES, COARSE),
    (EXAMPLES, 2, COARSE),
    (0, 0, 0),
)
"""Values of a whole sample, values of another, and registers: the less room, the further down."""
_PAUSE = 3600.0
"""Seconds without a count after which what was counted before is kept apart."""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """How far a ledger was read: the counts of its groups, in their order, and of the others."""

    ledger: str = ""
    flows: tuple[int, ...] = ()
    others: int = 0


class Passed(msgspec.Struct, frozen=True, array_like=True):
    """A flow of a group that was seen let through after the group's last denied one in its log.

    `group` is the id of the group, `example` the flow as in `Tally.examples`. It was seen from
    `since` on, and last at `at`, in milliseconds since the epoch, when `rule` let it through; ""
    where it was denied then, by what the group does not count, and nothing before it holds.
    """

    group: str
    example: str
    since: int
    at: int
    rule: str

    def rank(self) -> tuple[int, bool]:
        """Sorts what holds to the end: the newest, and of one time that it was denied."""
        return self.at, self.rule == ""


class Ledger(msgspec.Struct, frozen=True, array_like=True):
    """What was counted in one blob, in groups that stay where they are in the list.

    `id` changes when a ledger is begun anew; `others` counts flows in groups that found no room.
    `at` is when it was last added to, in seconds since the epoch, and `before` what it had counted
    at `before_at`, when nothing had come for a while; 0 where that is not known. `log` is the name
    of the log that the blob belongs to. `passed` are flows of its groups, and of those of the hour
    before, that the blob shows let through since.
    """

    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex[:8])
    groups: tuple[Tally, ...] = ()
    others: int = 0
    at: float = 0.0
    before_at: float = 0.0
    before: Seen = Seen()
    log: str = MANY_LOGS
    passed: tuple[Passed, ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether flows of a group may have been counted elsewhere, for want of room."""
        keys = (tally.key for tally in self.groups)
        folded = any(key.port == MANY_PORTS and key.scope != INTERNET for key in keys)
        return folded or self.others > 0


def add(
    ledger: Ledger | None, tallies: Iterable[Tally], now: float = 0.0, log: str = MANY_LOGS
) -> Ledger:
    """A ledger with more counted in it, begun if there is none; `now` as `Ledger.at`.

    When it has no room for further groups, their ports are folded into one group a rule; when
    there is no room for that either, their flows are counted among the others.
    """
    ledger = ledger or Ledger()
    groups = {tally.key: tally for tally in ledger.groups}
    room = _MAX_NAMES - sum(map(_cost, groups))
    others = ledger.others
    for tally in sorted(tallies, key=rank):
        for kept, most in ((tally, _MAX_GROUPS), (tally.folded, _MAX_GROUPS + _MAX_FOLDED)):
            if known := groups.get(kept.key):
                groups[kept.key] = known.merged(kept)
                break
            if len(groups) < most and (cost := _cost(kept.key)) <= room:
                groups[kept.key] = kept
                room -= cost
                break
        else:
            others += tally.flows
    before_at, before = ledger.before_at, ledger.before
    if ledger.at and now >= ledger.at + _PAUSE:
        before_at, before = ledger.at, read_to(ledger)
    name = log or ledger.log
    counted = tuple(groups.values())
    return Ledger(ledger.id, counted, others, now, before_at, before, name, ledger.passed)


def noted(ledger: Ledger | None, passed: Iterable[Passed], log: str) -> Ledger:
    """A ledger with flows that were seen let through; of each the newest, and of many those."""
    ledger = ledger or Ledger()
    found = {(each.group, each.example): each for each in ledger.passed}
    for each in passed:
        name = each.group, each.example
        found[name] = max(found.get(name, each), each, key=Passed.rank)
    newest = sorted(found.values(), key=lambda one: (-one.at, one.group, one.example))
    return replace(ledger, passed=tuple(newest[:_MAX_PASSED]), log=log or ledger.log)


def without_passed(ledgers: dict[str, Ledger], name: str) -> dict[str, Ledger]:
    """Ledgers where that of a sink says of no flow any more that it was seen let through.

    It does not count now, and so does not see what is denied again.
    """
    ledger = ledgers.get(name)
    if ledger is None or not ledger.passed:
        return ledgers
    return {**ledgers, name: replace(ledger, passed=())}


def _cost(key: Key) -> int:
    # Its counters, times and place in `before` at most, and the name once more.
    return _units(msgspec.json.encode(key).decode()) + _units(key.name) + 100


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def encode(ledger: Ledger) -> str:
    """A ledger as JSON of at most MAX_LEDGER UTF-16 units: samples shrink until it fits."""
    text = msgspec.json.encode(ledger).decode()
    for cut in _CUTS:
        if _units(text) <= MAX_LEDGER:
            break
        groups = tuple(_cut(tally, *cut) for tally in ledger.groups)
        smaller = replace(ledger, groups=groups, passed=ledger.passed if cut[0] else ())
        text = msgspec.json.encode(smaller).decode()
    return text


def _cut(tally: Tally, whole: int, part: int, registers: int) -> Tally:
    sources, targets = (
        each.cut(whole if each.complete else part, registers)
        for each in (tally.sources, tally.targets)
    )
    kept = replace(
        tally, sources=sources, targets=targets, ports=dict(islice(tally.ports.items(), whole))
    )
    return kept if whole else replace(kept, now="", examples=Sample((), complete=False))


_LEDGER = msgspec.json.Decoder(Ledger)


def decode(text: str) -> Ledger:
    """A ledger as `encode` wrote it, in this release or one before."""
    ledger = _LEDGER.decode(text)
    # Groups keep their places: two that would become one stay what they were.
    keys = [known_key(tally.key) for tally in ledger.groups]
    times = Counter(keys)
    groups = [
        replace(tally, key=key) if times[key] == 1 else tally
        for tally, key in zip(ledger.groups, keys, strict=True)
    ]
    return replace(ledger, groups=tuple(groups))


def unseen(ledger: Ledger, seen: Seen | None, told: float = 0.0) -> tuple[list[Tally], int]:
    """What a ledger counted since it was last read: by group, and among the others.

    `seen` is how far it was read, None where that is not remembered any more; all that was
    counted before `told` has been read by then. Ends and times of a group are those of the whole
    ledger.
    """
    if seen is None:
        seen = _remembered(ledger, told)
    if seen.ledger != ledger.id:
        seen = Seen()
    before = seen.flows + (0,) * (len(ledger.groups) - len(seen.flows))
    fresh = [
        replace(tally, flows=tally.flows - read, seen_in={ledger.log: tally.last})
        for tally, read in zip(ledger.groups, before, strict=False)
        if tally.flows > read
    ]
    return fresh, ledger.others - seen.others


def _remembered(ledger: Ledger, told: float) -> Seen:
    if 0 < ledger.at < told:
        return read_to(ledger)
    return ledger.before if 0 < ledger.before_at < told else Seen()


def read_to(ledger: Ledger) -> Seen:
    """A ledger read to its end."""
    return Seen(ledger.id, tuple(tally.flows for tally in ledger.groups), ledger.others)
