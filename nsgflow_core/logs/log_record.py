"""A record as Azure writes it, decoded down to its lists of tuples.

Those stay bytes for whoever may not need them, or become texts at once, which costs half as much
again as passing over them, and half of doing it later.

NSG logs (versions 1 and 2) and VNet logs (version 4):
https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format.
"""

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

import msgspec

_NSG_VERSIONS = frozenset((1, 2))
_VNET_VERSIONS = frozenset((4,))


class UnreadableError(ValueError):
    """A record or tuple that makes no sense; the message says why."""


_List = TypeVar("_List", msgspec.Raw, list[str])


class OfMac(msgspec.Struct, Generic[_List], gc=False):
    """The tuples of a rule at one network interface."""

    tuples: _List = msgspec.field(name="flowTuples")
    mac: str = ""
    rule: ClassVar[str] = ""


class OfRule(msgspec.Struct, Generic[_List], gc=False):
    """A rule in an NSG log."""

    groups: list[OfMac[_List]] = msgspec.field(name="flows")
    rule: str = ""
    acl: ClassVar[str] = ""


class Properties(msgspec.Struct, Generic[_List], gc=False):
    """What an NSG log's record holds."""

    flows: list[OfRule[_List]]
    Version: int | None = None


class FlowGroup(msgspec.Struct, Generic[_List], gc=False):
    """The tuples of a rule in a VNet log."""

    tuples: _List = msgspec.field(name="flowTuples")
    rule: str = ""
    mac: ClassVar[str] = ""


class OfAcl(msgspec.Struct, Generic[_List], gc=False):
    """An ACL, which nearly always is an NSG, in a VNet log."""

    groups: list[FlowGroup[_List]] = msgspec.field(name="flowGroups")
    acl: str = msgspec.field(name="aclID", default="")
    rule: ClassVar[str] = ""


class FlowRecords(msgspec.Struct, Generic[_List], gc=False):
    """What a VNet log's record holds."""

    flows: list[OfAcl[_List]]


class LogRecord(msgspec.Struct, Generic[_List], gc=False):
    """The fields of a record that matter, of both kinds; Azure writes them in any order."""

    time: str = ""
    macAddress: str = ""  # noqa: N815 - the log's name
    resourceId: str = ""  # noqa: N815 - the log's name
    targetResourceID: str = ""  # noqa: N815 - the log's name
    flowLogVersion: int | None = None  # noqa: N815 - the log's name
    properties: Properties[_List] | None = None
    flowRecords: FlowRecords[_List] | None = None  # noqa: N815 - the log's name


class OfTexts(LogRecord[list[str]], gc=False):
    """A record whose tuples are texts already."""


Document = LogRecord[msgspec.Raw] | OfTexts
_Groups = OfRule[msgspec.Raw] | OfAcl[msgspec.Raw] | OfRule[list[str]] | OfAcl[list[str]]
Tuples = tuple[str, str, str, msgspec.Raw | list[str]]
"""aclID, rule and MAC, "" where the record has none, and the tuples under them: JSON, or texts."""

_Record = TypeVar("_Record", LogRecord[msgspec.Raw], OfTexts)

RECORD = msgspec.json.Decoder(LogRecord[msgspec.Raw])
RECORD_OF_TEXTS = msgspec.json.Decoder(OfTexts)


def documents(
    decoder: msgspec.json.Decoder[_Record], pieces: Sequence[bytes | memoryview]
) -> Sequence[_Record]:
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


def groups_of(doc: Document) -> Sequence[_Groups]:
    """The rules of an NSG log's record, or the ACLs of a VNet log's: groups of lists of tuples."""
    if doc.flowRecords is not None:
        return doc.flowRecords.flows
    return doc.properties.flows if doc.properties is not None else ()


def tuple_lists(doc: Document) -> list[Tuples]:
    """The lists of tuples of a record, in its order; all of them JSON, or all of them texts."""
    return [
        (whole.acl, whole.rule or group.rule, group.mac, group.tuples)
        for whole in groups_of(doc)
        for group in whole.groups
    ]
