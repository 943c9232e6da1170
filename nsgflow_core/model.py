"""What moves through the pipeline: blob, block, record, group, flow.

These are msgspec Structs because hundreds of thousands are made a second. They are written once,
by the step that makes them, and hold no cycles, so the garbage collector need not look at them.
"""

import time
from dataclasses import dataclass
from functools import lru_cache

import msgspec

_MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]


class BlobRef(msgspec.Struct, frozen=True, gc=False):
    """Names one flow-log blob in the world."""

    account: str
    container: str
    path: str

    @property
    def source(self) -> str:
        """The blob as the rows name it: `container/path`."""
        return f"{self.container}/{self.path}"

    def __str__(self) -> str:
        return f"{self.account}/{self.container}/{self.path}"


class Block(msgspec.Struct, frozen=True, gc=False):
    """One committed block: id as listed, first byte in the blob, length in bytes."""

    id: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind the block."""
        return self.offset + self.size


class Position(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place between two flows of a blob: everything before it is done.

    `offset` is the byte offset of a record's `{` (or of where the next one will begin),
    `ordinal` the number of tuples of that record which lie before the place.
    """

    offset: int
    ordinal: int = 0


class Record(msgspec.Struct, frozen=True, gc=False):
    """One flow-log record: what Azure wrote about one NIC and one minute.

    `offset` is the byte offset of its `{` in the blob and `end` the one behind its `}`; `time`
    is as written, `version` is 1, 2 or 4, `target` the lower-case resource id.
    """

    offset: int
    end: int
    time: str
    version: int
    target: str


class Group(msgspec.Struct, frozen=True, gc=False):
    """The tuples of a record that share NSG, rule and MAC.

    `acl_group` is the NSG's resource id in lower case, or v4's `aclID` as given when it is not
    one; `acl_name` is the NSG's name, "" where the id does not tell it.
    """

    record: Record
    acl_group: str
    acl_name: str
    rule: str
    mac: str


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The second half of a tuple: what the flow wanted and what became of it.

    Thousands of denied tuples share one: only time, addresses and source port differ.
    `protocol` is TCP, UDP, ICMP or the number; port and counters are None where Azure gives none.
    """

    dst_port: int | None
    protocol: str
    inbound: bool
    denied: bool
    state: str
    encryption: str
    packets_sent: int | None
    bytes_sent: int | None
    packets_received: int | None
    bytes_received: int | None


class Flow(msgspec.Struct, frozen=True, gc=False):
    """One flow tuple, read.

    `ordinal` counts the tuples of the record from 0, `text` is the tuple as written, `time_ms`
    its time in milliseconds since the epoch; addresses are canonical.
    """

    group: Group
    ordinal: int
    text: str
    time_ms: int
    src: str
    dst: str
    src_port: int | None
    outcome: Outcome

    @property
    def position(self) -> Position:
        """Where the flow stands in its blob."""
        return Position(self.group.record.offset, self.ordinal)


class Bad(msgspec.Struct, frozen=True, gc=False):
    """A piece of a blob that cannot be read: where it lies, why, and its bytes."""

    offset: int
    reason: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Storage:
    """How to reach a storage account: a connection string, or service URLs and an identity.

    `client_id` names a user-assigned identity, "" the default one.
    """

    connection_string: str = ""
    blob_url: str = ""
    table_url: str = ""
    client_id: str = ""


def flow_time(milliseconds: int) -> str:
    """A time as ISO 8601 in UTC, to the millisecond."""
    seconds, rest = divmod(milliseconds, 1000)
    return _second(seconds) + _MILLISECONDS[rest]


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    # Padded by hand: strftime leaves years before 1000 short, and platforms differ.
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
