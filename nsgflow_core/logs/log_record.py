"""A record as Azure writes it, decoded down to its lists of tuples, which stay bytes.

NSG logs (versions 1 and 2) and VNet logs (version 4):
https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format.
"""

import msgspec

_NSG_VERSIONS = frozenset((1, 2))
_VNET_VERSIONS = frozenset((4,))


class UnreadableError(ValueError):
    """A record or tuple that makes no sense; the message says why."""


class _Macs(msgspec.Struct, gc=False):
    flowTuples: msgspec.Raw  # noqa: N815 - the log's name
    mac: str = ""


class _Rule(msgspec.Struct, gc=False):
    flows: list[_Macs]
    rule: str = ""


class Properties(msgspec.Struct, gc=False):
    """What an NSG log's record holds."""

    flows: list[_Rule]
    Version: int | None = None


class _FlowGroup(msgspec.Struct, gc=False):
    flowTuples: msgspec.Raw  # noqa: N815 - the log's name
    rule: str = ""


class _Acl(msgspec.Struct, gc=False):
    flowGroups: list[_FlowGroup]  # noqa: N815 - the log's name
    aclID: str = ""  # noqa: N815 - the log's name


class FlowRecords(msgspec.Struct, gc=False):
    """What a VNet log's record holds."""

    flows: list[_Acl]


class LogRecord(msgspec.Struct, gc=False):
    """The fields of a record that matter, of both kinds; Azure writes them in any order."""

    time: str = ""
    macAddress: str = ""  # noqa: N815 - the log's name
    resourceId: str = ""  # noqa: N815 - the log's name
    targetResourceID: str = ""  # noqa: N815 - the log's name
    flowLogVersion: int | None = None  # noqa: N815 - the log's name
    properties: Properties | None = None
    flowRecords: FlowRecords | None = None  # noqa: N815 - the log's name


Tuples = tuple[str, str, str, bytes | msgspec.Raw]
"""aclID, rule and MAC, "" where the record has none, and the JSON list of tuples under them."""

RECORD = msgspec.json.Decoder(LogRecord)


def version_of(doc: LogRecord) -> int:
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


def tuple_lists(doc: LogRecord) -> list[Tuples]:
    """The lists of tuples of a record, in its order."""
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
