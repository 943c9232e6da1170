"""The flow logs of the demo: two generated hours, or a given file; and the truth of them."""

import dataclasses
import datetime as dt
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient

from devtools.demo_estate import NSG_IDS, PROXY, SQL
from devtools.demo_traffic import MINUTES, SEED, logs_of, minutes_of
from devtools.flowlogs import BlobWriter
from devtools.nic import NSG_CONTAINER, VNET_CONTAINER
from devtools.truth import FlowKey, TrueFlow, flow_key, flows_of_log

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
        denied: keys of the denied ones, with ids of NSGs where logs have GUIDs.
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
        named = (dataclasses.replace(at, acl=NSG_IDS.get(at.acl, at.acl)) for at in flows)
        keys = [flow_key(flow, source_blob) for flow in named if flow.denied]
        self.denied += keys
        if announced:
            self.announced |= dict.fromkeys((key[:2] for key in keys), time.monotonic())
        else:
            self.withheld += 1


def write_hours(
    service: BlobServiceClient,
    written: Written,
    announce: Announce,
    tick: Callable[[], None],
    seconds: float,
) -> None:
    """Write the last two hours of five NICs, an update a minute each.

    Args:
        service: where to write.
        written: is kept up to date with what was written.
        announce: called for each commit, but for some whose event never comes; in two logs that
            is the last one of each hour that is over, so that nothing but the sweep can find it.
        tick: called after each commit.
        seconds: over which the 600 updates are spread, if the machine keeps up.
    """
    losses = random.Random(SEED)
    now = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    containers = {name: service.create_container(name) for name in (NSG_CONTAINER, VNET_CONTAINER)}
    writers: dict[str, BlobWriter] = {}
    written.planned = len(logs_of(now)) * MINUTES
    begun = time.monotonic()
    for log, record in minutes_of(now - dt.timedelta(minutes=MINUTES)):
        due = begun + seconds * written.updates / written.planned
        time.sleep(max(0.0, due - time.monotonic()))
        writer = writers.get(log.path)
        if writer is None:
            writer = BlobWriter(containers[log.container], log.path, SEED + len(writers))
            writers[log.path] = writer
        writer.append(record.data)
        lost = losses.random() < WITHHELD
        if record.time[14:16] == "59":
            lost = log.nic in (SQL, PROXY) and record.time[:13] != f"{now:%Y-%m-%dT%H}"
        source_blob = f"{log.container}/{log.path}"
        written.add(source_blob, writer.size, list(record.flows), announced=not lost)
        if not lost:
            announce(log.container, log.path)
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


def _place(record: dict[str, Any], flows: list[TrueFlow]) -> tuple[str, str]:
    """Container and path under which Azure would have kept this record."""
    time_of_record = dt.datetime.fromisoformat(record["time"]).astimezone(dt.UTC)
    mac = record.get("macAddress") or next((flow.mac for flow in flows), "000000000000")
    hour = f"{time_of_record:y=%Y/m=%m/d=%d/h=%H}/m=00/macAddress={mac}/PT1H.json"
    if "flowRecords" in record:
        return VNET_CONTAINER, f"flowLogResourceID={record['flowLogResourceID'].upper()}/{hour}"
    return NSG_CONTAINER, f"resourceId={record['resourceId'].upper()}/{hour}"
