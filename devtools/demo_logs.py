"""The flow logs of the demo: two generated hours, or a given file; and the truth of them."""

import dataclasses
import datetime as dt
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from azure.storage.blob import BlobServiceClient, ContainerClient

from devtools.flowlogs import BlobWriter, random_record
from devtools.nic import NSG_CONTAINER, VNET_CONTAINER, Nic, nsg_path, vnet_path
from devtools.truth import FlowKey, TrueFlow, flow_key, flows_of_log

MINUTES = 60
SEED = 20260801

# Share of events that never come, besides those of two blobs' last updates.
WITHHELD = 0.03

Announce = Callable[[str, str], None]
"""Called with container and path after a commit whose event is delivered."""


class NoFlowLogError(ValueError):
    """A file that is no flow log, or one whose place cannot be told; says what it is."""

    def __init__(self, what: str) -> None:
        super().__init__(f"no flow log: {what}")


@dataclasses.dataclass
class Written:
    """What was written, counted while writing and apart from the product.

    Attributes:
        planned: updates that will be written in all.
        updates: commits so far.
        withheld: commits whose event was not delivered.
        flows: tuples written, denied or not.
        denied: keys of the denied ones.
        sizes: bytes of each blob, by container/path.
        announced: time.monotonic() just after the commit of each record whose event was
            delivered, by the first two parts of its flows' keys.
    """

    planned: int = 0
    updates: int = 0
    withheld: int = 0
    flows: int = 0
    denied: list[FlowKey] = dataclasses.field(default_factory=list)
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    announced: dict[FlowKey, float] = dataclasses.field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes in all blobs."""
        return sum(self.sizes.values())

    def add(self, source_blob: str, size: int, flows: list[TrueFlow], *, announced: bool) -> None:
        """Note one commit."""
        self.updates += 1
        self.flows += len(flows)
        self.sizes[source_blob] = size
        keys = [flow_key(flow, source_blob) for flow in flows if flow.denied]
        self.denied += keys
        if announced:
            self.announced |= dict.fromkeys((key[:2] for key in keys), time.monotonic())
        else:
            self.withheld += 1


@dataclasses.dataclass(frozen=True)
class _Log:
    """One NIC's log of one hour."""

    nic: Nic
    version: Literal[2, 4]
    container: str
    hour: dt.datetime
    writer: BlobWriter
    last_event_comes: bool

    @property
    def source_blob(self) -> str:
        return f"{self.container}/{self.writer.path}"


def write_hours(
    service: BlobServiceClient,
    written: Written,
    announce: Announce,
    tick: Callable[[], None],
    seconds: float,
) -> None:
    """Write the previous and the current hour of five NICs, an update a minute each.

    Args:
        service: where to write.
        written: is kept up to date with what was written.
        announce: called for each commit, but for some whose event never comes; in two blobs that
            is the last one, so that nothing but the sweep can find it.
        tick: called after each commit.
        seconds: over which the 600 updates are spread, if the machine keeps up.
    """
    rng = random.Random(SEED)
    now = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    containers = {name: service.create_container(name) for name in (NSG_CONTAINER, VNET_CONTAINER)}
    hours = [_logs_of(hour, containers) for hour in (now - dt.timedelta(hours=1), now)]
    written.planned = sum(len(logs) for logs in hours) * MINUTES
    start = time.monotonic()
    for logs in hours:
        for minute in range(MINUTES):
            for log in logs:
                due = start + seconds * written.updates / written.planned
                time.sleep(max(0.0, due - time.monotonic()))
                _write_minute(log, minute, written, announce, rng)
                tick()


def write_file(
    service: BlobServiceClient,
    written: Written,
    announce: Announce,
    tick: Callable[[], None],
    file: Path,
) -> None:
    """Write the records of a file one by one as Azure does, or the file as it is.

    It is written as it is, in one piece, when it is one record alone; one record a line is
    written as the records of one log. Its path is made of the ids in its first record.

    Raises:
        NoFlowLogError: there is no telling what should be found.
    """
    content = file.read_bytes()
    records = read_records(content)
    container_name, path = _place(records[0], flows_of_log(json.dumps(records[0]).encode()))
    source_blob = f"{container_name}/{path}"
    container = service.create_container(container_name)
    if len(records) == 1 and b'"records"' not in content:
        written.planned = 1
        container.upload_blob(path, content)
        written.add(source_blob, len(content), flows_of_log(content), announced=True)
        announce(container_name, path)
        return
    written.planned = len(records)
    writer = BlobWriter(container, path, SEED)
    for record in records:
        data = json.dumps(record, separators=(",", ":")).encode()
        writer.append(data)
        written.add(source_blob, writer.size, flows_of_log(data), announced=True)
        announce(container_name, path)
        tick()


def read_records(content: bytes) -> list[dict[str, Any]]:
    """The records of a file: `{"records":[…]}`, one record, or one record a line.

    Raises:
        NoFlowLogError: it is none; says what it is, as far as that can be told.
    """
    text = content.decode("utf-8-sig", errors="replace").strip()
    try:
        documents = [json.loads(text)]
    except ValueError:
        try:
            documents = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            raise NoFlowLogError("it is not JSON, nor JSON line by line") from None
    records: list[dict[str, Any]] = []
    for document in documents:
        wrapped = isinstance(document, dict) and isinstance(document.get("records"), list)
        records += document["records"] if wrapped else [document]
    if not records:
        raise NoFlowLogError("there are no records in it")
    for number, record in enumerate(records, 1):
        _check_record(record, number)
    return records


def _check_record(record: object, number: int) -> None:
    if not isinstance(record, dict):
        raise NoFlowLogError(f"record {number} is no JSON object")
    properties = record.get("properties")
    is_nsg = isinstance(properties, dict) and "flows" in properties
    if not is_nsg and "flowRecords" not in record:
        category = record.get("category")
        what = f"category {category}" if category else "it has neither flows nor flowRecords"
        raise NoFlowLogError(f"record {number}: {what}")
    for name in ("time", "resourceId" if is_nsg else "flowLogResourceID"):
        if not isinstance(record.get(name), str):
            raise NoFlowLogError(f"record {number} has no {name}, of which the log's path is made")


def _logs_of(hour: dt.datetime, containers: dict[str, ContainerClient]) -> list[_Log]:
    """The five logs of an hour; of the previous hour's, two lose their last event."""
    web = Nic("000D3AF87856", "10.5.16.4", "PROD-WEB-NSG")
    sql = Nic("000D3AF8801A", "10.5.17.5", "PROD-SQL-NSG")
    jump = Nic("002248814162", "10.5.18.6", "JUMPBOX-NSG")
    app = Nic("6045BDBA5272", "10.6.0.4", "AKS-NODES-NSG", vnet="apps-vnet")
    gateway = Nic("00224871C205", "10.6.1.5", "GATEWAY-NSG", vnet="apps-vnet")
    # Azure writes either the NSG's resource id or a GUID as aclID.
    app = dataclasses.replace(app, acl_id=app.nsg_id)
    forms: dict[str, Literal["id", "short"]] = {app.mac: "id", gateway.mac: "short"}
    plan: list[tuple[Nic, Literal[2, 4], str, str]] = [
        *((nic, 2, NSG_CONTAINER, nsg_path(nic, hour)) for nic in (web, sql, jump)),
        *((nic, 4, VNET_CONTAINER, vnet_path(nic, hour, forms[nic.mac])) for nic in (app, gateway)),
    ]
    current = hour + dt.timedelta(hours=1) > dt.datetime.now(dt.UTC)
    return [
        _Log(
            nic,
            version,
            container,
            hour,
            BlobWriter(containers[container], path, SEED + number),
            last_event_comes=current or nic not in {sql, gateway},
        )
        for number, (nic, version, container, path) in enumerate(plan)
    ]


def _write_minute(
    log: _Log, minute: int, written: Written, announce: Announce, rng: random.Random
) -> None:
    record = random_record(
        log.nic,
        log.hour + dt.timedelta(minutes=minute, seconds=59, milliseconds=rng.randrange(1000)),
        rng,
        version=log.version,
        tuples=rng.randrange(5, 40),
        denied_share=rng.choice((0.0, 0.05, 0.1, 0.3)),
        index=minute,
    )
    log.writer.append(record.data)
    comes = log.last_event_comes if minute == MINUTES - 1 else rng.random() >= WITHHELD
    written.add(log.source_blob, log.writer.size, list(record.flows), announced=comes)
    if comes:
        announce(log.container, log.writer.path)


def _place(record: dict[str, Any], flows: list[TrueFlow]) -> tuple[str, str]:
    """Container and path under which Azure would have kept this record."""
    time_of_record = dt.datetime.fromisoformat(record["time"]).astimezone(dt.UTC)
    mac = record.get("macAddress") or next((flow.mac for flow in flows), "000000000000")
    hour = f"{time_of_record:y=%Y/m=%m/d=%d/h=%H}/m=00/macAddress={mac}/PT1H.json"
    if "flowRecords" in record:
        return VNET_CONTAINER, f"flowLogResourceID={record['flowLogResourceID'].upper()}/{hour}"
    return NSG_CONTAINER, f"resourceId={record['resourceId'].upper()}/{hour}"
