"""A record as Azure writes it, decoded down to its lists of tuples.

Those stay bytes for whoever may not need them, or become texts at once, which costs half as much
again as passing over them, and half of doing it later.

NSG logs (versions 1 and 2) and VNet logs (version 4):
https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

_NSG_VERSIONS = frozenset((1, 2))
_VNET_VERSIONS = frozenset((4,))


class UnreadableError(ValueError):
    """A record or tuple that makes no sense; the message says why."""


_List = TypeVar("_List", msgspec.Raw, list[str])


class _Macs(msgspec.Struct, Generic[_List], gc=False):
    flowTuples: _List  # noqa: N815 - the log's name
    mac: str = ""


class _Rule(msgspec.Struct, Generic[_List], gc=False):
    flows: list[_Macs[_List]]
    rule: str = ""


class Properties(msgspec.Struct, Generic[_List], gc=False):
    """What an NSG log's record holds."""

    flows: list[_Rule[_List]]
    Version: int | None = None


class _FlowGroup(msgspec.Struct, Generic[_List], gc=False):
    flowTuples: _List  # noqa: N815 - the log's name
    rule: str = ""


class _Acl(msgspec.Struct, Generic[_List], gc=False):
    flowGroups: list[_FlowGroup[_List]]  # noqa: N815 - the log's name
    aclID: str = ""  # noqa: N815 - the log's name


class FlowRecords(msgspec.Struct, Generic[_List], gc=False):
    """What a VNet log's record holds."""

    flows: list[_Acl[_List]]


class LogRecord(msgspec.Struct, Generic[_List], gc=False):
    """The fields of a record that matter, of both kinds; Azure writes them in any order."""

    time: str = ""
    macAddress: str = ""  # noqa: N815 - the log's name
    resourceId: str = ""  # noqa: N815 - the log's name
    targetResourceID: str = ""  # noqa: N815 - the log's name
    flowLogVersion: int | None = None  # noqa: N815 - the log's name
    properties: Properties[_List] | None = None
    flowRecords: FlowRecords[_List] | None = None  # noqa: N815 - the log's name


Document = LogRecord[msgspec.Raw] | LogRecord[list[str]]
Tuples = tuple[str, str, str, msgspec.Raw | list[str]]
"""aclID, rule and MAC, "" where the record has none, and the tuples under them: JSON, or texts."""

RECORD = msgspec.json.Decoder(LogRecord[msgspec.Raw])
RECORD_OF_TEXTS = msgspec.json.Decoder(LogRecord[list[str]])


def documents(
    decoder: msgspec.json.Decoder[LogRecord[_List]], pieces: Sequence[bytes | memoryview]
) -> Sequence[LogRecord[_List]]:
    """The record that each piece is; several together, if each ends with a brace.

    A call costs as much as a small record. With nothing but a line feed between them several are
    as many documents only if each is one: what stands before a brace within a record is a comma
    if it is a brace as well.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: one is none, or it is odd.
    """
    if len(pieces) == 1:
        return [decoder.decode(pieces[0])]
    found = decoder.decode_lines(b"\n".join(pieces))
    if len(found) != len(pieces):
        raise msgspec.DecodeError("a piece is more than one record")
    return found


def version_of(doc: Document) -> int:
    """The version of a record: 1, 2 or 4.

    Raises:
        UnreadableError: it has another, or is no flow log's.
    """
    if doc.flowRecords is not None:
        version, known = doc.flowLogVersion, _VNET_VERSIONS
    elif doc.properties is not None:
        version, known = doc.properties.Version, _NSG_VERSIONS
    else:
        raise UnreadableError("a record with neither properties nor flowRecords")
    if version is None or version not in known:
        raise UnreadableError(f"unknown flow log version {version}")
    return version


def tuple_lists(doc: Document) -> list[Tuples]:
    """The lists of tuples of a record, in its order; all of them JSON, or all of them texts."""
    if doc.flowRecords is not None:
        return [
            (acl.aclID, group.rule, "", group.flowTuples)
            for acl in doc.flowRecords.flows
            for group in acl.flowGroups
        ]
    if doc.properties is not None:
        return [
            ("", rule.rule, macs.mac, macs.flowTuples)
            for rule in doc.properties.flows
            for macs in rule.flows
        ]
    return []
