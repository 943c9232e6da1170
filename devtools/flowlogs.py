"""Flow logs of our own making: records with their ground truth, and a writer that writes as Azure.

Record and tuple formats:
https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview (versions 1 and 2) and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview (version 4). Addresses
are those set aside for documentation (RFC 5737), so nothing here is anybody's traffic.
"""

import dataclasses
import datetime as dt
import functools
import json
import random
from collections.abc import Sequence
from typing import Any, Literal

from azure.storage.blob import BlobBlock, ContainerClient

from devtools.nic import NSG_CONTAINER, VNET_CONTAINER, Nic, guid, nsg_path, vnet_path
from devtools.truth import TrueFlow

__all__ = [
    "NSG_CONTAINER",
    "VNET_CONTAINER",
    "BlobWriter",
    "Group",
    "Nic",
    "Record",
    "large_log",
    "nsg_path",
    "nsg_record",
    "random_record",
    "seven_digits",
    "vnet_path",
    "vnet_record",
]

HEAD = b'{"records":['
CLOSER = b"]}"

# (rule, direction, destination ports)
_DENIED_RULES = (
    ("DefaultRule_DenyAllInBound", "I", (23, 445, 1433, 3389, 5985, 8080)),
    ("UserRule_DenyRdp", "I", (3389,)),
    ("UserRule_DenySqlOut", "O", (1433, 5432)),
)
_ALLOWED_RULES = (
    ("DefaultRule_AllowInternetOutBound", "O", (53, 80, 123, 443)),
    ("UserRule_AllowHttps", "I", (443,)),
    ("DefaultRule_AllowVnetInBound", "I", (22, 443, 9100)),
)
_NETS = ("192.0.2.", "198.51.100.", "203.0.113.")
_IANA = {"T": 6, "U": 17}


@dataclasses.dataclass(frozen=True)
class Group:
    """Tuples of one rule; `acl` matters to v4 only."""

    rule: str
    tuples: tuple[str, ...]
    acl: str = ""


@dataclasses.dataclass(frozen=True)
class Record:
    """One record: its JSON text, and what was put into it.

    Attributes:
        data: the JSON object, without any comma around it.
        index: number of the record in its blob, as the caller said.
        version: 1, 2 or 4.
        groups: rules with their tuples, `acl` filled in, in the order in which they are written.
    """

    data: bytes
    index: int
    version: int
    time: str
    mac: str
    groups: tuple[Group, ...]

    @functools.cached_property
    def flows(self) -> tuple[TrueFlow, ...]:
        """Every tuple of the record."""
        placed = [(group, text) for group in self.groups for text in group.tuples]
        return tuple(
            TrueFlow(
                record=self.index,
                ordinal=ordinal,
                text=text,
                denied=text.split(",")[7] == "D",
                acl=group.acl,
                rule=group.rule,
                port=int(text.split(",")[4]),
                record_time=self.time,
                mac=self.mac,
                version=self.version,
            )
            for ordinal, (group, text) in enumerate(placed)
        )

    @property
    def denied(self) -> tuple[TrueFlow, ...]:
        """The denied flows of the record."""
        return tuple(flow for flow in self.flows if flow.denied)


def nsg_record(
    nic: Nic,
    time: dt.datetime,
    groups: Sequence[Group],
    *,
    version: Literal[1, 2] = 2,
    index: int = 0,
) -> Record:
    """A version 1 or 2 record of the given tuples, written at `time` (UTC).

    Args:
        nic: whose record it is.
        time: when Azure wrote it.
        groups: the rules with their tuples, in the order in which they are written.
        version: of the format; the tuples must be of the same.
        index: number of the record in its blob, repeated in the ground truth.
    """
    document = {
        "time": seven_digits(time),
        "systemId": guid(nic.nsg_id),
        "macAddress": nic.mac,
        "category": "NetworkSecurityGroupFlowEvent",
        "resourceId": nic.nsg_id,
        "operationName": "NetworkSecurityGroupFlowEvents",
        "properties": {
            "Version": version,
            "flows": [
                {"rule": group.rule, "flows": [{"mac": nic.mac, "flowTuples": list(group.tuples)}]}
                for group in groups
            ],
        },
    }
    placed = tuple(dataclasses.replace(group, acl=nic.nsg_id) for group in groups)
    return _record(document, nic, placed, version, index)


def vnet_record(nic: Nic, time: dt.datetime, groups: Sequence[Group], *, index: int = 0) -> Record:
    """A version 4 record of the given tuples, written at `time` (UTC); arguments as nsg_record."""
    by_acl: dict[str, list[Group]] = {}
    for group in groups:
        acl = group.acl or nic.acl
        by_acl.setdefault(acl, []).append(dataclasses.replace(group, acl=acl))
    document = {
        "time": seven_digits(time),
        "flowLogVersion": 4,
        "flowLogGUID": guid(nic.flow_log_id),
        "macAddress": nic.mac,
        "category": "FlowLogFlowEvent",
        "flowLogResourceID": nic.flow_log_id,
        "targetResourceID": nic.target_id,
        "operationName": "FlowLogFlowEvent",
        "flowRecords": {
            "flows": [
                {
                    "aclID": acl,
                    "flowGroups": [
                        {"rule": group.rule, "flowTuples": list(group.tuples)} for group in rules
                    ],
                }
                for acl, rules in by_acl.items()
            ]
        },
    }
    placed = tuple(group for rules in by_acl.values() for group in rules)
    return _record(document, nic, placed, 4, index)


def random_record(
    nic: Nic,
    time: dt.datetime,
    rng: random.Random,
    *,
    version: Literal[1, 2, 4] = 2,
    tuples: int = 20,
    denied_share: float = 0.2,
    mixed: bool = False,
    index: int = 0,
) -> Record:
    """A record of random tuples of the minute before `time`; the same rng makes the same record.

    Args:
        nic: the near end of every flow.
        time: when Azure wrote the record.
        rng: where randomness comes from.
        version: of the format.
        tuples: how many in all.
        denied_share: share of them that is denied, rounded to whole tuples.
        mixed: denied tuples lie scattered among the allowed ones of one rule, as no rule of
            Azure's would have it: for measuring the dearest case.
        index: number of the record in its blob, repeated in the ground truth.
    """
    groups = _random_groups(nic, time, rng, version, tuples, denied_share)
    if mixed:
        every = [text for group in groups for text in group.tuples]
        rng.shuffle(every)
        groups = [Group("UserRule_Mixed", tuple(every))]
    if version == 4:
        return vnet_record(nic, time, groups, index=index)
    return nsg_record(nic, time, groups, version=version, index=index)


def large_log(
    records: int,
    tuples: int,
    denied_share: float,
    version: Literal[1, 2, 4],
    seed: int,
    *,
    mixed: bool = False,
) -> bytes:
    """A whole PT1H.json for measurements: records of `tuples` tuples each, spread over an hour.

    The arguments are those of random_record; the same ones make the same bytes.
    """
    rng = random.Random(seed)
    nic = Nic()
    start = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    made = [
        random_record(
            nic,
            start + dt.timedelta(seconds=3600 * (number + 1) / records),
            rng,
            version=version,
            tuples=tuples,
            denied_share=denied_share,
            mixed=mixed,
        ).data
        for number in range(records)
    ]
    return HEAD + b",".join(made) + CLOSER


class BlobWriter:
    """Writes one PT1H.json as Azure does: every update puts one block before the 2-byte closer.

    The first block is `{"records":[`, the last `]}`; the first data block begins with `{`, later
    ones with `,` (https://learn.microsoft.com/azure/network-watcher/flow-logs-read).

    Attributes:
        path: path of the blob in its container.
        blocks: (id, size in bytes) of every committed block.
        updates: commits so far.
    """

    def __init__(
        self,
        container: ContainerClient,
        path: str,
        seed: int = 0,
        ids: Literal["random", "lettered"] = "random",
    ) -> None:
        self.path = path
        self.blocks: list[tuple[str, int]] = []
        self.updates = 0
        self._blob = container.get_blob_client(path)
        self._rng = random.Random(seed)
        self._lettered = ids == "lettered"

    @property
    def size(self) -> int:
        """Bytes in the blob."""
        return sum(size for _, size in self.blocks)

    def open(self) -> None:
        """Write head and closer only, as a blob is that has no record yet."""
        self._stage(0, "A", HEAD)
        self._stage(1, "Z", CLOSER)
        self._commit()

    def append(self, *records: bytes) -> list[int]:
        """Add the records in one block and commit it.

        Returns:
            The offset in the blob of each record's `{`.
        """
        first = len(self.blocks) <= 2
        block = (b"" if first else b",") + b",".join(records)
        offset = self.append_block(block) + (0 if first else 1)
        offsets = []
        for record in records:
            offsets.append(offset)
            offset += len(record) + 1
        return offsets

    def append_block(self, block: bytes) -> int:
        """Add these bytes as they are in one block before the closer; returns their offset."""
        if not self.blocks:
            self._stage(0, "A", HEAD)
            self._stage(1, "Z", CLOSER)
        offset = self.size - len(CLOSER)
        self._stage(len(self.blocks) - 1, "D", block)
        self._commit()
        return offset

    def _stage(self, position: int, letter: str, data: bytes) -> None:
        # Azure asks that all ids of a blob be of one length.
        block_id = f"{self._rng.getrandbits(128):032X}"
        if self._lettered:
            block_id = letter + (block_id if letter == "D" else "0" * 32)
        self._blob.stage_block(block_id, data, length=len(data))
        self.blocks.insert(position, (block_id, len(data)))

    def _commit(self) -> None:
        self._blob.commit_block_list([BlobBlock(block_id) for block_id, _ in self.blocks])
        self.updates += 1


def seven_digits(time: dt.datetime) -> str:
    """A time as records have it: UTC, seven decimals, Z."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _record(
    document: dict[str, Any], nic: Nic, groups: tuple[Group, ...], version: int, index: int
) -> Record:
    data = json.dumps(document, separators=(",", ":")).encode()
    return Record(data, index, version, document["time"], nic.mac, groups)


def _random_groups(
    nic: Nic,
    time: dt.datetime,
    rng: random.Random,
    version: int,
    tuples: int,
    denied_share: float,
) -> list[Group]:
    denied = round(tuples * denied_share)
    texts: dict[str, list[str]] = {}
    last = int(time.timestamp() * 1000)
    for number in range(tuples):
        is_denied = number < denied
        rule, direction, ports = rng.choice(_DENIED_RULES if is_denied else _ALLOWED_RULES)
        far = f"{rng.choice(_NETS)}{rng.randrange(1, 255)}"
        source, target = (far, nic.ip) if direction == "I" else (nic.ip, far)
        port = rng.choice(ports)
        protocol = "U" if port in {53, 123} else "T"
        ends = f"{source},{target},{rng.randrange(1024, 65536)},{port}"
        milliseconds = last - rng.randrange(60_000)
        text = tuple_text(version, milliseconds, ends, protocol, direction, is_denied, rng)
        texts.setdefault(rule, []).append(text)
    return [Group(rule, tuple(group)) for rule, group in texts.items()]


def tuple_text(
    version: int,
    milliseconds: int,
    ends: str,
    protocol: str,
    direction: str,
    denied: bool,  # noqa: FBT001  # positional like the fields of the tuple it writes
    rng: random.Random,
) -> str:
    """A tuple whose ends are "source,target,source port,port"; state and counters are random."""
    state = "B" if denied else rng.choice("BBCE")
    counters = (
        f"{rng.randrange(1, 90)},{rng.randrange(60, 99_000)},"
        f"{rng.randrange(1, 90)},{rng.randrange(60, 99_000)}"
    )
    if version == 4:
        if denied or state == "B":
            counters = "0,0,0,0"
        state = "D" if denied else state
        return f"{milliseconds},{ends},{_IANA[protocol]},{direction},{state},NX,{counters}"
    text = f"{milliseconds // 1000},{ends},{protocol},{direction},{'D' if denied else 'A'}"
    if version == 1:
        return text
    return f"{text},{state},{',,,' if state == 'B' else counters}"
