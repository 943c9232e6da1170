"""What moves through the pipeline: blob, block, record, group, flow.

These are msgspec Structs because hundreds of thousands are made a second. They are written once,
by the step that makes them, and hold no cycles, so the garbage collector need not look at them.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

_VNET = 4
_DEVELOPMENT = "http://127.0.0.1:10000/devstoreaccount1"
MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]
"""Ends of times as ISO 8601 in UTC."""


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


NOWHERE = Group(Record(0, 0, "", 0, ""), "", "", "", "")
"""The group of a flow that has not been given its own yet."""

PROTOCOLS = {"T": "TCP", "U": "UDP", "I": "ICMP", "6": "TCP", "17": "UDP", "1": "ICMP"}
"""Names of the protocols that have one, by what tuples call them: NSG logs a letter, VNet logs
IANA's number (https://www.iana.org/assignments/protocol-numbers)."""

MILLISECONDS_FROM = 10**11
"""Times from here on are milliseconds: as seconds they would lie past the year 5000."""

LAST_TIME_MS = 253_402_300_799_999  # the end of the year 9999
Time = Annotated[int, msgspec.Meta(ge=0, le=LAST_TIME_MS)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Counter = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Flow(msgspec.Struct, gc=False):
    """One flow tuple, read.

    Its first fields are those of a tuple, in its order: the time in milliseconds since the epoch,
    canonical addresses, ports and counters that are None where Azure gives none.
    `protocol_code`, `direction_code` and `decision` are as written: the last is A or D in versions
    1 and 2, and the state in version 4. `detail` is what stands behind it: the state in version 2,
    the encryption in version 4, "" in version 1.

    `group` is what it shares with its neighbours, `ordinal` counts the tuples of the record from
    0, and `text` is the tuple as written.
    """

    time_ms: Time
    src: str
    dst: str
    src_port: Port | None
    dst_port: Port | None
    protocol_code: str
    direction_code: Literal["I", "O"]
    decision: Literal["A", "D", "B", "C", "E"]
    detail: str = ""
    packets_sent: Counter | None = None
    bytes_sent: Counter | None = None
    packets_received: Counter | None = None
    bytes_received: Counter | None = None
    group: Group = NOWHERE
    ordinal: int = 0
    text: str = ""

    @property
    def protocol(self) -> str:
        """TCP, UDP, ICMP, or the number."""
        return PROTOCOLS.get(self.protocol_code, self.protocol_code)

    @property
    def inbound(self) -> bool:
        """Whether it came to the network interface, or left it."""
        return self.direction_code == "I"

    @property
    def denied(self) -> bool:
        """Whether a rule denied it: every version has D in the eighth field then."""
        return self.decision == "D"

    @property
    def state(self) -> str:
        """B, C, E or D; "" in version 1."""
        return self.decision if self.group.record.version == _VNET else self.detail

    @property
    def encryption(self) -> str:
        """Version 4's code, else ""."""
        return self.detail if self.group.record.version == _VNET else ""

    @property
    def counters(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Packets and bytes sent, packets and bytes received."""
        return self.packets_sent, self.bytes_sent, self.packets_received, self.bytes_received

    @property
    def position(self) -> Position:
        """Where the flow stands in its blob."""
        return Position(self.group.record.offset, self.ordinal)


class Bad(msgspec.Struct, frozen=True, gc=False):
    """A piece of a blob that cannot be read: where it lies, why, and its bytes.

    Or `count` pieces that there was no room for one by one, without their bytes.
    """

    offset: int
    reason: str
    data: bytes
    count: int = 1


@dataclass(frozen=True, slots=True)
class Storage:
    """How to reach a storage account: a connection string, or service URLs and an identity.

    `client_id` names a user-assigned identity, "" the default one. `queue_url` is there where
    events come by a queue of the account.
    """

    connection_string: str = ""
    blob_url: str = ""
    table_url: str = ""
    client_id: str = ""
    queue_url: str = ""

    @property
    def endpoint(self) -> str:
        """The URL of the blob service; "" where a connection string names none."""
        parts = {
            key.strip().lower(): value.strip()
            for key, _, value in (part.partition("=") for part in self.connection_string.split(";"))
        }
        if parts.get("usedevelopmentstorage"):
            return _DEVELOPMENT
        if endpoint := self.blob_url or parts.get("blobendpoint"):
            return endpoint
        suffix = parts.get("endpointsuffix", "core.windows.net")
        return f"https://{parts['accountname']}.blob.{suffix}" if "accountname" in parts else ""

    @property
    def account(self) -> str:
        """The account's name, however it is reached."""
        return account_of(self.endpoint)


def account_of(blob_url: str) -> str:
    """The name of an account by the URL of its blob service, in lower case.

    It is the first label of the host, be that `<name>.blob.core.windows.net`, a private link's,
    a DNS zone's or a name of one's own; an emulator has it in the path.
    """
    parts = urlsplit(blob_url)
    return (parts.path.strip("/") or (parts.hostname or "").partition(".")[0]).lower()


def flow_time(milliseconds: int) -> str:
    """A time as ISO 8601 in UTC, to the millisecond."""
    seconds, rest = divmod(milliseconds, 1000)
    return second_of(seconds) + MILLISECONDS[rest]


@lru_cache(maxsize=4096)
def second_of(seconds: int) -> str:
    """A time in seconds since the epoch as ISO 8601, without its end."""
    # Padded by hand: strftime leaves years before 1000 short, and platforms differ.
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
