"""What a flow log holds, told by a plain walk over its JSON; and whether all of it was delivered.

Written for plainness and not for speed, and apart from the product, so that each can be checked
against the other.
"""

import dataclasses
import datetime as dt
import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

_Key = TypeVar("_Key")

_PROTOCOLS = {"T": "TCP", "U": "UDP", "I": "ICMP", "6": "TCP", "17": "UDP", "1": "ICMP"}

FlowKey = tuple[str | int, ...]
"""What tells one delivered flow from another without knowing how the product makes its ids."""


@dataclasses.dataclass(frozen=True)
class TrueFlow:
    """One tuple of a flow log.

    Attributes:
        record: number of its record in the log, from 0.
        ordinal: number of the tuple in its record, from 0, denied or not.
        text: the tuple as written.
        denied: whether the flow was denied.
        acl: v1 and v2: the NSG's resource id; v4: the aclID; both as written.
        rule: as written.
        port: destination port.
        record_time: the record's time as written.
        mac: 12 hex digits.
        version: 1, 2 or 4.
    """

    record: int
    ordinal: int
    text: str
    denied: bool
    acl: str
    rule: str
    port: int
    record_time: str
    mac: str
    version: int

    @property
    def time(self) -> dt.datetime:
        """The tuple's own time; below 1e11 the number is seconds, else milliseconds."""
        number = int(self.text.split(",", 1)[0])
        milliseconds = number * 1000 if number < 10**11 else number
        # Integers throughout: a float of seconds rounds to the wrong microsecond.
        return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=milliseconds)

    @property
    def source(self) -> str:
        """Source address, canonical."""
        return canonical(self.text.split(",")[1])

    @property
    def target(self) -> str:
        """Destination address, canonical."""
        return canonical(self.text.split(",")[2])

    @property
    def source_port(self) -> int:
        """Source port."""
        return int(self.text.split(",")[3])

    @property
    def protocol(self) -> str:
        """`TCP`, `UDP`, `ICMP`, else the number."""
        field = self.text.split(",")[5]
        return _PROTOCOLS.get(field, field)

    @property
    def direction(self) -> str:
        """`Inbound` or `Outbound`."""
        return "Inbound" if self.text.split(",")[6] == "I" else "Outbound"

    @property
    def acl_name(self) -> str:
        """Last part of an NSG's resource id; an aclID that is none as it is."""
        return self.acl.rsplit("/", 1)[-1]


def flows_of_log(document: bytes) -> list[TrueFlow]:
    """Every tuple of a log: `{"records":[…]}`, also nested in one another, or a bare record.

    Raises:
        ValueError: the bytes are no JSON.
        KeyError: a record lacks a field that all of its version have.
    """
    found: list[TrueFlow] = []
    for number, record in enumerate(_records(json.loads(document))):
        found += flows_of_record(record, number)
    return found


def flows_of_record(record: Mapping[str, Any], number: int) -> Iterator[TrueFlow]:
    """The tuples of one parsed record in the order in which they are written."""
    version = _version(record)
    for ordinal, (acl, rule, mac, text) in enumerate(_tuples(record)):
        fields = text.split(",")
        yield TrueFlow(
            record=number,
            ordinal=ordinal,
            text=text,
            denied=fields[7] == "D",  # the decision of v1 and v2, the state of v4
            acl=acl,
            rule=rule,
            port=int(fields[4]),
            record_time=record["time"],
            mac=mac,
            version=version,
        )


def flow_key(flow: TrueFlow, source_blob: str) -> FlowKey:
    """The key of a flow of the log at container/path."""
    return (
        source_blob,
        _whole_milliseconds(flow.record_time),
        _whole_milliseconds(flow.time.isoformat()),
        "Denied" if flow.denied else "Allowed",
        flow.direction,
        flow.protocol,
        flow.source,
        flow.source_port,
        flow.target,
        flow.port,
        flow.rule,
        flow.acl.lower(),
    )


def row_key(row: Mapping[str, Any]) -> FlowKey:
    """The same key of a row of the table."""
    return (
        row["SourceBlob"],
        _whole_milliseconds(row["RecordTime"]),
        _whole_milliseconds(row["FlowTime"]),
        row["FlowStatus"],
        row["FlowDirection"],
        row["L4Protocol"],
        row["SrcIp"],
        row["SrcPort"],
        row["DestIp"],
        row["DestPort"],
        row["AclRule"],
        row["AclGroup"].lower(),
    )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What became of the flows that should have been delivered.

    Attributes:
        expected: flows that should have come.
        delivered: of these, how many came.
        lost: how many did not.
        duplicated: flows that came more often than they should, told by FlowId.
        foreign: rows that match no flow.
    """

    expected: int
    delivered: int
    lost: int
    duplicated: int
    foreign: int

    @property
    def exact(self) -> bool:
        """Whether exactly the expected flows came, each once."""
        return self.lost == self.duplicated == self.foreign == 0


def compare(expected: Iterable[FlowKey], rows: Iterable[Mapping[str, Any]]) -> Comparison:
    """Compare the flows that should have been delivered with the rows that were."""
    wanted = Counter(expected)
    seen: set[str] = set()
    came: Counter[FlowKey] = Counter()
    duplicated = 0
    for row in rows:
        if row["FlowId"] in seen:
            duplicated += 1
            continue
        seen.add(row["FlowId"])
        came[row_key(row)] += 1
    return _compared(wanted, came, duplicated)


def compare_alerts(expected: Iterable[FlowKey], alerts: Iterable[Mapping[str, Any]]) -> Comparison:
    """Compare the flows that should have been alerted on with the alerts' counts of flows.

    An alert speaks for one record, told by its source and time; its number must also be the sum
    of its groups and of what was cut from it, or its flows count as foreign.
    """
    wanted = Counter((key[0], key[1]) for key in expected)
    came: Counter[tuple[str | int, str | int]] = Counter()
    seen: set[tuple[str, str]] = set()
    duplicated = foreign = 0
    for alert in alerts:
        data = alert["data"]
        if (alert["source"], alert["id"]) in seen:
            duplicated += data["flows"]
            continue
        seen.add((alert["source"], alert["id"]))
        parts = sum(group["flows"] for group in data["groups"]) + data["truncated"]
        if parts != data["flows"]:
            foreign += data["flows"]
            continue
        # The source is account/container/path; keys have container/path.
        source_blob = alert["source"].split("/", 1)[1]
        came[source_blob, _whole_milliseconds(alert["time"])] += data["flows"]
    return _compared(wanted, came, duplicated, foreign)


def canonical(address: str) -> str:
    """An address in canonical form; v6 may be in brackets."""
    return str(ipaddress.ip_address(address.strip("[]")))


def _records(document: Any) -> Iterator[Mapping[str, Any]]:  # any JSON
    if isinstance(document, list):
        for element in document:
            yield from _records(element)
    elif "records" in document:
        yield from _records(document["records"])
    else:
        yield document


def _version(record: Mapping[str, Any]) -> int:
    if "flowRecords" in record:
        return int(record["flowLogVersion"])
    return int(record["properties"]["Version"])


def _tuples(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """(acl, rule, mac, tuple) of a record."""
    if "flowRecords" in record:
        for flow in record["flowRecords"]["flows"]:
            for group in flow["flowGroups"]:
                for text in group["flowTuples"]:
                    yield flow["aclID"], group["rule"], record["macAddress"], text
    else:
        for rule in record["properties"]["flows"]:
            for flow in rule["flows"]:
                for text in flow["flowTuples"]:
                    yield record["resourceId"], rule["rule"], flow["mac"], text


def _whole_milliseconds(time: str) -> str:
    """A time cut to milliseconds, which is what the table keeps, as ISO 8601 in UTC."""
    parsed = dt.datetime.fromisoformat(time).astimezone(dt.UTC)
    return parsed.replace(microsecond=parsed.microsecond // 1000 * 1000).isoformat()


def _compared(
    wanted: Counter[_Key], came: Counter[_Key], duplicated: int, foreign: int = 0
) -> Comparison:
    """What was wanted against what came, each without its repeats."""
    lost = (wanted - came).total()
    return Comparison(
        expected=wanted.total(),
        delivered=wanted.total() - lost,
        lost=lost,
        duplicated=duplicated,
        foreign=foreign + (came - wanted).total(),
    )
